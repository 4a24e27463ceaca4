//! The ordered pass over the facts of a task.

use std::mem;

use serde::{Deserialize, Serialize};

use super::fact::{Creation, Fact, KeyedFact, Session};
use super::last_lines::LastLines;
use super::line_key::LineKey;
use super::run::Run;
use super::templates::Templates;
use crate::log_parser::{LambdaObservation, Observation, Samples};

/// After this many runs in one day, further starts do not begin another run. A log that restarts
/// more often counts something else.
const MOST_RUNS_A_DAY: u32 = 500;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The most runs that wait for the end of an earlier session. A stored state has all of them.
const MOST_WAITING: usize = 8;

/// The state of the pass after the facts so far. Facts must be given in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pass {
    /// Runs before the current one, the latest last. A stored state does not have them: they can't
    /// change.
    #[serde(skip)]
    pub(super) earlier: Vec<Run>,
    /// Runs before the current one that are not among the earlier ones, the latest last: the first
    /// is a session that may go on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
    /// The current run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<Run>,
    /// How many runs began on which day (days since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<(i64, u32)>,
    /// Number pairs that may be counters. A run that begins between two samples does not make them
    /// unknown.
    #[serde(skip_serializing_if = "Templates::is_empty")]
    templates: Templates,
    /// Whether the next line begins a run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_restarted: bool,
    /// The start of an invocation of a function that has shown nothing yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation: Option<LineKey>,
}

/// A run before the current one that may still change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Waiting {
    run: Run,
    #[serde(default, skip_serializing_if = "Templates::is_empty")]
    templates: Templates,
}

/// The run that a line belongs to.
#[derive(Clone, Copy)]
enum Place {
    /// The current one, or a later one.
    Current,
    /// The one at this place among those that wait.
    Waiting(usize),
    /// One that can't change any more.
    Gone,
}

impl Pass {
    /// Adds the next facts, and the lines that may begin a run.
    pub(super) fn go_over(&mut self, first_lines: &[LineKey], facts: &[KeyedFact]) {
        let mut first_lines = first_lines.iter().copied().peekable();
        for (at, fact) in facts {
            while let Some(line) = first_lines.next_if(|line| line <= at) {
                self.in_place(line, |pass| pass.hear(line));
            }
            match fact {
                Fact::Session(session) => self.begin_session(*at, session),
                _ => self.in_place(*at, |pass| pass.step(*at, fact)),
            }
        }
        first_lines.for_each(|line| self.in_place(line, |pass| pass.hear(line)));
    }

    /// Lets the run that a line belongs to be the current one while `see` adds the line.
    fn in_place(&mut self, at: LineKey, see: impl FnOnce(&mut Self)) {
        match self.place_of(at) {
            Place::Current => see(self),
            Place::Waiting(index) => {
                self.swap(index);
                see(self);
                self.swap(index);
                self.let_go();
            }
            Place::Gone => {}
        }
    }

    /// The run that a line belongs to. The lines of a session belong to no other run.
    fn place_of(&self, at: LineKey) -> Place {
        let Some(session) = at.session() else {
            return Place::Current;
        };
        if self.run.as_ref().is_some_and(|run| run.is_in(session)) {
            return Place::Current;
        }
        let index = self
            .waiting
            .iter()
            .position(|other| other.run.is_in(session));
        index.map_or(Place::Gone, Place::Waiting)
    }

    /// Exchanges the current run with one that waits.
    fn swap(&mut self, index: usize) {
        if let Some((run, other)) = self.run.as_mut().zip(self.waiting.get_mut(index)) {
            mem::swap(run, &mut other.run);
            mem::swap(&mut self.templates, &mut other.templates);
        }
    }

    /// Moves the runs that can't change any more to the earlier ones.
    fn let_go(&mut self) {
        let Some(newest) = self.run.as_ref().map(|run| run.last) else {
            return;
        };
        let stays = |other: &Waiting| other.run.may_go_on_after(newest);
        let first = self.waiting.iter().position(stays);
        self.let_first_go(first.unwrap_or(self.waiting.len()));
    }

    fn let_first_go(&mut self, count: usize) {
        let gone = self.waiting.drain(..count).map(|other| other.run);
        self.earlier.extend(gone);
    }

    /// Takes the earlier runs that have something to show out. They can't change any more.
    pub(super) fn take_earlier(&mut self) -> Vec<Run> {
        let earlier = mem::take(&mut self.earlier).into_iter();
        earlier.filter(Run::is_shown).collect()
    }

    /// Whether runs wait for the end of a session.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives up the first session that has not ended.
    pub(super) fn give_up_first(&mut self) {
        if let Some(first) = self.waiting.first_mut() {
            first.run.end_before_later_run();
            self.let_first_go(1);
            self.let_go();
        }
    }

    /// Adds a line that may say nothing. It begins a run if there is none, or if the log had ended.
    fn hear(&mut self, at: LineKey) {
        self.begin_anew(at);
        match &mut self.run {
            None => {
                self.run = Some(Run::plain_at(at));
                self.invocation = None;
            }
            Some(run) if !run.is_shown() => run.hear_first(at),
            Some(run) if run.is_silent_until(at) && !run.has_all_lines(at) => {
                self.begin(at, Run::plain_at(at));
            }
            Some(run) => run.take_end_back(),
        }
    }

    /// Adds the next fact.
    fn step(&mut self, at: LineKey, fact: &Fact) {
        if matches!(fact, Fact::EndOfLog { .. }) {
            self.finish_samples();
        }
        match (fact, &mut self.run) {
            (Fact::Line(line), _) => self.see(at, line),
            (Fact::Failure { line, context }, _) => {
                let failing = self.run.as_ref().filter(|run| run.is_failing());
                let failing = failing.map(|run| run.start);
                self.see(at, line);
                // What follows from a cause does not explain it.
                if let Some(run) = &mut self.run
                    && failing != Some(run.start)
                {
                    run.explain(context);
                }
            }
            (Fact::Creation(creation), _) => self.create(at, creation),
            (Fact::Restart, _) => self.is_restarted = true,
            (Fact::Edit(edit), Some(run)) => run.edit(at, edit),
            (Fact::Deletion, Some(run)) => run.is_deleted = true,
            (Fact::Exit { code, last_lines }, Some(run)) if run.may_end_with(at) => {
                run.exit(at, *code, last_lines);
            }
            (
                Fact::EndOfLog {
                    last_lines,
                    is_assumed,
                },
                Some(run),
            ) => run.end_of_log(last_lines, *is_assumed),
            (Fact::Edit(_) | Fact::Deletion | Fact::EndOfLog { .. }, None)
            | (Fact::Exit { .. }, _)
            | (Fact::Session(_) | Fact::Lines(_), _) => {}
        }
    }

    /// Adds a fact that is not later than all others, but came after them. Returns whether it
    /// changed anything.
    pub(super) fn add_late(&mut self, at: LineKey, fact: &Fact) -> bool {
        let mut is_changed = false;
        self.in_place(at, |pass| is_changed = pass.step_late(at, fact));
        is_changed
    }

    fn step_late(&mut self, at: LineKey, fact: &Fact) -> bool {
        let is_only_run = self.begun.is_none();
        match (fact, &mut self.run) {
            (Fact::Exit { code, last_lines }, Some(run))
                if run.start <= at && run.exit_code().is_none() && run.may_end_with(at) =>
            {
                run.exit(at, *code, last_lines);
                true
            }
            (Fact::Line(line) | Fact::Failure { line, .. }, Some(run))
                if is_only_run && at < run.first && Run::shows(line) =>
            {
                run.first = at;
                true
            }
            _ => false,
        }
    }

    /// A caller creates a run. Lines may have begun it already, if clocks differ. A run that was
    /// known before is another one, also if late lines show that it was still open.
    fn create(&mut self, at: LineKey, creation: &Creation) {
        let run = self.run.as_ref();
        let is_begun = run.is_some_and(|run| run.is_open() && Some(run.start) > creation.after);
        if !is_begun {
            self.begin(at, Run::at(at));
        }
        if let Some(run) = &mut self.run {
            run.given.task_type = Some(creation.task_type);
            run.given.project_id = None; // the caller gives it
            run.created = Some(at);
            run.edit(at, &creation.edit);
        }
    }

    /// Lets a line begin a run, if it is the first one of a log that begins anew. A run that a caller has
    /// created for it may be there.
    fn begin_anew(&mut self, at: LineKey) {
        if !mem::take(&mut self.is_restarted) {
            return;
        }
        let is_left = |run: &Run| run.has_lines() && !run.has_all_lines(at);
        let begun = self.begun_on(at.time().as_millis() / DAY_MS);
        if begun < MOST_RUNS_A_DAY && self.run.as_ref().is_some_and(is_left) {
            self.begin(at, Run::at(at));
        }
        self.templates = Templates::default();
        self.invocation = None;
    }

    /// A command begins, or goes on. A run that a caller has created for it may be there.
    fn begin_session(&mut self, at: LineKey, session: &Session) {
        if matches!(self.place_of(at), Place::Gone) {
            let is_for_it = |run: &Run| run.is_open() && !run.has_lines();
            if !self.run.as_ref().is_some_and(is_for_it) {
                self.begin(at, Run::at(at));
            }
            self.templates = Templates::default();
            if let Some(run) = &mut self.run {
                run.become_session(at);
            }
        }
        self.in_place(at, |pass| {
            pass.invocation = None;
            if let Some(run) = &mut pass.run {
                run.go_on_with_session(at, session);
            }
        });
    }

    /// Makes `later` the current run. A session before it may go on.
    fn begin(&mut self, at: LineKey, mut later: Run) {
        if let Some(earlier) = &self.run {
            later.given = earlier.given.clone();
        }
        if let Some(mut earlier) = self.run.replace(later) {
            if !earlier.has_open_session() {
                earlier.end_before_later_run();
            }
            // What moves in a session says nothing about other runs.
            let templates = match earlier.session {
                Some(_) => mem::take(&mut self.templates),
                None => Templates::default(),
            };
            let run = earlier;
            self.waiting.push(Waiting { run, templates });
            if self.waiting.len() > MOST_WAITING {
                self.give_up_first();
            }
            self.let_go();
            let today = at.time().as_millis() / DAY_MS;
            self.begun = Some((today, self.begun_on(today) + 1));
        }
        self.templates.begin_run();
    }

    /// Adds the last lines of the log to those runs that they belong to.
    pub(super) fn hear_last(&mut self, last_lines: &LastLines) {
        let runs = self.waiting.iter_mut().map(|other| &mut other.run);
        for run in runs.chain(&mut self.run) {
            run.hear(&last_lines.of_session(run.session));
        }
    }

    /// The runs that have something to show, in order.
    pub(super) fn into_runs(self) -> Vec<Run> {
        let waiting = self.waiting.into_iter().map(|other| other.run);
        let runs = self.earlier.into_iter().chain(waiting).chain(self.run);
        runs.filter(Run::is_shown).collect()
    }

    /// How many runs began on a day.
    fn begun_on(&self, day: i64) -> u32 {
        let begun = self.begun.filter(|(known, _)| *known == day);
        begun.map_or(0, |(_, begun)| begun)
    }

    fn see(&mut self, at: LineKey, line: &Observation) {
        self.begin_anew(at);
        match line {
            Observation::Lambda(mark) => return self.see_invocation(at, mark),
            Observation::Samples(samples) => return self.see_samples(at, samples),
            Observation::Cdk(_) | Observation::Agent(_) => {}
        }
        if let Some(run) = &mut self.run {
            run.go_on_with(at, line);
        }
        let begun = self.begun_on(at.time().as_millis() / DAY_MS);
        // Until a line shows something, the lines of an invocation belong to the run before.
        let invocation = self.invocation;
        let says_nothing = |run: &Run| run.says_nothing() && run.is_open();
        let says_nothing = self.run.as_ref().is_some_and(says_nothing);
        let later = match self.run.as_ref().map(Run::without_assumed_end).as_deref() {
            None => Some(Run::at(at)),
            Some(run) if says_nothing || run.has_all_lines(at) || begun >= MOST_RUNS_A_DAY => None,
            Some(run) if run.is_shown() && invocation.is_some() => {
                Run::begins_with(at, line).then(|| Run::at(at))
            }
            Some(run) if run.is_left_by(at, line) && Run::begins_with(at, line) => {
                Some(run.next_at(at))
            }
            Some(run) if run.is_contradicted_by(line) => Some(run.continued_at(at)),
            Some(_) => None,
        };
        let is_first = later.is_some();
        if is_first || !self.run.as_ref().is_some_and(Run::is_shown) {
            self.invocation = None;
        }
        if let Some(later) = later {
            self.begin(at, later);
        }
        if let Some(run) = &mut self.run {
            run.see(at, line);
            if is_first {
                run.corrections = 0; // the end before it was that of another run
                run.first = invocation.unwrap_or(run.first);
            }
        }
    }

    /// Number pairs show nothing until one of them has risen, and begin no run until one counts.
    fn see_samples(&mut self, at: LineKey, line: &Samples) {
        let moved = self.templates.see(at, &line.samples);
        let begun = self.begun_on(at.time().as_millis() / DAY_MS);
        let run = self.run.get_or_insert_with(|| Run::at(at));
        let Some(moved) = moved else {
            return run.set_moved(self.templates.outermost());
        };
        let invocation = self.invocation.filter(|_| moved.counts);
        let stays = run.says_nothing() && run.is_open() || run.has_all_lines(at);
        let may_be_left = run.is_shown() && !stays;
        let is_left = may_be_left
            && (invocation.is_some() || run.without_assumed_end().is_left_by_sample(at, moved));
        let later = (is_left && begun < MOST_RUNS_A_DAY).then(|| run.next_at(at));
        let is_later = later.is_some();
        if is_later || !run.is_shown() {
            self.invocation = None;
        }
        if let Some(later) = later {
            self.begin(at, later);
            self.templates.begin_with(at, &line.samples);
        }
        if let Some(run) = &mut self.run {
            run.see_sample(at, line, moved);
            run.set_moved(self.templates.outermost());
            run.first = invocation.filter(|_| is_later).unwrap_or(run.first);
        }
    }

    /// Lets number pairs count that have moved: nothing follows that could contradict it.
    fn finish_samples(&mut self) {
        if let Some((run, outermost)) = self.run.as_mut().zip(self.templates.finish()) {
            run.finish_samples(outermost);
        }
    }

    /// Each invocation of a function is a run, also if the one before was killed. An invocation
    /// without other lines shows nothing.
    fn see_invocation(&mut self, at: LineKey, mark: &LambdaObservation) {
        match (mark, &mut self.run) {
            (LambdaObservation::Start, Some(run)) if run.has_all_lines(at) => {}
            (LambdaObservation::Start, _) => self.invocation = Some(at),
            (LambdaObservation::Failed { status }, Some(run))
                if run.has_lines() && self.invocation.is_none() =>
            {
                run.fail_as_invocation(at, status);
            }
            (LambdaObservation::Failed { .. }, _) => {}
        }
    }
}
