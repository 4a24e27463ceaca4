//! The items of the tasks table. Each task has several:
//!
//! * the **head**, `timestamp` 0: the present state, and the keys of the indexes, which no other
//!   item has.
//! * the **ledger**, `timestamp` -1: the facts from the logs and from callers. It is a separate item,
//!   so that the indexes do not carry it.
//! * the **tombstone**, after a deletion: it replaces the head and keeps repeated lines from
//!   creating the task again. Its revision grows by one whenever the ledger changes.
//! * the **history**, `timestamp` > 0: one item for each millisecond in which progress changed.
//!
//! `parts` and `metadata` are JSON texts, because DynamoDB's numbers can't hold every JSON number.

use std::collections::HashMap;
use std::io::Read;

use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Condition, Item, ItemError, ItemReader, ItemUpdate, ItemWriter, TTL, alias, number, text,
};
use crate::fold::Ledger;
use crate::model::{HistoryEntry, Progress, Revision, Task, TaskId, TaskStatus, Timestamp};
use crate::store::{ListPosition, name_key};

/// The partition key of the table.
pub(crate) const TASK_ID: &str = "task_id";
/// The sort key of the table.
pub(crate) const TIMESTAMP: &str = "timestamp";
/// The partition key of [`PROJECT_INDEX`].
pub(crate) const PROJECT_ID: &str = "project_id";
/// The partition key of [`STATUS_INDEX`]: `{status}#{shard}`.
pub(crate) const STATUS_SHARD: &str = "status_shard";
/// The partition key of [`TYPE_INDEX`].
pub(crate) const TASK_TYPE: &str = "task_type";
/// The sort key of the indexes: `{RFC 3339}#{task_id}`. The id makes the order total.
pub(crate) const UPDATED_AT: &str = "updated_at";
/// The task's status.
pub(crate) const STATUS: &str = "status";
/// The task's name in the form for comparisons.
pub(crate) const NAME_KEY: &str = "name_key";

/// Heads by project.
pub(crate) const PROJECT_INDEX: &str = "ProjectIndex";
/// Heads by status, spread over shards.
pub(crate) const STATUS_INDEX: &str = "StatusIndex";
/// Heads by type.
pub(crate) const TYPE_INDEX: &str = "TypeIndex";

const TASK_NAME: &str = "task_name";
const PRIORITY: &str = "priority";
const PROGRESS_CURRENT: &str = "progress_current";
const PROGRESS_TOTAL: &str = "progress_total";
const PROGRESS_PERCENTAGE: &str = "progress_percentage";
const PARTS: &str = "parts";
const RUN: &str = "run";
const REVISION: &str = "revision";
const MESSAGE: &str = "message";
const PHASE: &str = "phase";
const CURRENT_STEP: &str = "current_step";
const LOG_GROUP: &str = "log_group";
const LOG_STREAM: &str = "log_stream";
const CREATED_AT: &str = "created_at";
const STARTED_AT: &str = "started_at";
const COMPLETED_AT: &str = "completed_at";
const DURATION_MS: &str = "duration_ms";
const USUAL_DURATION_MS: &str = "usual_duration_ms";
const METADATA: &str = "metadata";
/// Marks a head as a tombstone.
const DELETED: &str = "deleted";
/// In a ledger: JSON, compressed by deflate.
const FACTS: &str = "facts";
/// In a ledger that version 1 wrote: JSON.
const EARLIER_LEDGER: &str = "ledger";
/// The largest ledger, in bytes of JSON. Writers keep to a smaller limit.
const MAX_JSON_BYTES: u64 = 4_000_000;
/// In a head: the revision that wrote its ledger.
const LEDGER_REVISION: &str = "ledger_revision";

/// The optional attributes of a head, except [`LEDGER_REVISION`].
const OPTIONAL: [&str; 15] = [
    PRIORITY,
    PROGRESS_CURRENT,
    PROGRESS_TOTAL,
    PROGRESS_PERCENTAGE,
    PARTS,
    PROJECT_ID,
    MESSAGE,
    PHASE,
    CURRENT_STEP,
    LOG_GROUP,
    LOG_STREAM,
    STARTED_AT,
    COMPLETED_AT,
    DURATION_MS,
    USUAL_DURATION_MS,
];

const HEAD_TIMESTAMP: i64 = 0;
const LEDGER_TIMESTAMP: i64 = -1;
/// The lowest sort key of history.
pub(crate) const FIRST_HISTORY_TIMESTAMP: i64 = 1;

fn key(task_id: &TaskId, timestamp: i64) -> Item {
    Item::from([
        (TASK_ID.to_owned(), text(task_id.as_str())),
        (TIMESTAMP.to_owned(), number(timestamp)),
    ])
}

/// The key of a head.
pub(crate) fn head_key(task_id: &TaskId) -> Item {
    key(task_id, HEAD_TIMESTAMP)
}

/// The key of a ledger.
pub(crate) fn ledger_key(task_id: &TaskId) -> Item {
    key(task_id, LEDGER_TIMESTAMP)
}

/// The shard of a task in the status index: FNV-1a of its id, modulo the number of shards. It must
/// never change, because a head moves to its new partition only at its next write.
fn shard(task_id: &TaskId, index_shards: u32) -> u32 {
    let bytes = task_id.as_str().bytes();
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.checked_rem(index_shards).unwrap_or(0)
}

/// A partition of the status index.
pub(crate) fn status_shard(status: TaskStatus, shard: u32) -> String {
    format!("{status}#{shard}")
}

/// The text of a position in the indexes.
pub(crate) fn index_position(position: &ListPosition) -> String {
    format!("{}#{}", position.updated_at, position.task_id)
}

/// Reads the text of a position in the indexes.
pub(crate) fn read_index_position(text: &str) -> Result<ListPosition, ItemError> {
    let invalid = || ItemError::Invalid(UPDATED_AT);
    let (updated_at, task_id) = text.split_once('#').ok_or_else(invalid)?;
    Ok(ListPosition {
        updated_at: updated_at.parse().map_err(|_| invalid())?,
        task_id: task_id.parse().map_err(|_| invalid())?,
    })
}

/// The times of a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// The present second since 1970.
    pub(crate) now_seconds: i64,
    /// The second in which the item expires.
    pub(crate) ttl_seconds: i64,
}

/// The attributes of the head of `task`, without its key.
fn head_attributes(
    task: &Task,
    has_ledger: bool,
    index_shards: u32,
    stamp: Stamp,
) -> Result<Item, serde_json::Error> {
    let shard = shard(&task.task_id, index_shards);
    let parts = if task.parts.is_empty() {
        None
    } else {
        Some(serde_json::to_string(&task.parts)?)
    };
    let metadata = task.metadata.as_ref().map(serde_json::to_string);
    Ok(ItemWriter::new()
        .number(TTL, stamp.ttl_seconds)
        .text(TASK_NAME, &task.task_name)
        .text(NAME_KEY, name_key(&task.task_name))
        .text(TASK_TYPE, task.task_type)
        .text(STATUS, task.status)
        .text(STATUS_SHARD, status_shard(task.status, shard))
        .optional_text(PRIORITY, task.priority)
        .optional_number(PROGRESS_CURRENT, task.progress.current)
        .optional_number(PROGRESS_TOTAL, task.progress.total)
        .optional_number(PROGRESS_PERCENTAGE, task.progress.percentage)
        .optional_text(PARTS, parts)
        .text(RUN, &task.run)
        .number(REVISION, task.revision)
        .optional_text(PROJECT_ID, task.project_id.as_ref())
        .optional_text(MESSAGE, task.message.as_ref())
        .optional_text(PHASE, task.phase.as_ref())
        .optional_text(CURRENT_STEP, task.current_step.as_ref())
        .optional_text(LOG_GROUP, task.log_group.as_ref())
        .optional_text(LOG_STREAM, task.log_stream.as_ref())
        .text(CREATED_AT, task.created_at)
        .optional_text(STARTED_AT, task.started_at)
        .text(UPDATED_AT, index_position(&ListPosition::of(task)))
        .optional_text(COMPLETED_AT, task.completed_at)
        .optional_number(DURATION_MS, task.duration_ms)
        .optional_number(USUAL_DURATION_MS, task.usual_duration_ms)
        .optional_text(METADATA, metadata.transpose()?)
        .optional_number(LEDGER_REVISION, has_ledger.then_some(task.revision))
        .finish())
}

/// The head of a task without a ledger, as a whole item.
pub(crate) fn head(
    task: &Task,
    index_shards: u32,
    stamp: Stamp,
) -> Result<Item, serde_json::Error> {
    let mut head = head_attributes(task, false, index_shards, stamp)?;
    head.extend(head_key(&task.task_id));
    Ok(head)
}

/// The stored state that a write expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The task in this revision.
    Task(Revision),
    /// No task. It may have been deleted.
    NoTask,
    /// No task, and the tombstone of a deletion in this revision; `None`: no tombstone.
    Deletion(Option<Revision>),
}

/// The update that turns the stored head, which must be as `expected`, into the head of `task`.
pub(crate) fn head_update(
    expected: Expected,
    task: &Task,
    has_ledger: bool,
    index_shards: u32,
    stamp: Stamp,
) -> Result<ItemUpdate, serde_json::Error> {
    let set = head_attributes(task, has_ledger, index_shards, stamp)?;
    let mut remove: Vec<&str> = OPTIONAL
        .into_iter()
        .chain([METADATA, DELETED])
        .filter(|name| !set.contains_key(*name))
        .collect();
    if expected == Expected::NoTask {
        // An expired task with this id may have left its ledger. It does not belong to the new
        // task.
        remove.push(LEDGER_REVISION);
    }
    let mut update = ItemUpdate::new(set, &remove);
    let mut value = |name: &str, value| drop(update.values.insert(name.to_owned(), value));
    update.condition = Some(match expected {
        Expected::Task(previous) => {
            value(":previous", number(previous));
            format!("#{REVISION} = :previous")
        }
        Expected::NoTask => {
            value(":now", number(stamp.now_seconds));
            format!("{} OR attribute_exists(#{DELETED})", is_absent())
        }
        Expected::Deletion(None) => {
            value(":now", number(stamp.now_seconds));
            is_absent()
        }
        Expected::Deletion(Some(deleted)) => {
            value(":now", number(stamp.now_seconds));
            value(":tombstone", number(deleted.next()));
            let is_tombstone = format!("attribute_exists(#{DELETED}) AND #{REVISION} = :tombstone");
            format!("{} OR {is_tombstone}", is_absent())
        }
    });
    Ok(update)
}

/// The condition that no item exists, or that it has expired at `:now`.
fn is_absent() -> String {
    format!("attribute_not_exists({TASK_ID}) OR #{TTL} <= :now")
}

/// The condition that a head has the revision `:previous`.
pub(crate) fn is_previous(previous: Revision) -> Condition {
    Condition {
        expression: format!("#{REVISION} = :previous"),
        names: HashMap::from([alias(REVISION)]),
        values: Item::from([(":previous".to_owned(), number(previous))]),
    }
}

/// The tombstone of a deleted task, with the ledger of this revision.
pub(crate) fn tombstone(task_id: &TaskId, revision: Revision, stamp: Stamp) -> Item {
    ItemWriter::new()
        .text(TASK_ID, task_id)
        .number(TIMESTAMP, HEAD_TIMESTAMP)
        .number(REVISION, revision)
        .number(LEDGER_REVISION, revision)
        .set(DELETED, AttributeValue::Bool(true))
        .number(TTL, stamp.ttl_seconds)
        .finish()
}

/// The condition that a head is the tombstone with the revision `:previous`.
pub(crate) fn is_tombstone_of(previous: Revision) -> Condition {
    let is_previous = is_previous(previous);
    let names = is_previous.names.into_iter().chain([alias(DELETED)]);
    Condition {
        expression: format!(
            "attribute_exists(#{DELETED}) AND {}",
            is_previous.expression
        ),
        names: names.collect(),
        values: is_previous.values,
    }
}

/// Whether a head is a tombstone.
pub(crate) fn is_tombstone(head: &Item) -> bool {
    head.contains_key(DELETED)
}

/// Reads the task of a head.
pub(crate) fn read_head(item: &Item) -> Result<Task, ItemError> {
    let item = ItemReader::new(item)?;
    let updated_at = read_index_position(item.text(UPDATED_AT)?)?.updated_at;
    let metadata: Option<Value> = item.optional_json(METADATA)?;
    let metadata = match metadata {
        None => None,
        Some(Value::Object(metadata)) => Some(metadata),
        Some(_) => return Err(ItemError::Invalid(METADATA)),
    };
    Ok(Task {
        task_id: item.parsed(TASK_ID)?,
        task_name: item.text(TASK_NAME)?.to_owned(),
        task_type: item.parsed(TASK_TYPE)?,
        status: item.parsed(STATUS)?,
        priority: item.optional_parsed(PRIORITY)?,
        progress: read_progress(item)?,
        parts: item.optional_json(PARTS)?.unwrap_or_default(),
        run: item.text(RUN)?.to_owned(),
        revision: Revision(item.number(REVISION)?),
        project_id: item.optional_parsed(PROJECT_ID)?,
        message: item.optional_text(MESSAGE)?.map(str::to_owned),
        phase: item.optional_text(PHASE)?.map(str::to_owned),
        current_step: item.optional_text(CURRENT_STEP)?.map(str::to_owned),
        log_group: item.optional_text(LOG_GROUP)?.map(str::to_owned),
        log_stream: item.optional_text(LOG_STREAM)?.map(str::to_owned),
        created_at: item.parsed(CREATED_AT)?,
        started_at: item.optional_parsed(STARTED_AT)?,
        updated_at,
        completed_at: item.optional_parsed(COMPLETED_AT)?,
        duration_ms: item.optional_number(DURATION_MS)?,
        usual_duration_ms: item.optional_number(USUAL_DURATION_MS)?,
        metadata,
    })
}

/// Reads the task of a stream image; `None` for a tombstone.
pub(crate) fn read_image(head: &Item) -> Result<Option<Task>, ItemError> {
    if head.contains_key(TASK_NAME) {
        read_head(head).map(Some)
    } else {
        Ok(None)
    }
}

/// The revision of a head's ledger; `None` if it has none.
pub(crate) fn read_ledger_revision(head: &Item) -> Result<Option<Revision>, ItemError> {
    let revision = ItemReader::new(head)?.optional_number(LEDGER_REVISION)?;
    Ok(revision.map(Revision))
}

fn read_progress(item: ItemReader<'_>) -> Result<Progress, ItemError> {
    Ok(Progress {
        current: item.optional_number(PROGRESS_CURRENT)?,
        total: item.optional_number(PROGRESS_TOTAL)?,
        percentage: item.optional_number(PROGRESS_PERCENTAGE)?,
    })
}

/// The item of the ledger that was written with `revision`.
pub(crate) fn ledger_item(
    task_id: &TaskId,
    revision: Revision,
    ledger: &Ledger,
    stamp: Stamp,
) -> Result<Item, serde_json::Error> {
    let json = serde_json::to_vec(ledger)?;
    Ok(ItemWriter::new()
        .text(TASK_ID, task_id)
        .number(TIMESTAMP, LEDGER_TIMESTAMP)
        .number(REVISION, revision)
        .bytes(FACTS, compress(&json))
        .number(TTL, stamp.ttl_seconds)
        .finish())
}

/// Reads a ledger and the revision that wrote it.
pub(crate) fn read_ledger(item: &Item) -> Result<(Revision, Ledger), ItemError> {
    let item = ItemReader::new(item)?;
    let revision = Revision(item.number(REVISION)?);
    let Some(facts) = item.optional_bytes(FACTS)? else {
        let earlier: Option<EarlierLedger> = item.optional_json(EARLIER_LEDGER)?;
        let earlier = earlier.ok_or(ItemError::Missing(FACTS))?;
        return Ok((revision, earlier.into()));
    };
    let json = decompress(facts, MAX_JSON_BYTES).ok_or(ItemError::Invalid(FACTS))?;
    let ledger = serde_json::from_slice(&json).map_err(|_| ItemError::Invalid(FACTS))?;
    Ok((revision, ledger))
}

/// The fields that are read from ledgers of version 1. Their lines were kept in another form; the
/// task goes on from its head.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EarlierLedger {
    adopted: bool,
    edits: EarlierEdits,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EarlierEdits {
    deleted_revision: Option<Revision>,
}

impl From<EarlierLedger> for Ledger {
    fn from(earlier: EarlierLedger) -> Self {
        let mut ledger = Self::default();
        if let Some(Revision(deleted)) = earlier.edits.deleted_revision {
            ledger = Self::of_tombstone(Revision(deleted.saturating_add(1)));
        }
        if earlier.adopted {
            ledger.mark_adopted();
        }
        ledger
    }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(bytes, Compression::default());
    let mut compressed = Vec::new();
    let read = encoder.read_to_end(&mut compressed);
    read.expect("reading from memory can't fail");
    compressed
}

/// The bytes that [`compress`] got; `None` if they are not valid or more than `most`.
fn decompress(compressed: &[u8], most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut decoder = DeflateDecoder::new(compressed).take(most + 1);
    decoder.read_to_end(&mut bytes).ok()?;
    (u64::try_from(bytes.len()).ok()? <= most).then_some(bytes)
}

/// The item of a history entry.
pub(crate) fn history_item(task_id: &TaskId, entry: &HistoryEntry, stamp: Stamp) -> Item {
    // 0 is the sort key of the head. A change in the first millisecond of 1970 moves to the second.
    let timestamp = entry.timestamp.as_millis().max(FIRST_HISTORY_TIMESTAMP);
    ItemWriter::new()
        .text(TASK_ID, task_id)
        .number(TIMESTAMP, timestamp)
        .number(TTL, stamp.ttl_seconds)
        .text(RUN, &entry.run)
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
pub(crate) fn read_history(item: &Item) -> Result<HistoryEntry, ItemError> {
    let item = ItemReader::new(item)?;
    Ok(HistoryEntry {
        timestamp: Timestamp::from_millis(item.number(TIMESTAMP)?),
        run: item.text(RUN)?.to_owned(),
        revision: Revision(item.number(REVISION)?),
        status: item.parsed(STATUS)?,
        progress: read_progress(item)?,
        phase: item.optional_text(PHASE)?.map(str::to_owned),
        message: item.optional_text(MESSAGE)?.map(str::to_owned),
    })
}

/// The text of an item's `task_id`, for errors.
pub(crate) fn id_of(item: &Item) -> String {
    let id = item.get(TASK_ID).and_then(|id| id.as_s().ok());
    id.cloned().unwrap_or_default()
}

/// Whether an item is a ledger.
pub(crate) fn is_ledger(item: &Item) -> bool {
    has_timestamp(item, LEDGER_TIMESTAMP)
}

/// Whether an item or a key belongs to a head.
pub(crate) fn is_head(item: &Item) -> bool {
    has_timestamp(item, HEAD_TIMESTAMP)
}

fn has_timestamp(item: &Item, expected: i64) -> bool {
    let timestamp = item.get(TIMESTAMP);
    timestamp.is_some_and(|timestamp| *timestamp == number(expected))
}
