//! Derives the report of a CDK run: one part for each stack.

mod names;

use names::Stack;

use super::LineKey;
use super::ledger::Ledger;
use super::marks::{Ending, Run};
use super::progress::capped;
use super::report::Report;
use super::track::Track;
use crate::log_parser::Operation;
use crate::model::{Part, Progress, TaskStatus};

/// The most stack names in a title.
const MOST_IN_TITLE: usize = 3;
/// The longest message of a part, in bytes: a task with its parts must fit an item of DynamoDB.
const MAX_PART_MESSAGE_BYTES: usize = 256;

/// A stack and its latest run.
struct StackRun {
    name: String,
    track: Track,
    run: Run,
    start: LineKey,
    end: Option<(LineKey, Ending)>,
}

/// The report of a CDK run; `None` if no line is about a stack.
pub(super) fn report(ledger: &Ledger) -> Option<Report> {
    let stacks = names::resolve(ledger);
    let mut all: Vec<_> = stacks
        .into_iter()
        .map(|stack| StackRun::of(stack, ledger.whole_log))
        .collect();
    all.sort_by(|one, other| (one.start, &one.name).cmp(&(other.start, &other.name)));

    let run_failure = run_failure(ledger);
    let begin = present_run(&all, run_failure.as_ref().map(|(at, _)| *at));
    let start = all.get(begin)?.start;
    // A failure after all stacks completed is not a failure of the CDK run.
    let is_over = status_of(&all[begin..], false) == TaskStatus::Completed;
    let run_failure = run_failure.filter(|(at, _)| *at >= start && !is_over);
    if let Some((at, _)) = run_failure {
        let open = all[begin..].iter_mut().filter(|stack| stack.end.is_none());
        open.filter(|stack| stack.start < at)
            .for_each(|stack| stack.end = Some((at, Ending::Failed)));
    }
    let present = &all[begin..];
    let status = status_of(present, run_failure.is_some());
    let renewed = present.iter().filter_map(|stack| stack.run.renewed).max();
    let last_end = present.iter().filter_map(|stack| Some(stack.end?.0)).max();
    let end = run_failure.as_ref().map(|(at, _)| *at).max(last_end);
    let tracks = || all.iter().map(|stack| &stack.track);
    Some(Report {
        first: tracks().map(|track| track.first).min()?,
        last: tracks()
            .map(|track| track.last)
            .max()?
            .max(end.unwrap_or(start)),
        start,
        run: renewed.map_or(start, |renewed| renewed.max(start)),
        end: end.filter(|_| status.is_terminal()),
        status,
        progress: capped(progress_of(present), status),
        phase: phase_of(present, status),
        current_step: None,
        message: message_of(present, status, run_failure.map(|(_, message)| message)),
        parts: all
            .iter()
            .map(|stack| (stack.name.clone(), stack.part()))
            .collect(),
        title: Some(title_of(present)),
    })
}

/// Where the run as a whole failed, and why.
fn run_failure(ledger: &Ledger) -> Option<(LineKey, Option<String>)> {
    let track = ledger.whole.as_ref()?;
    let run = track.marks.latest_run();
    let (at, _) = run.end?;
    Some((at, Track::in_run(&run, track.end_message.as_ref())))
}

/// The index of the first stack of the current run. `stacks` are sorted by start.
///
/// A run starts with a stack that started after all stacks before it had ended. Either no more of
/// them were expected, or the log calls the stack the first of its run. Stacks that started again
/// are missing from the earlier run.
fn present_run(stacks: &[StackRun], run_failure: Option<LineKey>) -> usize {
    let mut begin = 0;
    for next in 1..stacks.len() {
        let (run, start) = (&stacks[begin..next], stacks[next].start);
        let all_ended = run
            .iter()
            .all(|stack| stack.end.is_some_and(|(at, _)| at < start));
        let none_to_come = run.len() >= announced(run) || run.iter().any(StackRun::has_failed);
        let failed = run_failure.is_some_and(|at| run[0].start < at && at < start);
        if failed || (all_ended && (none_to_come || stacks[next].run.is_first)) {
            begin = next;
        }
    }
    begin
}

/// The number of stacks that the log gives for the run; 0 if it gives none.
fn announced(run: &[StackRun]) -> usize {
    let count = run.iter().filter_map(|stack| stack.run.stacks).max();
    count.map_or(0, |stacks| usize::try_from(stacks).unwrap_or(usize::MAX))
}

fn status_of(run: &[StackRun], run_failed: bool) -> TaskStatus {
    let open = run.iter().any(|stack| stack.end.is_none());
    if run_failed {
        TaskStatus::Failed
    } else if open {
        TaskStatus::Running
    } else if run.iter().any(StackRun::has_failed) {
        TaskStatus::Failed
    } else if run.len() < announced(run) {
        TaskStatus::Running
    } else {
        TaskStatus::Completed
    }
}

/// The progress of a run: that of its only stack, or of all stacks with equal weight.
///
/// If the number of stacks is unknown, so are the total and the percentage, because the percentage
/// would fall with every new stack.
fn progress_of(run: &[StackRun]) -> Progress {
    let shown: Vec<_> = run.iter().map(|stack| stack.part().progress).collect();
    let announced = announced(run);
    if let ([progress], 0 | 1) = (shown.as_slice(), announced) {
        return *progress;
    }
    let sum = |values: &mut dyn Iterator<Item = u64>| values.reduce(u64::saturating_add);
    let current = sum(&mut shown.iter().filter_map(|progress| progress.current));
    if run.len() > announced {
        return Progress {
            current,
            total: None,
            percentage: None,
        };
    }
    let has_counter = |stack: &&StackRun| !stack.track.counters.is_empty();
    let all_told = run.len() == announced
        && run
            .iter()
            .all(|stack| stack.end.is_some() || has_counter(&stack))
        && shown
            .iter()
            .all(|progress| progress.total.is_some() == progress.current.is_some());
    let total = sum(&mut shown.iter().filter_map(|progress| progress.total));
    let percentages = shown
        .iter()
        .filter_map(|progress| progress.percentage)
        .map(u64::from);
    let stacks = u64::try_from(announced).unwrap_or(u64::MAX);
    let percentage = percentages.sum::<u64>() / stacks;
    Progress {
        current: current.filter(|_| all_told),
        total: total.filter(|_| all_told),
        percentage: u8::try_from(percentage).ok(),
    }
}

fn phase_of(run: &[StackRun], status: TaskStatus) -> Option<String> {
    let of_interest = |stack: &&StackRun| match status {
        TaskStatus::Running => stack.end.is_none(),
        TaskStatus::Failed => stack.has_failed(),
        _ => true,
    };
    let latest = run
        .iter()
        .filter(of_interest)
        .max_by_key(|stack| stack.track.last);
    latest.and_then(StackRun::phase).map(str::to_owned)
}

fn message_of(
    run: &[StackRun],
    status: TaskStatus,
    run_failure: Option<Option<String>>,
) -> Option<String> {
    let failed = run.iter().find(|stack| stack.has_failed());
    let last_message = |stack: &&StackRun| stack.track.message.as_ref().map(|latest| latest.at);
    let stack = match status {
        TaskStatus::Failed => failed,
        _ => run
            .iter()
            .filter(|stack| stack.message().is_some())
            .max_by_key(last_message),
    };
    let message = stack.and_then(|stack| match (run.len(), stack.message()) {
        (1, message) => message,
        (_, message) => message.map(|message| format!("{}: {message}", stack.name)),
    });
    message.or(run_failure.flatten())
}

fn title_of(run: &[StackRun]) -> String {
    let operation = run.last().and_then(|stack| stack.run.operation);
    let verb = match operation {
        None | Some(Operation::Deploy | Operation::BuildAssets) => "Deploy",
        Some(Operation::Hotswap) => "Hotswap",
        Some(Operation::Destroy) => "Destroy",
        Some(Operation::Import) => "Import",
        Some(Operation::Rollback) => "Rollback",
        Some(Operation::Bootstrap) => "Bootstrap",
    };
    let names: Vec<_> = run
        .iter()
        .take(MOST_IN_TITLE)
        .map(|stack| stack.name.as_str())
        .collect();
    let more = run.len().saturating_sub(MOST_IN_TITLE);
    let more = if more > 0 {
        format!(" +{more}")
    } else {
        String::new()
    };
    format!("CDK {verb} · {}{more}", names.join(", "))
}

impl StackRun {
    fn of(Stack { name, track }: Stack, whole_log: bool) -> Self {
        let run = track.marks.latest_run();
        // The stack is updated and only removes old resources. At the end of a log this counts as
        // completed.
        let cleaned_up = track
            .cleaning_up
            .filter(|at| whole_log && Some(*at) >= run.start);
        let end = run.end.or(cleaned_up.map(|at| (at, Ending::Completed)));
        Self {
            start: track.start_of(&run),
            name,
            track,
            run,
            end,
        }
    }

    fn has_failed(&self) -> bool {
        self.end.is_some_and(|(_, ending)| ending.is_failure())
    }

    fn is_since_start(&self, at: Option<LineKey>) -> bool {
        at.is_some() && at >= self.run.start
    }

    fn status(&self) -> TaskStatus {
        match self.end {
            None => TaskStatus::Running,
            Some((_, Ending::Cancelled)) => TaskStatus::Cancelled,
            Some((_, ending)) if ending.is_failure() => TaskStatus::Failed,
            Some(_) => TaskStatus::Completed,
        }
    }

    fn phase(&self) -> Option<&'static str> {
        let is_rolling_back = self.is_since_start(self.track.rolling_back);
        Some(
            match (self.end.map(|(_, ending)| ending), self.run.operation) {
                (Some(Ending::RolledBack), _) => "rolled_back",
                (Some(Ending::Unchanged), _) => "unchanged",
                (Some(Ending::Destroyed), _) => "destroyed",
                (Some(Ending::Completed), operation) => match operation {
                    Some(Operation::Destroy) => "destroyed",
                    Some(Operation::Import) => "imported",
                    Some(Operation::Bootstrap) => "bootstrapped",
                    Some(Operation::Rollback) => "rollback_completed",
                    _ => "deployed",
                },
                (Some(Ending::Failed | Ending::Cancelled), _) => return None,
                (None, _) if is_rolling_back => "rolling_back",
                (None, _) if self.is_since_start(self.track.cleaning_up) => "cleaning_up",
                (None, None) if self.is_since_start(self.track.deleting) => "destroying",
                (None, operation) => match operation {
                    None | Some(Operation::Deploy | Operation::Hotswap) => "deploying",
                    Some(Operation::BuildAssets) => "building_assets",
                    Some(Operation::Destroy) => "destroying",
                    Some(Operation::Import) => "importing",
                    Some(Operation::Bootstrap) => "bootstrapping",
                    Some(Operation::Rollback) => "rolling_back",
                },
            },
        )
    }

    fn message(&self) -> Option<String> {
        let message = || Track::in_run(&self.run, self.track.message.as_ref());
        if self.has_failed() {
            let reason = self.track.first_failure(&self.run).cloned();
            let end_message = || Track::in_run(&self.run, self.track.end_message.as_ref());
            return reason.or_else(end_message).or_else(message);
        }
        // A message from before the end is outdated. A message of the end itself stays.
        let last_message = self.track.message.as_ref().map(|message| message.at);
        let is_over = self.end.is_some_and(|(end, _)| last_message < Some(end));
        message().filter(|_| !is_over)
    }

    fn part(&self) -> Part {
        let status = self.status();
        let has_turned = self.has_failed() || self.is_since_start(self.track.rolling_back);
        Part {
            progress: capped(self.track.progress_of(&self.run, !has_turned), status),
            status,
            phase: self.phase().map(str::to_owned),
            message: self.message().map(|mut message| {
                message.truncate(message.floor_char_boundary(MAX_PART_MESSAGE_BYTES));
                message
            }),
            started_at: Some(self.start.time()),
            completed_at: self.end.map(|(at, _)| at.time()),
        }
    }
}
