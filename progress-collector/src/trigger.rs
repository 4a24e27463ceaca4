//! What an invocation is for.

use std::io::Read;

use aws_lambda_events::cloudwatch_logs::LogData;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use shared::log_event::LogEvent;
use shared::model::Timestamp;

/// The most that a pushed payload may hold once unpacked, in bytes. CloudWatch Logs packs at most 1 MB, which
/// text fills about ten times over; what unpacks to more is no honest payload.
const MAX_PAYLOAD_BYTES: u64 = 64 * 1024 * 1024;

/// What an invocation is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// Read every log group from its checkpoint.
    Sweep,
    /// Read a window of one log group; checkpoints stay as they are.
    Backfill {
        /// The log group, one of those configured.
        log_group: String,
        /// The first moment.
        start: Timestamp,
        /// The last moment, included.
        end: Timestamp,
    },
    /// Take what a subscription has pushed.
    Push(PushedEvents),
    /// Tell others of the transitions among these records of the tasks table's stream. They are read one by one: one
    /// that can't be read must not hold up the others.
    Stream(Vec<Value>),
}

/// Events of one log stream, as a subscription pushes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushedEvents {
    /// The log group.
    pub log_group: String,
    /// The events; none of a control message.
    pub events: Vec<LogEvent>,
}

/// An event that is no trigger. Running it again will not help.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTrigger {
    /// It is nothing that the collector knows.
    #[error(
        "the event is no trigger: expected a schedule, a subscription's \"awslogs\", \
         {{\"log_group\", \"start_time\", \"end_time\"}}, or \"Records\" of a DynamoDB stream"
    )]
    Unknown,
    /// A field is missing or has a wrong value.
    #[error("{field} must be {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// The subscription's payload can't be unpacked.
    #[error("awslogs.data can't be unpacked")]
    Payload(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Finds out what an invocation's event asks for.
///
/// A schedule's event, or an empty object, is a sweep; an object with a `log_group` is a backfill; one with
/// `awslogs` is a push; one with `Records` of which any is DynamoDB's is a part of its stream.
pub fn parse_trigger(event: &Value) -> Result<Trigger, InvalidTrigger> {
    let object = event.as_object().ok_or(InvalidTrigger::Unknown)?;
    if let Some(logs) = object.get("awslogs") {
        let data = logs.get("data").and_then(Value::as_str);
        let expected = "base64 of gzip of JSON";
        return unpack(data.ok_or(InvalidTrigger::Field {
            field: "awslogs.data",
            expected,
        })?)
        .map(Trigger::Push);
    }
    if let Some(Value::Array(records)) = object.get("Records") {
        let is_of_dynamodb = |record: &Value| record["eventSource"] == "aws:dynamodb";
        if records.iter().any(is_of_dynamodb) {
            return Ok(Trigger::Stream(records.clone()));
        }
    }
    let is_window = ["log_group", "start_time", "end_time"]
        .iter()
        .any(|key| object.contains_key(*key));
    if is_window {
        return backfill(event);
    }
    let source = object.get("source").and_then(Value::as_str);
    if object.is_empty() || matches!(source, Some("aws.events" | "aws.scheduler")) {
        return Ok(Trigger::Sweep);
    }
    Err(InvalidTrigger::Unknown)
}

fn backfill(event: &Value) -> Result<Trigger, InvalidTrigger> {
    let log_group = event
        .get("log_group")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    let log_group = log_group.ok_or(InvalidTrigger::Field {
        field: "log_group",
        expected: "the name of a log group",
    })?;
    let time = |field| {
        let expected = "a time in milliseconds since 1970";
        let time = event
            .get(field)
            .and_then(Value::as_i64)
            .filter(|time| *time >= 0);
        time.map(Timestamp::from_millis)
            .ok_or(InvalidTrigger::Field { field, expected })
    };
    let (start, end) = (time("start_time")?, time("end_time")?);
    if end < start {
        return Err(InvalidTrigger::Field {
            field: "end_time",
            expected: "not before start_time",
        });
    }
    Ok(Trigger::Backfill {
        log_group: log_group.to_owned(),
        start,
        end,
    })
}

fn unpack(data: &str) -> Result<PushedEvents, InvalidTrigger> {
    let packed = STANDARD
        .decode(data)
        .map_err(|error| InvalidTrigger::Payload(error.into()))?;
    let mut json = Vec::new();
    // One byte more than allowed tells a payload that is too large from one that just fits.
    let mut unpacked = MultiGzDecoder::new(packed.as_slice()).take(MAX_PAYLOAD_BYTES + 1);
    unpacked
        .read_to_end(&mut json)
        .map_err(|error| InvalidTrigger::Payload(error.into()))?;
    if u64::try_from(json.len()).unwrap_or(u64::MAX) > MAX_PAYLOAD_BYTES {
        return Err(InvalidTrigger::Payload(
            "it unpacks to more than 64 MiB".into(),
        ));
    }
    let data: LogData =
        serde_json::from_slice(&json).map_err(|error| InvalidTrigger::Payload(error.into()))?;
    if data.message_type != "DATA_MESSAGE" {
        return Ok(PushedEvents {
            log_group: data.log_group,
            events: Vec::new(),
        });
    }
    let log_stream = data.log_stream;
    let events = data.log_events.into_iter().map(|event| LogEvent {
        log_stream: log_stream.clone(),
        timestamp: Timestamp::from_millis(event.timestamp),
        event_id: event.id,
        message: event.message,
    });
    Ok(PushedEvents {
        log_group: data.log_group,
        events: events.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;
    use std::io::Write;

    fn pushed(payload: &[u8]) -> Result<Trigger, InvalidTrigger> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(payload).unwrap();
        let data = STANDARD.encode(packed.finish().unwrap());
        parse_trigger(&json!({"awslogs": {"data": data}}))
    }

    fn error_of(event: &Value) -> String {
        shared::error::error_chain(&parse_trigger(event).unwrap_err())
    }

    #[test]
    fn schedules_sweep() {
        let scheduled =
            json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        for event in [json!({}), scheduled, json!({"source": "aws.scheduler"})] {
            assert_eq!(parse_trigger(&event).unwrap(), Trigger::Sweep);
        }
    }

    #[test]
    fn a_window_is_checked_field_by_field() {
        let window = json!({"log_group": "/cdk", "start_time": 5, "end_time": 9});
        let (start, end) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        let expected = Trigger::Backfill {
            log_group: "/cdk".to_owned(),
            start,
            end,
        };
        assert_eq!(parse_trigger(&window).unwrap(), expected);
        for (field, value) in [
            ("log_group", json!("")),
            ("start_time", json!("5")),
            ("start_time", json!(-5)),
            ("end_time", json!(4)),
            ("end_time", json!(null)),
        ] {
            let mut window = window.clone();
            window[field] = value;
            assert!(error_of(&window).starts_with(field), "{window}");
        }
    }

    #[test]
    fn records_of_a_stream_are_handed_on_as_they_are() {
        let records = json!([{"eventSource": "aws:dynamodb", "dynamodb": {}}, "rubbish"]);
        let trigger = parse_trigger(&json!({"Records": records})).unwrap();
        let records = records.as_array().unwrap().clone();
        assert_eq!(trigger, Trigger::Stream(records));
    }

    #[test]
    fn what_is_no_trigger_is_said_to_be_none() {
        for event in [
            json!(null),
            json!([1]),
            json!("x"),
            json!({"source": "aws.s3"}),
            json!({"Records": []}),
            json!({"Records": [{"eventSource": "aws:sqs"}, 7]}),
        ] {
            assert!(
                error_of(&event).starts_with("the event is no trigger"),
                "{event}"
            );
        }
    }

    #[test]
    fn a_push_has_events_and_a_control_message_none() {
        let payload = |message_type: &str| {
            json!({
                "messageType": message_type, "owner": "123456789012", "logGroup": "/cdk",
                "logStream": "main", "subscriptionFilters": ["all"],
                "logEvents": [{"id": "7", "timestamp": 5, "message": "Api: deploying..."}],
            })
            .to_string()
        };
        let Ok(Trigger::Push(events)) = pushed(payload("DATA_MESSAGE").as_bytes()) else {
            panic!("expected a push")
        };
        assert_eq!(
            (events.log_group.as_str(), events.events.len()),
            ("/cdk", 1)
        );
        assert_eq!(events.events[0].log_stream, "main");
        let control = pushed(payload("CONTROL_MESSAGE").as_bytes()).unwrap();
        assert!(matches!(control, Trigger::Push(events) if events.events.is_empty()));
    }

    #[test]
    fn a_payload_that_is_broken_or_a_bomb_is_refused() {
        assert!(pushed(b"{").is_err());
        assert!(parse_trigger(&json!({"awslogs": {"data": "H4sI"}})).is_err());
        assert!(parse_trigger(&json!({"awslogs": {"data": 7}})).is_err());
        let bomb = vec![b' '; usize::try_from(MAX_PAYLOAD_BYTES).unwrap() + 1];
        let refused = shared::error::error_chain(&pushed(&bomb).unwrap_err());
        assert!(refused.contains("more than 64 MiB"), "{refused}");
    }
}
