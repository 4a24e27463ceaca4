//! An HTTP client that returns scripted responses. Everything above it is the production client,
//! and time can be paused.

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
use shared::config::Settings;
use shared::event_sink::eventbridge::EventBridgeSink;
use shared::log_source::CloudWatchLogSource;
use shared::model::Timestamp;
use shared::push_sink::appsync::{AppSyncEndpoint, AppSyncSink};
use tokio::time::Instant;

use crate::client::{client_through, config_through};

/// What happens to a request.
#[derive(Debug, Clone)]
pub(crate) enum Response {
    /// The client receives this response.
    Http {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The connection breaks.
    Broken,
    /// No response comes.
    Never,
}

impl Response {
    /// A response with this status and body.
    pub(crate) fn http(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::Http { status, body }
    }

    /// An error in the format of AWS.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = json!({"__type": code, "message": "injected by the test"});
        Self::http(status, &body.to_string())
    }

    /// A page of the log stream `main`, with one event per line.
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

/// A request that the client sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) body: Value,
}

/// An HTTP client that returns scripted responses and records the requests. Clones share their
/// state.
#[derive(Debug, Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    first: VecDeque<Response>,
    then: Response,
    requests: Vec<Request>,
}

impl Script {
    /// Answers the first requests with `first`, one each, and all later requests with `then`.
    pub(crate) fn new(first: impl IntoIterator<Item = Response>, then: Response) -> Self {
        Self(Arc::new(Mutex::new(State {
            first: first.into_iter().collect(),
            then,
            requests: Vec::new(),
        })))
    }

    /// Answers with `then` from now on.
    pub(crate) fn change(&self, then: Response) {
        self.lock().then = then;
    }

    /// The collector's log source with this client.
    pub(crate) fn source(&self) -> CloudWatchLogSource {
        let client = client_through(self.clone(), "http://logs.test");
        CloudWatchLogSource::new(client)
    }

    /// The collector's event sink with this client.
    pub(crate) fn event_sink(&self) -> EventBridgeSink {
        let config = config_through(self.clone(), "http://events.test");
        EventBridgeSink::new(move || aws::eventbridge(&config), "transitions")
    }

    /// The publisher's push sink with this client.
    pub(crate) fn push_sink(&self) -> AppSyncSink {
        let lookup = |name: &str| (name == "PUSH_HTTP_HOST").then(|| "push.example".to_owned());
        let endpoint = AppSyncEndpoint::from_settings(&Settings::new(&lookup)).unwrap();
        let config = config_through(self.clone(), "http://unused.test");
        let connector = self.clone();
        AppSyncSink::new(|| SharedHttpConnector::new(connector), config, endpoint)
    }

    /// The requests since the last call.
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
        let is_push = request.uri().ends_with(".example/event");
        assert!(is_push || target.is_some_and(|target| known.contains(&target)));
        if is_push {
            // The signature is of the service and of the region, and covers the host.
            let authorization = request.headers().get("authorization").unwrap();
            assert!(authorization.contains("/us-east-1/appsync/aws4_request"));
            assert!(authorization.contains("host;"), "{authorization}");
        }
        let body = request.body().bytes().unwrap();
        state.requests.push(Request {
            at: Instant::now(),
            body: serde_json::from_slice(body).unwrap(),
        });
        let response = match state.first.pop_front() {
            Some(response) => response,
            None => state.then.clone(),
        };
        match response {
            Response::Http { status, body } => {
                let status = StatusCode::try_from(status).unwrap();
                let mut response = HttpResponse::new(status, SdkBody::from(body));
                let headers = response.headers_mut();
                headers.insert("content-type", "application/x-amz-json-1.1");
                HttpConnectorFuture::ready(Ok(response))
            }
            Response::Broken => {
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                HttpConnectorFuture::ready(Err(ConnectorError::io(reset.into())))
            }
            Response::Never => HttpConnectorFuture::new(future::pending()),
        }
    }
}
