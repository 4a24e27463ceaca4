//! A server for `FilterLogEvents` on the loopback interface. It can return small pages, respond
//! slowly and refuse requests, which the emulator can't.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};
use shared::log_event::LogEvent;
use shared::log_source::{LogSource, LogSourceError, PageRequest};
use shared::model::Timestamp;
use testkit::log_source::InMemoryLogSource;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the server responds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Behavior {
    /// The delay of each response.
    pub(crate) delay: Duration,
    /// Whether it refuses every page but the first of a window.
    pub(crate) refuses_further_pages: bool,
}

#[derive(Clone)]
struct Logs {
    events: Arc<InMemoryLogSource>,
    behavior: Arc<Mutex<Behavior>>,
}

/// The server. It stops when it is dropped.
pub(crate) struct LogServer {
    pub(crate) endpoint_url: String,
    logs: Logs,
    server: JoinHandle<()>,
}

impl Drop for LogServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl LogServer {
    /// Starts a server with pages of `page_size` events.
    pub(crate) async fn start(page_size: usize) -> Self {
        let logs = Logs {
            events: Arc::new(InMemoryLogSource::new(page_size)),
            behavior: Arc::default(),
        };
        let router = Router::new()
            .route("/", post(filter_log_events))
            .with_state(logs.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            endpoint_url,
            logs,
            server,
        }
    }

    /// Adds events to a log group.
    pub(crate) fn put(&self, log_group: &str, events: impl IntoIterator<Item = LogEvent>) {
        self.logs.events.put(log_group, events);
    }

    /// Sets how the server responds from now on.
    pub(crate) fn behave(&self, behavior: Behavior) {
        *self.logs.behavior.lock().unwrap() = behavior;
    }
}

async fn filter_log_events(State(logs): State<Logs>, body: String) -> impl IntoResponse {
    let body: Value = serde_json::from_str(&body).unwrap();
    let time = |name: &str| body[name].as_i64().map(Timestamp::from_millis).unwrap();
    let request = PageRequest {
        log_group: body["logGroupName"].as_str().unwrap(),
        start: time("startTime"),
        // The end is exclusive on the wire.
        end: Timestamp::from_millis(time("endTime").as_millis() - 1),
        next_token: body["nextToken"].as_str(),
    };
    let behavior = *logs.behavior.lock().unwrap();
    tokio::time::sleep(behavior.delay).await;
    if behavior.refuses_further_pages && request.next_token.is_some() {
        return error("AccessDeniedException");
    }
    let page = match logs.events.fetch_page(request).await {
        Ok(page) => page,
        Err(LogSourceError::GroupNotFound(_)) => return error("ResourceNotFoundException"),
        Err(_) => return error("InvalidParameterException"),
    };
    let event = |event: &LogEvent| {
        json!({
            "eventId": event.event_id, "logStreamName": event.log_stream, "message": event.message,
            "timestamp": event.timestamp.as_millis(), "ingestionTime": event.timestamp.as_millis(),
        })
    };
    let events: Vec<_> = page.events.iter().map(event).collect();
    let body = json!({"events": events, "nextToken": page.next_token});
    (StatusCode::OK, HEADERS, body.to_string())
}

const HEADERS: [(&str, &str); 1] = [("content-type", "application/x-amz-json-1.1")];

fn error(code: &str) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let body = json!({"__type": code, "message": "injected by the test"});
    (StatusCode::BAD_REQUEST, HEADERS, body.to_string())
}
