//! Schemas of what is sent and answered. Those of records mirror `shared::model`, which knows nothing of this;
//! a test holds the two together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use shared::model::{MAX_MESSAGE_BYTES, MAX_NAME_CHARS};
use utoipa::openapi::schema::{OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::routes::projects::{MAX_DESCRIPTION_BYTES, MAX_PREFIX_CHARS};

/// Texts that mean something: each a schema of its own.
macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident = $schema:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Serialize)]
            pub(crate) struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let description = concat!($($doc, "\n"),+).trim();
                    let schema: ObjectBuilder = $schema;
                    RefOr::T(Schema::Object(schema.description(Some(description)).build()))
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )+
    };
}

fn text(least: usize, most: usize) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.min_length(Some(least).filter(|least| *least > 0))
        .max_length(Some(most))
}

/// Not blank, and without control characters.
fn name(most: usize) -> ObjectBuilder {
    let pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
    text(1, most).pattern(Some(pattern))
}

fn words(values: &[&str]) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.enum_values(Some(values.iter().copied()))
}

fn moment() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(format))
}

texts! {
    /// An id: a word that a path can hold. A dot or two are none.
    Id = text(1, 128)
        .pattern(Some(r"^([A-Za-z0-9_:-]|\.[A-Za-z0-9_:-]|\.\.[A-Za-z0-9._:-])[A-Za-z0-9._:-]*$"));
    /// A name for people.
    Name = name(MAX_NAME_CHARS);
    /// A text of at most 1,024 bytes in UTF-8.
    Message = text(0, MAX_MESSAGE_BYTES.min(MAX_DESCRIPTION_BYTES));
    /// A prefix of stack names and log streams.
    Prefix = name(MAX_PREFIX_CHARS);
    /// A moment in UTC, with milliseconds.
    Timestamp = moment().pattern(Some(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"));
    /// What kind of work a task is.
    TaskType = words(&["cdk_deploy", "agent_execution", "build", "other"]);
    /// Where a task, or a part of one, stands. The last three are ends, which only a later run leaves.
    TaskStatus = words(&["pending", "running", "blocked", "completed", "failed", "cancelled"]);
    /// How urgent a task is, `P0` first.
    Priority = words(&["P0", "P1", "P2", "P3"]);
    /// Whether work on a project goes on.
    ProjectStatus = words(&["active", "paused", "completed", "archived"]);
}

/// A moment, as it may be asked for.
#[derive(Serialize)]
pub(crate) struct Moment;

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let milliseconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0))
            .maximum(Some(253_402_300_799_999_u64))
            .description(Some("Milliseconds since 1970"));
        let either = OneOfBuilder::new().item(moment()).item(milliseconds);
        RefOr::T(Schema::OneOf(either.build()))
    }
}

impl ToSchema for Moment {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }
}

/// How far something is. What is not known is null.
#[derive(Serialize, ToSchema)]
pub(crate) struct Progress {
    /// Steps done; may exceed `total`, which can be an estimate.
    #[schema(required = true, minimum = 0)]
    current: Option<u64>,
    /// Steps in all.
    #[schema(required = true, minimum = 0)]
    total: Option<u64>,
    /// Rounded down; 100 only once completed, and never falling while a run goes forward.
    #[schema(required = true, minimum = 0, maximum = 100)]
    percentage: Option<u8>,
}

/// One stack of a CDK run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Part {
    /// Steps done.
    #[schema(required = true, minimum = 0)]
    current: Option<u64>,
    /// Steps in all.
    #[schema(required = true, minimum = 0)]
    total: Option<u64>,
    /// Rounded down.
    #[schema(required = true, minimum = 0, maximum = 100)]
    percentage: Option<u8>,
    /// Where the stack stands.
    status: TaskStatus,
    /// What is being done: `deploying`, `rolling_back`, `rolled_back`, `destroying`, …
    #[schema(required = true)]
    phase: Option<String>,
    /// The last line that mattered; the reason, when failed.
    #[schema(required = true)]
    message: Option<String>,
    /// When its latest run began.
    #[schema(required = false)]
    started_at: Timestamp,
    /// When that run ended.
    #[schema(required = false)]
    completed_at: Timestamp,
}

/// One run of a deploy or of an agent, and how far it is. Fields that are not required are left out where they
/// are not known.
#[derive(Serialize, ToSchema)]
pub(crate) struct Task {
    /// Given by the caller or the log; or a UUID.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$")]
    task_id: String,
    /// For people.
    #[schema(max_length = 256)]
    task_name: String,
    /// What kind of work it is.
    task_type: TaskType,
    /// Where it stands.
    status: TaskStatus,
    /// How urgent it is.
    #[schema(required = false)]
    priority: Priority,
    /// How far it is.
    progress: Progress,
    /// The stacks of a CDK run, by name.
    #[schema(required = false)]
    parts: BTreeMap<String, Part>,
    /// Which run this is: the moment it started.
    run: String,
    /// How often the task was written.
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
    /// The last line that mattered; the reason, when failed. At most 1,024 bytes.
    #[schema(required = false, max_length = 1024)]
    message: String,
    /// What is being done: `deploying`, `rolling_back`, `rolled_back`, or what an agent says.
    #[schema(required = false)]
    phase: String,
    /// The step an agent says it is at.
    #[schema(required = false)]
    current_step: String,
    /// The log group it came from.
    #[schema(required = false)]
    log_group: String,
    /// The log stream it came from.
    #[schema(required = false)]
    log_stream: String,
    /// When it was first heard of.
    created_at: Timestamp,
    /// When its present run started.
    #[schema(required = false)]
    started_at: Timestamp,
    /// The time of the last event that changed it.
    updated_at: Timestamp,
    /// When its present run ended.
    #[schema(required = false)]
    completed_at: Timestamp,
    /// From the start to the end, or to the last event.
    #[schema(required = false, minimum = 0)]
    duration_ms: u64,
    /// How long runs like this one usually take.
    #[schema(required = false, minimum = 0)]
    usual_duration_ms: u64,
    /// The caller's own, at most 4,096 bytes of JSON.
    #[schema(required = false)]
    metadata: Map<String, Value>,
    /// Whether it is running, and has been silent for too long.
    stale: bool,
    /// When it will end, as far as can be told.
    #[schema(required = false)]
    eta: Timestamp,
}

/// Tasks, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskPage {
    #[schema(max_items = 200)]
    tasks: Vec<Task>,
    /// The `cursor` of the next page; null on the last. A page may be short, or empty, and not be the last.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// One change of a task's progress.
#[derive(Serialize, ToSchema)]
pub(crate) struct HistoryEntry {
    /// When it changed.
    timestamp: Timestamp,
    /// The run it belongs to.
    run: String,
    /// The revision that made the change.
    #[schema(minimum = 1)]
    revision: u64,
    /// Where the task stood from then on.
    status: TaskStatus,
    /// How far it was.
    progress: Progress,
    /// What was being done.
    #[schema(required = false)]
    phase: String,
    /// The line that mattered.
    #[schema(required = false)]
    message: String,
}

/// A task's progress, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct HistoryPage {
    #[schema(max_items = 200)]
    history: Vec<HistoryEntry>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Tasks that belong together.
#[derive(Serialize, ToSchema)]
pub(crate) struct Project {
    /// The identity.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$")]
    project_id: String,
    /// For people.
    project_name: Name,
    /// What it is about.
    #[schema(required = false)]
    description: Message,
    /// Whether work goes on.
    status: ProjectStatus,
    /// Who answers for it.
    #[schema(required = false)]
    owner: Name,
    /// Prefixes of stack names and log streams that make a task belong to it.
    #[schema(required = false, max_items = 20)]
    r#match: Vec<Prefix>,
    /// How often the project was written; metrics do not count.
    #[schema(minimum = 1)]
    revision: u64,
    /// How its tasks fare; exact.
    metrics: Metrics,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed; metrics do not count.
    updated_at: Timestamp,
}

/// How the tasks of a project fare.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metrics {
    /// Tasks in all.
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
    /// Completed of completed and failed; null before the first has ended.
    #[schema(required = true, minimum = 0, maximum = 1)]
    success_rate: Option<f64>,
    /// The mean duration of completed tasks; null before the first.
    #[schema(required = true, minimum = 0)]
    avg_duration_ms: Option<u64>,
}

/// All projects, by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProjectPage {
    projects: Vec<Project>,
}

/// How far something is, as it is reported. Where both numbers are there, the percentage is made of them.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProgress {
    /// Steps done.
    #[schema(minimum = 0, maximum = 18446744073709551615_usize)]
    current: Option<u64>,
    /// Steps in all.
    #[schema(minimum = 0, maximum = 18446744073709551615_usize)]
    total: Option<u64>,
    /// How much of it is done.
    #[schema(minimum = 0, maximum = 100)]
    percentage: Option<u8>,
}

/// A task to be made. What is null counts as left out.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTask {
    /// A UUID is taken where there is none.
    task_id: Option<Id>,
    /// For people.
    task_name: Name,
    /// What kind of work it is.
    task_type: TaskType,
    /// `pending` where there is none.
    status: Option<TaskStatus>,
    /// How urgent it is.
    priority: Option<Priority>,
    /// How far it is.
    progress: Option<NewProgress>,
    /// The project it belongs to, which need not exist yet.
    project_id: Option<Id>,
    /// What happened last.
    message: Option<Message>,
    /// What is being done.
    phase: Option<Name>,
    /// The step it is at.
    current_step: Option<Name>,
    /// The caller's own, at most 4,096 bytes of JSON.
    metadata: Option<Map<String, Value>>,
}

/// A change of a task: a JSON merge patch (RFC 7396). What is left out stays as it is, what is null is taken away,
/// objects are merged.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskPatch {
    #[schema(required = false)]
    task_name: Name,
    /// One that the present one may become: what has ended stays so, and what has begun is not pending again.
    #[schema(required = false)]
    status: TaskStatus,
    priority: Option<Priority>,
    progress: Option<NewProgress>,
    project_id: Option<Id>,
    message: Option<Message>,
    phase: Option<Name>,
    current_step: Option<Name>,
    /// At most 4,096 bytes of JSON when merged.
    metadata: Option<Map<String, Value>>,
}

/// A project to be made. What is null counts as left out.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProject {
    /// A UUID is taken where there is none.
    project_id: Option<Id>,
    /// For people.
    project_name: Name,
    /// What it is about.
    description: Option<Message>,
    /// `active` where there is none.
    status: Option<ProjectStatus>,
    /// Who answers for it.
    owner: Option<Name>,
    /// Prefixes of stack names and log streams that make a task belong to it.
    #[schema(max_items = 20)]
    r#match: Option<Vec<Prefix>>,
}

/// A change of a project: a JSON merge patch (RFC 7396). What is left out stays as it is, what is null is taken
/// away.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectPatch {
    #[schema(required = false)]
    project_name: Name,
    description: Option<Message>,
    #[schema(required = false)]
    status: ProjectStatus,
    owner: Option<Name>,
    /// Replaced as a whole.
    #[schema(max_items = 20)]
    r#match: Option<Vec<Prefix>>,
}

/// The function runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(pattern = "^healthy$")]
    status: String,
}

/// How the parts behind the API are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    #[schema(pattern = "^ready$")]
    status: String,
    dynamodb: PartHealth,
    redis: PartHealth,
}

/// Whether a part answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct PartHealth {
    /// `disabled` where there is none.
    #[schema(pattern = "^(ok|down|disabled)$")]
    status: String,
    /// How long it took to answer, or until it was given up.
    #[schema(required = true, minimum = 0)]
    latency_ms: Option<u64>,
}

/// What went wrong (RFC 9457). `type` is stable.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    #[schema(pattern = "^/problems/[a-z-]+$")]
    r#type: String,
    /// The type, for people.
    title: String,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, for people.
    detail: String,
    /// The path that was asked for.
    instance: String,
    /// As in the header `X-Request-Id`.
    request_id: String,
    /// What is wrong with which field, parameter or header.
    #[schema(required = false, min_items = 1, max_items = 20)]
    errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Its name: `progress.total` and `match[3]` for what lies deeper, empty for the body as a whole.
    field: String,
    /// What it must be.
    detail: String,
}
