//! Requests of the load. Each goes to a process that is idle, as Lambda does it.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use shared::model::{TaskId, Timestamp};

use super::samples::{Kind, Sample, Samples};
use super::tasks::TOTAL;
use crate::events;
use crate::function::Function;

/// The project of all tasks.
pub const PROJECT: &str = "faults";

/// A response of the API.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its body; null if there is none.
    pub body: Value,
}

impl Response {
    /// Whether the same request may get another response later.
    pub fn may_be_repeated(&self) -> bool {
        self.status >= 500
    }
}

/// The event of a request to the API, with one more header if there is one.
pub fn request(
    method: &str,
    path: &str,
    query: &str,
    body: Option<&Value>,
    header: Option<(&str, &str)>,
) -> Vec<u8> {
    let body = body.map(Value::to_string);
    let event = events::request(method, path, query, body.as_deref());
    let Some((name, value)) = header else {
        return event;
    };
    let mut event: Value = serde_json::from_slice(&event).unwrap_or_default();
    event["headers"][name] = json!(value);
    event.to_string().into_bytes()
}

/// The event of a subscription, with a line of an agent at this count.
///
/// # Errors
///
/// If the event can't be compressed.
pub fn push(task_id: &TaskId, current: u64) -> io::Result<Vec<u8>> {
    let now = Timestamp::now();
    let line = json!({
        "timestamp": now.to_string(),
        "task_id": task_id,
        "message": current.to_string(),
        "progress": {"current": current, "total": TOTAL},
        "status": "running",
        "project_id": PROJECT,
    });
    let data = json!({
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "/miyabi/agents",
        "logStream": format!("stream-{task_id}"),
        "subscriptionFilters": ["miyabi-progress"],
        "logEvents": [{
            "id": format!("{task_id}-{current}"),
            "timestamp": now.as_millis(),
            "message": line.to_string(),
        }],
    });
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(data.to_string().as_bytes())?;
    let data = STANDARD.encode(gzip.finish()?);
    Ok(json!({"awslogs": {"data": data}}).to_string().into_bytes())
}

/// Sends an event to a process of the API: the next idle one after `turn`.
///
/// # Errors
///
/// If the process is lost, or its answer is not that of an HTTP API.
pub fn send(
    apis: &[Mutex<Function>],
    turn: &mut usize,
    kind: Kind,
    event: &[u8],
    samples: &Samples,
) -> io::Result<Response> {
    let (process, mut function) = free(apis, turn);
    let started = Instant::now();
    let invocation = function.attempt(event)?;
    drop(function);
    let response: Value = serde_json::from_slice(&invocation.answer)?;
    let status = response["statusCode"].as_u64();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.unwrap_or(500);
    let timing = response["headers"]["server-timing"].as_str();
    let wait = |part| timing.and_then(|timing| wait_for(timing, part));
    samples.note(Sample {
        kind,
        process,
        started,
        took: invocation.took,
        status,
        has_retry_after: !response["headers"]["retry-after"].is_null(),
        cache: wait("cache"),
        store: wait("store"),
        cache_errors: 0,
    });
    let body = response["body"].as_str().unwrap_or_default();
    Ok(Response {
        status,
        etag: response["headers"]["etag"].as_str().map(str::to_owned),
        body: serde_json::from_str(body).unwrap_or_default(),
    })
}

/// Sends an event to the collector. Returns whether it saved everything.
///
/// # Errors
///
/// If the process is lost.
pub fn collect(
    collector: &Mutex<Function>,
    process: usize,
    event: &[u8],
    samples: &Samples,
) -> io::Result<bool> {
    let mut function = collector.lock().unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    let invocation = function.attempt(event)?;
    let summary: Value = serde_json::from_slice(&invocation.answer)?;
    let group = &summary["groups"][0];
    let is_done = !invocation.is_error && group["complete"] == true && group["tasks_refused"] == 0;
    samples.note(Sample {
        kind: Kind::Push,
        process,
        started,
        took: invocation.took,
        status: if is_done { 200 } else { 500 },
        has_retry_after: false,
        cache: None,
        store: None,
        cache_errors: group["cache_errors"].as_u64().unwrap_or_default(),
    });
    Ok(is_done)
}

/// The next idle process. If all are busy, waits for the next one.
fn free<'a>(apis: &'a [Mutex<Function>], turn: &mut usize) -> (usize, MutexGuard<'a, Function>) {
    *turn += 1;
    for number in 0..apis.len() {
        let process = (*turn + number) % apis.len();
        if let Ok(function) = apis[process].try_lock() {
            return (process, function);
        }
    }
    let process = *turn % apis.len();
    let function = apis[process].lock();
    (process, function.unwrap_or_else(PoisonError::into_inner))
}

/// How long a request waited for a part, by its `Server-Timing` header.
fn wait_for(timing: &str, part: &str) -> Option<Duration> {
    let entry = timing
        .split(", ")
        .find_map(|entry| entry.strip_prefix(part))?;
    let millis: f64 = entry.strip_prefix(";dur=")?.parse().ok()?;
    Duration::try_from_secs_f64(millis / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_timing_is_read_by_part() {
        let timing = "cache;dur=50.25, store;dur=3.00";
        assert_eq!(
            wait_for(timing, "cache"),
            Some(Duration::from_micros(50_250))
        );
        assert_eq!(wait_for(timing, "store"), Some(Duration::from_millis(3)));
        assert_eq!(wait_for("store;dur=3.00", "cache"), None);
    }
}
