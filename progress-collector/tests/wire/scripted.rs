//! Answers by a script, in place of the network: all above it is the production client, and time can be paused.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{future, io};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use shared::aws;
use shared::event_sink::eventbridge::EventBridgeSink;
use shared::log_source::CloudWatchLogSource;
use shared::model::Timestamp;
use tokio::time::Instant;

use crate::client::{client_through, config_through};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// It is answered so.
    Http {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The connection breaks.
    Broken,
    /// It is never answered.
    Silence,
}

impl Answer {
    /// An answer that any program in between might give.
    pub(crate) fn http(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::Http { status, body }
    }

    /// An error as AWS tells it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = json!({"__type": code, "message": "as the test asked for"});
        Self::http(status, &body.to_string())
    }

    /// A page of a log stream `main`, a line an event.
    pub(crate) fn page(start: Timestamp, lines: &[&str], next_token: Option<&str>) -> Self {
        let event = |(index, line): (i64, &&str)| {
            json!({
                "eventId": format!("{index:056}"), "logStreamName": "main", "message": line,
                "timestamp": start.as_millis() + index, "ingestionTime": start.as_millis() + index,
            })
        };
        let events: Vec<_> = (0..).zip(lines).map(event).collect();
        let body = json!({"events": events, "nextToken": next_token, "searchedLogStreams": []});
        Self::http(200, &body.to_string())
    }
}

/// A request that was made.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) body: Value,
}

/// An HTTP client that answers by a script, and remembers what it was asked. Clones are the same client.
#[derive(Debug, Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    first: VecDeque<Answer>,
    then: Answer,
    requests: Vec<Request>,
}

impl Script {
    /// Answers the first requests by `first`, one each, and all that follow by `then`.
    pub(crate) fn new(first: impl IntoIterator<Item = Answer>, then: Answer) -> Self {
        Self(Arc::new(Mutex::new(State {
            first: first.into_iter().collect(),
            then,
            requests: Vec::new(),
        })))
    }

    /// Answers by `then` from now on.
    pub(crate) fn change(&self, then: Answer) {
        self.lock().then = then;
    }

    /// The collector's source, asking here.
    pub(crate) fn source(&self) -> CloudWatchLogSource {
        let client = client_through(self.clone(), "http://logs.test");
        CloudWatchLogSource::new(client)
    }

    /// The collector's sink of events, sending here.
    pub(crate) fn event_sink(&self) -> EventBridgeSink {
        let config = config_through(self.clone(), "http://events.test");
        EventBridgeSink::new(move || aws::eventbridge(&config), "transitions")
    }

    /// The requests since this was asked last.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().requests)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Script {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.lock();
        let target = request.headers().get("x-amz-target");
        let known = ["Logs_20140328.FilterLogEvents", "AWSEvents.PutEvents"];
        assert!(target.is_some_and(|target| known.contains(&target)));
        let body = request.body().bytes().unwrap();
        state.requests.push(Request {
            at: Instant::now(),
            body: serde_json::from_slice(body).unwrap(),
        });
        let answer = match state.first.pop_front() {
            Some(answer) => answer,
            None => state.then.clone(),
        };
        match answer {
            Answer::Http { status, body } => {
                let status = StatusCode::try_from(status).unwrap();
                let mut response = HttpResponse::new(status, SdkBody::from(body));
                let headers = response.headers_mut();
                headers.insert("content-type", "application/x-amz-json-1.1");
                HttpConnectorFuture::ready(Ok(response))
            }
            Answer::Broken => {
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                HttpConnectorFuture::ready(Err(ConnectorError::io(reset.into())))
            }
            Answer::Silence => HttpConnectorFuture::new(future::pending()),
        }
    }
}
