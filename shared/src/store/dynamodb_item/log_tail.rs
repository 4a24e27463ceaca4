//! The tails of logs: items of the tasks table with a partition key that no task can have. They
//! expire soon.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::task::facts::{compress, decompress};
use super::task::{TASK_ID, TIMESTAMP};
use super::{Item, ItemError, ItemReader, ItemWriter, TTL};
use crate::log_tail::{TAIL_PARTS, TailLine, TailPart};
use crate::model::TaskId;

const SEQUENCE: &str = "sequence";
const WHOLE: &str = "whole";
/// The lines, as compressed JSON.
const LINES: &str = "lines";
/// The most bytes of JSON in an item.
const MAX_BYTES: u64 = 1024 * 1024;
/// The sort keys of the parts.
pub(crate) const FIRST_PART: i64 = 0;
pub(crate) const LAST_PART: i64 = TAIL_PARTS as i64 - 1;

/// The partition key of the tail of a task. No task id contains `#`.
pub(crate) fn partition(task_id: &TaskId) -> String {
    format!("tail#{task_id}")
}

/// The item of a part.
pub(crate) fn item(
    task_id: &TaskId,
    part: &TailPart,
    kept_for: Duration,
    now_seconds: i64,
) -> Result<Item, serde_json::Error> {
    let lifetime = i64::try_from(kept_for.as_secs()).unwrap_or(i64::MAX);
    let lines = serde_json::to_vec(&part.lines)?;
    let mut writer = ItemWriter::new();
    if part.is_whole {
        writer = writer.set(WHOLE, AttributeValue::Bool(true));
    }
    Ok(writer
        .text(TASK_ID, partition(task_id))
        .number(TIMESTAMP, part.sequence % TAIL_PARTS)
        .number(SEQUENCE, part.sequence)
        .bytes(LINES, compress(&lines))
        .number(TTL, now_seconds.saturating_add(lifetime))
        .finish())
}

/// Reads a part; `None` if it has expired.
pub(crate) fn read(item: &Item, now_seconds: i64) -> Result<Option<TailPart>, ItemError> {
    let is_whole = item.contains_key(WHOLE);
    let item = ItemReader::new(item)?;
    let expires_at: i64 = item.number(TTL)?;
    if expires_at <= now_seconds {
        return Ok(None);
    }
    let bytes = item
        .optional_bytes(LINES)?
        .ok_or(ItemError::Missing(LINES))?;
    let lines = decompress(bytes, MAX_BYTES).ok_or(ItemError::Invalid(LINES))?;
    let lines: Vec<TailLine> =
        serde_json::from_slice(&lines).map_err(|_| ItemError::Invalid(LINES))?;
    let sequence = item.number(SEQUENCE)?;
    Ok(Some(TailPart {
        sequence,
        lines,
        is_whole,
    }))
}
