//! Splits the bytes of a log file into lines with positions and times. This module does not open
//! files.

mod encoding;
mod line_time;
mod lines;

pub use encoding::Encoding;
pub use lines::{Line, Lines, MAX_LINE_BYTES};

use crate::log_event::LogEvent;
use crate::model::Timestamp;

/// The log stream of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStream<'a> {
    /// The name of the log stream.
    pub log_stream: &'a str,
    /// When the file was created or last truncated, in milliseconds since 1970; 0 if unknown.
    pub epoch_ms: u64,
    /// The text encoding of the file.
    pub encoding: Encoding,
    /// When the lines are read.
    pub read_at: Timestamp,
}

impl FileStream<'_> {
    /// Creates the log event of `line`, which starts at byte `offset` of the file; `None` for a
    /// blank line.
    pub fn event(&self, offset: u64, line: &Line<'_>) -> Option<LogEvent> {
        let text = self.encoding.decode(line.text);
        let text = match offset {
            0 => text.strip_prefix('\u{feff}').unwrap_or(&text),
            _ => &text,
        };
        (!text.trim_ascii().is_empty()).then(|| LogEvent {
            log_stream: self.log_stream.to_owned(),
            timestamp: line.time,
            ingested_at: self.read_at,
            // The time of creation, the offset of the line, and a hash of the log stream, so that
            // ids of different files differ.
            event_id: digits([
                (self.epoch_ms, 14),
                (offset, 14),
                (stable_hash(self.log_stream.as_bytes()), 10),
            ]),
            message: text.to_owned(),
        })
    }
}

/// The last digits of each number, with zeros in front: 38 in all. It runs for every line, and is
/// several times as fast as the formatting of the standard library.
fn digits(numbers: [(u64, usize); 3]) -> String {
    let mut digits = [b'0'; 38];
    let mut end = digits.len();
    for (mut number, width) in numbers.into_iter().rev() {
        for digit in digits[end - width..end].iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
        end -= width;
    }
    digits.map(char::from).iter().collect()
}

/// Computes the 64-bit FNV-1a hash. It is the same on every machine and with every version of Rust.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    continued_hash(0xcbf2_9ce4_8422_2325, bytes)
}

/// The [`stable_hash`] of some bytes followed by `bytes`, if `hash` is that of the former.
pub fn continued_hash(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_event_has_38_digits() {
        let id = digits([(17, 14), (u64::MAX, 14), (9, 10)]);
        assert_eq!(id, "00000000000017440737095516150000000009");
    }
}
