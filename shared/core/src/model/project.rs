//! The project: tasks that belong together, and how they fare.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::task::{UnknownValue, named};
use super::{ProjectId, Revision, Task, TaskStatus, Timestamp};

named! {
    /// Whether work on a project goes on.
    ProjectStatus {
        /// Under way.
        Active = "active",
        /// Resting.
        Paused = "paused",
        /// Done.
        Completed = "completed",
        /// Put away.
        Archived = "archived",
    }
}

/// Tasks that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// The identity.
    pub project_id: ProjectId,
    /// The name for people, at most 256 characters.
    pub project_name: String,
    /// What it is about, at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether work goes on.
    pub status: ProjectStatus,
    /// Who answers for it, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Prefixes of stack names and log streams that make a task belong to it.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub match_prefixes: Vec<String>,
    /// How often the project was written; metrics do not count.
    #[serde(default)]
    pub revision: Revision,
    /// How its tasks fare; exact.
    pub metrics: Metrics,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed; metrics do not count.
    pub updated_at: Timestamp,
}

/// How the tasks of a project fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Tasks in all.
    pub total_tasks: u64,
    /// Of these, by status.
    pub pending: u64,
    /// Of these, by status.
    pub running: u64,
    /// Of these, by status.
    pub blocked: u64,
    /// Of these, by status.
    pub completed: u64,
    /// Of these, by status.
    pub failed: u64,
    /// Of these, by status.
    pub cancelled: u64,
    /// Completed of completed and failed, 0 to 1; `null` before the first has ended.
    pub success_rate: Option<f64>,
    /// The mean duration of completed tasks in milliseconds; `null` before the first.
    pub avg_duration_ms: Option<u64>,
}

impl Metrics {
    /// The metrics that these counters make. Counters below 0 (never seen, but storable) count as 0.
    ///
    /// `count` gives the number of tasks with a status, `duration_sum_ms` the summed duration of the
    /// completed ones.
    pub fn from_counts(count: impl Fn(TaskStatus) -> i64, duration_sum_ms: i64) -> Self {
        let count = |status| u64::try_from(count(status)).unwrap_or(0);
        let completed = count(TaskStatus::Completed);
        let failed = count(TaskStatus::Failed);
        let ended = completed.saturating_add(failed);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate needs no more than 53 bits"
        )]
        let success_rate = (ended > 0).then(|| completed as f64 / ended as f64);
        Self {
            total_tasks: TaskStatus::ALL.iter().map(|&status| count(status)).sum(),
            pending: count(TaskStatus::Pending),
            running: count(TaskStatus::Running),
            blocked: count(TaskStatus::Blocked),
            completed,
            failed,
            cancelled: count(TaskStatus::Cancelled),
            success_rate,
            avg_duration_ms: u64::try_from(duration_sum_ms)
                .unwrap_or(0)
                .checked_div(completed),
        }
    }
}

/// What one write of a task changes in the metrics of one project: to be added in the same
/// transaction, so that metrics are exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsDelta {
    /// The project.
    pub project_id: ProjectId,
    /// What to add to the number of tasks, by status; no zeros.
    pub counts: Vec<(TaskStatus, i64)>,
    /// What to add to the summed duration of completed tasks, in milliseconds.
    pub duration_sum_ms: i64,
}

impl MetricsDelta {
    /// The deltas of a write that replaces `previous` by `next`: none, one, or, when the task moves
    /// between projects, two.
    pub fn of_change(previous: Option<&Task>, next: Option<&Task>) -> Vec<Self> {
        let mut deltas: Vec<Self> = Vec::new();
        for (task, sign) in [(previous, -1), (next, 1)] {
            let Some(task) = task else { continue };
            let Some(project_id) = &task.project_id else {
                continue;
            };
            let known = deltas
                .iter()
                .position(|delta| delta.project_id == *project_id);
            let index = known.unwrap_or_else(|| {
                deltas.push(Self {
                    project_id: project_id.clone(),
                    counts: Vec::new(),
                    duration_sum_ms: 0,
                });
                deltas.len() - 1
            });
            deltas[index].count(task, sign);
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
