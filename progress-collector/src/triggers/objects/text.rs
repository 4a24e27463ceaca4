//! The text of an object while it is read, portion by portion: memory stays small however long it is.

use std::io::{self, Write as _};

use flate2::write::MultiGzDecoder;
use shared::log_event::LogEvent;
use shared::log_file::{Encoding, FileStream, Lines};
use shared::model::Timestamp;

/// The most bytes of an unpacked object.
const MAX_UNPACKED_BYTES: u64 = 1024 * 1024 * 1024;
/// The first bytes of what gzip has packed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a text can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextError {
    #[error("it can't be unpacked")]
    Packed(#[from] io::Error),
    #[error("it unpacks to more than {MAX_UNPACKED_BYTES} bytes")]
    TooLarge,
}

/// What was read of a text, and is not yet taken as lines.
pub(super) struct Text {
    stream: Stream,
    input: Input,
    /// The bytes after the last whole line.
    rest: Vec<u8>,
}

/// How lines become events.
struct Stream {
    log_stream: String,
    /// When the object was stored.
    modified: Timestamp,
    read_at: Timestamp,
    /// Known from the first bytes on.
    encoding: Option<Encoding>,
    /// The offset of the next line, in bytes.
    offset: u64,
    /// The time of the next line if it has no time stamp, and there was one before.
    time: Option<Timestamp>,
}

/// How the bytes are stored.
enum Input {
    /// The first bytes, which do not tell yet.
    Unknown(Vec<u8>),
    Plain,
    Packed(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Text {
    pub(super) fn new(log_stream: String, modified: Timestamp, read_at: Timestamp) -> Self {
        Self {
            stream: Stream {
                log_stream,
                modified,
                read_at,
                encoding: None,
                offset: 0,
                time: None,
            },
            input: Input::Unknown(Vec::new()),
            rest: Vec::new(),
        }
    }

    /// Adds the next bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), TextError> {
        match &mut self.input {
            Input::Unknown(first) => {
                first.extend_from_slice(bytes);
                if first.len() < GZIP.len() {
                    return Ok(());
                }
                let first = std::mem::take(first);
                self.input = match first.starts_with(&GZIP) {
                    true => Input::Packed(Box::new(MultiGzDecoder::new(Vec::new()))),
                    false => Input::Plain,
                };
                self.add(&first)
            }
            Input::Plain => {
                self.rest.extend_from_slice(bytes);
                self.check()
            }
            Input::Packed(decoder) => {
                decoder.write_all(bytes)?;
                self.rest.append(decoder.get_mut());
                self.check()
            }
        }
    }

    /// Adds what is left after the last bytes.
    pub(super) fn finish(&mut self) -> Result<(), TextError> {
        match std::mem::replace(&mut self.input, Input::Plain) {
            Input::Unknown(first) => self.rest.extend(first),
            Input::Plain => {}
            Input::Packed(decoder) => self.rest.extend(decoder.finish()?),
        }
        self.check()
    }

    fn check(&self) -> Result<(), TextError> {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        match self.stream.offset.saturating_add(rest) <= MAX_UNPACKED_BYTES {
            true => Ok(()),
            false => Err(TextError::TooLarge),
        }
    }

    /// Takes the events of all whole lines; if `is_end`, also that of a last line without its end.
    pub(super) fn take_events(&mut self, is_end: bool) -> Vec<LogEvent> {
        let (events, read) = self.stream.events(&self.rest, is_end);
        self.rest.drain(..read);
        events
    }
}

impl Stream {
    /// The events of the lines at the beginning of `bytes`, and the number of bytes that they take.
    fn events(&mut self, bytes: &[u8], is_end: bool) -> (Vec<LogEvent>, usize) {
        let encoding = *self.encoding.get_or_insert_with(|| Encoding::of(bytes));
        let file = FileStream {
            log_stream: &self.log_stream,
            epoch_ms: u64::try_from(self.modified.as_millis()).unwrap_or(0),
            encoding,
            read_at: self.read_at,
        };
        let lines = Lines::new(bytes, encoding, self.time.unwrap_or(self.modified), is_end);
        let mut lines = match self.time {
            Some(_) => lines,
            None => lines.from_first_timestamp(),
        };
        let mut events = Vec::new();
        for line in lines.by_ref() {
            let start = u64::try_from(line.start).unwrap_or(u64::MAX);
            events.extend(file.event(self.offset.saturating_add(start), &line));
        }
        let read = lines.bytes_read();
        if read > 0 {
            self.time = Some(lines.time());
        }
        let read_bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(read_bytes);
        (events, read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// The events of `bytes` that arrive `at_once` at a time.
    fn events(bytes: &[u8], at_once: usize) -> Vec<LogEvent> {
        let at = Timestamp::from_millis(1_795_255_200_000);
        let mut text = Text::new("s".to_owned(), at, at);
        let mut events = Vec::new();
        for part in bytes.chunks(at_once) {
            text.add(part).unwrap();
            events.extend(text.take_events(false));
        }
        text.finish().unwrap();
        events.extend(text.take_events(true));
        events
    }

    #[test]
    fn a_text_has_the_same_lines_however_it_is_packed_and_divided() {
        let lines = "one\r\ntwo\n\n2026-11-20T10:00:00Z three\nfour";
        let whole = events(lines.as_bytes(), 1000);
        let texts: Vec<_> = whole.iter().map(|event| event.message.as_str()).collect();
        assert_eq!(texts, ["one", "two", "2026-11-20T10:00:00Z three", "four"]);
        let two_members = [
            packed("one\r\ntwo\n\n2026-"),
            packed("11-20T10:00:00Z three\nfour"),
        ]
        .concat();
        for bytes in [lines.as_bytes().to_vec(), packed(lines), two_members] {
            for at_once in [1, 2, 7, 1000] {
                let events = events(&bytes, at_once);
                let ids = |events: &[LogEvent]| {
                    let ids = events
                        .iter()
                        .map(|event| (event.event_id.clone(), event.message.clone()));
                    ids.collect::<Vec<_>>()
                };
                assert_eq!(ids(&events), ids(&whole), "{at_once} at once");
            }
        }
    }

    #[test]
    fn what_is_cut_or_no_gzip_is_an_error() {
        let at = Timestamp::from_millis(0);
        let bytes = packed("one\ntwo\n");
        let mut cut = Text::new("s".to_owned(), at, at);
        cut.add(bytes.split_at(bytes.len() / 2).0).unwrap();
        assert!(cut.finish().is_err());
        let mut broken = Text::new("s".to_owned(), at, at);
        assert!(
            broken
                .add(&[0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])
                .is_err()
        );
        assert!(events(b"", 1).is_empty() && events(b"x", 1).len() == 1);
    }
}
