//! Parses lines about a command as a whole: those without a stack, of CDK, of Amplify, and of the
//! shell or the CI server around the command.

use std::sync::LazyLock;

use regex::Regex;

use crate::log_parser::observation::{CdkObservation, FailureOf, Operation};
use crate::log_parser::text::{clip, clip_some};

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<CdkObservation> {
    time_taken(line)
        .or_else(|| cancellation(line))
        .or_else(|| completion(line))
        .or_else(|| failure(line))
}

/// Parses `✨  Deployment time: 41.7s` and the like.
fn time_taken(line: &str) -> Option<CdkObservation> {
    let (what, time) = line.strip_prefix('✨')?.trim().split_once(" time: ")?;
    let is_time = time.strip_suffix('s')?.parse::<f64>().is_ok();
    let operation = match what {
        "Synthesis" if is_time => return Some(CdkObservation::Synthesized),
        "Deployment" => Operation::Deploy,
        "Rollback" => Operation::Rollback,
        _ => return None,
    };
    is_time.then_some(CdkObservation::TimeTaken { operation })
}

/// Parses the last word of a command that somebody stopped, or that nobody could approve.
fn cancellation(line: &str) -> Option<CdkObservation> {
    const LINES: [&str; 6] = [
        "Deployment cancelled",
        "Deletion cancelled",
        "Rollback cancelled",
        "Import cancelled",
        "Aborted by user",
        "The operation was canceled.",
    ];
    let text = line.strip_prefix('‣').unwrap_or(line).trim();
    let text = text.strip_prefix("AbortError: ").unwrap_or(text);
    let is_cancelled =
        LINES.contains(&text) || text.contains(" terminal (TTY) is not attached so we are unable");
    is_cancelled.then(|| CdkObservation::RunCancelled {
        message: clip(text),
    })
}

/// Parses the last word of a command that completed without a tick before a stack.
fn completion(line: &str) -> Option<CdkObservation> {
    let text = line.trim_start_matches(['✅', '✔', '\u{fe0f}', ' ']);
    let is_complete = match line.starts_with(['✅', '✔']) {
        true => text == "Stack refactor complete" || text.starts_with("Deployment completed in "),
        false => text == "Nothing to refactor.",
    };
    is_complete.then_some(CdkObservation::RunCompleted)
}

/// The last words of commands that fail before any stack, and of what runs around commands.
static FAILURES: LazyLock<[(FailureOf, Regex); 4]> = LazyLock::new(|| {
    [
        (
            FailureOf::Command,
            concat!(
                r"^(?:\w*Error: )?(?:Need to perform AWS calls for account |Unable to resolve AWS account to use",
                r"|You must either specify a list of Stacks|No stacks? (?:match|found match)",
                r"|Since this app includes more than a single stack|This app contains no stacks",
                r"|--app is required either in command-line|This CDK CLI is not compatible with",
                r"|Cloud assembly schema version mismatch|The security token included in the request",
                r"|Rollback failed \(use --force|No stacks were in a state that could be rolled back",
                r"|This stack uses assets, so the toolkit stack must be deployed",
                r"|(?:Building Assets|Publishing Assets|Stack Deployments) Failed: ",
                r"|Failed to execute CDK app: |Assuming role failed: ",
                r"|Could not assume role in target account |Bundling did not produce any output",
                r"|Context lookups have been disabled\. |Arguments \S+ and \S+ are mutually exclusive$)",
                r"|Has the environment been bootstrapped\? Please run 'cdk bootstrap'",
            ),
        ),
        (
            FailureOf::App,
            concat!(
                r"^(?:.*: )?Subprocess exited with (?:error|signal) ",
                r"|^Found (?:errors|warnings \(--strict mode\))$",
            ),
        ),
        (
            FailureOf::Assets,
            r"^Failed to (?:build|publish|bundle) (?:asset |one or more assets)",
        ),
        (
            FailureOf::Surroundings,
            concat!(
                r"^(?:ERROR: |Error: |error )*(?:Job failed: exit code |Command failed with exit code )",
                r"|^(?:Error: )?Process completed with exit code [1-9]",
                r"|^Phase complete: .* State: FAILED|^npm (?:ERR!|error) code ELIFECYCLE",
            ),
        ),
    ]
    .map(|(of, pattern)| {
        let pattern = Regex::new(pattern).expect("the patterns are constants");
        (of, pattern)
    })
});

fn failure(line: &str) -> Option<CdkObservation> {
    if let Some(text) = line.strip_prefix('‣') {
        return error_name(text.trim()).map(|_| CdkObservation::RunFailed {
            message: clip(text),
            of: FailureOf::Command,
        });
    }
    let mut kinds = FAILURES.iter();
    let (of, _) = kinds.find(|(_, pattern)| pattern.is_match(line))?;
    Some(CdkObservation::RunFailed {
        message: clip(line),
        of: *of,
    })
}

/// The name of the error at the start of `TtyNotAttached: Stack is in a paused fail state`. Other
/// programs print notes in the same form, so it has a telling end, or two words.
fn error_name(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(':')?;
    let is_upper = |character: &char| character.is_ascii_uppercase();
    let is_telling = name.ends_with("Error") || name.ends_with("Exception");
    let is_name = name.starts_with(|character: char| character.is_ascii_uppercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && (is_telling || name.chars().filter(is_upper).count() > 1)).then_some(name)
}

/// Parses lines that say why something failed, but not what.
pub(super) fn parse_cause(line: &str) -> Option<CdkObservation> {
    if let Some((_, cause)) = line.split_once('🛑') {
        let message = clip_some(cause.trim_start_matches('\u{fe0f}'))?;
        return Some(CdkObservation::Cause { message });
    }
    let of_construct = line.strip_prefix("[Error at /");
    if of_construct.is_some_and(|construct| construct.contains("] ")) {
        return Some(CdkObservation::Exception {
            message: clip(line),
        });
    }
    let (name, _) = line.split_once(": ")?;
    let is_exception = name.ends_with("Error") || name.ends_with("Exception");
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._$".contains(&byte);
    (is_exception && name.bytes().all(is_word)).then(|| CdkObservation::Exception {
        message: clip(line),
    })
}
