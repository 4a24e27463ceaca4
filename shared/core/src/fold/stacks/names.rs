//! Finds which names are the same stack, and the stack of rows without a name.
//!
//! CDK prints a stack with its CloudFormation name (`Prod-Api`) or with its display name
//! (`Prod/Api`, or `Prod/Api (my-api)` if the name was set explicitly). Rows of CDK v1 have no
//! stack name. A bootstrapped environment is a stack, too.

use std::collections::BTreeMap;

use super::super::LineKey;
use super::super::ledger::{Ledger, Unnamed};
use super::super::track::Track;

/// The stack of a bootstrap that names no stack.
const BOOTSTRAP_STACK: &str = "CDKToolkit";
/// The stack of rows if no line names a stack.
const UNNAMED_STACK: &str = "unnamed";

/// A stack with its lines under all its names.
pub(super) struct Stack {
    pub(super) name: String,
    pub(super) track: Track,
}

/// Returns the stacks of a ledger, in no particular order.
pub(super) fn resolve(ledger: &Ledger) -> Vec<Stack> {
    let mut stacks = named(ledger);
    fold_nested(&mut stacks);
    for environment in ledger.environments.values() {
        let name = bootstrapped(environment, &stacks, &ledger.unnamed.stack_rows);
        stack_named(&mut stacks, &name, environment).merge(environment);
    }
    if ledger.unnamed.seen.is_some() {
        attribute_unnamed(&ledger.unnamed, &mut stacks);
    }
    for (id, track) in &ledger.unnamed.in_progress {
        let known = stacks.iter().position(|stack| stack.name == *id);
        let only = (stacks.len() == 1).then_some(0);
        if let Some(index) = known.or(only) {
            stacks[index].track.merge_activity(track);
        }
    }
    stacks
}

/// Groups stacks by CloudFormation name. If two display names have the same CloudFormation name,
/// they are two stacks in two regions and stay separate.
fn named(ledger: &Ledger) -> Vec<Stack> {
    let mut by_name: BTreeMap<String, Vec<(&str, Track)>> = BTreeMap::new();
    for (label, track) in &ledger.stacks {
        by_name
            .entry(stack_name(label, ledger))
            .or_default()
            .push((label, track.clone()));
    }
    for (label, track) in &ledger.possible_ends {
        let name = stack_name(label, ledger);
        let is_known =
            ledger.unnamed.stack_rows.contains_key(&name) || ledger.arn_names.contains(&name);
        if let Some(labels) = by_name.get_mut(&name) {
            let known = labels.iter().position(|(known, _)| known == label);
            labels[known.unwrap_or(0)].1.merge(track);
        } else if is_known {
            by_name.insert(name, vec![(label, track.clone())]);
        }
    }
    if by_name.is_empty() {
        // No other line is about a stack. Then a tick counts as an end, but a cross does not.
        let has_failed = |track: &Track| {
            let end = track.marks.latest_run().end;
            end.is_some_and(|(_, ending)| ending.is_failure())
        };
        let ticks = ledger.possible_ends.iter();
        for (label, track) in ticks.filter(|(_, track)| !has_failed(track)) {
            let labels = by_name.entry(stack_name(label, ledger)).or_default();
            labels.push((label, track.clone()));
        }
    }
    let mut stacks = Vec::new();
    for (name, labels) in by_name {
        let (mut displays, plain): (Vec<_>, Vec<_>) =
            labels.into_iter().partition(|(label, _)| *label != name);
        if displays.len() < 2 {
            let tracks = displays.into_iter().chain(plain).map(|(_, track)| track);
            let track = tracks.reduce(joined);
            stacks.extend(track.map(|track| Stack { name, track }));
            continue;
        }
        displays.sort_by_key(|(_, track)| track.first);
        let mut twins: Vec<_> = displays
            .into_iter()
            .map(|(label, track)| Stack {
                name: label.to_owned(),
                track,
            })
            .collect();
        for (_, track) in plain {
            // Rows have only the shared name. Each belongs to the twin that started last before it.
            let twin_at = |at| {
                let announced = twins
                    .iter()
                    .rposition(|twin: &Stack| twin.track.first <= at);
                announced.unwrap_or(0)
            };
            let marks: Vec<_> = track
                .marks
                .iter()
                .map(|(at, mark)| (twin_at(at), at, mark))
                .collect();
            let last = twin_at(track.last);
            let rolling_back = track.rolling_back.map(|at| (twin_at(at), at));
            for (twin, at, mark) in marks {
                twins[twin].track.mark(at, mark);
            }
            if let Some((twin, at)) = rolling_back {
                twins[twin].track.rolling_back = Some(at);
            }
            twins[last].track.merge_activity(&track);
        }
        stacks.append(&mut twins);
    }
    stacks
}

fn joined(mut one: Track, other: Track) -> Track {
    one.merge(&other);
    one
}

/// The CloudFormation name of a printed name, as far as the log shows it.
fn stack_name(label: &str, ledger: &Ledger) -> String {
    let in_parentheses = label
        .strip_suffix(')')
        .and_then(|label| label.rsplit_once(" ("));
    if let Some((_, name)) = in_parentheses {
        return name.to_owned();
    }
    if label.contains('/') {
        let usual = label.replace('/', "-");
        let is_known = ledger.stacks.contains_key(&usual)
            || ledger.arn_names.contains(&usual)
            || ledger.unnamed.stack_rows.contains_key(&usual);
        if is_known {
            return usual;
        }
        if let Some(joined) = joined_name(label, ledger) {
            return joined.clone();
        }
    }
    label.to_owned()
}

/// The stack name that CDK derives from a path outside of a stage, if the log contains it: the
/// names of the constructs without disallowed characters, and a hash.
fn joined_name<'a>(path: &str, ledger: &'a Ledger) -> Option<&'a String> {
    let joined: String = path.chars().filter(char::is_ascii_alphanumeric).collect();
    let is_hash = |text: &str| {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        text.len() == 8 && text.bytes().all(is_digit)
    };
    let known = ledger.stacks.keys().chain(&ledger.arn_names);
    let mut known = known.chain(ledger.unnamed.stack_rows.keys());
    known.find(|name| name.strip_prefix(&joined).is_some_and(is_hash))
}

/// Merges the counters of nested stacks into their root stacks.
fn fold_nested(stacks: &mut Vec<Stack>) {
    stacks.sort_by_key(|stack| stack.name.len());
    let mut roots: Vec<Stack> = Vec::new();
    for stack in stacks.drain(..) {
        let root = roots.iter_mut().find(|root| is_nested(&stack, root));
        match root {
            Some(root) => root.track.merge_activity(&stack.track),
            None => roots.push(stack),
        }
    }
    *stacks = roots;
}

/// Whether `stack` is nested in `root`: it is named `<root>-<logical id>-<random>`, has no start of
/// its own, and its first line is after the start of its root.
fn is_nested(stack: &Stack, root: &Stack) -> bool {
    let Some(rest) = stack
        .name
        .strip_prefix(&root.name)
        .and_then(|rest| rest.strip_prefix('-'))
    else {
        return false;
    };
    let is_random = |text: &str| {
        text.len() >= 8
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let has_random = rest
        .rsplit_once('-')
        .is_some_and(|(_, random)| is_random(random));
    let announced = root
        .track
        .marks
        .starts()
        .any(|start| start <= stack.track.first);
    !stack.track.marks.has_line() && (has_random || announced)
}

/// The stack that the bootstrap of an environment created.
fn bootstrapped(
    environment: &Track,
    stacks: &[Stack],
    stack_rows: &BTreeMap<String, Track>,
) -> String {
    let has_start = environment.marks.starts().next().is_some();
    let run = environment.marks.latest_run();
    let heard_in_time = |track: &Track| {
        (!has_start || track.last >= environment.first)
            && (run.end.is_none() || track.first <= environment.last)
    };
    let named = stacks
        .iter()
        .map(|stack| (stack.name.as_str(), &stack.track));
    let rows = stack_rows
        .iter()
        .map(|(name, track)| (name.as_str(), track));
    let candidates: Vec<_> = named
        .chain(rows)
        .filter(|(_, track)| heard_in_time(track))
        .collect();
    let by_default = candidates.iter().find(|(name, _)| *name == BOOTSTRAP_STACK);
    let after = candidates
        .iter()
        .filter(|(_, track)| has_start && track.first >= environment.first);
    let first_after = after.min_by_key(|(_, track)| track.first);
    let last_before = candidates
        .iter()
        .filter(|_| !has_start)
        .max_by_key(|(_, track)| track.last);
    let chosen = by_default.or(first_after).or(last_before);
    chosen.map_or(BOOTSTRAP_STACK, |(name, _)| name).to_owned()
}

/// The track of the stack `name`. If it is missing, it is created with the first line of `like`.
fn stack_named<'a>(stacks: &'a mut Vec<Stack>, name: &str, like: &Track) -> &'a mut Track {
    let index = stacks
        .iter()
        .position(|stack| stack.name == name)
        .unwrap_or_else(|| {
            stacks.push(Stack {
                name: name.to_owned(),
                track: Track::at(like.first),
            });
            stacks.len() - 1
        });
    &mut stacks[index].track
}

/// Assigns rows without a stack name to the stack that started last before them.
fn attribute_unnamed(unnamed: &Unnamed, stacks: &mut Vec<Stack>) {
    let is_announced_before = |stacks: &[Stack], at| {
        stacks
            .iter()
            .any(|stack| stack.track.marks.starts().any(|start| start <= at))
    };
    for (name, track) in &unnamed.stack_rows {
        let is_known = stacks.iter().any(|stack| stack.name == *name);
        // After the start of a stack, a row with another name is of a nested stack.
        if is_known || !is_announced_before(stacks, track.first) {
            stack_named(stacks, name, track).merge(track);
        }
    }
    if stacks.is_empty() {
        let Some((first, _)) = unnamed.seen else {
            return;
        };
        stacks.push(Stack {
            name: UNNAMED_STACK.to_owned(),
            track: Track::at(first),
        });
    }

    let owners = Owners::of(stacks);
    for (&at, &counter) in &unnamed.samples {
        if let Some(owner) = owners.at(at) {
            let track = &mut stacks[owner].track;
            track
                .see(at)
                .count(at, crate::log_parser::CounterKind::Step, counter);
        }
    }
    for at in unnamed
        .seen
        .iter()
        .flat_map(|(first, last)| [*first, *last])
    {
        if let Some(owner) = owners.at(at) {
            stacks[owner].track.see(at);
        }
    }
    let Some(messages) = &unnamed.messages else {
        return;
    };
    if let Some(message) = &messages.message
        && let Some(owner) = owners.at(message.at)
    {
        stacks[owner].track.say(message.at, &message.value);
    }
    for (&at, reason) in &messages.failures {
        if let Some(owner) = owners.at(at) {
            stacks[owner].track.fail(at, reason);
        }
    }
}

/// Finds the stack of a row by its key.
struct Owners {
    /// Starts in order, each with its stack.
    starts: Vec<(LineKey, usize)>,
    /// The end of each stack, as reported by a line about the stack.
    ends: Vec<Option<LineKey>>,
    /// The stack of rows before all starts.
    before: usize,
}

impl Owners {
    fn of(stacks: &[Stack]) -> Self {
        let starts_of = |(index, stack): (usize, &Stack)| {
            stack
                .track
                .marks
                .starts()
                .map(move |start| (start, index))
                .collect::<Vec<_>>()
        };
        let mut starts: Vec<_> = stacks.iter().enumerate().flat_map(starts_of).collect();
        starts.sort_unstable();
        let ends = stacks
            .iter()
            .map(|stack| stack.track.marks.latest_run().end_line);
        let first = stacks
            .iter()
            .enumerate()
            .min_by_key(|(_, stack)| stack.track.first);
        Self {
            ends: ends.collect(),
            before: first.map_or(0, |(index, _)| index),
            starts,
        }
    }

    /// The stack of a row at `at`. A row after the end of the stack that started last belongs to a
    /// stack whose start is no longer kept.
    fn at(&self, at: LineKey) -> Option<usize> {
        let later = self.starts.partition_point(|(start, _)| *start <= at);
        let Some((_, owner)) = later.checked_sub(1).map(|index| self.starts[index]) else {
            return Some(self.before);
        };
        let ended = self
            .ends
            .get(owner)
            .copied()
            .flatten()
            .is_some_and(|end| end < at);
        let started_again = self
            .starts
            .get(later)
            .is_some_and(|(_, next)| *next == owner);
        (!ended || started_again).then_some(owner)
    }
}
