//! The stacks of a run of CDK, and which names are the same stack.
//!
//! CDK prints a stack with its CloudFormation name (`Prod-Api`) or with its display name
//! (`Prod/Api`, or `Prod/Api (my-api)` if the name was set explicitly). Rows of CDK v1 have no
//! stack name. A bootstrapped environment is a stack, too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::stack::Stack;
use super::text::Said;
use crate::fold::LineKey;
use crate::fold::end::{Effect, Ending, Strength};
use crate::log_parser::{CdkObservation, Counter, Operation, Outcome, RowSubject, StackState};

/// The stack of a bootstrap that names no stack.
const BOOTSTRAP_STACK: &str = "CDKToolkit";
/// The stack of rows if no line names a stack.
const UNNAMED_STACK: &str = "unnamed";
/// The most stacks of a run. A region of an account has at most 2,000 by default
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>).
/// Lines about further stacks are ignored.
const MOST_STACKS: usize = 2_000;
/// The most stacks with messages. Further ones only show their state and progress.
const MOST_WITH_MESSAGES: usize = 200;
/// The most dashes in the name of a root stack. A name has at most 128 characters.
const MOST_DASHES: usize = 64;
/// The most names that are kept of ticks that may be ends, and of ARNs.
const MOST_NAMES: usize = 200;

/// The stacks of a run, in the order of their first lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stacks {
    pub(super) list: Vec<Stack>,
    /// The stack of each name. The name of an environment leads to its bootstrap stack, and a name
    /// that twins share to the one that started last.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_name: BTreeMap<String, usize>,
    /// The first stack of each path: a display name, or a name without the hash that CDK appends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_path: BTreeMap<String, usize>,
    /// Ticks and crosses that count as ends only if other lines name their stack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    possible_ends: Vec<PossibleEnd>,
    /// CloudFormation names in ARNs that are of no known stack.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    arn_names: BTreeSet<String>,
    /// The stack that started last. Rows without a stack name are about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_last: Option<usize>,
    /// The stack whose name is not known yet: of rows without a stack name, or of an environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    nameless: Option<usize>,
    /// How many stacks the log announces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) announced: Option<u32>,
    /// How many stacks have not ended.
    open: usize,
    /// How many have failed.
    failed: usize,
}

/// A tick or a cross before a word that may be a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PossibleEnd {
    at: LineKey,
    label: String,
    ending: Ending,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Said>,
}

impl Stacks {
    /// Whether the log has said nothing about stacks.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The number of stacks that the log announces; 0 if it announces none.
    pub(super) fn announced(&self) -> usize {
        let announced = self.announced.unwrap_or_default();
        usize::try_from(announced).map_or(MOST_STACKS, |stacks| stacks.min(MOST_STACKS))
    }

    /// Whether all stacks have ended, and no more are expected.
    pub(super) fn are_over(&self) -> bool {
        self.have_ended() && (self.failed > 0 || self.list.len() >= self.announced())
    }

    /// Whether there are stacks, and all have ended.
    fn have_ended(&self) -> bool {
        !self.list.is_empty() && self.open == 0
    }

    /// Whether a line belongs to a later run. `is_over` is whether the run has ended, and
    /// `is_ended_by_caller` whether a caller has ended it, although it may go on.
    ///
    /// An operation on a stack that has ended begins a run, and so does the first line about any
    /// other stack after the end of the run.
    pub(super) fn are_left_by(
        &self,
        line: &CdkObservation,
        is_over: bool,
        is_ended_by_caller: bool,
    ) -> bool {
        let is_new =
            |name: &str| is_over && self.find(name).is_none() && self.root_of(name).is_none();
        match line {
            CdkObservation::Start { stack, in_run, .. } => {
                let is_first = in_run.is_some_and(|in_run| in_run.index == 1);
                let known = self.find(stack);
                let starts_again = known.is_some_and(|known| self.list[known].end.is_some());
                is_over || starts_again || is_first && (self.have_ended() || is_ended_by_caller)
            }
            CdkObservation::BootstrapStart { .. } => is_over,
            CdkObservation::Row {
                stack: Some(stack), ..
            } => is_new(stack),
            CdkObservation::End { stack, .. } => is_new(stack),
            _ => false,
        }
    }

    /// Whether a line contradicts the end of a stack with evidence of the same strength.
    pub(super) fn are_contradicted_by(&self, line: &CdkObservation) -> bool {
        let (name, state, outcome) = match line {
            CdkObservation::End { stack, outcome, .. }
            | CdkObservation::UnconfirmedEnd { stack, outcome, .. } => (stack, None, *outcome),
            CdkObservation::BootstrapEnd {
                environment,
                outcome,
                ..
            } => (environment, None, *outcome),
            CdkObservation::Row {
                stack: Some(name),
                own: Some(state),
                ..
            }
            | CdkObservation::Row {
                own_name: Some(name),
                own: Some(state),
                ..
            } => (name, Some(*state), Outcome::Completed),
            _ => return false,
        };
        let Some(stack) = self.find(name).map(|index| &self.list[index]) else {
            return false;
        };
        let end = match state {
            Some(state) => stack
                .ending_of(state)
                .map(|ending| (ending, Strength::Part)),
            None => Some((outcome.into(), Strength::Owner)),
        };
        let known = stack.end.as_ref().zip(end);
        known.is_some_and(|(known, (ending, strength))| known.differs(ending, strength))
    }

    /// Whether a line says something about a stack only if other lines name the stack.
    pub(super) fn is_hint(line: &CdkObservation) -> bool {
        matches!(
            line,
            CdkObservation::UnconfirmedEnd { .. }
                | CdkObservation::StackArn { .. }
                | CdkObservation::CurrentlyInProgress { .. }
                | CdkObservation::Hotswap
        )
    }

    /// Adds a line.
    pub(super) fn see(&mut self, at: LineKey, line: &CdkObservation) -> Effect {
        match line {
            CdkObservation::Start {
                stack,
                operation,
                in_run,
            } => {
                self.announced = self.announced.max(in_run.map(|in_run| in_run.stacks));
                if let Some(index) = self.named_in_line(stack, at) {
                    self.start(index, *operation);
                }
                Effect::Consistent
            }
            CdkObservation::Row {
                stack: Some(stack),
                counter,
                own,
                failure,
                subject,
                ..
            } => {
                let Some((index, is_nested)) = self.named_in_row(stack, at) else {
                    return Effect::Consistent;
                };
                self.act(index, at, *counter, failure.as_deref(), subject);
                self.reach(index, at, own.filter(|_| !is_nested))
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
                if let Some(owner) = self.owner(at) {
                    self.act(owner, at, *counter, failure.as_deref(), subject);
                }
                named.map_or(Effect::Consistent, |named| self.reach(named, at, *own))
            }
            CdkObservation::Bar { counter } => {
                if let Some(owner) = self.owner(at) {
                    self.count(owner, at, *counter);
                }
                Effect::Consistent
            }
            CdkObservation::CurrentlyInProgress { counter, first_id } => {
                let only = (self.list.len() == 1).then_some(0);
                if let Some(index) = self.find(first_id).or(only) {
                    self.count(index, at, *counter);
                }
                Effect::Consistent
            }
            CdkObservation::End {
                stack,
                outcome,
                message,
            } => {
                let index = self.named_in_line(stack, at);
                self.end(index, at, (*outcome).into(), message.as_deref())
            }
            CdkObservation::UnconfirmedEnd {
                stack,
                outcome,
                message,
            } => {
                let ending = (*outcome).into();
                let Some(index) = self.find(stack) else {
                    self.note_possible_end(at, stack, ending, message.as_deref());
                    return Effect::Consistent;
                };
                self.end(Some(index), at, ending, message.as_deref())
            }
            CdkObservation::BootstrapStart { environment } => {
                if let Some(index) = self.bootstrapped(environment, at) {
                    self.start(index, Operation::Bootstrap);
                }
                Effect::Consistent
            }
            CdkObservation::BootstrapEnd {
                environment,
                outcome,
                message,
            } => {
                let index = self.bootstrapped(environment, at);
                self.end(index, at, (*outcome).into(), message.as_deref())
            }
            CdkObservation::StackArn { name } => {
                if !self.learn(name) && self.arn_names.len() < MOST_NAMES {
                    self.arn_names.insert(name.clone());
                    self.confirm_ticks_of_arns(at);
                }
                Effect::Consistent
            }
            CdkObservation::Hotswap | CdkObservation::RunFailed { .. } => Effect::Consistent,
        }
    }

    /// Turns the ticks of a log into stacks that has no other lines about stacks. A cross may be of
    /// any program.
    pub(super) fn confirm_ticks(&mut self) {
        if !self.list.is_empty() {
            return;
        }
        let ticks = std::mem::take(&mut self.possible_ends);
        for tick in ticks.into_iter().filter(|tick| !tick.ending.is_failure()) {
            if let Some(index) = self.named_in_line(&tick.label, tick.at) {
                let message = tick.message.as_ref().map(|message| message.text.as_str());
                self.end(Some(index), tick.at, tick.ending, message);
            }
        }
    }

    /// Whether there is a tick that may be a stack.
    pub(super) fn has_tick(&self) -> bool {
        let mut ends = self.possible_ends.iter();
        ends.any(|end| !end.ending.is_failure())
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
        let subject = Some(subject).filter(|_| index < MOST_WITH_MESSAGES);
        self.list[index].act(at, counter, failure, subject);
    }

    fn count(&mut self, index: usize, at: LineKey, counter: Counter) {
        let stack = &mut self.list[index];
        stack.last = at;
        super::counters::Count::add(&mut stack.count, at, counter);
    }

    fn reach(&mut self, index: usize, at: LineKey, state: Option<StackState>) -> Effect {
        match state {
            Some(state) => self.change(index, |stack| stack.reach(at, state)),
            None => Effect::Consistent,
        }
    }

    fn end(
        &mut self,
        index: Option<usize>,
        at: LineKey,
        ending: Ending,
        message: Option<&str>,
    ) -> Effect {
        let Some(index) = index else {
            return Effect::Consistent;
        };
        self.change(index, |stack| {
            if let Some(message) = message {
                Said::put(&mut stack.end_message, at, message);
            }
            stack.end_at(at, ending, Strength::Owner)
        })
    }

    /// Changes a stack and counts whether it has ended and failed.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Stack) -> Effect) -> Effect {
        let stack = &mut self.list[index];
        let (was_open, had_failed) = (stack.end.is_none(), stack.has_failed());
        let effect = change(stack);
        self.open -= usize::from(was_open && stack.end.is_some());
        self.failed = self.failed + usize::from(stack.has_failed()) - usize::from(had_failed);
        effect
    }

    fn note_possible_end(
        &mut self,
        at: LineKey,
        label: &str,
        ending: Ending,
        message: Option<&str>,
    ) {
        if self.possible_ends.len() >= MOST_NAMES {
            return;
        }
        let mut said = None;
        if let Some(message) = message {
            Said::put(&mut said, at, message);
        }
        self.possible_ends.push(PossibleEnd {
            at,
            label: label.to_owned(),
            ending,
            message: said,
        });
        self.confirm_ticks_of_arns(at);
    }

    /// Creates the stacks of ticks whose name is in an ARN.
    fn confirm_ticks_of_arns(&mut self, at: LineKey) {
        let is_in_arn = |tick: &&PossibleEnd| self.arn_name(&tick.label).is_some();
        let tick = self.possible_ends.iter().find(is_in_arn);
        if let Some(label) = tick.map(|tick| tick.label.clone()) {
            self.create(&label, at);
        }
    }

    /// The stack that a line of CDK names. It is never nested.
    fn named_in_line(&mut self, label: &str, at: LineKey) -> Option<usize> {
        let index = match self.find(label) {
            Some(index) => index,
            None => self.create(label, at)?,
        };
        let twins = in_parentheses(label);
        if let Some(name) = twins.filter(|_| self.list[index].is_twin) {
            self.by_name.insert(name.to_owned(), index);
        }
        self.learn(label);
        self.list[index].last = at;
        Some(index)
    }

    /// The stack in the stack column of a row, or its root stack, and whether it is nested.
    fn named_in_row(&mut self, name: &str, at: LineKey) -> Option<(usize, bool)> {
        if let Some(index) = self.find(name) {
            self.learn(name);
            return Some((index, false));
        }
        match self.root_of(name) {
            Some(root) => Some((root, true)),
            None => Some((self.create(name, at)?, false)),
        }
    }

    /// The stack of a row about a stack as a whole that has no stack column. After the start of a
    /// stack, a row with another name is of a nested stack.
    fn own_row(&mut self, name: &str, at: LineKey) -> Option<usize> {
        let known = self.find(name);
        self.learn(name);
        match known {
            None if self
                .started_last
                .is_none_or(|last| Some(last) == self.nameless) =>
            {
                self.create(name, at)
            }
            known => known,
        }
    }

    /// The stack of rows without a stack name: the one that started last. Rows after its end belong
    /// to a stack whose start is not in the log.
    fn owner(&mut self, at: LineKey) -> Option<usize> {
        match self.started_last {
            Some(last) => Some(last).filter(|last| !self.list[*last].is_ended_by_line()),
            None if self.list.is_empty() => {
                self.nameless = self.create(UNNAMED_STACK, at);
                self.nameless
            }
            None => Some(0),
        }
    }

    /// The stack that the bootstrap of an environment makes.
    fn bootstrapped(&mut self, environment: &str, at: LineKey) -> Option<usize> {
        if let Some(&known) = self.by_name.get(environment) {
            return Some(known);
        }
        let heard_last = |(_, stack): &(usize, &Stack)| stack.last;
        let index = match self.find(BOOTSTRAP_STACK) {
            Some(index) => index,
            None => match self.list.iter().enumerate().max_by_key(heard_last) {
                Some((index, stack)) if stack.operation.is_none() => index,
                _ => {
                    let index = self.create(BOOTSTRAP_STACK, at)?;
                    self.nameless = Some(index);
                    index
                }
            },
        };
        self.by_name.insert(environment.to_owned(), index);
        Some(index)
    }

    /// The stack that a printed name is known to mean.
    fn find(&self, label: &str) -> Option<usize> {
        if let Some(&index) = self.by_name.get(label) {
            return Some(index);
        }
        if let Some(name) = in_parentheses(label) {
            // A second display name of one CloudFormation name is another stack.
            let index = *self.by_name.get(name)?;
            return Some(index).filter(|index| self.list[*index].label == name);
        }
        let is_path = label.contains('/');
        if is_path && let Some(&index) = self.by_name.get(&label.replace('/', "-")) {
            return Some(index);
        }
        let path = match is_path {
            true => path_of(label),
            false => without_hash(label)?.to_owned(),
        };
        // One of the two names is a path, and the other one is not.
        let index = *self.by_path.get(&path)?;
        Some(index).filter(|index| self.list[*index].label.contains('/') != is_path)
    }

    /// The stack that the stack `name` is nested in. It is named `<root>-<logical id>-<random>`,
    /// or, if a line has announced its root, `<root>-` and anything.
    fn root_of(&self, name: &str) -> Option<usize> {
        let is_random = |text: &str| {
            let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
            text.len() >= 8 && text.bytes().all(is_upper)
        };
        let dashes = name.match_indices('-').map(|(at, _)| at);
        let mut roots = dashes.take(MOST_DASHES).filter_map(|dash| {
            let (root, rest) = (name.get(..dash)?, name.get(dash + 1..)?);
            let index = *self.by_name.get(root)?;
            let has_random = rest
                .rsplit_once('-')
                .is_some_and(|(_, random)| is_random(random));
            (has_random || self.list[index].is_announced).then_some(index)
        });
        roots.next()
    }

    /// Creates the stack of a name that is new; `None` if there are too many.
    fn create(&mut self, label: &str, at: LineKey) -> Option<usize> {
        let is_named_by_row = !label.contains(['/', '(']);
        let takes_over = self.nameless.take_if(|nameless| {
            let is_environment = self.list[*nameless].operation == Some(Operation::Bootstrap);
            !is_environment || is_named_by_row && self.list[*nameless].count.is_none()
        });
        let index = match takes_over {
            Some(index) => {
                let placeholder = self.list[index].label.clone();
                self.by_name.remove(&placeholder);
                label.clone_into(&mut self.list[index].label);
                index
            }
            None if self.list.len() < MOST_STACKS => {
                self.list.push(Stack::new(label, at));
                self.open += 1;
                self.list.len() - 1
            }
            None => return None,
        };
        self.by_name.insert(label.to_owned(), index);
        if let Some(name) = in_parentheses(label) {
            if let Some(&twin) = self.by_name.get(name) {
                self.list[twin].is_twin = true;
                self.list[index].is_twin = true;
            }
            self.list[index].cfn_name = Some(name.to_owned());
            self.by_name.insert(name.to_owned(), index);
        } else if label.contains('/') {
            self.list[index].cfn_name = self.arn_name(label);
            self.by_name.entry(label.replace('/', "-")).or_insert(index);
            self.by_path.entry(path_of(label)).or_insert(index);
        } else if let Some(path) = without_hash(label) {
            self.by_path.entry(path.to_owned()).or_insert(index);
        }
        self.confirm_possible_ends(index);
        Some(index)
    }

    /// Records that the log prints `name`. If it is the CloudFormation name of a stack with a
    /// display name, the stack takes it. Returns whether a stack has the name.
    fn learn(&mut self, name: &str) -> bool {
        let cfn_name = in_parentheses(name).unwrap_or(name);
        let Some(index) = self.find(name) else {
            return false;
        };
        let stack = &mut self.list[index];
        let is_display = |name: &str| name.contains('/') || in_parentheses(name).is_some();
        if is_display(name) && !is_display(&stack.label) {
            // The name of rows came first.
            stack.cfn_name = Some(std::mem::replace(&mut stack.label, name.to_owned()));
            self.by_name.insert(name.to_owned(), index);
        } else if stack.cfn_name.is_none() && stack.label != cfn_name && !is_display(cfn_name) {
            stack.cfn_name = Some(cfn_name.to_owned());
            self.by_name.insert(cfn_name.to_owned(), index);
        }
        true
    }

    /// The CloudFormation name of a printed name, if an ARN has shown it.
    fn arn_name(&self, label: &str) -> Option<String> {
        let name = in_parentheses(label).unwrap_or(label);
        let usual = name.replace('/', "-");
        if self.arn_names.contains(&usual) {
            return Some(usual);
        }
        let path = path_of(label);
        let mut names = self.arn_names.range(path.clone()..);
        let known = names.find(|name| without_hash(name) == Some(path.as_str()));
        known.filter(|_| label.contains('/')).cloned()
    }

    /// Adds the ends that were waiting for a line about the stack.
    fn confirm_possible_ends(&mut self, index: usize) {
        if self.possible_ends.is_empty() {
            return;
        }
        for end in std::mem::take(&mut self.possible_ends) {
            if self.find(&end.label) == Some(index) {
                let message = end.message.as_ref().map(|message| message.text.as_str());
                let at = end.at.max(self.list[index].first);
                self.end(Some(index), at, end.ending, message);
            } else {
                self.possible_ends.push(end);
            }
        }
    }
}

/// The CloudFormation name in `Prod/Api (my-api)`.
fn in_parentheses(label: &str) -> Option<&str> {
    let (_, name) = label.strip_suffix(')')?.rsplit_once(" (")?;
    Some(name)
}

/// The names of the constructs of a path, without disallowed characters. Outside of a stage, CDK
/// derives a stack name from it by appending a hash.
fn path_of(label: &str) -> String {
    label.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A name without the hash that CDK appends: 8 hexadecimal digits.
fn without_hash(name: &str) -> Option<&str> {
    let (path, hash) = name.split_at_checked(name.len().checked_sub(8)?)?;
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    hash.bytes().all(is_digit).then_some(path)
}
