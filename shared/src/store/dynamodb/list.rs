//! Lists of tasks: a merge of index partitions. Each partition is read only as far as the merge
//! needs, and all of them only as far as a budget allows.

use std::collections::{HashMap, HashSet, VecDeque};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt, stream};
use tracing::error;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use crate::error::error_chain;
use crate::model::{Task, TaskStatus, TaskType};
use crate::store::dynamodb_item::task::{
    NAME_KEY, PROJECT_ID, PROJECT_INDEX, STATUS, STATUS_INDEX, STATUS_SHARD, TASK_TYPE, TYPE_INDEX,
    UPDATED_AT, head, id_of, index_position, read_index_position, status_shard,
};
use crate::store::dynamodb_item::{Item, TTL, alias, number, text};
use crate::store::{ListPosition, StoreError, TaskPage, TaskQuery, name_key};

/// The most partitions that are read at the same time.
const CONCURRENCY: usize = 32;
/// The most items that one query reads when filters drop most of them.
const MAX_PAGE_SIZE: usize = 1000;
/// The number of examined items after which a page ends, however few tasks were found. It is about
/// 250 read units and a few round trips.
pub(super) const READ_BUDGET: usize = 2000;

/// A partition of an index, newest first.
#[derive(Debug)]
struct Partition {
    index: &'static str,
    key_name: &'static str,
    key_value: String,
    /// Tasks that were read and are not in the merged list yet.
    tasks: VecDeque<Task>,
    /// Where the next query starts: at the last examined item.
    start: Option<Item>,
    /// The most items that the last query examined.
    page_size: usize,
    /// Whether the last query found no matching task.
    found_nothing: bool,
    is_exhausted: bool,
}

impl Partition {
    fn new(index: &'static str, key_name: &'static str, key_value: String) -> Self {
        Self {
            index,
            key_name,
            key_value,
            tasks: VecDeque::new(),
            start: None,
            page_size: 0,
            found_nothing: false,
            is_exhausted: false,
        }
    }

    /// Whether the partition must be read further to know its newest remaining task.
    fn needs_more(&self) -> bool {
        self.tasks.is_empty() && !self.is_exhausted
    }

    fn newest(&self) -> Option<ListPosition> {
        self.tasks.front().map(ListPosition::of)
    }

    /// The position of the last examined item; `None` before the first.
    fn examined_up_to(&self) -> Result<Option<ListPosition>, StoreError> {
        let Some(start) = &self.start else {
            return Ok(None);
        };
        let position = start
            .get(UPDATED_AT)
            .and_then(|position| position.as_s().ok());
        let position = position.map_or("", String::as_str);
        let position = read_index_position(position);
        let invalid = |error| corrupt(format!("task {}", id_of(start)), error);
        position.map(Some).map_err(invalid)
    }
}

/// The position down to which the merge is complete, if reading ended early; `None` if everything
/// was read. It is the newest position that some partition was not read beyond.
fn known_down_to(partitions: &[Partition]) -> Result<Option<ListPosition>, StoreError> {
    let unread = partitions.iter().filter(|partition| partition.needs_more());
    let mut positions = Vec::new();
    for partition in unread {
        positions.extend(partition.examined_up_to()?);
    }
    Ok(positions.into_iter().max())
}

/// The parts that all queries of a list share.
#[derive(Debug)]
struct Selection {
    filter: String,
    names: HashMap<String, String>,
    values: Item,
    /// The condition of the sort key.
    range: Option<&'static str>,
}

impl Selection {
    fn new(query: &TaskQuery, after: Option<&ListPosition>, now_seconds: i64) -> Self {
        let mut selection = Self {
            filter: format!("#{TTL} > :now"),
            names: HashMap::from([alias(TTL)]),
            values: Item::from([(":now".to_owned(), number(now_seconds))]),
            range: None,
        };
        if let Some(prefix) = &query.name_prefix {
            selection.filter += &format!(" AND begins_with(#{NAME_KEY}, :prefix)");
            selection.names.extend([alias(NAME_KEY)]);
            selection
                .values
                .insert(":prefix".to_owned(), text(name_key(prefix)));
        }
        // No id sorts after `~`, so this text sorts after every position within that millisecond.
        let since = query.updated_after.map(|after| format!("{after}#~"));
        selection.range = match (&since, after) {
            (None, None) => None,
            (Some(_), None) => Some("> :since"),
            (None, Some(_)) => Some("< :after"),
            // A sort key takes one condition, and BETWEEN includes both ends. Nothing has the first
            // position. The second was on the previous page, and `merge` drops it.
            (Some(_), Some(_)) => Some("BETWEEN :since AND :after"),
        };
        let positions = [(":since", since), (":after", after.map(index_position))];
        for (name, position) in positions {
            if let Some(position) = position {
                selection.values.insert(name.to_owned(), text(position));
            }
        }
        selection
    }

    /// Keeps items whose attribute is one of `wanted`; all items if `wanted` is empty.
    fn restrict(&mut self, name: &str, wanted: &[&'static str]) {
        if wanted.is_empty() {
            return;
        }
        let mut placeholders = Vec::new();
        for value in wanted {
            let placeholder = format!(":{value}");
            self.values.insert(placeholder.clone(), text(*value));
            placeholders.push(placeholder);
        }
        let placeholders = placeholders.join(", ");
        self.filter = format!("{} AND #{name} IN ({placeholders})", self.filter);
        self.names.extend([alias(name)]);
    }
}

/// Each value once, in a fixed order.
fn distinct<T: Copy + Ord>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// The partitions that hold all matching tasks, and the filters for the rest of the query.
fn plan(
    query: &TaskQuery,
    after: Option<&ListPosition>,
    index_shards: u32,
    now_seconds: i64,
) -> (Vec<Partition>, Selection) {
    let statuses = distinct(&query.statuses);
    let types = distinct(&query.task_types);
    let status_names: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    let type_names: Vec<_> = types.iter().map(|task_type| task_type.as_str()).collect();
    let mut selection = Selection::new(query, after, now_seconds);
    let partitions = if let Some(project_id) = &query.project_id {
        selection.restrict(STATUS, &status_names);
        selection.restrict(TASK_TYPE, &type_names);
        let project = project_id.as_str().to_owned();
        vec![Partition::new(PROJECT_INDEX, PROJECT_ID, project)]
    } else if statuses.is_empty() && !types.is_empty() {
        let of_type = |task_type: TaskType| {
            Partition::new(TYPE_INDEX, TASK_TYPE, task_type.as_str().to_owned())
        };
        types.into_iter().map(of_type).collect()
    } else {
        selection.restrict(TASK_TYPE, &type_names);
        let statuses = if statuses.is_empty() {
            TaskStatus::ALL.to_vec()
        } else {
            statuses
        };
        let shards_of = |status| {
            (0..index_shards.max(1)).map(move |shard| {
                Partition::new(STATUS_INDEX, STATUS_SHARD, status_shard(status, shard))
            })
        };
        statuses.into_iter().flat_map(shards_of).collect()
    };
    (partitions, selection)
}

impl DynamoDbTaskStore {
    /// Lists the newest `limit` tasks of `query` after the position `after`.
    pub(super) async fn merge(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        let now_seconds = self.now_seconds();
        if after.is_some_and(|after| query.updated_after >= Some(after.updated_at)) {
            return Ok(TaskPage::default()); // DynamoDB refuses an empty range
        }
        let (mut partitions, selection) = plan(query, after, self.index_shards, now_seconds);
        let mut budget = self.read_budget.max(1);
        let mut tasks = Vec::with_capacity(limit + 1);
        // A task that moves between partitions during the reads may be found twice. So may the task
        // at `after`.
        let mut seen: HashSet<_> = after
            .map(|after| after.run_id.clone())
            .into_iter()
            .collect();
        // One extra task shows that there is a next page.
        while tasks.len() <= limit {
            let missing = limit + 1 - tasks.len();
            while budget > 0 && partitions.iter().any(Partition::needs_more) {
                let examined = self.read_on(&mut partitions, &selection, missing).await?;
                budget = budget.saturating_sub(examined.max(1));
            }
            let bound = known_down_to(&partitions)?;
            let newest = partitions
                .iter_mut()
                .filter_map(|partition| Some((partition.newest()?, partition)))
                .max_by(|(one, _), (other, _)| one.cmp(other));
            let task = newest
                .filter(|(position, _)| bound.as_ref() < Some(position))
                .and_then(|(_, partition)| partition.tasks.pop_front());
            let Some(task) = task else {
                return Ok(TaskPage { tasks, next: bound });
            };
            if seen.insert(task.run_id()) {
                tasks.push(task);
            }
        }
        tasks.truncate(limit);
        let next = tasks.last().map(ListPosition::of);
        Ok(TaskPage { tasks, next })
    }

    /// Reads one more page of every partition whose newest remaining task is unknown. Returns the
    /// number of examined items.
    async fn read_on(
        &self,
        partitions: &mut [Partition],
        selection: &Selection,
        missing: usize,
    ) -> Result<usize, StoreError> {
        // If tasks are spread evenly, an equal share of each partition is usually enough. If not,
        // few partitions remain after a while, and their shares grow.
        let left = partitions.iter().filter(|one| !one.is_exhausted).count();
        let share = missing.div_ceil(left.max(1)) + 2;
        let unread = partitions.iter_mut().filter(|one| one.needs_more());
        let reads: Vec<_> = unread
            .map(|partition| {
                // If filters drop most items, larger pages save round trips.
                let page_size = match partition.found_nothing {
                    true => share.max(partition.page_size * 2),
                    false => share,
                };
                partition.page_size = page_size.min(MAX_PAGE_SIZE);
                self.read_page(partition, selection)
            })
            .collect();
        let reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
        let examined: Vec<usize> = reads.try_collect().await?;
        Ok(examined.into_iter().sum())
    }

    /// Reads one more page of a partition. Returns the number of examined items.
    async fn read_page(
        &self,
        partition: &mut Partition,
        selection: &Selection,
    ) -> Result<usize, StoreError> {
        let key_name = partition.key_name;
        let mut condition = format!("#{key_name} = :partition");
        let mut names = selection.names.clone();
        names.extend([alias(key_name)]);
        let mut values = selection.values.clone();
        let key_value = AttributeValue::S(partition.key_value.clone());
        values.insert(":partition".to_owned(), key_value);
        if let Some(range) = selection.range {
            condition = format!("{condition} AND #{UPDATED_AT} {range}");
            names.extend([alias(UPDATED_AT)]);
        }
        let request = self
            .client
            .query()
            .table_name(&self.tasks_table)
            .index_name(partition.index)
            .key_condition_expression(condition)
            .filter_expression(&selection.filter)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(false)
            .limit(i32::try_from(partition.page_size).unwrap_or(i32::MAX))
            .set_exclusive_start_key(partition.start.take());
        let page = request
            .send()
            .await
            .map_err(|error| store_error("listing tasks", error))?;
        for item in page.items.unwrap_or_default() {
            match head::read_task(&item) {
                Ok(task) => partition.tasks.push_back(task),
                // One damaged item must not fail all lists. Reading it by its id returns the error.
                Err(invalid) => error!(
                    task_id = id_of(&item),
                    error = error_chain(&invalid),
                    "an unreadable task is left out of a list"
                ),
            }
        }
        partition.found_nothing = partition.tasks.is_empty();
        partition.start = page.last_evaluated_key;
        partition.is_exhausted = partition.start.is_none();
        Ok(usize::try_from(page.scanned_count).unwrap_or(0))
    }
}
