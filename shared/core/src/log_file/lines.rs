//! Splits the bytes of a file into lines with positions and times.

use super::encoding::Encoding;
use super::line_time::parse_line_time;
use crate::model::Timestamp;

/// The longest line, in bytes. Longer lines are split, as in CloudWatch Logs.
pub const MAX_LINE_BYTES: usize = 256 * 1024;

/// The timestamp of a line in UTF-16 is within this many bytes.
const TIME_BYTES: usize = 128;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The position of its first byte.
    pub start: usize,
    /// Its text without the line end.
    pub text: &'a [u8],
    /// Its timestamp, or that of the last line before it that has one.
    pub time: Timestamp,
}

/// An iterator over the lines of some bytes.
///
/// Where a long line is split depends only on where it starts, so that each read splits it in the
/// same way.
pub struct Lines<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    read: usize,
    time: Timestamp,
    takes_rest: bool,
}

impl<'a> Lines<'a> {
    /// Creates an iterator over `bytes`, which start at a line. Lines before the first timestamp
    /// get `time`. A last line without a line end is returned only if `takes_rest`.
    pub fn new(bytes: &'a [u8], encoding: Encoding, time: Timestamp, takes_rest: bool) -> Self {
        Self {
            bytes,
            encoding,
            read: 0,
            time,
            takes_rest,
        }
    }

    /// The number of bytes read so far.
    pub fn bytes_read(&self) -> usize {
        self.read
    }

    /// The time of the next line, if it has no timestamp.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The time of the lines before the first timestamp: that timestamp, unless it is later than
    /// `time`. Otherwise they would come after lines that follow them.
    #[must_use]
    pub fn from_first_timestamp(mut self) -> Self {
        let unknown = Timestamp::from_millis(i64::MAX);
        let mut ahead = Self {
            time: unknown,
            ..self
        };
        if let Some(first) = ahead.find(|line| line.time != unknown) {
            self.time = self.time.min(first.time);
        }
        self
    }

    /// [`Self::next_lengths`] for UTF-16.
    fn next_wide_lengths(&self, rest: &[u8]) -> Option<(usize, usize)> {
        const LF: u16 = 0x0A;
        const CR: u16 = 0x0D;
        let unit = |at| self.encoding.unit(rest, at);
        let mut units = (0..MAX_LINE_BYTES.min(rest.len())).step_by(2);
        if let Some(length) = units.find(|at| matches!(unit(*at), Some(LF | CR))) {
            return match (unit(length), unit(length + 2)) {
                (Some(CR), Some(LF)) => Some((length, length + 4)),
                (Some(CR), None) if !self.takes_rest => None,
                _ => Some((length, length + 2)),
            };
        }
        if rest.len() > MAX_LINE_BYTES {
            let is_inside_char = matches!(unit(MAX_LINE_BYTES), Some(0xDC00..=0xDFFF));
            let length = MAX_LINE_BYTES - if is_inside_char { 2 } else { 0 };
            return Some((length, length));
        }
        (self.takes_rest && !rest.is_empty()).then_some((rest.len(), rest.len()))
    }

    /// The length of the next line without and with its line end.
    fn next_lengths(&self, rest: &[u8]) -> Option<(usize, usize)> {
        if self.encoding != Encoding::Utf8 {
            return self.next_wide_lengths(rest);
        }
        let window = rest.get(..=MAX_LINE_BYTES).unwrap_or(rest);
        // Each frame of a progress bar ends with a lone CR.
        if let Some(length) = memchr::memchr2(b'\n', b'\r', window) {
            let end: &[u8] = rest.get(length..).unwrap_or_default();
            match end {
                [b'\r', b'\n', ..] => return Some((length, length + 2)),
                // It is not known yet whether an LF follows.
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
        let time = if self.encoding == Encoding::Utf8 {
            parse_line_time(text)
        } else {
            let head = text.get(..TIME_BYTES).unwrap_or(text);
            let head = self.encoding.decode(head);
            parse_line_time(head.trim_start_matches('\u{feff}').as_bytes())
        };
        self.time = time.unwrap_or(self.time);
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
        Lines::new(bytes, Encoding::Utf8, Timestamp::default(), takes_rest)
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn lines_before_the_first_timestamp_may_get_its_time() {
        let bytes = b"one\n2026-03-01T07:00:00Z two\nthree\n";
        let now = Timestamp::from_millis(1_900_000_000_000);
        let times = |bytes| -> Vec<Timestamp> {
            let lines = Lines::new(bytes, Encoding::Utf8, now, true);
            let lines = lines.from_first_timestamp();
            lines.map(|line| line.time).collect()
        };
        let stamp: Timestamp = "2026-03-01T07:00:00Z".parse().unwrap();
        assert_eq!(times(&bytes[..]), [stamp; 3]);
        assert_eq!(times(b"one\ntwo\n"), [now; 2]);
        let later = b"one\n2099-03-01T07:00:00Z two\n";
        assert_eq!(times(&later[..])[0], now);
    }

    #[test]
    fn lines_end_with_lf_crlf_or_cr() {
        assert_eq!(texts(b"a\r\n\nb\rc\n", false), [&b"a"[..], b"", b"b", b"c"]);
        assert_eq!(texts(b"a\r", false), [b""; 0], "an LF may follow");
        assert_eq!(texts(b"a\r", true), [b"a"]);
    }

    #[test]
    fn a_line_without_an_end_is_returned_only_if_nothing_will_follow() {
        assert_eq!(texts(b"a\nb", false), [b"a"]);
        assert_eq!(texts(b"a\nb", true), [b"a", b"b"]);
    }

    #[test]
    fn a_long_line_is_always_split_at_the_same_character() {
        let text = "あ".repeat(MAX_LINE_BYTES); // three times as many bytes
        let whole = texts(text.as_bytes(), true);
        assert_eq!(whole.concat(), text.as_bytes());
        assert!(whole.iter().all(|piece| str::from_utf8(piece).is_ok()));
        assert!(whole.iter().all(|piece| piece.len() <= MAX_LINE_BYTES));
        let (first, rest) = text.as_bytes().split_at(whole[0].len());
        assert_eq!([texts(first, true), texts(rest, true)].concat(), whole);
    }

    #[test]
    fn utf_16_lines_end_with_lf_crlf_or_cr() {
        for (encoding, bytes_of) in [
            (Encoding::Utf16Le, u16::to_le_bytes as fn(u16) -> [u8; 2]),
            (Encoding::Utf16Be, u16::to_be_bytes),
        ] {
            let wide = |text: &str| text.encode_utf16().flat_map(bytes_of).collect::<Vec<_>>();
            let lines = |bytes: &[u8], takes_rest| {
                let lines = Lines::new(bytes, encoding, Timestamp::default(), takes_rest);
                let texts = lines.map(|line| encoding.decode(line.text).into_owned());
                texts.collect::<Vec<_>>()
            };
            // U+0A0D and U+0D0A contain the bytes of line ends but are not line ends.
            let text = wide("a\r\n\nb\r\u{a0d}\u{d0a}\nc");
            assert_eq!(lines(&text, false), ["a", "", "b", "\u{a0d}\u{d0a}"]);
            assert_eq!(lines(&text, true).last().unwrap(), "c");
            assert_eq!(lines(&wide("a\r"), false), [""; 0], "an LF may follow");
            assert_eq!(lines(&wide("a\n")[..3], false), [""; 0]);
            let long = "x🚀".repeat(MAX_LINE_BYTES);
            assert_eq!(lines(&wide(&long), true).concat(), long);
        }
    }

    #[test]
    fn a_line_without_a_timestamp_gets_the_time_of_the_line_before() {
        let bytes = b"a\n2025-11-15T10:00:00Z b\nc\n";
        let moment: Timestamp = "2025-11-15T10:00:00Z".parse().unwrap();
        let times: Vec<_> = Lines::new(bytes, Encoding::Utf8, Timestamp::default(), false)
            .map(|line| line.time)
            .collect();
        assert_eq!(times, [Timestamp::default(), moment, moment]);
    }
}
