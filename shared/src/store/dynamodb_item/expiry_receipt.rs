//! Receipts of runs that were subtracted from the metrics after they had expired: items of the tasks
//! table with a partition key that no task can have.

use super::task::{TASK_ID, TIMESTAMP};
use super::{Condition, Item, ItemWriter, TTL, alias};
use crate::model::Task;

const RECEIPT_TIMESTAMP: i64 = 0;
/// How long a receipt is kept, in seconds: two days. The table's stream keeps records for one.
const LIFETIME_SECONDS: i64 = 2 * 24 * 60 * 60;

/// The item of the receipt for `expired`. No task id contains `#`. The run is part of the key, because
/// a new task with the same id may have the same revision.
pub(crate) fn item(expired: &Task, now_seconds: i64) -> Item {
    let Task { run, revision, .. } = expired;
    let key = format!("expired#{}#{run}#{revision}", expired.record_id());
    ItemWriter::new()
        .text(TASK_ID, key)
        .number(TIMESTAMP, RECEIPT_TIMESTAMP)
        .number(TTL, now_seconds.saturating_add(LIFETIME_SECONDS))
        .finish()
}

/// The condition that there is no receipt yet.
pub(crate) fn is_absent() -> Condition {
    Condition {
        expression: format!("attribute_not_exists(#{TASK_ID})"),
        names: [alias(TASK_ID)].into(),
        values: Item::new(),
    }
}
