//! The body of `POST /api/tasks`.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::fold::shown_progress;
use shared::model::{Priority, ProjectId, Revision, Task, TaskId, TaskStatus, TaskType, Timestamp};

use crate::json_body::field_types::{Id, Message, Metadata, Name, NewProgress, Object, OneOf};
#[cfg(test)]
use crate::openapi::schemas;

/// A new task. A field that is null counts as absent.
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

impl NewTask {
    /// The task, created at `now`.
    pub(super) fn into_task(self, now: Timestamp) -> Task {
        let status = self.status.map_or(TaskStatus::Pending, OneOf::into_inner);
        let progress = self.progress.unwrap_or_default().into();
        Task {
            task_id: self.task_id.map_or_else(TaskId::random, Id::into_inner),
            task_name: self.task_name.into(),
            task_type: self.task_type.into_inner(),
            status,
            priority: self.priority.map(OneOf::into_inner),
            progress: shown_progress(progress, status),
            parts: BTreeMap::new(),
            run: now.to_string(),
            revision: Revision::default().next(),
            project_id: self.project_id.map(Id::into_inner),
            message: self.message.map(Into::into),
            phase: self.phase.map(Into::into),
            current_step: self.current_step.map(Into::into),
            log_group: None,
            log_stream: None,
            created_at: now,
            started_at: (status == TaskStatus::Running).then_some(now),
            updated_at: now,
            completed_at: status.is_terminal().then_some(now),
            duration_ms: None,
            usual_duration_ms: None,
            metadata: self.metadata.map(Into::into),
        }
    }
}
