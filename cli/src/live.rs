//! Live push: the service says at once that a run has changed. It speaks the protocol of AppSync
//! Events over a WebSocket.
//!
//! A message is only a reason to ask the service again, and may be lost. So callers must also ask now
//! and then.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::http::uri::Uri;
use tungstenite::{Message, WebSocket};

use crate::client::authorities;
use crate::settings::Service;

/// How long each step of a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest silence of a connection. The server gives a sign of life every minute.
const MAX_SILENCE: Duration = Duration::from_secs(90);
/// AppSync refuses an empty token.
const NO_TOKEN: &str = "none";
const SUBPROTOCOL: &str = "aws-appsync-event-ws";

/// Where to subscribe, as `GET /api/push` says.
#[derive(Debug, Deserialize)]
pub struct Place {
    url: Option<String>,
    host: Option<String>,
    task: Option<String>,
}

/// Why there is no live push now.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The service has none.
    #[error("the service has no live push")]
    None,
    /// The connection failed.
    #[error("live push failed")]
    Io(#[from] io::Error),
    /// The WebSocket failed.
    #[error("live push failed")]
    WebSocket(#[source] Box<tungstenite::Error>),
    /// The server refused.
    #[error("live push was refused: {0}")]
    Refused(String),
}

impl From<tungstenite::Error> for LiveError {
    fn from(error: tungstenite::Error) -> Self {
        Self::WebSocket(Box::new(error))
    }
}

/// A connection, over TLS or without.
trait Stream: Read + Write + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

/// A subscription to the runs of a task.
pub struct Live {
    socket: WebSocket<Box<dyn Stream>>,
    heard_at: Instant,
}

impl Live {
    /// Subscribes to the task that `place` is about.
    ///
    /// # Errors
    ///
    /// [`LiveError`].
    pub fn subscribe(service: &Service, place: &Place) -> Result<Self, LiveError> {
        let url = place.url.as_deref().ok_or(LiveError::None)?;
        let channel = place.task.as_deref().ok_or(LiveError::None)?;
        let url = websocket_url(&service.url, url);
        let mut request = url.as_str().into_client_request()?;
        let own_host = request.uri().authority().map(ToString::to_string);
        let authorization = json!({
            "host": place.host.clone().or(own_host),
            "Authorization": service.token.as_deref().unwrap_or(NO_TOKEN),
        });
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(authorization.to_string());
        let protocols = HeaderValue::try_from(format!("{SUBPROTOCOL}, header-{encoded}"));
        let protocols = protocols.map_err(io::Error::other)?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocols);
        let stream = connect(request.uri())?;
        let (socket, _) = tungstenite::client(request, stream).map_err(|error| match error {
            tungstenite::HandshakeError::Failure(error) => error,
            tungstenite::HandshakeError::Interrupted(_) => {
                tungstenite::Error::Io(io::ErrorKind::TimedOut.into())
            }
        })?;
        let mut live = Self {
            socket,
            heard_at: Instant::now(),
        };
        live.exchange(&json!({"type": "connection_init"}), "connection_ack")?;
        let subscribe = json!({
            "type": "subscribe", "id": "1", "channel": channel, "authorization": authorization,
        });
        live.exchange(&subscribe, "subscribe_success")?;
        Ok(live)
    }

    /// Waits for a message about the task, at most until `deadline`. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`LiveError`] if the connection has ended.
    pub fn wait(&mut self, deadline: Instant) -> Result<bool, LiveError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            if self.heard_at.elapsed() > MAX_SILENCE {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
            match self.receive(left)? {
                Some(message) if message["type"] == "data" => return Ok(true),
                Some(message) if message["type"] == "error" => return Err(refusal(&message)),
                Some(_) | None => {}
            }
        }
    }

    /// Sends a message, and waits for the answer of this type.
    fn exchange(&mut self, message: &Value, expected: &str) -> Result<(), LiveError> {
        self.socket.send(Message::text(message.to_string()))?;
        let answer = self.receive(PATIENCE)?;
        let answer = answer.ok_or_else(|| io::Error::from(io::ErrorKind::TimedOut))?;
        match answer["type"] == expected {
            true => Ok(()),
            false => Err(refusal(&answer)),
        }
    }

    /// The next message; `None` if none comes in time, or one without meaning.
    fn receive(&mut self, patience: Duration) -> Result<Option<Value>, LiveError> {
        let tcp = self.socket.get_ref().tcp();
        tcp.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        let message = match self.socket.read() {
            Ok(message) => message,
            Err(tungstenite::Error::Io(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => Ok(serde_json::from_str(&text).ok()),
            Message::Close(_) => Err(tungstenite::Error::ConnectionClosed.into()),
            _ => Ok(None),
        }
    }
}

fn refusal(answer: &Value) -> LiveError {
    let reason = answer.pointer("/errors/0/message").and_then(Value::as_str);
    LiveError::Refused(reason.unwrap_or("no reason given").to_owned())
}

/// The absolute URL of the WebSocket: `url` may be relative to the service.
fn websocket_url(service_url: &str, url: &str) -> String {
    let absolute = match url.contains("://") {
        true => url.to_owned(),
        false => format!("{service_url}/{url}"),
    };
    match absolute.strip_prefix("http") {
        Some(rest) => format!("ws{rest}"),
        None => absolute,
    }
}

fn connect(uri: &Uri) -> Result<Box<dyn Stream>, LiveError> {
    let is_secure = uri.scheme_str() == Some("wss");
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                return match is_secure {
                    true => Ok(Box::new(secured(stream, host)?)),
                    false => Ok(Box::new(stream)),
                };
            }
            Err(error) => failure = error,
        }
    }
    Err(failure.into())
}

/// A connection over TLS. It trusts whom the other requests trust.
fn secured(
    stream: TcpStream,
    host: &str,
) -> Result<StreamOwned<ClientConnection, TcpStream>, LiveError> {
    let mut roots = RootCertStore::empty();
    match authorities() {
        Some(authorities) => drop(roots.add_parsable_certificates(authorities)),
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_url_is_beside_the_service() {
        for (service, url, expected) in [
            (
                "http://127.0.0.1:8080",
                "event/realtime",
                "ws://127.0.0.1:8080/event/realtime",
            ),
            (
                "https://a.example/prod",
                "event/realtime",
                "wss://a.example/prod/event/realtime",
            ),
            (
                "https://a.example",
                "wss://b.example/event/realtime",
                "wss://b.example/event/realtime",
            ),
        ] {
            assert_eq!(websocket_url(service, url), expected);
        }
    }
}
