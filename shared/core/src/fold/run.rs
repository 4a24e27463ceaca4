//! One run, as the pass has built it from the facts so far.

mod cdk;
mod command;
pub(in crate::fold) mod counters;
mod end_line;
mod failure;
mod further;
mod names;
mod samples;
mod stack;
mod stacks;
mod subagents;
pub(in crate::fold) mod text;
mod todo_list;
mod whole;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use self::stacks::Stacks;
use self::text::Said;
use self::whole::Whole;
use super::caller_edit::{CallerEdit, Edits};
use super::end::{End, Strength};
use super::fact::{MOST_CONTEXT, Session};
use super::last_lines::LastLines;
use super::line_key::{LineKey, SessionKey};
use super::progress::capped;
use super::report::Report;
use crate::log_parser::{CdkObservation, Observation, Todo, Usage, Waiting};
use crate::model::{Context, Progress, ProjectId, TaskStatus, TaskType};

/// After a silence longer than this, a line belongs to a later run, unless it continues the work of
/// the run: 1 hour, in milliseconds.
pub(super) const LONGEST_SILENCE_MS: u64 = 60 * 60 * 1000;

/// A run of a command or of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The first line.
    pub(super) first: LineKey,
    /// The line that began it. It is not the first line if the run continues an earlier one whose
    /// end was contradicted.
    pub start: LineKey,
    /// The last line.
    pub(crate) last: LineKey,
    /// The last line of its log, if that is later and the run is open.
    #[serde(skip)]
    heard: Option<LineKey>,
    /// Whether all that is known are lines that say nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_plain: bool,
    /// Whether the log only seems to have ended, because it has been silent for long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_silent: bool,
    /// The session that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<SessionKey>,
    /// Whether the log has ended, as far as is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_log_over: bool,
    /// Who started it, and from what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<Box<Context>>,
    /// When a caller of the API created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<LineKey>,
    /// How often its end was replaced or taken back.
    #[serde(default)]
    pub corrections: u32,
    #[serde(default, skip_serializing_if = "Stacks::is_empty")]
    stacks: Stacks,
    #[serde(default)]
    whole: Whole,
    /// Whether the run counted steps of its own when its first stack came, so that deploying is one
    /// of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deploys_in_a_step: bool,
    /// The lines before the first line that reported a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failure_context: Vec<String>,
    /// The exit code of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Edits::is_empty")]
    pub(crate) edits: Edits,
    #[serde(default, skip_serializing_if = "Given::is_empty")]
    pub(crate) given: Given,
    /// Whether a caller has deleted the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_deleted: bool,
}

/// What callers and agents say about a run and all later ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Given {
    /// The name that a caller gave to the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task_name: Option<String>,
    /// The kind of work, as a caller who created the task gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task_type: Option<TaskType>,
    /// The project that an agent names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project_id: Option<ProjectId>,
}

impl Given {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Run {
    pub(super) fn at(at: LineKey) -> Self {
        Self {
            first: at,
            start: at,
            last: at,
            heard: None,
            is_plain: false,
            is_silent: false,
            session: None,
            is_log_over: false,
            context: None,
            created: None,
            corrections: 0,
            stacks: Stacks::default(),
            whole: Whole::default(),
            deploys_in_a_step: false,
            failure_context: Vec::new(),
            exit_code: None,
            edits: Edits::default(),
            given: Given::default(),
            is_deleted: false,
        }
    }

    /// The run of a log whose first line says nothing.
    pub(super) fn plain_at(at: LineKey) -> Self {
        Self {
            is_plain: true,
            ..Self::at(at)
        }
    }

    /// Adds a line that says nothing to what other lines have hinted at.
    pub(super) fn hear_first(&mut self, at: LineKey) {
        (self.first, self.start) = (at, at);
        self.is_plain = true;
    }

    /// Whether there is anything to show.
    pub(crate) fn is_shown(&self) -> bool {
        self.created.is_some() || self.has_lines()
    }

    /// Whether lines have something to show. Lines that may be about a stack show nothing until
    /// other lines name the stack.
    pub(crate) fn has_lines(&self) -> bool {
        self.has_parts() || self.whole.is_said || self.is_plain || self.session.is_some()
    }

    /// Whether only lines that say nothing show that there is a run.
    #[cfg(any(test, feature = "properties"))]
    pub(super) fn is_of_plain_lines(&self) -> bool {
        let is_certain = self.exit_code.is_some() || self.session.is_some();
        self.is_plain && !is_certain && !self.has_parts()
    }

    /// Whether no line says anything.
    pub(super) fn says_nothing(&self) -> bool {
        self.is_plain && !self.has_parts() && !self.whole.is_said
    }

    /// Whether it has something to show and has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.is_shown() && !self.is_over() && !self.edits.has_end() && !self.is_deleted
    }

    /// Whether there are stacks to show. A foreign tick must not hide the failure of the run.
    fn has_parts(&self) -> bool {
        let has_failed = self.whole.end.is_some_and(|end| end.ending.is_failure());
        !self.stacks.list.is_empty() || !has_failed && self.stacks.has_tick()
    }

    /// Whether the run is that of its stacks. Then tools around it neither count for it nor end it.
    fn is_of_stacks(&self) -> bool {
        self.has_parts() && !self.deploys_in_a_step
    }

    /// Whether a line makes a run that has something to show.
    pub(super) fn shows(line: &Observation) -> bool {
        match line {
            Observation::Cdk(line) => !Stacks::is_hint(line),
            Observation::Agent(_) => true,
            Observation::Lambda(_) | Observation::Samples(_) => false,
        }
    }

    /// Whether a line alone makes a run that has something to show. Then a caller who edits or
    /// deletes the newest run does not mean another one.
    pub(super) fn begins_with(at: LineKey, line: &Observation) -> bool {
        let mut run = Self::at(at);
        run.see(at, line);
        run.is_shown()
    }

    /// The run that begins at `at` by contradicting the end of this one. What it did so far is of
    /// both.
    pub(super) fn continued_at(&self, at: LineKey) -> Self {
        Self {
            start: at,
            created: None,
            corrections: 0,
            exit_code: None,
            edits: Edits::default(),
            is_deleted: false,
            ..self.clone()
        }
    }

    /// Whether a line belongs to a later run.
    ///
    /// Work that starts after an end begins a run, and so does any line after a long silence that
    /// does not continue the work. Other lines belong to the run, whatever its state.
    pub(super) fn is_left_by(&self, at: LineKey, line: &Observation) -> bool {
        // The log of a run that a caller created may begin at any time.
        let may_be_silent = self.has_lines() || self.is_deleted;
        let is_silent =
            may_be_silent && at.time().millis_since(self.last.time()) > LONGEST_SILENCE_MS;
        match line {
            Observation::Cdk(line) => {
                if !self.has_lines() || Stacks::is_hint(line) {
                    return false;
                }
                if self.deploys_in_a_step && !self.is_over() && !self.edits.has_end() {
                    return false;
                }
                let is_over = self.whole.end.is_some() || self.stacks.are_over_for_certain();
                let is_ended_by_caller = self.edits.has_end() || self.is_deleted;
                is_silent && self.is_over()
                    || self.is_left_by_command(line)
                    || self
                        .stacks
                        .are_left_by(line, is_over, is_silent, is_ended_by_caller)
            }
            Observation::Agent(line) if self.is_of_stacks() && line.is_of_tool() => false,
            Observation::Agent(line) => {
                // A counter that begins may be one of several in the run that was deleted.
                let is_deleted = self.is_deleted && line.status.is_some();
                let is_over = self.is_over() || self.edits.has_end() || is_deleted;
                let starts = line.is_start && !line.status.is_some_and(TaskStatus::is_terminal);
                let resumes = self.whole.is_resumed_by(line) && !self.edits.has_end();
                is_over && starts
                    || resumes
                    || is_silent && (is_over || !self.whole.is_continued_by(line))
            }
            Observation::Lambda(_) | Observation::Samples(_) => false,
        }
    }

    /// Whether a line contradicts the end of the run, so that it is the end of a later run.
    pub(super) fn is_contradicted_by(&self, line: &Observation) -> bool {
        self.is_over()
            && match line {
                Observation::Cdk(line) => self.stacks.are_contradicted_by(line),
                Observation::Agent(line) if self.is_of_stacks() && line.is_of_tool() => false,
                Observation::Agent(line) => self.whole.is_contradicted_by(line),
                Observation::Lambda(_) | Observation::Samples(_) => false,
            }
    }

    /// Takes back an end that only a tool told, if a line shows that it was one of a step: a counter
    /// goes on, or a command of CDK begins.
    pub(super) fn go_on_with(&mut self, at: LineKey, line: &Observation) {
        let is_told_by_tool = self
            .whole
            .end
            .is_some_and(|end| end.strength == Strength::Tool || end.strength == Strength::Part);
        let is_final = self.edits.has_end() || self.is_deleted || self.has_open_session();
        let is_silent = at.time().millis_since(self.last.time()) > LONGEST_SILENCE_MS;
        let goes_on = match line {
            Observation::Cdk(line) => self.stacks.list.is_empty() && Stacks::is_start(line),
            Observation::Agent(line) => self.whole.is_advanced_by(line),
            Observation::Lambda(_) | Observation::Samples(_) => false,
        };
        if is_told_by_tool && !is_final && !is_silent && goes_on {
            self.whole.take_end_back();
            self.corrections = self.corrections.saturating_add(1);
        }
    }

    /// Adds a line of the run.
    pub(super) fn see(&mut self, at: LineKey, line: &Observation) {
        self.take_end_back();
        self.begin_with(at, at, Self::shows(line));
        self.last = at;
        let was_over = self.is_over();
        let is_replaced = self.add(at, line);
        if is_replaced || was_over && !self.is_over() {
            self.corrections = self.corrections.saturating_add(1);
        }
    }

    /// Lets the run begin with a line, if it is the first one or the first that shows something. What
    /// was said long before belongs to something else.
    fn begin_with(&mut self, first: LineKey, start: LineKey, shows: bool) {
        let is_first = self.is_plain && shows;
        let is_late = first.time().millis_since(self.first.time()) > LONGEST_SILENCE_MS;
        self.is_plain &= !is_first;
        if !self.has_lines() && (!is_first || is_late) {
            self.first = first;
            if self.created.is_none() {
                self.start = start;
            }
        }
    }

    fn add(&mut self, at: LineKey, line: &Observation) -> bool {
        match line {
            Observation::Cdk(line) => {
                let of_command = self.see_command(at, line);
                of_command.unwrap_or_else(|| self.see_stack(at, line))
            }
            Observation::Agent(line) if self.is_of_stacks() && line.is_of_tool() => false,
            Observation::Agent(line) => {
                let project_id = line.project_id.as_ref().and_then(|id| id.parse().ok());
                self.given.project_id = project_id.or(self.given.project_id.take());
                self.whole.see(at, line)
            }
            Observation::Lambda(_) | Observation::Samples(_) => false,
        }
    }

    /// Adds a line about a stack. A step that deploys again begins with no stacks.
    fn see_stack(&mut self, at: LineKey, line: &CdkObservation) -> bool {
        let is_over = self.stacks.are_over_for_certain();
        if self.deploys_in_a_step && self.stacks.are_left_by(line, is_over, false, false) {
            self.stacks = Stacks::default();
        }
        let had_parts = self.has_parts();
        let is_replaced = self.stacks.see(at, line);
        if !had_parts && self.has_parts() {
            self.deploys_in_a_step |= self.whole.has_own_steps();
        }
        is_replaced && !self.deploys_in_a_step
    }

    /// The kind of work, if lines tell.
    pub(crate) fn task_type(&self) -> Option<TaskType> {
        let is_agent = self.whole.usage.is_some();
        match self.stacks.list.is_empty() || self.deploys_in_a_step {
            true => is_agent.then_some(TaskType::AgentExecution),
            false => Some(TaskType::CdkDeploy),
        }
    }

    /// What the run has used so far, as its agent reports it.
    pub fn usage(&self) -> Option<&Usage> {
        self.whole.usage.as_deref()
    }

    /// The newest to-do list of the agent.
    pub fn todos(&self) -> impl Iterator<Item = &Todo> {
        self.whole.todos.items()
    }

    /// What the run waits for, if it is blocked.
    pub fn waiting(&self) -> Option<&Waiting> {
        self.whole.waiting()
    }

    /// The exit code of the command.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// Adds the exit code of the command.
    pub(super) fn exit(&mut self, at: LineKey, code: i32, last_lines: &LastLines) {
        self.last = self.last.max(at);
        if self.exit_code.is_some() {
            return;
        }
        let is_open = self.has_open_session();
        let last_lines = &last_lines.clone().since(self.start);
        if self.says_nothing() {
            self.whole.say(self.last, &last_lines.last_text());
        }
        self.exit_code = Some(code);
        let is_explained = self.whole.failure.is_some();
        let is_replaced = self.whole.exit(at, code, last_lines);
        if !is_explained {
            self.explain_by(last_lines);
        }
        if self.failure_context.is_empty() {
            self.failure_context = last_lines.before(at, MOST_CONTEXT);
        }
        if self.session.is_some() {
            self.whole.end_exactly(at);
        }
        if is_replaced && !is_open {
            self.corrections = self.corrections.saturating_add(1);
        }
    }

    /// Makes the run that of the session of a line.
    pub(super) fn become_session(&mut self, at: LineKey) {
        self.session = at.session();
        self.first = at;
        self.is_plain = true;
    }

    /// Adds what is known of its session.
    pub(super) fn go_on_with_session(&mut self, at: LineKey, session: &Session) {
        self.last = self.last.max(at);
        let given = &mut self.given;
        given.task_name = session.task_name.clone().or(given.task_name.take());
        given.project_id = session.project_id.clone().or(given.project_id.take());
        let context = session.context.clone().map(Box::new);
        self.context = context.or(self.context.take());
    }

    /// Whether it is that session.
    pub(crate) fn is_in(&self, session: SessionKey) -> bool {
        self.session == Some(session)
    }

    /// Whether a line belongs to this session, whatever it says.
    pub(super) fn has_all_lines(&self, at: LineKey) -> bool {
        self.has_open_session() && !self.is_deleted
            || at.session().is_some_and(|session| self.is_in(session))
    }

    /// Whether lines of this session may still come: it has no exit, and has not been silent from an
    /// end that was only assumed until `at` for long.
    pub(super) fn may_go_on_after(&self, at: LineKey) -> bool {
        let is_open = self.session.is_some() && self.exit_code.is_none();
        is_open && !self.is_deleted && !self.is_silent_until(at)
    }

    /// Whether the exit of its command may follow at `at`.
    pub(crate) fn awaits_exit(&self, at: LineKey) -> bool {
        let is_silent = at.time().millis_since(self.last.time()) > LONGEST_SILENCE_MS;
        self.session.is_none() && self.exit_code.is_none() && (self.is_open() || !is_silent)
    }

    /// Whether an exit code may be that of the run. A session has its own.
    pub(super) fn may_end_with(&self, at: LineKey) -> bool {
        self.session.is_none() || self.session == at.session()
    }

    /// Whether it is a session that has not ended. Nothing that tools say ends it.
    pub(super) fn has_open_session(&self) -> bool {
        self.session.is_some() && self.exit_code.is_none() && !self.is_log_over
    }

    /// Adds that the invocation of the function has failed. It is not the last line: a late start
    /// may show that it is of another invocation.
    pub(super) fn fail_as_invocation(&mut self, at: LineKey, status: &str) {
        if self.whole.fail_as_invocation(at, status) {
            self.corrections = self.corrections.saturating_add(1);
        }
    }

    /// Adds an edit by a caller.
    pub(super) fn edit(&mut self, at: LineKey, edit: &CallerEdit) {
        if edit.status.is_some() {
            self.take_end_back();
        }
        if let Some(name) = &edit.task_name {
            self.given.task_name = Some(name.clone());
        }
        self.edits.note(edit, at);
    }

    /// Whether the log or an exit code has ended it.
    fn is_over(&self) -> bool {
        let are_over = !self.deploys_in_a_step && self.stacks.are_over();
        !self.has_open_session() && (self.whole.end.is_some() || are_over)
    }

    /// Adds that nothing follows the last lines of the log. A stack that is only cleaning up has
    /// completed, and the last lines tell how any other run has ended.
    pub(super) fn end_of_log(&mut self, last_lines: &LastLines, is_assumed: bool) {
        if !self.has_lines() || self.edits.has_end() || self.is_deleted {
            return;
        }
        self.stacks.finish_cleanup();
        if self.says_nothing() {
            self.whole.say(self.last, &last_lines.last_text());
        }
        if !self.is_of_stacks() || !self.report_of_stacks().status.is_terminal() {
            let at = Some(self.last)
                .max(last_lines.newest())
                .unwrap_or(self.last);
            // Of a session, what tools say only tells how it may have ended.
            self.whole.assume_end(at, self.has_open_session());
            let has_cause = self.has_parts() && self.is_failing();
            if self.whole.judge(at, last_lines, self.is_of_stacks()) && !has_cause {
                self.explain_by(last_lines);
            }
            self.is_silent = is_assumed;
        }
        self.is_log_over = true;
    }

    /// Adds that a later run of the log has begun: nothing will say how this one went.
    pub(super) fn end_before_later_run(&mut self) {
        if self.is_open() {
            self.whole.status = None;
            self.whole
                .judge(self.last, &LastLines::default(), self.is_of_stacks());
            self.is_silent = true;
            self.is_log_over = true;
        }
    }

    /// Whether the log has ended, as far as is known, and no line says how the run went.
    pub(super) fn is_at_end_of_log(&self) -> bool {
        let end = self.whole.end;
        end.is_some_and(|end| end.strength == Strength::LastLines)
    }

    /// Whether the end is only assumed.
    pub(crate) fn has_assumed_end(&self) -> bool {
        self.is_silent && self.is_at_end_of_log()
    }

    /// Whether the log has been silent from its end until `at` for so long that a line is of a later
    /// run.
    pub(super) fn is_silent_until(&self, at: LineKey) -> bool {
        let end = self.whole.end.filter(|_| self.is_at_end_of_log());
        end.is_some_and(|end| at.time().millis_since(end.at.time()) > LONGEST_SILENCE_MS)
    }

    /// Takes back an end that only the last lines told, because something follows them.
    pub(super) fn take_end_back(&mut self) {
        if self.is_at_end_of_log() {
            self.whole.take_end_back();
            self.corrections = self.corrections.saturating_add(1);
        }
        self.is_silent = false;
        self.is_log_over = false;
    }

    /// The run before such an end.
    pub(super) fn without_assumed_end(&self) -> Cow<'_, Self> {
        if !self.is_at_end_of_log() {
            return Cow::Borrowed(self);
        }
        let mut open = self.clone();
        open.take_end_back();
        Cow::Owned(open)
    }

    /// Adds the last lines of the log, unless the run was over before.
    pub(super) fn hear(&mut self, last_lines: &LastLines) {
        let Some(newest) = last_lines.newest().filter(|newest| *newest > self.last) else {
            return;
        };
        let is_later = self.whole.end.is_some_and(|end| newest > end.at);
        if is_later && self.is_at_end_of_log() {
            self.take_end_back();
        }
        if self.is_open() {
            self.heard = Some(newest);
            if self.says_nothing() {
                self.whole.say(newest, &last_lines.last_text());
            }
        }
    }

    /// The last line of its log, as far as it belongs to the run.
    pub(crate) fn last_heard(&self) -> LineKey {
        self.heard.map_or(self.last, |heard| heard.max(self.last))
    }

    /// The state of the run.
    pub fn report(&self) -> Report {
        match self.is_of_stacks() {
            true => self.report_of_stacks(),
            false => self.report_of_whole(),
        }
    }

    /// The end of the run as a whole.
    fn end(&self) -> Option<End> {
        self.whole.end.filter(|_| !self.has_open_session())
    }

    fn report_of_whole(&self) -> Report {
        let whole = &self.whole;
        let run_end = self.end();
        let status = match run_end {
            Some(end) => end.ending.status(),
            None if !self.has_lines() => TaskStatus::Pending,
            None if self.is_plain => TaskStatus::Running,
            None => whole.status.unwrap_or(TaskStatus::Running),
        };
        let text = |said: &Option<Said>| said.as_ref().map(|said| said.text.clone());
        let failure = match self.is_failed_by_stacks() {
            true => self.failure_of_stacks(&self.stacks.list, status),
            false => self.failure_of_whole(status),
        };
        // An exit code tells less than the last line.
        let said = failure.as_ref().filter(|_| whole.failure.is_some());
        let said = said.map(|failure| failure.cause.clone());
        let waits = whole.waiting();
        let waits = waits.map(|waiting| waiting.need.phase().to_owned());
        let counter = whole.counters.outermost();
        let progress = counter.map_or(Progress::default(), |counter| counter.furthest());
        Report {
            first: self.first,
            last: run_end.map_or(self.last, |end| end.at.max(self.last)),
            start: self.has_lines().then_some(self.first),
            end: run_end.map(|end| end.at),
            status,
            progress: match whole.shows_no_progress() {
                true => Progress::default(),
                false => capped(progress, status),
            },
            phase: waits.or(text(&whole.phase)),
            current_step: text(&whole.current_step),
            message: said.or(text(&whole.message)),
            failure,
            parts: self.parts_of_whole(run_end),
            agent: whole.agent(),
            title: None,
        }
    }
}
