//! Invariants of every task, for tests and fuzzing.

use super::{
    MAX_CAUSE_BYTES, MAX_FAILURE_NAME_BYTES, MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MAX_NAME_CHARS,
    Task, TaskId, TaskStatus,
};

/// Checks that a task is within its limits and can be stored and shown.
///
/// # Panics
///
/// Panics if the check fails.
pub fn check(task: &Task) {
    let id: Result<TaskId, _> = task.task_id.as_str().parse();
    assert_eq!(id.as_ref(), Ok(&task.task_id));
    assert!((1..=MAX_NAME_CHARS).contains(&task.task_name.chars().count()));
    assert!(
        !task.task_name.contains(char::is_control),
        "{:?}",
        task.task_name
    );
    let messages = task.parts.values().map(|part| &part.message);
    for message in messages.chain([&task.message]).flatten() {
        assert!(message.len() <= MAX_MESSAGE_BYTES, "{message:?}");
    }
    for step in [&task.phase, &task.current_step].into_iter().flatten() {
        assert!(step.len() <= MAX_MESSAGE_BYTES, "{step:?}");
        assert!(!step.contains(char::is_control), "{step:?}");
    }
    let parts = task.parts.values().map(|part| (part.status, part.progress));
    for (status, progress) in parts.chain([(task.status, task.progress)]) {
        let most = if status == TaskStatus::Completed {
            100
        } else {
            99
        };
        assert!(progress.percentage.is_none_or(|share| share <= most));
    }
    assert_eq!(task.completed_at.is_some(), task.status.is_terminal());
    if let Some(failure) = &task.failure {
        assert!(!task.status.is_terminal() || task.status == TaskStatus::Failed);
        assert!(failure.cause.len() <= MAX_CAUSE_BYTES, "{failure:?}");
        let names = [&failure.resource, &failure.resource_type, &failure.part];
        for name in names.into_iter().flatten() {
            assert!(name.len() <= MAX_FAILURE_NAME_BYTES, "{failure:?}");
        }
        assert!(failure.context.len() <= 5, "{failure:?}");
    }
    let metadata = serde_json::to_vec(&task.metadata).expect("a JSON value can be serialized");
    assert!(metadata.len() <= MAX_METADATA_BYTES);
    let json = serde_json::to_vec(task).expect("a task can be serialized");
    let stored: Task = serde_json::from_slice(&json).expect("a serialized task can be read");
    assert_eq!(stored, *task);
}
