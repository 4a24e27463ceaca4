//! Lists of tasks: a merge of index partitions, each of which is read no further than the merge needs.

use std::collections::{HashMap, HashSet, VecDeque};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt, stream};
use tracing::error;

use super::DynamoDbTaskStore;
use super::error::store_error;
use crate::error::error_chain;
use crate::model::{Task, TaskStatus, TaskType};
use crate::store::dynamodb_item::task::{
    PROJECT_ID, PROJECT_INDEX, STATUS, STATUS_INDEX, STATUS_SHARD, TASK_TYPE, TYPE_INDEX,
    UPDATED_AT, id_of, index_position, read_head, status_shard,
};
use crate::store::dynamodb_item::{Item, TTL, alias, number, text};
use crate::store::{ListPosition, StoreError, TaskQuery};

/// How many partitions are asked at a time.
const CONCURRENCY: usize = 32;
/// The most items that one query reads, where most are filtered out.
const MAX_PAGE_SIZE: usize = 1000;

/// A partition of an index, newest first.
#[derive(Debug)]
struct Partition {
    index: &'static str,
    key_name: &'static str,
    key_value: String,
    /// Read, and not yet taken.
    tasks: VecDeque<Task>,
    /// Where the next query starts.
    start: Option<Item>,
    page_size: usize,
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
            page_size: 1,
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
}

/// What every query of a list has in common.
#[derive(Debug)]
struct Selection {
    filter: String,
    names: HashMap<String, String>,
    values: Item,
    after: Option<String>,
}

impl Selection {
    fn new(after: Option<&ListPosition>, now_seconds: i64) -> Self {
        Self {
            filter: format!("#{TTL} > :now"),
            names: HashMap::from([alias(TTL)]),
            values: Item::from([(":now".to_owned(), number(now_seconds))]),
            after: after.map(index_position),
        }
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
    let mut selection = Selection::new(after, now_seconds);
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
    ) -> Result<Vec<Task>, StoreError> {
        let now_seconds = self.now_seconds();
        let (mut partitions, selection) = plan(query, after, self.index_shards, now_seconds);
        // A first page of each is likely enough where tasks are spread evenly; where they are not, the
        // second one of the partition that has them brings all the rest.
        let first_page_size = limit.div_ceil(partitions.len().max(1)) + 2;
        for partition in &mut partitions {
            partition.page_size = first_page_size;
        }
        let mut tasks = Vec::with_capacity(limit);
        // A task that moves between partitions while they are read may be found in both.
        let mut seen = HashSet::new();
        while tasks.len() < limit {
            let missing = limit - tasks.len();
            self.refill(&mut partitions, &selection, missing).await?;
            let newest = partitions
                .iter_mut()
                .filter_map(|partition| Some((partition.newest()?, partition)))
                .max_by(|(one, _), (other, _)| one.cmp(other));
            let Some(task) = newest.and_then(|(_, partition)| partition.tasks.pop_front()) else {
                break;
            };
            if seen.insert(task.task_id.clone()) {
                tasks.push(task);
            }
        }
        Ok(tasks)
    }

    /// Reads on in every partition whose newest task isn't known.
    async fn refill(
        &self,
        partitions: &mut [Partition],
        selection: &Selection,
        missing: usize,
    ) -> Result<(), StoreError> {
        let empty = partitions.iter_mut().filter(|one| one.needs_more());
        let reads: Vec<_> = empty
            .map(|partition| self.read_on(partition, selection, missing))
            .collect();
        if reads.is_empty() {
            return Ok(());
        }
        let reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
        reads.try_collect::<()>().await
    }

    /// Reads on in a partition until there is a task, or no more.
    async fn read_on(
        &self,
        partition: &mut Partition,
        selection: &Selection,
        missing: usize,
    ) -> Result<(), StoreError> {
        while partition.needs_more() {
            self.read_page(partition, selection).await?;
            // Where filters leave little, larger pages save round trips.
            let next = missing.max(partition.page_size * 2);
            partition.page_size = next.min(MAX_PAGE_SIZE);
        }
        Ok(())
    }

    async fn read_page(
        &self,
        partition: &mut Partition,
        selection: &Selection,
    ) -> Result<(), StoreError> {
        let key_name = partition.key_name;
        let mut condition = format!("#{key_name} = :partition");
        let mut names = selection.names.clone();
        names.extend([alias(key_name)]);
        let mut values = selection.values.clone();
        let key_value = AttributeValue::S(partition.key_value.clone());
        values.insert(":partition".to_owned(), key_value);
        if let Some(after) = &selection.after {
            condition = format!("{condition} AND #{UPDATED_AT} < :after");
            names.extend([alias(UPDATED_AT)]);
            values.insert(":after".to_owned(), text(after.as_str()));
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
        partition.start = page.last_evaluated_key;
        partition.is_exhausted = partition.start.is_none();
        Ok(())
    }
}
