//! Bytes of a file as lines, each with its place and its time.

use super::line_time::parse_line_time;
use crate::model::Timestamp;

/// The longest line, in bytes: what is longer is cut, as CloudWatch Logs does.
pub(super) const MAX_LINE_BYTES: usize = 256 * 1024;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Where it begins, from the start of the bytes.
    pub(super) start: usize,
    /// Its text, without the end of the line.
    pub(super) text: &'a [u8],
    /// When it was written: by its own time stamp, or by that of the last line before it that has one.
    pub(super) time: Timestamp,
}

/// The lines of some bytes.
///
/// Where a line is cut depends on where it begins and on nothing else, so that it is cut alike each time
/// it is read.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    read: usize,
    time: Timestamp,
    takes_rest: bool,
}

impl<'a> Lines<'a> {
    /// The lines of `bytes`, which begin with a line. Those before the first time stamp are of `time`. A
    /// last line that has no end yet is one only if `takes_rest`.
    pub(super) fn new(bytes: &'a [u8], time: Timestamp, takes_rest: bool) -> Self {
        Self {
            bytes,
            read: 0,
            time,
            takes_rest,
        }
    }

    /// How many bytes the lines so far have taken.
    pub(super) fn bytes_read(&self) -> usize {
        self.read
    }

    /// The time of the next line, unless it has its own.
    pub(super) fn time(&self) -> Timestamp {
        self.time
    }

    /// The length of the next line's text, and with its end.
    fn next_lengths(&self, rest: &[u8]) -> Option<(usize, usize)> {
        let window = rest.get(..=MAX_LINE_BYTES).unwrap_or(rest);
        // A bar that is drawn over and over ends each frame with a CR alone.
        if let Some(length) = memchr::memchr2(b'\n', b'\r', window) {
            let end: &[u8] = rest.get(length..).unwrap_or_default();
            match end {
                [b'\r', b'\n', ..] => return Some((length, length + 2)),
                // Whether an LF follows is not known yet.
                [b'\r'] if !self.takes_rest => return None,
                _ => return Some((length, length + 1)),
            }
        }
        if rest.len() > MAX_LINE_BYTES {
            let is_inside_char = |&at: &usize| rest.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
            let back = (0..4).find(|back| !is_inside_char(&(MAX_LINE_BYTES - back)));
            let length = MAX_LINE_BYTES - back.unwrap_or(0);
            return Some((length, length));
        }
        (self.takes_rest && !rest.is_empty()).then_some((rest.len(), rest.len()))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.read;
        let rest = self.bytes.get(start..)?;
        let (length, length_with_end) = self.next_lengths(rest)?;
        self.read += length_with_end;
        let text = rest.get(..length)?;
        self.time = parse_line_time(text).unwrap_or(self.time);
        Some(Line {
            start,
            text,
            time: self.time,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], takes_rest: bool) -> Vec<&[u8]> {
        Lines::new(bytes, Timestamp::default(), takes_rest)
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn lines_end_with_lf_crlf_or_cr() {
        assert_eq!(texts(b"a\r\n\nb\rc\n", false), [&b"a"[..], b"", b"b", b"c"]);
        assert_eq!(texts(b"a\r", false), [b""; 0], "an LF may follow");
        assert_eq!(texts(b"a\r", true), [b"a"]);
    }

    #[test]
    fn a_line_without_an_end_is_taken_if_nothing_will_follow() {
        assert_eq!(texts(b"a\nb", false), [b"a"]);
        assert_eq!(texts(b"a\nb", true), [b"a", b"b"]);
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_always_at_the_same_place() {
        let text = "あ".repeat(MAX_LINE_BYTES); // three times as many bytes
        let whole = texts(text.as_bytes(), true);
        assert_eq!(whole.concat(), text.as_bytes());
        assert!(whole.iter().all(|piece| str::from_utf8(piece).is_ok()));
        assert!(whole.iter().all(|piece| piece.len() <= MAX_LINE_BYTES));
        let (first, rest) = text.as_bytes().split_at(whole[0].len());
        assert_eq!([texts(first, true), texts(rest, true)].concat(), whole);
    }

    #[test]
    fn lines_without_a_time_have_that_of_the_line_before() {
        let bytes = b"a\n2025-11-15T10:00:00Z b\nc\n";
        let moment: Timestamp = "2025-11-15T10:00:00Z".parse().unwrap();
        let times: Vec<_> = Lines::new(bytes, Timestamp::default(), false)
            .map(|line| line.time)
            .collect();
        assert_eq!(times, [Timestamp::default(), moment, moment]);
    }
}
