//! Schemas of responses, and of values that requests and responses share.
//!
//! `shared::model` knows nothing of OpenAPI. The schemas repeat its fields, and a test compares
//! both.

#![allow(dead_code, reason = "only the derived schemas read these fields")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::openapi::schema::{OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::text_schema::{text, text_schema, words};
use crate::json_body::field_types::{Message, Name, Prefix};

pub(crate) struct Id;
pub(crate) struct RecordId;
pub(crate) struct RunId;
pub(crate) struct Timestamp;
pub(crate) struct TaskType;
pub(crate) struct TaskStatus;
pub(crate) struct TodoStatus;
pub(crate) struct Priority;
pub(crate) struct ProjectStatus;

/// The id of a task that can be a segment of a path.
const PATH_ID: &str = r"[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}|\.[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,126}|\.\.[A-Za-z0-9._:-]{1,126}";
/// The time in the id of a run: a date that exists, from 1970 on.
const RUN_TIME: &str = r"((19[7-9]\d|[2-9]\d{3})((0[13578]|1[02])(0[1-9]|[12]\d|3[01])|(0[469]|11)(0[1-9]|[12]\d|30)|02(0[1-9]|1\d|2[0-8]))|(19(7[26]|8[048]|9[26])|[2-9]\d(0[48]|[2468][048]|[13579][26])|(2[048]|3[26]|[468][048]|[579][26])00)0229)T([01]\d|2[0-3])([0-5]\d){2}\.\d{3}Z";

text_schema! {
    /// An id. It can be a segment of a path, so `.` and `..` are not allowed.
    Id = text(1, 128)
        .pattern(Some(r"^([A-Za-z0-9_:-]|\.[A-Za-z0-9_:-]|\.\.[A-Za-z0-9._:-])[A-Za-z0-9._:-]*$"));
    /// The id of a task, or of one of its runs.
    RecordId = text(1, 149).pattern(Some(format!("^({PATH_ID})(@{RUN_TIME})?$")));
    /// The id of a run: the id of the task, `@`, and the time at which the run began.
    RunId = text(22, 149).pattern(Some(format!("^[A-Za-z0-9._:-]{{1,128}}@{RUN_TIME}$")));
    /// A time in UTC, with milliseconds.
    Timestamp = date_time().pattern(Some(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"));
    /// The kind of work.
    TaskType = words(&["cdk_deploy", "agent_execution", "build", "other"]);
    /// The status of a task or a part. The last four are terminal: only a new run changes them.
    TaskStatus = words(&["pending", "running", "blocked", "completed", "failed", "cancelled", "ended"]);
    /// How far an item of a to-do list is. What was cancelled is `done` too.
    TodoStatus = words(&["pending", "in_progress", "done"]);
    /// The priority, `P0` highest.
    Priority = words(&["P0", "P1", "P2", "P3"]);
    /// The status of a project.
    ProjectStatus = words(&["active", "paused", "completed", "archived"]);
}

/// A line of a log.
#[derive(ToSchema)]
pub(crate) struct LogLine {
    /// Its time.
    timestamp: Timestamp,
    /// Its text as it was sent, at most 500 bytes. It may have control characters.
    #[schema(max_length = 500)]
    text: String,
}

/// Lines of a log, or records: one JSON object in each line.
pub(crate) struct LogLines;

impl PartialSchema for LogLines {
    fn schema() -> RefOr<Schema> {
        let lines = ObjectBuilder::new().schema_type(Type::String);
        lines.into()
    }
}

impl ToSchema for LogLines {}

fn date_time() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(format))
}

/// A time in a query.
pub(crate) struct Moment;

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let milliseconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0))
            .maximum(Some(253_402_300_799_999_u64))
            .description(Some("Milliseconds since 1970-01-01T00:00:00Z"));
        let either = OneOfBuilder::new().item(date_time()).item(milliseconds);
        RefOr::T(Schema::OneOf(either.build()))
    }
}

impl ToSchema for Moment {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }
}

/// How far something is. Unknown values are null.
#[derive(ToSchema)]
pub(crate) struct Progress {
    /// Steps done. May exceed `total`, which can be an estimate.
    #[schema(required = true, minimum = 0)]
    current: Option<u64>,
    /// Steps in total.
    #[schema(required = true, minimum = 0)]
    total: Option<u64>,
    /// Rounded down. 100 only when completed. It never falls while the run goes forward.
    #[schema(required = true, minimum = 0, maximum = 100)]
    percentage: Option<u8>,
}

/// One stack of a CDK run.
#[derive(ToSchema)]
pub(crate) struct Part {
    /// Steps done.
    #[schema(required = true, minimum = 0)]
    current: Option<u64>,
    /// Steps in total.
    #[schema(required = true, minimum = 0)]
    total: Option<u64>,
    /// Rounded down.
    #[schema(required = true, minimum = 0, maximum = 100)]
    percentage: Option<u8>,
    /// The status of the stack.
    status: TaskStatus,
    /// The phase: `deploying`, `rolling_back`, `rolled_back`, `destroying`, …
    #[schema(required = true)]
    phase: Option<String>,
    /// The latest significant log line. If the stack failed, the reason.
    #[schema(required = true)]
    message: Option<String>,
    /// When the latest run of the stack started.
    #[schema(required = false)]
    started_at: Timestamp,
    /// When that run ended.
    #[schema(required = false)]
    completed_at: Timestamp,
}

/// Who started a run, and from what. What is unknown is left out.
#[derive(ToSchema)]
pub(crate) struct Context {
    /// The person or the system that started it.
    #[schema(required = false, min_length = 1, max_length = 256)]
    actor: String,
    /// The repository: `shop/website`.
    #[schema(required = false, min_length = 1, max_length = 256)]
    repository: String,
    /// The commit.
    #[schema(required = false, min_length = 1, max_length = 256)]
    commit: String,
    /// The branch or the tag.
    #[schema(required = false, min_length = 1, max_length = 256)]
    branch: String,
    /// The pull request: its number or its address.
    #[schema(required = false, min_length = 1, max_length = 256)]
    pull_request: String,
    /// The address of the job in the CI system.
    #[schema(required = false, min_length = 1, max_length = 256)]
    ci_url: String,
}

/// The agent of a run, and what it has used since the start of the run. What is unknown is left out.
#[derive(ToSchema)]
pub(crate) struct Agent {
    /// Its name.
    #[schema(required = false)]
    name: String,
    /// The language model.
    #[schema(required = false)]
    model: String,
    /// Tokens that the model read. Some agents count cached tokens here, some do not.
    #[schema(required = false, minimum = 0)]
    input_tokens: u64,
    /// Tokens that the model wrote.
    #[schema(required = false, minimum = 0)]
    output_tokens: u64,
    /// Tokens that were read from the cache of the provider.
    #[schema(required = false, minimum = 0)]
    cached_tokens: u64,
    /// The cost in US dollars.
    #[schema(required = false, minimum = 0)]
    cost_usd: f64,
    /// Requests to the model, as the agent counts them.
    #[schema(required = false, minimum = 0)]
    turns: u64,
    /// The tool that it uses, or used last.
    #[schema(required = false)]
    tool: String,
    /// What it asks a person for, while the task is blocked.
    #[schema(required = false)]
    waiting_for: String,
    /// Its newest to-do list. Lists leave it out.
    #[schema(required = false, min_items = 1, max_items = 50)]
    todos: Vec<TodoItem>,
}

/// An item of an agent's to-do list.
#[derive(ToSchema)]
pub(crate) struct TodoItem {
    /// The words of the item: at most 160 bytes.
    #[schema(max_length = 160)]
    text: String,
    /// How far it is.
    status: TodoStatus,
}

/// Where the log of a run is.
#[derive(ToSchema)]
pub(crate) struct Source {
    /// The AWS region of its log group.
    #[schema(min_length = 1)]
    region: String,
    /// The page of CloudWatch Logs that shows it.
    #[schema(min_length = 1)]
    url: String,
}

/// Why a run failed, or why it rolls back: the first cause.
#[derive(ToSchema)]
pub(crate) struct Failure {
    /// What went wrong, as the log says it. At most 512 bytes.
    #[schema(max_length = 512)]
    cause: String,
    /// The resource that failed: its logical id, or the name that CDK prints.
    #[schema(required = false, max_length = 256)]
    resource: String,
    /// The type of that resource: `AWS::SQS::Queue`.
    #[schema(required = false, max_length = 256)]
    resource_type: String,
    /// The part that failed.
    #[schema(required = false, max_length = 256)]
    part: String,
    /// The lines before the first line that reports it, oldest first. Lists leave them out.
    #[schema(required = false, max_items = 5)]
    context: Vec<String>,
    /// When the log or a caller says it.
    at: Timestamp,
}

/// One run of a deploy or of an agent, and its progress. Optional fields are left out when unknown.
#[derive(ToSchema)]
pub(crate) struct Task {
    /// Chosen by the caller or taken from the log; otherwise a UUID.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$")]
    task_id: String,
    /// The name for people.
    #[schema(max_length = 256)]
    task_name: String,
    /// The kind of work.
    task_type: TaskType,
    /// The status.
    status: TaskStatus,
    /// The priority.
    #[schema(required = false)]
    priority: Priority,
    /// The progress.
    progress: Progress,
    /// The stacks of a CDK run or the sub-agents of an agent, by name. Lists leave them out.
    #[schema(required = false)]
    parts: BTreeMap<String, Part>,
    /// What the agent of the run tells about itself.
    #[schema(required = false)]
    agent: Agent,
    /// Who started the run, and from what.
    #[schema(required = false)]
    context: Context,
    /// Identifies the run among those of the task: the time of its first event.
    run: Timestamp,
    /// The id of the run. It stays the same when later runs begin.
    run_id: RunId,
    /// `true` if a later run of the task has begun. Then only `run_id` names this run.
    #[schema(required = false)]
    earlier: bool,
    /// How often the end of the run turned out to be another one, or none.
    #[schema(required = false, minimum = 1)]
    corrections: u64,
    /// `true` if the end is assumed, because the log has been silent for long or a later run began.
    /// A later line takes it back.
    #[schema(required = false)]
    assumed: bool,
    /// The number of writes of the run.
    #[schema(minimum = 1)]
    revision: u64,
    /// The project it belongs to.
    #[schema(
        required = false,
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9._:-]+$"
    )]
    project_id: String,
    /// The latest significant log line. If the task failed, the reason. At most 1,024 bytes.
    #[schema(required = false, max_length = 1024)]
    message: String,
    /// Why the run failed, or why it rolls back.
    #[schema(required = false)]
    failure: Failure,
    /// The phase: `deploying`, `rolling_back`, `rolled_back`, or the text that an agent reports.
    #[schema(required = false)]
    phase: String,
    /// The step that an agent reports.
    #[schema(required = false)]
    current_step: String,
    /// The log group of the run.
    #[schema(required = false)]
    log_group: String,
    /// The log stream of the run.
    #[schema(required = false)]
    log_stream: String,
    /// Where the log is, if it is in CloudWatch Logs. Lists and live push leave it out.
    #[schema(required = false)]
    source: Source,
    /// When a caller created the run, or the time of its first event.
    created_at: Timestamp,
    /// When the run started.
    #[schema(required = false)]
    started_at: Timestamp,
    /// The time of the last event that changed it.
    updated_at: Timestamp,
    /// When the run ended.
    #[schema(required = false)]
    completed_at: Timestamp,
    /// The time from the start to the end, or to the last event so far.
    #[schema(required = false, minimum = 0)]
    duration_ms: u64,
    /// The usual duration of similar runs.
    #[schema(required = false, minimum = 0)]
    usual_duration_ms: u64,
    /// An object of the caller's own, at most 4,096 bytes of JSON. Lists leave it out beyond 1,024
    /// bytes.
    #[schema(required = false)]
    metadata: Map<String, Value>,
    /// Whether the task is running but has had no event for too long.
    stale: bool,
    /// The estimated time of the end.
    #[schema(required = false)]
    eta: Timestamp,
}

/// A page of tasks, newest first.
#[derive(ToSchema)]
pub(crate) struct TaskPage {
    #[schema(max_items = 200)]
    tasks: Vec<Task>,
    /// The `cursor` of the next page, or null on the last page. A short or empty page can have a
    /// next page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// A page of the runs of a task, newest first.
#[derive(ToSchema)]
pub(crate) struct RunPage {
    #[schema(max_items = 200)]
    runs: Vec<Task>,
    /// The `cursor` of the next page, or null on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// One change of the progress of a run.
#[derive(ToSchema)]
pub(crate) struct HistoryEntry {
    /// The time of the change.
    timestamp: Timestamp,
    /// The run in which the change happened.
    run: Timestamp,
    /// The revision of the run after the change.
    #[schema(minimum = 1)]
    revision: u64,
    /// The status after the change.
    status: TaskStatus,
    /// The progress after the change.
    progress: Progress,
    /// The phase after the change.
    #[schema(required = false)]
    phase: String,
    /// The message after the change.
    #[schema(required = false)]
    message: String,
}

/// A page of the history of a run, oldest first.
#[derive(ToSchema)]
pub(crate) struct HistoryPage {
    #[schema(max_items = 200)]
    history: Vec<HistoryEntry>,
    /// The `cursor` of the next page, or null on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Tasks that belong together.
#[derive(ToSchema)]
pub(crate) struct Project {
    /// The id.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$")]
    project_id: String,
    /// The name for people.
    project_name: Name,
    /// What the project is about.
    #[schema(required = false)]
    description: Message,
    /// The status.
    status: ProjectStatus,
    /// The person or team responsible.
    #[schema(required = false)]
    owner: Name,
    /// A task belongs to the project if its stack or log stream starts with one of these prefixes.
    #[schema(required = false, max_items = 20)]
    r#match: Vec<Prefix>,
    /// The number of writes of the project, not counting metrics.
    #[schema(minimum = 1)]
    revision: u64,
    /// Exact counts of the tasks.
    metrics: Metrics,
    /// When the project was created.
    created_at: Timestamp,
    /// When the project was last changed, not counting metrics.
    updated_at: Timestamp,
}

/// Counts of the tasks of a project, or of all tasks.
#[derive(ToSchema)]
pub(crate) struct Metrics {
    /// The number of tasks.
    #[schema(minimum = 0)]
    total_tasks: u64,
    #[schema(minimum = 0)]
    pending: u64,
    #[schema(minimum = 0)]
    running: u64,
    #[schema(minimum = 0)]
    blocked: u64,
    #[schema(minimum = 0)]
    completed: u64,
    #[schema(minimum = 0)]
    failed: u64,
    #[schema(minimum = 0)]
    cancelled: u64,
    /// Tasks that stopped talking and never said how they went.
    #[schema(minimum = 0)]
    ended: u64,
    /// Completed tasks divided by completed and failed tasks. Null until the first such task ends.
    #[schema(required = true, minimum = 0, maximum = 1)]
    success_rate: Option<f64>,
    /// The mean duration of completed tasks. Null until the first task completes.
    #[schema(required = true, minimum = 0)]
    avg_duration_ms: Option<u64>,
}

/// All projects, sorted by id.
#[derive(ToSchema)]
pub(crate) struct ProjectPage {
    projects: Vec<Project>,
}

/// What needs attention, and counts of everything.
#[derive(ToSchema)]
pub(crate) struct Overview {
    /// Blocked runs; then runs that have failed within 24 hours; then running ones that are `stale`,
    /// with their last event within 24 hours. Failed and stale ones have begun within 7 days. They are
    /// as in lists.
    #[schema(max_items = 50)]
    attention: Vec<Task>,
    /// Exact counts of all tasks.
    counts: Metrics,
    /// All projects, sorted by id.
    projects: Vec<Project>,
}

/// The API process runs.
#[derive(ToSchema)]
pub(crate) struct Health {
    #[schema(pattern = "^healthy$")]
    status: String,
}

/// The state of the services that the API needs.
#[derive(ToSchema)]
pub(crate) struct Readiness {
    #[schema(pattern = "^ready$")]
    status: String,
    dynamodb: PartHealth,
    redis: PartHealth,
}

/// The state of one service.
#[derive(ToSchema)]
pub(crate) struct PartHealth {
    /// `disabled` if the API runs without the service.
    #[schema(pattern = "^(ok|down|disabled)$")]
    status: String,
    /// The time until the service answered, or until the API gave up.
    #[schema(required = true, minimum = 0)]
    latency_ms: Option<u64>,
}

/// An error (RFC 9457). The `type` is stable.
#[derive(ToSchema)]
pub(crate) struct Problem {
    #[schema(pattern = "^/problems/[a-z-]+$")]
    r#type: String,
    /// The type as a text for people.
    title: String,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Describes the error in this case, for people.
    detail: String,
    /// The path of the request.
    instance: String,
    /// The same id as in the header `X-Request-Id`.
    request_id: String,
    /// Every wrong field, parameter or header.
    #[schema(required = false, min_items = 1, max_items = 20)]
    errors: Vec<FieldError>,
}

/// One wrong field, parameter or header.
#[derive(ToSchema)]
pub(crate) struct FieldError {
    /// The name. Nested names look like `progress.total` and `match[3]`. Empty for the whole body.
    field: String,
    /// What the value must be.
    detail: String,
}
