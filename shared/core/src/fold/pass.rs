//! The ordered pass over the facts of a task.

use serde::{Deserialize, Serialize};

use super::LineKey;
use super::fact::Fact;
use super::run::Run;
use crate::log_parser::Observation;

/// The most earlier runs that a pass keeps. Older ones are dropped.
const MOST_EARLIER: usize = 20;
/// After this many runs in one day, further starts do not begin another run. A log that restarts
/// more often counts something else.
const MOST_RUNS_A_DAY: u32 = 500;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The state of the pass after the facts so far. Facts must be given in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pass {
    /// Runs before the current one, the latest last. A stored state does not have them: they can't
    /// change.
    #[serde(skip)]
    pub(super) earlier: Vec<Run>,
    /// The current run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<Run>,
    /// How many runs began on which day (days since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<(i64, u32)>,
    /// The name that a caller gave to the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task_name: Option<String>,
    /// The project that an agent names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project_id: Option<String>,
}

impl Pass {
    /// Adds the next fact.
    pub(super) fn step(&mut self, at: LineKey, fact: &Fact) {
        match (fact, &mut self.run) {
            (Fact::Line(line), _) => self.see(at, line),
            (Fact::Failure { line, context }, _) => {
                self.see(at, line);
                if let Some(run) = &mut self.run {
                    run.explain(context);
                }
            }
            (Fact::Edit(edit), run) => {
                if let Some(name) = &edit.task_name {
                    self.task_name = Some(name.clone());
                }
                if let Some(run) = run {
                    run.edit(at, edit);
                }
            }
            (Fact::Deletion, Some(run)) => run.is_deleted = true,
            (Fact::Exit(code), Some(run)) => run.exit(at, *code),
            (Fact::Deletion | Fact::Exit(_), None) => {}
        }
    }

    /// Adds a fact that is not later than all others, but came after them.
    pub(super) fn add_late(&mut self, at: LineKey, fact: &Fact) {
        let is_only_run = self.begun.is_none();
        match (fact, &mut self.run) {
            (Fact::Exit(code), Some(run)) if run.start <= at => run.exit(at, *code),
            (Fact::Line(line) | Fact::Failure { line, .. }, Some(run))
                if is_only_run && at < run.first && Run::shows(line) =>
            {
                run.first = at;
            }
            _ => {}
        }
    }

    fn see(&mut self, at: LineKey, line: &Observation) {
        if let Observation::Agent(line) = line
            && let Some(project_id) = &line.project_id
        {
            self.project_id = Some(project_id.clone());
        }
        let today = at.time().as_millis() / DAY_MS;
        let begun = self.begun.filter(|(day, _)| *day == today);
        let begun = begun.map_or(0, |(_, begun)| begun);
        let later = match &self.run {
            None => Some(Run::at(at)),
            Some(_) if begun >= MOST_RUNS_A_DAY => None,
            Some(run) if run.is_left_by(at, line) => Some(Run::at(at)),
            Some(run) if run.is_contradicted_by(line) => Some(run.continued_at(at)),
            Some(_) => None,
        };
        if let Some(later) = later
            && let Some(earlier) = self.run.replace(later)
        {
            self.begun = Some((today, begun + 1));
            if self.earlier.len() >= MOST_EARLIER {
                self.earlier.remove(0);
            }
            self.earlier.push(earlier);
        }
        if let Some(run) = &mut self.run {
            run.see(at, line);
        }
    }
}
