//! The tails of logs: items of the tasks table with a partition key that no task can have. They
//! expire soon.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::task::facts::{compress, decompress};
use super::task::{TASK_ID, TIMESTAMP};
use super::{Item, ItemError, ItemReader, ItemWriter, TTL};
use crate::log_tail::{TAIL_PARTS, TailLine, TailPart};
use crate::model::{RunId, TaskId, Timestamp};

const SEQUENCE: &str = "sequence";
const WHOLE: &str = "whole";
/// The lines, as compressed JSON.
const LINES: &str = "lines";
/// The most bytes of JSON in an item.
const MAX_BYTES: u64 = 1024 * 1024;

/// The partition key of the tails of a task. No task id contains `#`.
pub(crate) fn partition(task_id: &TaskId) -> String {
    format!("tail#{task_id}")
}

/// The first and the last sort key of the parts of a run.
pub(crate) fn parts_of(run: Timestamp) -> (i64, i64) {
    (sort_key(run, 0), sort_key(run, TAIL_PARTS - 1))
}

fn sort_key(run: Timestamp, sequence: u32) -> i64 {
    let first = run.as_millis().saturating_mul(i64::from(TAIL_PARTS));
    first.saturating_add(i64::from(sequence % TAIL_PARTS))
}

/// The item of a part.
pub(crate) fn item(
    run_id: &RunId,
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
        .text(TASK_ID, partition(&run_id.task_id))
        .number(TIMESTAMP, sort_key(run_id.run, part.sequence))
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
