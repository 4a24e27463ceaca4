//! The record of a task in the store, and how new facts change it. Pure.
//!
//! A [`TaskRecord`] is what a writer reads: the head of the newest run, the heads of earlier runs that
//! can still change, and the facts. A [`TaskChange`] is what it writes, all or nothing. Whoever
//! writes a task (logs, a caller who creates, edits or deletes it) does it in this way.

mod draft;
mod task_of_run;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::draft::Draft;
use crate::fold::{
    Added, CallerEdit, Creation, Fact, FactLog, KeyedFact, LineKey, Run, SessionKey,
};
use crate::log_parser::LogFormat;
use crate::model::{
    HistoryEntry, MetricsDelta, Priority, Progress, ProjectId, Revision, Task, TaskId, TaskStatus,
    TaskType, Timestamp,
};

pub use draft::EARLIEST_RUN_MS;
pub use task_of_run::task_of_run;

/// The source of the lines of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskOrigin {
    /// The format of the log.
    pub format: LogFormat,
    /// The log group.
    pub log_group: String,
    /// The log stream.
    pub log_stream: String,
}

/// Whether a stored run exists for the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadState {
    /// It exists.
    Live,
    /// A caller deleted it.
    Deleted,
    /// Late lines have shown that it is part of another run. Later ones may show the opposite.
    Merged,
    /// Its time to live is over. DynamoDB removes it within days.
    Expired,
}

/// A stored run.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The run, as it was before a deletion. Its revision is that of the last write.
    pub task: Task,
    /// Whether it exists.
    pub state: HeadState,
}

impl Head {
    /// The run, if it exists.
    pub fn live(&self) -> Option<&Task> {
        (self.state == HeadState::Live).then_some(&self.task)
    }

    /// The run, if the metrics include it.
    fn counted(&self) -> Option<&Task> {
        matches!(self.state, HeadState::Live | HeadState::Expired).then_some(&self.task)
    }
}

/// Where the facts of a task are stored. The head of the newest run has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FactItems {
    /// Identifies the items of this record: the time of its first write, in milliseconds. A record
    /// that has expired may have left items behind.
    pub life: i64,
    /// The revision that wrote the base: all facts until then. 0: there is no base.
    pub base_revision: Revision,
    /// The number of segments after the base. Each has the new facts of one write.
    pub segments: u32,
    /// The revision that wrote the detail of the newest run: what lists do not show. `None` if it
    /// has none.
    pub detail_revision: Option<Revision>,
    /// The earliest of the earlier runs, live or not, that can still change; `None` if there is
    /// none. A reader takes this one and all later ones.
    pub open_since: Option<Timestamp>,
}

/// The most segments after a base.
pub const MOST_SEGMENTS: u32 = 32;
/// The most bytes of JSON in all segments. Before they grow beyond it, they become part of the base.
const MOST_SEGMENT_BYTES: usize = 96 * 1024;

/// The stored runs and facts of a task, as far as a writer needs them.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// The task.
    pub task_id: TaskId,
    /// The newest run; `None` if nothing is stored.
    pub newest: Option<Head>,
    /// Earlier runs that can still change, oldest first.
    pub earlier: Vec<Head>,
    /// The facts about these runs.
    pub facts: FactLog,
    /// The size of the segments, in bytes of JSON; `usize::MAX` if the next write must replace them.
    pub segment_bytes: usize,
    /// Where the facts are stored.
    pub items: FactItems,
}

/// A write of one head.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadChange {
    /// The head that was read under the same id; `None` if there was none.
    pub previous: Option<Head>,
    /// The head to write. Its revision is one more.
    pub next: Head,
    /// The stored state of the same run, which may have been stored under another id.
    pub before: Option<Task>,
    /// The session that the run is; `None` if it is none, or does not change itself.
    pub session: Option<SessionKey>,
}

impl HeadChange {
    /// Whether this write ends an earlier run that was not stored as an earlier run before. No other
    /// record tells of that end.
    pub fn has_ended_here(&self) -> bool {
        let task = &self.next.task;
        let known = self.before.as_ref().map(|before| before.status);
        task.is_earlier
            && self.previous.is_none()
            && task.status.is_terminal()
            && known != Some(task.status)
    }

    /// The history entry of this write; `None` if nothing of interest changed.
    pub fn history_entry(&self) -> Option<HistoryEntry> {
        let live = self.next.live()?;
        HistoryEntry::of_change(self.before.as_ref(), live)
    }
}

/// The facts that a change writes.
#[derive(Debug, Clone, PartialEq)]
pub enum FactsChange {
    /// None.
    Keep,
    /// These new facts, as one more segment.
    Append(Vec<KeyedFact>),
    /// All facts, as the base. There are no segments after it.
    Replace(FactLog),
}

/// A write of a task, all or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskChange {
    /// The task.
    pub task_id: TaskId,
    /// The heads that change: the newest run first, if it is among them.
    pub heads: Vec<HeadChange>,
    /// The facts to write.
    pub facts: FactsChange,
    /// Where the facts are stored then. The head of the newest run has it.
    pub items: FactItems,
}

impl TaskChange {
    /// The changes that it makes to metrics.
    pub fn metrics(&self) -> Vec<MetricsDelta> {
        let before = self.heads.iter().filter_map(|head| head.previous.as_ref());
        let after = self.heads.iter().map(|head| &head.next);
        MetricsDelta::between(
            before.filter_map(Head::counted),
            after.filter_map(Head::counted),
        )
    }

    /// The history entries that it writes. Each is later than the runs before its own, because the
    /// history of a task has one entry for each millisecond.
    pub fn history(&self) -> Vec<HistoryEntry> {
        let mut heads: Vec<_> = self.heads.iter().collect();
        heads.sort_by_key(|head| head.next.task.run);
        let mut least = Timestamp::default();
        let mut entries = Vec::new();
        for head in heads {
            let mut last = head.next.task.updated_at;
            if let Some(mut entry) = head.history_entry() {
                entry.timestamp = entry.timestamp.max(entry.run).max(least);
                last = last.max(entry.timestamp);
                entries.push(entry);
            }
            least = least.max(last.after(Duration::from_millis(1)));
        }
        entries
    }

    /// The newest run after it; `None` if it does not change or does not exist.
    pub fn newest(&self) -> Option<&Task> {
        let newest = self.heads.first().filter(|head| !head.next.task.is_earlier);
        newest?.next.live()
    }
}

/// The fields of a task that its logs don't say.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerFields {
    /// The priority.
    pub priority: Option<Priority>,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// The caller's own data.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

impl CallerFields {
    /// Those of `task`.
    pub fn of(task: &Task) -> Self {
        Self {
            priority: task.priority,
            project_id: task.project_id.clone(),
            metadata: task.metadata.clone(),
        }
    }
}

/// What lines change.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing: the lines are known, or belong to no run.
    Unchanged,
    /// The task.
    Changed {
        /// The write.
        change: Box<TaskChange>,
        /// Facts for a further write: there were too many runs for one.
        rest: Vec<KeyedFact>,
    },
}

impl TaskRecord {
    /// The record of a task of which nothing is stored.
    pub fn new(task_id: TaskId) -> Self {
        Self {
            task_id,
            newest: None,
            earlier: Vec::new(),
            facts: FactLog::default(),
            segment_bytes: 0,
            items: FactItems::default(),
        }
    }

    /// The record of a task whose facts are lost. It goes on from its newest head. `earlier` are the
    /// heads of the earlier runs that could still change; they can't any more.
    pub fn without_facts(newest: Head, mut earlier: Vec<Head>, items: FactItems) -> Self {
        // The other ones were merged into the newest run.
        earlier.retain(|head| head.task.run >= newest.task.run);
        let task = &newest.task;
        let has_begun = task.status != TaskStatus::Pending;
        let begun = CallerEdit {
            status: has_begun.then_some(TaskStatus::Running),
            ..CallerEdit::default()
        };
        let edit = CallerEdit {
            status: has_begun.then_some(task.status),
            progress: (task.progress != Progress::default()).then_some(task.progress),
            message: task.message.clone().map(Some),
            phase: task.phase.clone().map(Some),
            current_step: task.current_step.clone().map(Some),
            task_name: Some(task.task_name.clone()),
        };
        let creation = Creation {
            task_type: task.task_type,
            after: None,
            edit: begun,
        };
        let last = LineKey::outside_logs(task.updated_at.max(task.run));
        let mut facts = FactLog::default();
        facts.add([
            (LineKey::outside_logs(task.run), Fact::Creation(creation)),
            (last.with_line(1), Fact::Edit(edit)),
        ]);
        if newest.state == HeadState::Deleted {
            facts.add([(last.with_line(2), Fact::Deletion)]);
        }
        facts.settle_up_to(last.with_line(2));
        Self {
            task_id: newest.task.task_id.clone(),
            newest: Some(newest),
            earlier,
            facts,
            // The next write begins a new base.
            segment_bytes: usize::MAX,
            items,
        }
    }

    /// The newest run, if it exists.
    pub fn live(&self) -> Option<&Task> {
        self.newest.as_ref()?.live()
    }

    /// The change that `facts` from logs make.
    pub fn add_lines(&self, facts: Vec<KeyedFact>, origin: &TaskOrigin, now: Timestamp) -> Outcome {
        let mut facts = facts;
        let mut rest = Vec::new();
        loop {
            let mut log = self.known_facts();
            log.explain_exits(&mut facts);
            let added = log.add(facts.iter().cloned());
            if added.has_no_facts() && rest.is_empty() && !self.is_news(&added, &log) {
                return Outcome::Unchanged;
            }
            let draft = Draft::of(self, &log, Some(origin), None);
            if let Some(first) = draft.first_beyond_limit {
                let (kept, later): (Vec<_>, Vec<_>) =
                    facts.into_iter().partition(|(at, _)| *at < first);
                let is_smaller = !later.is_empty();
                (facts, rest) = (kept, [later, rest].concat());
                if is_smaller {
                    continue;
                }
            }
            let mut new = log.facts_at(&added.keys);
            if added.has_last_lines {
                let lines = |(_, fact): &&KeyedFact| matches!(fact, Fact::Lines(_));
                new.extend(facts.iter().filter(lines).cloned());
            }
            return match self.finish(draft, log, new, added.changed_others, now) {
                Some(change) => Outcome::Changed {
                    change: Box::new(change),
                    rest,
                },
                None => Outcome::Unchanged,
            };
        }
    }

    /// Whether lines that say nothing are worth a write: they make a run, or belong to an open one.
    fn is_news(&self, added: &Added, log: &FactLog) -> bool {
        added.has_last_lines && log.runs().iter().any(Run::is_open)
    }

    /// The change that the silence of a run makes; `None` if it is not open, waits for a person, or was
    /// heard of after `since`.
    pub fn end_of_silent_run(
        &self,
        run: Timestamp,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<TaskChange> {
        let mut tasks = self.known_heads().filter_map(Head::live);
        let task = tasks.find(|task| task.run == run)?;
        let is_silent = task.status == TaskStatus::Running && task.updated_at < since;
        is_silent.then(|| self.end_of_run(run, true, now)).flatten()
    }

    /// The change that the end of the log makes; `None` if the newest run is not open.
    pub fn end_of_log(&self, now: Timestamp) -> Option<TaskChange> {
        self.end_of_run(self.live()?.run, false, now)
    }

    fn end_of_run(&self, run: Timestamp, is_assumed: bool, now: Timestamp) -> Option<TaskChange> {
        let mut log = self.known_facts();
        let runs = log.runs();
        let (_, run) = self.names_of(&log, &runs).find(|(name, _)| *name == run)?;
        if !run.is_open() || !run.has_lines() {
            return None;
        }
        let end = log.end_of_run(run, is_assumed)?;
        let draft = Draft::of(self, &log, None, None);
        self.finish(draft, log, vec![end], false, now)
    }

    /// The stored run of a session; `None` if it is not stored, or can't change any more.
    pub fn run_of_session(&self, session: SessionKey) -> Option<&Task> {
        let log = self.known_facts();
        let runs = log.runs();
        let mut names = self.names_of(&log, &runs);
        let (name, _) = names.find(|(_, run)| run.is_in(session))?;
        let mut tasks = self.known_heads().filter_map(Head::live);
        tasks.find(|task| task.run == name)
    }

    /// The run that `time` lies in: the last one that began until then, of those that can still change.
    pub fn run_at(&self, time: Timestamp) -> Option<&Task> {
        let runs = self.known_heads().filter_map(Head::live);
        runs.filter(|run| run.run <= time).max_by_key(|run| run.run)
    }

    /// The key of an exit without a session: that of `at`, or one after all lines that are known,
    /// because clocks lie. `None` if it is not the exit of the newest run, but of a later command: the
    /// run is a session or has another exit. Once its lines have told how it ended, an exit may follow
    /// for an hour.
    pub fn key_of_exit(&self, at: LineKey) -> Option<LineKey> {
        let log = self.known_facts();
        if let Some(known) = log.known_key(at) {
            return Some(known);
        }
        if Some(at) <= log.watermark() {
            return Some(at); // one that became part of the state comes again
        }
        let newest = log.runs().pop().filter(|run| !run.is_deleted)?;
        if !newest.awaits_exit(at) {
            return None;
        }
        let last = log.newest().filter(|last| *last > at);
        Some(last.map_or(at, |last| {
            at.at_time(last.time().after(Duration::from_millis(1)))
        }))
    }

    /// The runs of `log`, each with the name under which it is stored.
    fn names_of<'a>(
        &self,
        log: &FactLog,
        runs: &'a [Run],
    ) -> impl Iterator<Item = (Timestamp, &'a Run)> {
        draft::names_of(self, log, runs).into_iter().zip(runs)
    }

    /// The newest run, unless it has expired. Then the task has expired with all its facts.
    fn known(&self) -> Option<&Head> {
        let newest = self.newest.as_ref();
        newest.filter(|newest| newest.state != HeadState::Expired)
    }

    fn known_facts(&self) -> FactLog {
        let known = self.known().map(|_| self.facts.clone());
        known.unwrap_or_default()
    }

    /// The stored runs that can still change, the newest first.
    fn known_heads(&self) -> impl Iterator<Item = &Head> {
        let earlier = self.known().map(|_| &self.earlier);
        let heads = self
            .known()
            .into_iter()
            .chain(earlier.into_iter().flatten());
        heads.filter(|head| head.state != HeadState::Expired)
    }

    /// The change that a caller makes who creates the task, or a further run of it. The caller of
    /// this function has checked that no run is open.
    pub fn create(
        &self,
        task_type: TaskType,
        edit: CallerEdit,
        fields: &CallerFields,
        now: Timestamp,
    ) -> TaskChange {
        let creation = Creation {
            task_type,
            after: self.known_facts().runs().last().map(|run| run.start),
            edit,
        };
        self.add_of_caller(Fact::Creation(creation), fields, now)
    }

    /// The change that an edit of a caller makes. [`CallerEdit::of_task`] has checked it.
    pub fn edit(&self, edit: CallerEdit, fields: &CallerFields, now: Timestamp) -> TaskChange {
        self.add_of_caller(Fact::Edit(edit), fields, now)
    }

    fn add_of_caller(&self, fact: Fact, fields: &CallerFields, now: Timestamp) -> TaskChange {
        let mut log = self.known_facts();
        let fact = (self.next_key(now), fact);
        log.add([fact.clone()]);
        let draft = Draft::of(self, &log, None, Some(fields));
        let change = self.finish(draft, log, vec![fact], false, now);
        change.expect("a run that a caller created or edited has something to show")
    }

    /// The change that deletes the newest run. Nothing that logs said until then brings it back.
    pub fn delete(&self, now: Timestamp) -> Option<TaskChange> {
        let newest = self.newest.as_ref()?;
        newest.live()?;
        let mut log = self.known_facts();
        let at = self.next_key(now);
        log.add([(at, Fact::Deletion)]);
        let mut draft = Draft::of(self, &log, None, None);
        draft.settled_up_to = Some(at);
        self.finish(draft, log, Vec::new(), true, now)
    }

    /// The key of something that happens now: after all facts, however wrong their clocks are.
    fn next_key(&self, now: Timestamp) -> LineKey {
        let after_newest = |at: LineKey| at.time().after(Duration::from_millis(1));
        let newest = self.facts.newest().map(after_newest);
        LineKey::outside_logs(newest.map_or(now, |newest| newest.max(now)))
    }

    /// Decides how the facts are stored; `None` if there is no run to store.
    fn finish(
        &self,
        draft: Draft,
        mut log: FactLog,
        new: Vec<KeyedFact>,
        must_replace: bool,
        now: Timestamp,
    ) -> Option<TaskChange> {
        let revision = draft.heads.first()?.next.task.revision;
        let segment_bytes = self.segment_bytes.saturating_add(size_of_json(&new));
        let is_full = self.items.segments >= MOST_SEGMENTS || segment_bytes > MOST_SEGMENT_BYTES;
        let mut items = match self.known() {
            Some(_) => self.items,
            None => FactItems {
                life: now.as_millis(),
                ..FactItems::default()
            },
        };
        let mut last_final = log.last_final;
        let facts = if must_replace || is_full || draft.settled_up_to.is_some() {
            let settled_up_to = draft.settled_up_to;
            let settled = settled_up_to.map_or(0, |up_to| log.settle_up_to(up_to).len());
            let settled = settled + log.make_storable().len();
            let mut settled = draft.names.iter().take(settled);
            last_final = settled.next_back().copied().or(last_final);
            log.last_final = last_final;
            (items.base_revision, items.segments) = (revision, 0);
            FactsChange::Replace(log)
        } else {
            items.segments += 1;
            FactsChange::Append(new)
        };
        // What a head names must be younger than the head, so a new base comes with the detail again.
        let is_replaced = matches!(facts, FactsChange::Replace(_));
        let before = self.newest.as_ref().map(|newest| &newest.task);
        let has_same = |next: &Task| before.is_some_and(|before| before.has_same_detail(next));
        items.detail_revision = match draft.heads.first().and_then(|newest| newest.next.live()) {
            Some(next) if !next.has_detail() => None,
            Some(next) if is_replaced || !has_same(next) => Some(revision),
            Some(_) => items.detail_revision.or(Some(revision)),
            None => None,
        };
        items.open_since = draft.open_since(self, last_final);
        Some(TaskChange {
            task_id: self.task_id.clone(),
            heads: draft.heads,
            facts,
            items,
        })
    }
}

/// The change that deletes an earlier run. Nothing else of the task changes.
pub fn delete_earlier(run: &Task) -> TaskChange {
    let head = Head {
        task: run.clone(),
        state: HeadState::Live,
    };
    TaskChange {
        task_id: run.task_id.clone(),
        heads: vec![HeadChange::to(&head, HeadState::Deleted)],
        facts: FactsChange::Keep,
        items: FactItems::default(),
    }
}

/// The size of facts, in bytes of JSON.
fn size_of_json(facts: &[KeyedFact]) -> usize {
    serde_json::to_vec(facts).map_or(0, |json| json.len())
}
