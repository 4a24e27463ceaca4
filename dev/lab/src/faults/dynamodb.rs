//! An HTTP proxy in front of DynamoDB that answers some requests itself, as DynamoDB does in
//! trouble.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// More than the largest request or response of DynamoDB.
const MOST_BYTES: usize = 64 * 1024 * 1024;
const EXCEPTION: &str = "com.amazonaws.dynamodb.v20120810#";

/// What happens to the affected requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// They are throttled.
    Throttled,
    /// They fail. Nothing is done.
    Failed,
    /// They are done, but the answer is an error.
    FailedAfterwards,
    /// They are never answered.
    Silence,
    /// Writes fail as if another writer had been faster. Other requests are passed on.
    Conflict,
}

/// The trouble, and the percentage of requests that meet it.
type Plan = Option<(Trouble, u64)>;

/// The proxy. It lives as long as the runtime.
#[derive(Debug, Clone)]
pub struct DynamoDbProxy {
    /// Its address.
    pub address: SocketAddr,
    target: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    requests: Arc<AtomicU64>,
    client: Client<HttpConnector, Body>,
}

impl DynamoDbProxy {
    /// Starts a proxy that passes all requests on to `target`.
    ///
    /// # Errors
    ///
    /// If there is no address to listen on.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let proxy = Self {
            address: listener.local_addr()?,
            target,
            plan: Arc::default(),
            requests: Arc::default(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        };
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(proxy)
    }

    /// From now on requests meet this trouble.
    pub fn set(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// The trouble of the next request.
    fn next(&self) -> Option<Trouble> {
        let plan = *self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let (trouble, percent) = plan?;
        // Spread evenly, without randomness, and not in step with attempts that come in threes.
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        (number * 37 % 100 < percent).then_some(trouble)
    }

    async fn forward(&self, mut request: Request) -> Response {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri: Result<Uri, _> = format!("http://{}{path}", self.target).parse();
        let Ok(uri) = uri else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        *request.uri_mut() = uri;
        match self.client.request(request).await {
            Ok(response) => response.map(Body::new),
            Err(_) => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

async fn pass(State(proxy): State<DynamoDbProxy>, request: Request) -> Response {
    let is_write = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .is_some_and(|target| target.ends_with("TransactWriteItems"));
    match proxy.next() {
        None => proxy.forward(request).await,
        Some(Trouble::Conflict) if !is_write => proxy.forward(request).await,
        Some(Trouble::Throttled) => refusal(
            StatusCode::BAD_REQUEST,
            &json!({"__type": format!("{EXCEPTION}ProvisionedThroughputExceededException")}),
        ),
        Some(Trouble::Failed) => failure(),
        Some(Trouble::FailedAfterwards) => {
            let answer = proxy.forward(request).await;
            drop(to_bytes(answer.into_body(), MOST_BYTES).await);
            failure()
        }
        Some(Trouble::Silence) => std::future::pending().await,
        Some(Trouble::Conflict) => {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
            match lost_race(&body) {
                Some(answer) => answer,
                None => {
                    proxy
                        .forward(Request::from_parts(head, Body::from(body)))
                        .await
                }
            }
        }
    }
}

fn failure() -> Response {
    let body = json!({"__type": format!("{EXCEPTION}InternalServerError")});
    refusal(StatusCode::INTERNAL_SERVER_ERROR, &body)
}

/// The answer that the condition of a transaction's first item does not hold. `None` for a new
/// task, where it would mean that the task exists.
fn lost_race(request: &Bytes) -> Option<Response> {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let items = request["TransactItems"].as_array()?;
    let condition = items.first()?["Update"]["ConditionExpression"].as_str()?;
    if condition.contains("attribute_not_exists") {
        return None;
    }
    let reason = |number| match number {
        0 => json!({"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}),
        _ => json!({"Code": "None"}),
    };
    let reasons: Vec<Value> = (0..items.len()).map(reason).collect();
    let body = json!({
        "__type": format!("{EXCEPTION}TransactionCanceledException"),
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    Some(refusal(StatusCode::BAD_REQUEST, &body))
}

fn refusal(status: StatusCode, body: &Value) -> Response {
    let content_type = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
    (status, content_type, body.to_string()).into_response()
}
