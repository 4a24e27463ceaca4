//! The history of one task.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use tokio::time::sleep;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use super::save::{backoff, refused};
use crate::model::{HistoryEntry, TaskId, Timestamp};
use crate::store::StoreError;
use crate::store::dynamodb_item::task::{
    FIRST_HISTORY_TIMESTAMP, TASK_ID, TIMESTAMP, read_history,
};
use crate::store::dynamodb_item::{Item, TTL, alias, number, text};

/// The most items in one BatchWriteItem.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const ITEMS_PER_BATCH: usize = 25;
/// How often to repeat a BatchWriteItem for unprocessed items.
const BATCH_RETRIES: usize = 6;
const PURGE: &str = "deleting a task's history";

impl DynamoDbTaskStore {
    pub(super) async fn read_history(
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

    /// Deletes all history entries of a task.
    pub(super) async fn purge_history(&self, task_id: &TaskId) -> Result<(), StoreError> {
        let mut start = None;
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.tasks_table)
                .consistent_read(true)
                .key_condition_expression(format!("#{TASK_ID} = :task AND #{TIMESTAMP} >= :first"))
                .projection_expression(format!("#{TASK_ID}, #{TIMESTAMP}"))
                .set_expression_attribute_names(Some(HashMap::from(
                    [TASK_ID, TIMESTAMP].map(alias),
                )))
                .expression_attribute_values(":task", text(task_id.as_str()))
                .expression_attribute_values(":first", number(FIRST_HISTORY_TIMESTAMP))
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
