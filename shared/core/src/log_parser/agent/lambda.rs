//! The lines that AWS Lambda writes around an invocation: `START RequestId: …`,
//! `REPORT RequestId: …`
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>).

use crate::log_parser::observation::LambdaObservation;

/// Both lines match this pattern.
pub(super) const HINT: &str = "(?:START|REPORT) RequestId: ";

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<LambdaObservation> {
    if line.starts_with("START RequestId: ") {
        return Some(LambdaObservation::Start);
    }
    let (_, status) = line
        .strip_prefix("REPORT RequestId: ")?
        .split_once("\tStatus: ")?;
    let status = status.split('\t').next().unwrap_or(status).trim();
    let has_failed = matches!(status, "timeout" | "error" | "failure");
    has_failed.then(|| LambdaObservation::Failed {
        status: status.to_owned(),
    })
}
