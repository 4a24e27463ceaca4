//! Names of stacks, and how to tell them from other words.

use std::ops::RangeInclusive;

const CFN_NAME_LENGTHS: RangeInclusive<usize> = 1..=128;
const MAX_DISPLAY_NAME: usize = 512;

/// Words that scripts put after a tick or a cross where CDK has a stack's name.
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

/// Whether `text` is a CloudFormation name. Public logs mask parts of names with `*`, `<…>` or the like.
pub(super) fn is_cfn_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-*<>".contains(&byte);
    CFN_NAME_LENGTHS.contains(&text.len())
        && text.bytes().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*' || c == '<')
}

/// The CloudFormation name at the end of a column that may hold junk in front of it.
pub(super) fn last_cfn_name(column: &str) -> Option<&str> {
    let name = column.split_whitespace().next_back()?;
    is_cfn_name(name).then_some(name)
}

/// Whether `text` is a construct path, without white space: `Prod/Api`.
fn is_path(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/*<>".contains(&byte);
    (1..=MAX_DISPLAY_NAME).contains(&text.len())
        && text.bytes().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*' || c == '<')
        && text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() || byte == b'*')
}

/// `Prod/Api (Prod-Api)` as path and CloudFormation name.
fn split_parentheses(text: &str) -> Option<(&str, &str)> {
    let (path, name) = text.strip_suffix(')')?.rsplit_once(" (")?;
    is_cfn_name(name).then_some((path, name))
}

/// Whether the whole of `text` is a display name. White space is in one only if a CloudFormation name in
/// parentheses follows: CDK then can't have used the path as name.
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

/// Whether `text` is a path of constructs whose names have white space, `My Group/Api Stack`: CDK makes the stack's
/// name of such a path without it. The names of stages and of stacks at the top have none.
///
/// Other texts may look like that, so that each word must begin as names in programs do.
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

/// Whether `text` names a stack by its own look, where the line alone does not say that it does.
pub(super) fn is_plainly_stack(text: &str) -> bool {
    is_display_name(text)
        && (split_parentheses(text).is_some()
            || text.len() > "Stack".len()
                && text
                    .as_bytes()
                    .windows(5)
                    .any(|word| word.eq_ignore_ascii_case(b"stack")))
}

/// The display name at the end of `text`, which may begin with the prompt that the line is glued to, or with
/// the prefix of a program that is not known.
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
