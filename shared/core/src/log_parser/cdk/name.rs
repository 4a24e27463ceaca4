//! Recognizes names of stacks.

use std::ops::RangeInclusive;

const CFN_NAME_LENGTHS: RangeInclusive<usize> = 1..=128;
const MAX_DISPLAY_NAME: usize = 512;

/// Words that scripts print after a tick or a cross, where CDK prints a stack name.
const WORDS: [&str; 22] = [
    "all",
    "bootstrap",
    "build",
    "cdk",
    "command",
    "complete",
    "completed",
    "deploy",
    "deployed",
    "deployment",
    "done",
    "failed",
    "finished",
    "job",
    "ok",
    "passed",
    "ready",
    "success",
    "successful",
    "synth",
    "test",
    "tests",
];

/// Whether `text` is a CloudFormation name. Parts of names may be masked with `*` or `<…>`.
pub(super) fn is_cfn_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-*<>".contains(&byte);
    CFN_NAME_LENGTHS.contains(&text.len())
        && text.bytes().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*' || c == '<')
}

/// The CloudFormation name at the end of a column. Other text may precede it.
pub(super) fn last_cfn_name(column: &str) -> Option<&str> {
    let name = column.split_whitespace().next_back()?;
    is_cfn_name(name).then_some(name)
}

/// Whether `text` is a construct path without white space: `Prod/Api`.
fn is_path(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/*<>".contains(&byte);
    (1..=MAX_DISPLAY_NAME).contains(&text.len())
        && text.bytes().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*' || c == '<')
        && text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() || byte == b'*')
}

/// Splits `Prod/Api (Prod-Api)` into path and CloudFormation name.
fn split_parentheses(text: &str) -> Option<(&str, &str)> {
    let (path, name) = text.strip_suffix(')')?.rsplit_once(" (")?;
    is_cfn_name(name).then_some((path, name))
}

/// Whether all of `text` is a display name.
///
/// A display name contains white space only if a CloudFormation name in parentheses follows.
pub(super) fn is_display_name(text: &str) -> bool {
    match split_parentheses(text) {
        Some((path, _)) => {
            path.len() <= MAX_DISPLAY_NAME
                && !path.is_empty()
                && path.split(' ').all(|word| word.is_empty() || is_path(word))
        }
        None => is_path(text) && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)),
    }
}

/// Whether `text` is a construct path with white space: `My Group/Api Stack`.
///
/// CDK removes the white space from the stack name. Names of stages and of top-level stacks have
/// none. Other texts may look similar, so each word must start with a capital letter or a digit.
pub(super) fn is_spaced_path(text: &str) -> bool {
    let is_word = |word: &str| {
        is_path(word) && word.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    text.len() <= MAX_DISPLAY_NAME
        && text.contains('/')
        && text.contains(' ')
        && text
            .split('/')
            .all(|construct| !construct.is_empty() && construct.split(' ').all(is_word))
}

/// Whether `text` alone is clearly a stack name: it has a CloudFormation name in parentheses, or
/// contains "stack".
pub(super) fn is_plainly_stack(text: &str) -> bool {
    is_display_name(text)
        && (split_parentheses(text).is_some()
            || text.len() > "Stack".len()
                && text
                    .as_bytes()
                    .windows(5)
                    .any(|word| word.eq_ignore_ascii_case(b"stack")))
}

/// The display name at the end of `text`. A prompt without a line end, or the prefix of an unknown
/// program, may precede it.
pub(super) fn last_display_name(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = text
        .rsplit_once("(y/n)?")
        .map_or(text, |(_, glued)| glued.trim());
    let text = text.strip_prefix("y ").unwrap_or(text);
    if is_display_name(text) || is_spaced_path(text) {
        return Some(text);
    }
    let path_end = split_parentheses(text).map_or(text, |(path, _)| path);
    let path = path_end.split_whitespace().next_back()?;
    let start = path_end.len().checked_sub(path.len())?;
    let name = text.get(start..)?;
    is_display_name(name).then_some(name)
}
