//! Removes secrets from what leaves the machine.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memchr_iter;
use vte::{Parser, Perform};

/// Parts of the names of variables that hold secrets.
const SECRET_NAMES: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "KEY"];

/// The length of the shortest value that is removed, in bytes. Shorter ones are in ordinary words.
const LEAST_BYTES: usize = 8;

/// So many bytes of the beginning of a secret are removed where a line is divided.
const LEAST_BEGINNING_BYTES: usize = 4;

const REPLACEMENT: &[u8] = b"[redacted]";

/// Knows the secrets of a command.
#[derive(Debug)]
pub(crate) struct Redactor {
    /// None if there are no secrets.
    finder: Option<AhoCorasick>,
    secrets: Vec<Vec<u8>>,
    longest: usize,
}

impl Redactor {
    /// The values of those `variables` whose names say that they are secret, and `others`.
    pub(crate) fn new(
        variables: impl Iterator<Item = (String, Vec<u8>)>,
        others: &[String],
    ) -> Self {
        let is_secret = |name: &String| {
            let name = name.to_uppercase();
            SECRET_NAMES.iter().any(|part| name.contains(part))
        };
        let values = variables.filter(|(name, _)| is_secret(name));
        let values = values.map(|(_, value)| value);
        let values = values.chain(others.iter().map(|other| other.as_bytes().to_vec()));
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
        let finder = builder.build(&secrets).ok().filter(|_| longest > 0);
        Self {
            finder,
            secrets,
            longest,
        }
    }

    /// The length of the longest secret, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The text without secrets.
    pub(crate) fn redact(&self, text: Vec<u8>) -> Vec<u8> {
        self.redact_after(&mut Vec::new(), text, true)
    }

    /// The text without secrets. Colours and other sequences in a secret do not hide it.
    ///
    /// A line may be divided, by `\r` or because it is long. `before` is what may be the beginning
    /// of a secret at the end of the part before. Unless the line ends here, it becomes what may be
    /// one at the end of this part, which is removed if it is long enough to be one.
    pub(crate) fn redact_after(
        &self,
        before: &mut Vec<u8>,
        text: Vec<u8>,
        is_end: bool,
    ) -> Vec<u8> {
        let Some(finder) = &self.finder else {
            return text;
        };
        let has_controls = text.iter().any(|byte| matches!(byte, ..b'\t' | 0x0E..b' '));
        if is_end && before.is_empty() && !has_controls && !finder.is_match(&text) {
            return text;
        }
        let mut places = Vec::new();
        let mut found = |range: Range<usize>| places.push(range);
        finder
            .find_iter(&text)
            .for_each(|secret| found(secret.range()));
        let seen = Seen::of(std::mem::take(before), &text);
        for secret in finder.find_iter(&seen.text) {
            found(seen.places_of(secret.range()));
        }
        if !is_end {
            let beginning = self.beginning_at_end(&seen.text);
            let at = seen.text.len() - beginning.len();
            if beginning.len() >= LEAST_BEGINNING_BYTES {
                found(seen.places_of(at..seen.text.len()));
            }
            *before = beginning.to_vec();
        }
        replace(&text, places)
    }

    /// The longest end of the text that is the beginning of a secret, but not all of it.
    fn beginning_at_end<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let beginnings = self.secrets.iter().filter_map(|secret| {
            let first = *secret.first()?;
            let end = text.get(text.len().saturating_sub(secret.len() - 1)..)?;
            let mut starts = memchr_iter(first, end).filter_map(|at| end.get(at..));
            starts.find(|end| secret.starts_with(end))
        });
        beginnings.max_by_key(|end| end.len()).unwrap_or_default()
    }

    /// The text without secrets.
    pub(crate) fn redact_text(&self, text: String) -> String {
        String::from_utf8_lossy(&self.redact(text.into_bytes())).into_owned()
    }
}

/// Replaces what is at these places, which may overlap.
fn replace(text: &[u8], mut places: Vec<Range<usize>>) -> Vec<u8> {
    places.retain(|place| !place.is_empty());
    places.sort_unstable_by_key(|place| place.start);
    let mut result = Vec::with_capacity(text.len());
    let mut end = 0;
    for place in places {
        if place.start >= end {
            result.extend_from_slice(text.get(end..place.start).unwrap_or_default());
            result.extend_from_slice(REPLACEMENT);
        }
        end = end.max(place.end);
    }
    result.extend_from_slice(text.get(end..).unwrap_or_default());
    result
}

/// The characters that a text shows, without sequences and control characters.
struct Seen {
    text: Vec<u8>,
    /// How many bytes of `text` are of the part before.
    before: usize,
    /// Where the other bytes are.
    places: Vec<usize>,
    /// The place of the byte that is being read.
    at: usize,
}

impl Seen {
    /// The characters that people see of `text`, after the characters `before`.
    fn of(before: Vec<u8>, text: &[u8]) -> Self {
        let mut seen = Self {
            before: before.len(),
            places: Vec::new(),
            text: before,
            at: 0,
        };
        let mut parser = Parser::new();
        for (at, byte) in text.iter().enumerate() {
            seen.at = at;
            parser.advance(&mut seen, &[*byte]);
        }
        seen
    }

    /// Where the characters in this part of `text` are, with what is between them.
    fn places_of(&self, range: Range<usize>) -> Range<usize> {
        let start = range.start.saturating_sub(self.before);
        let places = self
            .places
            .get(start..range.end.saturating_sub(self.before));
        match places {
            Some([only]) => *only..only + 1,
            Some([first, .., last]) => *first..last + 1,
            _ => 0..0,
        }
    }
}

impl Perform for Seen {
    fn print(&mut self, character: char) {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        for (number, byte) in (1..).zip(bytes) {
            self.text.push(*byte);
            let place = (self.at + number).saturating_sub(bytes.len());
            self.places.push(place);
        }
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
        let redactor = Redactor::new(variables.into_iter(), &["my-own-token".to_owned()]);
        let text = "gh-12345678 gh-12345 correct horse short /home/someone abcdefghij my-own-token";
        let expected = "[redacted] [redacted] [redacted] short /home/someone [redacted] [redacted]";
        assert_eq!(redactor.redact_text(text.to_owned()), expected);
        assert_eq!(redactor.longest(), 15);
    }

    #[test]
    fn without_secrets_nothing_changes() {
        let redactor = Redactor::new(std::iter::empty(), &[]);
        assert_eq!(redactor.redact(b"\xFFabc".to_vec()), b"\xFFabc");
    }

    #[test]
    fn a_secret_is_found_between_sequences() {
        let redactor = Redactor::new(std::iter::empty(), &["pässw0rd-of-ours".to_owned()]);
        for (text, expected) in [
            (
                "a \u{1b}[31mpä\u{1b}[0mssw0rd\u{1b}[1;32m-of-ours\u{1b}[m b",
                "a \u{1b}[31m[redacted]\u{1b}[m b",
            ),
            (
                "\u{1b}]8;;https://a.example\u{7}pässw0rd\u{8}-of\u{1b}[K-ours.",
                "\u{1b}]8;;https://a.example\u{7}[redacted].",
            ),
            (
                "\u{1b}]0;pässw0rd-of-ours\u{7}title",
                "\u{1b}]0;[redacted]\u{7}title",
            ),
            (
                "\u{1b}[1mpässw0rd\u{1b}[m of ours",
                "\u{1b}[1mpässw0rd\u{1b}[m of ours",
            ),
        ] {
            assert_eq!(redactor.redact_text(text.to_owned()), expected);
        }
        let mut bytes = b"\xFF\x1b[1m\xE2".to_vec();
        bytes.extend("pässw0rd-\u{1b}[mof-ours\u{1b}[m".bytes());
        let expected = b"\xFF\x1b[1m\xE2[redacted]\x1b[m";
        assert_eq!(redactor.redact(bytes), expected);
    }
}
