//! What is known of one thing that runs: a stack, or an agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LineKey;
use super::counter::CounterTrack;
use super::latest::Latest;
use super::marks::{Mark, Marks, Run};
use crate::log_parser::{Counter, CounterKind};
use crate::model::{Progress, TaskStatus};

/// The most reasons of failure that are kept, the latest.
const MOST_FAILURES: usize = 8;
/// The longest text that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 512;

/// Everything said of one thing, as a function of the set of lines alone: joining two tracks is
/// commutative, associative and idempotent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    /// The first line of it.
    pub(super) first: LineKey,
    /// The last line of it.
    pub(super) last: LineKey,
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub(super) marks: Marks,
    /// The last own row that says it is rolling back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rolling_back: Option<LineKey>,
    /// The last own row that says it is being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleting: Option<LineKey>,
    /// The last own row that says it is updated and old resources are being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cleaning_up: Option<LineKey>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) counters: BTreeMap<CounterKind, CounterTrack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Latest<String>>,
    /// Why resources failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) failures: BTreeMap<LineKey, String>,
    /// What the line that ended it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end_message: Option<Latest<String>>,
    /// Where an agent says it stands, ends apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Latest<TaskStatus>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<Latest<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current_step: Option<Latest<String>>,
}

impl Track {
    /// A track of one line that has said nothing yet.
    pub(super) fn at(position: LineKey) -> Self {
        Self {
            first: position,
            last: position,
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

    /// The track of `held`, made if need be, with a line at `position` seen.
    pub(super) fn touch(held: &mut Option<Self>, position: LineKey) -> &mut Self {
        held.get_or_insert_with(|| Self::at(position)).see(position)
    }

    /// Notes that there is a line at `position`.
    pub(super) fn see(&mut self, position: LineKey) -> &mut Self {
        self.first = self.first.min(position);
        self.last = self.last.max(position);
        self
    }

    pub(super) fn mark(&mut self, position: LineKey, mark: Mark) {
        self.marks.put(position, mark);
    }

    pub(super) fn count(&mut self, position: LineKey, kind: CounterKind, counter: Counter) {
        match self.counters.get_mut(&kind) {
            Some(held) => held.add(position, counter),
            None => {
                let counter = CounterTrack::new(position, counter);
                self.counters.insert(kind, counter);
            }
        }
    }

    pub(super) fn say(&mut self, position: LineKey, message: &str) {
        Latest::<String>::put_text(&mut self.message, position, kept(message));
    }

    pub(super) fn fail(&mut self, position: LineKey, reason: &str) {
        self.failures.insert(position, cut(reason));
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
        Latest::merge(&mut self.end_message, other.end_message.as_ref());
        Latest::merge(&mut self.status, other.status.as_ref());
        Latest::merge(&mut self.phase, other.phase.as_ref());
        Latest::merge(&mut self.current_step, other.current_step.as_ref());
    }

    /// Joins what `other` has done, but not where it stands: a nested stack moves the counter of its root,
    /// never its state.
    pub(super) fn merge_activity(&mut self, other: &Self) {
        self.see(other.first).see(other.last);
        for (&kind, counter) in &other.counters {
            self.merge_counter(kind, counter);
        }
        Latest::merge(&mut self.message, other.message.as_ref());
        for (&position, reason) in &other.failures {
            self.fail(position, reason);
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

    /// Where `run`, the latest of this track, began.
    pub(super) fn start_of(&self, run: &Run) -> LineKey {
        run.start.unwrap_or(self.first)
    }

    /// The latest run. An end before something that was still to be done was but the end of a step.
    pub(super) fn latest_run(&self) -> Run {
        let run = self.marks.latest_run();
        let counted = self.outermost(&run).and_then(CounterTrack::open);
        let said = self.status.as_ref().map(|said| said.at);
        let run = self.marks.latest_run_open_at(counted.max(said));
        if run.by_tool {
            self.judge_tool_end(run)
        } else {
            run
        }
    }

    /// A run that only tools have said to be completed. While the agent counts steps of its own and has some left, it
    /// was one of them that the tool has completed.
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

    /// How far `run` is, by the outermost counter that it has. While it goes `forward` the percentage is the
    /// best it has reached.
    pub(super) fn progress_of(&self, run: &Run, forward: bool) -> Progress {
        match self.outermost(run) {
            Some(counter) if forward => counter.best_since(run.start),
            Some(counter) => counter.last(),
            None => Progress::default(),
        }
    }

    /// The outermost of the counters that `run` has: the one of the greatest kind; but a counter in brackets
    /// that is not done counts what a named one that came later is only a step of.
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
    pub(super) fn in_run<T: Clone>(run: &Run, held: Option<&Latest<T>>) -> Option<T> {
        held.filter(|latest| Some(latest.at) >= run.start)
            .map(|latest| latest.value.clone())
    }

    /// The first reason of failure that is kept of `run`.
    pub(super) fn first_failure(&self, run: &Run) -> Option<&String> {
        self.failures
            .iter()
            .find(|(at, _)| Some(**at) >= run.start)
            .map(|(_, reason)| reason)
    }
}

/// `text`, or as much of its beginning as is kept.
pub(super) fn cut(text: &str) -> String {
    kept(text).to_owned()
}

fn kept(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    text.get(..end).unwrap_or_default()
}
