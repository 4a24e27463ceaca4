//! Which names are the same stack.
//!
//! CDK prints a stack with its CloudFormation name (`Prod-Api`) or with its display name
//! (`Prod/Api`, or `Prod/Api (my-api)` if the name was set explicitly). Rows of CDK v1 have no
//! stack name. A bootstrapped environment is a stack, too.

use super::end_line::{EndLine, is_squeezed};
use super::stack::Stack;
use super::stacks::{MOST_STACKS, Stacks};
use crate::fold::LineKey;
use crate::log_parser::Operation;

/// The stack of a bootstrap that names no stack.
const BOOTSTRAP_STACK: &str = "CDKToolkit";
/// The stack of rows if no line names a stack.
const UNNAMED_STACK: &str = "unnamed";
/// The most text in the names of a run, in bytes. Further names are ignored.
const MAX_NAME_BYTES: usize = 64_000;
/// The shortest name that may be the start of another one, in bytes.
const MIN_CUT: usize = 4;
/// The most dashes in the name of a root stack. A name has at most 128 characters.
const MOST_DASHES: usize = 64;

impl Stacks {
    /// Creates the stack of a tick or cross whose name is in an ARN.
    pub(super) fn confirm_ticks_of_arns(&mut self, at: LineKey) {
        let names = self
            .possible_ends
            .iter()
            .filter_map(|(_, line)| EndLine::of(line));
        let mut names = names.map(|end| end.name);
        let confirmed = names.find(|name| self.arn_name(name).is_some());
        if let Some(name) = confirmed.map(str::to_owned) {
            self.create(&name, at);
        }
    }

    /// The stack that a line of CDK names. It is never nested.
    pub(super) fn named_in_line(&mut self, label: &str, at: LineKey) -> Option<usize> {
        let index = match self.find(label) {
            Some(index) => index,
            None => self.create(label, at)?,
        };
        let twins = in_parentheses(label);
        if let Some(name) = twins.filter(|_| self.list[index].is_twin) {
            self.note(name, index);
        }
        self.learn(label);
        self.list[index].last = at;
        Some(index)
    }

    /// The stack in the stack column of a row, or its root stack, and whether it is nested.
    pub(super) fn named_in_row(&mut self, name: &str, at: LineKey) -> Option<(usize, bool)> {
        if let Some(index) = self.find(name) {
            self.learn(name);
            return Some((index, false));
        }
        if let Some(root) = self.root_of(name) {
            return Some((root, true));
        }
        if let Some(whole) = self.cut_name(name) {
            return Some((whole, false));
        }
        match self.unnamed_bootstrap() {
            Some(bootstrapped) => Some((self.rename(bootstrapped, name), false)),
            None => Some((self.create(name, at)?, false)),
        }
    }

    /// The stack of a row about a stack as a whole that has no stack column. After the start of a
    /// stack, a row with another name is of a nested stack.
    pub(super) fn own_row(&mut self, name: &str, at: LineKey) -> Option<usize> {
        let known = self.find(name);
        self.learn(name);
        match self.started_last {
            _ if known.is_some() => known,
            None => {
                let index = self.create(name, at)?;
                self.list[index].may_be_cut = true;
                Some(index)
            }
            Some(last) if Some(last) == self.nameless => Some(self.rename(last, name)),
            Some(_) => None,
        }
    }

    /// The only announced stack whose name begins with `name`, which a terminal has cut.
    fn cut_name(&self, name: &str) -> Option<usize> {
        let is_whole = |stack: &Stack| {
            stack.is_announced && stack.name().starts_with(name) && name.len() >= MIN_CUT
        };
        let mut indexes = (0..self.list.len()).filter(|index| is_whole(&self.list[*index]));
        indexes.next().filter(|_| indexes.next().is_none())
    }

    /// The stack that was started with a name, and whose change set has another one: CDK v1 prints
    /// the name in the app before the one that was set explicitly.
    pub(super) fn awaiting_name(&self) -> Option<usize> {
        let last = self.started_last.filter(|_| self.open == 1)?;
        let stack = &self.list[last];
        let is_named = stack.cfn_name.is_some() || stack.has_change_set;
        let is_deploy = stack.operation == Some(Operation::Deploy) && stack.is_announced;
        (is_deploy && !is_named && stack.end.is_none()).then_some(last)
    }

    /// Records the CloudFormation name of a stack, and returns the stack.
    pub(super) fn alias(&mut self, index: usize, name: &str) -> usize {
        if self.name_bytes + name.len() <= MAX_NAME_BYTES {
            self.list[index].cfn_name = Some(name.to_owned());
            self.note(name, index);
        }
        index
    }

    /// The stack of rows without a stack name: the one that started last. Rows after its end belong
    /// to a stack whose start is not in the log.
    pub(super) fn owner(&mut self, at: LineKey) -> Option<usize> {
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
    pub(super) fn bootstrapped(&mut self, environment: &str, at: LineKey) -> Option<usize> {
        let known = self.by_name.get(environment).copied();
        if known.is_some() || self.name_bytes + environment.len() > MAX_NAME_BYTES {
            return known;
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
        self.note(environment, index);
        Some(index)
    }

    /// The stack that a printed name is known to mean.
    pub(super) fn find(&self, label: &str) -> Option<usize> {
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
    pub(super) fn root_of(&self, name: &str) -> Option<usize> {
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

    /// The bootstrap stack of an environment, if no line has named it yet.
    pub(super) fn unnamed_bootstrap(&self) -> Option<usize> {
        let is_bootstrap =
            |index: &usize| self.list[*index].operation == Some(Operation::Bootstrap);
        self.nameless.filter(is_bootstrap)
    }

    /// Gives a name to the stack without one, and returns it.
    pub(super) fn rename(&mut self, nameless: usize, name: &str) -> usize {
        let placeholder = std::mem::replace(&mut self.list[nameless].label, name.to_owned());
        self.by_name.remove(&placeholder);
        self.note(name, nameless);
        self.nameless = None;
        nameless
    }

    /// Records that `name` is the name of a stack.
    fn note(&mut self, name: &str, index: usize) {
        if self.by_name.insert(name.to_owned(), index).is_none() {
            self.name_bytes += name.len();
        }
    }

    /// Creates the stack of a name that is new; `None` if there are too many, or if the names are
    /// too long.
    fn create(&mut self, label: &str, at: LineKey) -> Option<usize> {
        if self.name_bytes + label.len() > MAX_NAME_BYTES {
            return None;
        }
        let cut = self.list.first().filter(|stack| {
            let is_start = label.starts_with(stack.label.as_str());
            stack.may_be_cut && stack.end.is_none() && is_start && self.list.len() == 1
        });
        let index = match self.nameless.or(cut.map(|_| 0)) {
            Some(unnamed) if self.unnamed_bootstrap().is_none() => self.rename(unnamed, label),
            _ if self.list.len() < MOST_STACKS => {
                self.list.push(Stack::new(label, at));
                self.open += 1;
                self.list.len() - 1
            }
            _ => return None,
        };
        self.note(label, index);
        if let Some(name) = in_parentheses(label) {
            if let Some(&twin) = self.by_name.get(name) {
                self.list[twin].is_twin = true;
                self.list[index].is_twin = true;
            }
            self.list[index].cfn_name = Some(name.to_owned());
            self.note(name, index);
        } else if label.contains('/') {
            self.list[index].cfn_name = self.arn_name(label);
            let usual = label.replace('/', "-");
            if !self.by_name.contains_key(&usual) {
                self.note(&usual, index);
            }
            self.by_path.entry(path_of(label)).or_insert(index);
        } else if let Some(path) = without_hash(label) {
            self.by_path.entry(path.to_owned()).or_insert(index);
        }
        self.confirm_possible_ends(index);
        Some(index)
    }

    /// Records that the log prints `name`. If it is the CloudFormation name of a stack with a
    /// display name, the stack takes it. Returns whether a stack has the name.
    pub(super) fn learn(&mut self, name: &str) -> bool {
        let cfn_name = in_parentheses(name).unwrap_or(name);
        let Some(index) = self.find(name) else {
            return false;
        };
        let stack = &mut self.list[index];
        if stack.label == name && self.nameless == Some(index) {
            self.nameless = None; // it has the usual name
        }
        let is_display = |name: &str| name.contains('/') || in_parentheses(name).is_some();
        if is_display(name) && !is_display(&stack.label) {
            // The name of rows came first.
            stack.cfn_name = Some(std::mem::replace(&mut stack.label, name.to_owned()));
            self.note(name, index);
        } else if stack.cfn_name.is_none() && stack.label != cfn_name && !is_display(cfn_name) {
            stack.cfn_name = Some(cfn_name.to_owned());
            self.note(cfn_name, index);
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
        let first = self.list[index].first;
        for (at, line) in std::mem::take(&mut self.possible_ends) {
            match EndLine::of(&line).filter(|end| self.find(end.name) == Some(index)) {
                // Before its stack is named, such a tick is about something else.
                Some(end) if !is_squeezed(&line) => {
                    self.end(index, at.max(first), end);
                }
                Some(_) => {}
                None => self.possible_ends.push((at, line)),
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
