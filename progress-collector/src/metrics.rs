//! What an invocation has done, as metrics: CloudWatch makes them of log lines in its Embedded Metric Format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use shared::model::Timestamp;

use crate::summary::{GroupSummary, Summary};

/// The namespace of the metrics.
const NAMESPACE: &str = "MiyabiProgress";
/// The value of the dimension `Service`.
const SERVICE: &str = "progress-collector";

/// Writes the metrics of an invocation that was asked for at `at`: a line for each log group, as a line has one
/// value of each metric. Those of the service as a whole are the sums over its lines.
///
/// # Errors
///
/// What `output` says.
pub fn write_metrics(summary: &Summary, at: Timestamp, output: &mut impl Write) -> io::Result<()> {
    let mut lines = String::new();
    for group in &summary.groups {
        lines.push_str(&document(group, at).to_string());
        lines.push('\n');
    }
    // At once, so that no other line comes between.
    output.write_all(lines.as_bytes())?;
    output.flush()
}

/// The document of one log group.
fn document(group: &GroupSummary, at: Timestamp) -> Value {
    let values = values(group);
    let metrics: Vec<Value> = values
        .iter()
        .map(|(name, unit, _)| json!({"Name": name, "Unit": unit}))
        .collect();
    let mut document = Map::new();
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": [["Service"], ["Service", "LogGroup"]],
        "Metrics": metrics,
    });
    let header = json!({"Timestamp": at.as_millis(), "CloudWatchMetrics": [directive]});
    document.insert("_aws".to_owned(), header);
    document.insert("Service".to_owned(), SERVICE.into());
    document.insert("LogGroup".to_owned(), group.log_group.as_str().into());
    for (name, _, value) in values {
        document.insert(name.to_owned(), value.into());
    }
    Value::Object(document)
}

/// Name, unit and value of each metric. How far the logs are behind is unknown where no event was read.
fn values(group: &GroupSummary) -> Vec<(&'static str, &'static str, u64)> {
    let mut values = vec![
        ("EventsRead", "Count", group.events),
        ("LinesParsed", "Count", group.lines_parsed),
        ("ParseFailures", "Count", group.parse_failures),
        ("TasksUpdated", "Count", group.tasks_changed),
        ("RetryAttempts", "Count", group.retries),
        ("CacheErrors", "Count", group.cache_errors),
        // The cache was refreshed from the store because this log group could not be read.
        ("FallbackUsed", "Count", group.fallback_used.into()),
    ];
    if let Some(lag_ms) = group.lag_ms {
        values.push(("CollectorLagMs", "Milliseconds", lag_ms));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(groups: Vec<GroupSummary>) -> Vec<Value> {
        let summary = Summary::new("sweep", groups);
        let mut output = Vec::new();
        write_metrics(
            &summary,
            Timestamp::from_millis(1_795_255_200_123),
            &mut output,
        )
        .unwrap();
        let lines = String::from_utf8(output).unwrap();
        assert!(lines.is_empty() || lines.ends_with('\n'));
        let parse = |line| serde_json::from_str(line).unwrap();
        lines.lines().map(parse).collect()
    }

    #[test]
    fn a_log_group_is_a_document_of_the_embedded_metric_format() {
        let group = GroupSummary {
            events: 10,
            lines: 12,
            lines_parsed: 9,
            parse_failures: 1,
            tasks_changed: 2,
            retries: 3,
            cache_errors: 4,
            fallback_used: true,
            lag_ms: Some(1_500),
            ..GroupSummary::of("/miyabi/\"cdk\"")
        };
        let count = |name: &str| json!({"Name": name, "Unit": "Count"});
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_255_200_123_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "MiyabiProgress",
                    "Dimensions": [["Service"], ["Service", "LogGroup"]],
                    "Metrics": [
                        count("EventsRead"),
                        count("LinesParsed"),
                        count("ParseFailures"),
                        count("TasksUpdated"),
                        count("RetryAttempts"),
                        count("CacheErrors"),
                        count("FallbackUsed"),
                        {"Name": "CollectorLagMs", "Unit": "Milliseconds"},
                    ],
                }],
            },
            "Service": "progress-collector",
            "LogGroup": "/miyabi/\"cdk\"",
            "EventsRead": 10,
            "LinesParsed": 9,
            "ParseFailures": 1,
            "TasksUpdated": 2,
            "RetryAttempts": 3,
            "CacheErrors": 4,
            "FallbackUsed": 1,
            "CollectorLagMs": 1_500,
        });
        assert_eq!(written(vec![group]), [expected]);
    }

    #[test]
    fn every_metric_and_dimension_that_is_declared_has_a_value_and_no_unknown_lag_is_zero() {
        let groups = vec![
            GroupSummary::of("/miyabi/cdk"),
            GroupSummary::of("/miyabi/agents"),
        ];
        let documents = written(groups);
        assert_eq!(documents.len(), 2);
        for document in documents {
            let directive = &document["_aws"]["CloudWatchMetrics"][0];
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!(metrics.iter().all(|metric| {
                let name = metric["Name"].as_str().unwrap();
                document[name].is_u64() && name != "CollectorLagMs"
            }));
            assert!(document.get("CollectorLagMs").is_none());
            for dimension in ["Service", "LogGroup"] {
                assert!(document[dimension].is_string());
            }
        }
    }
}
