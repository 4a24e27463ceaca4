//! Checkpoints in DynamoDB.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::{Checkpoint, CheckpointStore};
use crate::store::StoreError;
use crate::store::dynamodb::{corrupt, store_error};
use crate::store::dynamodb_item::checkpoint as item;

/// The checkpoints table.
#[derive(Debug, Clone)]
pub struct DynamoDbCheckpointStore {
    client: Client,
    table: String,
}

impl DynamoDbCheckpointStore {
    /// Creates the store in `table`. It connects at the first call.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let table = table.into();
        Self { client, table }
    }
}

#[async_trait]
impl CheckpointStore for DynamoDbCheckpointStore {
    async fn load(&self, source: &str) -> Result<Option<Checkpoint>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item::key(source)))
            .consistent_read(true);
        let response = request.send().await;
        let response = response.map_err(|error| store_error("loading a checkpoint", error))?;
        let checkpoint = response.item.as_ref().map(item::read).transpose();
        checkpoint.map_err(|error| corrupt(format!("checkpoint {source}"), error))
    }

    async fn save(&self, source: &str, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let advance = item::advance(&checkpoint);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(source)))
            .update_expression(advance.expression)
            .set_condition_expression(advance.condition)
            .set_expression_attribute_names(Some(advance.names))
            .set_expression_attribute_values(Some(advance.values));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(UpdateItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(()) // a later checkpoint is stored
            }
            Err(error) => Err(store_error("saving a checkpoint", error)),
        }
    }
}
