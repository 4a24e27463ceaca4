//! Tasks and projects in DynamoDB.
//!
//! One transaction writes a change of a task, on the condition of the heads that were read. Heads,
//! details, facts, history and counters change together or not at all. Reads by id are strongly
//! consistent. Lists merge index partitions and never scan the table.

mod change;
mod error;
mod expire;
mod history;
mod list;
mod log_tail;
mod named_ids;
mod projects;
mod read;
mod runs;
mod save;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;

pub use self::list::ReadBudget;
pub use self::projects::DynamoDbProjectStore;

use self::change::Transaction;
pub(crate) use self::error::{corrupt, store_error};
use self::save::{Unwritten, put_if, write_all};
use super::dynamodb_item::task::{HEAD_TIMESTAMP, TASK_ID, TIMESTAMP, head};
use super::dynamodb_item::{
    Item, duration_estimate, expiry_receipt, idempotency_record, is_expired, number, text,
};
use super::{IdempotencyRecord, StoreError, TaskPage, TaskQuery, TaskStore};
use crate::batch::named_ids::NamedIds;
use crate::config::StoreConfig;
use crate::log_tail::TailPart;
use crate::model::{HistoryEntry, MetricsDelta, RecordId, RunId, Task, TaskId, Timestamp};
use crate::record::{FactItems, Head, HeadState, TaskChange, TaskOrigin, TaskRecord};

/// The item of the head of `task`, without other items, for a table with `index_shards` shards.
/// Tests and benches fill tables with it.
///
/// # Errors
///
/// The task's metadata can't be written as JSON.
pub fn head_item(task: &Task, index_shards: u32) -> Result<Item, serde_json::Error> {
    let head = Head {
        task: task.clone(),
        state: HeadState::Live,
    };
    let now_seconds = i64::from(u32::MAX);
    head::item(
        &head,
        &FactItems::default(),
        false,
        index_shards,
        now_seconds,
    )
}

/// Returns the present time.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The tasks table, with the counters of tasks.
#[derive(Clone)]
pub struct DynamoDbTaskStore {
    client: Client,
    tasks_table: String,
    index_shards: u32,
    read_budget: ReadBudget,
    clock: Clock,
}

impl fmt::Debug for DynamoDbTaskStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DynamoDbTaskStore")
            .field("tasks_table", &self.tasks_table)
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
            index_shards: config.index_shards,
            read_budget: ReadBudget::default(),
            clock: Arc::new(Timestamp::now),
        }
    }

    /// Ends a page of a list once this much was read. The default keeps every request short.
    #[must_use]
    pub fn with_read_budget(self, read_budget: ReadBudget) -> Self {
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
}

#[async_trait]
impl TaskStore for DynamoDbTaskStore {
    async fn fetch(&self, id: &RecordId) -> Result<Option<Task>, StoreError> {
        self.read_run(id).await
    }

    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        self.read_records(task_ids).await
    }

    async fn save(&self, change: &TaskChange) -> Result<(), StoreError> {
        let Transaction { items, first_head } = self.transaction_of(change, None)?;
        let is_written = |stored: Option<&Item>| stored == Some(&first_head);
        let written = write_all(&self.client, items, is_written).await;
        written.map_err(|unwritten| unwritten.into_error(&change.task_id))?;
        self.purge_history(change).await
    }

    async fn create(
        &self,
        change: &TaskChange,
        record: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let item = idempotency_record::item(record);
        let is_absent = idempotency_record::is_absent(record);
        let item = put_if(&self.tasks_table, item, is_absent)?;
        let Transaction { items, first_head } = self.transaction_of(change, Some(item))?;
        let is_written = |stored: Option<&Item>| stored == Some(&first_head);
        let unmet = match write_all(&self.client, items, is_written).await {
            Ok(()) => return Ok(None),
            Err(Unwritten::Conditions(unmet)) => unmet,
            Err(unwritten) => return Err(unwritten.into_error(&change.task_id)),
        };
        let key = idempotency_record::key(&record.key);
        let is_record = |stored: &Item| {
            key.iter()
                .all(|(name, value)| stored.get(name) == Some(value))
        };
        let held = unmet.into_iter().filter_map(|unmet| unmet.stored);
        let Some(held) = held.into_iter().find(is_record) else {
            return Err(StoreError::Conflict(format!("task {}", change.task_id)));
        };
        let corrupt = |error| corrupt(format!("idempotency record {}", record.key), error);
        idempotency_record::read(&record.key, &held)
            .map(Some)
            .map_err(corrupt)
    }

    async fn named_ids(&self, origin: &TaskOrigin) -> Result<NamedIds, StoreError> {
        self.read_named_ids(origin).await
    }

    async fn save_named_ids(&self, origin: &TaskOrigin, ids: &NamedIds) -> Result<(), StoreError> {
        self.write_named_ids(origin, ids).await
    }

    async fn save_tail(
        &self,
        run_id: &RunId,
        part: &TailPart,
        kept_for: Duration,
    ) -> Result<(), StoreError> {
        self.write_tail(run_id, part, kept_for).await
    }

    async fn tail(&self, run_id: &RunId) -> Result<Vec<TailPart>, StoreError> {
        self.read_tail(run_id).await
    }

    async fn subtract_expired(&self, expired: &Task) -> Result<(), StoreError> {
        let receipt = expiry_receipt::item(expired, self.now_seconds());
        let mut items = vec![put_if(
            &self.tasks_table,
            receipt,
            expiry_receipt::is_absent(),
        )?];
        let deltas = MetricsDelta::between([expired], []);
        items.extend(self.items_of_metrics(&expired.task_id, &deltas)?);
        match write_all(&self.client, items, |_| false).await {
            // It was subtracted before.
            Ok(()) | Err(Unwritten::Conditions(_)) => Ok(()),
            Err(unwritten) => Err(unwritten.into_error(&expired.task_id)),
        }
    }

    async fn runs(
        &self,
        task_id: &TaskId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        self.read_runs(task_id, before, limit).await
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
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        self.merge(query, after, limit).await
    }

    async fn history(
        &self,
        run_id: &RunId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read_history(run_id, after, until, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // The item need not exist.
        let key = Item::from([
            (TASK_ID.to_owned(), text("ping")),
            (TIMESTAMP.to_owned(), number(HEAD_TIMESTAMP)),
        ]);
        let request = self.client.get_item().table_name(&self.tasks_table);
        let response = request.set_key(Some(key)).send().await;
        response.map_err(|error| store_error("a ping", error))?;
        Ok(())
    }
}
