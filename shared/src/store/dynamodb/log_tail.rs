//! The tails of logs.

use std::time::Duration;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use crate::log_tail::TailPart;
use crate::model::TaskId;
use crate::store::StoreError;
use crate::store::dynamodb_item::log_tail as item;

impl DynamoDbTaskStore {
    /// Writes a part of the tail of a task's log.
    pub(super) async fn write_tail(
        &self,
        task_id: &TaskId,
        part: &TailPart,
        kept_for: Duration,
    ) -> Result<(), StoreError> {
        let item = item::item(task_id, part, kept_for, self.now_seconds());
        let item = item.map_err(|error| corrupt(format!("the log of {task_id}"), error))?;
        let request = self.client.put_item().table_name(&self.tasks_table);
        let sent = request.set_item(Some(item)).send().await;
        sent.map(drop)
            .map_err(|error| store_error("saving the lines of a log", error))
    }

    /// Reads the parts of the tail of a task's log, or those of one session.
    pub(super) async fn read_tail(
        &self,
        task_id: &TaskId,
        session: Option<u64>,
    ) -> Result<Vec<TailPart>, StoreError> {
        let partition = item::partition(task_id);
        let (first, last) = session.map_or(item::ALL_PARTS, item::parts_of_session);
        let items = self.items_between(&partition, first, last).await?;
        let parts = items
            .iter()
            .map(|item| item::read(item, self.now_seconds()));
        let parts: Result<Vec<_>, _> = parts.collect();
        let parts = parts.map_err(|error| corrupt(format!("the log of {task_id}"), error))?;
        Ok(parts.into_iter().flatten().collect())
    }
}
