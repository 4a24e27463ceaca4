//! Starts and ends of runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LineKey;
use crate::log_parser::{Operation, Outcome};

/// The most starts, and the most ends, that are kept. A run has two or three of each. More are kept
/// because marks between them may arrive late.
const MOST_OF_A_KIND: usize = 16;

/// A line that starts or ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    /// An operation starts. `stacks` is the number of stacks in the run, if printed. `is_first` is
    /// whether the log calls it the first of them.
    Start {
        operation: Option<Operation>,
        stacks: Option<u32>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_first: bool,
    },
    /// An end, reported by a line about the stack or, if `row`, by an event row, which is weaker
    /// evidence.
    End { ending: Ending, row: bool },
    /// A tool of an agent completed. If `part`, only a part of it did, which is weak evidence.
    ToolEnd { part: bool },
    /// CloudFormation deleted the stack. It ends a run that is not a deploy.
    Deleted,
}

/// An end, as given by a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    /// How it ended.
    ending: Ending,
    /// Whether it is weak evidence, which never overrides another end.
    is_weak: bool,
    /// Whether a tool of an agent reported it.
    by_tool: bool,
}

impl Mark {
    fn end(self) -> Option<End> {
        let (ending, is_weak, by_tool) = match self {
            Self::End { ending, row } => (ending, row, false),
            Self::ToolEnd { part } => (Ending::Completed, part, true),
            Self::Start { .. } | Self::Deleted => return None,
        };
        Some(End {
            ending,
            is_weak,
            by_tool,
        })
    }
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    Completed,
    Unchanged,
    Destroyed,
    Failed,
    RolledBack,
    Cancelled,
}

impl Ending {
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::RolledBack)
    }

    /// Whether both are successes, both failures, or both cancellations.
    fn agrees(self, other: Self) -> bool {
        let class = |ending| match ending {
            Self::Completed | Self::Unchanged | Self::Destroyed => 0,
            Self::Failed | Self::RolledBack => 1,
            Self::Cancelled => 2,
        };
        class(self) == class(other)
    }
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Completed,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Destroyed => Self::Destroyed,
            Outcome::Failed => Self::Failed,
            Outcome::RolledBack => Self::RolledBack,
        }
    }
}

/// The latest run, derived from the marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// The start after the end of the run before; `None` for the first run, which includes all
    /// lines.
    pub(super) start: Option<LineKey>,
    /// Where a later end overrode the first one. This counts as a later run.
    pub(super) renewed: Option<LineKey>,
    /// The outcome, and the first line that reported it.
    pub(super) end: Option<(LineKey, Ending)>,
    /// Whether only tools of an agent reported the end.
    pub(super) by_tool: bool,
    /// The first strong evidence of the end.
    pub(super) end_line: Option<LineKey>,
    /// The operation. CDK calls every change set a deploy, so the most specific operation wins.
    pub(super) operation: Option<Operation>,
    /// The number of stacks in the run, if printed.
    pub(super) stacks: Option<u32>,
    /// Whether the log calls it the first of them.
    pub(super) is_first: bool,
}

/// The starts and ends that can still affect the latest run. It is a function of the set of marks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Marks(BTreeMap<LineKey, Mark>);

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, at: LineKey, mark: Mark) {
        if self.0.get(&at) >= Some(&mark) {
            return; // it is already there
        }
        self.insert(at, mark);
        self.prune();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (&at, &mark) in &other.0 {
            self.insert(at, mark);
        }
        self.prune();
    }

    /// All marks, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LineKey, Mark)> {
        self.0.iter().map(|(at, mark)| (*at, *mark))
    }

    /// The starts of operations other than the building of assets.
    pub(super) fn starts(&self) -> impl Iterator<Item = LineKey> {
        self.0.iter().filter_map(|(at, mark)| match mark {
            Mark::Start {
                operation: Some(Operation::BuildAssets),
                ..
            } => None,
            Mark::Start { .. } => Some(*at),
            _ => None,
        })
    }

    /// Whether a line about the stack or agent itself started or ended a run.
    pub(super) fn has_line(&self) -> bool {
        self.0.values().any(|mark| match mark {
            Mark::Start { .. } => true,
            Mark::End { row, .. } => !row,
            Mark::ToolEnd { part } => !part,
            Mark::Deleted => false,
        })
    }

    /// The latest run.
    ///
    /// A start after an end starts a run. Other starts belong to the current run. A row never
    /// overrides the first end. A line does, for example if the start between them is missing; then
    /// the run is renewed.
    pub(super) fn latest_run(&self) -> Run {
        self.scan().0
    }

    /// The latest run, given that work was left at `open`. An end before `open` ended only a step,
    /// and a new run starts after it.
    pub(super) fn latest_run_open_at(&self, open: Option<LineKey>) -> Run {
        let run = self.latest_run();
        let (Some(open), Some(_)) = (open, run.end) else {
            return run;
        };
        let ends = self.ends_since(run.start);
        let (before, after): (Vec<_>, Vec<_>) = ends.partition(|(at, _)| *at < open);
        let Some((last_before, _)) = before.last() else {
            return run;
        };
        let mut later = Run {
            start: Some(last_before.next()),
            operation: run.operation,
            ..Run::default()
        };
        for (at, end) in after {
            later.end_at(at, end);
        }
        later
    }

    /// Ends at or after `start`, in order.
    fn ends_since(&self, start: Option<LineKey>) -> impl Iterator<Item = (LineKey, End)> {
        let marks = self.0.iter().filter(move |(at, _)| Some(**at) >= start);
        marks.filter_map(|(at, mark)| Some((*at, mark.end()?)))
    }

    /// The latest run, and the last end of the run before it.
    fn scan(&self) -> (Run, Option<LineKey>) {
        let mut run = Run::default();
        let mut last_end = None;
        let mut end_before = None;
        for (&at, &mark) in &self.0 {
            match mark {
                Mark::Start {
                    operation,
                    stacks,
                    is_first,
                } if run.end.is_some() => {
                    end_before = last_end;
                    run = Run {
                        start: Some(at),
                        operation,
                        stacks,
                        is_first,
                        ..Run::default()
                    };
                }
                Mark::Start {
                    operation,
                    stacks,
                    is_first,
                } => {
                    run.operation = run.operation.max(operation);
                    run.stacks = run.stacks.max(stacks);
                    run.is_first |= is_first;
                }
                Mark::End { .. } | Mark::ToolEnd { .. } => {
                    last_end = Some(at);
                    if let Some(end) = mark.end() {
                        run.end_at(at, end);
                    }
                }
                Mark::Deleted if run.is_deleting() => {
                    let end = End {
                        ending: Ending::Destroyed,
                        is_weak: true,
                        by_tool: false,
                    };
                    run.end_at(at, end);
                }
                Mark::Deleted => {}
            }
        }
        (run, end_before)
    }

    fn insert(&mut self, at: LineKey, mark: Mark) {
        let held = self.0.entry(at).or_insert(mark);
        *held = mark.max(*held);
    }

    /// Drops marks that can't affect the latest run, whichever marks still arrive: those before the
    /// last end of the previous run.
    fn prune(&mut self) {
        if let (_, Some(end_before)) = self.scan()
            && self.0.keys().next() < Some(&end_before)
        {
            self.0 = self.0.split_off(&end_before);
        }
        if self.0.len() <= MOST_OF_A_KIND {
            return;
        }
        self.drop_surplus(|mark| matches!(mark, Mark::Start { .. }), 1);
        self.drop_surplus(|mark| !matches!(mark, Mark::Start { .. }), 2);
    }

    /// Keeps the first `first` marks of a kind, which separate the runs, and the latest ones.
    fn drop_surplus(&mut self, is_of_kind: impl Fn(&Mark) -> bool, first: usize) {
        let of_kind = self
            .0
            .iter()
            .filter(|(_, mark)| is_of_kind(mark))
            .map(|(at, _)| *at);
        let places: Vec<_> = of_kind.collect();
        let surplus = places.len().saturating_sub(MOST_OF_A_KIND);
        for at in places.into_iter().skip(first).take(surplus) {
            self.0.remove(&at);
        }
    }
}

impl Run {
    fn end_at(&mut self, at: LineKey, end: End) {
        let ending = end.ending;
        match &mut self.end {
            None => {
                self.end = Some((at, ending));
                self.by_tool = end.by_tool;
            }
            Some((_, held)) if held.agrees(ending) => {
                *held = ending.max(*held);
                self.by_tool &= end.by_tool;
            }
            Some(_) if end.is_weak => return,
            Some(held) => {
                *held = (at, ending);
                self.by_tool = end.by_tool;
                self.renewed = Some(at);
            }
        }
        if !end.is_weak {
            self.end_line = self.end_line.or(Some(at));
        }
    }

    fn is_deleting(&self) -> bool {
        use Operation::{Bootstrap, BuildAssets, Deploy, Hotswap, Import};
        !matches!(
            self.operation,
            Some(Bootstrap | BuildAssets | Deploy | Hotswap | Import)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    const START: Mark = Mark::Start {
        operation: Some(Operation::Deploy),
        stacks: None,
        is_first: false,
    };
    const TICK: Mark = Mark::End {
        ending: Ending::Completed,
        row: false,
    };
    const CROSS: Mark = Mark::End {
        ending: Ending::Failed,
        row: false,
    };
    const COMPLETE_ROW: Mark = Mark::End {
        ending: Ending::Completed,
        row: true,
    };
    const ROLLED_BACK_ROW: Mark = Mark::End {
        ending: Ending::RolledBack,
        row: true,
    };

    fn at(time: i64) -> LineKey {
        LineKey::outside_logs(Timestamp::from_millis(time))
    }

    fn marks(marks: &[(i64, Mark)]) -> Marks {
        let mut all = Marks::default();
        for &(time, mark) in marks {
            all.put(at(time), mark);
        }
        all
    }

    #[test]
    fn only_a_start_after_an_end_starts_a_run() {
        let run = marks(&[(1, START), (2, START), (3, TICK)]).latest_run();
        assert_eq!(
            (run.start, run.end),
            (None, Some((at(3), Ending::Completed)))
        );
        let run = marks(&[(1, START), (3, TICK), (4, START), (5, START)]).latest_run();
        assert_eq!((run.start, run.end), (Some(at(4)), None));
    }

    #[test]
    fn an_end_followed_by_more_progress_ended_only_a_step() {
        let marks = marks(&[(1, START), (3, TICK), (9, CROSS)]);
        let later = marks.latest_run_open_at(Some(at(5)));
        assert_eq!(
            (later.start, later.end),
            (Some(at(3).next()), Some((at(9), Ending::Failed)))
        );
        assert_eq!(
            marks.latest_run_open_at(Some(at(2))),
            marks.latest_run(),
            "no line follows the first end"
        );
    }

    #[test]
    fn a_line_overrides_an_end_but_a_row_does_not() {
        let run = marks(&[(1, START), (2, CROSS), (3, COMPLETE_ROW)]).latest_run();
        assert_eq!(run.end, Some((at(2), Ending::Failed)));
        let run = marks(&[(1, START), (2, COMPLETE_ROW), (3, CROSS)]).latest_run();
        assert_eq!(
            (run.end, run.renewed),
            (Some((at(3), Ending::Failed)), Some(at(3)))
        );
    }

    #[test]
    fn a_failure_with_a_rollback_row_is_rolled_back() {
        let run = marks(&[(2, ROLLED_BACK_ROW), (3, CROSS)]).latest_run();
        assert_eq!(run.end, Some((at(2), Ending::RolledBack)));
        assert_eq!(run.end_line, Some(at(3)));
    }

    fn any_mark() -> impl Strategy<Value = Mark> {
        prop_oneof![
            3 => Just(START),
            2 => Just(TICK),
            1 => Just(CROSS),
            1 => Just(COMPLETE_ROW),
            1 => Just(ROLLED_BACK_ROW),
            1 => Just(Mark::Start { operation: Some(Operation::Destroy), stacks: Some(2), is_first: true }),
        ]
    }

    proptest! {
        #[test]
        fn dropping_marks_does_not_change_the_latest_run(
            (ordered, shuffled) in proptest::collection::btree_map(0..100i64, any_mark(), 0..14)
                .prop_map(|marks| marks.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|marks| (Just(marks.clone()), Just(marks).prop_shuffle())),
            cut in 0..14usize,
        ) {
            let whole = Marks(ordered.iter().map(|&(time, mark)| (at(time), mark)).collect());
            let one_by_one = marks(&shuffled);
            prop_assert_eq!(whole.latest_run(), one_by_one.latest_run());

            let (one, other) = shuffled.split_at(cut.min(shuffled.len()));
            let mut merged = marks(one);
            merged.merge(&marks(other));
            merged.merge(&marks(one));
            prop_assert_eq!(merged, one_by_one);
        }
    }
}
