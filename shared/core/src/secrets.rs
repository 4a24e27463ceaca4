//! Secrets in lines of logs, found by what they look like.
//!
//! It can't know all secrets. Those that a command gets in its environment are removed before they leave
//! its machine, by `progress run`.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The text that replaces a secret.
const REPLACEMENT: &str = "[redacted]";
/// The fewest characters of a value that may be secret. Shorter ones are words such as `none`.
const LEAST_CHARS: usize = 6;

/// Secrets with a form of their own: keys of AWS, tokens of GitHub, GitLab, Slack, npm and makers of
/// models, and JSON Web Tokens.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[opsru]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
        r"|glpat-[A-Za-z0-9_-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{20,}",
        r"|sk-[A-Za-z0-9_-]{16,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)",
    ))
});

/// A value behind a name that says that it is secret: `DB_PASSWORD=…`, `"apiKey": "…"`, `--token …`.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    const NAME: &str = concat!(
        "(?:passwor[dt]|passwd|passphrase|secret|token|credential|(?:api|access|private|account)[_-]?key)",
        "[a-z0-9_-]*",
    );
    regex(&format!(
        r#"(?i)(?P<before>{NAME}["']?\s*[=:]\s*["']?|--[a-z0-9-]*{NAME}\s+["']?)(?P<value>[^\s"',;&:][^\s"',;&]*)"#
    ))
});

/// What follows `Authorization: Bearer` and the like.
static AUTHORIZATION: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(?P<before>(?:bearer|basic)\s+)(?P<value>[A-Za-z0-9._~+/=-]+)"));

/// The password in the address of a service.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?P<before>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:)(?P<value>[^\s/@]+)@")
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is valid")
}

/// Removes what looks like a secret from the lines of one log, in order.
pub fn hide_secrets<'a>(lines: impl IntoIterator<Item = &'a mut String>) {
    let mut is_in_key = false;
    for line in lines {
        if is_in_key || line.contains("PRIVATE KEY-----") {
            let is_end = line.contains("-----END ");
            is_in_key = !is_end;
            REPLACEMENT.clone_into(line);
        } else if let Cow::Owned(shown) = without_secrets(line) {
            *line = shown;
        }
    }
}

fn without_secrets(line: &str) -> Cow<'_, str> {
    let mut shown = TOKEN.replace_all(line, REPLACEMENT);
    for pattern in [&NAMED, &AUTHORIZATION, &ADDRESS] {
        if let Cow::Owned(fewer) = pattern.replace_all(&shown, hide_value) {
            shown = Cow::Owned(fewer);
        }
    }
    shown
}

/// A match without its value, if that may be a secret.
fn hide_value(found: &Captures<'_>) -> String {
    let group = |name| found.name(name).map_or("", |part| part.as_str());
    let whole = found.get(0).map_or("", |part| part.as_str());
    let (before, value) = (group("before"), group("value"));
    if !may_be_secret(before, value) {
        return whole.to_owned();
    }
    let after = whole.get(before.len() + value.len()..).unwrap_or_default();
    format!("{before}{REPLACEMENT}{after}")
}

/// Whether a value is none of what stands at this place otherwise: a short word, a number of tokens, a
/// token of a grammar, or the name of a stored secret.
fn may_be_secret(before: &str, value: &str) -> bool {
    let is_number = value
        .chars()
        .all(|it| it.is_ascii_digit() || matches!(it, '.' | '_'));
    let is_word = value.chars().all(|it| it.is_ascii_alphabetic());
    let before = before.to_ascii_lowercase();
    let is_prose = is_word && before.contains("token") && before.contains(':');
    value.chars().count() >= LEAST_CHARS
        && !is_number
        && !is_prose
        && !value.starts_with("arn:")
        && value != REPLACEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let mut lines = [line.to_owned()];
        hide_secrets(&mut lines);
        lines.concat()
    }

    #[test]
    fn what_looks_like_a_secret_is_not_shown() {
        for (line, expected) in [
            (
                "DB_PASSWORD=hunter22 npm start",
                "DB_PASSWORD=[redacted] npm start",
            ),
            (
                r#"{"apiKey": "abcdefgh", "n": 1}"#,
                r#"{"apiKey": "[redacted]", "n": 1}"#,
            ),
            (
                "deploy --auth-token abc-def-1 --all",
                "deploy --auth-token [redacted] --all",
            ),
            (
                "Authorization: Bearer abc.def-123",
                "Authorization: Bearer [redacted]",
            ),
            ("secret_key: opensesame", "secret_key: [redacted]"),
            (
                "Get https://user:pass-word@example.com/x",
                "Get https://user:[redacted]@example.com/x",
            ),
            ("key AKIAABCDEFGHIJKLMNOP used", "key [redacted] used"),
            (
                concat!("pushing with ghp", "_0123456789abcdefghijKLMN"),
                "pushing with [redacted]",
            ),
            ("cookie eyJhbGciOiJI.eyJzdWIiOiI.c2ln", "cookie [redacted]"),
            ("token=\u{1b}[33mabcdefgh\u{1b}[0m", "token=[redacted]"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn other_lines_stay() {
        for line in [
            "max_tokens=150000, output tokens: 1234567",
            "ShopData | 3/7 | CREATE_COMPLETE | AWS::SecretsManager::Secret | ApiSecret",
            "SyntaxError: unexpected token: identifier",
            "Secret: arn:aws:secretsmanager:eu-west-1:123456789012:secret:x",
            "password required",
            "token=none",
            "https://example.com:8080/path@2",
            "basic auth is on",
        ] {
            assert_eq!(shown(line), line);
        }
    }

    #[test]
    fn a_private_key_is_hidden_from_its_first_to_its_last_line() {
        let lines = [
            "a",
            "-----BEGIN PRIVATE KEY-----",
            "MIIE",
            "-----END PRIVATE KEY-----",
            "b",
        ];
        let mut lines = lines.map(str::to_owned);
        hide_secrets(&mut lines);
        assert_eq!(lines, ["a", REPLACEMENT, REPLACEMENT, REPLACEMENT, "b"]);
    }
}
