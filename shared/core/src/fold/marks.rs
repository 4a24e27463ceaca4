//! Where a run of something begins and ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LineKey;
use crate::log_parser::{Operation, Outcome};

/// The most starts, and the most ends, that are kept. A run has two or three of each; more are kept for
/// marks that arrive late and fall between them.
const MOST_OF_A_KIND: usize = 16;

/// Something that begins or ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    /// An operation begins; `stacks` is how many stacks its run has, where that is said, and `is_first` whether
    /// it is said to be the first of these.
    Start {
        operation: Option<Operation>,
        stacks: Option<u32>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_first: bool,
    },
    /// It ended, as its own line says, or as `row` says: weaker evidence, from CloudFormation's events.
    End { ending: Ending, row: bool },
    /// A tool that an agent runs has completed, or a part of what it does: then it is as weak as a row.
    ToolEnd { part: bool },
    /// CloudFormation has deleted the stack: the end of what was not a deploy.
    Deleted,
}

/// What a mark says of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    /// How it ended.
    ending: Ending,
    /// Whether it contradicts no other end.
    is_weak: bool,
    /// Whether a tool that an agent runs says so.
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

/// How something ended.
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

    /// Whether both say the same in more or fewer words.
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

/// The latest run, as far as the marks tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// The start that made it, after the end of the run before; `None` of the first run, to which all
    /// belongs that was ever said.
    pub(super) start: Option<LineKey>,
    /// Where its end was contradicted by a later one: as good as a later run.
    pub(super) renewed: Option<LineKey>,
    /// How it ended, and where that was first said.
    pub(super) end: Option<(LineKey, Ending)>,
    /// Whether only tools that an agent runs have said so.
    pub(super) by_tool: bool,
    /// Where a line of its own first said so.
    pub(super) end_line: Option<LineKey>,
    /// What is being done. A change set is announced as a deploy whatever it is for, so that the more special
    /// operation counts.
    pub(super) operation: Option<Operation>,
    /// How many stacks the run has, where that is said.
    pub(super) stacks: Option<u32>,
    /// Whether it is said to be the first of these.
    pub(super) is_first: bool,
}

/// The starts and ends that can still matter, as a function of the set of marks alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Marks(BTreeMap<LineKey, Mark>);

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, at: LineKey, mark: Mark) {
        if self.0.get(&at) >= Some(&mark) {
            return; // it is there, and pruned
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

    /// Where an operation other than the building of assets was said to begin.
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

    /// Whether a line that names the thing itself began or ended it.
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
    /// A start after an end begins a run; other starts belong to the run that is under way. The first end
    /// stays: a row never contradicts it, and a line that does (as when the start between them was lost)
    /// renews the run.
    pub(super) fn latest_run(&self) -> Run {
        self.scan().0
    }

    /// The latest run of something that was still under way at `open`: an end before that was but the end of
    /// a step, and what follows it is a run of its own.
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

    /// Drops what can't matter any more, whatever marks may still arrive: what lies before the last end of
    /// the run before the latest, since from that end on nothing was under way.
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

    /// Of the marks of a kind keeps the first `first`, which make the runs, and the latest.
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
    fn only_a_start_after_an_end_begins_a_run() {
        let run = marks(&[(1, START), (2, START), (3, TICK)]).latest_run();
        assert_eq!(
            (run.start, run.end),
            (None, Some((at(3), Ending::Completed)))
        );
        let run = marks(&[(1, START), (3, TICK), (4, START), (5, START)]).latest_run();
        assert_eq!((run.start, run.end), (Some(at(4)), None));
    }

    #[test]
    fn an_end_before_more_of_the_same_was_the_end_of_a_step() {
        let marks = marks(&[(1, START), (3, TICK), (9, CROSS)]);
        let later = marks.latest_run_open_at(Some(at(5)));
        assert_eq!(
            (later.start, later.end),
            (Some(at(3).next()), Some((at(9), Ending::Failed)))
        );
        assert_eq!(
            marks.latest_run_open_at(Some(at(2))),
            marks.latest_run(),
            "nothing was said after the first end"
        );
    }

    #[test]
    fn a_row_does_not_contradict_an_end_but_a_line_does() {
        let run = marks(&[(1, START), (2, CROSS), (3, COMPLETE_ROW)]).latest_run();
        assert_eq!(run.end, Some((at(2), Ending::Failed)));
        let run = marks(&[(1, START), (2, COMPLETE_ROW), (3, CROSS)]).latest_run();
        assert_eq!(
            (run.end, run.renewed),
            (Some((at(3), Ending::Failed)), Some(at(3)))
        );
    }

    #[test]
    fn a_failure_is_a_roll_back_wherever_that_is_said() {
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
        fn what_is_dropped_never_mattered(
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
