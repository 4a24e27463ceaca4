//! Reads of runs and of records. A query is no snapshot, so they are repeated until the items that
//! a head names are there.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;
use tracing::warn;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use super::save::{backoff, refused};
use crate::model::{RecordId, RunId, Task, TaskId, Timestamp};
use crate::record::{FactItems, Head, HeadState, TaskRecord};
use crate::store::StoreError;
use crate::store::dynamodb_item::task::detail::StoredDetail;
use crate::store::dynamodb_item::task::facts::StoredFacts;
use crate::store::dynamodb_item::task::head::StoredHead;
use crate::store::dynamodb_item::task::{
    DETAIL_TIMESTAMP, HEAD_TIMESTAMP, LOWEST_NAMED_TIMESTAMP, TASK_ID, TIMESTAMP, detail,
    earlier_timestamp, facts, head, id_of, is_head, key, timestamp_of,
};
use crate::store::dynamodb_item::{Item, ItemError, alias, number, text};

const OPERATION: &str = "reading a task";
/// The most keys in one BatchGetItem.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const KEYS_PER_BATCH: usize = 100;
/// How often to repeat a BatchGetItem for unprocessed keys, or a query of items that were written
/// meanwhile.
const RETRIES: usize = 6;
/// The number of records that are read at the same time.
const CONCURRENCY: usize = 8;

/// What a query of a task's items has found.
enum Reading<T> {
    /// The items belong together.
    Whole(T),
    /// Items that the head names are missing, or another writer was faster than the query. `lost` is
    /// what is left if they are missing for good.
    Torn { head: Box<StoredHead>, lost: Box<T> },
}

/// Reads all existing items with `keys`, strongly consistent: at most 100 keys, each once.
pub(super) async fn get_batch(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
    operation: &'static str,
) -> Result<Vec<Item>, StoreError> {
    let mut delays = backoff(RETRIES);
    let mut items = Vec::with_capacity(keys.len());
    let mut keys = keys;
    loop {
        let keys_and_attributes = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build();
        let keys_and_attributes = keys_and_attributes.map_err(refused)?;
        let request = client
            .batch_get_item()
            .request_items(table, keys_and_attributes);
        let response = request.send().await;
        let response = response.map_err(|error| store_error(operation, error))?;
        let found = response.responses.unwrap_or_default().into_values();
        items.extend(found.flatten());
        let left = response.unprocessed_keys.unwrap_or_default().into_values();
        keys = left.flat_map(|left| left.keys).collect();
        if keys.is_empty() {
            return Ok(items);
        }
        let Some(delay) = delays.next() else {
            return Err(StoreError::Unavailable {
                operation,
                source: "some keys were left unprocessed".into(),
            });
        };
        sleep(delay).await;
    }
}

/// Reads again until the items of a task belong together.
async fn read_whole<T, F>(task_id: &TaskId, mut read: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<Reading<T>, StoreError>>,
{
    let mut delays = backoff(RETRIES);
    let mut before = None;
    loop {
        let (head, lost) = match read().await? {
            Reading::Whole(whole) => return Ok(whole),
            Reading::Torn { head, lost } => (head, lost),
        };
        match delays.next() {
            Some(delay) => sleep(delay).await,
            // Nobody writes the task, so its items are lost. The head is not.
            None if before.as_ref() == Some(&head) => {
                warn!(%task_id, "items of a task are lost; it goes on from its head");
                return Ok(*lost);
            }
            None => {
                return Err(StoreError::Unavailable {
                    operation: OPERATION,
                    source: "the task was written during every attempt to read it".into(),
                });
            }
        }
        before = Some(head);
    }
}

impl DynamoDbTaskStore {
    /// Reads a run.
    pub(super) async fn read_run(&self, id: &RecordId) -> Result<Option<Task>, StoreError> {
        let RunId { task_id, run } = match id {
            RecordId::Newest(task_id) => return self.read_newest_run(task_id).await,
            RecordId::Run(run_id) => run_id,
        };
        let earlier_key = earlier_timestamp(*run);
        // Between the two reads, the run may become an earlier one.
        for _ in 0..2 {
            let earlier = self
                .read_run_at(task_id, earlier_key - 1, earlier_key)
                .await?;
            if let Some(earlier) = earlier.filter(|earlier| earlier.run == *run) {
                return Ok(Some(earlier));
            }
            match self.read_newest_run(task_id).await? {
                Some(newest) if newest.run == *run => return Ok(Some(newest)),
                Some(newest) if newest.run > *run => {}
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn read_newest_run(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.read_run_at(task_id, DETAIL_TIMESTAMP, HEAD_TIMESTAMP)
            .await
    }

    /// Reads the run whose detail and head have these sort keys; `None` if it does not exist.
    async fn read_run_at(
        &self,
        task_id: &TaskId,
        detail_key: i64,
        head_key: i64,
    ) -> Result<Option<Task>, StoreError> {
        let read = || self.read_run_once(task_id, detail_key, head_key);
        read_whole(task_id, read).await
    }

    async fn read_run_once(
        &self,
        task_id: &TaskId,
        detail_key: i64,
        head_key: i64,
    ) -> Result<Reading<Option<Task>>, StoreError> {
        let items = self
            .items_between(task_id.as_str(), detail_key, head_key)
            .await?;
        let stored = self.head_of(task_id, &items, head_key)?;
        let Some(stored) = stored.filter(|stored| stored.head.live().is_some()) else {
            return Ok(Reading::Whole(None));
        };
        let whole = with_detail(&stored, &items, detail_key);
        let whole = whole.map_err(|error| corrupt(format!("task {task_id}"), error))?;
        Ok(match whole {
            Some(whole) => Reading::Whole(Some(whole.task)),
            None => Reading::Torn {
                lost: Box::new(Some(stored.head.task.clone())),
                head: Box::new(stored),
            },
        })
    }

    /// Reads what writers need to know of these tasks.
    pub(super) async fn read_records(
        &self,
        task_ids: &[TaskId],
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let mut task_ids = task_ids.to_vec();
        task_ids.sort_unstable();
        task_ids.dedup(); // DynamoDB refuses to read a key twice
        let mut existing: Vec<TaskId> = Vec::new();
        for task_ids in task_ids.chunks(KEYS_PER_BATCH) {
            let keys = task_ids.iter().map(|id| key(id, HEAD_TIMESTAMP)).collect();
            let heads = get_batch(&self.client, &self.tasks_table, keys, OPERATION).await?;
            for head in heads {
                let id = id_of(&head);
                let task_id = id.parse();
                existing.push(task_id.map_err(|error| corrupt(format!("task {id}"), error))?);
            }
        }
        let reads: Vec<_> = existing.iter().map(|id| self.read_record(id)).collect();
        let records = stream::iter(reads).buffer_unordered(CONCURRENCY);
        let records: Vec<Option<TaskRecord>> = records.try_collect().await?;
        Ok(records.into_iter().flatten().collect())
    }

    async fn read_record(&self, task_id: &TaskId) -> Result<Option<TaskRecord>, StoreError> {
        read_whole(task_id, || self.read_record_once(task_id)).await
    }

    async fn read_record_once(
        &self,
        task_id: &TaskId,
    ) -> Result<Reading<Option<TaskRecord>>, StoreError> {
        let items = self
            .items_between(task_id.as_str(), LOWEST_NAMED_TIMESTAMP, HEAD_TIMESTAMP)
            .await?;
        let Some(stored) = self.head_of(task_id, &items, HEAD_TIMESTAMP)? else {
            return Ok(Reading::Whole(None));
        };
        if stored.head.state == HeadState::Expired {
            // The facts belong to a life that is over.
            let (head, items) = (stored.head, stored.items);
            let record = self.record_of(task_id, head, items, StoredFacts::default());
            return record.await.map(Some).map(Reading::Whole);
        }
        let corrupt = |error| corrupt(format!("task {task_id}"), error);
        let newest = with_detail(&stored, &items, DETAIL_TIMESTAMP).map_err(corrupt)?;
        let revision = stored.head.task.revision;
        let known = facts::read(&items, &stored.items, revision, self.now_seconds());
        if let (Some(newest), Some(known)) = (newest, known.map_err(corrupt)?) {
            let record = self.record_of(task_id, newest, stored.items, known).await?;
            return Ok(Reading::Whole(Some(record)));
        }
        let earlier = self.earlier_of(task_id, stored.items).await?;
        let left = TaskRecord::without_facts(stored.head.clone(), earlier, stored.items);
        Ok(Reading::Torn {
            lost: Box::new(Some(left)),
            head: Box::new(stored),
        })
    }

    /// The earlier runs that can still change.
    async fn earlier_of(
        &self,
        task_id: &TaskId,
        items: FactItems,
    ) -> Result<Vec<Head>, StoreError> {
        let mut earlier = Vec::new();
        if let Some(open_since) = items.open_since {
            // Runs that were merged into the newest one may have a later name.
            let first = earlier_timestamp(Timestamp::from_millis(i64::MAX));
            let last = earlier_timestamp(open_since);
            let stored = self.items_between(task_id.as_str(), first, last).await?;
            for item in stored.iter().filter(|item| is_head(item)) {
                let corrupt = |error| corrupt(format!("task {task_id}"), error);
                let stored_head = head::read(item, self.now_seconds()).map_err(corrupt)?;
                let detail_key = earlier_timestamp(stored_head.head.task.run) - 1;
                let whole = with_detail(&stored_head, &stored, detail_key).map_err(corrupt)?;
                // If another writer was faster than the query, the next write is a conflict.
                earlier.push(whole.unwrap_or(stored_head.head));
            }
            earlier.sort_by_key(|head| head.task.run);
        }
        Ok(earlier)
    }

    async fn record_of(
        &self,
        task_id: &TaskId,
        newest: Head,
        items: FactItems,
        facts: StoredFacts,
    ) -> Result<TaskRecord, StoreError> {
        let earlier = self.earlier_of(task_id, items).await?;
        Ok(TaskRecord {
            task_id: task_id.clone(),
            newest: Some(newest),
            earlier,
            facts: facts.log,
            segment_bytes: match facts.is_old {
                true => usize::MAX,
                false => facts.segment_bytes,
            },
            items,
        })
    }

    /// Reads an item of the tasks table.
    pub(super) async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.tasks_table)
            .set_key(Some(key))
            .consistent_read(true);
        let response = request.send().await;
        let response = response.map_err(|error| store_error(OPERATION, error))?;
        Ok(response.item)
    }

    /// A query of the items of a task with a sort key from `first` to `last`, in the order of keys.
    pub(super) fn query_between(
        &self,
        partition: &str,
        first: i64,
        last: i64,
    ) -> QueryFluentBuilder {
        let names = HashMap::from([TASK_ID, TIMESTAMP].map(alias));
        self.client
            .query()
            .table_name(&self.tasks_table)
            .consistent_read(true)
            .key_condition_expression(format!(
                "#{TASK_ID} = :task AND #{TIMESTAMP} BETWEEN :first AND :last"
            ))
            .set_expression_attribute_names(Some(names))
            .expression_attribute_values(":task", text(partition))
            .expression_attribute_values(":first", number(first))
            .expression_attribute_values(":last", number(last))
    }

    /// All items of a partition with a sort key from `first` to `last`.
    pub(super) async fn items_between(
        &self,
        partition: &str,
        first: i64,
        last: i64,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let query = self.query_between(partition, first, last);
            let page = query.set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| store_error(OPERATION, error))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// The head with this sort key.
    fn head_of(
        &self,
        task_id: &TaskId,
        items: &[Item],
        head_key: i64,
    ) -> Result<Option<StoredHead>, StoreError> {
        let head = item_at(items, head_key);
        let head = head.map(|item| head::read(item, self.now_seconds()));
        let head = head.transpose();
        head.map_err(|error| corrupt(format!("task {task_id}"), error))
    }
}

fn item_at(items: &[Item], timestamp: i64) -> Option<&Item> {
    let mut items = items.iter();
    items.find(|item| timestamp_of(item) == Some(timestamp))
}

/// The head with the detail that it names; `None` if it is not the one among `items`.
fn with_detail(
    stored: &StoredHead,
    items: &[Item],
    detail_key: i64,
) -> Result<Option<Head>, ItemError> {
    let Some(named) = stored.items.detail_revision else {
        return Ok(Some(stored.head.clone()));
    };
    let detail = item_at(items, detail_key).map(detail::read).transpose()?;
    let is_named =
        |detail: &StoredDetail| (detail.life, detail.revision) == (stored.items.life, named);
    Ok(detail.filter(is_named).map(|detail| {
        let mut head = stored.head.clone();
        head.task.parts = detail.parts;
        head.task.metadata = detail.metadata.or(head.task.metadata);
        if let Some(failure) = &mut head.task.failure {
            failure.context = detail.failure_context;
        }
        if let Some(agent) = &mut head.task.agent {
            agent.todos = detail.todos;
        }
        head
    }))
}
