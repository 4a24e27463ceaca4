//! `POST /api/logs`: the output of a command or of an agent, while it is written.

mod records;
mod session;

use std::time::Duration;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router, body::Bytes};
use serde::Serialize;
use shared::batch::{Batch, KnownLog, Target};
use shared::error::error_chain;
use shared::fold::{Fact, LineKey, Session, SessionKey};
use shared::ingest::{IngestCounts, Pace, SavedRun};
use shared::log_parser::{LineCounts, LogFormat};
use shared::log_tail::TailPart;
use shared::model::{Context, MAX_NAME_CHARS, ProjectId, Revision, RunId, TaskId, Timestamp};
use shared::record::{TaskOrigin, TaskRecord};
use shared::server_timing::for_store;
use tracing::warn;
use uuid::Uuid;

use self::records::{MAX_PACKED_BYTES, Record, Said, put_exits_last};
use self::session::Lines;
#[cfg(test)]
use crate::openapi::{parameters::LogStream, schemas};
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::state::ApiState;

/// How long the last lines are kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long they are kept if the command has failed.
const KEPT_AFTER_FAILURE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The most characters of the name of a stream, as CloudWatch Logs has it
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogStream.html>).
const MAX_STREAM_CHARS: usize = 512;

/// The OpenAPI description of this route.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(add))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    let limit = DefaultBodyLimit::max(MAX_PACKED_BYTES);
    Router::new().route("/api/logs", post(add).layer(limit))
}

/// What became of the lines.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SavedLines))]
pub(crate) struct Saved {
    /// The task of the lines.
    #[cfg_attr(test, schema(value_type = crate::openapi::schemas::Id))]
    task_id: TaskId,
    /// The run of the session, or else its newest run; absent if the lines are about other tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = crate::openapi::schemas::Timestamp, required = false, nullable = false))]
    run: Option<Timestamp>,
    /// The number of writes of that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = u64, required = false, nullable = false, minimum = 1))]
    revision: Option<Revision>,
    /// The lines in the request.
    #[cfg_attr(test, schema(minimum = 0))]
    lines: u64,
    /// The lines that say something about progress.
    #[cfg_attr(test, schema(minimum = 0))]
    facts: u64,
}

/// Adds lines to a log stream
///
/// Each line is known by `session`, `sequence` and its place in the body, so a request that is sent again changes nothing.
/// Without a session, each exit ends a command, and what follows it is the next one: at most 20 in a request.
#[cfg_attr(test, utoipa::path(
    post, path = "/api/logs", operation_id = "addLines", tag = "tasks",
    params(LogStream),
    request_body(content(
        (schemas::LogLines = "application/x-ndjson"), (schemas::LogLines = "text/plain"), (schemas::LogLines = "application/octet-stream"),
    ), description = "Lines, or records, one in each line: `{\"timestamp\": 1795255200000, \"message\": \"[3/9] copying\"}`. `application/octet-stream` is either, packed with gzip. At most 1 MB, and 8 MB unpacked."),
    responses((status = 202, description = "The lines are saved", body = Saved)),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "unavailable"])))
))]
async fn add(
    State(state): State<ApiState>,
    mut parameters: QueryParameters,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let [has_session, has_sequence] = ["session", "sequence"].map(|name| parameters.has(name));
    let has_stream = parameters.has("stream") || parameters.has("task_id");
    let stream = parameters.text_of("stream", MAX_STREAM_CHARS);
    let task_id: Option<TaskId> = parameters.one("task_id");
    let session: Option<Uuid> = parameters.parsed("session", "must be a UUID");
    let sequence = "must be a whole number from 0 to 4294967295";
    let sequence: Option<u32> = parameters.parsed("sequence", sequence);
    let format = match parameters.text_of("format", MAX_NAME_CHARS).as_deref() {
        None => LogFormat::ANY,
        Some("cdk") => LogFormat::CDK,
        Some("agent") => LogFormat::AGENT,
        Some(_) => {
            parameters.reject(
                "format",
                "must be cdk or agent, or absent: then it is detected",
            );
            LogFormat::ANY
        }
    };
    let hints = Session {
        task_name: parameters.text_of("name", MAX_NAME_CHARS),
        project_id: parameters.one::<ProjectId>("project_id"),
        context: None,
    };
    if has_session != has_sequence {
        let absent = if has_session { "sequence" } else { "session" };
        parameters.reject(absent, "session and sequence must be given together");
    }
    let stream = stream.or_else(|| Some(task_id.as_ref()?.to_string()));
    if !has_stream {
        parameters.reject("stream", "must be given, unless task_id is");
    }
    let stream = stream.unwrap_or_default();
    parameters.finish()?;
    let body = body.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            let limit_bytes = MAX_PACKED_BYTES;
            ApiError::BodyTooLarge { limit_bytes }
        }
        _ => ApiError::MalformedBody,
    })?;
    let records = records::read(&headers, &body)?;
    let origin = TaskOrigin {
        format,
        log_group: LogFormat::ANY.file_log_group.to_owned(),
        log_stream: stream,
    };
    let target = Target {
        origin,
        named: task_id,
    };
    // All lines of a session are those of one command.
    let commands = match session {
        Some(_) => vec![records],
        None => records::commands(records)?,
    };
    let mut saved: Option<Saved> = None;
    for (number, records) in commands.into_iter().enumerate() {
        let lines = Lines::new(session, sequence, (&body, number));
        // Each is later than the one before, also if none has a time.
        let later = Duration::from_millis(u64::try_from(number).unwrap_or(u64::MAX));
        let request = Request {
            state: &state,
            target: target.clone(),
            hints: hints.clone(),
            is_later: number > 0,
            now: state.now().after(later),
        };
        let mut next = request.save(lines, records).await?;
        if let Some(before) = saved {
            next.lines += before.lines;
            next.facts += before.facts;
        }
        saved = Some(next);
    }
    Ok((StatusCode::ACCEPTED, Json(saved)).into_response())
}

/// The lines of one command, or some of them.
struct Request<'a> {
    state: &'a ApiState,
    target: Target,
    hints: Session,
    /// Whether it comes after a command that has ended.
    is_later: bool,
    now: Timestamp,
}

impl Request<'_> {
    async fn save(self, lines: Lines, mut records: Vec<Record>) -> Result<Saved, ApiError> {
        put_exits_last(&mut records, self.now);
        let end = end_of(self.state, &self.target, &lines, &records, self.now).await?;
        let (lines, exit_at) = match end {
            End::NewestRun(at) => (lines, Some(at)),
            End::WholeCommand => (lines.as_session(), None),
            End::Session => (lines, None),
        };
        save(self, (&lines, exit_at), records).await
    }
}

/// Saves records as lines of a task. `exit_at` is the key of an exit, if that is not its own.
async fn save(
    request: Request<'_>,
    (lines, exit_at): (&Lines, Option<LineKey>),
    records: Vec<Record>,
) -> Result<Saved, ApiError> {
    let Request {
        state,
        target,
        hints,
        is_later,
        now,
    } = request;
    let mut begins_run = is_later && lines.session().is_none();
    let origin = &target.origin;
    let mut batch = match &target.named {
        Some(task_id) => Batch::of_task(task_id.clone()),
        None => Batch::default(),
    };
    // Any request of a session may come first. What is saved first tells which run it is.
    if lines.session().is_some() {
        let first = first_time(&records);
        let event = lines.event(origin, 0, (first, now), String::new());
        let session = match lines.sequence() {
            0 => Session {
                context: context_of(&records),
                ..hints
            },
            _ => Session::default(),
        };
        let fact = Fact::Session(Box::new(session));
        batch.put(origin.clone(), (LineKey::of(&event, 0), fact));
    }
    let mut counts = IngestCounts::default();
    let mut read = LineCounts::default();
    let mut tail = TailPart::new(lines.sequence());
    let mut exit_code = None;
    for (record, number) in records.into_iter().zip(1..) {
        let timestamp = record.timestamp;
        let event = |message| lines.event(origin, number, (timestamp, now), message);
        match record.said {
            Said::Line(line) => {
                let event = event(line);
                let is_of_request = timestamp.is_none() && lines.session().is_some();
                tail.push(event.timestamp.min(now), is_of_request, &event.message);
                if std::mem::take(&mut begins_run) {
                    batch.restart(origin.format, &origin.log_group, &event);
                }
                let added = batch.add(origin.format, &origin.log_group, &event);
                read.lines += added.lines;
                read.parsed += added.parsed;
            }
            Said::Context(_) => {}
            Said::Exit(code) => {
                exit_code = Some(code);
                let last_lines = batch.last_lines();
                let event = event(String::new());
                let at = exit_at.unwrap_or_else(|| LineKey::of(&event, 0));
                batch.put(origin.clone(), (at, Fact::Exit { code, last_lines }));
            }
        }
        if batch.is_full() {
            let saved = state.ingest.save(&mut batch, Pace::LIVE, now, &mut counts);
            for_store(saved).await?;
        }
    }
    for_store(state.ingest.save(&mut batch, Pace::LIVE, now, &mut counts)).await?;
    // Each request of a session that is new changes its run.
    let is_known = lines.session().is_some() && counts.saved.is_empty();
    let (task_id, run) = run_of_lines(state, &target, lines.session(), counts.saved).await?;
    let keeps_tail = state.keeps_log_tail && !is_known;
    if let Some((run_id, _)) = run.as_ref().filter(|_| keeps_tail) {
        let has_failed = exit_code.is_some_and(|code| code != 0);
        let last = tail.lines.last().map(|line| line.timestamp);
        let is_earlier = lines.session().is_none() && last.is_some_and(|last| last < run_id.run);
        let run_id = match last.filter(|_| is_earlier) {
            Some(last) => run_at(state, &target, last).await?,
            None => Some(run_id.clone()),
        };
        if let Some(run_id) = run_id {
            keep_tail(state, &run_id, tail.finish(), has_failed).await;
        }
    }
    Ok(Saved {
        task_id,
        run: run.as_ref().map(|(run_id, _)| run_id.run),
        revision: run.map(|(_, revision)| revision),
        lines: read.lines,
        facts: read.parsed,
    })
}

/// The earliest time of lines and exits: clocks step back. `None` if it is that of the request.
fn first_time(records: &[Record]) -> Option<Timestamp> {
    let is_timed = |record: &&Record| !matches!(record.said, Said::Context(_));
    let times = records.iter().filter(is_timed);
    times.filter_map(|record| record.timestamp).min()
}

/// The last context among records, if it says anything.
fn context_of(records: &[Record]) -> Option<Context> {
    let contexts = records
        .iter()
        .rev()
        .filter_map(|record| match &record.said {
            Said::Context(context) => Some(context.clone().bounded()),
            _ => None,
        });
    let mut contexts = contexts.filter(|context| *context != Context::default());
    contexts.next()
}

/// What the exit in a request ends.
enum End {
    /// The newest run, by an exit with this key.
    NewestRun(LineKey),
    /// A command, all of whose lines are in the request.
    WholeCommand,
    /// The session of the request. Or there is no exit.
    Session,
}

/// What the exit in a request ends. Without a session, it is the newest run, if that waits for an
/// exit.
async fn end_of(
    state: &ApiState,
    target: &Target,
    lines: &Lines,
    records: &[Record],
    now: Timestamp,
) -> Result<End, ApiError> {
    let mut records = records.iter().zip(1..);
    let exit = records.find(|(record, _)| matches!(record.said, Said::Exit(_)));
    let Some((exit, number)) = exit.filter(|_| lines.session().is_none()) else {
        return Ok(End::Session);
    };
    let (_, record) = record_of(state, target).await?;
    let Some(record) = record else {
        return Ok(End::WholeCommand);
    };
    let is_known = |session| record.run_of_session(session).is_some();
    if lines.as_session().session().is_some_and(is_known) {
        return Ok(End::WholeCommand);
    }
    let times = (exit.timestamp, now);
    let exit = lines.event(&target.origin, number, times, String::new());
    let at = record.key_of_exit(LineKey::of(&exit, 0));
    Ok(at.map_or(End::WholeCommand, End::NewestRun))
}

/// Keeps the last lines of a run. The task is saved, so a failure is only logged.
async fn keep_tail(state: &ApiState, run_id: &RunId, tail: TailPart, has_failed: bool) {
    let tasks = &state.tasks;
    let kept = async {
        if has_failed {
            let whole = tail.whole(tasks.tail(run_id).await?);
            return tasks.save_tail(run_id, &whole, KEPT_AFTER_FAILURE).await;
        }
        match tail.lines.is_empty() {
            true => Ok(()),
            false => tasks.save_tail(run_id, &tail, KEPT_FOR).await,
        }
    };
    if let Err(error) = for_store(kept).await {
        warn!(
            error = error_chain(&error),
            "can't keep the last lines of a log"
        );
    }
}

/// The task of a target, and the run of the session or else the newest one. `saved` are the runs that
/// were just written.
async fn run_of_lines(
    state: &ApiState,
    target: &Target,
    session: Option<SessionKey>,
    saved: Vec<SavedRun>,
) -> Result<(TaskId, Option<(RunId, Revision)>), ApiError> {
    let candidates = target.candidates();
    let mut saved = saved.into_iter().rev();
    let own = saved.find(|saved| {
        let is_of_session = session.is_none() || saved.session == session;
        is_of_session && candidates.contains(&saved.run_id.task_id)
    });
    if let Some(own) = own {
        return Ok((own.run_id.task_id.clone(), Some((own.run_id, own.revision))));
    }
    let (task_id, record) = record_of(state, target).await?;
    let record = record.as_ref();
    let of_session = record.and_then(|record| record.run_of_session(session?));
    let run = of_session.or_else(|| record?.live());
    let run = run.map(|task| (task.run_id(), task.revision));
    Ok((task_id, run))
}

/// The run of a target that a time lies in; `None` if there was none or it can't change any more.
async fn run_at(
    state: &ApiState,
    target: &Target,
    time: Timestamp,
) -> Result<Option<RunId>, ApiError> {
    let (_, record) = record_of(state, target).await?;
    let record = record.as_ref();
    Ok(record.and_then(|record| Some(record.run_at(time)?.run_id())))
}

/// The task of a target, and its record if it is stored.
async fn record_of(
    state: &ApiState,
    target: &Target,
) -> Result<(TaskId, Option<TaskRecord>), ApiError> {
    let records = for_store(state.tasks.fetch_records(&target.candidates())).await?;
    let tasks = records.iter().filter_map(|record| record.live());
    let log_of = |id: &TaskId| {
        let task = tasks.clone().find(|task| task.task_id == *id)?;
        Some(KnownLog::of(task))
    };
    let task_id = target.choose(log_of);
    let mut records = records.into_iter();
    let record = records.find(|record| record.task_id == task_id);
    Ok((task_id, record))
}
