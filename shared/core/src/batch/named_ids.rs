//! The limit of the task ids that the lines of one log stream name. Without it, one stream could
//! fill the lists of all others with tasks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::{FactsByTarget, Target};
use crate::fold::LineKey;
use crate::model::{TaskId, Timestamp};
use crate::record::TaskOrigin;

/// The most task ids that lines of one log stream can name.
pub const MOST_NAMED_IDS: usize = 1000;
/// How long an id keeps its place after it was recorded, in days. It must outlive the task, which
/// lives 90 days after its last line.
pub const NAMED_ID_LIFETIME_DAYS: u32 = 120;
/// An id that a line names is recorded again after this many days.
const RECORDED_AGAIN_AFTER_DAYS: u32 = 30;
/// The most refused ids that are counted.
const MOST_COUNTED: u64 = 100_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The task ids that the lines of a log stream have named and may name again: at most
/// [`MOST_NAMED_IDS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedIds {
    /// The number of writes of these ids.
    pub revision: u64,
    /// The day on which each id was recorded, by its hash.
    recorded: BTreeMap<u64, u32>,
}

/// What [`NamedIds::admit`] has decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// The ids beyond the limit.
    pub refused: Vec<TaskId>,
    /// Whether the admitted ids must be stored again.
    pub has_changed: bool,
}

impl NamedIds {
    /// Creates the ids that [`entries`](Self::entries) returned.
    pub fn new(revision: u64, entries: impl IntoIterator<Item = (u64, u32)>) -> Self {
        Self {
            revision,
            recorded: entries.into_iter().collect(),
        }
    }

    /// The hash of each id, and the day on which it was recorded, in days since 1970.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (u64, u32)> {
        self.recorded.iter().map(|(hash, day)| (*hash, *day))
    }

    /// Admits `ids`, in this order, while there is room. An admitted id is admitted again.
    pub fn admit(&mut self, ids: &[TaskId], now: Timestamp) -> Admission {
        let today = u32::try_from(now.as_millis() / DAY_MS).unwrap_or(0);
        let is_alive = |day: &u32| day.saturating_add(NAMED_ID_LIFETIME_DAYS) > today;
        self.recorded.retain(|_, day| is_alive(day));
        let mut admission = Admission::default();
        for id in ids {
            let has_room = self.recorded.len() < MOST_NAMED_IDS;
            let hash = hash_of(id);
            match self.recorded.get(&hash) {
                Some(day) if day.saturating_add(RECORDED_AGAIN_AFTER_DAYS) > today => continue,
                None if !has_room => {
                    admission.refused.push(id.clone());
                    continue;
                }
                _ => {}
            }
            self.recorded.insert(hash, today);
            admission.has_changed = true;
        }
        admission
    }
}

/// A part of the SHA-1 of an id. Nobody finds an id with the hash of another one by chance.
fn hash_of(id: &TaskId) -> u64 {
    let uuid = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, id.as_str().as_bytes());
    uuid.as_u64_pair().0
}

/// The task ids that lines of each log stream name, in the order of their first lines.
pub fn ids_by_stream(facts: &FactsByTarget) -> BTreeMap<TaskOrigin, Vec<TaskId>> {
    let mut by_stream: BTreeMap<&TaskOrigin, Vec<(Option<LineKey>, &TaskId)>> = BTreeMap::new();
    for (target, facts) in facts {
        if let Some(named) = &target.named {
            let first = facts.iter().map(|(at, _)| *at).min();
            let ids = by_stream.entry(&target.origin).or_default();
            ids.push((first, named));
        }
    }
    let in_order = by_stream.into_iter().map(|(origin, mut ids)| {
        ids.sort_unstable();
        let ids = ids.into_iter().map(|(_, id)| id.clone());
        (origin.clone(), ids.collect())
    });
    in_order.collect()
}

/// Moves the facts of the lines that name one of `refused` to the task of their stream.
pub fn move_to_stream(facts: &mut FactsByTarget, origin: &TaskOrigin, refused: &[TaskId]) {
    let target = |named| Target {
        origin: origin.clone(),
        named,
    };
    for id in refused {
        if let Some(moved) = facts.remove(&target(Some(id.clone()))) {
            facts.entry(target(None)).or_default().extend(moved);
        }
    }
}

/// The task ids that were refused, by log stream. An id counts once in a stream, however often lines
/// name it. At most 100,000 are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedIds {
    hashes: BTreeMap<TaskOrigin, BTreeSet<u64>>,
}

impl RefusedIds {
    /// Counts `ids`, which lines of `origin` named.
    pub fn add(&mut self, origin: &TaskOrigin, ids: &[TaskId]) {
        self.add_hashes(origin, ids.iter().map(hash_of));
    }

    /// Counts the ids of `other` too.
    pub fn add_all(&mut self, other: &Self) {
        for (origin, hashes) in &other.hashes {
            self.add_hashes(origin, hashes.iter().copied());
        }
    }

    fn add_hashes(&mut self, origin: &TaskOrigin, hashes: impl IntoIterator<Item = u64>) {
        let mut room = MOST_COUNTED.saturating_sub(self.count());
        for hash in hashes {
            if room == 0 {
                return;
            }
            let counted = self.hashes.entry(origin.clone()).or_default();
            room -= u64::from(counted.insert(hash));
        }
    }

    /// The number of ids.
    pub fn count(&self) -> u64 {
        self.by_stream().map(|(_, count)| count).sum()
    }

    /// The number of ids of each stream.
    pub fn by_stream(&self) -> impl Iterator<Item = (&TaskOrigin, u64)> {
        let count = |hashes: &BTreeSet<u64>| u64::try_from(hashes.len()).unwrap_or(u64::MAX);
        let streams = self.hashes.iter();
        streams.map(move |(origin, hashes)| (origin, count(hashes)))
    }
}

impl Serialize for RefusedIds {
    /// As the number of ids.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_parser::LogFormat;

    fn ids(numbers: std::ops::Range<usize>) -> Vec<TaskId> {
        numbers
            .map(|number| format!("t-{number}").parse().unwrap())
            .collect()
    }

    fn on_day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    fn admit(named: &mut NamedIds, numbers: std::ops::Range<usize>, day: i64) -> (usize, bool) {
        let admission = named.admit(&ids(numbers), on_day(day));
        (admission.refused.len(), admission.has_changed)
    }

    #[test]
    fn a_thousand_ids_are_admitted_and_stay_so() {
        let mut named = NamedIds::default();
        assert_eq!(admit(&mut named, 0..600, 20_000), (0, true));
        assert_eq!(admit(&mut named, 0..600, 20_000), (0, false));
        assert_eq!(admit(&mut named, 500..1200, 20_000), (200, true));
        let refused = named.admit(&ids(900..1100), on_day(20_001)).refused;
        assert_eq!(refused, ids(1000..1100), "the last ones are refused");
        assert_eq!(admit(&mut named, 0..1000, 20_029), (0, false));
        let stored = NamedIds::new(0, named.entries());
        assert_eq!(stored, named);
    }

    #[test]
    fn an_id_that_no_line_names_makes_room_when_its_task_is_gone() {
        let mut named = NamedIds::default();
        admit(&mut named, 0..1000, 20_000);
        for day in [20_029, 20_030, 20_089, 20_119] {
            admit(&mut named, 0..1, day);
            assert_eq!(admit(&mut named, 1000..1001, day), (1, false), "{day}");
        }
        // Only the first one was named since.
        assert_eq!(admit(&mut named, 1000..2000, 20_120), (1, true));
        assert_eq!(admit(&mut named, 0..1, 20_120), (0, false));
    }

    #[test]
    fn a_refused_id_is_counted_once_a_stream() {
        let origin = |log_stream: &str| TaskOrigin {
            format: LogFormat::AGENT,
            log_group: "/agents".to_owned(),
            log_stream: log_stream.to_owned(),
        };
        let mut refused = RefusedIds::default();
        refused.add(&origin("a"), &ids(0..3));
        let mut all = refused.clone();
        refused.add(&origin("b"), &ids(0..1));
        all.add_all(&refused);
        all.add(&origin("a"), &ids(2..4));
        let by_stream = all.by_stream();
        let counts: Vec<_> = by_stream
            .map(|(origin, count)| (origin.log_stream.as_str(), count))
            .collect();
        assert_eq!(counts, [("a", 4), ("b", 1)]);
        assert_eq!(serde_json::to_string(&all).unwrap(), "5");
        all.add(&origin("c"), &ids(0..100_001));
        assert_eq!(all.count(), MOST_COUNTED);
    }
}
