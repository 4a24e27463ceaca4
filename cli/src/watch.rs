//! `progress watch` and `progress list`: what the service knows about tasks.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use progress_core::error::error_chain;
use progress_core::model::{Task, TaskStatus, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};

use crate::args::{ListArgs, WatchArgs};
use crate::client::{agent, body_of, in_path, problem_of, reason_of};
use crate::live::Live;
use crate::plain_text::plain;
use crate::settings::{HOW_TO_SET, Service, Settings, SettingsError};
use crate::table::{Look, cut, write_table};

/// The time between two looks at a run without live push.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same while live push tells of changes, and the shortest time then.
const LIVE_INTERVAL: Duration = Duration::from_secs(30);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// The time between two attempts to get live push.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(30);
/// How long a service may be unreachable.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why tasks can't be shown. The messages are for the user of the command.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The settings can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No service is known.
    #[error("no service is known: {HOW_TO_SET}")]
    NoService,
    /// The service refuses the request.
    #[error("the service refuses: {0}")]
    Refused(String),
    /// The service can't be reached or fails.
    #[error("the service does not answer: {0}")]
    Unavailable(String),
    /// The answer can't be read.
    #[error("can't read the answer; is PROGRESS_URL the address of the service?")]
    Unreadable(#[source] serde_json::Error),
    /// There is no task.
    #[error("there is no task")]
    NoTask,
    /// Standard output can't be written.
    #[error("can't write to standard output")]
    Print(#[from] io::Error),
}

/// A task as the service shows it.
#[derive(Debug)]
struct Shown {
    task: Task,
    extras: Extras,
}

/// What the service shows of a task besides its state.
#[derive(Debug, Deserialize)]
struct Extras {
    run_id: String,
    stale: bool,
    eta: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    tasks: Vec<&'a RawValue>,
}

/// Shows one run until it ends. The exit code is 0 if it is completed, 1 if it has failed or was
/// cancelled, else 2.
pub fn watch(args: &WatchArgs) -> ExitCode {
    match try_watch(args) {
        Ok(TaskStatus::Completed) => ExitCode::SUCCESS,
        Ok(TaskStatus::Failed | TaskStatus::Cancelled) => ExitCode::FAILURE,
        Ok(_) => ExitCode::from(2),
        Err(error) => failed(&error),
    }
}

/// Prints the newest tasks. The exit code is 2 if that fails.
pub fn list(args: &ListArgs) -> ExitCode {
    match try_list(args) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader such as `head` closes the pipe early.
        Err(WatchError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &WatchError) -> ExitCode {
    eprintln!("error: {}", plain(&error_chain(error)));
    ExitCode::from(2)
}

fn try_list(args: &ListArgs) -> Result<(), WatchError> {
    let client = Client::new()?;
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.project.as_deref().map(|id| ("project_id", id)));
    query.extend(args.text.as_deref().map(|text| ("q", text)));
    query.extend(args.status.iter().map(|status| ("status", status.as_str())));
    let body = client.get("/api/tasks", &query, None)?.body;
    let mut output = io::stdout().lock();
    if args.json {
        output.write_all(&body)?;
        output.write_all(b"\n")?;
        return Ok(());
    }
    let look = Look::of_terminal(output.is_terminal());
    let tasks = shown_in(&body)?;
    write_tasks(&tasks, look, &mut output)?;
    Ok(())
}

fn try_watch(args: &WatchArgs) -> Result<TaskStatus, WatchError> {
    let client = Client::new()?;
    let id = match &args.task {
        Some(id) => id.clone(),
        None => {
            let body = client.get("/api/tasks", &[("limit", "1")], None)?.body;
            shown_in(&body)?
                .pop()
                .ok_or(WatchError::NoTask)?
                .extras
                .run_id
        }
    };
    let mut path = format!("/api/tasks/{}", in_path(&id));
    let mut output = io::stdout().lock();
    let is_terminal = output.is_terminal() && !args.json;
    let mut tag = None;
    let mut newest: Option<Shown> = None;
    let mut drawn_lines = 0;
    let mut last_line = String::new();
    let mut last_answer = Instant::now();
    let mut has_warned = false;
    let mut news = News::of(&client, &id);
    loop {
        match client.get(&path, &[], tag.as_deref()) {
            Ok(answer) => {
                last_answer = Instant::now();
                tag = answer.tag;
                if !answer.body.is_empty() {
                    let shown = read(&answer.body)?;
                    // Later runs of the task are other runs.
                    path = format!("/api/tasks/{}", in_path(&shown.extras.run_id));
                    newest = Some(shown);
                    if args.json {
                        output.write_all(&answer.body)?;
                        output.write_all(b"\n")?;
                    }
                }
            }
            Err(error @ WatchError::Unavailable(_)) if last_answer.elapsed() < PATIENCE => {
                if !std::mem::replace(&mut has_warned, true) {
                    eprintln!("still trying: {}", plain(&error_chain(&error)));
                }
            }
            Err(error) => return Err(error),
        }
        if let Some(shown) = &newest {
            if is_terminal {
                drawn_lines = draw(shown, drawn_lines, &mut output)?;
            } else if !args.json {
                let line = summary(shown);
                if line != last_line {
                    writeln!(output, "{line}")?;
                }
                last_line = line;
            }
            output.flush()?;
            if shown.task.status.is_terminal() {
                // Nobody knows how a run went that fell silent.
                return Ok(match shown.task.is_assumed {
                    true => TaskStatus::Ended,
                    false => shown.task.status,
                });
            }
        }
        news.wait();
    }
}

/// When to look again.
struct News<'a> {
    client: &'a Client,
    id: &'a str,
    live: Option<Live>,
    /// When live push was tried last.
    tried_at: Option<Instant>,
}

impl<'a> News<'a> {
    fn of(client: &'a Client, id: &'a str) -> Self {
        Self {
            client,
            id,
            live: None,
            tried_at: None,
        }
    }

    /// Waits until there may be news. It returns at once when live push begins or ends, because
    /// something may have changed meanwhile.
    fn wait(&mut self) {
        if let Some(live) = &mut self.live {
            let woken = live.wait(Instant::now() + LIVE_INTERVAL);
            match woken {
                // Several changes may follow each other closely.
                Ok(is_change) => thread::sleep(match is_change {
                    true => SHORTEST_INTERVAL,
                    false => Duration::ZERO,
                }),
                Err(_) => self.live = None,
            }
            return;
        }
        if self
            .tried_at
            .is_none_or(|at| at.elapsed() > RECONNECT_INTERVAL)
        {
            self.tried_at = Some(Instant::now());
            self.live = self.subscribe();
            if self.live.is_some() {
                return;
            }
        }
        thread::sleep(INTERVAL);
    }

    /// Subscribes; `None` if that is not possible now. Then the run is looked at more often.
    fn subscribe(&self) -> Option<Live> {
        let answer = self.client.get("/api/push", &[("task_id", self.id)], None);
        let place = serde_json::from_slice(&answer.ok()?.body).ok()?;
        Live::subscribe(&self.client.service, &place).ok()
    }
}

/// Draws the run over what was drawn before. Returns how many lines it has.
fn draw(shown: &Shown, lines_before: usize, output: &mut impl Write) -> io::Result<usize> {
    let look = Look::of_terminal(true);
    let mut text = Vec::new();
    let task = std::slice::from_ref(&shown.task);
    write_table(task, |_| shown.extras.stale, look, &mut text)?;
    let message = shown.task.message.as_deref().map(plain).unwrap_or_default();
    if shown.task.status != TaskStatus::Failed && !message.is_empty() {
        writeln!(text, "  {}", cut(&message, look.width.saturating_sub(2)))?;
    }
    if let Some(left) = time_left(shown) {
        writeln!(text, "  {left}")?;
    }
    if lines_before > 0 {
        write!(output, "\x1b[{lines_before}A\x1b[J")?;
    }
    output.write_all(&text)?;
    let lines = text.iter().filter(|byte| **byte == b'\n');
    // More lines than the terminal has can't be drawn over.
    let height = terminal_size::terminal_size().map_or(24, |(_, height)| usize::from(height.0));
    Ok(lines.count().min(height.saturating_sub(1)))
}

/// The run in one line.
fn summary(shown: &Shown) -> String {
    let task = &shown.task;
    let mut line = format!("{}: {}", plain(&task.task_name), task.status);
    if let Some(percentage) = task.progress.percentage {
        line += &format!(", {percentage} %");
    }
    if let (Some(current), Some(total)) = (task.progress.current, task.progress.total) {
        line += &format!(" ({current}/{total})");
    }
    if let Some(message) = &task.message {
        line += &format!(": {}", plain(message));
    }
    line
}

/// How long the run will still take.
fn time_left(shown: &Shown) -> Option<String> {
    let seconds = shown.extras.eta?.millis_since(Timestamp::now()) / 1000;
    (!shown.task.status.is_terminal()).then(|| match seconds {
        0 => "about to end".to_owned(),
        1..60 => format!("about {seconds} s left"),
        _ => format!("about {} min left", seconds.div_ceil(60)),
    })
}

fn write_tasks(tasks: &[Shown], look: Look, output: &mut dyn Write) -> io::Result<()> {
    if tasks.is_empty() {
        return writeln!(output, "No tasks.");
    }
    let is_stale = |task: &Task| {
        tasks
            .iter()
            .any(|shown| shown.task == *task && shown.extras.stale)
    };
    let tasks: Vec<_> = tasks.iter().map(|shown| shown.task.clone()).collect();
    write_table(&tasks, is_stale, look, output)
}

fn shown_in(page: &[u8]) -> Result<Vec<Shown>, WatchError> {
    let page: Page<'_> = serde_json::from_slice(page).map_err(WatchError::Unreadable)?;
    let tasks = page.tasks.into_iter();
    tasks.map(|task| read(task.get().as_bytes())).collect()
}

fn read(task: &[u8]) -> Result<Shown, WatchError> {
    let read = || {
        let task_alone = serde_json::from_slice(task)?;
        let extras = serde_json::from_slice(task)?;
        Ok(Shown {
            task: task_alone,
            extras,
        })
    };
    read().map_err(WatchError::Unreadable)
}

struct Client {
    agent: Agent,
    service: Service,
}

struct Answer {
    /// Empty if the client has it already.
    body: Vec<u8>,
    tag: Option<String>,
}

impl Client {
    fn new() -> Result<Self, WatchError> {
        let service = Settings::find()?.service.ok_or(WatchError::NoService)?;
        let agent = agent(&service.url);
        Ok(Self { agent, service })
    }

    fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        tag: Option<&str>,
    ) -> Result<Answer, WatchError> {
        let request = self.agent.get(self.service.address_of(path));
        let mut request = request.query_pairs(query.iter().copied());
        if let Some(token) = &self.service.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let mut response = request.call().map_err(|error| {
            let error = self.service.without_credentials(&reason_of(&error));
            WatchError::Unavailable(error)
        })?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            let tag = tag.map(str::to_owned);
            let body = Vec::new();
            return Ok(Answer { body, tag });
        }
        if !status.is_success() {
            let problem = problem_of(&mut response);
            let is_passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(match is_passing {
                true => WatchError::Unavailable(problem),
                false => WatchError::Refused(problem),
            });
        }
        let tag = response.headers().get(ETAG);
        let tag = tag.and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        let body = body_of(&mut response);
        Ok(Answer { body, tag })
    }
}
