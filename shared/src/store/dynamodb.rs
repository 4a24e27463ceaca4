//! Tasks and projects in DynamoDB.
//!
//! One transaction writes a task, on the condition of the revision that was read. Its head, its
//! ledger, its history and the counters of its project change together or not at all. Reads by id
//! are strongly consistent. Lists merge index partitions and never scan the table.

mod error;
mod history;
mod list;
mod projects;
mod save;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{KeysAndAttributes, TransactWriteItem};
use futures::future::try_join_all;
use tokio::time::sleep;

pub use self::projects::DynamoDbProjectStore;

pub(crate) use self::error::{corrupt, store_error};
use self::save::{Unwritten, backoff, put, put_if, refused, update, write_all};
use super::dynamodb_item::task::{
    Expected, Stamp, TASK_ID, TIMESTAMP, head_key, head_update, history_item, id_of, is_ledger,
    is_previous, is_tombstone, is_tombstone_of, ledger_item, ledger_key, read_head, read_ledger,
    read_ledger_revision, tombstone,
};
use super::dynamodb_item::{
    Item, duration_estimate, idempotency_record, is_expired, number, project, text,
};
use super::{
    IdempotencyRecord, ListPosition, StoreError, TaskPage, TaskQuery, TaskRecord, TaskStore,
    duration_estimate_after,
};
use crate::config::StoreConfig;
use crate::fold::Ledger;
use crate::model::{HistoryEntry, MetricsDelta, Task, TaskId, Timestamp};

/// How long an item lives after its last write, in seconds: 90 days.
const LIFETIME_SECONDS: i64 = 90 * 24 * 60 * 60;
/// The most tasks in one BatchGetItem, which takes 100 keys: a head and a ledger for each task.
const TASKS_PER_BATCH: usize = 50;
/// How often to repeat a BatchGetItem for unprocessed keys, or for tasks that were written
/// meanwhile.
const BATCH_RETRIES: usize = 6;

/// The item of a task's head, without a ledger, for a table with `index_shards` shards. Tests and
/// benches fill tables with it.
///
/// # Errors
///
/// The task's metadata can't be written as JSON.
pub fn head_item(task: &Task, index_shards: u32) -> Result<Item, serde_json::Error> {
    let stamp = Stamp {
        now_seconds: 0,
        ttl_seconds: i64::from(u32::MAX),
    };
    super::dynamodb_item::task::head(task, index_shards, stamp)
}

/// Returns the present time.
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
    /// Creates the store in the tables of `config`. It connects at the first call.
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

    /// Ends a page of a list once this many items were examined. The default keeps every request
    /// short.
    #[must_use]
    pub fn with_read_budget(self, read_budget: usize) -> Self {
        Self {
            read_budget,
            ..self
        }
    }

    /// Takes the time from `clock`. It decides when items expire.
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

    fn stamp(&self) -> Stamp {
        let now_seconds = self.now_seconds();
        Stamp {
            now_seconds,
            ttl_seconds: now_seconds.saturating_add(LIFETIME_SECONDS),
        }
    }

    /// All items of the transaction that writes `next` over `previous`. The head comes first.
    fn items_of_save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let (table, stamp) = (&self.tasks_table, self.stamp());
        let expected = match (previous, ledger) {
            (Some(previous), _) => Expected::Task(previous.revision),
            (None, None) => Expected::NoTask,
            (None, Some(ledger)) => Expected::Deletion(ledger.deleted_revision()),
        };
        let head = head_update(expected, next, ledger.is_some(), self.index_shards, stamp);
        let head = head.map_err(refused)?;
        let mut items = vec![update(table, head_key(&next.task_id), head)?];
        if let Some(ledger) = ledger {
            let ledger = ledger_item(&next.task_id, next.revision, ledger, stamp);
            items.push(put(table, ledger.map_err(refused)?)?);
        }
        if let Some(entry) = HistoryEntry::of_change(previous, next) {
            let entry = history_item(&next.task_id, &entry, stamp);
            items.push(put(table, entry)?);
        }
        if let Some(usual_ms) = duration_estimate_after(previous, next) {
            let estimate = duration_estimate::item(next, usual_ms, stamp.ttl_seconds);
            items.push(put(table, estimate)?);
        }
        items.extend(self.items_of_metrics(previous, Some(next))?);
        Ok(items)
    }

    fn items_of_metrics(
        &self,
        previous: Option<&Task>,
        next: Option<&Task>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let deltas = MetricsDelta::of_change(previous, next).into_iter();
        let updates = deltas.map(|delta| {
            let key = project::key(&delta.project_id);
            update(&self.projects_table, key, project::counters_update(&delta))
        });
        updates.collect()
    }

    async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.tasks_table)
            .set_key(Some(key))
            .consistent_read(true);
        let response = request.send().await;
        let response = response.map_err(|error| store_error("reading a task", error))?;
        Ok(response.item)
    }

    /// Reads all existing items with `keys`: at most 100 keys.
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

    /// Reads the records of at most [`TASKS_PER_BATCH`] tasks.
    ///
    /// A BatchGetItem is no snapshot: a ledger may be older or newer than its head. A head names
    /// the revision of its ledger. If the two differ, the task is read again.
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
                let task_id: TaskId = id.parse().map_err(|error| StoreError::Corrupt {
                    id: format!("task {id}"),
                    source: Box::new(error),
                })?;
                let task = match is_tombstone(&head) {
                    true => None,
                    false => Some(read_head(&head).map_err(corrupt)?),
                };
                let wanted = read_ledger_revision(&head).map_err(corrupt)?;
                let ledger = match (wanted, ledgers.get(&id)) {
                    (None, _) => Ledger::default(),
                    (Some(wanted), Some(ledger)) => match read_ledger(ledger).map_err(corrupt)? {
                        (revision, ledger) if revision == wanted => ledger,
                        _ => {
                            torn.push(task_id);
                            continue;
                        }
                    },
                    // The ledger has expired. The head lives on, because callers changed it and no
                    // logs did.
                    (Some(_), None) if is_last && task.is_some() => Ledger::default(),
                    // A tombstone always comes with a ledger. If the ledger is missing, writers
                    // must still know the deletion.
                    (Some(tombstone), None) if is_last => Ledger::of_tombstone(tombstone),
                    (Some(_), None) => {
                        torn.push(task_id);
                        continue;
                    }
                };
                records.push(TaskRecord {
                    task_id,
                    task,
                    ledger,
                });
            }
            if torn.is_empty() {
                break;
            }
            let Some(delay) = delays.next() else {
                return Err(StoreError::Unavailable {
                    operation: "reading tasks",
                    source: "a task was written during every attempt to read it".into(),
                });
            };
            sleep(delay).await;
        }
        Ok(records)
    }
}

/// Whether a stored head is the head of `task`.
fn is_head_of(stored: Option<&Item>, task: &Task) -> bool {
    let stored = stored.map(read_head);
    stored.is_some_and(|stored| stored.is_ok_and(|stored| stored == *task))
}

#[async_trait]
impl TaskStore for DynamoDbTaskStore {
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        let head = self.get(head_key(task_id)).await?;
        let head = head.filter(|head| !is_expired(head, self.now_seconds()) && !is_tombstone(head));
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
        let items = self.items_of_save(previous, next, ledger)?;
        let written = write_all(&self.client, items, |stored| is_head_of(stored, next)).await;
        written.map_err(|unwritten| unwritten.into_error(&next.task_id))
    }

    async fn create(
        &self,
        task: &Task,
        record: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let mut items = self.items_of_save(None, task, None)?;
        let record_index = items.len();
        let item = idempotency_record::item(record);
        items.push(put_if(
            &self.tasks_table,
            item,
            idempotency_record::is_absent(record),
        )?);
        let written = write_all(&self.client, items, |stored| is_head_of(stored, task)).await;
        let unmet = match written {
            Ok(()) => return Ok(None),
            Err(Unwritten::Conditions(unmet)) => unmet,
            Err(unwritten) => return Err(unwritten.into_error(&task.task_id)),
        };
        let mut unmet = unmet.into_iter();
        let Some(held) = unmet.find(|unmet| unmet.index == record_index) else {
            return Err(StoreError::Conflict(format!("task {}", task.task_id)));
        };
        let held = match held.stored {
            Some(held) => held,
            None => self
                .get(idempotency_record::key(&record.key))
                .await?
                .unwrap_or_default(),
        };
        let corrupt = |error| corrupt(format!("idempotency record {}", record.key), error);
        idempotency_record::read(&record.key, &held)
            .map(Some)
            .map_err(corrupt)
    }

    async fn delete(&self, previous: &Task, ledger: &Ledger) -> Result<(), StoreError> {
        let (table, task_id) = (&self.tasks_table, &previous.task_id);
        let stamp = self.stamp();
        let revision = previous.revision.next();
        let tombstone = tombstone(task_id, revision, stamp);
        let ledger = ledger_item(task_id, revision, ledger, stamp);
        let mut items = vec![
            put_if(table, tombstone, is_previous(previous.revision))?,
            put(table, ledger.map_err(refused)?)?,
        ];
        items.extend(self.items_of_metrics(Some(previous), None)?);
        let is_deleted = |stored: Option<&Item>| stored.is_none_or(is_tombstone);
        let written = write_all(&self.client, items, is_deleted).await;
        written.map_err(|unwritten| unwritten.into_error(task_id))?;
        self.purge_history(task_id).await
    }

    async fn save_deleted(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError> {
        let (table, stamp) = (&self.tasks_table, self.stamp());
        let Some(deleted) = ledger.deleted_revision() else {
            return Err(StoreError::Conflict(format!("task {task_id}")));
        };
        let mut ledger = ledger.clone();
        ledger.count_deletion();
        let revision = deleted.next().next();
        let next = tombstone(task_id, revision, stamp);
        let ledger = ledger_item(task_id, revision, &ledger, stamp);
        let is_next = next.clone();
        let items = vec![
            put_if(table, next, is_tombstone_of(deleted.next()))?,
            put(table, ledger.map_err(refused)?)?,
        ];
        let written = write_all(&self.client, items, |stored| stored == Some(&is_next)).await;
        written.map_err(|unwritten| unwritten.into_error(task_id))
    }

    async fn usual_duration_ms(&self, task: &Task) -> Result<Option<u64>, StoreError> {
        let item = self.get(duration_estimate::key(task)).await?;
        let item = item.filter(|item| !is_expired(item, self.now_seconds()));
        let corrupt = |error| {
            corrupt(
                format!("the duration estimate of {}", task.task_name),
                error,
            )
        };
        item.map(|item| duration_estimate::read(&item).map_err(corrupt))
            .transpose()
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
        self.read_history(task_id, after, until, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // A GetItem needs no permission beyond those of the other reads. The item need not exist.
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
