//! Stream: Lambda passes records of the tasks table's stream. The collector publishes the transitions
//! among them, and takes expired runs out of the metrics.

use async_trait::async_trait;
use serde_json::Value;
use shared::view::Renderer;

use crate::collector::{CollectError, Collector};
use crate::invocation::Invocation;
use crate::publish::follow_changes;
use crate::summary::{PublishSummary, Summary};
use crate::trigger::{InvalidTrigger, Trigger};

/// Records of the tasks table's stream.
///
/// They are parsed one by one while they are published: an unreadable record must not hold up the
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecords {
    /// The records as Lambda passes them, oldest first.
    pub records: Vec<Value>,
}

#[async_trait(?Send)]
impl Trigger for StreamRecords {
    fn expected() -> &'static str {
        "`Records` of a DynamoDB stream"
    }

    /// Matches an object whose `Records` has at least one record of DynamoDB.
    fn matches(lambda_event: &Value) -> Result<Option<Self>, InvalidTrigger> {
        let records = lambda_event.get("Records").and_then(Value::as_array);
        let is_from_dynamodb = |record: &Value| record["eventSource"] == "aws:dynamodb";
        let records = records.filter(|records| records.iter().any(is_from_dynamodb));
        Ok(records.cloned().map(|records| Self { records }))
    }

    /// Publishes an event for each transition, if there is an event bus, and takes expired runs out
    /// of the metrics.
    async fn handle(
        &self,
        collector: &Collector,
        invocation: Invocation,
    ) -> Result<Summary, CollectError> {
        let mut summary = PublishSummary::of(&self.records);
        let renderer = Renderer::new(collector.config.stale_after);
        let tasks = collector.parts.tasks.as_ref();
        let sink = collector.event_sink.as_deref();
        follow_changes(
            tasks,
            sink,
            &self.records,
            renderer,
            invocation,
            &mut summary,
        )
        .await;
        Ok(Summary::of_publishing("stream", summary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_are_kept_as_lambda_passes_them() {
        let records = json!([{"eventSource": "aws:dynamodb", "dynamodb": {}}, "rubbish"]);
        let trigger = StreamRecords::matches(&json!({"Records": records})).unwrap();
        let records = records.as_array().unwrap().clone();
        assert_eq!(trigger, Some(StreamRecords { records }));
    }
}
