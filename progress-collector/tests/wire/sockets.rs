//! Failures of real connections. Each test sends one request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::log_source::{CloudWatchLogSource, LogSource, LogSourceError, PageRequest};
use shared::model::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::client;

/// Answers the first request of each connection with the same bytes, and closes the connection.
/// Counts connections.
struct Responder {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Responder {
    async fn start(response: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        // The task ends with the runtime of the test.
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                respond(connection, response).await;
            }
        });
        Self {
            address,
            connections,
        }
    }
}

/// Reads a whole request, sends the response, and closes the connection.
async fn respond(mut connection: TcpStream, response: &[u8]) {
    let mut request = Vec::new();
    // The body of each request is a JSON object, and its headers have no brace.
    while !request.ends_with(b"}") {
        match connection.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    // The client may have closed the connection.
    drop(connection.write_all(response).await);
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
async fn a_refused_connection_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = error_at(address).await;
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_broken_connection_is_unavailable_after_one_request() {
    for response in [
        b"".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"events\":[",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"eve",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let responder = Responder::start(response).await;
        let error = error_at(responder.address).await;
        let response = response.escape_ascii();
        assert!(error.is_transient(), "{response}: {error:?}");
        let connections = responder.connections.load(Ordering::SeqCst);
        assert_eq!(connections, 1, "{response}");
    }
}
