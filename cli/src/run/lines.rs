//! Cuts the output of a command into lines, as they are at last seen in a terminal.

use memchr::{memchr2, memrchr};

use super::redactor::Redactor;

/// The greatest length of a line, in bytes.
const MOST_LINE_BYTES: usize = 64 * 1024;
/// The greatest length of a sequence of a terminal that a cut does not divide, in bytes.
const MOST_SEQUENCE_BYTES: usize = 32;
/// The byte that begins a sequence.
const ESCAPE: u8 = 0x1B;

/// A line of output, without its end and without secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The text. Bytes that are no UTF-8 are replaced.
    pub(crate) text: String,
    /// Whether the next line of this output is written over it.
    pub(crate) is_overwritten: bool,
}

/// The lines of one output.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    /// What may be the beginning of a secret, at the end of the part of the line before.
    before: Vec<u8>,
    /// Whether a `\r` follows `partial`.
    has_return: bool,
    /// Whether the rest of this line is left out.
    is_skipping: bool,
    /// Whether the line was handed out already, at its `\r`.
    is_sent: bool,
}

impl Lines {
    /// Takes more output. Complete lines go to `add`.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        redactor: &Redactor,
        add: &mut impl FnMut(Line),
    ) {
        while let Some(&first) = bytes.first() {
            if self.has_return && first != b'\n' && first != b'\r' {
                self.end_line(redactor, true, add);
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                return self.extend(bytes, redactor, add);
            };
            let (text, rest) = bytes.split_at(end);
            self.extend(text, redactor, add);
            if rest.starts_with(b"\n") {
                self.end_line(redactor, false, add);
            } else {
                self.has_return = true;
            }
            bytes = rest.split_at(1).1;
        }
    }

    /// Output is missing here. What is left of the line could be a part of a secret.
    pub(crate) fn skip_to_next_line(&mut self) {
        *self = Self {
            is_skipping: true,
            ..Self::default()
        };
    }

    /// Hands out what will be overwritten next, so that it is seen in time.
    pub(crate) fn flush_overwritten(&mut self, redactor: &Redactor, add: &mut impl FnMut(Line)) {
        if self.has_return && !self.partial.is_empty() {
            self.end_line(redactor, true, add);
            self.has_return = true;
            self.is_sent = true;
        }
    }

    /// Hands out the last line, which has no end.
    pub(crate) fn finish(&mut self, redactor: &Redactor, add: &mut impl FnMut(Line)) {
        if !self.partial.is_empty() {
            self.end_line(redactor, false, add);
        }
    }

    fn end_line(&mut self, redactor: &Redactor, is_overwritten: bool, add: &mut impl FnMut(Line)) {
        let mut line = std::mem::take(self);
        let is_nothing = line.partial.is_empty() && (is_overwritten || line.is_sent);
        if !line.is_skipping && !is_nothing {
            let text = redactor.redact_after(&mut line.before, line.partial, !is_overwritten);
            add(Line {
                text: String::from_utf8_lossy(&text).into_owned(),
                is_overwritten,
            });
        }
        if is_overwritten {
            self.before = line.before;
        }
    }

    fn extend(&mut self, bytes: &[u8], redactor: &Redactor, add: &mut impl FnMut(Line)) {
        if self.is_skipping {
            return;
        }
        self.partial.extend_from_slice(bytes);
        // A secret may go on in the next bytes: what could be its beginning is not cut off.
        while self.partial.len() > MOST_LINE_BYTES + redactor.longest() {
            let text = std::mem::take(&mut self.partial);
            let mut text = redactor.redact_after(&mut self.before.clone(), text, true);
            if text.len() > MOST_LINE_BYTES {
                let is_inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
                let ends = (MOST_LINE_BYTES - 3)..=MOST_LINE_BYTES;
                let end = ends.rev().find(|at| !is_inside(at));
                let end = end.unwrap_or(MOST_LINE_BYTES);
                let sequence = memrchr(ESCAPE, text.get(..end).unwrap_or_default());
                let sequence = sequence.filter(|at| end - at < MOST_SEQUENCE_BYTES);
                self.partial = text.split_off(sequence.unwrap_or(end));
                let text = redactor.redact_after(&mut self.before, text, false);
                add(Line {
                    text: String::from_utf8_lossy(&text).into_owned(),
                    is_overwritten: false,
                });
            } else {
                self.partial = text;
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secret: Option<&str>) -> Redactor {
        let secret: Vec<_> = secret.into_iter().map(str::to_owned).collect();
        Redactor::new(std::iter::empty(), &secret)
    }

    /// The lines of this output, which arrives in pieces of `size`. Overwritten ones begin with `>`.
    fn lines_of(output: &[u8], size: usize, redactor: &Redactor) -> Vec<String> {
        let mut lines = Lines::default();
        let mut texts = Vec::new();
        let mut add = |line: Line| {
            let mark = if line.is_overwritten { ">" } else { "" };
            texts.push(format!("{mark}{}", line.text));
        };
        for piece in output.chunks(size) {
            lines.push(piece, redactor, &mut add);
        }
        lines.finish(redactor, &mut add);
        texts
    }

    #[test]
    fn lines_end_as_in_a_terminal() {
        let cases: [(&[u8], &[&str]); 7] = [
            (b"a\nb\r\nc", &["a", "b", "c"]),
            (b"\n\r\n", &["", ""]),
            (b"1%\r2%\r3%\n4", &[">1%", ">2%", "3%", "4"]),
            (b"\r1%\r2%\r\nend\n", &[">1%", "2%", "end"]),
            (b"a\r\r\nb\n", &["a", "b"]),
            (b"\xE2\x82\xAC \xFF\n", &["\u{20AC} \u{FFFD}"]),
            (b"", &[]),
        ];
        for (output, expected) in cases {
            for size in 1..=output.len().max(1) {
                let found = lines_of(output, size, &redactor(None));
                assert_eq!(found, expected, "{output:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let output = "\u{20AC}".repeat(50_000);
        let found = lines_of(output.as_bytes(), 4_096, &redactor(None));
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|line| line.len() <= MOST_LINE_BYTES));
        assert_eq!(found.concat(), output);
    }

    #[test]
    fn a_secret_is_removed_wherever_a_line_is_cut() {
        let secret = "a-secret-of-some-length";
        for before in (MOST_LINE_BYTES - 60)..(MOST_LINE_BYTES + 40) {
            let output = format!("{}{secret}{}", "x".repeat(before), "y".repeat(99));
            let found = lines_of(output.as_bytes(), 1_000, &redactor(Some(secret))).concat();
            let expected = output.replace(secret, "[redacted]");
            assert_eq!(found.len(), expected.len(), "{before}");
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_coloured_secret_is_removed_wherever_a_line_is_cut() {
        let (secret, coloured) = (
            "a-secret-of-some-length",
            "a-sec\u{1b}[31mret-of-some-len\u{1b}[0mgth",
        );
        let redactor = redactor(Some(secret));
        for before in (MOST_LINE_BYTES - 60)..(MOST_LINE_BYTES + 40) {
            let output = format!("{}{coloured}{}", "x".repeat(before), "y".repeat(99));
            let found = lines_of(output.as_bytes(), 1_000, &redactor).concat();
            assert!(
                !found.contains("len"),
                "{before}: {}",
                found.replace("xx", "")
            );
            assert!(
                !found.contains("ret"),
                "{before}: {}",
                found.replace("xx", "")
            );
        }
    }

    #[test]
    fn a_secret_that_is_divided_by_returns_is_removed() {
        let redactor = redactor(Some("a-secret-of-some-length"));
        for (output, expected) in [
            (
                "is a-secret-\rof-some-length.\n",
                vec![">is [redacted]", "[redacted]."],
            ),
            ("a-\rsecret-of-some-length\n", vec![">a-", "[redacted]"]),
            (
                "a-secret\r-of-\u{1b}[1msome\r-length\rnext\n",
                vec![">[redacted]", ">[redacted]", ">[redacted]", "next"],
            ),
            (
                "a-secret\n-of-some-length\n",
                vec!["a-secret", "-of-some-length"],
            ),
            ("4/9 a\r5/9 a\n", vec![">4/9 a", "5/9 a"]),
        ] {
            for size in 1..=output.len() {
                let found = lines_of(output.as_bytes(), size, &redactor);
                assert_eq!(found, expected, "{output:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn the_rest_of_a_line_with_a_gap_is_left_out() {
        let redactor = redactor(None);
        let (mut lines, mut texts) = (Lines::default(), Vec::new());
        let mut add = |line: Line| texts.push(line.text);
        lines.push(b"one\ntw", &redactor, &mut add);
        lines.skip_to_next_line();
        lines.push(b"o\nthree\n", &redactor, &mut add);
        assert_eq!(texts, ["one", "three"]);
    }

    #[test]
    fn what_will_be_overwritten_is_seen_in_time_and_once() {
        let redactor = redactor(None);
        let (mut lines, mut texts) = (Lines::default(), Vec::new());
        let mut add = |line: Line| texts.push((line.text, line.is_overwritten));
        lines.push(b"50%\r", &redactor, &mut add);
        lines.flush_overwritten(&redactor, &mut add);
        lines.flush_overwritten(&redactor, &mut add);
        lines.push(b"\nend\n", &redactor, &mut add);
        assert_eq!(texts, [("50%".to_owned(), true), ("end".to_owned(), false)]);
    }
}
