//! Reads records of the tasks table's stream. Only the stream shows every write of every task once.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::dynamodb_item::task::{id_of, is_head, read_image};
use super::dynamodb_item::{Item, ItemError};
use crate::model::Task;

/// A write of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskWrite {
    /// The task before the write; `None` if there was none.
    pub previous: Option<Task>,
    /// The task after the write.
    pub next: Task,
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

/// Reads the write of a task from a stream record. Its JSON is the form of Lambda events and of
/// `GetRecords`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html>).
/// Returns `None` for writes of ledgers and history, and for tasks that were deleted or expired.
///
/// # Errors
///
/// [`UnreadableRecord`] if a part is missing or an image is no task. Another attempt will not help.
pub fn read_stream_record(record: &Value) -> Result<Option<TaskWrite>, UnreadableRecord> {
    let change = record.get("dynamodb");
    let item = |name: &str| change.and_then(|change| change.get(name)).and_then(item);
    let keys = item("Keys").unwrap_or_default();
    let unreadable = |cause| UnreadableRecord {
        task_id: id_of(&keys),
        cause,
    };
    let image = |name: &'static str| {
        let image = item(name).ok_or_else(|| unreadable(Cause::Missing(name)))?;
        read_image(&image).map_err(|error| unreadable(Cause::Image(name, error)))
    };
    if keys.is_empty() {
        return Err(unreadable(Cause::Missing("Keys")));
    }
    let event_name = record.get("eventName").and_then(Value::as_str);
    if !is_head(&keys) || event_name == Some("REMOVE") {
        return Ok(None);
    }
    let Some(next) = image("NewImage")? else {
        return Ok(None);
    };
    let previous = match event_name {
        Some("INSERT") => None,
        Some("MODIFY") => image("OldImage")?,
        _ => return Err(unreadable(Cause::Missing("eventName"))),
    };
    Ok(Some(TaskWrite { previous, next }))
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

/// Converts the JSON of an attribute. Heads have only strings and numbers, so every other type
/// becomes null, which fails where a string or number is required.
fn attribute(json: &Value) -> AttributeValue {
    let text = |kind| json.get(kind).and_then(Value::as_str).map(str::to_owned);
    match (text("S"), text("N")) {
        (Some(text), None) => AttributeValue::S(text),
        (None, Some(number)) => AttributeValue::N(number),
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
            "format": {"N": "1"}, "task_id": {"S": "t"}, "timestamp": {"N": "0"},
            "task_name": {"S": "Task t"}, "task_type": {"S": "build"}, "status": {"S": "running"},
            "run": {"S": "2026-11-21T09:30:00.000Z"}, "revision": {"N": "3"},
            "created_at": {"S": "2026-11-21T09:30:00.000Z"},
            "updated_at": {"S": "2026-11-21T09:31:00.000Z#t"},
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

    #[test]
    fn a_write_of_a_head_has_the_task_before_and_after() {
        let status = json!({"S": "completed"});
        let record = with("MODIFY", "/dynamodb/NewImage/status", status);
        let write = read_stream_record(&record).unwrap().unwrap();
        assert_eq!(write.previous.unwrap().status, TaskStatus::Running);
        assert_eq!(write.next.status, TaskStatus::Completed);
        assert_eq!(write.next.task_id.as_str(), "t");
    }

    #[test]
    fn a_created_task_has_no_previous_state() {
        let write = read_stream_record(&record("INSERT")).unwrap().unwrap();
        assert_eq!(write.previous, None);
    }

    #[test]
    fn records_of_other_items_and_removals_are_skipped() {
        let removal = json!({"Keys": {"task_id": {"S": "t"}, "timestamp": {"N": "0"}}});
        for record in [
            with("MODIFY", "/dynamodb/Keys/timestamp", json!({"N": "-1"})),
            with("INSERT", "/dynamodb/Keys/timestamp", json!({"N": "179"})),
            record("REMOVE"),
            with("REMOVE", "/dynamodb", removal),
        ] {
            assert_eq!(read_stream_record(&record), Ok(None), "{record}");
        }
    }

    #[test]
    fn a_tombstone_is_no_task_before_or_after_a_write() {
        let mut tombstone = head();
        tombstone.as_object_mut().unwrap().remove("task_name");
        let deletion = with("MODIFY", "/dynamodb/NewImage", tombstone.clone());
        assert_eq!(read_stream_record(&deletion), Ok(None));
        let created_again = with("MODIFY", "/dynamodb/OldImage", tombstone);
        let write = read_stream_record(&created_again).unwrap().unwrap();
        assert_eq!(write.previous, None);
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
