//! The address of a log in the console of CloudWatch Logs.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::log_parser::LogFormat;
use crate::model::Task;

/// What the log group of a log that was stored in a bucket begins with.
pub const BUCKET: &str = "s3://";
/// The console shows the log from this long before the failure.
const BEFORE_FAILURE: Duration = Duration::from_secs(60);

/// Where the log of a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The AWS region of the log group.
    pub region: &'static str,
    /// The page of the console that shows the log.
    pub url: String,
}

impl Source {
    /// The log of a run whose log group is in `region`; `None` if its lines came another way. The page
    /// begins shortly before the failure, or at the start of the run.
    pub fn of(task: &Task, region: &'static str) -> Option<Self> {
        let log_group = task.log_group.as_deref()?;
        let log_stream = task.log_stream.as_deref()?;
        if !is_of_cloudwatch(log_group) {
            return None;
        }
        let failed_at = task.failure.as_ref().map(|failure| failure.at);
        let from = match failed_at {
            Some(at) => at.before(BEFORE_FAILURE),
            None => task.started_at.unwrap_or(task.created_at),
        };
        let host = match region.split('-').next() {
            Some("cn") => "console.amazonaws.cn",
            _ if region.starts_with("us-gov-") => "console.amazonaws-us-gov.com",
            _ => "console.aws.amazon.com",
        };
        let url = format!(
            "https://{region}.{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{}\
             /log-events/{}$3Fstart$3D{}",
            escaped(log_group),
            escaped(log_stream),
            from.as_millis(),
        );
        Some(Self { region, url })
    }
}

/// Whether a log group is one of CloudWatch Logs: lines that were sent to the service are in none, and
/// a bucket is another thing.
pub fn is_of_cloudwatch(log_group: &str) -> bool {
    log_group != LogFormat::ANY.file_log_group && !log_group.starts_with(BUCKET)
}

/// A name as the console has it in the fragment of its address: percent-encoded twice, with `$` for
/// `%`.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => write!(escaped, "$25{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(log_group: Option<&str>, log_stream: &str, failed_at: Option<i64>) -> Task {
        let failure = failed_at.map(|at| serde_json::json!({"cause": "no", "at": moment(at)}));
        let task = serde_json::json!({
            "task_id": "t", "task_name": "T", "task_type": "build", "status": "running",
            "progress": {}, "run": moment(0), "revision": 1, "created_at": moment(0),
            "updated_at": moment(9), "log_group": log_group, "log_stream": log_stream,
            "failure": failure,
        });
        serde_json::from_value(task).unwrap()
    }

    fn moment(seconds: i64) -> crate::model::Timestamp {
        crate::model::Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
    }

    fn url(task: &Task, region: &'static str) -> Option<String> {
        Source::of(task, region).map(|source| source.url)
    }

    #[test]
    fn the_address_names_group_stream_and_moment() {
        let deploy = task(Some("/miyabi/cdk"), "shop deploy/[1]#ü", None);
        assert_eq!(
            url(&deploy, "eu-west-1").unwrap(),
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1\
             #logsV2:log-groups/log-group/$252Fmiyabi$252Fcdk/log-events/\
             shop$2520deploy$252F$255B1$255D$2523$25C3$25BC$3Fstart$3D1700000000000"
        );
        let failed = task(Some("g"), "s", Some(90));
        let failed = url(&failed, "cn-north-1").unwrap();
        assert!(
            failed.starts_with("https://cn-north-1.console.amazonaws.cn/"),
            "{failed}"
        );
        assert!(
            failed.ends_with("/log-events/s$3Fstart$3D1700000030000"),
            "{failed}"
        );
    }

    #[test]
    fn lines_that_are_not_in_cloudwatch_have_no_address() {
        for log_group in ["/miyabi/runs", "s3://bucket"] {
            assert_eq!(url(&task(Some(log_group), "s", None), "eu-west-1"), None);
        }
        assert_eq!(url(&task(None, "s", None), "eu-west-1"), None);
    }
}
