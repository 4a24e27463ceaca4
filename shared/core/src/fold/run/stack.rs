//! One stack in a run of CDK.

use serde::{Deserialize, Serialize};

use super::counters::Count;
use super::text::Said;
use crate::fold::LineKey;
use crate::fold::end::{End, Ending, Strength};
use crate::fold::progress::capped;
use crate::log_parser::{Counter, Operation, RowSubject, StackState};
use crate::model::{Part, Progress, TaskStatus};

/// The longest message of a part, in bytes: a task with its parts must fit an item of DynamoDB.
const MAX_PART_MESSAGE_BYTES: usize = 256;

/// A stack, and what the run has done with it so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stack {
    /// The first name that was printed for it.
    pub(super) label: String,
    /// Its CloudFormation name, once the log shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cfn_name: Option<String>,
    /// Whether another stack of the run has the same CloudFormation name: in another region.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_twin: bool,
    pub(super) first: LineKey,
    pub(super) last: LineKey,
    /// Whether a line has announced an operation other than the building of assets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_announced: bool,
    /// The operation. CDK calls every change set a deploy, so the most specific operation wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<Operation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<Count>,
    /// The work in progress that CloudFormation has reported for the stack as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    work: Option<Work>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
    /// The latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Said>,
    /// Why the first resource failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Said>,
    /// The message of the line that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end_message: Option<Said>,
}

/// Work in progress on the stack as a whole. A later variant says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    Deleting,
    CleaningUp,
    RollingBack,
}

impl Stack {
    pub(super) fn new(label: &str, at: LineKey) -> Self {
        Self {
            label: label.to_owned(),
            cfn_name: None,
            is_twin: false,
            first: at,
            last: at,
            is_announced: false,
            operation: None,
            count: None,
            work: None,
            end: None,
            message: None,
            failure: None,
            end_message: None,
        }
    }

    /// The name that the part has: the CloudFormation name, unless a twin shares it.
    pub(super) fn name(&self) -> &str {
        match &self.cfn_name {
            Some(cfn_name) if !self.is_twin => cfn_name,
            _ => &self.label,
        }
    }

    pub(super) fn start(&mut self, operation: Operation) {
        self.is_announced |= operation != Operation::BuildAssets;
        self.operation = self.operation.max(Some(operation));
    }

    /// Adds what a row says about the work on the stack.
    pub(super) fn act(
        &mut self,
        at: LineKey,
        counter: Option<Counter>,
        failure: Option<&str>,
        subject: Option<&RowSubject>,
    ) {
        self.last = at;
        if let Some(counter) = counter {
            self.count = Some(Count::after(self.count, counter));
        }
        if let Some(failure) = failure.filter(|_| self.failure.is_none()) {
            Said::put(&mut self.failure, at, failure);
        }
        if let Some(subject) = subject {
            Said::put(&mut self.message, at, &subject.message());
        }
    }

    /// Adds a state that CloudFormation reports for the stack as a whole.
    pub(super) fn reach(&mut self, at: LineKey, state: StackState) -> bool {
        let work = match state {
            StackState::Deleting => Some(Work::Deleting),
            StackState::CleaningUp => Some(Work::CleaningUp),
            StackState::RollingBack => Some(Work::RollingBack),
            _ => None,
        };
        self.work = self.work.max(work);
        match self.ending_of(state) {
            Some(ending) => self.end_at(at, ending, Strength::Part),
            None => false,
        }
    }

    /// The end that a state means; `None` for work in progress, and for a deletion that is not what
    /// the operation is for.
    pub(super) fn ending_of(&self, state: StackState) -> Option<Ending> {
        match state {
            StackState::Complete => Some(Ending::Completed),
            StackState::RolledBack => Some(Ending::RolledBack),
            StackState::Failed => Some(Ending::Failed),
            StackState::Deleted => Some(Ending::Destroyed).filter(|_| !self.is_to_stay()),
            StackState::InProgress
            | StackState::Deleting
            | StackState::CleaningUp
            | StackState::RollingBack => None,
        }
    }

    pub(super) fn end_at(&mut self, at: LineKey, ending: Ending, strength: Strength) -> bool {
        self.last = at;
        let end = End {
            at,
            ending,
            strength,
        };
        End::put(&mut self.end, end)
    }

    /// Whether the deletion of the stack is not what the operation is for.
    fn is_to_stay(&self) -> bool {
        use Operation::{Bootstrap, BuildAssets, Deploy, Hotswap, Import};
        let operation = self.operation;
        matches!(
            operation,
            Some(Bootstrap | BuildAssets | Deploy | Hotswap | Import)
        )
    }

    /// Ends a stack that is updated and only removes old resources, at the end of the log.
    pub(super) fn finish_cleanup(&mut self) {
        if self.work == Some(Work::CleaningUp) && self.end.is_none() {
            self.end_at(self.last, Ending::Completed, Strength::Part);
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.end.is_some_and(|end| end.ending.is_failure())
    }

    /// Whether a line of CDK, not only an event row, has ended it.
    pub(super) fn is_ended_by_line(&self) -> bool {
        self.end.is_some_and(|end| end.strength > Strength::Part)
    }

    pub(super) fn status(&self) -> TaskStatus {
        self.end
            .map_or(TaskStatus::Running, |end| end.ending.status())
    }

    pub(super) fn progress(&self) -> Progress {
        let is_rolling_back = self.work == Some(Work::RollingBack);
        let progress = match &self.count {
            Some(count) if self.end.is_some() || is_rolling_back => count.last(),
            Some(count) => count.furthest(),
            None => Progress::default(),
        };
        capped(progress, self.status())
    }

    pub(super) fn phase(&self) -> Option<&'static str> {
        use Operation::{Bootstrap, BuildAssets, Deploy, Destroy, Hotswap, Import, Rollback};
        let phase = match (self.end.map(|end| end.ending), self.operation) {
            (Some(Ending::RolledBack), _) => "rolled_back",
            (Some(Ending::Unchanged), _) => "unchanged",
            (Some(Ending::Destroyed), _) => "destroyed",
            (Some(Ending::Completed), operation) => match operation {
                Some(Destroy) => "destroyed",
                Some(Import) => "imported",
                Some(Bootstrap) => "bootstrapped",
                Some(Rollback) => "rollback_completed",
                _ => "deployed",
            },
            (Some(Ending::Failed | Ending::Cancelled), _) => return None,
            (None, _) if self.work == Some(Work::RollingBack) => "rolling_back",
            (None, _) if self.work == Some(Work::CleaningUp) => "cleaning_up",
            (None, None) if self.work == Some(Work::Deleting) => "destroying",
            (None, operation) => match operation {
                None | Some(Deploy | Hotswap) => "deploying",
                Some(BuildAssets) => "building_assets",
                Some(Destroy) => "destroying",
                Some(Import) => "importing",
                Some(Bootstrap) => "bootstrapping",
                Some(Rollback) => "rolling_back",
            },
        };
        Some(phase)
    }

    /// The message to show: the first cause of a failure, or else the latest message. A message
    /// from before the end is outdated; a message of the end itself stays.
    pub(super) fn shown_message(&self) -> Option<&Said> {
        let message = self.message.as_ref();
        match self.end {
            Some(end) if end.ending.is_failure() => {
                let cause = self.failure.as_ref().or(self.end_message.as_ref());
                cause.or(message)
            }
            Some(end) => message.filter(|message| message.at >= end.at),
            None => message,
        }
    }

    pub(super) fn part(&self) -> Part {
        Part {
            progress: self.progress(),
            status: self.status(),
            phase: self.phase().map(str::to_owned),
            message: self
                .shown_message()
                .map(|message| message.head(MAX_PART_MESSAGE_BYTES).to_owned()),
            started_at: Some(self.first.time()),
            completed_at: self.end.map(|end| end.at.time()),
        }
    }
}
