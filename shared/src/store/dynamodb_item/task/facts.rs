//! The facts of a task: the base, and segments with the new facts of one write each. Both are JSON,
//! compressed by deflate.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    BASE_TIMESTAMP, FIRST_SEGMENT_TIMESTAMP, LIFE, LIFETIME_SECONDS, NAMED_LIFETIME_SECONDS,
    REVISION, TASK_ID, TIMESTAMP, timestamp_of,
};
use crate::fold::{FactLog, KeyedFact};
use crate::model::{Revision, TaskId};
use crate::record::FactItems;
use crate::store::dynamodb_item::{Item, ItemError, ItemReader, ItemWriter, RUN_FORMAT, TTL};

const FACTS: &str = "facts";
/// The most bytes of JSON in an item. Writers keep to a smaller limit.
const MAX_JSON_BYTES: u64 = 4_000_000;

/// The item of the base that `items` names.
pub(crate) fn base(
    task_id: &TaskId,
    items: &FactItems,
    log: &FactLog,
    now_seconds: i64,
) -> Result<Item, serde_json::Error> {
    let item = item(task_id, BASE_TIMESTAMP, items.life, log, now_seconds)?;
    Ok(item.number(REVISION, items.base_revision).finish())
}

/// The item of the last segment that `items` names, which `revision` writes.
pub(crate) fn segment(
    task_id: &TaskId,
    items: &FactItems,
    revision: Revision,
    facts: &[KeyedFact],
    now_seconds: i64,
) -> Result<Item, serde_json::Error> {
    let slot = i64::from(items.segments.saturating_sub(1));
    let timestamp = FIRST_SEGMENT_TIMESTAMP - slot;
    let item = item(task_id, timestamp, items.life, &facts, now_seconds)?;
    Ok(item.number(REVISION, revision).finish())
}

fn item(
    task_id: &TaskId,
    timestamp: i64,
    life: i64,
    facts: &impl Serialize,
    now_seconds: i64,
) -> Result<ItemWriter, serde_json::Error> {
    let json = serde_json::to_vec(facts)?;
    Ok(ItemWriter::in_format(RUN_FORMAT)
        .text(TASK_ID, task_id)
        .number(TIMESTAMP, timestamp)
        .number(TTL, now_seconds.saturating_add(NAMED_LIFETIME_SECONDS))
        .number(LIFE, life)
        .bytes(FACTS, compress(&json)))
}

/// The facts that a head names.
#[derive(Debug, Default)]
pub(crate) struct StoredFacts {
    pub(crate) log: FactLog,
    /// The size of the segments, in bytes of JSON.
    pub(crate) segment_bytes: usize,
    /// Whether an item is so old that the next head could outlive it.
    pub(crate) is_old: bool,
}

/// Reads the facts that `named` names from the items of a task. `revision` is that of the head.
/// `None` if an item is missing, or another writer was faster than the query.
pub(crate) fn read(
    items: &[Item],
    named: &FactItems,
    revision: Revision,
    now_seconds: i64,
) -> Result<Option<StoredFacts>, ItemError> {
    let mut facts = StoredFacts::default();
    let mut has_base = named.base_revision == Revision::default();
    let mut segments: Vec<(Revision, &Item)> = Vec::new();
    for stored in items {
        let Some(timestamp) = timestamp_of(stored).filter(|key| *key <= BASE_TIMESTAMP) else {
            continue;
        };
        let item = ItemReader::in_format(stored, RUN_FORMAT)?;
        if item.number::<i64>(LIFE)? != named.life {
            continue;
        }
        let written = Revision(item.number(REVISION)?);
        if timestamp == BASE_TIMESTAMP {
            has_base = written == named.base_revision;
            if has_base {
                (facts.log, _) = read_json(item)?;
                facts.is_old |= is_old(item, now_seconds)?;
            }
        } else if written > revision {
            return Ok(None);
        } else if written > named.base_revision {
            segments.push((written, stored));
        }
    }
    if !has_base || u32::try_from(segments.len()) != Ok(named.segments) {
        return Ok(None);
    }
    // In the order of writing: of two readings of one line, the first one is kept.
    segments.sort_by_key(|(written, _)| *written);
    for (_, segment) in segments {
        let item = ItemReader::in_format(segment, RUN_FORMAT)?;
        let (added, size): (Vec<KeyedFact>, usize) = read_json(item)?;
        facts.log.add(added);
        facts.segment_bytes = facts.segment_bytes.saturating_add(size);
        facts.is_old |= is_old(item, now_seconds)?;
    }
    Ok(Some(facts))
}

/// Whether a head that is written now could outlive the item.
fn is_old(item: ItemReader<'_>, now_seconds: i64) -> Result<bool, ItemError> {
    let ttl: i64 = item.number(TTL)?;
    Ok(ttl < now_seconds.saturating_add(LIFETIME_SECONDS))
}

/// Reads the facts of an item, and the size of their JSON.
fn read_json<T: DeserializeOwned>(item: ItemReader<'_>) -> Result<(T, usize), ItemError> {
    let compressed = item.optional_bytes(FACTS)?;
    let compressed = compressed.ok_or(ItemError::Missing(FACTS))?;
    let json = decompress(compressed, MAX_JSON_BYTES).ok_or(ItemError::Invalid(FACTS))?;
    let facts = serde_json::from_slice(&json).map_err(|_| ItemError::Invalid(FACTS))?;
    Ok((facts, json.len()))
}

/// The bytes, compressed by deflate.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(bytes, Compression::default());
    let mut compressed = Vec::new();
    let read = encoder.read_to_end(&mut compressed);
    read.expect("reading from memory can't fail");
    compressed
}

/// The bytes that [`compress`] got; `None` if they are not valid or more than `most`.
pub(crate) fn decompress(compressed: &[u8], most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut decoder = DeflateDecoder::new(compressed).take(most + 1);
    decoder.read_to_end(&mut bytes).ok()?;
    (u64::try_from(bytes.len()).ok()? <= most).then_some(bytes)
}
