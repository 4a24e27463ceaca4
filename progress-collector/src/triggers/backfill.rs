//! Backfill: reads a window of one log group again, on request.

use async_trait::async_trait;
use serde_json::Value;
use shared::model::Timestamp;

use crate::collector::{CollectError, Collector};
use crate::invocation::Invocation;
use crate::summary::{GroupSummary, Summary};
use crate::trigger::{InvalidTrigger, Trigger};
use crate::window::{Window, WindowEnd};

/// A request to read a window of one log group. Checkpoints stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// The log group, one of those configured.
    pub log_group: String,
    /// The first moment.
    pub start: Timestamp,
    /// The last moment, included.
    pub end: Timestamp,
}

#[async_trait(?Send)]
impl Trigger for Backfill {
    fn expected() -> &'static str {
        "an object with `log_group`, `start_time` and `end_time`"
    }

    /// Matches an object with any of `log_group`, `start_time` and `end_time`. All three are
    /// required.
    fn matches(lambda_event: &Value) -> Result<Option<Self>, InvalidTrigger> {
        let has_field = |field: &&str| lambda_event.get(field).is_some();
        if !["log_group", "start_time", "end_time"]
            .iter()
            .any(has_field)
        {
            return Ok(None);
        }
        let log_group = lambda_event
            .get("log_group")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty());
        let log_group = log_group.ok_or(InvalidTrigger::Field {
            field: "log_group",
            expected: "the name of a log group",
        })?;
        let start = time(lambda_event, "start_time")?;
        let end = time(lambda_event, "end_time")?;
        if end < start {
            return Err(InvalidTrigger::Field {
                field: "end_time",
                expected: "not before start_time",
            });
        }
        Ok(Some(Self {
            log_group: log_group.to_owned(),
            start,
            end,
        }))
    }

    /// Reads the window, and saves the tasks that its lines report.
    async fn handle(
        &self,
        collector: &Collector,
        invocation: Invocation,
    ) -> Result<Summary, CollectError> {
        let mut summary = GroupSummary::of(&self.log_group);
        if let Some(group) = collector.group(&self.log_group) {
            let window = Window {
                group,
                start: self.start,
                end: self.end,
                page_token: None,
                read_up_to: None,
                max_pages: None,
            };
            let end = window.read(collector, invocation, &mut summary).await?;
            summary.complete = end == WindowEnd::Complete;
        } else {
            summary.error = Some("the log group is not configured".to_owned());
        }
        Ok(Summary::new("backfill", vec![summary]))
    }
}

fn time(lambda_event: &Value, field: &'static str) -> Result<Timestamp, InvalidTrigger> {
    let millis = lambda_event.get(field).and_then(Value::as_i64);
    let millis = millis.filter(|millis| *millis >= 0);
    let expected = "a time in milliseconds since 1970";
    let time = millis.map(Timestamp::from_millis);
    time.ok_or(InvalidTrigger::Field { field, expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_field_of_a_window_is_checked() {
        let window = json!({"log_group": "/cdk", "start_time": 5, "end_time": 9});
        let expected = Backfill {
            log_group: "/cdk".to_owned(),
            start: Timestamp::from_millis(5),
            end: Timestamp::from_millis(9),
        };
        assert_eq!(Backfill::matches(&window).unwrap(), Some(expected));
        for (field, value) in [
            ("log_group", json!("")),
            ("start_time", json!("5")),
            ("start_time", json!(-5)),
            ("end_time", json!(4)),
            ("end_time", json!(null)),
        ] {
            let mut window = window.clone();
            window[field] = value;
            let error = Backfill::matches(&window).unwrap_err();
            assert!(error.to_string().starts_with(field), "{window}: {error}");
        }
    }

    #[test]
    fn an_event_without_a_window_is_not_a_backfill() {
        for event in [json!({}), json!(["log_group"]), json!("log_group")] {
            assert_eq!(Backfill::matches(&event).unwrap(), None, "{event}");
        }
    }
}
