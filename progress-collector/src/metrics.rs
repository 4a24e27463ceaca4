//! What an invocation has done, as metrics: CloudWatch makes them of log lines in its Embedded Metric Format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use shared::model::Timestamp;

use crate::summary::{EventsSummary, GroupSummary, Summary};

/// The namespace of the metrics.
const NAMESPACE: &str = "MiyabiProgress";
/// The value of the dimension `Service`.
const SERVICE: &str = "progress-collector";

/// Writes the metrics of an invocation that was asked for at `at`: a line for each log group, as a line has one
/// value of each metric, or one for the records of a stream. Those of the service as a whole are the sums over its
/// lines.
///
/// # Errors
///
/// What `output` says.
pub fn write_metrics(summary: &Summary, at: Timestamp, output: &mut impl Write) -> io::Result<()> {
    let mut lines = String::new();
    for group in &summary.groups {
        let log_group = Some(group.log_group.as_str());
        lines.push_str(&document(&values(group), log_group, at).to_string());
        lines.push('\n');
    }
    if let Some(events) = &summary.events {
        lines.push_str(&document(&event_values(events), None, at).to_string());
        lines.push('\n');
    }
    // At once, so that no other line comes between.
    output.write_all(lines.as_bytes())?;
    output.flush()
}

/// Name, unit and value of a metric.
type Metric = (&'static str, &'static str, u64);

/// The document of some metrics, which are the service's and, if they are of one, a log group's.
fn document(values: &[Metric], log_group: Option<&str>, at: Timestamp) -> Value {
    let metrics: Vec<Value> = values
        .iter()
        .map(|(name, unit, _)| json!({"Name": name, "Unit": unit}))
        .collect();
    let mut document = Map::new();
    let dimensions = match log_group {
        Some(_) => json!([["Service"], ["Service", "LogGroup"]]),
        None => json!([["Service"]]),
    };
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": metrics,
    });
    let header = json!({"Timestamp": at.as_millis(), "CloudWatchMetrics": [directive]});
    document.insert("_aws".to_owned(), header);
    document.insert("Service".to_owned(), SERVICE.into());
    if let Some(log_group) = log_group {
        document.insert("LogGroup".to_owned(), log_group.into());
    }
    for (name, _, value) in values {
        document.insert((*name).to_owned(), (*value).into());
    }
    Value::Object(document)
}

/// The metrics of a log group. How far the logs are behind is unknown where no event was read.
fn values(group: &GroupSummary) -> Vec<Metric> {
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

/// The metrics of the records of a stream.
fn event_values(events: &EventsSummary) -> Vec<Metric> {
    vec![
        ("EventsSent", "Count", events.sent),
        ("EventsFailed", "Count", events.failed + events.rejected),
        ("RecordsUnreadable", "Count", events.unreadable),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(groups: Vec<GroupSummary>) -> Vec<Value> {
        written_of(&Summary::new("sweep", groups))
    }

    fn written_of(summary: &Summary) -> Vec<Value> {
        let mut output = Vec::new();
        write_metrics(
            summary,
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
    fn records_of_a_stream_are_one_document_of_the_service() {
        let summary = Summary::of_events(EventsSummary {
            records: 9,
            unreadable: 1,
            sent: 5,
            failed: 2,
            rejected: 1,
            ..EventsSummary::default()
        });
        let count = |name: &str| json!({"Name": name, "Unit": "Count"});
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_255_200_123_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "MiyabiProgress",
                    "Dimensions": [["Service"]],
                    "Metrics": [
                        count("EventsSent"),
                        count("EventsFailed"),
                        count("RecordsUnreadable"),
                    ],
                }],
            },
            "Service": "progress-collector",
            "EventsSent": 5,
            "EventsFailed": 3,
            "RecordsUnreadable": 1,
        });
        assert_eq!(written_of(&summary), [expected]);
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
