//! Counters of tasks, behind the metrics: items of the tasks table with partition keys that no task
//! can have.
//!
//! | partition key | sort key | item |
//! | --- | --- | --- |
//! | `project#<id>` | a shard | counters of the tasks of a project in a shard. The project need not exist |
//! | `total#<shard>` | 0 | counters of all tasks in a shard |
//!
//! Tasks are spread over shards, because transactions on one item hinder each other. The counters of
//! a project are in one partition, so that one query reads them.
//!
//! Counters of projects expire: log lines can name any number of projects. See [`LIFETIME_SECONDS`].

use super::task::{DAY_SECONDS, key_at, shard_of};
use super::{Item, ItemError, ItemReader, ItemUpdate, ItemWriter, TTL, alias, number};
use crate::model::{Metrics, MetricsDelta, ProjectId, TaskId, TaskStatus};

/// The number of shards. It must never change: a counter would lose the tasks that move to another
/// shard.
const SHARDS: u32 = 8;
/// How long the counters of a project live after their last write, in seconds. They must outlive each
/// task that they count. The last write of a task comes at most 30 days after a write of its
/// counters, because older facts are written again. Then the task lives for 90 days, and DynamoDB may
/// take some days to remove it.
const LIFETIME_SECONDS: i64 = 150 * DAY_SECONDS;

const DURATION_SUM_MS: &str = "duration_sum_ms";

/// The counter of tasks with a status.
fn counter(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "tasks_pending",
        TaskStatus::Running => "tasks_running",
        TaskStatus::Blocked => "tasks_blocked",
        TaskStatus::Completed => "tasks_completed",
        TaskStatus::Failed => "tasks_failed",
        TaskStatus::Cancelled => "tasks_cancelled",
        TaskStatus::Ended => "tasks_ended",
    }
}

/// The partition key of the counters of a project.
pub(crate) fn partition_of(project_id: &ProjectId) -> String {
    format!("project#{project_id}")
}

fn total_key(shard: u32) -> Item {
    key_at(format!("total#{shard}"), 0)
}

/// The keys of the counters of all tasks.
pub(crate) fn total_keys() -> impl Iterator<Item = Item> {
    (0..SHARDS).map(total_key)
}

/// The key of the counters of a project, or of all tasks, that include the task.
pub(crate) fn key(project_id: Option<&ProjectId>, task_id: &TaskId) -> Item {
    let shard = shard_of(task_id, SHARDS);
    match project_id {
        Some(project_id) => key_at(partition_of(project_id), i64::from(shard)),
        None => total_key(shard),
    }
}

/// The update that adds `delta` to counters, whether or not they exist.
pub(crate) fn update(delta: &MetricsDelta, now_seconds: i64) -> ItemUpdate {
    let ttl = now_seconds.saturating_add(LIFETIME_SECONDS);
    let ttl = delta.project_id.is_some().then_some(ttl);
    let set = ItemWriter::new().optional_number(TTL, ttl).finish();
    let mut update = ItemUpdate::new(set, &[]);
    let counts = delta.counts.iter();
    let counts = counts.map(|(status, count)| (counter(*status), *count));
    let durations = [(DURATION_SUM_MS, delta.duration_sum_ms)];
    let mut additions = Vec::new();
    for (name, value) in counts.chain(durations) {
        update.names.extend([alias(name)]);
        update.values.insert(format!(":{name}"), number(value));
        additions.push(format!("#{name} :{name}"));
    }
    update.expression = format!("{} ADD {}", update.expression, additions.join(", "));
    update
}

/// The sum of counters, as metrics.
pub(crate) fn metrics(items: &[Item]) -> Result<Metrics, ItemError> {
    let mut sum = Counters::default();
    for item in items {
        sum.add(&Counters::read(item)?);
    }
    Ok(sum.metrics())
}

/// Counters of tasks.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    /// The tasks with each status, in the order of [`TaskStatus::ALL`].
    counts: [i64; TaskStatus::ALL.len()],
    /// DynamoDB's numbers are larger than an `i64`.
    duration_sum_ms: i128,
}

impl Counters {
    fn read(item: &Item) -> Result<Self, ItemError> {
        let item = ItemReader::new(item)?;
        let mut counters = Self::default();
        for (count, status) in counters.counts.iter_mut().zip(TaskStatus::ALL) {
            *count = item.optional_number(counter(*status))?.unwrap_or(0);
        }
        counters.duration_sum_ms = item.optional_number(DURATION_SUM_MS)?.unwrap_or(0);
        Ok(counters)
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.duration_sum_ms = self.duration_sum_ms.saturating_add(other.duration_sum_ms);
    }

    fn metrics(&self) -> Metrics {
        let count = |wanted| {
            let mut known = self.counts.iter().zip(TaskStatus::ALL);
            let known = known.find(|(_, status)| **status == wanted);
            known.map_or(0, |(count, _)| *count)
        };
        let sum = self.duration_sum_ms;
        let sum = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
        Metrics::from_counts(count, sum)
    }
}
