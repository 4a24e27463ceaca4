//! The tails of logs: items of the tasks table with a partition key that no task can have. They
//! expire soon.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::task::facts::{compress, decompress};
use super::task::{TASK_ID, TIMESTAMP};
use super::{Item, ItemError, ItemReader, ItemWriter, TTL};
use crate::log_tail::{TAIL_PARTS, TailLine, TailPart};
use crate::model::TaskId;

const SESSION: &str = "session";
const SEQUENCE: &str = "sequence";
const WHOLE: &str = "whole";
/// The lines, as compressed JSON.
const LINES: &str = "lines";
/// The most bytes of JSON in an item.
const MAX_BYTES: u64 = 1024 * 1024;
/// The first and the last sort key of all parts.
pub(crate) const ALL_PARTS: (i64, i64) = (0, i64::MAX);

/// The partition key of the tail of a task. No task id contains `#`.
pub(crate) fn partition(task_id: &TaskId) -> String {
    format!("tail#{task_id}")
}

/// The first and the last sort key of the parts of a session.
pub(crate) fn parts_of_session(session: u64) -> (i64, i64) {
    (sort_key(session, 0), sort_key(session, TAIL_PARTS - 1))
}

/// The sort key of a part. The number of a session is small enough for that.
fn sort_key(session: u64, sequence: u32) -> i64 {
    let session = i64::try_from(session).unwrap_or(i64::MAX);
    session
        .saturating_mul(i64::from(TAIL_PARTS))
        .saturating_add(i64::from(sequence % TAIL_PARTS))
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
        .number(TIMESTAMP, sort_key(part.session, part.sequence))
        .number(SESSION, part.session)
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
        session: item.number(SESSION)?,
        sequence,
        lines,
        is_whole,
    }))
}
