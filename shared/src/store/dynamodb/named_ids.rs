//! The task ids that lines of log streams have named.

use aws_sdk_dynamodb::operation::put_item::PutItemError;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use crate::batch::named_ids::NamedIds;
use crate::record::TaskOrigin;
use crate::store::StoreError;
use crate::store::dynamodb_item::named_ids as item;

/// What the ids of a stream are called in errors.
fn name_of(origin: &TaskOrigin) -> String {
    format!("the task ids of the log stream {}", origin.log_stream)
}

impl DynamoDbTaskStore {
    /// Reads the ids that lines of a log stream have named.
    pub(super) async fn read_named_ids(&self, origin: &TaskOrigin) -> Result<NamedIds, StoreError> {
        // An expired item is no other than none: all its ids are too old.
        let stored = self.get(item::key(origin)).await?;
        let ids = stored.as_ref().map(item::read).transpose();
        let ids = ids.map_err(|error| corrupt(name_of(origin), error))?;
        Ok(ids.unwrap_or_default())
    }

    /// Writes the ids that lines of a log stream have named.
    pub(super) async fn write_named_ids(
        &self,
        origin: &TaskOrigin,
        ids: &NamedIds,
    ) -> Result<(), StoreError> {
        let condition = item::is_previous(ids);
        let values = Some(condition.values).filter(|values| !values.is_empty());
        let request = self
            .client
            .put_item()
            .table_name(&self.tasks_table)
            .set_item(Some(item::item(origin, ids, self.now_seconds())))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(values);
        // If the response of the first attempt is lost, the second one is a conflict. The caller
        // then reads what the first one has written.
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => {
                    StoreError::Conflict(name_of(origin))
                }
                _ => store_error("saving task ids", error),
            })
    }
}
