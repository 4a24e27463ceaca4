//! Push: a CloudWatch Logs subscription delivers log events within seconds.

use std::io::Read;

use async_trait::async_trait;
use aws_lambda_events::cloudwatch_logs::{LogData, LogEntry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use shared::batch::Batch;
use shared::error::Source;
use shared::log_event::LogEvent;
use shared::model::Timestamp;
use tracing::warn;

use crate::collector::{CollectError, Collector};
use crate::invocation::Invocation;
use crate::summary::{GroupSummary, Summary};
use crate::trigger::{InvalidTrigger, Trigger};

/// The field with the payload.
const DATA: &str = "awslogs.data";
/// The largest unpacked payload, in bytes. CloudWatch Logs packs at most 1 MB, and text unpacks to
/// about ten times its packed size. A larger payload does not come from CloudWatch Logs.
const MAX_PAYLOAD_BYTES: u64 = 64 * 1024 * 1024;

/// Log events of one log stream, as a subscription delivers them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Push {
    /// The log group.
    pub log_group: String,
    /// The log events; none in a control message.
    pub log_events: Vec<LogEvent>,
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
        unpack(data).map(Some)
    }

    /// Saves the tasks that the log events report. The checkpoint stays: the next sweep reads the
    /// events again.
    async fn handle(
        &self,
        collector: &Collector,
        invocation: Invocation,
    ) -> Result<Summary, CollectError> {
        let now = invocation.now;
        let mut summary = GroupSummary::of(&self.log_group);
        if let Some(group) = collector.group(&self.log_group) {
            let mut batch = Batch::default();
            for event in &self.log_events {
                // A subscription does not tell when the events were ingested: seconds ago.
                let event = LogEvent {
                    ingested_at: now,
                    ..event.clone()
                };
                summary.count_event(batch.add(group.format, &group.name, &event));
                if batch.is_full() {
                    collector.save(&mut batch, now, &mut summary).await?;
                }
            }
            let newest = self.log_events.last();
            summary.lag_ms = newest.map(|event| now.millis_since(event.timestamp));
            collector.save(&mut batch, now, &mut summary).await?;
            summary.complete = true;
        } else {
            warn!(
                log_group = self.log_group,
                "ignored a push: its log group is not configured"
            );
            summary.error = Some("the log group is not configured".to_owned());
        }
        Ok(Summary::new("push", vec![summary]))
    }
}

fn unpack(data: &str) -> Result<Push, InvalidTrigger> {
    let invalid = |source: Source| InvalidTrigger::Payload {
        field: DATA,
        source,
    };
    let packed = STANDARD
        .decode(data)
        .map_err(|error| invalid(error.into()))?;
    let mut json = Vec::new();
    // One byte beyond the limit tells a payload that is too large from one that just fits.
    let mut unpacked = MultiGzDecoder::new(packed.as_slice()).take(MAX_PAYLOAD_BYTES + 1);
    unpacked
        .read_to_end(&mut json)
        .map_err(|error| invalid(error.into()))?;
    if u64::try_from(json.len()).unwrap_or(u64::MAX) > MAX_PAYLOAD_BYTES {
        return Err(invalid("it unpacks to more than 64 MiB".into()));
    }
    let data: LogData = serde_json::from_slice(&json).map_err(|error| invalid(error.into()))?;
    let is_data = data.message_type == "DATA_MESSAGE";
    let log_stream = data.log_stream;
    let log_event = |event: LogEntry| LogEvent {
        log_stream: log_stream.clone(),
        timestamp: Timestamp::from_millis(event.timestamp),
        ingested_at: Timestamp::from_millis(event.timestamp),
        event_id: event.id,
        message: event.message,
    };
    let log_events = data.log_events.into_iter().filter(|_| is_data);
    Ok(Push {
        log_group: data.log_group,
        log_events: log_events.map(log_event).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;
    use std::io::Write;

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
        assert_eq!(
            (data.log_group.as_str(), data.log_events.len()),
            ("/cdk", 1)
        );
        assert_eq!(data.log_events[0].log_stream, "main");
        let control = pushed(payload("CONTROL_MESSAGE").as_bytes()).unwrap();
        assert_eq!(control.unwrap().log_events, []);
    }

    #[test]
    fn a_payload_that_is_broken_or_a_bomb_is_refused() {
        assert!(pushed(b"{").is_err());
        assert!(Push::matches(&json!({"awslogs": {"data": "H4sI"}})).is_err());
        assert!(Push::matches(&json!({"awslogs": {"data": 7}})).is_err());
        let bomb = vec![b' '; usize::try_from(MAX_PAYLOAD_BYTES).unwrap() + 1];
        let refused = shared::error::error_chain(&pushed(&bomb).unwrap_err());
        assert!(refused.contains("more than 64 MiB"), "{refused}");
    }

    #[test]
    fn an_event_without_awslogs_is_not_a_push() {
        for event in [json!({}), json!("awslogs"), json!(["awslogs"])] {
            assert_eq!(Push::matches(&event).unwrap(), None, "{event}");
        }
    }
}
