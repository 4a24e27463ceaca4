//! The body of `PATCH /api/tasks/{task_id}`.

use serde::Deserialize;
use shared::fold::{CallerEdit, InvalidTransition};
use shared::model::{Priority, Progress, ProjectId, Task, TaskStatus};
use shared::record::CallerFields;

use crate::json_body::field_types::{Id, Message, Metadata, Name, NewProgress, Object, OneOf};
#[cfg(test)]
use crate::openapi::schemas;

/// A change of a task: a JSON merge patch (RFC 7396). Absent fields stay as they are, null removes
/// a value, and objects are merged.
// The handler merges the patch into the task first. So every field has its value after the change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct TaskPatch {
    /// The name for people.
    #[cfg_attr(test, schema(required = false))]
    task_name: Name,
    /// The new status. A terminal status can't change, and a running task can't become pending.
    #[cfg_attr(test, schema(value_type = schemas::TaskStatus, required = false))]
    status: OneOf<TaskStatus>,
    /// The priority.
    #[cfg_attr(test, schema(value_type = Option<schemas::Priority>))]
    priority: Option<OneOf<Priority>>,
    /// The progress.
    #[cfg_attr(test, schema(value_type = Option<NewProgress>))]
    progress: Option<Object<NewProgress>>,
    /// The project of the task. It need not exist yet.
    #[cfg_attr(test, schema(value_type = Option<schemas::Id>))]
    project_id: Option<Id<ProjectId>>,
    /// What happened last.
    message: Option<Message>,
    /// The phase of the work.
    phase: Option<Name>,
    /// The present step of the work.
    current_step: Option<Name>,
    /// An object of the caller's own, at most 4,096 bytes of JSON after the merge.
    #[cfg_attr(test, schema(value_type = Option<Map<String, Value>>))]
    metadata: Option<Metadata>,
}

impl TaskPatch {
    /// What the patch changes: the part that the task's log can override later, and the caller's own
    /// fields. `None` if nothing changes.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] if the status of the task can't become the new one.
    pub(super) fn applied_to(
        self,
        task: &Task,
    ) -> Result<Option<(CallerEdit, CallerFields)>, InvalidTransition> {
        let task_name: String = self.task_name.into();
        let progress: Progress = self.progress.unwrap_or_default().into();
        let message = self.message.map(String::from);
        let phase = self.phase.map(String::from);
        let current_step = self.current_step.map(String::from);
        let edit = CallerEdit {
            task_name: (task_name != task.task_name).then_some(task_name),
            status: Some(self.status.into_inner()),
            progress: (progress != task.progress).then_some(progress),
            message: (message != task.message).then_some(message),
            phase: (phase != task.phase).then_some(phase),
            current_step: (current_step != task.current_step).then_some(current_step),
        };
        let mut edit = edit.of_task(task)?;
        // The progress may be the same as it is shown.
        edit.progress = edit.progress.filter(|shown| *shown != task.progress);
        let fields = CallerFields {
            priority: self.priority.map(OneOf::into_inner),
            project_id: self.project_id.map(Id::into_inner),
            metadata: self.metadata.map(Into::into),
        };
        let is_unchanged = edit == CallerEdit::default() && fields == CallerFields::of(task);
        Ok((!is_unchanged).then_some((edit, fields)))
    }
}
