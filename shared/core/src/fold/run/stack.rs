//! One stack in a run of CDK.

use serde::{Deserialize, Serialize};

use super::counters::Count;
use super::text::Said;
use crate::fold::LineKey;
use crate::fold::end::{End, Ending, Strength};
use crate::fold::progress::capped;
use crate::log_parser::text::head;
use crate::log_parser::{Counter, Operation, Resource, ResourceState, RowSubject, StackState};
use crate::model::{MAX_FAILURE_NAME_BYTES, Part, Progress, TaskStatus};

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
    /// Whether its name was read from the end of a row, which a terminal may have cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) may_be_cut: bool,
    pub(super) first: LineKey,
    pub(super) last: LineKey,
    /// Whether its assets were published, so that it only waits for its turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) awaits_deploy: bool,
    /// Whether a line about its change set, or a row, has shown its CloudFormation name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_change_set: bool,
    /// How it is deployed, if not by a change set that is executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manner: Option<Manner>,
    /// Whether a line has announced an operation other than the building of assets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_announced: bool,
    /// The operation. CDK calls every change set a deploy, so the most specific operation wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<Operation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<Count>,
    /// The furthest point before a roll back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reached: Option<Count>,
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
    /// The first row of a resource that failed, with or without a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_row: Option<Said>,
    /// The resource of the first failure that has a reason, or else of the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed_resource: Option<Box<FailedResource>>,
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

/// A resource that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FailedResource {
    /// Its logical id, or the name that CDK prints.
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) resource_type: String,
}

impl FailedResource {
    fn of(resource: &Resource) -> Self {
        let id = resource.logical_id.as_ref().unwrap_or(&resource.name);
        Self {
            id: head(id, MAX_FAILURE_NAME_BYTES).to_owned(),
            resource_type: head(&resource.resource_type, MAX_FAILURE_NAME_BYTES).to_owned(),
        }
    }
}

/// How a stack is deployed, if not by a change set that is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Manner {
    /// The change set is only made.
    Prepared,
    /// Resources are changed without CloudFormation.
    Hotswapped,
    /// CloudFormation does not wait until resources are stable.
    Express,
}

impl Stack {
    pub(super) fn new(label: &str, at: LineKey) -> Self {
        Self {
            label: label.to_owned(),
            cfn_name: None,
            is_twin: false,
            may_be_cut: false,
            first: at,
            last: at,
            awaits_deploy: false,
            has_change_set: false,
            manner: None,
            is_announced: false,
            operation: None,
            count: None,
            reached: None,
            work: None,
            end: None,
            message: None,
            failure: None,
            failed_row: None,
            failed_resource: None,
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
        self.awaits_deploy = false;
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
        self.has_change_set = true;
        self.manner = self.manner.filter(|manner| *manner == Manner::Express);
        if let Some(counter) = counter {
            self.count = Some(Count::after(self.count, counter));
        }
        let Some(subject) = subject else { return };
        if let RowSubject::Resource(resource) = subject
            && resource.state() == Some(ResourceState::Failed)
        {
            let is_first_cause = failure.is_some() && self.failure.is_none();
            if is_first_cause || self.failed_row.is_none() {
                self.failed_resource = Some(Box::new(FailedResource::of(resource)));
            }
            if self.failed_row.is_none() {
                Said::put(&mut self.failed_row, at, &subject.message());
            }
        }
        if let Some(failure) = failure.filter(|_| self.failure.is_none()) {
            Said::put(&mut self.failure, at, failure);
        }
        // What is being undone is not why.
        if !self.is_undone() {
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
        let was_undone = self.is_undone();
        self.work = self.work.max(work);
        if self.is_undone() && !was_undone {
            self.reached = self.count;
        }
        match self.ending_of(state) {
            Some(ending) => self.end_at(at, ending, Strength::Part),
            None => false,
        }
    }

    /// Whether it rolls back, and that is not what the operation is for.
    pub(super) fn is_undone(&self) -> bool {
        self.work == Some(Work::RollingBack) && self.operation != Some(Operation::Rollback)
    }

    /// The end that a state means; `None` for work in progress, and for a deletion that is not what
    /// the operation is for.
    pub(super) fn ending_of(&self, state: StackState) -> Option<Ending> {
        match state {
            StackState::Complete => Some(Ending::Completed),
            // That is what `cdk rollback` is for.
            StackState::RolledBack if self.operation == Some(Operation::Rollback) => {
                Some(Ending::Completed)
            }
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

    /// Whether it failed before its deployment began: by its assets.
    pub(super) fn has_failed_early(&self) -> bool {
        self.has_failed() && !self.has_begun()
    }

    /// Whether its deployment has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.is_announced || self.count.is_some()
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

    /// The counter as CDK has printed it last.
    fn progress(&self) -> Progress {
        let last = self.count.as_ref().map(Count::last);
        capped(last.unwrap_or_default(), self.status())
    }

    /// How far the work has come. It does not fall, also not while the stack rolls back. CloudFormation
    /// only estimates the total, which is therefore exceeded, or not reached by a success.
    pub(super) fn furthest(&self) -> Progress {
        let count = self.reached.as_ref().or(self.count.as_ref());
        let furthest = count.map(Count::furthest).unwrap_or_default();
        let counted = furthest.current.zip(furthest.total);
        let current = counted.map(|(current, total)| match self.status() {
            TaskStatus::Completed => total,
            _ => current.min(total),
        });
        let progress = Progress {
            current: current.or(furthest.current),
            ..furthest
        };
        capped(progress, self.status())
    }

    pub(super) fn is_rolling_back(&self) -> bool {
        self.phase() == Some("rolling_back")
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
                Some(Rollback) => "rolled_back",
                _ => match self.manner {
                    Some(Manner::Prepared) => "prepared",
                    Some(Manner::Hotswapped) => "hotswapped",
                    Some(Manner::Express) => "deployed_express",
                    None => "deployed",
                },
            },
            (Some(Ending::Failed | Ending::Cancelled), _) => return None,
            // It is open, or was when its log ended.
            (_, _) if self.work == Some(Work::RollingBack) => "rolling_back",
            (_, _) if self.work == Some(Work::CleaningUp) => "cleaning_up",
            (_, None) if self.work == Some(Work::Deleting) => "destroying",
            (_, operation) => match operation {
                None | Some(Deploy | Hotswap) => "deploying",
                Some(BuildAssets) if self.awaits_deploy => "waiting",
                Some(BuildAssets) => "building_assets",
                Some(Destroy) => "destroying",
                Some(Import) => "importing",
                Some(Bootstrap) => "bootstrapping",
                Some(Rollback) => "rolling_back",
            },
        };
        Some(phase)
    }

    /// Why it has failed, or why it rolls back: the first cause. A resource that failed may be tried
    /// again, so it is no cause of a success.
    pub(super) fn cause(&self) -> Option<&Said> {
        let said = match self.end {
            Some(end) if !end.ending.is_failure() => return None,
            Some(_) => self.failure.as_ref().or(self.end_message.as_ref()),
            None => self.failure.as_ref(),
        };
        said.or(self.failed_row.as_ref())
    }

    /// The message to show: the cause of a failure, or else the latest message. A message from before
    /// the end is outdated; a message of the end itself stays.
    pub(super) fn shown_message(&self) -> Option<&Said> {
        let end = self.end.filter(|end| !end.ending.is_failure());
        let message = self.message.as_ref();
        let message = message.filter(|message| end.is_none_or(|end| message.at >= end.at));
        self.cause().or(message)
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
