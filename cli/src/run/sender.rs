//! Sends what a command prints to `POST /api/logs`, in batches.

use std::env;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use progress_core::model::{ProjectId, TaskId};
use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use uuid::Uuid;

use super::DELIVERY_TIMEOUT;
use super::context::Context;
use super::lines::{Line, Lines};
use super::notices::Notices;
use super::queue::{Batch, End, Output, Queue};
use super::redactor::Redactor;
use crate::args::RunArgs;
use crate::client::{agent, body_of, page_of, problem_of, reason_of};
use crate::settings::Service;

/// Bodies from this size on are compressed.
const LEAST_COMPRESSED_BYTES: usize = 4 * 1024;
const FIRST_DELAY: Duration = Duration::from_millis(250);
const MOST_DELAY: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is followed.
const MOST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Sends the output of one run.
pub(crate) struct Sender {
    service: Service,
    args: RunArgs,
    queue: Arc<Queue>,
    notices: Arc<Notices>,
    redactor: Redactor,
    stdout: Lines,
    stderr: Lines,
    has_delivered: bool,
    has_warned: bool,
}

/// One line of a body.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Record {
    Context { context: Context },
    Line { timestamp: i64, message: String },
    ExitCode { exit_code: i32 },
    Signal { signal: String },
}

/// What an attempt to send a batch has come to.
enum Attempt {
    Accepted {
        task_id: Option<String>,
    },
    /// Sending it again is useless.
    Refused(String),
    Failed {
        reason: String,
        retry_after: Option<Duration>,
        is_answer: bool,
    },
}

impl Sender {
    pub(crate) fn new(
        service: Service,
        args: RunArgs,
        queue: Arc<Queue>,
        notices: Arc<Notices>,
    ) -> Self {
        let variables = env::vars_os().map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            (name, value.into_encoded_bytes())
        });
        Self {
            redactor: Redactor::new(variables, &service.secrets()),
            service,
            args,
            queue,
            notices,
            stdout: Lines::default(),
            stderr: Lines::default(),
            has_delivered: false,
            has_warned: false,
        }
    }

    /// Sends until the command has ended and everything is delivered, or nothing will be.
    pub(crate) fn run(mut self) {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let context = Context::find(variable).redacted(&self.redactor);
        let query = self.query(&context);
        let agent = agent(&self.service.url);
        let mut context = Some(context);
        let mut sequence = 0_u64;
        while let Some(batch) = self.queue.next_batch() {
            let is_last = batch.end.is_some();
            let (records, lines) = self.records(batch);
            let context = context.take().map(|context| Record::Context { context });
            let body = encode(context.into_iter().chain(records));
            if !body.is_empty() {
                self.queue.sending(lines);
                let url = self.service.address_of("/api/logs");
                let number = sequence.to_string();
                let request = |agent: &Agent| {
                    let request = agent.post(&url).query("sequence", &number);
                    request.query_pairs(query.iter().map(|(key, value)| (*key, value)))
                };
                if !self.deliver(&agent, request, &body) {
                    self.queue.close();
                    return;
                }
                sequence += 1;
            }
            if is_last {
                break;
            }
        }
        self.queue.done();
    }

    /// The parameters of every request. The log stream is named after the repository, or else the
    /// directory, and the program.
    fn query(&self, context: &Context) -> Vec<(&'static str, String)> {
        let program = self.args.command.first().map(Path::new);
        let program = program.and_then(Path::file_stem).unwrap_or_default();
        let program = self
            .redactor
            .redact_text(program.to_string_lossy().into_owned());
        let directory = || {
            let directory = env::current_dir().ok()?;
            Some(directory.file_name()?.to_string_lossy().into_owned())
        };
        let repository = context.repository.as_deref();
        let repository = repository.and_then(|name| name.rsplit('/').next());
        let place = repository.map(str::to_owned).or_else(directory);
        let redact = |name: String| self.redactor.redact_text(name);
        let name = self.args.name.clone().map(redact);
        let stream = name.clone().unwrap_or_else(|| match place.map(redact) {
            Some(place) => format!("{place}/{program}"),
            None => program,
        });
        let mut query = vec![("stream", stream), ("session", Uuid::new_v4().to_string())];
        let args = &self.args;
        query.extend(
            [
                ("task_id", args.task.as_ref().map(TaskId::to_string)),
                (
                    "project_id",
                    args.project.as_ref().map(ProjectId::to_string),
                ),
                ("name", name),
                ("format", args.format.clone()),
            ]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
        );
        query
    }

    /// The records of a batch, and how many lines they hold.
    fn records(&mut self, batch: Batch) -> (Vec<Record>, u64) {
        let mut lines: Vec<(Output, i64, Line)> = Vec::new();
        // A line that is overwritten within the batch is not sent.
        let mut add = |output: Output, timestamp: i64, line: Line| match lines.last_mut() {
            Some(last) if last.0 == output && last.2.is_overwritten => {
                *last = (output, timestamp, line);
            }
            _ => lines.push((output, timestamp, line)),
        };
        let mut last_times = [None, None];
        for piece in batch.pieces {
            let (output, timestamp) = (piece.output, piece.timestamp);
            let [first, second] = &mut last_times;
            let (splitter, last_time) = match output {
                Output::Stdout => (&mut self.stdout, first),
                Output::Stderr => (&mut self.stderr, second),
            };
            *last_time = Some(timestamp);
            if piece.has_gap {
                self.queue.lose(1);
                splitter.skip_to_next_line();
            }
            let add = &mut |line| add(output, timestamp, line);
            splitter.push(&piece.bytes, &self.redactor, add);
        }
        let now = super::now_ms();
        let outputs = [
            (Output::Stdout, &mut self.stdout),
            (Output::Stderr, &mut self.stderr),
        ];
        for ((output, splitter), time) in outputs.into_iter().zip(last_times) {
            let add = &mut |line| add(output, time.unwrap_or(now), line);
            if batch.end.is_some() {
                splitter.finish(&self.redactor, add);
            } else {
                splitter.flush_overwritten(&self.redactor, add);
            }
        }
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let records = lines.into_iter().map(|(_, timestamp, line)| {
            let message = line.text;
            Record::Line { timestamp, message }
        });
        let end = batch.end.map(|end| match end {
            End::ExitCode(exit_code) => Record::ExitCode { exit_code },
            End::Signal(signal) => Record::Signal { signal },
        });
        (records.chain(end).collect(), count)
    }

    /// Says something to the user, without the user and password in the service's address.
    fn notice(&self, text: &str) {
        self.notices.add(&self.service.without_credentials(text));
    }

    /// Sends a batch until it is accepted. Returns whether it was.
    fn deliver(
        &mut self,
        agent: &Agent,
        request: impl Fn(&Agent) -> ureq::RequestBuilder<ureq::typestate::WithBody>,
        body: &[u8],
    ) -> bool {
        let compressed = (body.len() >= LEAST_COMPRESSED_BYTES)
            .then(|| compress(body))
            .flatten();
        let mut delay = FIRST_DELAY;
        loop {
            let mut request = request(agent);
            if let Some(token) = &self.service.token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let attempt = match &compressed {
                Some(body) => attempt(
                    request
                        .header(CONTENT_TYPE, "application/octet-stream")
                        .header(CONTENT_ENCODING, "gzip"),
                    body,
                ),
                None => attempt(request.header(CONTENT_TYPE, "application/x-ndjson"), body),
            };
            match attempt {
                Attempt::Accepted { task_id } => {
                    self.queue.accepted();
                    if !self.has_delivered
                        && let Some(task_id) = task_id
                    {
                        self.notice(&page_of(&self.service.url, &task_id));
                    }
                    self.has_delivered = true;
                    return true;
                }
                Attempt::Refused(reason) => {
                    let warning = format!("the service refuses the output: {reason}");
                    self.notice(&warning);
                    return false;
                }
                Attempt::Failed {
                    reason,
                    retry_after,
                    is_answer,
                } => {
                    if !std::mem::replace(&mut self.has_warned, true) {
                        let warning = format!("can't send the output yet, still trying: {reason}");
                        self.notice(&warning);
                    }
                    let delay_now = retry_after.unwrap_or(delay);
                    let was_ended = self.queue.has_ended();
                    // These seconds will not change that.
                    let is_absent = !self.has_delivered && !is_answer;
                    if was_ended && (is_absent || delay_now > DELIVERY_TIMEOUT) {
                        return false;
                    }
                    self.queue.wait_to_retry(delay_now);
                    if self.queue.is_done() {
                        return false;
                    }
                    delay = (delay * 2).min(MOST_DELAY);
                    if !was_ended && self.queue.has_ended() {
                        delay = FIRST_DELAY;
                    }
                }
            }
        }
    }
}

fn attempt(request: ureq::RequestBuilder<ureq::typestate::WithBody>, body: &[u8]) -> Attempt {
    #[derive(Deserialize)]
    struct Accepted {
        task_id: Option<String>,
    }
    let mut response = match request.send(body) {
        Ok(response) => response,
        Err(error) => {
            return Attempt::Failed {
                reason: reason_of(&error),
                retry_after: None,
                is_answer: false,
            };
        }
    };
    let status = response.status();
    if status.is_success() {
        let answer = serde_json::from_slice(&body_of(&mut response));
        let task_id = answer.ok().and_then(|answer: Accepted| answer.task_id);
        return Attempt::Accepted { task_id };
    }
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(MOST_RETRY_AFTER));
    let reason = problem_of(&mut response);
    let is_temporary = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    if is_temporary {
        Attempt::Failed {
            reason,
            retry_after,
            is_answer: true,
        }
    } else {
        Attempt::Refused(reason)
    }
}

/// One JSON object a line.
fn encode(records: impl Iterator<Item = Record>) -> Vec<u8> {
    let mut body = Vec::new();
    for record in records {
        // A record has only texts and numbers: it is always JSON.
        if serde_json::to_writer(&mut body, &record).is_ok() {
            body.push(b'\n');
        }
    }
    body
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
