//! Tasks and projects in DynamoDB.
//!
//! A task is written by one transaction, conditional on the revision that was read: its head, its ledger,
//! its history and the counters of its project change together or not at all. Reads by id are strongly
//! consistent; lists are merged from index partitions and no list scans the tasks.

mod error;
mod list;
mod projects;
mod save;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::future::try_join_all;
use tokio::time::sleep;

pub use self::projects::DynamoDbProjectStore;

pub(crate) use self::error::{corrupt, store_error};
use self::save::{backoff, put, refused, update, write_all};
use super::dynamodb_item::task::{
    FIRST_HISTORY_TIMESTAMP, Stamp, TASK_ID, TIMESTAMP, head_key, head_update, history_item, id_of,
    is_ledger, ledger_item, ledger_key, read_head, read_history, read_ledger, read_ledger_revision,
};
use super::dynamodb_item::{Item, TTL, alias, is_expired, number, project, text};
use super::{ListPosition, StoreError, TaskPage, TaskQuery, TaskRecord, TaskStore};
use crate::config::StoreConfig;
use crate::fold::Ledger;
use crate::model::{HistoryEntry, MetricsDelta, Task, TaskId, Timestamp};

/// How long an item lives after it was last written, in seconds: 90 days.
const LIFETIME_SECONDS: i64 = 90 * 24 * 60 * 60;
/// The most tasks in one BatchGetItem, which takes 100 keys: a head and a ledger each.
const TASKS_PER_BATCH: usize = 50;
/// How often what a BatchGetItem left out, or read while it was written, is read again.
const BATCH_RETRIES: usize = 6;

/// Tells what time it is.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The tasks table, and the counters in the projects table.
#[derive(Clone)]
pub struct DynamoDbTaskStore {
    client: Client,
    tasks_table: String,
    projects_table: String,
    index_shards: u32,
    read_budget: usize,
    clock: Clock,
}

impl fmt::Debug for DynamoDbTaskStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DynamoDbTaskStore")
            .field("tasks_table", &self.tasks_table)
            .field("projects_table", &self.projects_table)
            .field("index_shards", &self.index_shards)
            .finish_non_exhaustive()
    }
}

impl DynamoDbTaskStore {
    /// The store in the tables of `config`. Connects at the first call.
    pub fn new(client: Client, config: &StoreConfig) -> Self {
        Self {
            client,
            tasks_table: config.tasks_table.clone(),
            projects_table: config.projects_table.clone(),
            index_shards: config.index_shards,
            read_budget: list::READ_BUDGET,
            clock: Arc::new(Timestamp::now),
        }
    }

    /// Ends a page of a list early once this many items were looked at, instead of the number that keeps
    /// every request short.
    #[must_use]
    pub fn with_read_budget(self, read_budget: usize) -> Self {
        Self {
            read_budget,
            ..self
        }
    }

    /// Takes the time, which decides when items expire, from `clock`.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    fn now_seconds(&self) -> i64 {
        (self.clock)().as_millis() / 1000
    }

    async fn get_head(&self, task_id: &TaskId) -> Result<Option<Item>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.tasks_table)
            .set_key(Some(head_key(task_id)))
            .consistent_read(true);
        let response = request.send().await;
        let response = response.map_err(|error| store_error("reading a task", error))?;
        Ok(response.item)
    }

    /// All items with `keys` that there are; at most 100 keys.
    async fn get_batch(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        const OPERATION: &str = "reading tasks";
        let mut delays = backoff(BATCH_RETRIES);
        let mut items = Vec::with_capacity(keys.len());
        let mut keys = keys;
        loop {
            let keys_and_attributes = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build();
            let keys_and_attributes = keys_and_attributes.map_err(refused)?;
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.tasks_table, keys_and_attributes);
            let response = request.send().await;
            let response = response.map_err(|error| store_error(OPERATION, error))?;
            let found = response.responses.unwrap_or_default().into_values();
            items.extend(found.flatten());
            let left = response.unprocessed_keys.unwrap_or_default().into_values();
            keys = left.flat_map(|left| left.keys).collect();
            if keys.is_empty() {
                return Ok(items);
            }
            let Some(delay) = delays.next() else {
                return Err(StoreError::Unavailable {
                    operation: OPERATION,
                    source: "some keys were left unprocessed".into(),
                });
            };
            sleep(delay).await;
        }
    }

    /// The records of at most [`TASKS_PER_BATCH`] tasks.
    ///
    /// A batch is not read at one moment: a ledger may be older or newer than the head beside it. Heads
    /// name the revision whose ledger is theirs, so that such a pair is told, and read again.
    async fn get_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let mut records = Vec::with_capacity(task_ids.len());
        let mut torn: Vec<TaskId> = task_ids.to_vec();
        let mut delays = backoff(BATCH_RETRIES).peekable();
        while !torn.is_empty() {
            let is_last = delays.peek().is_none();
            let keys = torn.iter().flat_map(|id| [head_key(id), ledger_key(id)]);
            let items = self.get_batch(keys.collect()).await?;
            torn.clear();
            let (ledgers, heads): (Vec<Item>, Vec<Item>) = items.into_iter().partition(is_ledger);
            let ledgers: HashMap<String, Item> = ledgers
                .into_iter()
                .map(|ledger| (id_of(&ledger), ledger))
                .collect();
            for head in heads {
                if is_expired(&head, self.now_seconds()) {
                    continue;
                }
                let id = id_of(&head);
                let corrupt = |error| corrupt(format!("task {id}"), error);
                let task = read_head(&head).map_err(corrupt)?;
                let wanted = read_ledger_revision(&head).map_err(corrupt)?;
                let ledger = match (wanted, ledgers.get(&id)) {
                    (None, _) => Ledger::default(),
                    (Some(wanted), Some(ledger)) => match read_ledger(ledger).map_err(corrupt)? {
                        (revision, ledger) if revision == wanted => ledger,
                        _ => {
                            torn.push(task.task_id);
                            continue;
                        }
                    },
                    // It expired while the head, changed by others than logs, lives on.
                    (Some(_), None) if is_last => Ledger::default(),
                    (Some(_), None) => {
                        torn.push(task.task_id);
                        continue;
                    }
                };
                records.push(TaskRecord { task, ledger });
            }
            if torn.is_empty() {
                break;
            }
            let Some(delay) = delays.next() else {
                return Err(StoreError::Unavailable {
                    operation: "reading tasks",
                    source: "a task was written whenever it was read".into(),
                });
            };
            sleep(delay).await;
        }
        Ok(records)
    }
}

#[async_trait]
impl TaskStore for DynamoDbTaskStore {
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        let head = self.get_head(task_id).await?;
        let head = head.filter(|head| !is_expired(head, self.now_seconds()));
        let corrupt = |error| corrupt(format!("task {task_id}"), error);
        head.map(|head| read_head(&head).map_err(corrupt))
            .transpose()
    }

    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let mut task_ids = task_ids.to_vec();
        task_ids.sort_unstable();
        task_ids.dedup(); // DynamoDB refuses to read a key twice
        let batches = task_ids.chunks(TASKS_PER_BATCH);
        let records = try_join_all(batches.map(|batch| self.get_records(batch))).await?;
        Ok(records.into_iter().flatten().collect())
    }

    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        let now_seconds = self.now_seconds();
        let stamp = Stamp {
            now_seconds,
            ttl_seconds: now_seconds.saturating_add(LIFETIME_SECONDS),
        };
        let revision = previous.map(|previous| previous.revision);
        let head = head_update(revision, next, ledger.is_some(), self.index_shards, stamp);
        let head = head.map_err(refused)?;
        let mut items = vec![update(&self.tasks_table, head_key(&next.task_id), head)?];
        if let Some(ledger) = ledger {
            let ledger = ledger_item(next, ledger, stamp).map_err(refused)?;
            items.push(put(&self.tasks_table, ledger)?);
        }
        if let Some(entry) = HistoryEntry::of_change(previous, next) {
            let entry = history_item(&next.task_id, &entry, stamp);
            items.push(put(&self.tasks_table, entry)?);
        }
        for delta in MetricsDelta::of_change(previous, Some(next)) {
            let key = project::key(&delta.project_id);
            let counters = project::counters_update(&delta);
            items.push(update(&self.projects_table, key, counters)?);
        }
        write_all(&self.client, items, next).await
    }

    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        self.merge(query, after, limit).await
    }

    async fn history(
        &self,
        task_id: &TaskId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let first = after.map_or(FIRST_HISTORY_TIMESTAMP, |after| after.as_millis() + 1);
        let first = first.max(FIRST_HISTORY_TIMESTAMP);
        let last = until
            .unwrap_or(Timestamp::from_millis(i64::MAX))
            .as_millis();
        let mut entries = Vec::new();
        if last < first {
            return Ok(entries); // DynamoDB refuses an empty range
        }
        let mut start = None;
        while entries.len() < limit {
            let missing = limit - entries.len();
            let request = self
                .client
                .query()
                .table_name(&self.tasks_table)
                .consistent_read(true)
                .key_condition_expression(format!(
                    "#{TASK_ID} = :task AND #{TIMESTAMP} BETWEEN :first AND :last"
                ))
                .filter_expression(format!("#{TTL} > :now"))
                .set_expression_attribute_names(Some(HashMap::from(
                    [TASK_ID, TIMESTAMP, TTL].map(alias),
                )))
                .expression_attribute_values(":task", text(task_id.as_str()))
                .expression_attribute_values(":first", number(first))
                .expression_attribute_values(":last", number(last))
                .expression_attribute_values(":now", number(self.now_seconds()))
                .limit(i32::try_from(missing).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let response = request.send().await;
            let page = response.map_err(|error| store_error("reading a task's history", error))?;
            for item in page.items.unwrap_or_default() {
                let entry = read_history(&item);
                entries.push(entry.map_err(|error| corrupt(format!("task {task_id}"), error))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(entries)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // Reading one item, which need not be there, wants no right that the other reads don't want.
        let request = self
            .client
            .get_item()
            .table_name(&self.tasks_table)
            .set_key(Some(Item::from([
                (TASK_ID.to_owned(), text("ping")),
                (TIMESTAMP.to_owned(), number(0)),
            ])));
        let response = request.send().await;
        response
            .map(drop)
            .map_err(|error| store_error("a ping", error))
    }
}
