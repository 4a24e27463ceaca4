//! The latest lines of each log stream, for the context of a failure.

use std::collections::VecDeque;

use crate::fold::{MOST_CONTEXT, text_of};
use crate::log_parser::split_lines;
use crate::log_parser::text::head;

/// The most streams whose lines are kept. The one that was kept first goes first.
const MOST_STREAMS: usize = 32;
/// How much of a line is kept, in bytes. The text of a context line is shorter.
const MAX_LINE_BYTES: usize = 512;

/// The latest lines of a log stream. Streams of two log groups may have the same name.
#[derive(Debug)]
struct Stream {
    log_group: String,
    log_stream: String,
    lines: VecDeque<String>,
}

/// The latest lines of each log stream, as they were read.
#[derive(Debug, Default)]
pub(super) struct RecentLines {
    streams: VecDeque<Stream>,
    /// The stream of the last event. Most events have the stream of the one before.
    last: usize,
}

impl RecentLines {
    /// The texts of the lines of the selected stream before line number `line` of `message`, oldest
    /// first.
    pub(super) fn before(&self, message: &str, line: u32) -> Vec<String> {
        let earlier = self.streams.get(self.last).into_iter();
        let earlier = earlier.flat_map(|stream| &stream.lines);
        let own = split_lines(message).take(usize::try_from(line).unwrap_or(usize::MAX));
        let own = own.filter(|line| !line.trim_start().is_empty());
        let mut lines = VecDeque::new();
        for line in earlier.map(String::as_str).chain(own) {
            if lines.len() >= MOST_CONTEXT {
                lines.pop_front();
            }
            lines.push_back(line);
        }
        lines.into_iter().map(text_of).collect()
    }

    /// Goes to the lines of `log_stream` in `log_group`.
    pub(super) fn select(&mut self, log_group: &str, log_stream: &str) {
        let is_of =
            |stream: &Stream| stream.log_stream == log_stream && stream.log_group == log_group;
        if self.streams.get(self.last).is_some_and(is_of) {
            return;
        }
        self.last = self.streams.iter().position(is_of).unwrap_or_else(|| {
            if self.streams.len() >= MOST_STREAMS {
                self.streams.pop_front();
            }
            self.streams.push_back(Stream {
                log_group: log_group.to_owned(),
                log_stream: log_stream.to_owned(),
                lines: VecDeque::with_capacity(MOST_CONTEXT),
            });
            self.streams.len() - 1
        });
    }

    /// Adds the last lines of `message` to those of the selected stream.
    pub(super) fn add(&mut self, message: &str) {
        let Some(Stream { lines, .. }) = self.streams.get_mut(self.last) else {
            return;
        };
        let most = MOST_CONTEXT * MAX_LINE_BYTES;
        let start = message.ceil_char_boundary(message.len().saturating_sub(most));
        let tail = message.get(start..).unwrap_or_default();
        for line in split_lines(tail).filter(|line| !line.trim_start().is_empty()) {
            let oldest = (lines.len() >= MOST_CONTEXT).then(|| lines.pop_front());
            // The memory of the oldest line is used again.
            let mut kept = oldest.flatten().unwrap_or_default();
            kept.clear();
            kept.push_str(head(line, MAX_LINE_BYTES));
            lines.push_back(kept);
        }
    }
}
