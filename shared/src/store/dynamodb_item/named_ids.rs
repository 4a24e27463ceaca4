//! The task ids that lines of a log stream have named: items of the tasks table with a partition key
//! that no task can have.

use uuid::Uuid;

use super::task::{DAY_SECONDS, REVISION, TASK_ID, TIMESTAMP, key_at};
use super::{Condition, Item, ItemError, ItemReader, ItemWriter, TTL, alias, number};
use crate::batch::named_ids::{NAMED_ID_LIFETIME_DAYS, NamedIds};
use crate::record::TaskOrigin;

const ONLY_TIMESTAMP: i64 = 0;
const LOG_GROUP: &str = "log_group";
const LOG_STREAM: &str = "log_stream";
/// 12 bytes for each id: its hash, and the day on which it was recorded.
const IDS: &str = "ids";
const LIFETIME_SECONDS: i64 = NAMED_ID_LIFETIME_DAYS as i64 * DAY_SECONDS;

/// The partition key. No task id contains `#`. A name may be too long for a key, so this is a hash.
fn partition(origin: &TaskOrigin) -> String {
    let name = format!("{}\n{}", origin.log_group, origin.log_stream);
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes());
    format!("named#{}", hash.simple())
}

/// The key of the ids of a log stream.
pub(crate) fn key(origin: &TaskOrigin) -> Item {
    key_at(partition(origin), ONLY_TIMESTAMP)
}

/// The item of the ids of a log stream.
pub(crate) fn item(origin: &TaskOrigin, ids: &NamedIds, now_seconds: i64) -> Item {
    let entries = ids.entries();
    let bytes = entries.flat_map(|(hash, day)| {
        let (hash, day) = (hash.to_be_bytes(), day.to_be_bytes());
        hash.into_iter().chain(day)
    });
    ItemWriter::new()
        .text(TASK_ID, partition(origin))
        .number(TIMESTAMP, ONLY_TIMESTAMP)
        .text(LOG_GROUP, &origin.log_group)
        .text(LOG_STREAM, &origin.log_stream)
        .number(REVISION, ids.revision)
        .bytes(IDS, bytes.collect())
        .number(TTL, now_seconds.saturating_add(LIFETIME_SECONDS))
        .finish()
}

/// The condition that the stored ids are those that `next` was made of.
pub(crate) fn is_previous(next: &NamedIds) -> Condition {
    let Some(previous) = next
        .revision
        .checked_sub(1)
        .filter(|revision| *revision > 0)
    else {
        return Condition {
            expression: format!("attribute_not_exists(#{TASK_ID})"),
            names: [alias(TASK_ID)].into(),
            values: Item::new(),
        };
    };
    Condition {
        expression: format!("#{REVISION} = :previous"),
        names: [alias(REVISION)].into(),
        values: [(":previous".to_owned(), number(previous))].into(),
    }
}

/// Reads the ids of a log stream.
pub(crate) fn read(item: &Item) -> Result<NamedIds, ItemError> {
    let item = ItemReader::new(item)?;
    let bytes = item.optional_bytes(IDS)?.ok_or(ItemError::Missing(IDS))?;
    let (entries, rest) = bytes.as_chunks::<12>();
    if !rest.is_empty() {
        return Err(ItemError::Invalid(IDS));
    }
    let entry = |&[a, b, c, d, e, f, g, h, i, j, k, l]: &[u8; 12]| {
        let hash = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (hash, u32::from_be_bytes([i, j, k, l]))
    };
    let entries = entries.iter().map(entry);
    Ok(NamedIds::new(item.number(REVISION)?, entries))
}
