//! Splits the bytes of a log file into lines with positions and times. This module does not open
//! files.

mod encoding;
mod line_time;
mod lines;

pub use encoding::Encoding;
pub use lines::{Line, Lines, MAX_LINE_BYTES};

use crate::log_event::LogEvent;

/// The log stream of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStream<'a> {
    /// The name of the log stream.
    pub log_stream: &'a str,
    /// When the file was created or last truncated, in milliseconds since 1970; 0 if unknown.
    pub epoch_ms: u64,
    /// The text encoding of the file.
    pub encoding: Encoding,
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
            // 38 significant digits: the time of creation, the offset of the line, and a hash of
            // the log stream, so that ids of different files differ.
            event_id: format!(
                "{:014}{offset:014}{:010}",
                self.epoch_ms,
                stable_hash(self.log_stream.as_bytes()) % 10_u64.pow(10)
            ),
            message: text.to_owned(),
        })
    }
}

/// Computes the 64-bit FNV-1a hash. It is the same on every machine and with every version of Rust.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
