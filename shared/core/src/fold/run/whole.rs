//! What lines say about a run as a whole: those of an agent, and those of CDK without a stack.

use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::subagents::Subagents;
use super::text::Said;
use super::todo_list::TodoList;
use crate::fold::LineKey;
use crate::fold::end::{End, Ending, Strength};
use crate::fold::last_lines::LastLines;
use crate::fold::verdict::{Verdict, last_error, verdict};
use crate::log_parser::line::strip_all_prefixes;
use crate::log_parser::{AgentObservation, EndOf, Samples, Usage, Waiting, is_of_cdk};
use crate::model::{Agent, TaskStatus};

/// The exit codes of commands that a person or the system has stopped: 128 more than the signal.
const SIGHUP: i32 = 129;
const SIGINT: i32 = 130;
const SIGTERM: i32 = 143;

/// What lines say about the run as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Whole {
    /// Whether there is such a line.
    pub(super) is_said: bool,
    #[serde(skip_serializing_if = "Counters::is_empty")]
    pub(super) counters: Counters,
    /// The status that an agent reports, if it is not terminal. A later counter replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<TaskStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current_step: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
    /// The message of the latest line that reports a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Said>,
    /// The latest error of the app that defines the stacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exception: Option<Said>,
    /// What the run has used so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Box<Usage>>,
    /// The newest to-do list.
    #[serde(skip_serializing_if = "TodoList::is_empty")]
    pub(super) todos: TodoList,
    /// What a blocked run waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waiting: Option<Box<Waiting>>,
    #[serde(skip_serializing_if = "Subagents::is_empty")]
    pub(super) subagents: Subagents,
}

impl Whole {
    /// Adds a line of an agent. Returns whether it replaces the end by another one.
    pub(super) fn see(&mut self, at: LineKey, line: &AgentObservation) -> bool {
        self.is_said = true;
        let todo_counter = self.todos.see(line);
        for &(kind, counter) in line.counters.iter().chain(&todo_counter) {
            self.counters.add(at, kind, counter);
            self.status = None;
        }
        for part in &line.parts {
            self.subagents.see(at, part);
        }
        let texts = [
            (&mut self.message, &line.message),
            (&mut self.phase, &line.phase),
            (&mut self.current_step, &line.current_step),
        ];
        for (held, text) in texts {
            if let Some(text) = text {
                Said::put(held, at, text);
            }
        }
        if let Some(usage) = &line.usage {
            self.usage.get_or_insert_default().replace_by(usage);
        }
        if line.status == Some(TaskStatus::Failed)
            && let Some(message) = &line.message
        {
            Said::put(&mut self.failure, at, message);
        }
        if let Some((ending, strength)) = self.end_in(line) {
            return self.end_at(at, ending, strength);
        }
        if let Some(status) = line.status.filter(|status| !status.is_terminal()) {
            self.status = Some(status);
            self.waiting.clone_from(&line.waiting);
        }
        false
    }

    /// Adds a line with a number pair that has risen.
    pub(super) fn see_sample(&mut self, at: LineKey, line: &Samples, counts: bool) {
        self.is_said = true;
        if counts {
            self.status = None;
        }
        let is_news = counts || self.counters.is_empty();
        if let Some(message) = line.message.as_ref().filter(|_| is_news) {
            Said::put(&mut self.message, at, message);
        }
    }

    /// Adds a line that shows no progress.
    pub(super) fn say(&mut self, at: LineKey, text: &str) {
        Said::put(&mut self.message, at, strip_all_prefixes(text));
    }

    /// What the agent tells about itself.
    pub(super) fn agent(&self) -> Option<Agent> {
        let usage = self.usage.as_deref().cloned().unwrap_or_default();
        let agent = Agent {
            name: usage.name,
            model: usage.model,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cost_micro_usd: usage.cost_micro_usd,
            turns: usage.turns,
            tool: usage.tool,
            waiting_for: self.waiting().and_then(|waiting| waiting.question.clone()),
            todos: self.todos.shown(),
        };
        Some(agent).filter(|agent| *agent != Agent::default())
    }

    /// What a blocked run waits for.
    pub(super) fn waiting(&self) -> Option<&Waiting> {
        let is_blocked = self.end.is_none() && self.status == Some(TaskStatus::Blocked);
        self.waiting.as_deref().filter(|_| is_blocked)
    }

    /// Adds what the last lines of the log say, if nothing follows them. They count more than the sum
    /// of a tool, but not more than a line about the run itself. Words of success, and
    /// lines about resources, don't end stacks that are open. Nor do they undo a failure. Returns whether one of them says why it failed.
    pub(super) fn judge(
        &mut self,
        at: LineKey,
        last_lines: &LastLines,
        has_open_stacks: bool,
    ) -> bool {
        let is_told = |end: End| end.strength >= Strength::Owner || end.ending.is_failure();
        if self.end.is_some_and(is_told) {
            return false;
        }
        let is_blocked = self.status == Some(TaskStatus::Blocked);
        let is_full = self.counters.are_done();
        let ending = match verdict(last_lines, is_blocked, is_full) {
            Verdict::Blocked => return false,
            // A tool that succeeds at last does not undo the failure of another one, and is only a
            // piece of the work if steps are left.
            Verdict::Completed | Verdict::Ended if self.end.is_some() => return false,
            Verdict::Completed if has_open_stacks || self.counters.has_open_steps() => {
                Ending::Ended
            }
            Verdict::Ended => Ending::Ended,
            Verdict::Completed => Ending::Completed,
            Verdict::Cancelled => Ending::Cancelled,
            // A deploy goes on after a resource has failed.
            Verdict::Failed { message } if has_open_stacks && is_of_cdk(&message) => Ending::Ended,
            Verdict::Failed { message } => {
                let line = last_lines.key_of(|text| strip_all_prefixes(text) == message);
                Said::put(&mut self.failure, line.unwrap_or(at), &message);
                Ending::Failed
            }
        };
        self.end = Some(End {
            at,
            ending,
            strength: Strength::LastLines,
        });
        ending == Ending::Failed
    }

    /// Whether it has counted nothing, and only the last lines of the log tell of an end. Then there
    /// is no progress to show.
    pub(super) fn shows_no_progress(&self) -> bool {
        self.counters.is_empty()
            && self
                .end
                .is_some_and(|end| end.strength == Strength::LastLines)
    }

    /// The end that a line reports; `None` if it is only of a piece of the work.
    fn end_in(&self, line: &AgentObservation) -> Option<(Ending, Strength)> {
        match line.status? {
            TaskStatus::Failed => Some((Ending::Failed, strength_of(line.end_of))),
            TaskStatus::Cancelled => Some((Ending::Cancelled, Strength::Owner)),
            TaskStatus::Completed if self.is_within_work(line.end_of) => None,
            TaskStatus::Completed => Some((Ending::Completed, strength_of(line.end_of))),
            TaskStatus::Pending | TaskStatus::Running | TaskStatus::Blocked | TaskStatus::Ended => {
                None
            }
        }
    }

    /// Whether a line contradicts the end with evidence of the same strength.
    pub(super) fn is_contradicted_by(&self, line: &AgentObservation) -> bool {
        let known = self.end.as_ref().zip(self.end_in(line));
        known.is_some_and(|(known, (ending, strength))| known.differs(ending, strength))
    }

    /// Adds an end of the run as a whole, and the line that says so. The first such line tells more
    /// than those that follow from it.
    pub(super) fn end_with(&mut self, at: LineKey, ending: Ending, message: &str) -> bool {
        self.is_said = true;
        self.phase = None;
        if self.failure.is_none() {
            Said::put(&mut self.failure, at, message);
        }
        self.end_at(at, ending, Strength::Owner)
    }

    /// Adds that the invocation of the function has failed. Lines may have said more about why.
    pub(super) fn fail_as_invocation(&mut self, at: LineKey, status: &str) -> bool {
        self.is_said = true;
        if self.failure.is_none() {
            Said::put(&mut self.failure, at, &format!("Status: {status}"));
        }
        self.end_at(at, Ending::Failed, Strength::Exit)
    }

    /// Adds the exit code of the command. Lines may tell more about how it failed.
    pub(super) fn exit(&mut self, at: LineKey, code: i32, last_lines: &LastLines) -> bool {
        self.is_said = true;
        let known = self.end.map(|end| end.ending);
        let ending = match (code, known) {
            (0, _) => Ending::Completed,
            (SIGHUP | SIGINT | SIGTERM, _) | (_, Some(Ending::Cancelled)) => Ending::Cancelled,
            _ => Ending::Failed,
        };
        if ending == Ending::Failed
            && self.failure.is_none()
            && let Some(message) = last_error(last_lines)
        {
            Said::put(&mut self.failure, at, &message);
        }
        self.end_at(at, ending, Strength::Exit)
    }

    /// Takes the end back, and why it failed.
    pub(super) fn take_end_back(&mut self) {
        if self.end.take().is_some_and(|end| end.ending.is_failure()) {
            self.failure = None;
        }
    }

    /// Whether the run counts its own steps and some are left, or an agent reports on it.
    pub(super) fn has_own_steps(&self) -> bool {
        self.counters.has_open_steps() || self.status.is_some() || self.usage.is_some()
    }

    /// Whether the outermost counter of the run goes on in a line.
    pub(super) fn is_advanced_by(&self, line: &AgentObservation) -> bool {
        let is_end = line.status.is_some_and(TaskStatus::is_terminal);
        let mut counters = line.counters.iter();
        !is_end && counters.any(|(kind, counter)| self.counters.is_advanced_by(*kind, *counter))
    }

    /// Makes an end that a line told, if `is_assumed`, one that only the end of the log tells.
    pub(super) fn assume_end(&mut self, at: LineKey, is_assumed: bool) {
        if let Some(end) = self.end.as_mut().filter(|_| is_assumed) {
            end.at = at;
            end.strength = Strength::LastLines;
        }
    }

    /// Adds that the run ended at this time, and not when a line first told how.
    pub(super) fn end_exactly(&mut self, at: LineKey) {
        if let Some(end) = &mut self.end {
            end.at = at;
        }
    }

    pub(super) fn end_at(&mut self, at: LineKey, ending: Ending, strength: Strength) -> bool {
        let end = End {
            at,
            ending,
            strength,
        };
        End::put(&mut self.end, end)
    }

    /// Whether what completed is only a piece of the work, because an outer counter has work left.
    /// A tool may have counted its own work, but not that of a run with steps.
    fn is_within_work(&self, end_of: EndOf) -> bool {
        match end_of {
            EndOf::Run => false,
            EndOf::Tool => self.counters.has_open_steps(),
            EndOf::ToolWithoutCounter => self.counters.has_open_items(),
            EndOf::Part => self.counters.is_open(),
        }
    }

    /// Whether a line shows that the work goes on, although an end was reported: that end was one
    /// of a step.
    pub(super) fn is_resumed_by(&self, line: &AgentObservation) -> bool {
        let mut counters = line.counters.iter();
        let is_taken_back = self.end.is_some_and(|end| end.strength < Strength::Exit);
        is_taken_back
            && (line.status.is_some_and(|status| !status.is_terminal())
                || counters.any(|(kind, counter)| self.counters.is_unfinished(*kind, *counter)))
    }

    /// Whether a line after a long silence belongs to the run, because it is neither a start nor a
    /// sample of a new counter. A blocked run waits for a person, who may take days.
    pub(super) fn is_continued_by(&self, line: &AgentObservation) -> bool {
        let mut counters = line.counters.iter();
        self.status == Some(TaskStatus::Blocked)
            || line.status.is_some_and(TaskStatus::is_terminal)
            || !line.is_start
                && counters.all(|(kind, counter)| self.counters.is_continued_by(*kind, *counter))
    }
}

fn strength_of(end_of: EndOf) -> Strength {
    match end_of {
        EndOf::Run => Strength::Owner,
        EndOf::Tool | EndOf::ToolWithoutCounter => Strength::Tool,
        EndOf::Part => Strength::Part,
    }
}
