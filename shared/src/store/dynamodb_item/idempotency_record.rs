//! Idempotency records: items of the tasks table with a partition key that no task can have.

use std::collections::HashMap;

use super::task::{TASK_ID, TIMESTAMP};
use super::{Condition, Item, ItemError, ItemReader, ItemWriter, TTL, alias, number, text};
use crate::model::Timestamp;
use crate::store::{IDEMPOTENCY_RECORD_LIFETIME, IdempotencyRecord};

const RECORD_TIMESTAMP: i64 = -2;
const DIGEST: &str = "digest";
const CREATED_TASK_ID: &str = "answered_task_id";
const RESPONSE: &str = "answer";
const MADE_AT: &str = "made_at";

/// No task id contains `#`.
fn partition_key(record_key: &str) -> String {
    format!("receipt#{record_key}")
}

/// The key of a record.
pub(crate) fn key(record_key: &str) -> Item {
    Item::from([
        (TASK_ID.to_owned(), text(partition_key(record_key))),
        (TIMESTAMP.to_owned(), number(RECORD_TIMESTAMP)),
    ])
}

/// The item of a record.
pub(crate) fn item(record: &IdempotencyRecord) -> Item {
    let expires_at = record.made_at.after(IDEMPOTENCY_RECORD_LIFETIME);
    ItemWriter::new()
        .text(TASK_ID, partition_key(&record.key))
        .number(TIMESTAMP, RECORD_TIMESTAMP)
        .number(TTL, expires_at.as_millis() / 1000)
        .text(DIGEST, &record.digest)
        .text(CREATED_TASK_ID, &record.task_id)
        .text(RESPONSE, &record.response)
        .text(MADE_AT, record.made_at)
        .finish()
}

/// The condition that no record with this key exists, or that it has expired when `record` is made.
pub(crate) fn is_absent(record: &IdempotencyRecord) -> Condition {
    let now_seconds = record.made_at.as_millis() / 1000;
    Condition {
        expression: format!("attribute_not_exists({TASK_ID}) OR #{TTL} <= :now"),
        names: HashMap::from([alias(TTL)]),
        values: Item::from([(":now".to_owned(), number(now_seconds))]),
    }
}

/// Reads the record of `key` from an item.
pub(crate) fn read(key: &str, item: &Item) -> Result<IdempotencyRecord, ItemError> {
    let item = ItemReader::new(item)?;
    let made_at: Timestamp = item.parsed(MADE_AT)?;
    Ok(IdempotencyRecord {
        key: key.to_owned(),
        digest: item.text(DIGEST)?.to_owned(),
        task_id: item.parsed(CREATED_TASK_ID)?,
        response: item.text(RESPONSE)?.to_owned(),
        made_at,
    })
}
