//! Parses lines about a stack as a whole, from the start of its deployment to its tick or cross.

use super::name::{
    is_cfn_name, is_display_name, is_plainly_stack, is_spaced_path, last_display_name,
};
use crate::log_parser::observation::{CdkObservation, FailureOf, InRun, Operation, Outcome};
use crate::log_parser::text::{clip, clip_some};

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<CdkObservation> {
    if let Some(rest) = strip_any(line, &["✅", "âœ…", "âœ\u{85}"]) {
        return tick(rest);
    }
    if let Some(rest) = strip_any(line, &["❌", "âŒ", "â\u{9d}Œ"]) {
        return cross(rest);
    }
    if let Some(rest) = after_unknown_prefix(line, "✅  ") {
        return tick(rest);
    }
    if let Some(rest) = after_unknown_prefix(line, "❌  ") {
        return cross(rest);
    }
    start(line)
        .or_else(|| bootstrap_start(line))
        .or_else(|| empty_stack(line))
        .or_else(|| asset(line))
        .or_else(|| sentence(line))
        .or_else(|| manner(line))
        .or_else(|| stack_arn(line))
}

fn strip_any<'a>(line: &'a str, marks: &[&str]) -> Option<&'a str> {
    let rest = marks.iter().find_map(|mark| line.strip_prefix(mark))?;
    // A variation selector may follow an emoji.
    Some(rest.trim_start_matches('\u{fe0f}'))
}

/// The text after a mark that follows an unknown prefix.
///
/// Only CDK prints two spaces after a mark. They are part of the result.
fn after_unknown_prefix<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (prefix, _) = line.split_once(mark)?;
    let rest = line.get(prefix.len()..)?;
    let rest = rest.get(mark.trim_end().len()..)?;
    prefix.ends_with(' ').then_some(rest)
}

/// Whether a name after a mark can be a stack name.
///
/// CDK prints two spaces between them. Other programs print such lines with one space.
fn is_marked_name(spaced: &str, name: &str) -> bool {
    let is_wide = spaced.starts_with("  ");
    is_display_name(name) && (is_wide || is_plainly_stack(name))
}

fn tick(rest: &str) -> Option<CdkObservation> {
    let text = rest.trim();
    if let Some(environment) = text.strip_prefix("Environment ") {
        let (environment, after) = environment.split_once(" bootstrapped")?;
        let is_unchanged = after.contains("(no changes)");
        return Some(CdkObservation::BootstrapEnd {
            environment: clip(environment),
            outcome: if is_unchanged {
                Outcome::Unchanged
            } else {
                Outcome::Completed
            },
            message: None,
        });
    }
    let ended = [
        (" (no changes)", Outcome::Unchanged),
        (": destroyed", Outcome::Destroyed),
        // Printed by a deploy that removes an empty stack.
        (": deployed", Outcome::Destroyed),
    ];
    for (suffix, outcome) in ended {
        if let Some(stack) = text.strip_suffix(suffix) {
            let is_stack = is_display_name(stack) || is_spaced_path(stack);
            return is_stack.then(|| end(stack, outcome, None));
        }
    }
    // Other programs print ticks before words, too.
    if is_plainly_stack(text) {
        return Some(end(text, Outcome::Completed, None));
    }
    let is_name = is_display_name(text) || is_spaced_path(text);
    is_name.then(|| CdkObservation::UnconfirmedEnd {
        stack: text.to_owned(),
        outcome: Outcome::Completed,
        message: None,
        is_squeezed: !is_spaced_path(text) && !is_marked_name(rest, text),
    })
}

fn cross(rest: &str) -> Option<CdkObservation> {
    let text = rest.trim();
    const WORKS: [&str; 7] = [
        "Deployment failed",
        "Building assets failed",
        "Publishing assets failed",
        "Import failed",
        "Refactor failed",
        "Migrate failed",
        "Rollback failed",
    ];
    if let Some(failure) = WORKS.iter().find_map(|work| text.strip_prefix(work)) {
        return Some(CdkObservation::RunFailed {
            message: clip(failure.trim_start_matches([':', ' '])),
            of: FailureOf::Command,
        });
    }
    if let Some((stack, reason)) = failed_to(text) {
        return Some(failed(stack, reason));
    }
    if let Some(environment) = text.strip_prefix("Environment ") {
        let (environment, reason) = environment.split_once(" failed bootstrapping")?;
        return Some(CdkObservation::BootstrapEnd {
            environment: clip(environment),
            outcome: failure_outcome(reason),
            message: clip_some(reason.trim_start_matches([':', ' '])),
        });
    }
    for verb in [": destroy failed", ": deploy failed"] {
        if let Some((stack, reason)) = text.split_once(verb)
            && (is_display_name(stack) || is_spaced_path(stack))
        {
            return Some(failed(stack, reason));
        }
    }
    let (stack, reason) = text
        .split_once(" failed:")
        .or_else(|| Some((text.strip_suffix(" failed")?, "")))?;
    let is_spaced = is_spaced_path(stack);
    let is_evident = is_error(reason) || is_plainly_stack(stack);
    if is_evident && (is_spaced || is_marked_name(rest, stack)) {
        return Some(failed(stack, reason));
    }
    // Other programs report failed tests, checks and builds in the same form.
    let is_name = is_spaced || is_display_name(stack);
    is_name.then(|| unconfirmed_end(stack, failure_outcome(reason), reason_of(reason)))
}

/// Whether a reason looks like one of CDK: an error with its type, or a CloudFormation status.
fn is_error(reason: &str) -> bool {
    const STATUSES: [&str; 4] = ["ROLLBACK_", "_FAILED", "_COMPLETE", "_IN_PROGRESS"];
    let kind = reason.trim_start().split(':').next().unwrap_or_default();
    let kind = kind.split(' ').next().unwrap_or_default();
    let is_kind = reason.contains(':') && (kind.ends_with("Error") || kind.ends_with("Exception"));
    is_kind || STATUSES.iter().any(|status| reason.contains(status))
}

fn reason_of(reason: &str) -> Option<String> {
    clip_some(reason.trim_start_matches([':', ' ']))
}

fn unconfirmed_end(stack: &str, outcome: Outcome, message: Option<String>) -> CdkObservation {
    CdkObservation::UnconfirmedEnd {
        stack: stack.to_owned(),
        outcome,
        message,
        is_squeezed: false,
    }
}

fn failed(stack: &str, reason: &str) -> CdkObservation {
    end(stack, failure_outcome(reason), reason_of(reason))
}

/// Splits `X failed to deploy: reason` into stack and reason.
fn failed_to(text: &str) -> Option<(&str, &str)> {
    let (stack, rest) = text.split_once(" failed to ")?;
    let end = rest.find([':', '.', ',']).unwrap_or(rest.len());
    let (work, reason) = rest.split_at_checked(end)?;
    let is_work = matches!(
        work,
        "deploy" | "destroy" | "delete" | "import" | "be deleted" | "roll back" | "rollback"
    );
    let is_stack = is_display_name(stack) || is_spaced_path(stack);
    (is_work && is_stack).then_some((stack, reason))
}

fn failure_outcome(reason: &str) -> Outcome {
    // A stack that an earlier run has left in that state can't be updated.
    if reason.contains("ROLLBACK_COMPLETE") && !reason.contains("can not be updated") {
        Outcome::RolledBack
    } else {
        Outcome::Failed
    }
}

fn end(stack: &str, outcome: Outcome, message: Option<String>) -> CdkObservation {
    CdkObservation::End {
        stack: stack.to_owned(),
        outcome,
        message,
    }
}

fn start(line: &str) -> Option<CdkObservation> {
    const STARTS: [(&str, Operation); 9] = [
        (": deploying...", Operation::Deploy),
        (": destroying...", Operation::Destroy),
        (": creating CloudFormation changeset", Operation::Deploy),
        (": creating stack...", Operation::Deploy),
        (": updating stack...", Operation::Deploy),
        (": importing resources into stack", Operation::Import),
        (": building assets...", Operation::BuildAssets),
        (":  start: Building ", Operation::BuildAssets),
        (": start: Building ", Operation::BuildAssets),
    ];
    for (text, operation) in STARTS {
        if let Some((before, after)) = line.split_once(text) {
            // A line of CDK ends here. If text follows, or ` = ` precedes, it is an output or
            // prose.
            let goes_on = text.ends_with("...") && !after.trim().is_empty();
            if (goes_on && in_run(after).is_none()) || before.contains(" = ") {
                return None;
            }
            return last_display_name(before).map(|stack| CdkObservation::Start {
                stack: stack.to_owned(),
                operation,
                in_run: in_run(after),
                is_change_set: text.contains(": creating "),
            });
        }
    }
    if let Some(stack) = line.strip_prefix("Rolling back ") {
        // Other programs roll back other things, in lower case.
        let looks_like_name = stack.starts_with(|c: char| c.is_ascii_uppercase())
            || stack.contains(['-', '/'])
            || is_plainly_stack(stack);
        return (looks_like_name && is_display_name(stack))
            .then(|| started(stack, Operation::Rollback));
    }
    let (_, rest) = line.split_once("Starting de")?;
    for (text, operation) in [
        ("ployment of stack ", Operation::Deploy),
        ("struction of stack ", Operation::Destroy),
    ] {
        if let Some(stack) = rest.strip_prefix(text) {
            let stack = stack.trim_end_matches('.');
            return is_display_name(stack).then(|| started(stack, operation));
        }
    }
    None
}

fn started(stack: &str, operation: Operation) -> CdkObservation {
    CdkObservation::Start {
        stack: stack.to_owned(),
        operation,
        in_run: None,
        is_change_set: false,
    }
}

/// Parses ` [i/k]`.
fn in_run(after: &str) -> Option<InRun> {
    let (counter, _) = after.trim_start().strip_prefix('[')?.split_once(']')?;
    let (index, stacks) = counter.split_once('/')?;
    let (index, stacks) = (index.parse().ok()?, stacks.parse().ok()?);
    let in_run = InRun { index, stacks };
    (1..=stacks).contains(&index).then_some(in_run)
}

fn bootstrap_start(line: &str) -> Option<CdkObservation> {
    let (_, environment) = line.split_once("ootstrapping environment ")?;
    let environment = environment.trim_end_matches('.').trim();
    let is_one = !environment.is_empty() && !environment.contains(' ');
    is_one.then(|| CdkObservation::BootstrapStart {
        environment: clip(environment),
    })
}

fn empty_stack(line: &str) -> Option<CdkObservation> {
    let (before, after) = line.split_once(": stack has no resources")?;
    let is_skipped = after.contains("skipping deployment");
    let stack = last_display_name(before)?;
    is_skipped.then(|| end(stack, Outcome::Unchanged, None))
}

/// Parses `X: success: Published …`, `X: fail: …`.
fn asset(line: &str) -> Option<CdkObservation> {
    let (stack, after) = line.split_once(": ")?;
    let after = after.trim_start();
    let is_published = after.starts_with("success: Published ");
    let reason = after.strip_prefix("fail: ");
    if !is_published && reason.is_none() || !is_display_name(stack) {
        return None;
    }
    Some(match reason {
        Some(reason) => end(stack, Outcome::Failed, clip_some(reason)),
        None => CdkObservation::AssetPublished {
            stack: stack.to_owned(),
        },
    })
}

/// Parses sentences about the state of a stack.
fn sentence(line: &str) -> Option<CdkObservation> {
    if let Some(rest) = line.strip_prefix("The stack named ") {
        let in_state = rest.split_once(" is in a failed state");
        let in_state = in_state.or_else(|| rest.split_once(" failed creation"));
        let (stack, _) = in_state.or_else(|| failed_to(rest))?;
        return is_display_name(stack).then(|| end(stack, failure_outcome(rest), clip_some(line)));
    }
    if let Some((stack, _)) = line
        .strip_prefix("Stack ")
        .and_then(|rest| rest.split_once(" does not need a rollback"))
    {
        return is_display_name(stack).then(|| end(stack, Outcome::Unchanged, None));
    }
    let (before, state) = line.split_once(" is in ")?;
    let is_refused = state.contains(" state and can not be updated");
    let name = before
        .trim_start_matches("Stack:")
        .trim_start_matches("Stack ");
    let name = stack_in_arn(name).unwrap_or(name);
    let outcome = match state.split([' ', ',', '.']).next().unwrap_or_default() {
        state if is_refused && state.ends_with("_COMPLETE") => Outcome::Failed,
        "ROLLBACK_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => {
            Outcome::RolledBack
        }
        state if state.ends_with("_FAILED") => Outcome::Failed,
        _ => return None,
    };
    is_display_name(name).then(|| CdkObservation::StackIsIn {
        stack: name.to_owned(),
        outcome,
        message: clip(line),
    })
}

/// Parses a note about how a stack is deployed.
fn manner(line: &str) -> Option<CdkObservation> {
    if line.starts_with("Changeset arn:") && line.contains(" waiting in review for manual ") {
        return Some(CdkObservation::Prepared);
    }
    let note = line.trim_start_matches(['⚠', '\u{fe0f}', ' ']);
    if note.starts_with("Stack deployed using Express Mode") {
        return Some(CdkObservation::Express {
            message: clip(note),
        });
    }
    let text = line.strip_prefix('✨')?.trim();
    let is_hotswap = text.starts_with("hotswapping resources")
        || text.starts_with("hotswap deployment skipped")
        || text.ends_with("hotswapped!");
    is_hotswap.then_some(CdkObservation::Hotswap)
}

/// Parses `arn:aws:cloudformation:region:account:stack/name/id`, alone or after its heading.
fn stack_arn(line: &str) -> Option<CdkObservation> {
    let name = stack_in_arn(line.strip_prefix("Stack ARN:").unwrap_or(line).trim())?;
    Some(CdkObservation::StackArn {
        name: name.to_owned(),
    })
}

/// The stack of an ARN.
fn stack_in_arn(arn: &str) -> Option<&str> {
    let (partition, rest) = arn.strip_prefix("arn:")?.split_once(":cloudformation:")?;
    let (region_and_account, name) = rest.split_once(":stack/")?;
    let is_alone =
        !partition.contains(' ') && !region_and_account.contains(' ') && !name.contains(' ');
    let name = name.split('/').next()?;
    (is_alone && is_cfn_name(name)).then_some(name)
}
