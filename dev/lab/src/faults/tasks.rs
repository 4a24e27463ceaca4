//! The tasks that the load changes, and the oracle that judges how they are shown.

use shared::model::TaskId;
use testkit::oracle::Oracle;

/// The total of every task's progress. No task ever reaches it.
pub const TOTAL: u64 = 1_000_000;
/// How many tasks the collector reports, and how many are changed through the API.
const TASKS: usize = 6;

/// The tasks with a count that one writer raises step by step.
#[derive(Debug)]
pub struct Tasks {
    /// Tasks whose lines are pushed to the collector.
    pub pushed: Vec<TaskId>,
    /// Tasks that are changed through the API.
    pub patched: Vec<TaskId>,
    /// What clients may be shown.
    pub oracle: Oracle,
}

impl Tasks {
    /// Tasks that do not exist yet.
    ///
    /// # Errors
    ///
    /// If an id is not valid.
    pub fn new() -> Result<Self, shared::error::Source> {
        let ids = |name: &str| {
            let ids = (0..TASKS).map(|number| format!("{name}-{number}").parse());
            ids.collect::<Result<Vec<TaskId>, _>>()
        };
        let tasks = Self {
            pushed: ids("pushed")?,
            patched: ids("patched")?,
            oracle: Oracle::default(),
        };
        for task_id in tasks.counted() {
            tasks.oracle.expect_task(task_id);
            tasks.oracle.request_count(task_id, 0);
        }
        Ok(tasks)
    }

    /// All tasks that have a count.
    pub fn counted(&self) -> impl Iterator<Item = &TaskId> {
        self.pushed.iter().chain(&self.patched)
    }
}
