//! The items of the checkpoints table: one for each source.

use super::{Item, ItemError, ItemReader, ItemUpdate, ItemWriter, text};
use crate::checkpoint::{Checkpoint, Resume};
use crate::model::Timestamp;

/// The partition key.
pub(crate) const SOURCE: &str = "source";

/// Numbers, in milliseconds since 1970, so that a condition can compare them.
const READ_UP_TO: &str = "read_up_to";
const SAVED_AT: &str = "saved_at";

/// An unfinished window: all three or none. The format stays the same with and without them,
/// because a reader that ignores them only reads more than necessary.
const RESUME_START: &str = "resume_start";
const RESUME_END: &str = "resume_end";
const RESUME_TOKEN: &str = "resume_token";

/// The key of a source's checkpoint.
pub(crate) fn key(source: &str) -> Item {
    Item::from([(SOURCE.to_owned(), text(source))])
}

/// The update that moves a checkpoint forward, but never back.
pub(crate) fn advance(checkpoint: &Checkpoint) -> ItemUpdate {
    let set = ItemWriter::new()
        .number(READ_UP_TO, checkpoint.read_up_to.as_millis())
        .number(SAVED_AT, checkpoint.saved_at.as_millis());
    let (set, remove): (_, &[&str]) = match &checkpoint.resume {
        Some(resume) => {
            let set = set
                .number(RESUME_START, resume.start.as_millis())
                .number(RESUME_END, resume.end.as_millis())
                .text(RESUME_TOKEN, &resume.next_token);
            (set, &[])
        }
        None => (set, &[RESUME_START, RESUME_END, RESUME_TOKEN]),
    };
    let mut update = ItemUpdate::new(set.finish(), remove);
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
        resume: read_resume(item)?,
    })
}

fn read_resume(item: ItemReader<'_>) -> Result<Option<Resume>, ItemError> {
    let Some(page_token) = item.optional_text(RESUME_TOKEN)? else {
        return Ok(None);
    };
    Ok(Some(Resume {
        start: Timestamp::from_millis(item.number(RESUME_START)?),
        end: Timestamp::from_millis(item.number(RESUME_END)?),
        next_token: page_token.to_owned(),
    }))
}
