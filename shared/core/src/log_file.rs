//! Bytes of a log file as lines, each with its place and its time. Nothing here opens a file.

mod encoding;
mod line_time;
mod lines;

pub use encoding::Encoding;
pub use lines::{Line, Lines, MAX_LINE_BYTES};

use crate::log_event::LogEvent;

/// Identifies the log stream that a file is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStream<'a> {
    /// The name of the log stream.
    pub log_stream: &'a str,
    /// When the file was made or last emptied, in milliseconds since 1970; 0 if that is not known.
    pub epoch_ms: u64,
    /// How the text of the file is encoded.
    pub encoding: Encoding,
}

impl FileStream<'_> {
    /// The event of `line`, which begins `offset` bytes into the file; `None` for a blank line.
    pub fn event(&self, offset: u64, line: &Line<'_>) -> Option<LogEvent> {
        let text = self.encoding.decode(line.text);
        let text = match offset {
            0 => text.strip_prefix('\u{feff}').unwrap_or(&text),
            _ => &text,
        };
        (!text.trim_ascii().is_empty()).then(|| LogEvent {
            log_stream: self.log_stream.to_owned(),
            timestamp: line.time,
            // 38 digits, all of which count: when the file began, where the line begins, and a hash that
            // tells the line from lines of other files.
            event_id: format!(
                "{:014}{offset:014}{:010}",
                self.epoch_ms,
                stable_hash(self.log_stream.as_bytes()) % 10_u64.pow(10)
            ),
            message: text.to_owned(),
        })
    }
}

/// The 64-bit FNV-1a hash: the same on every machine and with every version of Rust.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
