//! The history of runs: one item for each millisecond in which progress changed.

use super::{
    FIRST_HISTORY_TIMESTAMP, LIFETIME_SECONDS, MESSAGE, PHASE, PROGRESS_CURRENT,
    PROGRESS_PERCENTAGE, PROGRESS_TOTAL, REVISION, RUN, STATUS, TASK_ID, TIMESTAMP, read_progress,
};
use crate::model::{HistoryEntry, Revision, TaskId, Timestamp};
use crate::store::dynamodb_item::{Item, ItemError, ItemReader, ItemWriter, RUN_FORMAT, TTL};

/// The item of a history entry.
pub(crate) fn item(task_id: &TaskId, entry: &HistoryEntry, now_seconds: i64) -> Item {
    // 0 is the sort key of the head. A change in the first millisecond of 1970 moves to the second.
    let timestamp = entry.timestamp.as_millis().max(FIRST_HISTORY_TIMESTAMP);
    ItemWriter::in_format(RUN_FORMAT)
        .text(TASK_ID, task_id)
        .number(TIMESTAMP, timestamp)
        .number(TTL, now_seconds.saturating_add(LIFETIME_SECONDS))
        .text(RUN, entry.run)
        .number(REVISION, entry.revision)
        .text(STATUS, entry.status)
        .optional_number(PROGRESS_CURRENT, entry.progress.current)
        .optional_number(PROGRESS_TOTAL, entry.progress.total)
        .optional_number(PROGRESS_PERCENTAGE, entry.progress.percentage)
        .optional_text(PHASE, entry.phase.as_ref())
        .optional_text(MESSAGE, entry.message.as_ref())
        .finish()
}

/// Reads a history entry.
pub(crate) fn read(item: &Item) -> Result<HistoryEntry, ItemError> {
    let item = ItemReader::in_format(item, RUN_FORMAT)?;
    Ok(HistoryEntry {
        timestamp: Timestamp::from_millis(item.number(TIMESTAMP)?),
        run: item.parsed(RUN)?,
        revision: Revision(item.number(REVISION)?),
        status: item.parsed(STATUS)?,
        progress: read_progress(item)?,
        phase: item.optional_text(PHASE)?.map(str::to_owned),
        message: item.optional_text(MESSAGE)?.map(str::to_owned),
    })
}
