//! The interface by which Lambda hands invocations to a function, as far as a function uses it
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
//!
//! It waits in the thread that asks, so that next to nothing of what is measured is its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::select_all;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// For how long a function may be silent before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long an invocation may take, by the deadline that the function is told.
const TIMEOUT: Duration = Duration::from_secs(900);

/// What came of an invocation.
#[derive(Debug)]
pub struct Invocation {
    /// From when the event was sent until the answer was there.
    pub took: Duration,
    /// The answer, as it was sent.
    pub answer: Vec<u8>,
    /// Whether it is an error: Lambda would tell the caller so, or try again.
    pub is_error: bool,
}

/// A runtime interface for one function on the loopback address.
#[derive(Debug)]
pub struct RuntimeApi {
    runtime: Runtime,
    server: Server,
}

impl RuntimeApi {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// That there is no address to listen on.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let server = Server {
            listener,
            connections: Vec::new(),
        };
        Ok(Self { runtime, server })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.server.listener.local_addr()
    }

    /// Waits until the function asks for an event.
    ///
    /// # Errors
    ///
    /// That it does not, or says that it can't start.
    pub fn wait_until_ready(&mut self) -> io::Result<()> {
        let asked = self.server.expect("/invocation/next");
        self.runtime.block_on(asked).map(drop)
    }

    /// Hands over an event and waits for the answer, and then until the function asks for the next one.
    ///
    /// # Errors
    ///
    /// That the function does not answer, or answers by an error.
    pub fn invoke(&mut self, event: &[u8]) -> io::Result<Invocation> {
        let invocation = self.attempt(event)?;
        if invocation.is_error {
            let answer = String::from_utf8_lossy(&invocation.answer);
            return Err(io::Error::other(format!("the function failed: {answer}")));
        }
        Ok(invocation)
    }

    /// As [`invoke`](Self::invoke), but that the function may answer by an error.
    ///
    /// # Errors
    ///
    /// That the function does not answer.
    pub fn attempt(&mut self, event: &[u8]) -> io::Result<Invocation> {
        self.runtime.block_on(self.server.invoke(event))
    }
}

#[derive(Debug)]
struct Server {
    listener: TcpListener,
    /// The function's, the one of its last request last.
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Server {
    async fn invoke(&mut self, event: &[u8]) -> io::Result<Invocation> {
        let deadline = SystemTime::now() + TIMEOUT;
        let deadline_ms = deadline
            .duration_since(UNIX_EPOCH)
            .map_err(io::Error::other)?
            .as_millis();
        let mut message = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
             lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
             lambda-runtime-deadline-ms: {deadline_ms}\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:measured\r\n\
             content-length: {}\r\n\r\n",
            event.len()
        )
        .into_bytes();
        message.extend_from_slice(event);
        let started = Instant::now();
        self.respond(&message).await?;
        let (path, answer) = timeout(PATIENCE, self.request()).await??;
        let took = started.elapsed();
        self.respond(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            .await?;
        self.expect("/invocation/next").await?;
        Ok(Invocation {
            took,
            answer,
            is_error: !path.ends_with("/response"),
        })
    }

    /// Answers the last request.
    async fn respond(&mut self, message: &[u8]) -> io::Result<()> {
        match self.connections.last_mut() {
            Some(connection) => connection.stream.write_all(message).await,
            None => Err(io::Error::other("no function is there")),
        }
    }

    /// Waits for a request, whose path must end in `path`, and gives its body.
    async fn expect(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let (asked, body) = timeout(PATIENCE, self.request()).await??;
        if asked.ends_with(path) {
            return Ok(body);
        }
        let body = String::from_utf8_lossy(&body);
        Err(io::Error::other(format!(
            "the function says {asked}: {body}"
        )))
    }

    /// The next request, whichever connection it comes by: the function's client opens another one now and then.
    async fn request(&mut self) -> io::Result<(String, Vec<u8>)> {
        loop {
            if self.connections.is_empty() {
                self.accept().await?;
            }
            let at = match self.next_sign().await? {
                Sign::Connected(connection) => {
                    self.connections.push(connection);
                    continue;
                }
                Sign::Readable(at) => at,
            };
            let mut connection = self.connections.remove(at);
            if !connection.read()? {
                continue; // the function has closed it
            }
            let request = complete(&connection.received)?;
            if request.is_some() {
                connection.received.clear();
            }
            self.connections.push(connection);
            if let Some(request) = request {
                return Ok(request);
            }
        }
    }

    /// The next thing that the function does.
    async fn next_sign(&self) -> io::Result<Sign> {
        let waits = self.connections.iter();
        let waits = waits.map(|connection| Box::pin(connection.stream.readable()));
        tokio::select! {
            (outcome, at, _) = select_all(waits) => outcome.map(|()| Sign::Readable(at)),
            accepted = self.listener.accept() => Connection::new(accepted?.0).map(Sign::Connected),
        }
    }

    async fn accept(&mut self) -> io::Result<()> {
        let (stream, _) = self.listener.accept().await?;
        self.connections.push(Connection::new(stream)?);
        Ok(())
    }
}

/// What a function does.
enum Sign {
    /// It opens a connection.
    Connected(Connection),
    /// It has sent something by the connection of this number, or has closed it.
    Readable(usize),
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(64 * 1024),
        })
    }

    /// Reads what is there. Whether the connection is still open.
    fn read(&mut self) -> io::Result<bool> {
        self.received.reserve(16 * 1024);
        match self.stream.try_read_buf(&mut self.received) {
            Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The path and the body of the request in `bytes`, if all of it is there.
fn complete(bytes: &[u8]) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let path = request.path.unwrap_or_default().to_owned();
    let header = |name: &str| {
        let mut found = request.headers.iter();
        let found = found.find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| str::from_utf8(header.value).ok())
    };
    let body = &bytes[head..];
    if let Some(length) = header("content-length") {
        let length: usize = length.parse().map_err(io::Error::other)?;
        return Ok(body.get(..length).map(|body| (path, body.to_vec())));
    }
    if header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        return Ok(unchunked(body)?.map(|body| (path, body)));
    }
    Ok(Some((path, Vec::new())))
}

/// The content of a chunked body, if all of it is there.
fn unchunked(mut bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(bytes);
        let size = size.map_err(|_| io::Error::other("a chunk without a size"))?;
        let httparse::Status::Complete((at, size)) = size else {
            return Ok(None);
        };
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Ok(None);
        };
        content.extend_from_slice(&chunk[..size]);
        bytes = &bytes[at + size + 2..];
        if size == 0 {
            return Ok(Some(content));
        }
    }
}
