//! Lists of the runs of one task.

use std::collections::HashMap;

use super::DynamoDbTaskStore;
use super::error::{corrupt, store_error};
use crate::model::{Task, TaskId, Timestamp};
use crate::store::StoreError;
use crate::store::dynamodb_item::task::{
    HEAD_TIMESTAMP, KIND, LIST_KEY, TASK_ID, TIMESTAMP, earlier_timestamp, head, key,
};
use crate::store::dynamodb_item::{TTL, alias, number, text};

const OPERATION: &str = "listing the runs of a task";

impl DynamoDbTaskStore {
    /// Lists runs, the newest first.
    pub(super) async fn read_runs(
        &self,
        task_id: &TaskId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        let corrupt = |error| corrupt(format!("task {task_id}"), error);
        let newest = self.get(key(task_id, HEAD_TIMESTAMP)).await?;
        let newest = newest.map(|item| head::read(&item, self.now_seconds()));
        let newest = newest.transpose().map_err(corrupt)?;
        let newest = newest.and_then(|stored| stored.head.live().cloned());
        // A run that is the newest now may be an earlier one before the query begins.
        let run = newest.as_ref().map(|newest| newest.run);
        let bound = [before, run].into_iter().flatten().min();
        let is_before = |run: Timestamp| before.is_none_or(|before| run < before);
        let mut runs: Vec<Task> = newest
            .filter(|task| is_before(task.run))
            .into_iter()
            .collect();
        let first = bound.map_or(i64::MIN, |bound| earlier_timestamp(bound) + 1);
        let last = earlier_timestamp(Timestamp::default());
        let mut start = None;
        while runs.len() < limit && first <= last {
            let missing = limit - runs.len();
            let names = [TASK_ID, TIMESTAMP, KIND, LIST_KEY, TTL].map(alias);
            let page_size = missing.saturating_mul(2).saturating_add(2); // details are read too
            let page = self
                .query_between(task_id.as_str(), first, last)
                .filter_expression(format!(
                    "#{KIND} = :head AND attribute_exists(#{LIST_KEY}) AND #{TTL} > :now"
                ))
                .set_expression_attribute_names(Some(HashMap::from(names)))
                .expression_attribute_values(":head", text(head::HEAD))
                .expression_attribute_values(":now", number(self.now_seconds()))
                .limit(i32::try_from(page_size).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let page = page
                .send()
                .await
                .map_err(|error| store_error(OPERATION, error))?;
            for item in page.items.unwrap_or_default() {
                runs.push(head::read_task(&item).map_err(corrupt)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        runs.truncate(limit);
        Ok(runs)
    }
}
