//! The project: a group of tasks with metrics.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::task::{UnknownValue, named};
use super::{ProjectId, Revision, Task, TaskStatus, Timestamp};

named! {
    /// The status of a project.
    ProjectStatus {
        /// In progress.
        Active = "active",
        /// Paused.
        Paused = "paused",
        /// Finished.
        Completed = "completed",
        /// Archived.
        Archived = "archived",
    }
}

/// A group of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// The id.
    pub project_id: ProjectId,
    /// The display name, at most 256 characters.
    pub project_name: String,
    /// A description, at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The status.
    pub status: ProjectStatus,
    /// The person or team in charge, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A task whose stack name or log stream starts with one of these belongs to the project.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub match_prefixes: Vec<String>,
    /// The number of writes. Updates of the metrics do not count.
    #[serde(default)]
    pub revision: Revision,
    /// Counts of its tasks by status. They are exact.
    pub metrics: Metrics,
    /// When the project was created.
    pub created_at: Timestamp,
    /// When the project was last changed. Updates of the metrics do not count.
    pub updated_at: Timestamp,
}

/// Counts and averages over the tasks of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The number of tasks.
    pub total_tasks: u64,
    /// The number of pending tasks.
    pub pending: u64,
    /// The number of running tasks.
    pub running: u64,
    /// The number of blocked tasks.
    pub blocked: u64,
    /// The number of completed tasks.
    pub completed: u64,
    /// The number of failed tasks.
    pub failed: u64,
    /// The number of cancelled tasks.
    pub cancelled: u64,
    /// The number of tasks that stopped talking and never said how they went.
    pub ended: u64,
    /// completed / (completed + failed), 0 to 1; `null` until a task has completed or failed.
    pub success_rate: Option<f64>,
    /// The mean duration of completed tasks in milliseconds; `null` until one has completed.
    pub avg_duration_ms: Option<u64>,
}

impl Metrics {
    /// Computes metrics from stored counters.
    ///
    /// `count` returns the number of tasks with a status. `duration_sum_ms` is the total duration
    /// of all completed tasks. Negative counters, which the store could hold but never should,
    /// count as 0.
    pub fn from_counts(count: impl Fn(TaskStatus) -> i64, duration_sum_ms: i64) -> Self {
        let count = |status| u64::try_from(count(status)).unwrap_or(0);
        let completed = count(TaskStatus::Completed);
        let failed = count(TaskStatus::Failed);
        let decided = completed.saturating_add(failed);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate needs no more than 53 bits"
        )]
        let success_rate = (decided > 0).then(|| completed as f64 / decided as f64);
        Self {
            total_tasks: TaskStatus::ALL.iter().map(|&status| count(status)).sum(),
            pending: count(TaskStatus::Pending),
            running: count(TaskStatus::Running),
            blocked: count(TaskStatus::Blocked),
            completed,
            failed,
            cancelled: count(TaskStatus::Cancelled),
            ended: count(TaskStatus::Ended),
            success_rate,
            avg_duration_ms: u64::try_from(duration_sum_ms)
                .unwrap_or(0)
                .checked_div(completed),
        }
    }
}

/// The change that one write makes to the metrics of one project, or of all tasks.
///
/// The store adds it in the transaction that writes the task, so that metrics are exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsDelta {
    /// The project; `None`: all tasks, also those without a project.
    pub project_id: Option<ProjectId>,
    /// The change in the number of tasks, by status. Zeros are left out.
    pub counts: Vec<(TaskStatus, i64)>,
    /// The change in the total duration of completed tasks, in milliseconds.
    pub duration_sum_ms: i64,
}

impl MetricsDelta {
    /// Computes the deltas of a write that replaces the runs `before` with the runs `after`.
    pub fn between<'a>(
        before: impl IntoIterator<Item = &'a Task>,
        after: impl IntoIterator<Item = &'a Task>,
    ) -> Vec<Self> {
        let before = before.into_iter().map(|task| (task, -1));
        let after = after.into_iter().map(|task| (task, 1));
        let mut deltas: Vec<Self> = Vec::new();
        for (task, sign) in before.chain(after) {
            let groups = [None].into_iter().chain(task.project_id.as_ref().map(Some));
            for project_id in groups {
                let known = deltas
                    .iter()
                    .position(|delta| delta.project_id.as_ref() == project_id);
                let index = known.unwrap_or_else(|| {
                    deltas.push(Self {
                        project_id: project_id.cloned(),
                        counts: Vec::new(),
                        duration_sum_ms: 0,
                    });
                    deltas.len() - 1
                });
                deltas[index].count(task, sign);
            }
        }
        deltas.retain(|delta| !delta.counts.is_empty() || delta.duration_sum_ms != 0);
        deltas
    }

    fn count(&mut self, task: &Task, sign: i64) {
        match self
            .counts
            .iter()
            .position(|(status, _)| *status == task.status)
        {
            Some(index) => self.counts[index].1 += sign,
            None => self.counts.push((task.status, sign)),
        }
        self.counts.retain(|(_, count)| *count != 0);
        if task.status == TaskStatus::Completed {
            let duration_ms = i64::try_from(task.duration_ms.unwrap_or(0)).unwrap_or(i64::MAX);
            self.duration_sum_ms = self.duration_sum_ms.saturating_add(sign * duration_ms);
        }
    }
}
