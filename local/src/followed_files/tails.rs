//! The ends of followed files, for those who ask what a run has said last.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use shared::log_file::{Encoding, Lines};
use shared::log_source::{LogSourceError, TailRequest, TailSource};
use shared::log_tail::{TailLine, TailPart};
use shared::model::Timestamp;

/// The most bytes that are read of the end of a file.
const TAIL_BYTES: u64 = 128 * 1024;
/// The bytes at the beginning of a file that tell its encoding.
const HEAD_BYTES: u64 = 4;

/// Reads the ends of followed files. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileTails(Arc<Mutex<HashMap<LogName, PathBuf>>>);

/// The log group and the log stream of a file.
type LogName = (String, String);

impl FileTails {
    pub(super) fn add(&self, log_group: &str, log_stream: &str, path: &Path) {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paths.insert(
            (log_group.to_owned(), log_stream.to_owned()),
            path.to_owned(),
        );
    }
}

#[async_trait]
impl TailSource for FileTails {
    async fn fetch_tail(&self, request: TailRequest<'_>) -> Result<Vec<TailLine>, LogSourceError> {
        let name = (request.log_group.to_owned(), request.log_stream.to_owned());
        let path = {
            let paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            paths.get(&name).cloned()
        };
        let not_found = || LogSourceError::GroupNotFound(request.log_group.to_owned());
        let path = path.ok_or_else(not_found)?;
        let (start, end) = (request.start, request.end);
        let read = tokio::task::spawn_blocking(move || read_tail(&path, start, end)).await;
        read.map_err(io::Error::other)
            .flatten()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => not_found(),
                _ => LogSourceError::Unavailable {
                    log_group: request.log_group.to_owned(),
                    source: Box::new(error),
                },
            })
    }
}

/// The last lines of a file with times from `start` to `end`. Lines without a time stamp, and without one before them,
/// have the time when the file was last modified.
fn read_tail(path: &Path, start: Timestamp, end: Timestamp) -> io::Result<Vec<TailLine>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let modified = Timestamp::from(chrono::DateTime::from(metadata.modified()?));
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let encoding = Encoding::of(&head);
    let skipped = metadata.len().saturating_sub(TAIL_BYTES);
    // A character of UTF-16 has an even number of bytes.
    file.seek(SeekFrom::Start(skipped & !1))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES + 1).read_to_end(&mut bytes)?;
    let lines = Lines::new(&bytes, encoding, modified, true).from_first_timestamp();
    let mut tail = TailPart::new(0);
    // The first line may be the end of a longer one.
    for line in lines.skip(usize::from(skipped > 0)) {
        let text = encoding.decode(line.text);
        if (start..=end).contains(&line.time) && !text.trim_ascii().is_empty() {
            tail.push(line.time, false, text.trim_start_matches('\u{feff}'));
        }
    }
    Ok(tail.finish().lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn always() -> (Timestamp, Timestamp) {
        (Timestamp::from_millis(0), Timestamp::LATEST)
    }

    async fn tail(bytes: &[u8], (start, end): (Timestamp, Timestamp)) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let tails = FileTails::default();
        tails.add("group", "stream", file.path());
        let request = TailRequest {
            log_group: "group",
            log_stream: "stream",
            start,
            end,
        };
        let lines = tails.fetch_tail(request).await.unwrap().into_iter();
        lines.map(|line| line.text).collect()
    }

    #[tokio::test]
    async fn the_last_lines_of_a_large_file_are_read() {
        let text: String = (0..100_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        let lines = tail(text.as_bytes(), always()).await;
        assert_eq!((lines.len(), lines[199].as_str()), (200, "line 99999"));
    }

    #[tokio::test]
    async fn lines_of_other_runs_are_left_out() {
        let text = "2026-01-01T00:00:00Z a\nb\n2026-01-02T00:00:00Z c\n";
        let until = "2026-01-01T12:00:00Z".parse().unwrap();
        let lines = tail(text.as_bytes(), (always().0, until)).await;
        assert_eq!(lines, ["2026-01-01T00:00:00Z a", "b"]);
    }

    #[tokio::test]
    async fn utf_16_is_read() {
        let text = "\u{feff}one\r\ntwo\r\n".encode_utf16();
        let bytes: Vec<u8> = text.flat_map(u16::to_le_bytes).collect();
        assert_eq!(tail(&bytes, always()).await, ["one", "two"]);
    }

    #[tokio::test]
    async fn a_file_that_is_not_followed_has_no_tail() {
        let request = TailRequest {
            log_group: "group",
            log_stream: "stream",
            start: always().0,
            end: always().1,
        };
        let outcome = FileTails::default().fetch_tail(request).await;
        assert!(matches!(outcome, Err(LogSourceError::GroupNotFound(_))));
    }
}
