//! The interface by which Lambda hands invocations to a function, as far as a function uses it
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
//!
//! It is one thread that blocks on one connection, so that next to nothing of what is measured is its own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For how long a function may be silent before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an invocation may take, by the deadline that the function is told.
const TIMEOUT: Duration = Duration::from_secs(900);

/// What came of an invocation.
#[derive(Debug)]
pub struct Invocation {
    /// From when the event was sent until the answer was there.
    pub took: Duration,
    /// The answer, as it was sent.
    pub answer: Vec<u8>,
}

/// A runtime interface for one function on the loopback address.
#[derive(Debug)]
pub struct RuntimeApi {
    listener: TcpListener,
    connection: Option<Connection>,
}

impl RuntimeApi {
    /// Begins to listen.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self {
            listener,
            connection: None,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits until the function asks for an event.
    ///
    /// # Errors
    ///
    /// That it does not, or says that it can't start.
    pub fn wait_until_ready(&mut self) -> io::Result<()> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Connection {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        };
        connection.expect("/invocation/next")?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Hands over an event and waits for the answer, and then until the function asks for the next one.
    ///
    /// # Errors
    ///
    /// That the function does not answer, or answers by an error.
    pub fn invoke(&mut self, event: &[u8]) -> io::Result<Invocation> {
        let connection = self.connection.as_mut();
        let connection = connection.ok_or_else(|| io::Error::other("no function is there"))?;
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
        connection.stream.write_all(&message)?;
        let answer = connection.expect("/response")?;
        let took = started.elapsed();
        let accepted = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        connection.stream.write_all(accepted)?;
        connection.expect("/invocation/next")?;
        Ok(Invocation { took, answer })
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Reads a request whose path must end in `path`, and gives its body.
    fn expect(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.buffer.clear();
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some((asked, body)) = complete(&self.buffer)? {
                return if asked.ends_with(path) {
                    Ok(body)
                } else {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    Err(io::Error::other(format!(
                        "the function says {asked}: {body}"
                    )))
                };
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.buffer.extend_from_slice(&chunk[..read]),
            }
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
