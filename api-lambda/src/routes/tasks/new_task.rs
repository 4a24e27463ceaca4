//! The body of `POST /api/tasks`.

use serde::Deserialize;
use shared::fold::{CallerEdit, shown_progress};
use shared::model::{Priority, Progress, ProjectId, TaskId, TaskStatus, TaskType};
use shared::record::CallerFields;

use crate::json_body::field_types::{Id, Message, Metadata, Name, NewProgress, Object, OneOf};
#[cfg(test)]
use crate::openapi::schemas;

/// A new task, or the next run of one. A field that is null counts as absent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct NewTask {
    /// The id. The default is a new UUID.
    #[cfg_attr(test, schema(value_type = Option<schemas::Id>))]
    task_id: Option<Id<TaskId>>,
    /// The name for people.
    task_name: Name,
    /// The kind of work.
    #[cfg_attr(test, schema(value_type = schemas::TaskType))]
    task_type: OneOf<TaskType>,
    /// The status. The default is `pending`.
    #[cfg_attr(test, schema(value_type = Option<schemas::TaskStatus>))]
    status: Option<OneOf<TaskStatus>>,
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
    /// An object of the caller's own, at most 4,096 bytes of JSON.
    #[cfg_attr(test, schema(value_type = Option<Map<String, Value>>))]
    metadata: Option<Metadata>,
}

/// A run that a caller creates.
#[derive(Debug)]
pub(super) struct NewRun {
    pub(super) task_id: TaskId,
    pub(super) task_type: TaskType,
    /// The first values of the fields that the task's log can change.
    pub(super) edit: CallerEdit,
    /// The other fields.
    pub(super) fields: CallerFields,
}

impl NewTask {
    /// The run to create.
    pub(super) fn into_run(self) -> NewRun {
        let status = self.status.map_or(TaskStatus::Pending, OneOf::into_inner);
        let progress: Progress = self.progress.unwrap_or_default().into();
        let progress = shown_progress(progress, status);
        NewRun {
            task_id: self.task_id.map_or_else(TaskId::random, Id::into_inner),
            task_type: self.task_type.into_inner(),
            edit: CallerEdit {
                task_name: Some(self.task_name.into()),
                // A run without log lines is pending. If its log has begun before, it is not.
                status: Some(status).filter(|status| *status != TaskStatus::Pending),
                progress: Some(progress).filter(|progress| *progress != Progress::default()),
                message: self.message.map(|message| Some(message.into())),
                phase: self.phase.map(|phase| Some(phase.into())),
                current_step: self.current_step.map(|step| Some(step.into())),
            },
            fields: CallerFields {
                priority: self.priority.map(OneOf::into_inner),
                project_id: self.project_id.map(Id::into_inner),
                metadata: self.metadata.map(Into::into),
            },
        }
    }
}
