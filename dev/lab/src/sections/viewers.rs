//! Many who watch: the time until all of them are told of a change, and the memory that each takes.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use futures::{SinkExt as _, TryFutureExt as _};
use lab::statistics::{Times, millis};
use lab::table::Table;
use serde_json::{Value, json};
use shared::error::Source;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::bench::Bench;
use super::freshness::{Running, serve};

const VIEWERS: [usize; 3] = [100, 1_000, 10_000];
/// How many more connect and read nothing.
const IDLE: usize = 100;
const CHANGES: usize = 20;
/// The pause between two changes.
const PAUSE: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(30);
/// How many connect at the same time.
const CONNECTING: usize = 100;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let heading = "\n### Viewers\n\n";
    let Some(program) = &bench.arguments.local else {
        return Ok(format!("{heading}Not measured: it takes `--local`.\n"));
    };
    let mut table = Table::new(&[
        "viewers of `local serve`",
        "KB of memory each",
        "ms until a viewer is told: p50",
        "p99",
        "ms until all are told: longest",
    ]);
    for viewers in VIEWERS {
        let log = tempfile::NamedTempFile::new()?;
        let (serving, address) = serve(program, log.path())?;
        let row = bench.runtime.block_on(watch(&serving, address, viewers))?;
        let cells: Vec<_> = row.iter().map(String::as_str).collect();
        table.row(&cells);
    }
    Ok(format!(
        "{heading}{IDLE} more connect and read nothing. Clients and server share the processor.\n\n{}",
        table.render()
    ))
}

async fn watch(
    serving: &Running,
    address: SocketAddr,
    viewers: usize,
) -> Result<[String; 5], Source> {
    let task = json!({"task_id": "watched", "task_name": "Watched", "task_type": "build"});
    request(address, "POST", "/api/tasks", &task).await?;
    let before = memory_kb(serving)?;
    let connect = |_| subscribe(address);
    let sockets = stream::iter(0..viewers + IDLE)
        .map(connect)
        .buffer_unordered(CONNECTING);
    let mut sockets: Vec<_> = sockets.try_collect().await?;
    let each_kb = memory_kb(serving)?.saturating_sub(before) / u64::try_from(viewers + IDLE)?;
    let idle = sockets.split_off(viewers);
    let (told, mut all_told) = mpsc::unbounded_channel();
    let told = Arc::new(told);
    for socket in sockets {
        tokio::spawn(read(socket, told.clone()));
    }
    drop(told);
    let (mut times, mut longest) = (Vec::new(), Duration::ZERO);
    for number in 1..=CHANGES {
        let message = "x".repeat(200);
        let change = json!({"status": "running", "message": message, "progress": {"current": number, "total": CHANGES}});
        let begun = Instant::now();
        request(address, "PATCH", "/api/tasks/watched", &change).await?;
        for _ in 0..viewers {
            let at = timeout(PATIENCE, all_told.recv()).await?;
            let took = at.ok_or("all connections have ended")? - begun;
            longest = longest.max(took);
            times.push(took);
        }
        sleep(PAUSE).await;
    }
    drop(idle);
    let times = Times::new(times);
    Ok([
        viewers.to_string(),
        each_kb.to_string(),
        millis(times.percentile(50)),
        millis(times.percentile(99)),
        millis(longest),
    ])
}

/// Tells when each change arrives, until the connection ends.
async fn read(mut socket: WebSocketStream<TcpStream>, told: Arc<mpsc::UnboundedSender<Instant>>) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && told.send(Instant::now()).is_err() {
            return;
        }
    }
}

async fn subscribe(address: SocketAddr) -> Result<WebSocketStream<TcpStream>, Source> {
    let mut request = format!("ws://{address}/event/realtime").into_client_request()?;
    let header = "aws-appsync-event-ws, header-e30".parse()?;
    request
        .headers_mut()
        .insert("sec-websocket-protocol", header);
    let stream = TcpStream::connect(address).await?;
    let (mut socket, _) = client_async(request, stream).await?;
    let subscribe = json!({"type": "subscribe", "id": "1", "channel": "/progress/tasks"});
    for (message, expected) in [
        (json!({"type": "connection_init"}), "connection_ack"),
        (subscribe, "subscribe_success"),
    ] {
        socket.send(Message::text(message.to_string())).await?;
        let answer = timeout(PATIENCE, socket.next()).await?;
        let answer = answer.ok_or("the connection has ended")??;
        let answer: Value = serde_json::from_slice(&answer.into_data())?;
        if answer["type"] != expected {
            return Err(format!("{answer} instead of {expected}").into());
        }
    }
    Ok(socket)
}

/// The resident memory of a process.
fn memory_kb(serving: &Running) -> Result<u64, Source> {
    let status = fs::read_to_string(format!("/proc/{}/status", serving.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<(), Source> {
    let body = body.to_string();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        Ok::<_, std::io::Error>(response)
    };
    let response = timeout(PATIENCE, exchange.err_into::<Source>()).await??;
    match response.starts_with("HTTP/1.1 2") {
        true => Ok(()),
        false => Err(format!("{method} {path}: {response}").into()),
    }
}
