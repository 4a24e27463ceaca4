//! The task that a request makes.

use std::collections::BTreeMap;

use shared::fold::shown_progress;
use shared::model::{
    MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MAX_NAME_CHARS, Revision, Task, TaskId, TaskStatus,
    Timestamp,
};

use crate::fields::{Fields, TextRule};
use crate::problem::ApiError;

/// The longest `phase` and `current_step`, in characters.
pub(super) const MAX_STEP_CHARS: usize = 256;

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
        progress: shown_progress(progress, status),
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
        usual_duration_ms: None,
        metadata,
    })
}
