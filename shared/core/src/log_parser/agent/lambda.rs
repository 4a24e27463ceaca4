//! The lines that AWS Lambda writes around an invocation: `START RequestId: …`,
//! `REPORT RequestId: …`
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>).

use crate::log_parser::observation::LambdaObservation;

/// Both lines match this pattern.
pub(super) const HINT: &str = "(?:START|REPORT) RequestId: ";

/// Whether the platform wrote the line, and not the function, and it reports no failure.
pub(crate) fn is_of_platform(line: &str) -> bool {
    let starts = ["START ", "END ", "REPORT "];
    let mut starts = starts.iter().filter_map(|start| line.strip_prefix(start));
    let is_mark = starts.any(|rest| rest.starts_with("RequestId: "));
    line.starts_with("INIT_START Runtime ") || is_mark && !line.contains("\tStatus: ")
}

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
