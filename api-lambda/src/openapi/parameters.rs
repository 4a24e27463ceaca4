//! Parameters in paths, queries and headers.

#![allow(dead_code, reason = "only the derived parameters read these fields")]

use utoipa::IntoParams;

use super::schemas::{Id, Moment, RecordId, TaskStatus, TaskType};

/// Filters of a list of tasks.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskFilters {
    /// Only tasks with one of these statuses. Repeat the parameter, or separate values by commas.
    #[param(explode = true, style = Form, required = false)]
    status: Vec<TaskStatus>,
    /// Only tasks of one of these types. Repeat the parameter, or separate values by commas.
    #[param(explode = true, style = Form, required = false)]
    task_type: Vec<TaskType>,
    /// Only tasks with this text in their name or id, in upper or lower case.
    #[param(min_length = 1, max_length = 256, required = false)]
    q: String,
    /// Only runs that began at this time or later.
    #[param(required = false)]
    from: Moment,
    /// Only runs that began before this time.
    #[param(required = false)]
    to: Moment,
}

/// A filter by project.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProjectFilter {
    /// Only tasks of this project.
    #[param(required = false)]
    project_id: Id,
}

/// A page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// The largest number of entries in the page.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: u32,
    /// The `next_cursor` of the previous page. The filters must be the same.
    #[param(max_length = 1024, required = false)]
    cursor: String,
}

/// A part of a history.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Period {
    /// Only changes at this time or later.
    #[param(required = false)]
    from: Moment,
    /// Only changes at this time or earlier.
    #[param(required = false)]
    to: Moment,
}

/// The task in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TaskPath {
    /// The id of the task.
    #[param(example = "build-7")]
    task_id: Id,
}

/// The task or the run in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RunPath {
    /// The id of the task, which stands for its newest run, or the `run_id` of one run.
    #[param(example = "build-7")]
    task_id: RecordId,
}

/// The task that someone watches.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WatchedTask {
    /// A task, or the `run_id` of one of its runs.
    #[param(required = false, example = "build-7")]
    task_id: RecordId,
}

/// The project in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ProjectPath {
    /// The id of the project.
    #[param(example = "shop")]
    project_id: Id,
}

/// The log stream of lines, and what is known about it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogStream {
    /// The name of the log stream. Its lines are those of the task `run:<stream>`, unless they name tasks. Needed unless
    /// `task_id` is given.
    #[param(
        min_length = 1,
        max_length = 512,
        required = false,
        example = "nightly-build"
    )]
    stream: String,
    /// The task of the lines.
    #[param(required = false)]
    task_id: Id,
    /// One command from its start to its exit: a UUID. Each session is a run, and only a record with `exit_code` or `signal`
    /// ends it. Without a session, the lines are added to what the stream has.
    #[param(
        pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        required = false
    )]
    session: String,
    /// The number of this request in its session, from 0. Needed with `session`.
    #[param(minimum = 0, maximum = 4_294_967_295_u32, required = false)]
    sequence: u32,
    /// The project of the task; read with the first request of a session.
    #[param(required = false)]
    project_id: Id,
    /// The name of the task; read with the first request of a session.
    #[param(min_length = 1, max_length = 256, required = false)]
    name: String,
    /// The format of the lines. Without it, each line is read as what it looks like.
    #[param(pattern = "^(cdk|agent)$", required = false)]
    format: String,
}

/// A conditional read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfNoneMatchHeader {
    /// Entity tags that the client has. The answer is 304 if one of them is the present one. While
    /// the database is unreachable, it is also 304 if the client has a later state of the task than
    /// the cache.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: String,
}

/// A conditional change.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatchHeader {
    /// Entity tags, or `*`. Nothing is changed unless one of them is the present one.
    #[param(rename = "If-Match", required = false)]
    if_match: String,
}

/// A request that can be repeated.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyKeyHeader {
    /// A key of the client's choice. For 24 hours, a repeated request with this key gets the first
    /// answer again.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]([\\t -~]*[!-~])?$",
        required = false
    )]
    idempotency_key: String,
}
