//! The tails of logs.

use std::time::Duration;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use crate::log_tail::TailPart;
use crate::model::RunId;
use crate::store::StoreError;
use crate::store::dynamodb_item::log_tail as item;

impl DynamoDbTaskStore {
    /// Writes a part of the tail of a run's log.
    pub(super) async fn write_tail(
        &self,
        run_id: &RunId,
        part: &TailPart,
        kept_for: Duration,
    ) -> Result<(), StoreError> {
        let item = item::item(run_id, part, kept_for, self.now_seconds());
        let item = item.map_err(|error| corrupt(format!("the log of {run_id}"), error))?;
        let request = self.client.put_item().table_name(&self.tasks_table);
        let sent = request.set_item(Some(item)).send().await;
        sent.map(drop)
            .map_err(|error| store_error("saving the lines of a log", error))
    }

    /// Reads all parts of the tail of a run's log.
    pub(super) async fn read_tail(&self, run_id: &RunId) -> Result<Vec<TailPart>, StoreError> {
        let partition = item::partition(&run_id.task_id);
        let (first, last) = item::parts_of(run_id.run);
        let items = self.items_between(&partition, first, last).await?;
        let parts = items
            .iter()
            .map(|item| item::read(item, self.now_seconds()));
        let parts: Result<Vec<_>, _> = parts.collect();
        let parts = parts.map_err(|error| corrupt(format!("the log of {run_id}"), error))?;
        Ok(parts.into_iter().flatten().collect())
    }
}
