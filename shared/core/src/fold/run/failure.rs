//! Why a run failed, or why it rolls back.

use super::Run;
use super::stack::Stack;
use super::text::Said;
use crate::fold::LineKey;
use crate::fold::fact::MOST_CONTEXT;
use crate::fold::last_lines::LastLines;
use crate::fold::verdict::error_before;
use crate::log_parser::is_of_cdk;
use crate::log_parser::line::strip_all_prefixes;
use crate::log_parser::text::head;
use crate::model::{Failure, MAX_FAILURE_NAME_BYTES, TaskStatus};

impl Run {
    /// Whether it has a cause of a failure.
    pub(in crate::fold) fn is_failing(&self) -> bool {
        let has_failed = self.whole.end.is_some_and(|end| end.ending.is_failure());
        has_failed || self.stacks.list.iter().any(|stack| stack.cause().is_some())
    }

    /// Adds the lines before a line that reports a failure.
    pub(in crate::fold) fn explain(&mut self, context: &[String]) {
        self.failure_context = context.to_vec();
    }

    /// Adds the lines before the one that, among the last lines of its log, says why it failed.
    pub(super) fn explain_by(&mut self, last_lines: &LastLines) {
        if let Some(failure) = &self.whole.failure {
            self.failure_context = last_lines.before(failure.at, MOST_CONTEXT);
        }
    }

    /// Why the run failed, or why a stack failed or rolls back while the run goes on.
    pub(super) fn failure_of_stacks(
        &self,
        stacks: &[Stack],
        status: TaskStatus,
    ) -> Option<Failure> {
        let is_over_otherwise = status.is_terminal() && status != TaskStatus::Failed;
        // A resource that failed may be tried again, until its stack is undone.
        let is_failing = |stack: &&Stack| {
            let is_undone = stack.end.is_none() && stack.is_undone();
            !is_over_otherwise && (stack.has_failed() || is_undone)
        };
        let Some((stack, cause)) = first_cause(stacks.iter().filter(is_failing)) else {
            return self.failure_of_whole(status);
        };
        let resource = stack.failed_resource.as_deref();
        Some(Failure {
            resource: resource.map(|resource| resource.id.clone()),
            resource_type: resource.map(|resource| resource.resource_type.clone()),
            part: Some(head(stack.name(), MAX_FAILURE_NAME_BYTES).to_owned()),
            ..self.failure_with(cause.text.clone(), cause.at)
        })
    }

    /// Whether the line that says why the run failed is about the stacks of a step.
    pub(super) fn is_failed_by_stacks(&self) -> bool {
        let cause = self.whole.failure.as_ref();
        cause.is_some_and(|cause| is_of_cdk(&cause.text))
    }

    /// What ended the run as a whole, if it has failed: a line, or else its exit code.
    pub(super) fn failure_of_whole(&self, status: TaskStatus) -> Option<Failure> {
        if status != TaskStatus::Failed {
            return None;
        }
        if let Some(cause) = &self.whole.failure {
            let error = error_before(&cause.text, &self.failure_context);
            let text = error.unwrap_or(&cause.text);
            return Some(self.failure_with(text.to_owned(), cause.at));
        }
        let end = self.whole.end?;
        let code = self.exit_code.filter(|code| *code != 0)?;
        let cause = match signal_of(code) {
            Some(signal) => format!("killed by {signal}"),
            None => format!("exit code {code}"),
        };
        Some(self.failure_with(cause, end.at))
    }

    /// The cause, with the lines before it. A later line may have told of it.
    fn failure_with(&self, cause: String, at: LineKey) -> Failure {
        let mut lines = self.failure_context.iter();
        let of_cause = lines.rposition(|line| strip_all_prefixes(line) == cause);
        let before = of_cause.and_then(|place| self.failure_context.get(..place));
        Failure {
            context: before.unwrap_or(&self.failure_context).to_vec(),
            ..Failure::new(cause, at.time())
        }
    }
}

/// The signal behind an exit code above 128, if it is one that kills programs.
fn signal_of(code: i32) -> Option<&'static str> {
    let signal = match code - 128 {
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        _ => return None,
    };
    Some(signal)
}

/// The earliest of the causes of some stacks.
pub(super) fn first_cause<'a>(
    stacks: impl Iterator<Item = &'a Stack>,
) -> Option<(&'a Stack, &'a Said)> {
    let causes = stacks.filter_map(|stack| Some((stack, stack.cause()?)));
    causes.min_by_key(|(_, cause)| cause.at)
}
