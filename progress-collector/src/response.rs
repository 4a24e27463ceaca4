//! The function's response, in the form that Lambda expects.

use serde::Serialize;

use crate::summary::Summary;

/// The function's response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FunctionResponse {
    /// A summary, for people and scripts that invoke the function.
    Summary(Summary),
    /// A partial batch response
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>),
    /// for records of streams and messages of queues. Lambda accepts no other fields, so the summary is
    /// only in the log and the metrics.
    PartialBatch {
        /// The records that failed. Of a stream, it is the first one: Lambda passes that record and all
        /// after it again. Of a queue, Lambda passes these alone.
        #[serde(rename = "batchItemFailures")]
        failures: Vec<BatchItemFailure>,
    },
}

/// A record that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchItemFailure {
    /// Its sequence number in a stream, or its message id.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

impl From<Summary> for FunctionResponse {
    fn from(summary: Summary) -> Self {
        let failed: Vec<String> = match (&summary.published, &summary.failed_records) {
            (Some(published), _) => published.retry_from.clone().into_iter().collect(),
            (None, Some(failed)) => failed.clone(),
            (None, None) => return Self::Summary(summary),
        };
        let failures = failed.into_iter().map(|id| BatchItemFailure { id });
        Self::PartialBatch {
            failures: failures.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::PublishSummary;
    use serde_json::{Value, json};

    fn response(retry_from: Option<&str>) -> Value {
        let published = PublishSummary {
            records: 3,
            retry_from: retry_from.map(str::to_owned),
            ..PublishSummary::default()
        };
        let summary = Summary::of_publishing("stream", published);
        serde_json::to_value(FunctionResponse::from(summary)).unwrap()
    }

    #[test]
    fn stream_records_get_a_partial_batch_response() {
        assert_eq!(response(None), json!({"batchItemFailures": []}));
        let failed = json!({"batchItemFailures": [{"itemIdentifier": "42"}]});
        assert_eq!(response(Some("42")), failed);
    }

    #[test]
    fn other_triggers_get_a_summary() {
        let response = FunctionResponse::from(Summary::new("sweep", Vec::new()));
        let expected = json!({
            "trigger": "sweep", "groups": [], "runs_silent": 0, "fallback_used": false,
            "duration_ms": 0,
        });
        assert_eq!(serde_json::to_value(response).unwrap(), expected);
    }
}
