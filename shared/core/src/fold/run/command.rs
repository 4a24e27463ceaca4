//! Lines about a command of CDK as a whole, and what they say about its stacks.

use super::Run;
use super::end_line::EndLine;
use super::stacks::{MOST_WITH_MESSAGES, Stacks};
use super::text::Said;
use crate::fold::LineKey;
use crate::fold::end::{Ending, Strength};
use crate::log_parser::{CdkObservation, FailureOf, Operation};
use crate::model::TaskStatus;

impl Run {
    /// Adds a line. Returns whether it replaces the end of the run by another one; `None` if the
    /// line is about a stack.
    pub(super) fn see_command(&mut self, at: LineKey, line: &CdkObservation) -> Option<bool> {
        if self.deploys_in_a_step {
            return self.see_command_of_step(at, line);
        }
        match line {
            CdkObservation::Synthesized => {
                self.whole.is_said = true;
                Said::put(&mut self.whole.phase, at, "synthesized");
            }
            CdkObservation::RunCompleted => {
                let is_open = self.whole.end.is_none() && !self.stacks.have_failed();
                self.whole.is_said |= is_open;
                self.whole.phase = self.whole.phase.take().filter(|_| !is_open);
                return Some(is_open && self.whole.end_at(at, Ending::Completed, Strength::Owner));
            }
            CdkObservation::RunCancelled { message } => {
                // If CDK can't ask a person how to go on after a failure, nobody has cancelled.
                let ending = match self.stacks.have_failed() {
                    true => Ending::Failed,
                    false => Ending::Cancelled,
                };
                return Some(self.fail(at, ending, message));
            }
            CdkObservation::RunFailed { message, of } => {
                let exception = self.whole.exception.as_ref();
                let exception = exception.filter(|_| *of == FailureOf::App);
                let message = exception.map_or(message, |said| &said.text).clone();
                if *of == FailureOf::Assets && self.stacks.are_under_way() {
                    return Some(false);
                }
                return Some(self.fail(at, Ending::Failed, &message));
            }
            CdkObservation::Exception { message } => {
                Said::put(&mut self.whole.exception, at, message);
            }
            CdkObservation::Cause { message } => {
                if let Some(failure) = &mut self.whole.failure {
                    failure.specify(message);
                }
                self.stacks.specify(message);
            }
            _ => return None,
        }
        Some(false)
    }

    /// Adds a line about a command that is a step of the run. Its end is not that of the run.
    fn see_command_of_step(&mut self, at: LineKey, line: &CdkObservation) -> Option<bool> {
        match line {
            CdkObservation::RunFailed { message, .. } => self.stacks.explain(at, message),
            CdkObservation::Cause { message } => self.stacks.specify(message),
            CdkObservation::Synthesized
            | CdkObservation::RunCompleted
            | CdkObservation::RunCancelled { .. }
            | CdkObservation::Exception { .. } => {}
            _ => return None,
        }
        Some(false)
    }

    /// Adds the last word of a command that did not complete. A run that completed stays so: what
    /// failed is something around it.
    fn fail(&mut self, at: LineKey, ending: Ending, message: &str) -> bool {
        if self.has_completed() {
            return false;
        }
        self.stacks.explain(at, message);
        self.whole.end_with(at, ending, message)
    }

    /// Whether lines say that the run as a whole has completed.
    fn has_completed(&self) -> bool {
        match self.whole.end {
            Some(end) => end.ending.status() == TaskStatus::Completed,
            None => self.stacks.are_over() && !self.stacks.have_failed(),
        }
    }

    /// Whether a line is of a later command than the one that ended: a command does not fail after it
    /// has completed, and the other way round. Whoever cancels after that cancels something else.
    pub(super) fn is_left_by_command(&self, line: &CdkObservation) -> bool {
        match line {
            CdkObservation::RunFailed { of, .. } => {
                matches!(of, FailureOf::Command | FailureOf::App) && self.has_completed()
            }
            CdkObservation::RunCompleted => {
                self.whole.end.is_some() || self.is_over() && !self.has_completed()
            }
            _ => false,
        }
    }

    /// The run after this one. An error that was printed at its start is not of this one.
    pub(in crate::fold) fn next_at(&self, at: LineKey) -> Self {
        let mut next = Self::at(at);
        next.whole.exception = self.whole.exception.clone();
        next
    }
}

impl Stacks {
    /// Ends the stack that is rolled back at last: CDK prints the time of a roll back without a tick.
    pub(super) fn complete_rollback(&mut self, at: LineKey) -> Option<bool> {
        let last = self.started_last?;
        let stack = self.list.get(last)?;
        let is_its = stack.end.is_none() && stack.operation == Some(Operation::Rollback);
        let end = EndLine {
            name: "",
            ending: Ending::Completed,
            message: None,
        };
        self.end(last, at, Some(end).filter(|_| is_its)?)
    }

    /// Makes a stack of the last tick: CDK prints the time of a deploy after it.
    pub(super) fn confirm_last_tick(&mut self) -> Option<bool> {
        let (of, line) = self.possible_ends.pop()?;
        let tick = EndLine::of(&line).filter(|end| !end.ending.is_failure())?;
        let index = self.named_in_line(tick.name, of)?;
        self.end(index, of, tick)
    }

    /// Whether a stack is being deployed. One whose assets are being built is not.
    pub(super) fn are_under_way(&self) -> bool {
        let mut stacks = self.list.iter();
        stacks.any(|stack| stack.end.is_none() && stack.operation > Some(Operation::BuildAssets))
    }

    /// Adds the last word of the command to the stack that failed without one.
    pub(super) fn explain(&mut self, at: LineKey, message: &str) {
        let mut stacks = self.list.iter_mut().take(MOST_WITH_MESSAGES);
        let failed = stacks.find(|stack| stack.has_failed() && stack.end_message.is_none());
        if let Some(stack) = failed {
            Said::put(&mut stack.end_message, at, message);
        }
    }

    /// Adds a cause to the message of the stack that ended last.
    pub(super) fn specify(&mut self, cause: &str) {
        let failed = self.list.iter_mut().filter(|stack| stack.has_failed());
        let latest = failed.max_by_key(|stack| stack.last);
        if let Some(message) = latest.and_then(|stack| stack.end_message.as_mut()) {
            message.specify(cause);
        }
    }
}
