//! The interface through which Lambda hands invocations to a function, as far as a function uses it
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

/// How long an invocation may take, by its deadline.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a function has answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Response(Value),
    Error(Value),
}

/// An invocation that waits to be answered: whoever was killed may have taken it a moment before that was noticed.
#[derive(Default)]
struct Waiting {
    event: Mutex<Option<Value>>,
    offered: Notify,
}

#[derive(Clone)]
struct Interface {
    waiting: Arc<Waiting>,
    answers: mpsc::UnboundedSender<Answer>,
}

/// A runtime interface on the loopback address.
pub(crate) struct RuntimeApi {
    pub(crate) address: String,
    waiting: Arc<Waiting>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        let waiting = Arc::<Waiting>::default();
        let interface = Interface {
            waiting: waiting.clone(),
            answers: sender,
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answer))
            .with_state(interface);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            waiting,
            answers,
        }
    }

    /// Offers an invocation to whichever process asks next; one that nobody has answered is replaced.
    pub(crate) fn offer(&mut self, event: Value) {
        while self.answers.try_recv().is_ok() {}
        *self.waiting.event.lock().unwrap() = Some(event);
        self.waiting.offered.notify_one();
    }

    /// The answer to the last invocation, if it comes within `patience`.
    pub(crate) async fn answer_within(&mut self, patience: Duration) -> Option<Answer> {
        tokio::time::timeout(patience, self.answers.recv())
            .await
            .ok()?
    }
}

/// Gives the next invocation, as soon as there is one.
async fn next(State(interface): State<Interface>) -> impl IntoResponse {
    let event = loop {
        let offered = interface.waiting.offered.notified();
        let event = interface.waiting.event.lock().unwrap().clone();
        if let Some(event) = event {
            break event;
        }
        offered.await;
    };
    let deadline = SystemTime::now() + TIMEOUT;
    let deadline_ms = deadline
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
        .to_string();
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        ),
        ("lambda-runtime-deadline-ms", deadline_ms),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:collector".to_owned(),
        ),
    ];
    (headers, event.to_string())
}

async fn answer(
    State(interface): State<Interface>,
    Path((_, kind)): Path<(String, String)>,
    body: String,
) -> StatusCode {
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    let answer = match kind.as_str() {
        "response" => Answer::Response(body),
        _ => Answer::Error(body),
    };
    *interface.waiting.event.lock().unwrap() = None;
    drop(interface.answers.send(answer));
    StatusCode::ACCEPTED
}
