//! Parameters of paths, queries and headers.

use serde::Serialize;
use utoipa::IntoParams;

use super::schemas::{Id, Moment, TaskStatus, TaskType};

/// Which tasks.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskFilters {
    /// Of these statuses: repeated, or with commas between.
    #[param(explode = true, style = Form, required = false)]
    status: Vec<TaskStatus>,
    /// Of these types: repeated, or with commas between.
    #[param(explode = true, style = Form, required = false)]
    task_type: Vec<TaskType>,
    /// Whose name begins so; upper and lower case count.
    #[param(min_length = 1, max_length = 256, required = false)]
    q: String,
    /// Changed later than this.
    #[param(required = false)]
    updated_after: Moment,
}

/// Of which project tasks are.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfProject {
    /// Of this project.
    #[param(required = false)]
    project_id: Id,
}

/// Which page of a list.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: u32,
    /// Where to go on: the `next_cursor` of the page before, with the same filters.
    #[param(max_length = 1024, required = false)]
    cursor: String,
}

/// Which part of a history.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Period {
    /// Not earlier than this.
    #[param(required = false)]
    from: Moment,
    /// Not later than this.
    #[param(required = false)]
    to: Moment,
}

/// Which task.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TaskPath {
    /// Of the task.
    #[param(example = "build-7")]
    task_id: Id,
}

/// Which project.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ProjectPath {
    /// Of the project.
    #[param(example = "shop")]
    project_id: Id,
}

/// What the client has.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Known {
    /// Tags of what the client has already: it is answered 304 if that is the present state, or a later one of a task
    /// than is known while the store can't be reached.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: String,
}

/// On what a change builds.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Expected {
    /// Tags, one of which must be that of the present state, or `*`; otherwise nothing is changed.
    #[param(rename = "If-Match", required = false)]
    if_match: String,
}

/// Which request.
#[derive(Serialize, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Repeatable {
    /// Makes it safe to repeat the request for 24 hours: the answer is then the first one.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]([\\t -~]*[!-~])?$",
        required = false
    )]
    idempotency_key: String,
}
