//! The task that a request makes.

use std::collections::BTreeMap;

use shared::fold::percentage_of;
use shared::model::{
    MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MAX_NAME_CHARS, Progress, Revision, Task, TaskId,
    TaskStatus, Timestamp,
};

use crate::fields::{Fields, TextRule};
use crate::problem::ApiError;

/// The longest `phase` and `current_step`, in characters.
const MAX_STEP_CHARS: usize = 256;

/// The task as `fields` have it, made at `now`.
pub(super) fn parse(mut fields: Fields, now: Timestamp) -> Result<Task, ApiError> {
    let task_id = fields.id("task_id");
    let task_name = fields.text("task_name", TextRule::Name(MAX_NAME_CHARS));
    let task_name = fields.require("task_name", task_name);
    let task_type = fields.parsed("task_type");
    let task_type = fields.require("task_type", task_type);
    let status = fields.parsed("status").unwrap_or(TaskStatus::Pending);
    let priority = fields.parsed("priority");
    let progress = fields.progress("progress").unwrap_or_default();
    let project_id = fields.id("project_id");
    let message = fields.text("message", TextRule::Message(MAX_MESSAGE_BYTES));
    let phase = fields.text("phase", TextRule::Name(MAX_STEP_CHARS));
    let current_step = fields.text("current_step", TextRule::Name(MAX_STEP_CHARS));
    let metadata = fields.object("metadata", MAX_METADATA_BYTES);
    fields.finish()?;
    let (Some(task_name), Some(task_type)) = (task_name, task_type) else {
        // `require` has noted what is missing, so `finish` has failed already.
        return Err(ApiError::InvalidFields(Vec::new()));
    };
    Ok(Task {
        task_id: task_id.unwrap_or_else(TaskId::random),
        task_name,
        task_type,
        status,
        priority,
        progress: shown(progress, status),
        parts: BTreeMap::new(),
        run: now.to_string(),
        revision: Revision::default().next(),
        project_id,
        message,
        phase,
        current_step,
        log_group: None,
        log_stream: None,
        created_at: now,
        started_at: (status == TaskStatus::Running).then_some(now),
        updated_at: now,
        completed_at: status.is_terminal().then_some(now),
        duration_ms: None,
        metadata,
    })
}

/// Progress with the percentage that follows from it; the given one counts only where none follows. 100 is
/// for completed tasks, and for these alone.
fn shown(progress: Progress, status: TaskStatus) -> Progress {
    let derived = progress
        .current
        .zip(progress.total)
        .and_then(|(current, total)| percentage_of(current, total));
    let percentage = match status {
        TaskStatus::Completed => Some(100),
        _ => derived.or(progress.percentage).map(|value| value.min(99)),
    };
    Progress {
        percentage,
        ..progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(current: u64, total: u64, status: TaskStatus, expected: Option<u8>) {
        let progress = Progress {
            current: Some(current),
            total: Some(total),
            percentage: None,
        };
        let shown = shown(progress, status);
        assert_eq!(shown.percentage, expected, "{current} of {total}");
    }

    #[test]
    fn a_percentage_is_rounded_down_and_full_only_at_the_end() {
        check(5, 29, TaskStatus::Running, Some(17));
        check(29, 29, TaskStatus::Running, Some(99));
        check(29, 29, TaskStatus::Failed, Some(99));
        check(28, 29, TaskStatus::Completed, Some(100));
        check(0, 0, TaskStatus::Running, None);
        check(u64::MAX, 1, TaskStatus::Running, Some(99));
        check(u64::MAX / 2, u64::MAX, TaskStatus::Running, Some(49));
    }

    #[test]
    fn a_given_percentage_counts_where_none_follows() {
        let given = Progress {
            percentage: Some(100),
            ..Progress::default()
        };
        assert_eq!(shown(given, TaskStatus::Running).percentage, Some(99));
        let none = shown(Progress::default(), TaskStatus::Pending);
        assert_eq!(none, Progress::default());
    }
}
