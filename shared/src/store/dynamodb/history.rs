//! The history of runs.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use tokio::time::sleep;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use super::save::{backoff, refused};
use crate::model::{HistoryEntry, RunId, Task, Timestamp};
use crate::record::{HeadState, TaskChange};
use crate::store::StoreError;
use crate::store::dynamodb_item::task::{
    FIRST_HISTORY_TIMESTAMP, RUN, TASK_ID, TIMESTAMP, history,
};
use crate::store::dynamodb_item::{Item, TTL, alias, number, text};

/// The most items in one BatchWriteItem.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const ITEMS_PER_BATCH: usize = 25;
/// How often to repeat a BatchWriteItem for unprocessed items.
const BATCH_RETRIES: usize = 6;
/// The fewest items that a query examines. Those of other runs are left out afterwards.
const LEAST_PAGE_SIZE: usize = 50;
const PURGE: &str = "deleting a run's history";

/// The lowest sort key of the history of a run. Runs that begin in one millisecond are named up to a
/// second later.
fn first_timestamp(run: Timestamp) -> i64 {
    (run.as_millis() - 1000).max(FIRST_HISTORY_TIMESTAMP)
}

impl DynamoDbTaskStore {
    pub(super) async fn read_history(
        &self,
        run_id: &RunId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let RunId { task_id, run } = run_id;
        let first = after.map_or(FIRST_HISTORY_TIMESTAMP, |after| after.as_millis() + 1);
        let first = first.max(first_timestamp(*run));
        let last = until
            .unwrap_or(Timestamp::from_millis(i64::MAX))
            .as_millis();
        let mut entries = Vec::new();
        let mut start = None;
        // DynamoDB refuses an empty range.
        while entries.len() < limit && first <= last {
            let missing = limit - entries.len();
            let page_size = missing.max(LEAST_PAGE_SIZE);
            let names = [TASK_ID, TIMESTAMP, RUN, TTL].map(alias);
            let request = self
                .query_between(task_id.as_str(), first, last)
                .filter_expression(format!("#{RUN} = :run AND #{TTL} > :now"))
                .set_expression_attribute_names(Some(HashMap::from(names)))
                .expression_attribute_values(":run", text(run.to_string()))
                .expression_attribute_values(":now", number(self.now_seconds()))
                .limit(i32::try_from(page_size).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let response = request.send().await;
            let page = response.map_err(|error| store_error("reading a run's history", error))?;
            for item in page.items.unwrap_or_default() {
                let entry = history::read(&item);
                entries.push(entry.map_err(|error| corrupt(format!("task {task_id}"), error))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        entries.truncate(limit);
        Ok(entries)
    }

    /// Deletes the history of the runs that `change` deletes.
    pub(super) async fn purge_history(&self, change: &TaskChange) -> Result<(), StoreError> {
        for head in &change.heads {
            let was_live = head.previous.as_ref().and_then(|previous| previous.live());
            if let Some(deleted) = was_live.filter(|_| head.next.state == HeadState::Deleted) {
                self.purge_history_of(deleted).await?;
            }
        }
        Ok(())
    }

    async fn purge_history_of(&self, run: &Task) -> Result<(), StoreError> {
        let first = first_timestamp(run.run);
        // Of two entries in one millisecond, one is later than the change.
        let last = first_timestamp(run.updated_at)
            .saturating_add(2000)
            .max(first);
        let mut start = None;
        loop {
            let names = [TASK_ID, TIMESTAMP, RUN].map(alias);
            let request = self
                .query_between(run.task_id.as_str(), first, last)
                .filter_expression(format!("#{RUN} = :run"))
                .projection_expression(format!("#{TASK_ID}, #{TIMESTAMP}"))
                .set_expression_attribute_names(Some(HashMap::from(names)))
                .expression_attribute_values(":run", text(run.run.to_string()))
                .set_exclusive_start_key(start);
            let page = request.send().await;
            let page = page.map_err(|error| store_error(PURGE, error))?;
            let keys = page.items.unwrap_or_default();
            for batch in keys.chunks(ITEMS_PER_BATCH) {
                self.delete_items(batch).await?;
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete_items(&self, keys: &[Item]) -> Result<(), StoreError> {
        let deletion = |key: &Item| {
            let request = DeleteRequest::builder().set_key(Some(key.clone())).build();
            request.map(|request| WriteRequest::builder().delete_request(request).build())
        };
        let requests: Result<Vec<_>, _> = keys.iter().map(deletion).collect();
        let mut requests = requests.map_err(refused)?;
        let mut delays = backoff(BATCH_RETRIES);
        loop {
            let batch = self.client.batch_write_item();
            let response = batch
                .request_items(&self.tasks_table, requests)
                .send()
                .await;
            let response = response.map_err(|error| store_error(PURGE, error))?;
            let left = response.unprocessed_items.unwrap_or_default();
            requests = left.into_values().flatten().collect();
            if requests.is_empty() {
                return Ok(());
            }
            let Some(delay) = delays.next() else {
                return Err(StoreError::Unavailable {
                    operation: PURGE,
                    source: "some items were left unprocessed".into(),
                });
            };
            sleep(delay).await;
        }
    }
}
