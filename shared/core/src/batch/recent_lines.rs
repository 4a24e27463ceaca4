//! The latest lines of each log stream: the context of a failure, and what the end of the log tells.

use std::collections::VecDeque;

use crate::fold::{Fact, KeyedFact, LastLines, LineKey, MOST_CONTEXT, text_of};
use crate::log_event::LogEvent;
use crate::log_parser::{LogFormat, is_of_platform, split_lines};
use crate::record::TaskOrigin;

/// The most streams whose lines are kept. The one that was kept first goes first.
const MOST_STREAMS: usize = 32;

/// The latest lines of a log stream.
#[derive(Debug)]
struct Stream {
    origin: TaskOrigin,
    lines: LastLines,
    /// The first line that was read since [`Stream::take_read`].
    first: Option<LineKey>,
}

/// The latest lines of each log stream, as they were read.
#[derive(Debug, Default)]
pub(super) struct RecentLines {
    streams: VecDeque<Stream>,
    /// The stream of the last event. Most events have the stream of the one before.
    last: usize,
}

impl RecentLines {
    /// The texts of the lines of the selected stream before line number `line` of `event`, oldest
    /// first.
    pub(super) fn before(&self, event: &LogEvent, line: u32) -> Vec<String> {
        let own = split_lines(&event.message).take(usize::try_from(line).unwrap_or(usize::MAX));
        let own = own.filter(|line| !line.trim_start().is_empty());
        let mut lines: VecDeque<String> = match self.streams.get(self.last) {
            Some(stream) => stream
                .lines
                .before(LineKey::of(event, 0), MOST_CONTEXT)
                .into(),
            None => VecDeque::new(),
        };
        let mut latest = VecDeque::with_capacity(MOST_CONTEXT);
        for line in own {
            if latest.len() >= MOST_CONTEXT {
                latest.pop_front();
            }
            latest.push_back(line);
        }
        lines.extend(latest.into_iter().map(text_of));
        lines.drain(..lines.len().saturating_sub(MOST_CONTEXT));
        lines.into()
    }

    /// Goes to the lines of `log_stream` in `log_group`. Returns what was read of the stream whose
    /// lines are no longer kept.
    pub(super) fn select(
        &mut self,
        format: LogFormat,
        log_group: &str,
        log_stream: &str,
    ) -> Option<(TaskOrigin, KeyedFact)> {
        let is_of = |Stream { origin, .. }: &Stream| {
            origin.log_stream == log_stream
                && origin.log_group == log_group
                && origin.format == format
        };
        if self.streams.get(self.last).is_some_and(is_of) {
            return None;
        }
        let known = self.streams.iter().position(is_of);
        let is_full = known.is_none() && self.streams.len() >= MOST_STREAMS;
        let replaced = is_full.then(|| self.streams.pop_front()).flatten();
        self.last = known.unwrap_or_else(|| {
            self.streams.push_back(Stream {
                origin: TaskOrigin {
                    format,
                    log_group: log_group.to_owned(),
                    log_stream: log_stream.to_owned(),
                },
                lines: LastLines::default(),
                first: None,
            });
            self.streams.len() - 1
        });
        replaced?.take_read()
    }

    /// Forgets the lines of the selected stream. Returns what was read of it.
    pub(super) fn forget(&mut self) -> Option<(TaskOrigin, KeyedFact)> {
        let stream = self.streams.get_mut(self.last)?;
        let read = stream.take_read();
        stream.lines = LastLines::default();
        read
    }

    /// The last lines of the selected stream.
    pub(super) fn last_lines(&self) -> LastLines {
        let stream = self.streams.get(self.last);
        stream
            .map(|stream| stream.lines.clone())
            .unwrap_or_default()
    }

    /// Adds the last lines of `event` to those of the selected stream.
    pub(super) fn add(&mut self, event: &LogEvent) {
        let Some(stream) = self.streams.get_mut(self.last) else {
            return;
        };
        let key = LineKey::of(event, 0);
        let lines = (0..).zip(split_lines(&event.message));
        for (number, line) in lines.filter(|(_, line)| !line.trim_start().is_empty()) {
            if stream.first.is_none_or(|first| key < first) && !is_of_platform(line) {
                stream.first = Some(key);
            }
            stream.lines.insert(key.with_line(number), line);
        }
    }

    /// What was read of each stream since it was last asked.
    pub(super) fn take_read(&mut self) -> Vec<(TaskOrigin, KeyedFact)> {
        let streams = self.streams.iter_mut();
        streams.filter_map(Stream::take_read).collect()
    }
}

impl Stream {
    /// What was read since it was last asked.
    fn take_read(&mut self) -> Option<(TaskOrigin, KeyedFact)> {
        let first = self.first.take()?;
        let lines = self.lines.clone().since(first);
        Some((self.origin.clone(), (first, Fact::Lines(lines))))
    }
}
