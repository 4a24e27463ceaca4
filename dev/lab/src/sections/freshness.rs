//! The time from a written log line until the API shows it.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::{Router, routing};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use lab::events::{get, post_lines};
use lab::function::Function;
use lab::statistics::{Times, millis};
use lab::table::Table;
use serde_json::{Value, json};
use shared::error::Source;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::bench::Bench;

const LINES: usize = 100;
/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(20);

/// A process. Dropping it kills it.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The answer to `GET` of a path.
type Get<'a> = &'a mut dyn FnMut(&str) -> Result<String, Source>;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let heading = "\n### Freshness\n\n";
    let Some(program) = &bench.arguments.local else {
        return Ok(format!("{heading}Not measured: it takes `--local`.\n"));
    };
    let mut table = Table::new(&[
        "ms from a line to the response that shows it",
        "p50",
        "p90",
        "p99",
    ]);
    let mut row = |name: &str, took: Times| {
        let times = [50, 90, 99].map(|percent| millis(took.percentile(percent)));
        table.row(&[name, &times[0], &times[1], &times[2]]);
    };

    let folder = tempfile::tempdir()?;
    let log = folder.path().join("fresh.log");
    std::fs::write(&log, "Shop: deploying... [1/1]\n")?;
    let (_serving, address) = serve(program, &log)?;
    let mut get_local = |path: &str| Ok(get_task(address, path)?);
    let mut file = OpenOptions::new().append(true).open(&log)?;
    let mut write = |line: &str| Ok(writeln!(file, "{line}")?);
    row(
        "`local serve`, file followed",
        lines("cdk:fresh", Pauses::Short, &mut write, &mut get_local)?,
    );

    let mut api = bench.api.start()?;
    let mut get_function = |path: &str| {
        let answer: Value = serde_json::from_slice(&api.invoke(&get(path))?.answer)?;
        Ok(answer["body"].as_str().unwrap_or_default().to_owned())
    };
    if let Some(progress) = &bench.arguments.progress {
        let url = format!("http://{address}");
        for (name, pauses) in [
            ("a stream of lines", Pauses::Stream),
            ("single lines", Pauses::Silence),
        ] {
            let stream = name.replace(' ', "-");
            let mut command = Printing::start(progress, &url, &stream)?;
            let mut write = |line: &str| command.print(line);
            row(
                &format!("`progress run` to `local serve`, {name}"),
                lines(&format!("run:{stream}"), pauses, &mut write, &mut get_local)?,
            );
        }
        let front = Front::start(bench.api.start()?)?;
        let mut command = Printing::start(progress, &front.url, "functions")?;
        let mut write = |line: &str| command.print(line);
        row(
            "`progress run` to `api-lambda`, a stream of lines",
            lines(
                "run:functions",
                Pauses::Stream,
                &mut write,
                &mut get_function,
            )?,
        );
    }

    let mut collector = bench.collector.start()?;
    let mut write = |line: &str| {
        collector.invoke(&pushed(line)?)?;
        Ok(())
    };
    row(
        "pushed to `progress-collector`, read by `api-lambda`",
        lines("cdk:pushed", Pauses::Short, &mut write, &mut get_function)?,
    );
    Ok(format!("{heading}{}", table.render()))
}

/// Writes lines one by one, and measures until the task shows each.
fn lines(
    task_id: &str,
    pauses: Pauses,
    write: &mut dyn FnMut(&str) -> Result<(), Source>,
    get: Get<'_>,
) -> Result<Times, Source> {
    let path = format!("/api/tasks/{task_id}");
    let mut took = Vec::new();
    for number in 1..=LINES {
        let started = Instant::now();
        write(&format!(
            "Shop | {number}/{LINES} | 10:00:03 AM | CREATE_COMPLETE | AWS::SQS::Queue | Queue{number} (Queue1A2B)"
        ))?;
        let wanted = format!("\"current\":{number},");
        while !get(&path)?.contains(&wanted) {
            if started.elapsed() > PATIENCE {
                return Err(format!("{task_id}: line {number} is not shown").into());
            }
            sleep(PAUSE);
        }
        took.push(started.elapsed());
        sleep(pauses.after(number));
    }
    Ok(Times::new(took))
}

/// The pauses between lines.
#[derive(Debug, Clone, Copy)]
enum Pauses {
    /// At least 100 ms, varying.
    Short,
    /// Up to 200 ms, the interval in which `progress run` sends, over which they spread.
    Stream,
    /// At least 400 ms: each line is the first one after a silence.
    Silence,
}

impl Pauses {
    /// The pause after a line.
    fn after(self, number: usize) -> Duration {
        let number = number as u64;
        Duration::from_millis(match self {
            Self::Short => 100 + number * 7 % 50,
            Self::Stream => number * 37 % 200,
            Self::Silence => 400 + number * 7 % 50,
        })
    }
}

/// A command under `progress run` that prints what it reads.
struct Printing {
    input: ChildStdin,
    _progress: Running,
}

impl Printing {
    fn start(progress: &Path, url: &str, name: &str) -> Result<Self, Source> {
        let mut child = Command::new(progress)
            .args(["run", "--quiet", "--name", name, "--", "cat"])
            .env("PROGRESS_URL", url)
            .env_remove("PROGRESS_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let progress = Running(child);
        Ok(Self {
            input,
            _progress: progress,
        })
    }

    /// Lets the command print a line.
    fn print(&mut self, line: &str) -> Result<(), Source> {
        Ok(writeln!(self.input, "{line}")?)
    }
}

/// A server that hands requests to a function, as API Gateway does.
struct Front {
    url: String,
    // It ends before the function, which must not end within it.
    _runtime: Runtime,
    _function: Arc<Mutex<Function>>,
}

impl Front {
    fn start(function: Function) -> Result<Self, Source> {
        let function = Arc::new(Mutex::new(function));
        let front = Router::new()
            .fallback(routing::post(forward))
            .with_state(function.clone());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        runtime.spawn(async move { axum::serve(listener, front).await });
        Ok(Self {
            url,
            _runtime: runtime,
            _function: function,
        })
    }
}

async fn forward(
    State(function): State<Arc<Mutex<Function>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, String), StatusCode> {
    let content_type = headers.get("content-type");
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let body = String::from_utf8_lossy(&body);
    let event = post_lines(
        uri.query().unwrap_or_default(),
        content_type.unwrap_or_default(),
        &body,
    );
    let invoke = move || {
        let mut function = function.lock().unwrap_or_else(PoisonError::into_inner);
        function.invoke(&event).map(|invocation| invocation.answer)
    };
    let answer = tokio::task::spawn_blocking(invoke).await;
    let answer = answer.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let answer = answer.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|_| StatusCode::BAD_GATEWAY)?;
    let status = answer["statusCode"].as_u64();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let body = answer["body"].as_str().unwrap_or_default().to_owned();
    Ok((status.ok_or(StatusCode::BAD_GATEWAY)?, body))
}

/// The event with which CloudWatch Logs pushes a line.
fn pushed(line: &str) -> Result<Vec<u8>, Source> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let payload = json!({
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "/miyabi/cdk",
        "logStream": "pushed",
        "subscriptionFilters": ["progress"],
        "logEvents": [{"id": format!("{now_ms:056}"), "timestamp": now_ms as u64, "message": line}],
    });
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(payload.to_string().as_bytes())?;
    let data = BASE64_STANDARD.encode(packer.finish()?);
    Ok(json!({"awslogs": {"data": data}}).to_string().into_bytes())
}

/// Starts `local serve` and reads its address.
pub(super) fn serve(program: &Path, log: &Path) -> Result<(Running, SocketAddr), Source> {
    let mut child = Command::new(program)
        .args(["serve", "--port", "0", "--cdk"])
        .arg(log)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let serving = Running(child);
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some((_, rest)) = line.split_once("http://") {
            let address: String = rest
                .chars()
                .take_while(|character| "0123456789.:".contains(*character))
                .collect();
            return Ok((serving, address.parse()?));
        }
    }
    Err("`local serve` does not print its address".into())
}

fn get_task(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
