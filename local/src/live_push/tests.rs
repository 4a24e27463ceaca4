//! The server, over sockets, with a client of the protocol and with the sink of the functions.

use std::net::Ipv4Addr;
use std::time::Duration;

use api_lambda::Auth;
use axum::Router;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cli::live::Live;
use cli::settings::Service;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use shared::aws;
use shared::config::Settings;
use shared::model::Timestamp;
use shared::push_sink::appsync::{AppSyncEndpoint, AppSyncSink};
use shared::push_sink::{Channel, PushError, PushMessage, PushSink};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::LivePush;
use crate::http_server;

const TASKS: &str = "/progress/tasks";
const PUBLISHER: &str = "AKIAPUBLISHER";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// How long any step may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
struct Fixture {
    address: String,
    push: LivePush,
}

impl Fixture {
    async fn start(auth: Auth) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let push = LivePush::new(auth, Duration::from_secs(900), PUBLISHER);
        let router = push.clone().beside(Router::new());
        tokio::spawn(http_server::serve(listener, router));
        Self { address, push }
    }

    /// The sink of the publisher, with this access key id.
    async fn sink(&self, access_key_id: &str) -> impl PushSink + use<> {
        let endpoint = format!("http://{}", self.address);
        let lookup = |name: &str| {
            let value = match name {
                "PUSH_HTTP_HOST" => "a.appsync-api.eu-central-1.amazonaws.com",
                "AWS_ENDPOINT_URL_APPSYNC" => &endpoint,
                "AWS_REGION" => "eu-central-1",
                "AWS_ACCESS_KEY_ID" => access_key_id,
                "AWS_SECRET_ACCESS_KEY" => "secret",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let settings = Settings::new(&lookup);
        let config = aws::load_config(&settings).await;
        let endpoint = AppSyncEndpoint::from_settings(&settings).unwrap();
        AppSyncSink::new(aws::connector(&settings), config, endpoint)
    }

    fn send(&self, event: &str) {
        self.push.0.hub.send(&PushMessage {
            channel: Channel::Tasks,
            event: event.to_owned(),
        });
    }
}

/// A client of the protocol.
struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(fixture: &Fixture, token: &str) -> Self {
        let authorization = json!({"host": fixture.address, "Authorization": token});
        let authorization = BASE64_URL_SAFE_NO_PAD.encode(authorization.to_string());
        let protocols = format!("aws-appsync-event-ws, header-{authorization}");
        Self::handshake(fixture, &protocols).await.unwrap()
    }

    async fn handshake(fixture: &Fixture, protocols: &str) -> Result<Self, tungstenite::Error> {
        let url = format!("ws://{}/event/realtime", fixture.address);
        let mut request = url.into_client_request().unwrap();
        let header = protocols.parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", header);
        let stream = TcpStream::connect(&fixture.address).await.unwrap();
        let (socket, response) = client_async(request, stream).await?;
        assert_eq!(
            response.headers()["sec-websocket-protocol"],
            "aws-appsync-event-ws"
        );
        Ok(Self(socket))
    }

    /// A client with a subscription to all tasks.
    async fn subscribed(fixture: &Fixture) -> Self {
        let mut client = Self::open(fixture, "none").await;
        client.exchange(json!({"type": "connection_init"})).await;
        let subscribed = client.exchange(subscribe("1", TASKS, "none")).await;
        assert_eq!(subscribed, json!({"type": "subscribe_success", "id": "1"}));
        client
    }

    async fn send(&mut self, message: &Value) {
        let message = Message::text(message.to_string());
        self.0.send(message).await.unwrap();
    }

    /// The next message; `None` if the server has closed the connection.
    async fn receive(&mut self) -> Option<Value> {
        let received = timeout(PATIENCE, self.0.next()).await.unwrap();
        match received? {
            Ok(Message::Text(text)) => Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => None,
            Ok(other) => panic!("unexpected {other:?}"),
        }
    }

    async fn exchange(&mut self, message: Value) -> Value {
        self.send(&message).await;
        self.receive().await.unwrap()
    }
}

fn subscribe(id: &str, channel: &str, token: &str) -> Value {
    let authorization = json!({"host": "a", "Authorization": token});
    json!({"type": "subscribe", "id": id, "channel": channel, "authorization": authorization})
}

/// The type of a message and the text of its error.
fn error_of(message: &Value) -> (&str, &str) {
    let text = message.pointer("/errors/0/message");
    let text = text.and_then(Value::as_str).unwrap_or_default();
    (message["type"].as_str().unwrap(), text)
}

fn with_tokens() -> Auth {
    let lookup = |name: &str| match name {
        "AUTH_HS256_SECRET" => Some(SECRET.to_owned()),
        "AUTH_LEEWAY_SECONDS" => Some("0".to_owned()),
        _ => None,
    };
    Auth::from_settings(&Settings::new(&lookup)).unwrap()
}

/// A token for reading that is valid for this long.
fn token(seconds: i64) -> String {
    let expires_at = Timestamp::now().as_millis() / 1000 + seconds;
    let claims = json!({"exp": expires_at, "scope": "progress:read"});
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let signed = format!(
        "{header}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn the_sink_of_the_functions_reaches_a_subscriber() {
    let fixture = Fixture::start(Auth::none()).await;
    let mut client = Client::subscribed(&fixture).await;
    let sink = fixture.sink(PUBLISHER).await;
    let events = [r#"{"a":"\"é"}"#, "no JSON", "2"];
    let outcomes = sink.publish(&Channel::Tasks, &events).await.unwrap();
    let outcomes: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(outcomes, [true, false, true]);
    for event in [r#"{"a":"\"é"}"#, "2"] {
        let expected = json!({"type": "data", "id": "1", "event": event});
        assert_eq!(client.receive().await, Some(expected));
    }
    let stranger = fixture.sink("AKIASTRANGER").await;
    let refused = stranger.publish(&Channel::Tasks, &["1"]).await.unwrap_err();
    assert!(matches!(refused, PushError::Refused(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_watch_is_told_of_a_change() {
    let fixture = Fixture::start(Auth::none()).await;
    let task = Channel::of_task(&"nightly".parse().unwrap());
    let place = json!({"url": "event/realtime", "host": null, "task": task.to_string()});
    let place = serde_json::from_value(place).unwrap();
    let service = Service::of(&format!("http://{}", fixture.address), None).unwrap();
    let subscribe = move || Live::subscribe(&service, &place).unwrap();
    let mut live = tokio::task::spawn_blocking(subscribe).await.unwrap();
    let send = |channel: &Channel| {
        fixture.push.0.hub.send(&PushMessage {
            channel: channel.clone(),
            event: "{}".to_owned(),
        });
    };
    send(&Channel::Tasks);
    let soon = || std::time::Instant::now() + Duration::from_millis(200);
    assert!(!tokio::task::block_in_place(|| live.wait(soon())).unwrap());
    send(&task);
    let later = std::time::Instant::now() + PATIENCE;
    assert!(tokio::task::block_in_place(|| live.wait(later)).unwrap());
}

#[tokio::test]
async fn a_handshake_needs_the_subprotocol_and_an_init() {
    let fixture = Fixture::start(Auth::none()).await;
    let refused = Client::handshake(&fixture, "graphql-ws").await.err();
    let Some(tungstenite::Error::Http(response)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(response.status(), 400);
    let mut client = Client::open(&fixture, "none").await;
    let error = client.exchange(subscribe("1", TASKS, "none")).await;
    let text = "connection_init must come first, within 10 seconds";
    assert_eq!(error_of(&error), ("connection_error", text));
    assert_eq!(client.receive().await, None);
}

#[tokio::test]
async fn what_can_not_be_subscribed_to_is_refused_with_the_reason() {
    let fixture = Fixture::start(Auth::none()).await;
    let mut client = Client::open(&fixture, "none").await;
    let acknowledged = client.exchange(json!({"type": "connection_init"})).await;
    let expected = json!({"type": "connection_ack", "connectionTimeoutMs": 300_000});
    assert_eq!(acknowledged, expected);
    for channel in ["/progress/*", "/progress/cdk:shop", "/other/tasks", ""] {
        let error = client.exchange(subscribe("1", channel, "none")).await;
        let text = "there is no such channel: GET /api/push names the channels";
        assert_eq!(error_of(&error), ("subscribe_error", text), "{channel}");
        assert_eq!(error["id"], "1");
    }
    for number in 1..=100 {
        let id = number.to_string();
        let success = client.exchange(subscribe(&id, TASKS, "none")).await;
        assert_eq!(success, json!({"type": "subscribe_success", "id": id}));
    }
    for (id, text) in [
        ("1", "the id of the subscription is in use"),
        ("101", "a connection has at most 100 subscriptions"),
        ("", "the id of a subscription must have 1 to 128 bytes"),
    ] {
        let error = client.exchange(subscribe(id, TASKS, "none")).await;
        assert_eq!(error_of(&error), ("subscribe_error", text));
    }
    let gone = client
        .exchange(json!({"type": "unsubscribe", "id": "1"}))
        .await;
    assert_eq!(gone, json!({"type": "unsubscribe_success", "id": "1"}));
    let error = client
        .exchange(json!({"type": "unsubscribe", "id": "1"}))
        .await;
    let expected = ("unsubscribe_error", "there is no such subscription");
    assert_eq!(error_of(&error), expected);
    for rubbish in [
        json!({"type": "publish"}),
        json!(7),
        json!({"type": "connection_init"}),
    ] {
        let error = client.exchange(rubbish).await;
        assert_eq!(error_of(&error).0, "error");
    }
    fixture.send("1");
    let mut subscriptions = Vec::new();
    for _ in 2..=100 {
        let message = client.receive().await.unwrap();
        subscriptions.push(message["id"].as_str().unwrap().parse::<u32>().unwrap());
    }
    assert_eq!(subscriptions, Vec::from_iter(2..=100));
}

#[tokio::test]
async fn a_connection_lives_as_long_as_its_tokens() {
    let fixture = Fixture::start(with_tokens()).await;
    let mut stranger = Client::open(&fixture, "none").await;
    let error = stranger.exchange(json!({"type": "connection_init"})).await;
    let expected = ("connection_error", "the token is not a valid JWT");
    assert_eq!(error_of(&error), expected);
    assert_eq!(stranger.receive().await, None);

    let mut client = Client::open(&fixture, &format!("Bearer {}", token(60))).await;
    client.exchange(json!({"type": "connection_init"})).await;
    let error = client.exchange(subscribe("1", TASKS, "none")).await;
    assert_eq!(error_of(&error).0, "subscribe_error");
    let success = client.exchange(subscribe("1", TASKS, &token(2))).await;
    assert_eq!(success["type"], "subscribe_success");
    let error = client.receive().await.unwrap();
    assert_eq!(error_of(&error), ("error", "the token has expired"));
    assert_eq!(client.receive().await, None);
    assert!(!fixture.push.0.hub.has_subscribers(&Channel::Tasks));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_is_disconnected_and_disturbs_nobody() {
    const SLOW: usize = 20;
    const MESSAGES: usize = 4_000;
    let fixture = Fixture::start(Auth::none()).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(Client::subscribed(&fixture).await);
    }
    let mut quick = Client::subscribed(&fixture).await;
    let filler = "x".repeat(4_000);
    let mut longest = Duration::ZERO;
    for number in 0..MESSAGES {
        let sent = Instant::now();
        fixture.send(&json!({"number": number, "filler": filler}).to_string());
        let message = quick.receive().await.unwrap();
        longest = longest.max(sent.elapsed());
        let event: Value = serde_json::from_str(message["event"].as_str().unwrap()).unwrap();
        assert_eq!(event["number"], number);
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    drop(quick);
    let all_are_gone = async {
        while fixture.push.0.hub.has_subscribers(&Channel::Tasks) {
            fixture.send("1");
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all_are_gone).await.unwrap();
    drop(slow);
}
