//! What a PATCH makes of a task: a JSON merge patch (RFC 7396) of the fields that callers may change.

use serde_json::{Map, Value, json};
use shared::fold::{CallerEdit, InvalidTransition};
use shared::model::{
    MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MAX_NAME_CHARS, Priority, ProjectId, Task, Timestamp,
};

use super::new_task::MAX_STEP_CHARS;
use crate::fields::{Fields, TextRule};
use crate::problem::ApiError;

/// A change that was asked for.
#[derive(Debug)]
pub(super) struct Change {
    /// What logs speak of, too.
    pub(super) edit: CallerEdit,
    priority: Option<Priority>,
    project_id: Option<ProjectId>,
    metadata: Option<Map<String, Value>>,
}

impl Change {
    /// The change that `patch` is to `task`.
    ///
    /// # Errors
    ///
    /// What is wrong with the fields of the patch, or of what it would make of the task's.
    pub(super) fn parse(patch: Fields, task: &Task) -> Result<Self, ApiError> {
        let mut fields = patch.merged_into(document(task));
        let task_name = fields.text("task_name", TextRule::Name(MAX_NAME_CHARS));
        let task_name = fields.require("task_name", task_name);
        let status = fields.parsed("status");
        let status = fields.require("status", status);
        let priority = fields.parsed("priority");
        let progress = fields.progress("progress").unwrap_or_default();
        let project_id = fields.id("project_id");
        let message = fields.text("message", TextRule::Message(MAX_MESSAGE_BYTES));
        let phase = fields.text("phase", TextRule::Name(MAX_STEP_CHARS));
        let current_step = fields.text("current_step", TextRule::Name(MAX_STEP_CHARS));
        let metadata = fields.object("metadata", MAX_METADATA_BYTES);
        fields.finish()?;
        let edit = CallerEdit {
            task_name: task_name.filter(|name| *name != task.task_name),
            status: status.filter(|status| *status != task.status),
            progress: (progress != task.progress).then_some(progress),
            message: (message != task.message).then_some(message),
            phase: (phase != task.phase).then_some(phase),
            current_step: (current_step != task.current_step).then_some(current_step),
        };
        Ok(Self {
            edit,
            priority,
            project_id,
            metadata,
        })
    }

    /// `task` as the change, made at `now`, leaves it. Of the same revision if that is the same.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] if the task can't become what it is to be.
    pub(super) fn apply(&self, task: &Task, now: Timestamp) -> Result<Task, InvalidTransition> {
        let mut next = self.edit.apply(task, now)?;
        next.priority = self.priority;
        next.project_id.clone_from(&self.project_id);
        next.metadata.clone_from(&self.metadata);
        if next != *task {
            next.updated_at = CallerEdit::time(task, now);
            next.revision = task.revision.next();
        }
        Ok(next)
    }
}

/// The fields that a caller may change, as they are. What is absent is `null`.
fn document(task: &Task) -> Map<String, Value> {
    let document = json!({
        "task_name": task.task_name,
        "status": task.status,
        "priority": task.priority,
        "progress": task.progress,
        "project_id": task.project_id,
        "message": task.message,
        "phase": task.phase,
        "current_step": task.current_step,
        "metadata": task.metadata,
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(), // never: it was written as an object
    }
}
