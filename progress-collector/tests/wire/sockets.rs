//! Faults of real connections, each met by one request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::log_source::{CloudWatchLogSource, LogSource, LogSourceError, PageRequest};
use shared::model::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::client;

/// Answers each connection's first request by the same bytes and hangs up; counts connections.
struct Responder {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Responder {
    async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        // Ends with the runtime of the test.
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                respond(connection, answer).await;
            }
        });
        Self {
            address,
            connections,
        }
    }
}

/// Reads a request to its end, answers it, and hangs up.
async fn respond(mut connection: TcpStream, answer: &[u8]) {
    let mut request = Vec::new();
    // The body of each request is a JSON object, and the headers have no brace.
    while !request.ends_with(b"}") {
        match connection.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    // The client may have hung up first.
    drop(connection.write_all(answer).await);
    drop(connection.shutdown().await);
}

async fn error_at(address: SocketAddr) -> LogSourceError {
    let source = CloudWatchLogSource::new(client(&format!("http://{address}")));
    let request = PageRequest {
        log_group: "/miyabi/cdk",
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(1),
        next_token: None,
    };
    source.fetch_page(request).await.unwrap_err()
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = error_at(address).await;
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_unavailable_after_one_request() {
    for answer in [
        b"".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"events\":[",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"eve",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let responder = Responder::start(answer).await;
        let error = error_at(responder.address).await;
        let answer = answer.escape_ascii();
        assert!(error.is_transient(), "{answer}: {error:?}");
        let connections = responder.connections.load(Ordering::SeqCst);
        assert_eq!(connections, 1, "{answer}");
    }
}
