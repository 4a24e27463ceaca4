//! How long the cache may keep what was rendered.

use std::time::Duration;

use crate::model::{Revision, Task, Timestamp};
use crate::view::Renderer;

/// How long the cache keeps a task that has ended.
const TERMINAL_TTL: Duration = Duration::from_secs(3600);
/// The longest time that the cache keeps any other task.
const LIVE_TTL: Duration = Duration::from_secs(60);
/// The shortest time that the cache keeps a task.
const LEAST_TTL: Duration = Duration::from_secs(1);

/// How long the mark of a deleted task is kept: longer than a slow reader takes.
pub(super) const DELETED_TTL: Duration = Duration::from_secs(60);
/// How the mark of a deleted task begins.
pub(super) const DELETED_BEGIN: &[u8] = br#"{"deleted":true,"#;

/// The mark of a deleted task in the cache. It keeps a slow reader from putting the task back.
pub(super) fn deleted_mark(revision: Revision) -> Vec<u8> {
    let mut mark = DELETED_BEGIN.to_vec();
    mark.extend_from_slice(format!(r#""revision":{revision}}}"#).as_bytes());
    mark
}

/// How long the bytes of `task`, rendered at `now`, may be kept: an hour once the task has ended. Otherwise
/// at most a minute, and not past the moment when its view changes (but at least a second).
pub(super) fn cache_ttl(renderer: &Renderer, task: &Task, now: Timestamp) -> Duration {
    if task.status.is_terminal() {
        return TERMINAL_TTL;
    }
    match renderer.until_view_changes(task, now) {
        Some(left) => left.clamp(LEAST_TTL, LIVE_TTL),
        None => LIVE_TTL,
    }
}

/// Until when a page of `tasks`, rendered at `now`, stays true if none of them is written: at most `most`
/// from now.
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
    fn no_bytes_outlive_the_moment_a_task_turns_stale() {
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
