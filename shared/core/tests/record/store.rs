//! A store of one task in memory. It has the conditions of the real one, and checks each write.

use std::collections::{BTreeMap, BTreeSet};

use progress_core::fold::FactLog;
use progress_core::model::{MetricsDelta, RecordId, Revision, Task, TaskId, Timestamp};
use progress_core::record::{
    FactItems, FactsChange, Head, HeadState, MOST_SEGMENTS, TaskChange, TaskRecord,
};

/// A head that a change has read is no longer the stored one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Conflict;

/// The counts of tasks by project and status, and the total durations by project.
type Metrics = (
    BTreeMap<(Option<String>, &'static str), i64>,
    BTreeMap<Option<String>, i64>,
);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Store {
    task_id: TaskId,
    newest: Option<Head>,
    earlier: BTreeMap<Timestamp, Head>,
    /// JSON, as it is stored.
    base: Option<String>,
    segments: Vec<String>,
    are_facts_lost: bool,
    items: FactItems,
    metrics: Metrics,
    /// The latest revision of each record that ever existed.
    revisions: BTreeMap<RecordId, Revision>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            task_id: "cdk:main".parse().unwrap(),
            newest: None,
            earlier: BTreeMap::new(),
            base: None,
            segments: Vec::new(),
            are_facts_lost: false,
            items: FactItems::default(),
            metrics: Metrics::default(),
            revisions: BTreeMap::new(),
        }
    }

    pub(crate) fn read(&self) -> TaskRecord {
        let Some(newest) = &self.newest else {
            return TaskRecord::new(self.task_id.clone());
        };
        let base = self.base.as_deref().map(serde_json::from_str::<FactLog>);
        let mut facts = base.transpose().unwrap().unwrap_or_default();
        for segment in &self.segments {
            facts.add(serde_json::from_str::<Vec<_>>(segment).unwrap());
        }
        let open_since = self.items.open_since;
        let earlier = open_since.map(|open_since| self.earlier.range(open_since..));
        let earlier = earlier.into_iter().flatten();
        let earlier = earlier.map(|(_, head)| head.clone()).collect();
        if self.are_facts_lost {
            return TaskRecord::without_facts(newest.clone(), earlier, self.items);
        }
        TaskRecord {
            task_id: self.task_id.clone(),
            newest: Some(newest.clone()),
            earlier,
            facts,
            segment_bytes: self.segments.iter().map(String::len).sum(),
            items: self.items,
        }
    }

    fn head(&self, task: &Task) -> Option<&Head> {
        match task.is_earlier {
            true => self.earlier.get(&task.run),
            false => self.newest.as_ref(),
        }
    }

    pub(crate) fn write(&mut self, change: &TaskChange) -> Result<(), Conflict> {
        assert_eq!(change.task_id, self.task_id);
        let revision = |head: &Head| head.task.revision;
        for head in &change.heads {
            let stored = self.head(&head.next.task);
            if stored.map(revision) != head.previous.as_ref().map(revision) {
                return Err(Conflict);
            }
            assert_eq!(stored, head.previous.as_ref());
        }
        let keeps_facts = change.facts == FactsChange::Keep;
        let ids: BTreeSet<_> = change
            .heads
            .iter()
            .map(|head| head.next.task.record_id())
            .collect();
        assert_eq!(ids.len(), change.heads.len(), "a record is written twice");
        assert!(keeps_facts || !change.heads[0].next.task.is_earlier);
        assert!(change.heads.len() <= 43);
        for delta in change.metrics() {
            self.count(&delta);
        }
        for head in &change.heads {
            let head = stored(&head.next);
            let id = head.task.record_id();
            let before = self.revisions.insert(id.clone(), head.task.revision);
            assert!(before < Some(head.task.revision), "{id}: {before:?}");
            match head.task.is_earlier {
                true => drop(self.earlier.insert(head.task.run, head)),
                false => self.newest = Some(head),
            }
        }
        if !keeps_facts {
            if self.items.life != change.items.life {
                (self.base, self.are_facts_lost) = (None, false);
                self.segments.clear();
            }
            self.items = change.items;
        }
        match &change.facts {
            FactsChange::Keep => {}
            FactsChange::Append(facts) => {
                assert!(!self.are_facts_lost, "there is nothing to add to");
                self.segments.push(serde_json::to_string(facts).unwrap());
            }
            FactsChange::Replace(facts) => {
                self.base = Some(serde_json::to_string(facts).unwrap());
                self.segments.clear();
                self.are_facts_lost = false;
                assert_eq!(self.items.base_revision, change.heads[0].next.task.revision);
            }
        }
        self.check();
        Ok(())
    }

    fn count(&mut self, delta: &MetricsDelta) {
        let project = delta.project_id.as_ref().map(ToString::to_string);
        for (status, count) in &delta.counts {
            let key = (project.clone(), status.as_str());
            *self.metrics.0.entry(key).or_default() += count;
        }
        *self.metrics.1.entry(project).or_default() += delta.duration_sum_ms;
        self.metrics.0.retain(|_, count| *count != 0);
        self.metrics.1.retain(|_, sum| *sum != 0);
    }

    /// Checks what is always true.
    fn check(&self) {
        assert!(self.items.segments <= MOST_SEGMENTS);
        let segments = u32::try_from(self.segments.len()).unwrap();
        assert_eq!(self.items.segments, segments);
        let mut recount = Self::new();
        for head in self
            .heads()
            .filter(|head| matches!(head.state, HeadState::Live | HeadState::Expired))
        {
            for delta in MetricsDelta::between([], [&head.task]) {
                recount.count(&delta);
            }
        }
        assert_eq!(self.metrics, recount.metrics, "the metrics are no recount");
        let runs: Vec<_> = self.live().iter().map(|task| task.run).collect();
        assert!(runs.is_sorted_by(|one, next| one < next), "{runs:?}");
    }

    /// All heads, the newest run last.
    fn heads(&self) -> impl Iterator<Item = &Head> {
        self.earlier.values().chain(&self.newest)
    }

    /// All runs that exist, the newest last.
    pub(crate) fn live(&self) -> Vec<&Task> {
        self.heads().filter_map(Head::live).collect()
    }

    pub(crate) fn newest(&self) -> Option<&Head> {
        self.newest.as_ref()
    }

    /// All facts are lost.
    pub(crate) fn lose_facts(&mut self) {
        self.are_facts_lost = self.newest.is_some();
    }

    /// The time to live of all heads is over, but the store has not removed them yet.
    pub(crate) fn expire(&mut self) {
        self.items.life -= 1; // it began long ago
        for head in self.earlier.values_mut().chain(&mut self.newest) {
            if head.state == HeadState::Live {
                head.state = HeadState::Expired;
            }
        }
    }
}

/// The head as it is after storage.
fn stored(head: &Head) -> Head {
    let task = serde_json::to_string(&head.task).unwrap();
    Head {
        task: serde_json::from_str(&task).unwrap(),
        state: head.state,
    }
}
