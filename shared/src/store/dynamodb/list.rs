//! Lists of tasks: a merge of index partitions. Each partition is read only as far as the merge
//! needs, and all of them only as far as a budget allows.

use std::collections::{HashMap, HashSet, VecDeque};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures::{StreamExt, TryStreamExt, stream};
use tracing::error;

use super::DynamoDbTaskStore;
use super::error::store_error;
use crate::error::error_chain;
use crate::model::{RunId, Task, TaskStatus, Timestamp};
use crate::store::dynamodb_item::task::{
    LIST_INDEX, LIST_KEY, LIST_SHARD, PROJECT_ID, PROJECT_INDEX, SEARCH, STATUS, STATUS_INDEX,
    STATUS_SHARD, TASK_TYPE, UPDATED_AT, head, id_of, list_key, read_list_key, status_shard,
};
use crate::store::dynamodb_item::{Item, TTL, alias, number, text};
use crate::store::{StoreError, TaskPage, TaskQuery, lower_case};

/// The most partitions that are read at the same time.
const CONCURRENCY: usize = 32;
/// The most items that one query reads when filters drop most of them.
const MAX_PAGE_SIZE: usize = 1000;

/// What may be read for one page, however few tasks are found: both more than 0. The page ends when
/// either is spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReadBudget {
    /// The number of examined items. It bounds the round trips.
    pub items: usize,
    /// The number of read units. One is 8 KB of an index.
    pub units: f64,
}

impl Default for ReadBudget {
    /// 2000 items and 2 MB: enough for the largest page, in a few round trips.
    fn default() -> Self {
        Self {
            items: 2000,
            units: 250.0,
        }
    }
}

impl ReadBudget {
    fn is_spent(&self) -> bool {
        self.items == 0 || self.units <= 0.0
    }

    fn spend(&mut self, examined: &[Examined]) {
        for examined in examined {
            self.items = self.items.saturating_sub(examined.items.max(1));
            self.units -= examined.units;
        }
    }
}

/// What a query has read, with the items that its filter has dropped.
#[derive(Debug, Clone, Copy)]
struct Examined {
    items: usize,
    units: f64,
}

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
    /// How many matching tasks the last query found.
    found: usize,
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
            found: 0,
            is_exhausted: false,
        }
    }

    /// Whether the partition must be read further to know its newest remaining task.
    fn needs_more(&self) -> bool {
        self.tasks.is_empty() && !self.is_exhausted
    }

    fn newest(&self) -> Option<RunId> {
        self.tasks.front().map(Task::run_id)
    }

    /// The run of the last examined item; `None` before the first, or if its key is damaged.
    fn examined_up_to(&self) -> Option<RunId> {
        let start = self.start.as_ref()?;
        let key = start.get(LIST_KEY).and_then(|key| key.as_s().ok());
        match read_list_key(key.map_or("", String::as_str)) {
            Ok(run_id) => Some(run_id),
            Err(invalid) => {
                error!(
                    task_id = id_of(start),
                    error = error_chain(&invalid),
                    "the key of a task is damaged"
                );
                None
            }
        }
    }
}

/// The run down to which the merge is complete, if reading ended early; `None` if everything was
/// read. It is the newest run that some partition was not read beyond.
fn known_down_to(partitions: &[Partition]) -> Option<RunId> {
    let unread = partitions.iter().filter(|partition| partition.needs_more());
    unread.filter_map(Partition::examined_up_to).max()
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
    fn new(query: &TaskQuery, keys: &KeyRange, now_seconds: i64) -> Self {
        let mut selection = Self {
            filter: format!("#{TTL} > :now"),
            names: HashMap::from([alias(TTL)]),
            values: Item::from([(":now".to_owned(), number(now_seconds))]),
            range: keys.condition(),
        };
        let keys = [(":first", &keys.first), (":end", &keys.end)];
        for (placeholder, key) in keys {
            if let Some(key) = key {
                let value = text(key.as_str());
                selection.values.insert(placeholder.to_owned(), value);
            }
        }
        if let Some(wanted) = &query.text {
            let condition = format!("contains(#{SEARCH}, :text)");
            selection.also(SEARCH, &condition, ":text", lower_case(wanted));
        }
        if let Some(from) = query.updated.from {
            let condition = format!("#{UPDATED_AT} >= :updated_from");
            selection.also(UPDATED_AT, &condition, ":updated_from", from.to_string());
        }
        if let Some(to) = query.updated.to {
            let condition = format!("#{UPDATED_AT} < :updated_to");
            selection.also(UPDATED_AT, &condition, ":updated_to", to.to_string());
        }
        selection
    }

    /// Adds a condition of the attribute `name` to the filter.
    fn also(&mut self, name: &str, condition: &str, placeholder: &str, value: String) {
        self.filter += &format!(" AND {condition}");
        self.names.extend([alias(name)]);
        self.values.insert(placeholder.to_owned(), text(value));
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

/// The keys of the runs that a list may have.
#[derive(Debug)]
struct KeyRange {
    first: Option<String>,
    /// No matching run has this key: it is that of the run `after`, which `merge` drops, or has no
    /// task.
    end: Option<String>,
}

impl KeyRange {
    fn new(query: &TaskQuery, after: Option<&RunId>) -> Self {
        // A time sorts before the keys of all runs of that time.
        let key = |time: Timestamp| time.to_string();
        let ends = [query.begun.to.map(key), after.map(list_key)];
        Self {
            first: query.begun.from.map(key),
            end: ends.into_iter().flatten().min(),
        }
    }

    /// Whether no key is in the range. DynamoDB refuses such a range.
    fn is_empty(&self) -> bool {
        match (&self.first, &self.end) {
            (Some(first), Some(end)) => first > end,
            _ => false,
        }
    }

    /// The condition of the sort key. It takes one condition, and BETWEEN includes both ends.
    fn condition(&self) -> Option<&'static str> {
        match (&self.first, &self.end) {
            (None, None) => None,
            (Some(_), None) => Some(">= :first"),
            (None, Some(_)) => Some("< :end"),
            (Some(_), Some(_)) => Some("BETWEEN :first AND :end"),
        }
    }
}

/// A partition of the status index.
fn of_status(status: TaskStatus, shard: u32) -> Partition {
    Partition::new(STATUS_INDEX, STATUS_SHARD, status_shard(status, shard))
}

/// The partitions that hold all matching tasks, and the filters for the rest of the query.
fn plan(
    query: &TaskQuery,
    keys: &KeyRange,
    index_shards: u32,
    now_seconds: i64,
) -> (Vec<Partition>, Selection) {
    let statuses = distinct(&query.statuses);
    let types = distinct(&query.task_types);
    let status_names: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    let type_names: Vec<_> = types.iter().map(|task_type| task_type.as_str()).collect();
    let mut selection = Selection::new(query, keys, now_seconds);
    let partitions = if let Some(project_id) = &query.project_id {
        selection.restrict(STATUS, &status_names);
        selection.restrict(TASK_TYPE, &type_names);
        let project = project_id.as_str().to_owned();
        vec![Partition::new(PROJECT_INDEX, PROJECT_ID, project)]
    } else {
        selection.restrict(TASK_TYPE, &type_names);
        let shards = 0..index_shards.max(1);
        match statuses.is_empty() {
            true => shards
                .map(|shard| Partition::new(LIST_INDEX, LIST_SHARD, shard.to_string()))
                .collect(),
            false => statuses
                .into_iter()
                .flat_map(|status| shards.clone().map(move |shard| of_status(status, shard)))
                .collect(),
        }
    };
    (partitions, selection)
}

impl DynamoDbTaskStore {
    /// Lists the newest `limit` tasks of `query` after the run `after`.
    pub(super) async fn merge(
        &self,
        query: &TaskQuery,
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        let now_seconds = self.now_seconds();
        let keys = KeyRange::new(query, after);
        if keys.is_empty() {
            return Ok(TaskPage::default());
        }
        let (mut partitions, selection) = plan(query, &keys, self.index_shards, now_seconds);
        let mut budget = self.read_budget;
        let mut tasks = Vec::with_capacity(limit + 1);
        // A run that moves between partitions during the reads may be found twice. So may the run
        // `after`.
        let mut seen: HashSet<RunId> = after.cloned().into_iter().collect();
        // One extra task shows that there is a next page.
        while tasks.len() <= limit {
            let missing = limit + 1 - tasks.len();
            while !budget.is_spent() && partitions.iter().any(Partition::needs_more) {
                let most = budget.items;
                let read = self.read_on(&mut partitions, &selection, missing, most);
                budget.spend(&read.await?);
            }
            let bound = known_down_to(&partitions);
            let newest = partitions
                .iter_mut()
                .filter_map(|partition| Some((partition.newest()?, partition)))
                .max_by(|(one, _), (other, _)| one.cmp(other));
            let task = newest
                .filter(|(run_id, _)| bound.as_ref() < Some(run_id))
                .and_then(|(_, partition)| partition.tasks.pop_front());
            let Some(task) = task else {
                return Ok(TaskPage { tasks, next: bound });
            };
            if seen.insert(task.run_id()) {
                tasks.push(task);
            }
        }
        tasks.truncate(limit);
        let next = tasks.last().map(Task::run_id);
        Ok(TaskPage { tasks, next })
    }

    /// Reads one more page of every partition whose newest remaining task is unknown: about `most`
    /// items in all, so that a budget is exceeded by little.
    async fn read_on(
        &self,
        partitions: &mut [Partition],
        selection: &Selection,
        missing: usize,
        most: usize,
    ) -> Result<Vec<Examined>, StoreError> {
        // If tasks are spread evenly, an equal share of each partition is usually enough. If not,
        // few partitions remain after a while, and their shares grow.
        let left = partitions.iter().filter(|one| !one.is_exhausted).count();
        let share = missing.div_ceil(left.max(1)) + 2;
        let unread = partitions.iter().filter(|one| one.needs_more()).count();
        let most = most.div_ceil(unread.max(1)).clamp(1, MAX_PAGE_SIZE);
        let unread = partitions.iter_mut().filter(|one| one.needs_more());
        let reads: Vec<_> = unread
            .map(|partition| {
                // If filters drop items, larger pages save round trips.
                let page_size = match partition.found {
                    0 => share.max(partition.page_size * 2),
                    found => share.max(share * partition.page_size / found),
                };
                partition.page_size = page_size.min(most);
                self.read_page(partition, selection)
            })
            .collect();
        let reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
        reads.try_collect().await
    }

    /// Reads one more page of a partition.
    async fn read_page(
        &self,
        partition: &mut Partition,
        selection: &Selection,
    ) -> Result<Examined, StoreError> {
        let key_name = partition.key_name;
        let mut condition = format!("#{key_name} = :partition");
        let mut names = selection.names.clone();
        names.extend([alias(key_name)]);
        let mut values = selection.values.clone();
        let key_value = AttributeValue::S(partition.key_value.clone());
        values.insert(":partition".to_owned(), key_value);
        if let Some(range) = selection.range {
            condition = format!("{condition} AND #{LIST_KEY} {range}");
            names.extend([alias(LIST_KEY)]);
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
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
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
        partition.found = partition.tasks.len();
        partition.start = page.last_evaluated_key;
        partition.is_exhausted = partition.start.is_none();
        let consumed = page.consumed_capacity;
        Ok(Examined {
            items: usize::try_from(page.scanned_count).unwrap_or(0),
            units: consumed.and_then(|it| it.capacity_units).unwrap_or(0.0),
        })
    }
}
