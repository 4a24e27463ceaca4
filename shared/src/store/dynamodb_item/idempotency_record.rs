//! Receipts: items of the tasks table whose partition key no task can have.

use std::collections::HashMap;

use super::task::{TASK_ID, TIMESTAMP};
use super::{Condition, Item, ItemError, ItemReader, ItemWriter, TTL, alias, number, text};
use crate::model::Timestamp;
use crate::store::{IDEMPOTENCY_RECORD_LIFETIME, IdempotencyRecord};

const RECEIPT_TIMESTAMP: i64 = -2;
const DIGEST: &str = "digest";
const ANSWERED_TASK_ID: &str = "answered_task_id";
const ANSWER: &str = "answer";
const MADE_AT: &str = "made_at";

/// No id of a task has this character.
fn partition_key(receipt_key: &str) -> String {
    format!("receipt#{receipt_key}")
}

/// The key of a receipt.
pub(crate) fn key(receipt_key: &str) -> Item {
    Item::from([
        (TASK_ID.to_owned(), text(partition_key(receipt_key))),
        (TIMESTAMP.to_owned(), number(RECEIPT_TIMESTAMP)),
    ])
}

/// The item of a receipt.
pub(crate) fn item(receipt: &IdempotencyRecord) -> Item {
    let expires_at = receipt.made_at.after(IDEMPOTENCY_RECORD_LIFETIME);
    ItemWriter::new()
        .text(TASK_ID, partition_key(&receipt.key))
        .number(TIMESTAMP, RECEIPT_TIMESTAMP)
        .number(TTL, expires_at.as_millis() / 1000)
        .text(DIGEST, &receipt.digest)
        .text(ANSWERED_TASK_ID, &receipt.task_id)
        .text(ANSWER, &receipt.answer)
        .text(MADE_AT, receipt.made_at)
        .finish()
}

/// The condition that there is no receipt of this key, or one that has expired when `receipt` is made.
pub(crate) fn is_absent(receipt: &IdempotencyRecord) -> Condition {
    let now_seconds = receipt.made_at.as_millis() / 1000;
    Condition {
        expression: format!("attribute_not_exists({TASK_ID}) OR #{TTL} <= :now"),
        names: HashMap::from([alias(TTL)]),
        values: Item::from([(":now".to_owned(), number(now_seconds))]),
    }
}

/// The receipt of `key` that an item holds.
pub(crate) fn read(key: &str, item: &Item) -> Result<IdempotencyRecord, ItemError> {
    let item = ItemReader::new(item)?;
    let made_at: Timestamp = item.parsed(MADE_AT)?;
    Ok(IdempotencyRecord {
        key: key.to_owned(),
        digest: item.text(DIGEST)?.to_owned(),
        task_id: item.parsed(ANSWERED_TASK_ID)?,
        answer: item.text(ANSWER)?.to_owned(),
        made_at,
    })
}
