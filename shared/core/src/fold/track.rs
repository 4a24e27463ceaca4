//! A track: what is kept of the lines about one stack or one agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LineKey;
use super::counter::CounterTrack;
use super::last_write_wins::LastWriteWins;
use super::marks::{Mark, Marks, Run};
use crate::log_parser::{Counter, CounterKind};
use crate::model::{Progress, TaskStatus};

/// The most reasons of failures that are kept. The latest are kept.
const MOST_FAILURES: usize = 8;
/// The longest text that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 512;

/// The lines about one stack or one agent that still matter. This is a function of the set of lines:
/// merging two tracks is commutative, associative and idempotent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    /// The first line.
    pub(super) first: LineKey,
    /// The last line.
    pub(super) last: LineKey,
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub(super) marks: Marks,
    /// The last row of the stack with a rollback in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rolling_back: Option<LineKey>,
    /// The last row of the stack with a deletion in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleting: Option<LineKey>,
    /// The last row of the stack with a cleanup in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cleaning_up: Option<LineKey>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) counters: BTreeMap<CounterKind, CounterTrack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<LastWriteWins<String>>,
    /// Why resources failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) failures: BTreeMap<LineKey, String>,
    /// The message of the line that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end_message: Option<LastWriteWins<String>>,
    /// The status that an agent reports, if it is not terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<LastWriteWins<TaskStatus>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<LastWriteWins<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current_step: Option<LastWriteWins<String>>,
}

impl Track {
    /// Creates a track with one line and no other data.
    pub(super) fn at(key: LineKey) -> Self {
        Self {
            first: key,
            last: key,
            marks: Marks::default(),
            rolling_back: None,
            deleting: None,
            cleaning_up: None,
            counters: BTreeMap::new(),
            message: None,
            failures: BTreeMap::new(),
            end_message: None,
            status: None,
            phase: None,
            current_step: None,
        }
    }

    /// Creates the track if it is missing, and records a line at `key`.
    pub(super) fn touch(held: &mut Option<Self>, key: LineKey) -> &mut Self {
        held.get_or_insert_with(|| Self::at(key)).see(key)
    }

    /// Records a line at `key`.
    pub(super) fn see(&mut self, key: LineKey) -> &mut Self {
        self.first = self.first.min(key);
        self.last = self.last.max(key);
        self
    }

    pub(super) fn mark(&mut self, key: LineKey, mark: Mark) {
        self.marks.put(key, mark);
    }

    pub(super) fn count(&mut self, key: LineKey, kind: CounterKind, counter: Counter) {
        match self.counters.get_mut(&kind) {
            Some(held) => held.add(key, counter),
            None => {
                let counter = CounterTrack::new(key, counter);
                self.counters.insert(kind, counter);
            }
        }
    }

    pub(super) fn say(&mut self, key: LineKey, message: &str) {
        LastWriteWins::<String>::put_text(&mut self.message, key, kept(message));
    }

    pub(super) fn fail(&mut self, key: LineKey, reason: &str) {
        self.failures.insert(key, cut(reason));
        while self.failures.len() > MOST_FAILURES {
            self.failures.pop_first();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.merge_activity(other);
        self.marks.merge(&other.marks);
        self.rolling_back = self.rolling_back.max(other.rolling_back);
        self.deleting = self.deleting.max(other.deleting);
        self.cleaning_up = self.cleaning_up.max(other.cleaning_up);
        LastWriteWins::merge(&mut self.end_message, other.end_message.as_ref());
        LastWriteWins::merge(&mut self.status, other.status.as_ref());
        LastWriteWins::merge(&mut self.phase, other.phase.as_ref());
        LastWriteWins::merge(&mut self.current_step, other.current_step.as_ref());
    }

    /// Merges the counters and messages of `other`, but not its state: a nested stack affects only
    /// the counter of its root stack.
    pub(super) fn merge_activity(&mut self, other: &Self) {
        self.see(other.first).see(other.last);
        for (&kind, counter) in &other.counters {
            self.merge_counter(kind, counter);
        }
        LastWriteWins::merge(&mut self.message, other.message.as_ref());
        for (&key, reason) in &other.failures {
            self.fail(key, reason);
        }
    }

    fn merge_counter(&mut self, kind: CounterKind, counter: &CounterTrack) {
        match self.counters.get_mut(&kind) {
            Some(held) => held.merge(counter),
            None => {
                self.counters.insert(kind, counter.clone());
            }
        }
    }

    /// The start of `run`, the latest run of this track.
    pub(super) fn start_of(&self, run: &Run) -> LineKey {
        run.start.unwrap_or(self.first)
    }

    /// The latest run. An end with work left after it ended only a step.
    pub(super) fn latest_run(&self) -> Run {
        let run = self.marks.latest_run();
        let counted = self.outermost(&run).and_then(CounterTrack::open);
        let reported = self.status.as_ref().map(|reported| reported.at);
        let run = self.marks.latest_run_open_at(counted.max(reported));
        if run.by_tool {
            self.judge_tool_end(run)
        } else {
            run
        }
    }

    /// Decides whether `run`, which only tools reported as completed, has ended. If the agent
    /// counts steps and some are left, the tool completed only a step.
    fn judge_tool_end(&self, run: Run) -> Run {
        use CounterKind::{Phase, Report, Step};
        let mut of_run = self.counters.iter().filter(|(kind, counter)| {
            matches!(kind, Step | Phase | Report) && Some(counter.at()) >= run.start
        });
        let steps = of_run.next_back().map(|(_, steps)| steps);
        let end = run.end.map(|(at, _)| at);
        let is_amid_steps = steps.is_some_and(|steps| steps.is_open() && Some(steps.at()) <= end);
        if !is_amid_steps {
            return run;
        }
        Run {
            end: None,
            end_line: None,
            ..run
        }
    }

    /// The progress of `run`: that of its outermost counter. If `forward`, the percentage is the
    /// best it reached.
    pub(super) fn progress_of(&self, run: &Run, forward: bool) -> Progress {
        match self.outermost(run) {
            Some(counter) if forward => counter.best_since(run.start),
            Some(counter) => counter.last(),
            None => Progress::default(),
        }
    }

    /// The outermost counter of `run`: the one with the greatest kind. Exception: an unfinished
    /// counter in brackets is outside of a named counter that started later.
    fn outermost(&self, run: &Run) -> Option<&CounterTrack> {
        let of_run = |counter: &&CounterTrack| Some(counter.at()) >= run.start;
        let greatest = self
            .counters
            .iter()
            .rev()
            .find(|(_, counter)| of_run(counter));
        let (kind, greatest) = greatest?;
        let is_named = matches!(kind, CounterKind::Step | CounterKind::Phase);
        let brackets = self.counters.get(&CounterKind::Bracket).filter(of_run);
        let around = brackets.filter(|brackets| {
            is_named && brackets.is_open() && brackets.first() < greatest.first()
        });
        Some(around.unwrap_or(greatest))
    }

    /// The value of `held` if it belongs to `run`.
    pub(super) fn in_run<T: Clone>(run: &Run, held: Option<&LastWriteWins<T>>) -> Option<T> {
        held.filter(|latest| Some(latest.at) >= run.start)
            .map(|latest| latest.value.clone())
    }

    /// The first kept reason of a failure in `run`.
    pub(super) fn first_failure(&self, run: &Run) -> Option<&String> {
        self.failures
            .iter()
            .find(|(at, _)| Some(**at) >= run.start)
            .map(|(_, reason)| reason)
    }
}

/// Cuts `text` to the length that is kept.
pub(super) fn cut(text: &str) -> String {
    kept(text).to_owned()
}

fn kept(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    text.get(..end).unwrap_or_default()
}
