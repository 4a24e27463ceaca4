//! An emulator of the Lambda Runtime API, through which Lambda hands invocations to a function
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
//!
//! It has no task of its own: it serves the function only while one of its methods is awaited. A
//! bench that awaits it in its own thread so measures next to nothing but the function.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::select_all;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A function that says nothing for this long is lost.
const PATIENCE: Duration = Duration::from_secs(300);
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

/// The outcome of an invocation.
#[derive(Debug)]
pub struct Invocation {
    /// The time from sending the event until the whole answer is there.
    pub took: Duration,
    /// The answer, as the function sent it.
    pub answer: Vec<u8>,
    /// Whether the answer is an error. Lambda would report it to the caller, or try again.
    pub is_error: bool,
}

/// The answer of a function, as JSON.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// The function succeeded.
    Response(Value),
    /// The function failed.
    Error(Value),
}

/// The Runtime API of one function, on the loopback address.
#[derive(Debug)]
pub struct RuntimeApi {
    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub address: String,
    listener: TcpListener,
    /// The time until the deadline that the function gets.
    pub time_limit: Duration,
    /// The connections of the function. The one of its last request is the last.
    connections: Vec<Connection>,
    /// The number of the present invocation.
    invocation: u64,
    /// The response with the event of the present invocation, until it is answered.
    event: Option<Vec<u8>>,
    /// When that response was sent for the last time.
    sent_at: Instant,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// Whether it waits for the next event.
    asks_for_event: bool,
}

impl RuntimeApi {
    /// Listens for a function. Each invocation may take a minute.
    ///
    /// # Errors
    ///
    /// If there is no address to listen on.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self {
            address: listener.local_addr()?.to_string(),
            listener,
            time_limit: Duration::from_secs(60),
            connections: Vec::new(),
            invocation: 0,
            event: None,
            sent_at: Instant::now(),
        })
    }

    /// Waits until the function asks for an event.
    ///
    /// # Errors
    ///
    /// If it does not, or reports that it can't start.
    pub async fn ready(&mut self) -> io::Result<()> {
        let is_asking = |connection: &Connection| connection.asks_for_event;
        while !self.connections.iter().any(is_asking) {
            if let Some(error) = timeout(PATIENCE, self.serve()).await?? {
                let error = String::from_utf8_lossy(&error.answer);
                return Err(io::Error::other(format!("the function reports {error}")));
            }
        }
        Ok(())
    }

    /// Hands an event to the function, and waits for the answer and until the function asks again.
    ///
    /// # Errors
    ///
    /// If the function does not answer. An answer may be an error.
    pub async fn invoke(&mut self, event: &[u8]) -> io::Result<Invocation> {
        self.ready().await?;
        self.set_event(event)?;
        let invocation = timeout(PATIENCE, self.answered()).await??;
        self.ready().await?;
        Ok(invocation)
    }

    /// Offers an event to each process that asks for one, until one answers: a process may be killed
    /// after it has taken the event. This replaces an event that has no answer yet.
    ///
    /// # Panics
    ///
    /// If the system's clock is before 1970.
    pub fn offer(&mut self, event: Value) {
        self.set_event(event.to_string().as_bytes()).unwrap();
    }

    fn set_event(&mut self, event: &[u8]) -> io::Result<()> {
        self.invocation += 1;
        let deadline = SystemTime::now() + self.time_limit;
        let deadline = deadline.duration_since(UNIX_EPOCH);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
             lambda-runtime-aws-request-id: {}\r\n\
             lambda-runtime-deadline-ms: {}\r\n\
             lambda-runtime-invoked-function-arn: \
             arn:aws:lambda:us-east-1:123456789012:function:emulated\r\n\
             content-length: {}\r\n\r\n",
            self.request_id(),
            deadline.map_err(io::Error::other)?.as_millis(),
            event.len()
        );
        self.event = Some([head.as_bytes(), event].concat());
        Ok(())
    }

    /// The answer to the event that is offered, if it comes within `patience`. This may be
    /// cancelled and awaited again.
    ///
    /// # Panics
    ///
    /// If a process does not follow the protocol.
    pub async fn answer_within(&mut self, patience: Duration) -> Option<Answer> {
        let invocation = timeout(patience, self.answered()).await.ok()?.unwrap();
        let text = String::from_utf8_lossy(&invocation.answer);
        let json = serde_json::from_str(&text).unwrap_or_else(|_| text.into());
        Some(match invocation.is_error {
            true => Answer::Error(json),
            false => Answer::Response(json),
        })
    }

    fn request_id(&self) -> String {
        format!("8476a536-e9f4-11e8-9739-{:012x}", self.invocation)
    }

    /// Serves the function until the present invocation is answered.
    async fn answered(&mut self) -> io::Result<Invocation> {
        loop {
            if let Some(invocation) = self.serve().await? {
                return Ok(invocation);
            }
        }
    }

    /// Sends the event to those that ask for it, and then waits for one more sign of the function.
    async fn serve(&mut self) -> io::Result<Option<Invocation>> {
        self.send_event().await;
        if self.connections.is_empty() {
            let (stream, _) = self.listener.accept().await?;
            self.connections.push(Connection::new(stream)?);
        }
        match self.next_sign().await? {
            Sign::Connected(connection) => self.connections.push(connection),
            Sign::Readable(at) => {
                let mut connection = self.connections.remove(at);
                if connection.read() {
                    let request = complete(&connection.received)?;
                    self.connections.push(connection);
                    if let Some(request) = request {
                        return self.take(request).await;
                    }
                }
            }
        }
        Ok(None)
    }

    async fn send_event(&mut self) {
        let Some(event) = &self.event else { return };
        for connection in &mut self.connections {
            if connection.asks_for_event {
                connection.asks_for_event = false;
                self.sent_at = Instant::now();
                // A process that was killed can't take it. The next one can.
                drop(connection.stream.write_all(event).await);
            }
        }
    }

    /// Handles a request of the last connection. Returns the answer if it is one to the present
    /// invocation.
    async fn take(&mut self, (path, body): (String, Vec<u8>)) -> io::Result<Option<Invocation>> {
        let took = self.sent_at.elapsed();
        let Some(connection) = self.connections.last_mut() else {
            return Ok(None);
        };
        connection.received.clear();
        if path.ends_with("/invocation/next") {
            connection.asks_for_event = true;
            return Ok(None);
        }
        connection.stream.write_all(ACCEPTED).await?;
        // A process that was killed may have sent an answer to an earlier invocation just before.
        let is_present = path.contains(&self.request_id()) || path.ends_with("/init/error");
        if !is_present {
            return Ok(None);
        }
        self.event = None;
        Ok(Some(Invocation {
            took,
            answer: body,
            is_error: !path.ends_with("/response"),
        }))
    }

    /// The next sign of the function. Its HTTP client opens another connection now and then.
    async fn next_sign(&self) -> io::Result<Sign> {
        let waits = self.connections.iter();
        let waits = waits.map(|connection| Box::pin(connection.stream.readable()));
        tokio::select! {
            (outcome, at, _) = select_all(waits) => outcome.map(|()| Sign::Readable(at)),
            accepted = self.listener.accept() => Connection::new(accepted?.0).map(Sign::Connected),
        }
    }
}

/// A sign of the function.
enum Sign {
    /// It opened a connection.
    Connected(Connection),
    /// It sent something on the connection with this index, or closed it.
    Readable(usize),
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(64 * 1024),
            asks_for_event: false,
        })
    }

    /// Reads what is there. Returns whether the connection is still open.
    fn read(&mut self) -> bool {
        self.received.reserve(16 * 1024);
        match self.stream.try_read_buf(&mut self.received) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// The path and the body of a request, once all of it is there.
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

/// The content of a chunked body, once all of it is there.
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const PATIENT: Duration = Duration::from_secs(30);

    async fn connect(runtime: &RuntimeApi) -> TcpStream {
        let mut function = TcpStream::connect(&runtime.address).await.unwrap();
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n";
        function.write_all(next).await.unwrap();
        function
    }

    /// Takes the event on a connection and returns the id of the request.
    async fn receive(function: &mut TcpStream) -> String {
        let mut bytes = [0; 4096];
        let read = function.read(&mut bytes).await.unwrap();
        let text = str::from_utf8(&bytes[..read]).unwrap();
        let (_, id) = text.split_once("request-id: ").unwrap();
        id.split_once("\r\n").unwrap().0.to_owned()
    }

    async fn answer(function: &mut TcpStream, id: &str, kind: &str, chunks: &[&str]) {
        let mut request = format!(
            "POST /2018-06-01/runtime/invocation/{id}/{kind} HTTP/1.1\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        for chunk in chunks {
            request += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
        }
        request += "0\r\n\r\n";
        function.write_all(request.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn an_event_is_offered_until_it_is_answered() {
        let mut runtime = RuntimeApi::start().await.unwrap();
        let killed = connect(&runtime).await;
        runtime.offer(json!({}));
        let soon = Duration::from_millis(50);
        assert_eq!(runtime.answer_within(soon).await, None);
        drop(killed);
        let mut next = connect(&runtime).await;
        let function = async {
            let id = receive(&mut next).await;
            answer(&mut next, &id, "response", &["{\"a\"", ":1}"]).await;
        };
        let (answer, ()) = tokio::join!(runtime.answer_within(PATIENT), function);
        assert_eq!(answer, Some(Answer::Response(json!({"a": 1}))));
    }

    #[tokio::test]
    async fn an_answer_to_an_earlier_event_is_not_taken() {
        let mut runtime = RuntimeApi::start().await.unwrap();
        let mut slow = connect(&runtime).await;
        runtime.offer(json!({}));
        let soon = Duration::from_millis(50);
        assert_eq!(runtime.answer_within(soon).await, None);
        let earlier = receive(&mut slow).await;
        runtime.offer(json!({}));
        answer(&mut slow, &earlier, "response", &["1"]).await;
        let mut fast = connect(&runtime).await;
        let function = async {
            let id = receive(&mut fast).await;
            answer(&mut fast, &id, "error", &["2"]).await;
        };
        let (answer, ()) = tokio::join!(runtime.answer_within(PATIENT), function);
        assert_eq!(answer, Some(Answer::Error(json!(2))));
    }
}
