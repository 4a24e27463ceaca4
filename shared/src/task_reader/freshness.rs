//! How long the cache may keep rendered tasks and pages.

use std::time::Duration;

use crate::model::{Task, Timestamp};
use crate::view::Renderer;

/// How long the cache keeps a task that has ended.
const TERMINAL_TTL: Duration = Duration::from_secs(3600);
/// The longest time that the cache keeps any other task.
const LIVE_TTL: Duration = Duration::from_secs(60);
/// The shortest time that the cache keeps a task.
const LEAST_TTL: Duration = Duration::from_secs(1);

/// How long the cache keeps the mark of a deleted task: longer than a slow reader takes.
pub(super) const DELETED_TTL: Duration = Duration::from_secs(60);

/// How long the cache may keep `task` as it was rendered at `now`: an hour once the task has ended,
/// otherwise at most a minute. It expires when its view changes, but not within a second.
pub(super) fn cache_ttl(renderer: &Renderer, task: &Task, now: Timestamp) -> Duration {
    if task.status.is_terminal() {
        return TERMINAL_TTL;
    }
    match renderer.until_view_changes(task, now) {
        Some(left) => left.clamp(LEAST_TTL, LIVE_TTL),
        None => LIVE_TTL,
    }
}

/// Until when a page of `tasks` that was rendered at `now` stays true if nothing is written. It is
/// at most `most` from now.
pub(super) fn true_until(
    renderer: &Renderer,
    tasks: &[Task],
    now: Timestamp,
    most: Duration,
) -> Timestamp {
    let left = tasks
        .iter()
        .filter_map(|task| renderer.until_view_changes(task, now));
    now.after(left.min().map_or(most, |left| left.min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskStatus;
    use testkit::store::conformance::{moment, new_task};

    #[test]
    fn cached_bytes_expire_when_a_task_turns_stale() {
        let renderer = Renderer::new(Duration::from_secs(900));
        let ttl = |status, silent_seconds: i64| {
            let task = Task {
                status,
                ..new_task("a")
            };
            cache_ttl(&renderer, &task, moment(silent_seconds * 1000)).as_secs()
        };
        assert_eq!(ttl(TaskStatus::Completed, 5000), 3600);
        assert_eq!(ttl(TaskStatus::Pending, 5000), 60);
        assert_eq!(ttl(TaskStatus::Running, 0), 60);
        assert_eq!(ttl(TaskStatus::Running, 870), 30);
        assert_eq!(ttl(TaskStatus::Running, 900), 1);
        assert_eq!(ttl(TaskStatus::Running, 901), 60);
        assert_eq!(ttl(TaskStatus::Running, -500), 60);
    }
}
