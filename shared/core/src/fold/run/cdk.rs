//! The report of a run of CDK: one part for each stack.

use std::collections::BTreeMap;

use super::Run;
use super::failure::first_cause;
use super::stack::Stack;
use super::stacks::Stacks;
use crate::fold::end::{End, Ending, Strength};
use crate::fold::progress::{percentage_of, shown_progress};
use crate::fold::report::Report;
use crate::model::{Part, Progress, TaskStatus};

/// The most stack names in a title.
const MOST_IN_TITLE: usize = 3;
/// The most parts of a task, which must fit an item of DynamoDB. Those that failed or are open are
/// shown first, then the latest.
const MOST_PARTS: usize = 200;

impl Run {
    pub(super) fn report_of_stacks(&self) -> Report {
        let mut stacks = self.stacks.clone();
        stacks.confirm_ticks();
        let run_end = self.end();
        if let Some(end) = run_end {
            stacks.end_open(end);
        }
        let list = &stacks.list;
        let status = match run_end {
            Some(end) => end.ending.status(),
            None if self.has_open_session() => TaskStatus::Running,
            None => status_of(&stacks),
        };
        let last_end = list.iter().filter_map(|stack| Some(stack.end?.at)).max();
        let end = run_end.map(|end| end.at).max(last_end);
        // A tick may have come before the line that shows that it is one of CDK.
        let first = list.iter().map(|stack| stack.first).min();
        let first = first.map_or(self.first, |first| first.min(self.first));
        Report {
            first,
            last: self.last.max(end.unwrap_or(self.last)),
            start: Some(first),
            end: end.filter(|_| status.is_terminal()),
            status,
            progress: shown_progress(progress_of(&stacks), status),
            phase: phase_of(list, status).map(str::to_owned),
            current_step: None,
            message: self.message_of(list, status),
            failure: self.failure_of_stacks(list, status),
            parts: shown_parts(list)
                .map(|stack| (stack.name().to_owned(), stack.part()))
                .collect(),
            agent: None,
            title: Some(title_of(list)),
        }
    }
}

impl Run {
    /// The parts of a run that is not only of stacks: its sub-agents, and the stacks of a step.
    pub(super) fn parts_of_whole(&self, end: Option<End>) -> BTreeMap<String, Part> {
        let mut stacks = self.stacks.clone();
        if let Some(end) = end {
            stacks.end_open(end);
        }
        let of_stacks = shown_parts(&stacks.list).filter(|_| self.deploys_in_a_step);
        let of_stacks = of_stacks.map(|stack| (stack.name().to_owned(), stack.part()));
        let mut parts = self.whole.subagents.parts();
        parts.extend(of_stacks);
        parts
    }

    /// The first cause, if a stack has failed, rolls back or has a resource that failed; or else what
    /// ended the run, or the latest message.
    fn message_of(&self, stacks: &[Stack], status: TaskStatus) -> Option<String> {
        let is_failing = |stack: &&Stack| stack.has_failed() || stack.end.is_none();
        let cause = first_cause(stacks.iter().filter(is_failing));
        let is_ended = matches!(status, TaskStatus::Failed | TaskStatus::Cancelled);
        if cause.is_none()
            && is_ended
            && let Some(failure) = &self.whole.failure
        {
            return Some(failure.text.clone());
        }
        let shown = stacks
            .iter()
            .filter(|stack| !is_ended || stack.has_failed());
        let shown = shown.filter_map(|stack| Some((stack, stack.shown_message()?)));
        let latest = || shown.max_by_key(|(_, message)| message.at);
        let (stack, message) = cause.or_else(latest)?;
        Some(match stacks.len() {
            1 => message.text.clone(),
            _ => format!("{}: {}", stack.name(), message.text),
        })
    }
}

impl Stacks {
    /// Ends the stacks that were open when the run ended: no line will say how they ended. Those that
    /// had not begun when another one failed were not deployed.
    fn end_open(&mut self, end: End) {
        let have_failed = self.have_failed();
        for stack in self.list.iter_mut().filter(|stack| stack.end.is_none()) {
            let ending = match end.ending.is_failure() && have_failed && !stack.has_begun() {
                true => Ending::Cancelled,
                false => end.ending,
            };
            stack.end_at(end.at.max(stack.first), ending, Strength::Part);
        }
    }

    /// Ends the stacks that only remove old resources, at the end of the log.
    pub(super) fn finish_cleanup(&mut self) {
        self.list.iter_mut().for_each(Stack::finish_cleanup);
    }
}

/// The status of a run whose end no line reports as a whole.
fn status_of(stacks: &Stacks) -> TaskStatus {
    if stacks.has_open() {
        TaskStatus::Running
    } else if stacks.have_failed() {
        TaskStatus::Failed
    } else if stacks.known() < stacks.announced() {
        TaskStatus::Running
    } else {
        TaskStatus::Completed
    }
}

/// The progress of a run: that of its only stack, or of all stacks with equal weight.
///
/// The total is unknown until all stacks have ended: the sum of their totals would rise with each
/// stack, and would contradict the percentage. If the number of stacks is unknown, so is the
/// percentage, because it would fall with every new stack.
fn progress_of(stacks: &Stacks) -> Progress {
    let (list, announced) = (&stacks.list, stacks.announced());
    let shown: Vec<_> = list.iter().map(Stack::furthest).collect();
    if let ([progress], 0 | 1) = (shown.as_slice(), announced) {
        return *progress;
    }
    let sum = |values: &mut dyn Iterator<Item = u64>| values.reduce(u64::saturating_add);
    let current = sum(&mut shown.iter().filter_map(|progress| progress.current));
    if stacks.known() > announced {
        return Progress {
            current,
            total: None,
            percentage: None,
        };
    }
    let is_counted = |progress: &Progress| progress.total.is_some() == progress.current.is_some();
    let are_over = list.len() == announced && stacks.open == 0 && shown.iter().all(is_counted);
    let total = sum(&mut shown.iter().filter_map(|progress| progress.total));
    let total = total.filter(|_| are_over);
    let percentages = shown.iter().filter_map(|progress| progress.percentage);
    let ended = stacks.ended_without_details();
    let sum_of_all = percentages.map(usize::from).sum::<usize>() + 100 * ended;
    let mean = sum_of_all / announced;
    let counted = current.zip(total);
    let counted = counted.and_then(|(current, total)| percentage_of(current, total));
    Progress {
        current,
        total,
        percentage: counted.or(u8::try_from(mean).ok()),
    }
}

/// The phase of the stack that was heard of last. A roll back outweighs other work.
fn phase_of(stacks: &[Stack], status: TaskStatus) -> Option<&'static str> {
    let is_of_interest = |stack: &&Stack| match status {
        TaskStatus::Running => stack.end.is_none(),
        TaskStatus::Failed => stack.has_failed(),
        TaskStatus::Ended => stack.status() == TaskStatus::Ended,
        _ => true,
    };
    let latest = stacks.iter().filter(is_of_interest);
    latest
        .max_by_key(|stack| (stack.is_rolling_back(), stack.last))?
        .phase()
}

fn shown_parts(stacks: &[Stack]) -> impl Iterator<Item = &Stack> {
    let mut shown: Vec<_> = stacks.iter().collect();
    if shown.len() > MOST_PARTS {
        let has_ended_well = |stack: &Stack| stack.end.is_some() && !stack.has_failed();
        shown.sort_by_key(|stack| (has_ended_well(stack), std::cmp::Reverse(stack.last)));
        shown.truncate(MOST_PARTS);
    }
    shown.into_iter()
}

fn title_of(stacks: &[Stack]) -> String {
    let names: Vec<_> = stacks.iter().take(MOST_IN_TITLE).map(Stack::name).collect();
    let more = match stacks.len().saturating_sub(MOST_IN_TITLE) {
        0 => String::new(),
        more => format!(" +{more}"),
    };
    format!("{}{more}", names.join(", "))
}
