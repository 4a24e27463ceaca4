//! The ledger: what is kept of the lines and edits of a task.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::LineKey;
use super::caller_edit::{CallerEdit, Edits};
use super::last_write_wins::LastWriteWins;
use super::marks::{Ending, Mark};
use super::track::{Track, cut};
use crate::log_parser::{
    AgentObservation, CdkObservation, Counter, CounterKind, EndOf, Observation, Operation,
    StackState,
};
use crate::model::{Progress, Revision, Task, TaskStatus, Timestamp};

/// The most names of one kind in a ledger, so that hostile logs can't make it large. The most
/// recent names are kept. A CDK run usually has one or two stacks, rarely a hundred.
const MOST_NAMES: usize = 200;
/// The largest ledger, in bytes of JSON. A DynamoDB item has at most 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
pub(super) const MAX_BYTES: usize = 300_000;
/// The most counters of rows without a stack name. The latest are kept.
const MOST_SAMPLES: usize = 500;

/// The lines and edits of a task that still matter: see [the module](super).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Lines about the task as a whole: of an agent, and of CDK without a stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) whole: Option<Track>,
    /// Stacks, by each printed name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) stacks: BTreeMap<String, Track>,
    /// Bootstrapped environments, by `aws://account/region`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) environments: BTreeMap<String, Track>,
    /// Unconfirmed ends, by name: they count only if other lines name the stack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) possible_ends: BTreeMap<String, Track>,
    /// Rows without a stack name.
    #[serde(default, skip_serializing_if = "Unnamed::is_empty")]
    pub(super) unnamed: Unnamed,
    /// CloudFormation names in ARNs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) arn_names: BTreeSet<String>,
    /// The project that an agent names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project_id: Option<LastWriteWins<String>>,
    /// Whether a caller created the task before its logs reported to it. Then the name stays the
    /// caller's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) adopted: bool,
    /// The edits of callers of the API.
    #[serde(default, skip_serializing_if = "Edits::is_empty")]
    pub(super) edits: Edits,
    /// Whether the log is complete: no more lines will follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) whole_log: bool,
}

/// The rows without a stack name that still matter (CDK v1 before 2022, and the progress bar). Their
/// stack depends on which start came before them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Unnamed {
    /// The first and the last such line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<(LineKey, LineKey)>,
    /// All their counters, because a start that arrives late needs the last counter before it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) samples: BTreeMap<LineKey, Counter>,
    /// Rows that may report a stack as a whole, by the name in the row.
    #[serde(
        default,
        rename = "own_rows",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub(super) stack_rows: BTreeMap<String, Track>,
    /// Their messages, and why resources failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) messages: Option<Track>,
    /// `n/m Currently in progress`, by the first id listed, which may be a stack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) in_progress: BTreeMap<String, Track>,
}

impl Unnamed {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Ledger {
    /// Whether the ledger holds nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Records that a caller created the task, not its log.
    pub fn mark_adopted(&mut self) {
        self.adopted = true;
    }

    /// Records that logs now report to `task`, which a caller created. The caller's values are
    /// valid until the log has a later line.
    pub fn adopt(&mut self, task: &Task) {
        self.mark_adopted();
        if task.status == TaskStatus::Pending {
            return; // nothing was set yet
        }
        let edit = CallerEdit {
            status: Some(task.status),
            progress: (task.progress != Progress::default()).then_some(task.progress),
            message: task.message.clone().map(Some),
            phase: task.phase.clone().map(Some),
            current_step: task.current_step.clone().map(Some),
            task_name: None,
        };
        self.edits.note(&edit, task.updated_at);
    }

    /// Adds an edit of `task` that a caller made at `now`.
    pub fn edit(&mut self, task: &Task, edit: &CallerEdit, now: Timestamp) {
        let Ok(edited) = edit.apply(task, now) else {
            return; // an invalid edit has no effect
        };
        let noted = CallerEdit {
            // An unchanged status was set by an earlier line or edit.
            status: edit.status.filter(|status| *status != task.status),
            // Includes the percentage reached before.
            progress: edit.progress.map(|_| edited.progress),
            ..edit.clone()
        };
        self.edits.note(&noted, CallerEdit::time(task, now));
    }

    /// Records that `task` was deleted at `now`. Nothing before that time can create it again.
    pub fn delete(&mut self, task: &Task, now: Timestamp) {
        let deleted_at = Some(CallerEdit::time(task, now));
        self.edits.deleted_at = self.edits.deleted_at.max(deleted_at);
        self.delete_again(task);
    }

    /// Records that `task` turned out to be part of the deleted task.
    pub fn delete_again(&mut self, task: &Task) {
        let deleted = Some(task.revision);
        self.edits.deleted_revision = self.edits.deleted_revision.max(deleted);
    }

    /// The last revision of the deleted task; `None` if no task was deleted.
    pub fn deleted_revision(&self) -> Option<Revision> {
        self.edits.deleted_revision
    }

    /// Creates the ledger of a deleted task from the revision of its tombstone.
    pub fn of_tombstone(revision: Revision) -> Self {
        let mut ledger = Self::default();
        ledger.edits.deleted_revision = Some(Revision(revision.0.saturating_sub(1)));
        ledger
    }

    /// Increments the revision of the deleted task, because it got more lines.
    pub fn count_deletion(&mut self) {
        let deleted = &mut self.edits.deleted_revision;
        *deleted = deleted.map(Revision::next);
    }

    /// Records that the log is complete, so that a stack which is only cleaning up counts as
    /// completed.
    pub fn mark_whole_log(&mut self) {
        self.whole_log = true;
    }

    /// Adds an observation of the line at `key`.
    pub fn observe(&mut self, key: LineKey, observation: &Observation) {
        match observation {
            Observation::Cdk(observation) => self.observe_cdk(key, observation),
            Observation::Agent(observation) => self.observe_agent(key, observation),
        }
    }

    /// Merges `other` into this ledger.
    pub fn merge(&mut self, other: &Self) {
        if let Some(whole) = &other.whole {
            match &mut self.whole {
                Some(held) => held.merge(whole),
                held => *held = Some(whole.clone()),
            }
        }
        merge_names(&mut self.stacks, &other.stacks);
        merge_names(&mut self.environments, &other.environments);
        merge_names(&mut self.possible_ends, &other.possible_ends);
        self.unnamed.merge(&other.unnamed);
        self.arn_names.extend(other.arn_names.iter().cloned());
        keep_first(&mut self.arn_names);
        LastWriteWins::merge(&mut self.project_id, other.project_id.as_ref());
        self.adopted |= other.adopted;
        self.edits.merge(&other.edits);
        self.whole_log |= other.whole_log;
    }

    /// Shrinks the ledger until it can be stored: drops the names that were seen least recently.
    /// Only hostile logs make a ledger too large.
    pub fn trim(&mut self) {
        while serde_json::to_vec(self).is_ok_and(|json| json.len() > MAX_BYTES) {
            let names = [
                &mut self.stacks,
                &mut self.environments,
                &mut self.possible_ends,
                &mut self.unnamed.stack_rows,
                &mut self.unnamed.in_progress,
            ];
            let mut kept = 0;
            for tracks in names {
                let most = tracks.len() * 3 / 4;
                drop_surplus(tracks, "", most);
                kept += most;
            }
            if kept == 0 {
                return;
            }
        }
    }

    fn observe_cdk(&mut self, at: LineKey, observation: &CdkObservation) {
        match observation {
            CdkObservation::Start {
                stack,
                operation,
                in_run,
            } => {
                let mark = Mark::Start {
                    operation: Some(*operation),
                    stacks: in_run.map(|in_run| in_run.stacks),
                    is_first: in_run.is_some_and(|in_run| in_run.index == 1),
                };
                touch_name(&mut self.stacks, stack, at).mark(at, mark);
            }
            CdkObservation::Row {
                stack: Some(stack),
                counter,
                own,
                failure,
                subject,
                ..
            } => {
                let track = touch_name(&mut self.stacks, stack, at);
                track.see_row(at, *counter, *own, failure.as_deref(), &subject.message());
            }
            CdkObservation::Row {
                stack: None,
                counter,
                own,
                own_name,
                failure,
                subject,
            } => {
                let message = &subject.message();
                self.unnamed.see(at);
                if let Some(counter) = counter {
                    self.unnamed.sample(at, *counter);
                }
                if let (Some(own), Some(name)) = (own, own_name) {
                    let track = touch_name(&mut self.unnamed.stack_rows, name, at);
                    track.see_row(at, None, Some(*own), None, message);
                }
                let messages = Track::touch(&mut self.unnamed.messages, at);
                messages.see_row(at, None, None, failure.as_deref(), message);
            }
            CdkObservation::Bar { counter } => {
                self.unnamed.see(at);
                self.unnamed.sample(at, *counter);
            }
            CdkObservation::CurrentlyInProgress { counter, first_id } => {
                let track = touch_name(&mut self.unnamed.in_progress, first_id, at);
                track.count(at, CounterKind::Step, *counter);
            }
            CdkObservation::End {
                stack,
                outcome,
                message,
            } => {
                let track = touch_name(&mut self.stacks, stack, at);
                track.see_end(at, (*outcome).into(), message.as_deref());
            }
            CdkObservation::UnconfirmedEnd {
                stack,
                outcome,
                message,
            } => {
                let track = touch_name(&mut self.possible_ends, stack, at);
                track.see_end(at, (*outcome).into(), message.as_deref());
            }
            CdkObservation::BootstrapStart { environment } => {
                let operation = Some(Operation::Bootstrap);
                let track = touch_name(&mut self.environments, environment, at);
                track.mark(
                    at,
                    Mark::Start {
                        operation,
                        stacks: None,
                        is_first: false,
                    },
                );
            }
            CdkObservation::BootstrapEnd {
                environment,
                outcome,
                message,
            } => {
                let track = touch_name(&mut self.environments, environment, at);
                track.see_end(at, (*outcome).into(), message.as_deref());
            }
            CdkObservation::StackArn { name } => {
                self.arn_names.insert(name.clone());
                keep_first(&mut self.arn_names);
            }
            CdkObservation::RunFailed { message } => {
                Track::touch(&mut self.whole, at).see_end(at, Ending::Failed, Some(message));
            }
            // Other lines name the stack.
            CdkObservation::Hotswap => {}
        }
    }

    fn observe_agent(&mut self, at: LineKey, observation: &AgentObservation) {
        if let Some(project_id) = &observation.project_id {
            LastWriteWins::put(
                &mut self.project_id,
                LastWriteWins::new(at, project_id.clone()),
            );
        }
        Track::touch(&mut self.whole, at).see_agent(at, observation);
    }
}

impl Unnamed {
    fn see(&mut self, at: LineKey) {
        let (first, last) = self.seen.unwrap_or((at, at));
        self.seen = Some((first.min(at), last.max(at)));
    }

    fn sample(&mut self, at: LineKey, counter: Counter) {
        self.samples.insert(at, counter);
        while self.samples.len() > MOST_SAMPLES {
            self.samples.pop_first();
        }
    }

    fn merge(&mut self, other: &Self) {
        for at in other.seen.iter().flat_map(|(first, last)| [first, last]) {
            self.see(*at);
        }
        for (&at, &counter) in &other.samples {
            self.sample(at, counter);
        }
        merge_names(&mut self.stack_rows, &other.stack_rows);
        merge_names(&mut self.in_progress, &other.in_progress);
        if let Some(messages) = &other.messages {
            match &mut self.messages {
                Some(held) => held.merge(messages),
                held => *held = Some(messages.clone()),
            }
        }
    }
}

impl Track {
    fn see_row(
        &mut self,
        at: LineKey,
        counter: Option<Counter>,
        own: Option<StackState>,
        failure: Option<&str>,
        message: &str,
    ) {
        if let Some(counter) = counter {
            self.count(at, CounterKind::Step, counter);
        }
        if let Some(failure) = failure {
            self.fail(at, failure);
        }
        let end = |ending| Mark::End { ending, row: true };
        match own {
            None | Some(StackState::InProgress) => {}
            Some(StackState::Deleting) => self.deleting = self.deleting.max(Some(at)),
            Some(StackState::CleaningUp) => self.cleaning_up = self.cleaning_up.max(Some(at)),
            Some(StackState::RollingBack) => self.rolling_back = self.rolling_back.max(Some(at)),
            Some(StackState::Complete) => self.mark(at, end(Ending::Completed)),
            Some(StackState::RolledBack) => self.mark(at, end(Ending::RolledBack)),
            Some(StackState::Failed) => self.mark(at, end(Ending::Failed)),
            Some(StackState::Deleted) => self.mark(at, Mark::Deleted),
        }
        self.say(at, message);
    }

    fn see_end(&mut self, at: LineKey, ending: Ending, message: Option<&str>) {
        self.mark(at, Mark::End { ending, row: false });
        if let Some(message) = message {
            LastWriteWins::put(&mut self.end_message, LastWriteWins::new(at, cut(message)));
        }
    }

    fn see_agent(&mut self, at: LineKey, observation: &AgentObservation) {
        use crate::model::TaskStatus;
        for &(kind, counter) in &observation.counters {
            self.count(at, kind, counter);
        }
        match observation.status {
            Some(TaskStatus::Completed) => match observation.end_of {
                EndOf::Run => self.see_end(at, Ending::Completed, None),
                EndOf::Tool => self.mark(at, Mark::ToolEnd { part: false }),
                EndOf::Part => self.mark(at, Mark::ToolEnd { part: true }),
            },
            Some(TaskStatus::Failed) => {
                self.see_end(at, Ending::Failed, observation.message.as_deref())
            }
            Some(TaskStatus::Cancelled) => self.see_end(at, Ending::Cancelled, None),
            Some(status) => LastWriteWins::put(&mut self.status, LastWriteWins::new(at, status)),
            None => {}
        }
        if observation.is_start && !observation.status.is_some_and(TaskStatus::is_terminal) {
            self.mark(
                at,
                Mark::Start {
                    operation: None,
                    stacks: None,
                    is_first: false,
                },
            );
        }
        if let Some(message) = &observation.message {
            self.say(at, message);
        }
        let texts = [
            (&mut self.phase, &observation.phase),
            (&mut self.current_step, &observation.current_step),
        ];
        for (held, text) in texts {
            if let Some(text) = text {
                LastWriteWins::put(held, LastWriteWins::new(at, cut(text)));
            }
        }
    }
}

/// Returns the track of `name`, and records a line at `at`.
fn touch_name<'a>(
    tracks: &'a mut BTreeMap<String, Track>,
    name: &str,
    at: LineKey,
) -> &'a mut Track {
    if !tracks.contains_key(name) {
        tracks.insert(name.to_owned(), Track::at(at));
        drop_surplus(tracks, name, MOST_NAMES);
    }
    let track = tracks.get_mut(name);
    track.expect("the track was inserted above").see(at)
}

fn merge_names(tracks: &mut BTreeMap<String, Track>, others: &BTreeMap<String, Track>) {
    for (name, other) in others {
        match tracks.get_mut(name) {
            Some(held) => held.merge(other),
            None => {
                tracks.insert(name.clone(), other.clone());
            }
        }
    }
    drop_surplus(tracks, "", MOST_NAMES);
}

/// Drops the names that were seen least recently, if there are more than `most`; never drops
/// `kept`.
fn drop_surplus(tracks: &mut BTreeMap<String, Track>, kept: &str, most: usize) {
    while tracks.len() > most {
        let others = tracks.iter().filter(|(name, _)| *name != kept);
        let Some(oldest) = others.min_by_key(|(_, track)| track.last) else {
            return;
        };
        let oldest = oldest.0.clone();
        tracks.remove(&oldest);
    }
}

fn keep_first(names: &mut BTreeSet<String>) {
    while names.len() > MOST_NAMES {
        names.pop_last();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_parser::RowSubject;

    fn at(time: i64) -> LineKey {
        LineKey::outside_logs(Timestamp::from_millis(time))
    }

    /// A row of a stack that does not exist, of the greatest length.
    fn hostile_row(number: i64) -> Observation {
        Observation::Cdk(CdkObservation::Row {
            stack: Some(format!("Stack{number}{}", "x".repeat(100))),
            counter: None,
            own: Some(StackState::Failed),
            own_name: None,
            failure: Some("f".repeat(1_024)),
            subject: RowSubject::CutOff {
                line: "m".repeat(1_024),
            },
        })
    }

    #[test]
    fn no_log_makes_a_ledger_too_large_to_store() {
        let mut ledger = Ledger::default();
        for number in 0..20_000 {
            ledger.observe(at(number), &hostile_row(number % 400));
        }
        ledger.trim();
        assert!(serde_json::to_vec(&ledger).unwrap().len() <= MAX_BYTES);
        let trimmed = ledger.clone();
        ledger.trim();
        assert_eq!(ledger, trimmed);
        assert!(
            ledger
                .stacks
                .keys()
                .any(|name| name.starts_with("Stack399x")),
            "the most recent name is kept"
        );
    }
}
