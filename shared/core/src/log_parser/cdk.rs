//! Parses lines of the CDK command line, from its first public releases to today.
//!
//! ```text
//! row      := [stack " | "] counter " | " time " | " status " | " type " | " resource
//! resource := name [" (" logical id ")"] " " [reason]
//! recap    := [stack " | "] time " | " status " | " type " | " name …
//! silent   := stack " | " status " | " type " | " name …
//! waiting  := counter " Currently in progress: " id {", " id}
//! bar      := "[" {glyph} "] (" n "/" m ")"
//! counter  := n "/" m | n
//! stack-level lines: see `stack_line`
//! lines without a stack: see `command_line`
//! SAM, Serverless: see `other_tools`
//! ```
//!
//! CDK does not guarantee these texts. They were taken from its sources: the event printers below
//! `packages/@aws-cdk/toolkit-lib/lib/private/activity-printer/` and the stack-level lines in
//! `packages/aws-cdk/lib/cli/cdk-toolkit.ts` of the repository `aws/aws-cdk-cli`.

mod bar;
mod command_line;
mod name;
mod other_tools;
mod row;
mod stack_line;
mod status;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

use super::line::strip_all_prefixes;
use super::observation::{CdkObservation, ParseError};

/// Every line that this module reads contains one of these words, a `|`, or one of [`MARKS`].
///
/// No word is short, so that the search can skip many bytes at once.
static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let mut builder = AhoCorasick::builder();
    builder.match_kind(MatchKind::LeftmostFirst);
    builder
        .build([
            ": deploying...",
            ": destroying...",
            ": creating ",
            ": updating stack",
            ": importing resources",
            "Rolling back ",
            ": building assets",
            "start: Building ",
            "] (",
            "Currently in progress:",
            "stack has no resources",
            "ootstrapping environment ",
            ":stack/",
            "hotswap",
            "Starting de",
            "xit code ",
            "[Error at /",
            "ELIFECYCLE",
            " failed: ",
            "ssets Failed: ",
            "exited with ",
            "State: FAILED",
            "canceled",
            "cancelled",
            "Aborted by user",
            "(TTY) is not attached",
            " time: ",
            "efactor",
            "Deployment completed in ",
            "success: Published ",
            ": fail: ",
            "Failed to ",
            "The stack named ",
            " does not need a rollback",
            "ROLLBACK_COMPLETE",
            "_FAILED",
            " state and can not be updated",
            "waiting in review for manual",
            "Express Mode",
            "Error",
            "Exception",
            " AWS::",
            "CloudFormation - ",
            "Stack name ",
            "created/updated stack - ",
            "Need to perform AWS calls",
            "Unable to resolve AWS account",
            "You must either specify",
            "No stack",
            "includes more than a single stack",
            "--app is required",
            "This CDK CLI is not",
            "schema version mismatch",
            "The security token included",
            "Rollback failed (use",
            "This stack uses assets",
            "Stack Deployments Failed",
            "Assuming role failed",
            "Could not assume role",
            "Bundling did not produce",
            "Found ",
            "mutually exclusive",
            "been bootstrapped?",
            "app contains no stacks",
            "Context lookups have been",
        ])
        .expect("the words are constants")
});

/// Marks: ticks and crosses, also as they look when they were decoded with the wrong encoding.
static MARKS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("✅|❌|âœ|âŒ|â\u{9d}Œ|‣|🛑").expect("the pattern is a constant"));

/// The pre-filter: whether this module may read something from `line`. It lets a few other lines
/// pass.
pub(super) fn may_match(line: &str) -> bool {
    memchr::memchr(b'|', line.as_bytes()).is_some()
        || WORDS.is_match(line)
        || !line.is_ascii() && MARKS.is_match(line)
}

/// Parses one line without colours.
pub(super) fn parse(line: &str) -> Result<Option<CdkObservation>, ParseError> {
    if let Some(found) = row::parse_waiting(line)? {
        return Ok(Some(found));
    }
    if let Some(found) = row::parse(line)? {
        return Ok(Some(found));
    }
    if let Some(counter) = bar::parse(line) {
        return Ok(Some(CdkObservation::Bar { counter }));
    }
    let line = strip_all_prefixes(line);
    Ok(stack_line::parse(line)
        .or_else(|| command_line::parse(line))
        .or_else(|| other_tools::parse(line))
        .or_else(|| command_line::parse_cause(line)))
}

#[cfg(test)]
pub(super) mod tests;
