//! Parses what other tools print that deploy by CloudFormation.
//!
//! ```text
//! SAM:        status "  " type "  " name ["  " reason], each cut to its column
//! Serverless: "CloudFormation - " status " - " type " - " name
//! ```

use super::name::is_cfn_name;
use super::row;
use super::status;
use crate::log_parser::observation::{CdkObservation, FailureOf, Operation, Outcome};
use crate::log_parser::text::clip;

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<CdkObservation> {
    row_of_sam(line)
        .or_else(|| row_of_serverless(line))
        .or_else(|| line_of_sam(line))
}

fn row_of_sam(line: &str) -> Option<CdkObservation> {
    let (cell, rest) = line.split_once(' ')?;
    let status = status::parse_cut(cell)?;
    let (kind, rest) = rest.trim_start().split_once(' ')?;
    let is_type = kind.starts_with("AWS::") || kind.starts_with("Custom::");
    // A column that is cut goes on in the next line.
    let is_stack = kind.len() > "AWS::CloudFormation::".len() && row::STACK_TYPE.starts_with(kind);
    let kind = if is_stack { row::STACK_TYPE } else { kind };
    is_type.then(|| row::without_counter(status, kind, rest.trim()))
}

fn row_of_serverless(line: &str) -> Option<CdkObservation> {
    let mut cells = line.strip_prefix("CloudFormation - ")?.splitn(3, " - ");
    let status = status::parse(cells.next()?, false)?;
    Some(row::without_counter(
        status,
        cells.next()?,
        cells.next()?.trim(),
    ))
}

fn line_of_sam(line: &str) -> Option<CdkObservation> {
    let end = |stack: &str, outcome, message| {
        is_cfn_name(stack).then(|| CdkObservation::End {
            stack: stack.to_owned(),
            outcome,
            message,
        })
    };
    if let Some(stack) = line.strip_prefix("Stack name ") {
        let stack = stack.trim_start().strip_prefix(':')?.trim();
        return is_cfn_name(stack).then(|| CdkObservation::Start {
            stack: stack.to_owned(),
            operation: Operation::Deploy,
            in_run: None,
            is_change_set: false,
        });
    }
    if let Some(rest) = line.strip_prefix("Successfully created/updated stack - ") {
        return end(rest.split(' ').next()?, Outcome::Completed, None);
    }
    let error = line.strip_prefix("Error: ")?;
    if let Some(rest) = error.strip_prefix("No changes to deploy. Stack ") {
        return end(rest.split(' ').next()?, Outcome::Unchanged, None);
    }
    let rest = error.strip_prefix("Failed to create");
    let rest = rest?.trim_start_matches("/update the stack: ");
    match rest.split_once(',') {
        Some((stack, reason)) if rest.len() < error.len() && is_cfn_name(stack) => {
            let is_back = reason.contains("ROLLBACK_COMPLETE");
            let outcome = if is_back {
                Outcome::RolledBack
            } else {
                Outcome::Failed
            };
            end(stack, outcome, Some(clip(reason)))
        }
        _ => rest
            .starts_with(" changeset for the stack: ")
            .then(|| CdkObservation::RunFailed {
                message: clip(error),
                of: FailureOf::Command,
            }),
    }
}
