//! Removes secrets from what leaves the machine.

use aho_corasick::{AhoCorasick, MatchKind};

/// Parts of the names of variables that hold secrets.
const SECRET_NAMES: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "KEY"];

/// The length of the shortest value that is removed, in bytes. Shorter ones are in ordinary words.
const LEAST_BYTES: usize = 8;

const REPLACEMENT: &[u8] = b"[redacted]";

/// Knows the secrets of a command.
#[derive(Debug)]
pub(crate) struct Redactor {
    /// None if there are no secrets.
    secrets: Option<AhoCorasick>,
    longest: usize,
}

impl Redactor {
    /// The values of those `variables` whose names say that they are secret, and `token`.
    pub(crate) fn new(
        variables: impl Iterator<Item = (String, Vec<u8>)>,
        token: Option<&str>,
    ) -> Self {
        let is_secret = |name: &String| {
            let name = name.to_uppercase();
            SECRET_NAMES.iter().any(|part| name.contains(part))
        };
        let values = variables.filter(|(name, _)| is_secret(name));
        let values = values.map(|(_, value)| value);
        let values = values.chain(token.map(|token| token.as_bytes().to_vec()));
        // A key of several lines is printed as several lines.
        let secrets: Vec<Vec<u8>> = values
            .flat_map(|value| {
                let lines = value.split(|byte| matches!(byte, b'\n' | b'\r'));
                lines.map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .filter(|line| line.len() >= LEAST_BYTES)
            .collect();
        let longest = secrets.iter().map(Vec::len).max().unwrap_or(0);
        let mut builder = AhoCorasick::builder();
        let builder = builder.match_kind(MatchKind::LeftmostLongest);
        // Only an environment of gigabytes has too many.
        let secrets = builder.build(secrets).ok().filter(|_| longest > 0);
        Self { secrets, longest }
    }

    /// The length of the longest secret, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The text without secrets.
    pub(crate) fn redact(&self, text: Vec<u8>) -> Vec<u8> {
        match &self.secrets {
            Some(secrets) if secrets.is_match(&text) => {
                let replacements = vec![REPLACEMENT; secrets.patterns_len()];
                secrets.replace_all_bytes(&text, &replacements)
            }
            _ => text,
        }
    }

    /// The text without secrets.
    pub(crate) fn redact_text(&self, text: String) -> String {
        String::from_utf8_lossy(&self.redact(text.into_bytes())).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_variables_are_removed() {
        let variables = [
            ("GH_TOKEN", "gh-12345"),
            ("GH_TOKEN_LONG", "gh-12345678"),
            ("db_password", "correct horse"),
            ("API_KEY", "short"),
            ("HOME", "/home/someone"),
            ("PEM_KEY", "-----BEGIN-----\nabcdefghij\n"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.into()));
        let redactor = Redactor::new(variables.into_iter(), Some("my-own-token"));
        let text = "gh-12345678 gh-12345 correct horse short /home/someone abcdefghij my-own-token";
        let expected = "[redacted] [redacted] [redacted] short /home/someone [redacted] [redacted]";
        assert_eq!(redactor.redact_text(text.to_owned()), expected);
        assert_eq!(redactor.longest(), 15);
    }

    #[test]
    fn without_secrets_nothing_changes() {
        let redactor = Redactor::new(std::iter::empty(), None);
        assert_eq!(redactor.redact(b"\xFFabc".to_vec()), b"\xFFabc");
    }
}
