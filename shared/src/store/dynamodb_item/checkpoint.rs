//! The items of the checkpoints table, one for each source.

use super::{Item, ItemError, ItemReader, ItemUpdate, ItemWriter, text};
use crate::checkpoint::Checkpoint;
use crate::model::Timestamp;

/// Partition key.
pub(crate) const SOURCE: &str = "source";

/// Milliseconds since 1970, so that a condition can compare them.
const READ_UP_TO: &str = "read_up_to";
const SAVED_AT: &str = "saved_at";

/// The key of a source's checkpoint.
pub(crate) fn key(source: &str) -> Item {
    Item::from([(SOURCE.to_owned(), text(source))])
}

/// The update that moves a checkpoint forward, and never backward.
pub(crate) fn advance(checkpoint: Checkpoint) -> ItemUpdate {
    let set = ItemWriter::new()
        .number(READ_UP_TO, checkpoint.read_up_to.as_millis())
        .number(SAVED_AT, checkpoint.saved_at.as_millis())
        .finish();
    let mut update = ItemUpdate::new(set, &[]);
    update.condition = Some(format!(
        "attribute_not_exists(#{READ_UP_TO}) OR #{READ_UP_TO} <= :{READ_UP_TO}"
    ));
    update
}

/// Reads a checkpoint.
pub(crate) fn read(item: &Item) -> Result<Checkpoint, ItemError> {
    let item = ItemReader::new(item)?;
    Ok(Checkpoint {
        read_up_to: Timestamp::from_millis(item.number(READ_UP_TO)?),
        saved_at: Timestamp::from_millis(item.number(SAVED_AT)?),
    })
}
