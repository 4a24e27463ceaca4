//! Bytes of a file as lines, each with its place and its time.

use super::encoding::Encoding;
use super::line_time::parse_line_time;
use crate::model::Timestamp;

/// The longest line, in bytes: what is longer is cut, as CloudWatch Logs does.
pub const MAX_LINE_BYTES: usize = 256 * 1024;

/// In how many bytes a line has its time stamp, if it has one.
const TIME_BYTES: usize = 128;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it begins, from the start of the bytes.
    pub start: usize,
    /// Its text, without the end of the line.
    pub text: &'a [u8],
    /// When it was written: by its own time stamp, or by that of the last line before it that has one.
    pub time: Timestamp,
}

/// The lines of some bytes.
///
/// Where a line is cut depends on where it begins and on nothing else, so that it is cut alike each time
/// it is read.
pub struct Lines<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    read: usize,
    time: Timestamp,
    takes_rest: bool,
}

impl<'a> Lines<'a> {
    /// The lines of `bytes`, which begin with a line. Those before the first time stamp are of `time`. A
    /// last line that has no end yet is one only if `takes_rest`.
    pub fn new(bytes: &'a [u8], encoding: Encoding, time: Timestamp, takes_rest: bool) -> Self {
        Self {
            bytes,
            encoding,
            read: 0,
            time,
            takes_rest,
        }
    }

    /// How many bytes the lines so far have taken.
    pub fn bytes_read(&self) -> usize {
        self.read
    }

    /// The time of the next line, unless it has its own.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// [`Self::next_lengths`], in UTF-16.
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

    /// The length of the next line's text, and with its end.
    fn next_lengths(&self, rest: &[u8]) -> Option<(usize, usize)> {
        if self.encoding != Encoding::Utf8 {
            return self.next_wide_lengths(rest);
        }
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
    fn lines_of_utf_16_end_alike() {
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
            // U+0A0D and U+0D0A have the bytes of ends of lines, and are none.
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
    fn lines_without_a_time_have_that_of_the_line_before() {
        let bytes = b"a\n2025-11-15T10:00:00Z b\nc\n";
        let moment: Timestamp = "2025-11-15T10:00:00Z".parse().unwrap();
        let times: Vec<_> = Lines::new(bytes, Encoding::Utf8, Timestamp::default(), false)
            .map(|line| line.time)
            .collect();
        assert_eq!(times, [Timestamp::default(), moment, moment]);
    }
}
