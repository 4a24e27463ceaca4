//! The table of triggers: every kind of event that invokes the collector. The publisher has one kind
//! of its own, [`stream`].
//!
//! To add a trigger, write `triggers/<name>.rs` with a type that implements [`Trigger`], and name
//! it here twice: its module, and its line in [`TRIGGERS`]. Nothing else in this crate changes. A
//! sample of its event belongs in `events/collector/`, and the event's source in `template.yaml`.

pub mod backfill;
pub mod objects;
pub mod push;
pub mod queue;
pub mod stream;
pub mod sweep;

use serde_json::Value;

use crate::trigger::{InvalidTrigger, Trigger};

/// Parses an event; `None` if it is of another kind.
pub type Matches = fn(&Value) -> Result<Option<Box<dyn Trigger>>, InvalidTrigger>;

/// An entry of the table.
#[derive(Debug)]
pub struct TriggerKind {
    /// See [`Trigger::expected`].
    pub expected: fn() -> &'static str,
    /// See [`Trigger::matches`].
    pub matches: Matches,
}

/// All triggers. The first one that matches an event handles it.
pub const TRIGGERS: &[TriggerKind] = &[
    kind::<push::Push>(),
    kind::<queue::Messages>(),
    kind::<objects::Objects>(),
    kind::<backfill::Backfill>(),
    kind::<sweep::Sweep>(),
];

/// Finds the trigger of an event.
///
/// # Errors
///
/// [`InvalidTrigger`] if no trigger matches, or if the payload is invalid.
pub fn parse_trigger(lambda_event: &Value) -> Result<Box<dyn Trigger>, InvalidTrigger> {
    for kind in TRIGGERS {
        if let Some(trigger) = (kind.matches)(lambda_event)? {
            return Ok(trigger);
        }
    }
    let expected: Vec<_> = TRIGGERS.iter().map(|kind| (kind.expected)()).collect();
    let expected = expected.join(", or ");
    Err(InvalidTrigger::Unknown { expected })
}

const fn kind<T: Trigger + 'static>() -> TriggerKind {
    TriggerKind {
        expected: T::expected,
        matches: |lambda_event| {
            let trigger = T::matches(lambda_event)?;
            Ok(trigger.map(|trigger| Box::new(trigger) as Box<dyn Trigger>))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_that_no_trigger_matches_is_unknown() {
        for event in [
            json!(null),
            json!([1]),
            json!("x"),
            json!({"source": "aws.s3"}),
            json!({"Records": []}),
            json!({"Records": [{"eventSource": "aws:ses"}, 7]}),
            // These are for the publisher. Lambda passes them again until it gets them.
            json!({"Records": [{"eventSource": "aws:dynamodb"}]}),
        ] {
            let error = parse_trigger(&event).unwrap_err();
            let is_unknown = matches!(error, InvalidTrigger::Unknown { .. });
            assert!(is_unknown, "{event}: {error}");
            assert!(error.to_string().contains("a schedule"), "{error}");
        }
    }
}
