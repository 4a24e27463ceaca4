//! Stream: Lambda passes records of the tasks table's stream to the publisher.

use async_trait::async_trait;
use serde_json::Value;

use crate::handler::{Handler, InvokeError};
use crate::invocation::Invocation;
use crate::publisher::Publisher;
use crate::summary::Summary;
use crate::trigger::InvalidTrigger;

/// Records of the tasks table's stream.
///
/// They are parsed one by one while they are published: an unreadable record must not hold up the
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecords {
    /// The records as Lambda passes them, oldest first.
    pub records: Vec<Value>,
}

impl StreamRecords {
    /// Matches an object whose `Records` has at least one record of DynamoDB.
    pub fn of(lambda_event: &Value) -> Option<Self> {
        let records = lambda_event.get("Records").and_then(Value::as_array);
        let is_from_dynamodb = |record: &Value| record["eventSource"] == "aws:dynamodb";
        let records = records.filter(|records| records.iter().any(is_from_dynamodb));
        records.cloned().map(|records| Self { records })
    }
}

#[async_trait(?Send)]
impl Handler for Publisher {
    /// Publishes what the records tell.
    ///
    /// # Errors
    ///
    /// [`InvalidTrigger`] for any other event.
    async fn handle_event(
        &self,
        lambda_event: &Value,
        invocation: Invocation,
    ) -> Result<Summary, InvokeError> {
        let event = StreamRecords::of(lambda_event).ok_or_else(|| InvalidTrigger::Unknown {
            expected: "`Records` of a DynamoDB stream".to_owned(),
        })?;
        Ok(self.follow(&event.records, invocation).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_are_kept_as_lambda_passes_them() {
        let records = json!([{"eventSource": "aws:dynamodb", "dynamodb": {}}, "rubbish"]);
        let event = StreamRecords::of(&json!({"Records": records}));
        let records = records.as_array().unwrap().clone();
        assert_eq!(event, Some(StreamRecords { records }));
        assert_eq!(StreamRecords::of(&json!({"Records": []})), None);
        let other = json!({"Records": [{"eventSource": "aws:sqs"}]});
        assert_eq!(StreamRecords::of(&other), None);
    }
}
