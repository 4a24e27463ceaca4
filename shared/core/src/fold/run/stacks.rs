//! The stacks of a run of CDK.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::counters::Count;
use super::end_line::{EndLine, tick_in};
use super::further::FurtherStacks;
use super::stack::{Manner, Stack};
use super::text::Said;
use crate::fold::LineKey;
use crate::fold::end::Strength;
use crate::log_parser::{CdkObservation, Counter, InRun, Operation, RowSubject, StackState};

/// The most stacks of a run with details. Of further ones only their number and end are known.
pub(super) const MOST_STACKS: usize = 1_000;
/// The most stacks with messages. Further ones only show their state and progress.
pub(super) const MOST_WITH_MESSAGES: usize = 100;
/// The most names that are kept of ticks that may be ends, and of ARNs.
const MOST_NAMES: usize = 50;

/// The stacks of a run, in the order of their first lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stacks {
    pub(super) list: Vec<Stack>,
    /// The stack of each name. The name of an environment leads to its bootstrap stack, and a name
    /// that twins share to the one that started last.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) by_name: BTreeMap<String, usize>,
    /// The first stack of each path: a display name, or a name without the hash that CDK appends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) by_path: BTreeMap<String, usize>,
    /// Ticks and crosses that count as ends only if other lines name their stack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) possible_ends: Vec<(LineKey, CdkObservation)>,
    /// Whether the last line about stacks was the latest of these ticks and crosses.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ends_with_mark: bool,
    /// CloudFormation names in ARNs that are of no known stack.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) arn_names: BTreeSet<String>,
    /// The stack that started last. Rows without a stack name are about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started_last: Option<usize>,
    /// The stack whose name is not known yet: of rows without a stack name, or of an environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nameless: Option<usize>,
    /// Whether the log has named the first of the stacks, `[1/k]`.
    has_first: bool,
    /// How many stacks the log announces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) announced: Option<u32>,
    /// The stacks for which there is no room in `list`.
    #[serde(skip_serializing_if = "FurtherStacks::is_empty")]
    further: FurtherStacks,
    /// The length of all keys of `by_name`, in bytes.
    pub(super) name_bytes: usize,
    /// How many stacks have not ended.
    pub(super) open: usize,
    /// How many have failed.
    failed: usize,
}

impl Stacks {
    /// Whether the log has said nothing about stacks.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The number of stacks that the log announces; 0 if it announces none.
    pub(super) fn announced(&self) -> usize {
        let announced = self.announced.unwrap_or_default();
        usize::try_from(announced).unwrap_or(usize::MAX)
    }

    /// Whether all stacks have ended, and no more are expected.
    pub(super) fn are_over(&self) -> bool {
        !self.list.is_empty()
            && self.open == 0
            && !self.further.has_open()
            && (self.failed > 0 || self.further.have_failed() || self.known() >= self.announced())
    }

    /// [`Self::are_over`], and lines of CDK say so. If event rows alone do, a tick may follow after
    /// the start of another stack.
    pub(super) fn are_over_for_certain(&self) -> bool {
        self.are_over() && self.list.iter().all(Stack::is_ended_by_line)
    }

    /// Whether a line belongs to a later run. `is_over` is whether the run has ended for certain,
    /// `is_silent` whether the line comes after a long silence, and `is_ended_by_caller` whether a
    /// caller has ended or deleted the run, although it may go on.
    ///
    /// An operation on a stack that has ended begins a run, and so does a stack that is named `[1/k]`
    /// after another one was. After the end of the run, a line about another stack does, too.
    pub(super) fn are_left_by(
        &self,
        line: &CdkObservation,
        is_over: bool,
        is_silent: bool,
        is_ended_by_caller: bool,
    ) -> bool {
        let is_over = is_over && self.list.len() < MOST_STACKS; // or the line is about no known stack
        let is_new =
            |name: &str| is_over && self.find(name).is_none() && self.root_of(name).is_none();
        match line {
            CdkObservation::Start {
                stack,
                operation,
                in_run,
                ..
            } => match self.find(stack) {
                // After an asset could not be built, others of the stack still are.
                Some(known) if self.list[known].end.is_some() => {
                    *operation != Operation::BuildAssets || !self.list[known].has_failed_early()
                }
                // CDK before version 2.50 prints no `[i/k]`.
                Some(_) => is_ended_by_caller || is_silent && self.announced.is_none(),
                None => match in_run {
                    Some(in_run) if in_run.index == 1 => {
                        self.has_first && (is_over || self.open == 0)
                            || is_silent
                            || is_ended_by_caller
                            || is_over && !self.is_awaited(*in_run)
                    }
                    Some(in_run) => is_over && !self.is_awaited(*in_run),
                    None => is_over,
                },
            },
            CdkObservation::BootstrapStart { .. } | CdkObservation::Synthesized => is_over,
            CdkObservation::Row {
                stack: Some(stack), ..
            }
            | CdkObservation::End { stack, .. } => is_new(stack),
            _ => false,
        }
    }

    /// Whether the run has announced more stacks than came so far, and this may be one of them.
    fn is_awaited(&self, in_run: InRun) -> bool {
        self.announced == Some(in_run.stacks) && self.known() < self.announced()
    }

    /// Whether a line contradicts the end of a stack with evidence of the same strength.
    pub(super) fn are_contradicted_by(&self, line: &CdkObservation) -> bool {
        let stack = |name: &str| self.find(name).map(|index| &self.list[index]);
        let told = match line {
            CdkObservation::Row {
                stack: Some(name),
                own: Some(state),
                ..
            }
            | CdkObservation::Row {
                own_name: Some(name),
                own: Some(state),
                ..
            } => stack(name)
                .and_then(|stack| Some((stack, stack.ending_of(*state)?, Strength::Part))),
            CdkObservation::StackIsIn { .. } => None,
            line => EndLine::of(line)
                .and_then(|end| Some((stack(end.name)?, end.ending, Strength::Owner))),
        };
        told.is_some_and(|(stack, ending, strength)| {
            stack.end.is_some_and(|end| end.differs(ending, strength))
        })
    }

    /// Whether a line says something about a stack only if other lines name the stack.
    pub(super) fn is_hint(line: &CdkObservation) -> bool {
        matches!(
            line,
            CdkObservation::UnconfirmedEnd { .. }
                | CdkObservation::StackArn { .. }
                | CdkObservation::CurrentlyInProgress { .. }
                | CdkObservation::StackIsIn { .. }
                | CdkObservation::AssetPublished { .. }
                | CdkObservation::Hotswap
                | CdkObservation::Prepared
                | CdkObservation::Express { .. }
                | CdkObservation::TimeTaken { .. }
                | CdkObservation::Exception { .. }
                | CdkObservation::Cause { .. }
        )
    }

    /// Whether a line begins the work on a stack or an app.
    pub(super) fn is_start(line: &CdkObservation) -> bool {
        matches!(
            line,
            CdkObservation::Start { .. }
                | CdkObservation::BootstrapStart { .. }
                | CdkObservation::Synthesized
        )
    }

    /// Adds a line. Returns whether it replaces the end of a stack by another one.
    pub(super) fn see(&mut self, at: LineKey, line: &CdkObservation) -> bool {
        self.add(at, line).unwrap_or(false)
    }

    /// See [`Self::see`]; `None` if the line is not about an end.
    fn add(&mut self, at: LineKey, line: &CdkObservation) -> Option<bool> {
        let follows_mark = std::mem::take(&mut self.ends_with_mark);
        match line {
            CdkObservation::Start {
                stack,
                operation,
                in_run,
                is_change_set,
            } => {
                self.announced = self.announced.max(in_run.map(|in_run| in_run.stacks));
                self.has_first |= in_run.is_some_and(|in_run| in_run.index == 1);
                // A line without `[i/k]` may be about the stack of a bootstrap.
                let index = match self.unnamed_bootstrap().filter(|_| in_run.is_none()) {
                    Some(bootstrapped) if self.find(stack).is_none() => {
                        self.rename(bootstrapped, stack)
                    }
                    _ => match self.awaiting_name().filter(|_| *is_change_set) {
                        Some(index) if self.find(stack).is_none() => self.alias(index, stack),
                        _ => self
                            .named_in_line(stack, at)
                            .or_else(|| self.see_further(line))?,
                    },
                };
                self.list[index].has_change_set |= *is_change_set;
                self.start(index, *operation);
            }
            CdkObservation::BootstrapStart { environment } => {
                let index = self.bootstrapped(environment, at)?;
                self.start(index, Operation::Bootstrap);
            }
            CdkObservation::Row {
                stack: Some(stack),
                counter,
                own,
                failure,
                subject,
                ..
            } => {
                let (index, is_nested) = self.named_in_row(stack, at)?;
                self.act(index, at, *counter, failure.as_deref(), subject);
                return self.reach(index, at, own.filter(|_| !is_nested)?);
            }
            CdkObservation::Row {
                stack: None,
                counter,
                own,
                own_name,
                failure,
                subject,
            } => {
                let named = own_name.as_ref().and_then(|name| self.own_row(name, at));
                // Before any start, the row of a stack as a whole is the first one about it.
                let owner = named.filter(|_| self.started_last.is_none());
                if let Some(owner) = owner.or_else(|| self.owner(at)) {
                    self.act(owner, at, *counter, failure.as_deref(), subject);
                }
                return self.reach(named?, at, (*own)?);
            }
            CdkObservation::Bar { counter } => {
                let owner = self.owner(at)?;
                self.count(owner, at, *counter);
            }
            CdkObservation::CurrentlyInProgress { counter, first_id } => {
                let only = (self.list.len() == 1).then_some(0);
                let index = self.find(first_id).or(only)?;
                self.count(index, at, *counter);
            }
            CdkObservation::End { stack, .. } => {
                let index = self
                    .named_in_line(stack, at)
                    .or_else(|| self.see_further(line))?;
                return self.end(index, at, EndLine::of(line)?);
            }
            CdkObservation::BootstrapEnd { environment, .. } => {
                let index = self.bootstrapped(environment, at)?;
                return self.end(index, at, EndLine::of(line)?);
            }
            CdkObservation::StackIsIn { stack, .. } => {
                let index = self.find(stack)?;
                let is_open = self.list[index].end.is_none();
                return self.end(index, at, EndLine::of(line).filter(|_| is_open)?);
            }
            CdkObservation::AssetPublished { stack } => {
                let index = self.find(stack)?;
                self.list[index].awaits_deploy = true;
            }
            CdkObservation::Hotswap => self.note_manner(Manner::Hotswapped),
            CdkObservation::Prepared => self.note_manner(Manner::Prepared),
            CdkObservation::Express { message } => {
                self.note_manner(Manner::Express);
                let started_last = self.started_last?;
                if started_last < MOST_WITH_MESSAGES {
                    Said::put(&mut self.list[started_last].message, at, message);
                }
            }
            CdkObservation::TimeTaken { operation } => match operation {
                Operation::Rollback => return self.complete_rollback(at),
                _ if follows_mark => return self.confirm_last_tick(),
                _ => {}
            },
            CdkObservation::UnconfirmedEnd { stack, .. } => {
                if let Some(index) = self.find(stack) {
                    return self.end(index, at, EndLine::of(line)?);
                }
                if self.further.is_open(stack) {
                    self.see_further(line)?;
                }
                if self.possible_ends.len() >= MOST_NAMES {
                    self.possible_ends.remove(0); // CDK names a stack soon after its tick
                }
                self.possible_ends.push((at, line.clone()));
                self.ends_with_mark = true;
                self.confirm_ticks_of_arns(at);
            }
            CdkObservation::StackArn { name } => {
                if !self.learn(name) && self.arn_names.len() < MOST_NAMES {
                    self.arn_names.insert(name.clone());
                    self.confirm_ticks_of_arns(at);
                }
            }
            // Lines about the run as a whole.
            CdkObservation::Synthesized
            | CdkObservation::RunFailed { .. }
            | CdkObservation::RunCancelled { .. }
            | CdkObservation::RunCompleted
            | CdkObservation::Exception { .. }
            | CdkObservation::Cause { .. } => {}
        }
        None
    }

    /// Adds a line about a stack for which there is no room.
    fn see_further(&mut self, line: &CdkObservation) -> Option<usize> {
        self.further.see(line);
        None
    }

    /// How many stacks have come so far.
    pub(super) fn known(&self) -> usize {
        self.list.len() + self.further.count()
    }

    /// How many stacks without details have ended.
    pub(super) fn ended_without_details(&self) -> usize {
        self.further.ended()
    }

    /// Whether a stack has not ended.
    pub(super) fn has_open(&self) -> bool {
        let mut stacks = self.list.iter();
        stacks.any(|stack| stack.end.is_none()) || self.further.has_open()
    }

    pub(super) fn have_failed(&self) -> bool {
        self.list.iter().any(Stack::has_failed) || self.further.have_failed()
    }

    fn note_manner(&mut self, manner: Manner) {
        if let Some(last) = self.started_last {
            self.list[last].manner = Some(manner);
        }
    }

    /// Makes stacks of the ticks of a log that has no other lines about stacks. A cross may be of
    /// any program.
    pub(super) fn confirm_ticks(&mut self) {
        if !self.list.is_empty() {
            return;
        }
        for (at, line) in std::mem::take(&mut self.possible_ends) {
            if let Some(tick) = tick_in(&line)
                && let Some(index) = self.named_in_line(tick.name, at)
            {
                self.end(index, at, tick);
            }
        }
    }

    /// Whether there is a tick that may be a stack.
    pub(super) fn has_tick(&self) -> bool {
        let mut ends = self.possible_ends.iter();
        ends.any(|(_, line)| tick_in(line).is_some())
    }

    fn start(&mut self, index: usize, operation: Operation) {
        self.list[index].start(operation);
        if operation != Operation::BuildAssets {
            self.started_last = Some(index);
        }
    }

    fn act(
        &mut self,
        index: usize,
        at: LineKey,
        counter: Option<Counter>,
        failure: Option<&str>,
        subject: &RowSubject,
    ) {
        let has_messages = index < MOST_WITH_MESSAGES;
        let failure = failure.filter(|_| has_messages);
        let subject = Some(subject).filter(|_| has_messages);
        self.list[index].act(at, counter, failure, subject);
    }

    fn count(&mut self, index: usize, at: LineKey, counter: Counter) {
        let stack = &mut self.list[index];
        stack.last = at;
        stack.count = Some(Count::after(stack.count, counter));
    }

    fn reach(&mut self, index: usize, at: LineKey, state: StackState) -> Option<bool> {
        Some(self.change(index, |stack| stack.reach(at, state)))
    }

    pub(super) fn end(&mut self, index: usize, at: LineKey, end: EndLine<'_>) -> Option<bool> {
        Some(self.change(index, |stack| {
            if let Some(message) = end.message.filter(|_| index < MOST_WITH_MESSAGES) {
                Said::put(&mut stack.end_message, at, message);
            }
            stack.end_at(at, end.ending, Strength::Owner)
        }))
    }

    /// Changes a stack and counts whether it has ended and failed.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Stack) -> bool) -> bool {
        let stack = &mut self.list[index];
        let (was_open, had_failed) = (stack.end.is_none(), stack.has_failed());
        let effect = change(stack);
        self.open -= usize::from(was_open && stack.end.is_some());
        self.failed = self.failed + usize::from(stack.has_failed()) - usize::from(had_failed);
        effect
    }
}
