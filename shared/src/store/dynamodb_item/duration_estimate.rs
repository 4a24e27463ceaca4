//! Duration estimates: items of the tasks table with a partition key that no task can have.

use super::task::{TASK_ID, TIMESTAMP};
use super::{Item, ItemError, ItemReader, ItemWriter, TTL, number, text};
use crate::model::Task;
use crate::store::duration_estimate_key;

const DURATION_ESTIMATE_TIMESTAMP: i64 = -3;
const USUAL_DURATION_MS: &str = "usual_duration_ms";

/// No task id contains `#`.
fn partition_key(task: &Task) -> String {
    format!("pace#{}", duration_estimate_key(task))
}

/// The key of the duration estimate for runs like `task`.
pub(crate) fn key(task: &Task) -> Item {
    Item::from([
        (TASK_ID.to_owned(), text(partition_key(task))),
        (TIMESTAMP.to_owned(), number(DURATION_ESTIMATE_TIMESTAMP)),
    ])
}

/// The item of a duration estimate, which expires at `ttl_seconds`.
pub(crate) fn item(task: &Task, usual_duration_ms: u64, ttl_seconds: i64) -> Item {
    ItemWriter::new()
        .text(TASK_ID, partition_key(task))
        .number(TIMESTAMP, DURATION_ESTIMATE_TIMESTAMP)
        .number(TTL, ttl_seconds)
        .number(USUAL_DURATION_MS, usual_duration_ms)
        .finish()
}

/// Reads a duration estimate, in milliseconds.
pub(crate) fn read(item: &Item) -> Result<u64, ItemError> {
    ItemReader::new(item)?.number(USUAL_DURATION_MS)
}
