//! One connection of a subscriber.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api_lambda::auth::{PushOperation, PushRefusal};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use shared::model::Timestamp;
use shared::push_sink::Channel;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::hub::{Connection, Deliveries};
use super::protocol::{
    Authorization, ClientMessage, ProtocolError, SUBPROTOCOL, ServerMessage, authorization, data,
    offers_protocol,
};
use super::{LivePush, Server};

/// How long a client may take for its first message.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// After this time without a sign of life, a client connects again.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// The most subscriptions of one connection, as in AppSync
/// (<https://docs.aws.amazon.com/general/latest/gr/appsync.html>).
const MOST_SUBSCRIPTIONS: usize = 100;
/// The largest message of a client, in bytes. A subscription has a token of up to 8 KB.
const MOST_CLIENT_BYTES: usize = 16 * 1024;
/// The size of the buffers of each connection, in bytes. With 10,000 connections, they count.
const BUFFER_BYTES: usize = 1024;
/// The most bytes of a subscription's id.
const MOST_ID_BYTES: usize = 128;

/// Opens the WebSocket.
pub(super) async fn connect(
    State(push): State<LivePush>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !offers_protocol(&headers) {
        let text = format!("this WebSocket needs the subprotocol {SUBPROTOCOL}\n");
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let authorization = authorization(&headers);
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0) // each message is written at once
        .max_message_size(MOST_CLIENT_BYTES)
        .max_frame_size(MOST_CLIENT_BYTES)
        .on_upgrade(async move |mut socket| {
            // An error means that the client is gone.
            drop(serve(&push.0, &mut socket, &authorization).await);
        })
}

/// Serves a client until one of both ends the connection.
async fn serve(
    server: &Server,
    socket: &mut WebSocket,
    authorization: &Authorization,
) -> Result<(), axum::Error> {
    let Ok(Some(ClientMessage::ConnectionInit)) = timeout(PATIENCE, receive(socket)).await else {
        let errors =
            ProtocolError::bad_request("connection_init must come first, within 10 seconds");
        return send(socket, &ServerMessage::ConnectionError { errors }).await;
    };
    let expires_at = match server.allow(PushOperation::Connect, authorization) {
        Ok(expires_at) => expires_at,
        Err(refusal) => {
            let errors = ProtocolError::unauthorized(refusal);
            return send(socket, &ServerMessage::ConnectionError { errors }).await;
        }
    };
    let connection_timeout_ms = u64::try_from(CONNECTION_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
    send(
        socket,
        &ServerMessage::ConnectionAck {
            connection_timeout_ms,
        },
    )
    .await?;
    let (connection, deliveries) = server.hub.connect();
    let too_slow = deliveries.too_slow.clone();
    let mut client = Client {
        server,
        socket,
        connection,
        subscriptions: HashMap::new(),
        expires_at,
    };
    tokio::select! {
        outcome = client.talk(deliveries) => outcome,
        // Also while a message can't be sent, because the client does not read.
        () = too_slow.notified() => Ok(()),
    }
}

impl Server {
    /// Checks that a client may do something. Returns when its token expires, if it needs one.
    fn allow(
        &self,
        operation: PushOperation<'_>,
        authorization: &Authorization,
    ) -> Result<Option<Instant>, PushRefusal> {
        let now = Timestamp::now();
        let expires_at = self
            .auth
            .authorize_push(operation, &authorization.access_token, now)?;
        Ok(expires_at.and_then(|expires_at| {
            let left = Duration::from_millis(expires_at.millis_since(now));
            Instant::now().checked_add(left)
        }))
    }
}

/// A client that may have subscriptions.
struct Client<'a> {
    server: &'a Server,
    socket: &'a mut WebSocket,
    connection: Connection,
    subscriptions: HashMap<String, (Channel, Arc<str>)>,
    /// When the first of its tokens expires. The connection ends then.
    expires_at: Option<Instant>,
}

impl Client<'_> {
    async fn talk(&mut self, mut deliveries: Deliveries) -> Result<(), axum::Error> {
        let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let expiry = self.expires_at;
            tokio::select! {
                Some(delivery) = deliveries.queue.recv() => {
                    let text = data(&delivery.subscription, &delivery.event);
                    self.socket.send(Message::text(text)).await?;
                }
                received = self.socket.recv() => {
                    let Some(message) = received else { return Ok(()) };
                    match message? {
                        Message::Text(text) => self.handle(&text).await?,
                        Message::Binary(bytes) => {
                            self.handle(&String::from_utf8_lossy(&bytes)).await?;
                        }
                        Message::Close(_) => return Ok(()),
                        Message::Ping(_) | Message::Pong(_) => {}
                    }
                }
                _ = keep_alive.tick() => send(self.socket, &ServerMessage::KeepAlive).await?,
                () = at(expiry) => {
                    let errors = ProtocolError::unauthorized("the token has expired");
                    return send(self.socket, &ServerMessage::Error { errors }).await;
                }
            }
        }
    }

    async fn handle(&mut self, text: &str) -> Result<(), axum::Error> {
        match serde_json::from_str(text) {
            Ok(ClientMessage::Subscribe {
                id,
                channel,
                authorization,
            }) => {
                let message = match self.subscribe(&id, &channel, &authorization) {
                    Ok(()) => ServerMessage::SubscribeSuccess { id: &id },
                    Err(errors) => ServerMessage::SubscribeError { id: &id, errors },
                };
                send(self.socket, &message).await
            }
            Ok(ClientMessage::Unsubscribe { id }) => {
                let message = match self.unsubscribe(&id) {
                    Some(()) => ServerMessage::UnsubscribeSuccess { id: &id },
                    None => ServerMessage::UnsubscribeError {
                        id: &id,
                        errors: ProtocolError::bad_request("there is no such subscription"),
                    },
                };
                send(self.socket, &message).await
            }
            Ok(ClientMessage::ConnectionInit) => {
                let errors = ProtocolError::bad_request("the connection is open already");
                send(self.socket, &ServerMessage::Error { errors }).await
            }
            Err(_) => {
                let errors = ProtocolError::bad_request(
                    "a message must be JSON with the type connection_init, subscribe or unsubscribe",
                );
                send(self.socket, &ServerMessage::Error { errors }).await
            }
        }
    }

    fn subscribe(
        &mut self,
        id: &str,
        channel: &str,
        authorization: &Authorization,
    ) -> Result<(), [ProtocolError; 1]> {
        let operation = PushOperation::Subscribe(channel);
        let expires_at = self.server.allow(operation, authorization);
        let expires_at = expires_at.map_err(ProtocolError::unauthorized)?;
        let channel = Channel::parse(channel);
        let channel =
            channel.ok_or_else(|| ProtocolError::bad_request("there is no such channel"))?;
        if id.is_empty() || id.len() > MOST_ID_BYTES {
            return Err(ProtocolError::bad_request(
                "the id of a subscription must have 1 to 128 bytes",
            ));
        }
        if self.subscriptions.contains_key(id) {
            return Err(ProtocolError::bad_request(
                "the id of the subscription is in use",
            ));
        }
        if self.subscriptions.len() >= MOST_SUBSCRIPTIONS {
            return Err(ProtocolError::bad_request(
                "a connection has at most 100 subscriptions",
            ));
        }
        self.expires_at = [self.expires_at, expires_at].into_iter().flatten().min();
        let name: Arc<str> = serde_json::Value::from(id).to_string().into();
        self.server
            .hub
            .subscribe(&self.connection, &channel, name.clone());
        self.subscriptions.insert(id.to_owned(), (channel, name));
        Ok(())
    }

    fn unsubscribe(&mut self, id: &str) -> Option<()> {
        let (channel, name) = self.subscriptions.remove(id)?;
        self.server
            .hub
            .unsubscribe(&self.connection, &channel, &name);
        Some(())
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        for (channel, name) in self.subscriptions.values() {
            self.server.hub.unsubscribe(&self.connection, channel, name);
        }
    }
}

/// The next message of a client; `None` if it is another one, or none.
async fn receive(socket: &mut WebSocket) -> Option<ClientMessage> {
    let message = socket.recv().await?.ok()?;
    serde_json::from_slice(&message.into_data()).ok()
}

async fn send(socket: &mut WebSocket, message: &ServerMessage<'_>) -> Result<(), axum::Error> {
    socket.send(Message::text(message.to_json())).await
}

/// Waits until this moment; for ever without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
