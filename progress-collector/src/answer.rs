//! What an invocation answers.

use serde::Serialize;

use crate::summary::Summary;

/// What an invocation answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To whoever wants to know what was done.
    Summary(Summary),
    /// To Lambda, which has handed over records of a stream, and reads the answer
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>): nothing more than it
    /// knows is in it. What was done is in the log and the metrics.
    Records {
        /// The records that have failed. Lambda hands over again all from the first of these on.
        #[serde(rename = "batchItemFailures")]
        failures: Vec<RecordFailure>,
    },
}

/// A record that has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordFailure {
    /// Its sequence number.
    #[serde(rename = "itemIdentifier")]
    pub sequence_number: String,
}

impl Answer {
    /// The answer to what was handed over, when this was done with it.
    pub fn of(summary: Summary) -> Self {
        match summary.events {
            None => Self::Summary(summary),
            Some(events) => {
                let first = events.again_from.into_iter();
                let failures = first.map(|sequence_number| RecordFailure { sequence_number });
                Self::Records {
                    failures: failures.collect(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::EventsSummary;
    use serde_json::{Value, json};

    fn answer(again_from: Option<&str>) -> Value {
        let events = EventsSummary {
            records: 3,
            again_from: again_from.map(str::to_owned),
            ..EventsSummary::default()
        };
        serde_json::to_value(Answer::of(Summary::of_events(events))).unwrap()
    }

    #[test]
    fn records_are_answered_in_lambdas_words_and_no_others() {
        assert_eq!(answer(None), json!({"batchItemFailures": []}));
        let failed = json!({"batchItemFailures": [{"itemIdentifier": "42"}]});
        assert_eq!(answer(Some("42")), failed);
    }

    #[test]
    fn logs_are_answered_with_a_summary() {
        let answer = Answer::of(Summary::new("sweep", Vec::new()));
        let expected = json!({
            "trigger": "sweep", "groups": [], "fallback_used": false, "duration_ms": 0,
        });
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }
}
