//! Removal of expired items, where DynamoDB does not remove them itself: an embedded one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use tracing::warn;

use super::DynamoDbTaskStore;
use super::error::store_error;
use super::save::{Unwritten, refused, write_all};
use crate::error::error_chain;
use crate::model::MetricsDelta;
use crate::store::StoreError;
use crate::store::dynamodb_item::task::{TASK_ID, TIMESTAMP, head, id_of};
use crate::store::dynamodb_item::{Item, TTL, alias, number};

const OPERATION: &str = "removing expired items";

impl DynamoDbTaskStore {
    /// Removes all expired items, and takes expired runs out of the metrics. It reads the whole
    /// table. Returns the number of removed items.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. Another call goes on.
    pub async fn remove_expired(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut start = None;
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.tasks_table)
                .filter_expression(format!("#{TTL} <= :now"))
                .set_expression_attribute_names(Some(HashMap::from([alias(TTL)])))
                .expression_attribute_values(":now", number(self.now_seconds()))
                .set_exclusive_start_key(start);
            let response = request.send().await;
            let page = response.map_err(|error| store_error(OPERATION, error))?;
            for item in page.items.unwrap_or_default() {
                removed += u64::from(self.remove(&item).await?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(removed);
            }
        }
    }

    /// Removes an item that has expired, and takes it out of the metrics if it is a run. Returns
    /// `false` if it was written meanwhile.
    async fn remove(&self, item: &Item) -> Result<bool, StoreError> {
        let key = |name: &str| Some((name.to_owned(), item.get(name)?.clone()));
        let delete = Delete::builder()
            .table_name(&self.tasks_table)
            .set_key(Some(
                [TASK_ID, TIMESTAMP].into_iter().filter_map(key).collect(),
            ))
            .condition_expression(format!("#{TTL} <= :now"))
            .set_expression_attribute_names(Some(HashMap::from([alias(TTL)])))
            .expression_attribute_values(":now", number(self.now_seconds()))
            .build()
            .map_err(refused)?;
        let mut items = vec![TransactWriteItem::builder().delete(delete).build()];
        match head::read_image(item) {
            Ok(Some(image)) => {
                let deltas = MetricsDelta::between(image.head.live(), []);
                let task_id = &image.head.task.task_id;
                items.extend(self.items_of_metrics(task_id, &deltas)?);
            }
            Ok(None) => {}
            Err(error) => warn!(
                task_id = id_of(item),
                error = error_chain(&error),
                "a damaged run has expired and stays in the metrics"
            ),
        }
        match write_all(&self.client, items, |stored| stored.is_none()).await {
            Ok(()) => Ok(true),
            Err(Unwritten::Conditions(_)) => Ok(false),
            Err(Unwritten::Error(error)) => Err(error),
        }
    }
}
