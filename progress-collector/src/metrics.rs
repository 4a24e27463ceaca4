//! The metrics of an invocation, as log lines in CloudWatch's Embedded Metric Format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use shared::config::{ConfigError, Settings};
use shared::model::Timestamp;

use crate::summary::{GroupSummary, PublishSummary, PublishTarget, Summary};

/// The namespace of the metrics.
const NAMESPACE: &str = "MiyabiProgress";
/// The value of the dimension `Service`.
const SERVICE: &str = "progress-collector";

/// Which metrics are written. CloudWatch charges for each metric, with each set of dimensions, that
/// has a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetricsLevel {
    /// The lag, and failures where there are any, of all log groups together.
    #[default]
    Basic,
    /// All metrics, of each log group too.
    Full,
}

impl MetricsLevel {
    /// Reads `METRICS_LEVEL`: `basic` (the default) or `full`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is something else.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        match settings.optional("METRICS_LEVEL").as_deref() {
            None | Some("basic") => Ok(Self::Basic),
            Some("full") => Ok(Self::Full),
            Some(_) => Err(ConfigError::Invalid {
                name: "METRICS_LEVEL",
                expected: "basic or full",
            }),
        }
    }

    /// Leaves out the metrics that this level does not have.
    fn choose(self, metrics: &mut Vec<Metric>) {
        if self == Self::Basic {
            metrics.retain(|(name, _, value)| match *name {
                "CollectorLagMs" => true,
                "CacheErrors" | "EventsFailed" | "FallbackUsed" | "PushesFailed" => *value > 0,
                _ => false,
            });
        }
    }
}

/// Writes the metrics of an invocation that started at `at`.
///
/// A line can hold one value of each metric, so each log group has a line of its own, and so has
/// publishing. CloudWatch adds the lines up to the metrics of the service.
///
/// # Errors
///
/// An [`io::Error`] of `output`.
pub fn write_metrics(
    summary: &Summary,
    level: MetricsLevel,
    at: Timestamp,
    output: &mut impl Write,
) -> io::Result<()> {
    let of_groups = summary.groups.iter().map(|group| {
        let log_group = Some(group.log_group.as_str()).filter(|_| level == MetricsLevel::Full);
        (group_metrics(group), log_group)
    });
    let of_publishing = summary.published.iter();
    let of_publishing = of_publishing.map(|published| (publish_metrics(published), None));
    let mut lines = String::new();
    for (mut metrics, log_group) in of_groups.chain(of_publishing) {
        level.choose(&mut metrics);
        if !metrics.is_empty() {
            lines.push_str(&document(&metrics, log_group, at).to_string());
            lines.push('\n');
        }
    }
    if lines.is_empty() {
        return Ok(());
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
        ("MessagesRefused", "Count", group.messages_refused),
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
        documents_at(MetricsLevel::Full, summary)
    }

    fn documents_at(level: MetricsLevel, summary: &Summary) -> Vec<Value> {
        let mut output = Vec::new();
        write_metrics(
            summary,
            level,
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

    fn metrics_of(document: &Value) -> Vec<&str> {
        let directive = &document["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["Service"]]));
        let metrics = directive["Metrics"].as_array().unwrap();
        let names = metrics
            .iter()
            .map(|metric| metric["Name"].as_str().unwrap());
        names.collect()
    }

    #[test]
    fn the_basic_level_has_the_lag_and_failures_of_all_log_groups_together() {
        let behind = GroupSummary {
            log_events: 10,
            tasks_changed: 2,
            retries: 3,
            lag_ms: Some(0),
            ..GroupSummary::of("/behind")
        };
        let failing = GroupSummary {
            cache_errors: 4,
            fallback_used: true,
            ..GroupSummary::of("/failing")
        };
        let quiet = GroupSummary::of("/quiet");
        let summary = Summary::new("sweep", vec![behind, failing, quiet]);
        let documents = documents_at(MetricsLevel::Basic, &summary);
        let names: Vec<_> = documents.iter().map(metrics_of).collect();
        let expected = [vec!["CollectorLagMs"], vec!["CacheErrors", "FallbackUsed"]];
        assert_eq!(names, expected);
        assert!(
            documents
                .iter()
                .all(|document| document.get("LogGroup").is_none())
        );
    }

    #[test]
    fn the_basic_level_of_publishing_has_failures_alone() {
        let sent = PublishSummary {
            records: 5,
            sent: 5,
            ..PublishSummary::default()
        };
        for (target, name) in [
            (PublishTarget::Bus, "EventsFailed"),
            (PublishTarget::Push, "PushesFailed"),
        ] {
            let sent = PublishSummary {
                target,
                ..sent.clone()
            };
            let failed = PublishSummary {
                rejected: 1,
                ..sent.clone()
            };
            let documents_of = |published| {
                documents_at(
                    MetricsLevel::Basic,
                    &Summary::of_publishing("stream", published),
                )
            };
            assert_eq!(documents_of(sent), Vec::<Value>::new());
            let documents = documents_of(failed);
            assert_eq!(
                documents.iter().map(metrics_of).collect::<Vec<_>>(),
                [[name]]
            );
        }
    }

    #[test]
    fn the_level_is_basic_unless_it_is_set() {
        let level = |value: &'static str| {
            MetricsLevel::from_settings(&Settings::new(&move |_| Some(value.to_owned())))
        };
        assert_eq!(level(""), Ok(MetricsLevel::Basic));
        assert_eq!(level("basic"), Ok(MetricsLevel::Basic));
        assert_eq!(level("full"), Ok(MetricsLevel::Full));
        assert!(
            level("all")
                .unwrap_err()
                .to_string()
                .starts_with("METRICS_LEVEL")
        );
    }
}
