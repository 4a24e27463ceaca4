//! Reads records of the tasks table's stream. Only the stream shows every write of every task once.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::dynamodb_item::task::{HeadImage, id_of, read_image};
use super::dynamodb_item::{Item, ItemError};
use crate::model::Task;
use crate::record::Head;

/// What a record tells of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunChange {
    /// It was written.
    Written(Box<RunWrite>),
    /// It has expired: the store has removed its head.
    Expired(Box<Task>),
}

/// A write of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunWrite {
    /// The run before the write; `None` if there was none under this id.
    pub previous: Option<Task>,
    /// The run after the write. Its `parts` are left out.
    pub next: Task,
}

/// A head that was written, of whatever state.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenHead {
    /// The head, without its detail.
    pub head: Head,
    /// Whether the run has a detail.
    pub has_detail: bool,
}

/// A record that can never be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream record of task {task_id:?} can't be read")]
pub struct UnreadableRecord {
    /// The task's id, if the record has one.
    task_id: String,
    #[source]
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Cause {
    #[error("it has no {0}: the stream must have the new and the old images")]
    Missing(&'static str),
    #[error("its {0} is not a valid task")]
    Image(&'static str, #[source] ItemError),
}

/// Reads what a stream record tells of a run. Its JSON is the form of Lambda events and of
/// `GetRecords`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html>).
///
/// Returns `None` for writes of other items and for deletions. A run that was moved to its own id,
/// because a later run began, is `Some` only if this very write ended it. Otherwise another record
/// has told of its state.
///
/// # Errors
///
/// [`UnreadableRecord`] if a part is missing or an image is no task. Another attempt will not help.
pub fn read_stream_record(record: &Value) -> Result<Option<RunChange>, UnreadableRecord> {
    let record = Record::of(record)?;
    let live = |image: &Option<HeadImage>| image.as_ref()?.head.live().cloned();
    if record.event_name == REMOVE {
        // Deletions by callers only mark heads. DynamoDB removes those that have expired.
        let expired = live(&record.image("OldImage")?);
        return Ok(expired.map(|task| RunChange::Expired(Box::new(task))));
    }
    let image_after = record.image("NewImage")?;
    let Some(next) = live(&image_after) else {
        return Ok(None);
    };
    let previous = match record.event_name {
        "INSERT" => None,
        "MODIFY" => live(&record.image("OldImage")?),
        _ => return Err(record.unreadable(Cause::Missing("eventName"))),
    };
    let has_ended_here = image_after.is_some_and(|image| image.has_ended_here);
    if next.is_earlier && previous.is_none() && !has_ended_here {
        return Ok(None);
    }
    Ok(Some(RunChange::Written(Box::new(RunWrite {
        previous,
        next,
    }))))
}

/// Reads the head that a record tells of. Returns `None` for writes of other items, and for heads
/// that DynamoDB has removed after their time.
///
/// # Errors
///
/// [`UnreadableRecord`] as [`read_stream_record`].
pub fn read_written_head(record: &Value) -> Result<Option<WrittenHead>, UnreadableRecord> {
    let record = Record::of(record)?;
    if record.event_name == REMOVE {
        return Ok(None);
    }
    let image = record.image("NewImage")?;
    Ok(image.map(|image| WrittenHead {
        head: image.head,
        has_detail: image.has_detail,
    }))
}

/// The name of the event of a removed item.
const REMOVE: &str = "REMOVE";

/// A record with the keys of its item.
struct Record<'a> {
    event_name: &'a str,
    change: Option<&'a Value>,
    task_id: String,
}

impl<'a> Record<'a> {
    fn of(record: &'a Value) -> Result<Self, UnreadableRecord> {
        let mut read = Self {
            event_name: record
                .get("eventName")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            change: record.get("dynamodb"),
            task_id: String::new(),
        };
        let keys = read.item("Keys").unwrap_or_default();
        read.task_id = id_of(&keys);
        match keys.is_empty() {
            true => Err(read.unreadable(Cause::Missing("Keys"))),
            false => Ok(read),
        }
    }

    fn item(&self, name: &str) -> Option<Item> {
        self.change?.get(name).and_then(item)
    }

    /// Reads an image; `None` if it is of another item than a head.
    fn image(&self, name: &'static str) -> Result<Option<HeadImage>, UnreadableRecord> {
        let image = self.item(name);
        let image = image.ok_or_else(|| self.unreadable(Cause::Missing(name)))?;
        read_image(&image).map_err(|error| self.unreadable(Cause::Image(name, error)))
    }

    fn unreadable(&self, cause: Cause) -> UnreadableRecord {
        UnreadableRecord {
            task_id: self.task_id.clone(),
            cause,
        }
    }
}

/// Converts the JSON of an item.
fn item(json: &Value) -> Option<Item> {
    let attributes = json.as_object()?.iter();
    Some(
        attributes
            .map(|(name, value)| (name.clone(), attribute(value)))
            .collect(),
    )
}

/// Converts the JSON of an attribute. Heads have only strings, numbers and booleans, so every other
/// type becomes null, which fails where another is required.
fn attribute(json: &Value) -> AttributeValue {
    let text = |kind| json.get(kind).and_then(Value::as_str).map(str::to_owned);
    let boolean = json.get("BOOL").and_then(Value::as_bool);
    match (text("S"), text("N"), boolean) {
        (Some(text), None, None) => AttributeValue::S(text),
        (None, Some(number), None) => AttributeValue::N(number),
        (None, None, Some(boolean)) => AttributeValue::Bool(boolean),
        _ => AttributeValue::Null(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::error_chain;
    use crate::model::TaskStatus;
    use serde_json::json;

    fn head() -> Value {
        json!({
            "format": {"N": "3"}, "kind": {"S": "head"}, "task_id": {"S": "t"},
            "timestamp": {"N": "0"},
            "task_name": {"S": "Task t"}, "task_type": {"S": "build"}, "status": {"S": "running"},
            "run": {"S": "2026-11-21T09:30:00.000Z"}, "revision": {"N": "3"},
            "created_at": {"S": "2026-11-21T09:30:00.000Z"},
            "updated_at": {"S": "2026-11-21T09:31:00.000Z"},
            "of_a_later_version": {"M": {"any": {"BOOL": true}}},
        })
    }

    fn record(event_name: &str) -> Value {
        json!({
            "eventName": event_name, "eventSource": "aws:dynamodb",
            "dynamodb": {
                "Keys": {"task_id": {"S": "t"}, "timestamp": {"N": "0"}},
                "NewImage": head(), "OldImage": head(), "SequenceNumber": "7",
            },
        })
    }

    fn with(event_name: &str, pointer: &str, value: Value) -> Value {
        let mut record = record(event_name);
        *record.pointer_mut(pointer).unwrap() = value;
        record
    }

    fn error_of(record: &Value) -> String {
        error_chain(&read_stream_record(record).unwrap_err())
    }

    fn write_of(record: &Value) -> Option<RunWrite> {
        match read_stream_record(record).unwrap() {
            Some(RunChange::Written(write)) => Some(*write),
            Some(RunChange::Expired(task)) => panic!("{task:?} expired"),
            None => None,
        }
    }

    /// A record with these attributes in both images.
    fn having(event_name: &str, attributes: &Value) -> Value {
        let mut record = record(event_name);
        for image in ["NewImage", "OldImage"] {
            let image = record["dynamodb"][image].as_object_mut().unwrap();
            image.extend(attributes.as_object().unwrap().clone());
        }
        record
    }

    #[test]
    fn a_write_of_a_head_has_the_run_before_and_after() {
        let status = json!({"S": "completed"});
        let record = with("MODIFY", "/dynamodb/NewImage/status", status);
        let write = write_of(&record).unwrap();
        assert_eq!(write.previous.unwrap().status, TaskStatus::Running);
        assert_eq!(write.next.status, TaskStatus::Completed);
        assert_eq!(write.next.task_id.as_str(), "t");
    }

    #[test]
    fn a_created_task_has_no_previous_state() {
        assert_eq!(write_of(&record("INSERT")).unwrap().previous, None);
    }

    #[test]
    fn records_of_other_items_are_skipped() {
        let other = json!({"task_id": {"S": "t"}, "timestamp": {"N": "-2"}});
        for record in [
            with("INSERT", "/dynamodb/NewImage", other.clone()),
            with("MODIFY", "/dynamodb/NewImage", other.clone()),
            with("REMOVE", "/dynamodb/OldImage", other),
        ] {
            assert_eq!(read_stream_record(&record), Ok(None), "{record}");
        }
    }

    #[test]
    fn a_removed_head_is_an_expiry_unless_it_was_deleted_before() {
        let Ok(Some(RunChange::Expired(task))) = read_stream_record(&record("REMOVE")) else {
            panic!("not expired");
        };
        assert_eq!(task.revision.0, 3);
        let deleted = having("REMOVE", &json!({"deleted": {"BOOL": true}}));
        assert_eq!(read_stream_record(&deleted), Ok(None));
    }

    #[test]
    fn a_deleted_run_is_no_run_before_or_after_a_write() {
        let deleted = json!({"BOOL": true});
        let mut deletion = record("MODIFY");
        deletion["dynamodb"]["NewImage"]["deleted"] = deleted.clone();
        assert_eq!(write_of(&deletion), None);
        let mut created_again = record("MODIFY");
        created_again["dynamodb"]["OldImage"]["deleted"] = deleted;
        assert_eq!(write_of(&created_again).unwrap().previous, None);
    }

    #[test]
    fn an_earlier_run_tells_of_its_end_only_if_no_other_record_does() {
        let earlier = json!({
            "timestamp": {"N": "-3590000000000"}, "status": {"S": "failed"},
        });
        assert_eq!(write_of(&having("INSERT", &earlier)), None);
        let mut ended_here = having("INSERT", &earlier);
        ended_here["dynamodb"]["NewImage"]["ended_here"] = json!({"BOOL": true});
        let write = write_of(&ended_here).unwrap();
        assert!(write.previous.is_none() && write.next.is_earlier);
        let corrected = write_of(&having("MODIFY", &earlier)).unwrap();
        assert!(corrected.previous.is_some());
    }

    #[test]
    fn a_written_head_is_read_whatever_its_state() {
        let read = |record: &Value| read_written_head(record).unwrap();
        let written = read(&having("MODIFY", &json!({"detail_revision": {"N": "2"}})));
        let written = written.unwrap();
        assert!(written.has_detail && written.head.live().is_some());
        let earlier = json!({"timestamp": {"N": "-3590000000000"}});
        let earlier = read(&having("INSERT", &earlier)).unwrap();
        assert!(!earlier.has_detail && earlier.head.task.is_earlier);
        for mark in ["deleted", "merged"] {
            let gone = read(&having("MODIFY", &json!({mark: {"BOOL": true}})));
            assert_eq!(gone.unwrap().head.live(), None, "{mark}");
        }
        assert_eq!(read(&record("REMOVE")), None);
        let other = json!({"task_id": {"S": "t"}, "timestamp": {"N": "-2"}});
        assert_eq!(read(&with("INSERT", "/dynamodb/NewImage", other)), None);
        assert!(read_written_head(&with("MODIFY", "/dynamodb", json!(null))).is_err());
    }

    #[test]
    fn the_error_of_an_unreadable_record_names_the_task_and_the_fault() {
        let bad = |pointer| with("MODIFY", pointer, json!(null));
        for (record, words) in [
            (bad("/dynamodb"), "it has no Keys"),
            (bad("/dynamodb/NewImage"), "no NewImage: the stream must"),
            (bad("/dynamodb/OldImage"), "no OldImage: the stream must"),
            (bad("/eventName"), "no eventName"),
            (bad("/dynamodb/NewImage/status"), "status"),
            (
                bad("/dynamodb/OldImage/format"),
                "OldImage is not a valid task",
            ),
            (
                with(
                    "MODIFY",
                    "/dynamodb/NewImage/revision",
                    json!({"BOOL": true}),
                ),
                "revision",
            ),
            (json!(null), "it has no Keys"),
            (json!([1]), "it has no Keys"),
        ] {
            let error = error_of(&record);
            assert!(error.contains(words), "{record}: {error}");
        }
        let named = error_of(&bad("/dynamodb/NewImage/run"));
        assert!(
            named.starts_with("a stream record of task \"t\""),
            "{named}"
        );
    }
}
