//! Parses the events of AWS Step Functions
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html>).

use super::{item, working};
use crate::log_parser::json::Object;
use crate::log_parser::observation::AgentObservation;
use crate::log_parser::text::clip_some;
use crate::model::TaskStatus;

/// Parses an object; `None` if it is of another format.
pub(super) fn parse(object: &Object<'_>) -> Option<AgentObservation> {
    object.get("execution_arn")?;
    let kind = object.text("type")?;
    let details = object.object("details").unwrap_or_default();
    let status = match kind.as_ref() {
        "ExecutionStarted" => {
            return Some(AgentObservation {
                is_start: true,
                ..working()
            });
        }
        "ExecutionSucceeded" => TaskStatus::Completed,
        "ExecutionFailed" | "ExecutionTimedOut" => TaskStatus::Failed,
        "ExecutionAborted" => TaskStatus::Cancelled,
        kind if kind.ends_with("StateEntered") => {
            return Some(AgentObservation {
                current_step: details.get("name").and_then(item),
                ..working()
            });
        }
        _ => return Some(AgentObservation::default()),
    };
    let texts = [details.text("error"), details.text("cause")];
    let texts: Vec<_> = texts.into_iter().flatten().collect();
    Some(AgentObservation {
        status: Some(status),
        message: clip_some(&texts.join(": ")),
        ..AgentObservation::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_parser::json;

    fn of(text: &str) -> Option<AgentObservation> {
        parse(&json::parse(text).unwrap())
    }

    #[test]
    fn an_execution_starts_enters_states_and_ends() {
        use TaskStatus::{Cancelled, Completed, Failed, Running};
        for (kind, status, is_start) in [
            ("ExecutionStarted", Some(Running), true),
            ("TaskStateEntered", Some(Running), false),
            ("TaskStateExited", None, false),
            ("TaskFailed", None, false),
            ("ExecutionSucceeded", Some(Completed), false),
            ("ExecutionFailed", Some(Failed), false),
            ("ExecutionTimedOut", Some(Failed), false),
            ("ExecutionAborted", Some(Cancelled), false),
        ] {
            let text =
                format!(r#"{{"id":"7","type":"{kind}","execution_arn":"arn:aws:states:x"}}"#);
            let line = of(&text).unwrap();
            assert_eq!((line.status, line.is_start), (status, is_start), "{kind}");
        }
        let entered = r#"{"type":"TaskStateEntered","details":{"name":"Mix"},"execution_arn":"a"}"#;
        assert_eq!(of(entered).unwrap().current_step.as_deref(), Some("Mix"));
        let failed = r#"{"type":"ExecutionFailed","details":{"error":"Paint","cause":"too dry"},
            "execution_arn":"a"}"#;
        assert_eq!(
            of(failed).unwrap().message.as_deref(),
            Some("Paint: too dry")
        );
    }

    #[test]
    fn other_objects_are_of_other_formats() {
        assert_eq!(of(r#"{"type":"ExecutionFailed"}"#), None);
        assert_eq!(of(r#"{"execution_arn":"a"}"#), None);
    }
}
