//! Lists of tasks: a merge of index partitions, each of which is read no further than the merge needs, and
//! all of them no further than a budget allows.

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
    UPDATED_AT, id_of, index_position, read_head, read_index_position, status_shard,
};
use crate::store::dynamodb_item::{Item, TTL, alias, number, text};
use crate::store::{ListPosition, StoreError, TaskPage, TaskQuery, name_key};

/// How many partitions are asked at a time.
const CONCURRENCY: usize = 32;
/// The most items that one query reads, where most are filtered out.
const MAX_PAGE_SIZE: usize = 1000;
/// After how many items looked at a page ends, however few were found: some 250 read units, and a few
/// round trips.
pub(super) const READ_BUDGET: usize = 2000;

/// A partition of an index, newest first.
#[derive(Debug)]
struct Partition {
    index: &'static str,
    key_name: &'static str,
    key_value: String,
    /// Read, and not yet taken.
    tasks: VecDeque<Task>,
    /// Where the next query starts: at the last item that was looked at.
    start: Option<Item>,
    /// How many items the last query looked at, at most.
    page_size: usize,
    /// Whether it has found none of the tasks asked for.
    was_fruitless: bool,
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
            was_fruitless: false,
            is_exhausted: false,
        }
    }

    /// Whether nothing can be said of this partition's newest task before more of it is read.
    fn needs_more(&self) -> bool {
        self.tasks.is_empty() && !self.is_exhausted
    }

    fn newest(&self) -> Option<ListPosition> {
        self.tasks.front().map(ListPosition::of)
    }

    /// The position of the last item that was looked at; `None` before the first.
    fn looked_up_to(&self) -> Result<Option<ListPosition>, StoreError> {
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

/// Down to which position nothing can have been missed, where reading ended early: the first that one of
/// the partitions was not read beyond. `None` if all was read.
fn known_down_to(partitions: &[Partition]) -> Result<Option<ListPosition>, StoreError> {
    let unread = partitions.iter().filter(|partition| partition.needs_more());
    let mut positions = Vec::new();
    for partition in unread {
        positions.extend(partition.looked_up_to()?);
    }
    Ok(positions.into_iter().max())
}

/// What every query of a list has in common.
#[derive(Debug)]
struct Selection {
    filter: String,
    names: HashMap<String, String>,
    values: Item,
    /// What the sort key must be.
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
        // No id sorts after `~`, and no position of a millisecond after that one's.
        let since = query.updated_after.map(|after| format!("{after}#~"));
        selection.range = match (&since, after) {
            (None, None) => None,
            (Some(_), None) => Some("> :since"),
            (None, Some(_)) => Some("< :after"),
            // A key takes one condition, and both of this one's ends belong to it: nothing stands at
            // the first, and what stands at the second was on the page before.
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

    /// Keeps those whose attribute is one of `wanted`; all, if there are none.
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

/// Each once, in a fixed order.
fn distinct<T: Copy + Ord>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// The partitions that hold all tasks asked for, and what must be filtered from them.
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
    /// The newest `limit` tasks that `query` asks for, after `after`.
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
        // A task that moves between partitions while they are read may be found in both; the one that the
        // list goes on after may be found again.
        let mut seen: HashSet<_> = after
            .map(|after| after.task_id.clone())
            .into_iter()
            .collect();
        // One more than wanted tells whether there is a next page.
        while tasks.len() <= limit {
            let missing = limit + 1 - tasks.len();
            while budget > 0 && partitions.iter().any(Partition::needs_more) {
                let looked_at = self.read_on(&mut partitions, &selection, missing).await?;
                budget = budget.saturating_sub(looked_at.max(1));
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
            if seen.insert(task.task_id.clone()) {
                tasks.push(task);
            }
        }
        tasks.truncate(limit);
        let next = tasks.last().map(ListPosition::of);
        Ok(TaskPage { tasks, next })
    }

    /// Reads a page more of every partition whose newest task isn't known. Returns how many items were
    /// looked at.
    async fn read_on(
        &self,
        partitions: &mut [Partition],
        selection: &Selection,
        missing: usize,
    ) -> Result<usize, StoreError> {
        // Its share of each is likely enough where tasks are spread evenly; where they are not, few partitions
        // are left to share soon.
        let left = partitions.iter().filter(|one| !one.is_exhausted).count();
        let share = missing.div_ceil(left.max(1)) + 2;
        let unread = partitions.iter_mut().filter(|one| one.needs_more());
        let reads: Vec<_> = unread
            .map(|partition| {
                // Where filters leave little, larger pages save round trips.
                let page_size = match partition.was_fruitless {
                    true => share.max(partition.page_size * 2),
                    false => share,
                };
                partition.page_size = page_size.min(MAX_PAGE_SIZE);
                self.read_page(partition, selection)
            })
            .collect();
        let reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
        let looked_at: Vec<usize> = reads.try_collect().await?;
        Ok(looked_at.into_iter().sum())
    }

    /// Returns how many items were looked at.
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
            match read_head(&item) {
                Ok(task) => partition.tasks.push_back(task),
                // One bad item must not take all lists down. Reading it by its id tells the same.
                Err(invalid) => error!(
                    task_id = id_of(&item),
                    error = error_chain(&invalid),
                    "a task that can't be read is left out of a list"
                ),
            }
        }
        partition.was_fruitless = partition.tasks.is_empty();
        partition.start = page.last_evaluated_key;
        partition.is_exhausted = partition.start.is_none();
        Ok(usize::try_from(page.scanned_count).unwrap_or(0))
    }
}
