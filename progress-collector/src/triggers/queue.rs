//! Queue: messages of SQS, each a report of an agent or a script.
//!
//! A message is the text of one or more lines, as a log has them. Its log stream is the message attribute
//! `stream`, or else the message group, or else the name of the queue. A message may come in an envelope of
//! SNS.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use shared::batch::Batch;
use shared::error::error_chain;
use shared::ingest::Pace;
use shared::log_event::LogEvent;
use shared::log_parser::LogFormat;
use shared::model::Timestamp;
use tracing::{error, warn};

use crate::collector::{CollectError, Collector};
use crate::invocation::Invocation;
use crate::summary::{GroupSummary, Summary};
use crate::trigger::{InvalidTrigger, Trigger};

/// The longest name of a log stream, in characters.
const MAX_STREAM_CHARS: usize = 512;

/// Messages of one queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Messages {
    /// The messages as Lambda passes them. They are read one by one: one that can't be read must not hold
    /// up the others.
    records: Vec<Value>,
}

/// A message (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    body: String,
    #[serde(rename = "eventSourceARN")]
    queue_arn: String,
    attributes: Attributes,
    #[serde(default)]
    message_attributes: MessageAttributes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    /// Milliseconds since 1970.
    sent_timestamp: String,
    /// Only of FIFO queues.
    message_group_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct MessageAttributes {
    stream: Option<Attribute>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    string_value: String,
}

/// The envelope of a message that a topic of SNS passed on
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>).
#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Message")]
    message: String,
}

/// Why a message can never be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("it has not the form of a message")]
    Form(#[source] serde_json::Error),
    #[error("SentTimestamp must be milliseconds since 1970")]
    SentTimestamp,
    #[error("the message attribute stream must have 1 to {MAX_STREAM_CHARS} characters")]
    Stream,
    #[error("the body must not be empty")]
    EmptyBody,
}

impl Message {
    fn read(record: &Value) -> Result<Self, Unreadable> {
        Self::deserialize(record).map_err(Unreadable::Form)
    }

    /// The log event that the message is. The same message has the same event, whenever it comes.
    fn log_event(&self, now: Timestamp) -> Result<LogEvent, Unreadable> {
        let sent = self.attributes.sent_timestamp.parse();
        let sent = sent.map_err(|_| Unreadable::SentTimestamp)?;
        let text = self.text();
        if text.trim().is_empty() {
            return Err(Unreadable::EmptyBody);
        }
        Ok(LogEvent {
            log_stream: self.log_stream()?.to_owned(),
            timestamp: Timestamp::from_millis(sent),
            ingested_at: now,
            event_id: self.message_id.clone(),
            message: text,
        })
    }

    /// The body, without the envelope of SNS.
    fn text(&self) -> String {
        match serde_json::from_str::<Notification>(&self.body) {
            Ok(envelope) if envelope.kind == "Notification" => envelope.message,
            _ => self.body.clone(),
        }
    }

    fn log_stream(&self) -> Result<&str, Unreadable> {
        let named = self.message_attributes.stream.as_ref();
        let named = named.map(|attribute| attribute.string_value.as_str());
        let named = named.or(self.attributes.message_group_id.as_deref());
        let stream = named.unwrap_or_else(|| self.queue()).trim();
        let is_valid = !stream.is_empty() && stream.chars().count() <= MAX_STREAM_CHARS;
        is_valid.then_some(stream).ok_or(Unreadable::Stream)
    }

    /// The name of the queue.
    fn queue(&self) -> &str {
        let (_, name) = self.queue_arn.rsplit_once(':').unwrap_or_default();
        name
    }
}

#[async_trait(?Send)]
impl Trigger for Messages {
    fn expected() -> &'static str {
        "messages of SQS"
    }

    fn matches(lambda_event: &Value) -> Result<Option<Self>, InvalidTrigger> {
        let records = lambda_event.get("Records").and_then(Value::as_array);
        let is_message = |record: &Value| record["eventSource"] == "aws:sqs";
        let records = records.filter(|records| records.iter().any(is_message));
        Ok(records.cloned().map(|records| Self { records }))
    }

    /// Saves what the messages report. Those that could not be saved come again, and those that can't be
    /// read too, until the queue gives them up: then they are in its dead-letter queue. Of a message group,
    /// all that follow one that comes again come again, too.
    async fn handle(
        &self,
        collector: &Collector,
        Invocation { now, .. }: Invocation,
    ) -> Result<Summary, CollectError> {
        let mut summary = GroupSummary::of(self.name());
        let mut failed = Vec::new();
        let mut batch = Batch::default();
        let mut waiting = Vec::new();
        let mut failed_groups = BTreeSet::new();
        let mut is_down = false;
        for record in &self.records {
            let id = || record["messageId"].as_str().unwrap_or_default().to_owned();
            let group = record["attributes"]["MessageGroupId"].as_str();
            if is_down || group.is_some_and(|group| failed_groups.contains(group)) {
                failed.push(id());
                continue;
            }
            let read = Message::read(record).and_then(|message| message.log_event(now));
            let event = match read {
                Ok(event) => event,
                Err(reason) => {
                    let message_id = id();
                    error!(
                        message_id,
                        error = error_chain(&reason),
                        "a message can't be read"
                    );
                    summary.messages_refused += 1;
                    failed.push(message_id);
                    failed_groups.extend(group);
                    continue;
                }
            };
            let format = LogFormat::ANY;
            summary.count_event(batch.add(format, format.file_log_group, &event));
            waiting.push(id());
            if batch.is_full() {
                is_down = save(collector, &mut batch, now, &mut summary)
                    .await
                    .is_err();
                if is_down {
                    failed.append(&mut waiting);
                }
                waiting.clear();
            }
        }
        if save(collector, &mut batch, now, &mut summary)
            .await
            .is_err()
        {
            failed.append(&mut waiting);
        }
        summary.complete = failed.is_empty();
        Ok(Summary::of_records("queue", summary, failed))
    }
}

impl Messages {
    /// What the summary calls the queue: its name.
    fn name(&self) -> &str {
        let arns = self
            .records
            .iter()
            .filter_map(|record| record["eventSourceARN"].as_str());
        let mut names = arns.filter_map(|arn| Some(arn.rsplit_once(':')?.1));
        names.next().unwrap_or("queue")
    }
}

/// Saves a batch, and logs why it can't.
async fn save(
    collector: &Collector,
    batch: &mut Batch,
    now: Timestamp,
    summary: &mut GroupSummary,
) -> Result<(), ()> {
    let saved = collector.save(batch, Pace::LIVE, now, summary).await;
    saved.map_err(|failure| {
        warn!(
            error = error_chain(&failure),
            "messages can't be saved: they will come again"
        );
    })
}
