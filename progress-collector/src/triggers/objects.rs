//! Objects: a log that was stored whole in S3, plain or packed by gzip, is read once.

mod text;

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::StreamExt as _;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use shared::batch::Batch;
use shared::error::{Source, error_chain};
use shared::ingest::{IngestCounts, Pace};
use shared::log_link::BUCKET;
use shared::log_parser::LogFormat;
use shared::model::{TaskId, Timestamp};
use shared::object_source::{Object, ObjectError, ObjectName};
use tracing::error;

use self::text::{Text, TextError};
use crate::collector::{CollectError, Collector};
use crate::invocation::Invocation;
use crate::summary::{GroupSummary, Summary};
use crate::trigger::{InvalidTrigger, Trigger};

/// The most bytes of an object, as it is stored.
const MAX_BYTES: u64 = 100 * 1024 * 1024;
/// Ends of names that say nothing of the run.
const EXTENSIONS: [&str; 4] = [".gz", ".log", ".txt", ".json"];

/// Objects that were created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    created: Vec<Created>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Created {
    name: ObjectName,
    bytes: u64,
}

/// A record of a notification
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    s3: Detail,
}

/// The detail of an event of EventBridge
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>), and a part of a [`Record`].
#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: StoredObject,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct StoredObject {
    key: String,
    #[serde(default)]
    size: u64,
    #[serde(alias = "versionId", rename = "version-id")]
    version: Option<String>,
}

impl Detail {
    fn created(self, key: String) -> Created {
        let name = ObjectName {
            bucket: self.bucket.name,
            key,
            version: self.object.version.filter(|version| !version.is_empty()),
        };
        let bytes = self.object.size;
        Created { name, bytes }
    }
}

/// Why an object is not read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Object(#[from] ObjectError),
}

#[async_trait(?Send)]
impl Trigger for Objects {
    fn expected() -> &'static str {
        "created objects of S3"
    }

    /// Matches notifications of S3, and events that S3 sends to EventBridge. Of other changes than
    /// creations it takes no object.
    fn matches(lambda_event: &Value) -> Result<Option<Self>, InvalidTrigger> {
        let invalid = |error: serde_json::Error| InvalidTrigger::Payload {
            field: "the object of S3",
            source: Source::from(error),
        };
        if lambda_event["source"] == "aws.s3" && lambda_event["detail"].is_object() {
            let is_creation = lambda_event["detail-type"] == "Object Created";
            let detail = Detail::deserialize(&lambda_event["detail"]).map_err(invalid)?;
            let key = detail.object.key.clone(); // encoded in notifications alone
            let created = is_creation.then(|| detail.created(key));
            return Ok(Some(Self {
                created: created.into_iter().collect(),
            }));
        }
        let records = lambda_event.get("Records").and_then(Value::as_array);
        let is_of_s3 = |record: &Value| record["eventSource"] == "aws:s3";
        let Some(records) = records.filter(|records| records.iter().any(is_of_s3)) else {
            return Ok(None);
        };
        let mut created = Vec::new();
        for record in records {
            let Record { event_name, s3 } = Record::deserialize(record).map_err(invalid)?;
            if event_name.starts_with("ObjectCreated") {
                let key = decoded(&s3.object.key);
                created.push(s3.created(key));
            }
        }
        Ok(Some(Self { created }))
    }

    /// Reads each object to its end, and saves what it says. An object that comes twice changes nothing.
    async fn handle(
        &self,
        collector: &Collector,
        Invocation { now, .. }: Invocation,
    ) -> Result<Summary, CollectError> {
        let mut groups = Vec::new();
        for object in &self.created {
            let mut summary = GroupSummary::of(&log_group_of(&object.name));
            match read(collector, object, now, &mut summary).await? {
                Ok(()) => summary.complete = true,
                Err(Unread::Object(failure @ ObjectError::Unavailable { .. })) => {
                    return Err(failure.into());
                }
                Err(reason) => {
                    let ObjectName { bucket, key, .. } = &object.name;
                    let reason = error_chain(&reason);
                    error!(bucket, key, error = reason, "an object is not read");
                    summary.messages_refused = 1;
                    summary.error = Some(reason);
                }
            }
            groups.push(summary);
        }
        Ok(Summary::new("objects", groups))
    }
}

/// Reads one object. The outer error means that trying again may help.
async fn read(
    collector: &Collector,
    object: &Created,
    now: Timestamp,
    summary: &mut GroupSummary,
) -> Result<Result<(), Unread>, CollectError> {
    if object.bytes > MAX_BYTES {
        return Ok(Err(Unread::TooLarge));
    }
    let Object { modified, mut body } = match collector.parts.objects.open(&object.name).await {
        Ok(opened) => opened,
        Err(failure) => return Ok(Err(failure.into())),
    };
    let log_group = log_group_of(&object.name);
    let log_stream = log_stream_of(&object.name.key);
    let mut reading = Reading {
        collector,
        now,
        log_group,
        batch: Batch::default(),
        counts: IngestCounts::default(),
        is_begun: false,
        tasks: BTreeSet::new(),
        summary,
    };
    let mut text = Text::new(log_stream, modified, now);
    let mut bytes = 0;
    loop {
        let chunk = match body.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => {
                return Ok(Err(ObjectError::unavailable(&object.name, error).into()));
            }
            None => break,
        };
        bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if bytes > MAX_BYTES {
            return Ok(Err(Unread::TooLarge));
        }
        if let Err(reason) = text.add(&chunk) {
            return Ok(Err(reason.into()));
        }
        reading.take(&mut text, false).await?;
    }
    if let Err(reason) = text.finish() {
        return Ok(Err(reason.into()));
    }
    reading.take(&mut text, true).await?;
    reading.end().await?;
    Ok(Ok(()))
}

/// Saves what an object says.
struct Reading<'a> {
    collector: &'a Collector,
    now: Timestamp,
    log_group: String,
    batch: Batch,
    counts: IngestCounts,
    /// Whether a line was read.
    is_begun: bool,
    /// The tasks that it reports.
    tasks: BTreeSet<TaskId>,
    summary: &'a mut GroupSummary,
}

impl Reading<'_> {
    /// Takes the lines that are whole, and a last one without its end if `is_end`.
    async fn take(&mut self, text: &mut Text, is_end: bool) -> Result<(), CollectError> {
        for event in text.take_events(is_end) {
            let format = LogFormat::ANY;
            // An object that was overwritten is another run.
            if !std::mem::replace(&mut self.is_begun, true) {
                self.batch.restart(format, &self.log_group, &event);
            }
            let counts = self.batch.add(format, &self.log_group, &event);
            self.summary.count_event(counts);
            if self.batch.is_full() {
                self.save().await?;
            }
        }
        Ok(())
    }

    async fn save(&mut self) -> Result<(), CollectError> {
        let ingest = &self.collector.ingest;
        let saved = ingest.save(&mut self.batch, Pace::LIVE, self.now, &mut self.counts);
        saved.await?;
        let saved = self.counts.saved.drain(..);
        self.tasks.extend(saved.map(|saved| saved.run_id.task_id));
        Ok(())
    }

    /// Saves the rest. Nothing follows, so the runs end as their last lines say.
    async fn end(mut self) -> Result<(), CollectError> {
        self.save().await?;
        for task_id in &self.tasks {
            let ingest = &self.collector.ingest;
            let ended = ingest.end_of_log(task_id, self.now, &mut self.counts);
            ended.await?;
        }
        self.summary.count_saved(self.counts);
        Ok(())
    }
}

/// The name of the log group of an object: its bucket.
fn log_group_of(name: &ObjectName) -> String {
    format!("{BUCKET}{}", name.bucket)
}

/// The name of the log stream of an object: its key without extensions.
fn log_stream_of(key: &str) -> String {
    let mut name = key.trim_matches('/');
    while let Some(shorter) = EXTENSIONS.iter().find_map(|end| name.strip_suffix(end)) {
        if shorter.is_empty() || shorter.ends_with('/') {
            break;
        }
        name = shorter;
    }
    name.to_owned()
}

/// A key as notifications write it: a space is `+`, other characters are percent-encoded.
fn decoded(key: &str) -> String {
    let spaces = key.replace('+', " ");
    percent_decode_str(&spaces).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(event: &Value) -> Vec<String> {
        let objects = Objects::matches(event)
            .unwrap()
            .unwrap()
            .created
            .into_iter();
        objects.map(|object| object.name.key).collect()
    }

    #[test]
    fn keys_of_notifications_are_decoded_and_those_of_events_are_not() {
        let record = |name: &str, key: &str| {
            json!({
                "eventSource": "aws:s3", "eventName": name,
                "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1, "versionId": "v"}},
            })
        };
        let records = json!({"Records": [
            record("ObjectCreated:Put", "a+b%2Bc/%C3%BC.log"), record("ObjectRemoved:Delete", "gone"),
            record("ObjectCreated:Copy", "100%"),
        ]});
        assert_eq!(keys(&records), ["a b+c/ü.log", "100%"]);
        let event = json!({
            "source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b", "size": 1}},
        });
        assert_eq!(keys(&event), ["a+b"]);
        let mut deleted = event;
        deleted["detail-type"] = json!("Object Deleted");
        assert!(keys(&deleted).is_empty());
    }

    #[test]
    fn an_object_without_a_name_is_refused() {
        let event =
            json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]});
        assert!(Objects::matches(&event).is_err());
        let event = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {}});
        assert!(Objects::matches(&event).is_err());
        assert_eq!(
            Objects::matches(&json!({"source": "aws.s3"})).unwrap(),
            None
        );
    }

    #[test]
    fn a_stream_has_the_name_of_the_object_without_extensions() {
        for (key, expected) in [
            ("builds/7.log.gz", "builds/7"),
            ("/x.txt", "x"),
            ("logs/.gz", "logs/.gz"),
            ("v1.2", "v1.2"),
        ] {
            assert_eq!(log_stream_of(key), expected);
        }
    }
}
