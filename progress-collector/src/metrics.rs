//! The metrics of an invocation, as log lines in CloudWatch's Embedded Metric Format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use shared::model::Timestamp;

use crate::summary::{GroupSummary, PublishSummary, PublishTarget, Summary};

/// The namespace of the metrics.
const NAMESPACE: &str = "MiyabiProgress";
/// The value of the dimension `Service`.
const SERVICE: &str = "progress-collector";

/// Writes the metrics of an invocation that started at `at`.
///
/// A line can hold one value of each metric, so each log group has a line of its own, and so has
/// publishing. CloudWatch adds the lines up to the metrics of the service.
///
/// # Errors
///
/// An [`io::Error`] of `output`.
pub fn write_metrics(summary: &Summary, at: Timestamp, output: &mut impl Write) -> io::Result<()> {
    let mut lines = String::new();
    for group in &summary.groups {
        let log_group = Some(group.log_group.as_str());
        lines.push_str(&document(&group_metrics(group), log_group, at).to_string());
        lines.push('\n');
    }
    if let Some(published) = &summary.published {
        lines.push_str(&document(&publish_metrics(published), None, at).to_string());
        lines.push('\n');
    }
    // One write, so that no other log line comes between.
    output.write_all(lines.as_bytes())?;
    output.flush()
}

/// The name, unit and value of a metric.
type Metric = (&'static str, &'static str, u64);

/// The JSON document of `metrics`, for the service and, if given, the log group.
fn document(metrics: &[Metric], log_group: Option<&str>, at: Timestamp) -> Value {
    let declare = |(name, unit, _): &Metric| json!({"Name": name, "Unit": unit});
    let declarations: Vec<Value> = metrics.iter().map(declare).collect();
    let mut document = Map::new();
    let dimensions = match log_group {
        Some(_) => json!([["Service"], ["Service", "LogGroup"]]),
        None => json!([["Service"]]),
    };
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": declarations,
    });
    let header = json!({"Timestamp": at.as_millis(), "CloudWatchMetrics": [directive]});
    document.insert("_aws".to_owned(), header);
    document.insert("Service".to_owned(), SERVICE.into());
    if let Some(log_group) = log_group {
        document.insert("LogGroup".to_owned(), log_group.into());
    }
    for (name, _, value) in metrics {
        document.insert((*name).to_owned(), (*value).into());
    }
    Value::Object(document)
}

/// The metrics of a log group. The lag is absent if no log event was read. What hardly ever happens
/// is absent while it does not: CloudWatch charges for each metric that has a value.
fn group_metrics(group: &GroupSummary) -> Vec<Metric> {
    let mut metrics = vec![
        ("EventsRead", "Count", group.log_events),
        ("LinesParsed", "Count", group.lines_parsed),
        ("ParseFailures", "Count", group.parse_failures),
        ("TasksUpdated", "Count", group.tasks_changed),
        ("RetryAttempts", "Count", group.retries),
        ("CacheErrors", "Count", group.cache_errors),
        ("FallbackUsed", "Count", group.fallback_used.into()),
    ];
    let rare = [
        ("TaskIdsRefused", "Count", group.task_ids_refused.count()),
        ("PushesCut", "Count", group.pushes_cut),
    ];
    metrics.extend(rare.into_iter().filter(|(_, _, value)| *value > 0));
    if let Some(lag_ms) = group.lag_ms {
        metrics.push(("CollectorLagMs", "Milliseconds", lag_ms));
    }
    metrics
}

/// The metrics of publishing.
fn publish_metrics(published: &PublishSummary) -> Vec<Metric> {
    let failed = published.failed + published.rejected;
    let (sent_name, failed_name) = match published.target {
        PublishTarget::Bus => ("EventsSent", "EventsFailed"),
        PublishTarget::Push => ("MessagesPushed", "PushesFailed"),
    };
    vec![
        (sent_name, "Count", published.sent),
        (failed_name, "Count", failed),
        ("RecordsUnreadable", "Count", published.unreadable),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents_of_groups(groups: Vec<GroupSummary>) -> Vec<Value> {
        documents_of(&Summary::new("sweep", groups))
    }

    fn documents_of(summary: &Summary) -> Vec<Value> {
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
            log_events: 10,
            lines: 12,
            lines_parsed: 9,
            parse_failures: 1,
            tasks_changed: 2,
            retries: 3,
            cache_errors: 4,
            fallback_used: true,
            pushes_cut: 1,
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
                        count("PushesCut"),
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
            "PushesCut": 1,
            "CollectorLagMs": 1_500,
        });
        assert_eq!(documents_of_groups(vec![group]), [expected]);
    }

    #[test]
    fn publishing_is_one_document_of_the_service() {
        let published = PublishSummary {
            records: 9,
            unreadable: 1,
            sent: 5,
            failed: 2,
            rejected: 1,
            ..PublishSummary::default()
        };
        let summary = Summary::of_publishing("stream", published);
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
        assert_eq!(documents_of(&summary), [expected]);
    }

    #[test]
    fn every_declared_metric_has_a_value_and_an_unknown_lag_is_absent() {
        let groups = vec![
            GroupSummary::of("/miyabi/cdk"),
            GroupSummary::of("/miyabi/agents"),
        ];
        let documents = documents_of_groups(groups);
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
