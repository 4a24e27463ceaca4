//! Push: a CloudWatch Logs subscription delivers log events within seconds.

mod payload;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use shared::batch::Batch;
use shared::error::Source;
use shared::ingest::Pace;
use shared::log_event::LogEvent;
use shared::model::Timestamp;
use tracing::{error, warn};

use self::payload::{Payload, TooLarge};
use crate::collector::{CollectError, Collector};
use crate::config::LogGroup;
use crate::invocation::Invocation;
use crate::summary::{GroupSummary, Summary};
use crate::trigger::{InvalidTrigger, Trigger};

/// The field with the payload.
const DATA: &str = "awslogs.data";

/// Log events of one log group, as a subscription delivers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Payload(Payload),
    LogEvents {
        log_group: String,
        log_events: Vec<LogEvent>,
    },
}

impl Push {
    /// Creates a push of these log events.
    pub fn new(log_group: impl Into<String>, log_events: Vec<LogEvent>) -> Self {
        Self {
            content: Content::LogEvents {
                log_group: log_group.into(),
                log_events,
            },
        }
    }

    fn log_group(&self) -> &str {
        match &self.content {
            Content::Payload(payload) => payload.log_group(),
            Content::LogEvents { log_group, .. } => log_group,
        }
    }

    /// The log events; none in a control message. The last one is an error if there are more that
    /// are too large.
    fn log_events(&self) -> Box<dyn Iterator<Item = Result<LogEvent, TooLarge>> + '_> {
        match &self.content {
            Content::Payload(payload) => Box::new(payload.events()),
            Content::LogEvents { log_events, .. } => Box::new(log_events.iter().cloned().map(Ok)),
        }
    }
}

#[async_trait(?Send)]
impl Trigger for Push {
    fn expected() -> &'static str {
        "the `awslogs` of a subscription"
    }

    /// Matches an object with `awslogs`. Its `data` is JSON, packed by gzip, in base64
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>).
    fn matches(lambda_event: &Value) -> Result<Option<Self>, InvalidTrigger> {
        let Some(awslogs) = lambda_event.get("awslogs") else {
            return Ok(None);
        };
        let data = awslogs.get("data").and_then(Value::as_str);
        let data = data.ok_or(InvalidTrigger::Field {
            field: DATA,
            expected: "base64 of gzip of JSON",
        })?;
        let packed = STANDARD.decode(data).map_err(Source::from);
        let payload = packed.and_then(Payload::read);
        let content = payload.map(Content::Payload);
        let push = content.map(|content| Some(Self { content }));
        push.map_err(|source| InvalidTrigger::Payload {
            field: DATA,
            source,
        })
    }

    /// Saves the tasks that the log events report. The checkpoint stays: the next sweep reads the
    /// events again.
    async fn handle(
        &self,
        collector: &Collector,
        invocation: Invocation,
    ) -> Result<Summary, CollectError> {
        let log_group = self.log_group();
        let mut summary = GroupSummary::of(log_group);
        if let Some(group) = collector.group(log_group) {
            self.save(collector, group, invocation.now, &mut summary)
                .await?;
        } else {
            warn!(log_group, "ignored a push: its log group is not configured");
            summary.error = Some("the log group is not configured".to_owned());
        }
        Ok(Summary::new("push", vec![summary]))
    }
}

impl Push {
    /// Saves the tasks. What is too large is left to the next sweep, which reads page by page: it
    /// would fail again if Lambda tried again.
    async fn save(
        &self,
        collector: &Collector,
        group: &LogGroup,
        now: Timestamp,
        summary: &mut GroupSummary,
    ) -> Result<(), CollectError> {
        let mut batch = Batch::default();
        let mut newest = None;
        summary.complete = true;
        for event in self.log_events() {
            let event = match event {
                Ok(event) => event,
                Err(TooLarge { log_stream }) => {
                    let log_group = group.name.as_str();
                    error!(
                        log_group,
                        log_stream, "a push is too large: the next sweep reads the rest"
                    );
                    summary.pushes_cut = 1;
                    summary.complete = false;
                    summary.error = Some("the push is too large".to_owned());
                    break;
                }
            };
            // A subscription does not tell when the events were ingested: seconds ago.
            let event = LogEvent {
                ingested_at: now,
                ..event
            };
            summary.count_event(batch.add(group.format, &group.name, &event));
            if batch.is_full() {
                collector
                    .save(&mut batch, Pace::SPARSE, now, summary)
                    .await?;
            }
            newest = Some(event.timestamp);
        }
        summary.lag_ms = newest.map(|newest| now.millis_since(newest));
        collector
            .save(&mut batch, Pace::SPARSE, now, summary)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;
    use std::io::Write;

    fn events_of(push: &Push) -> Vec<Result<LogEvent, TooLarge>> {
        push.log_events().collect()
    }

    fn pushed(payload: &[u8]) -> Result<Option<Push>, InvalidTrigger> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(payload).unwrap();
        let data = STANDARD.encode(packed.finish().unwrap());
        Push::matches(&json!({"awslogs": {"data": data}}))
    }

    #[test]
    fn a_push_has_log_events_and_a_control_message_has_none() {
        let payload = |message_type: &str| {
            json!({
                "messageType": message_type, "owner": "123456789012", "logGroup": "/cdk",
                "logStream": "main", "subscriptionFilters": ["all"],
                "logEvents": [{"id": "7", "timestamp": 5, "message": "Api: deploying..."}],
            })
            .to_string()
        };
        let data = pushed(payload("DATA_MESSAGE").as_bytes()).unwrap().unwrap();
        assert_eq!(data.log_group(), "/cdk");
        let expected = LogEvent {
            log_stream: "main".to_owned(),
            timestamp: Timestamp::from_millis(5),
            ingested_at: Timestamp::from_millis(5),
            event_id: "7".to_owned(),
            message: "Api: deploying...".to_owned(),
        };
        assert_eq!(events_of(&data), [Ok(expected)]);
        let control = pushed(payload("CONTROL_MESSAGE").as_bytes()).unwrap();
        assert_eq!(events_of(&control.unwrap()), []);
    }

    #[test]
    fn a_payload_that_is_broken_or_a_bomb_is_refused() {
        assert!(pushed(b"{").is_err());
        assert!(Push::matches(&json!({"awslogs": {"data": "H4sI"}})).is_err());
        assert!(Push::matches(&json!({"awslogs": {"data": 7}})).is_err());
        let bomb = vec![b' '; 40 * 1024 * 1024];
        let refused = shared::error::error_chain(&pushed(&bomb).unwrap_err());
        assert!(refused.contains("too large"), "{refused}");
        for (field, value) in [
            ("logGroup", json!(7)),
            ("logEvents", json!({})),
            (
                "logEvents",
                json!([{"id": 7, "timestamp": 5, "message": "m"}]),
            ),
            ("logEvents", json!([{"id": "7", "timestamp": 5}])),
        ] {
            let mut payload = payload_of(&json!([]));
            payload[field] = value;
            let refused = pushed(payload.to_string().as_bytes());
            assert!(refused.is_err(), "{payload}");
            payload.as_object_mut().unwrap().remove(field);
            assert!(
                pushed(payload.to_string().as_bytes()).is_err(),
                "no {field}"
            );
        }
        let twice = [payload_of(&json!([])).to_string(), "1".to_owned()].concat();
        assert!(pushed(twice.as_bytes()).is_err());
    }

    fn payload_of(log_events: &Value) -> Value {
        json!({
            "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/cdk",
            "logStream": "main", "subscriptionFilters": ["all"], "logEvents": log_events,
        })
    }

    /// How many events are read, and whether some are not.
    fn read(payload: &str) -> (usize, bool) {
        let push = pushed(payload.as_bytes()).unwrap().unwrap();
        let events = events_of(&push);
        let cut = events.iter().filter(|event| event.is_err()).count();
        (events.len() - cut, cut == 1)
    }

    #[test]
    fn events_are_read_up_to_a_limit_in_any_order_of_fields() {
        let event = r#"{"id":"7","timestamp":5,"message":"}],[{\""}"#;
        let with = |events: &str| {
            let header = r#""messageType":"DATA_MESSAGE","logGroup":"/cdk","logStream":"main""#;
            format!(r#"{{{header},"logEvents":{events}}}"#)
        };
        let list = |count: usize| format!("[{}]", vec![event; count].join(" ,\n "));
        assert_eq!(read(&with("[ ]")), (0, false));
        assert_eq!(read(&with(&list(3))), (3, false));
        let events_first = format!(
            r#"{{"logEvents":{},"logStream":"main","logGroup":"/cdk","messageType":"DATA_MESSAGE"}}"#,
            list(3)
        );
        assert_eq!(read(&events_first), (3, false));
        let all = 40 * 1024 * 1024 / event.len();
        let (count, is_cut) = read(&with(&list(all)));
        assert!(is_cut && count > all / 2 && count < all, "{count} of {all}");
        for (bytes, expected) in [(1024 * 1024, (3, false)), (1024 * 1024 + 1, (1, true))] {
            let long = format!(
                r#"{{"id":"7","timestamp":5,"message":"{}"}}"#,
                "x".repeat(bytes)
            );
            assert_eq!(read(&with(&format!("[{event},{long},{event}]"))), expected);
        }
    }

    #[test]
    fn an_event_without_awslogs_is_not_a_push() {
        for event in [json!({}), json!("awslogs"), json!(["awslogs"])] {
            assert_eq!(Push::matches(&event).unwrap(), None, "{event}");
        }
    }
}
