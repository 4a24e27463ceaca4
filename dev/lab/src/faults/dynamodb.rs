//! An HTTP proxy in front of DynamoDB that answers some requests itself, as DynamoDB does when it has trouble.

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

/// The most that a request of DynamoDB has.
const MOST_BYTES: usize = 64 * 1024 * 1024;
const EXCEPTION: &str = "com.amazonaws.dynamodb.v20120810#";

/// What is answered to those requests that are not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There were too many.
    Throttled,
    /// Something went wrong; nothing was done.
    Failed,
    /// Something went wrong; what was asked for was done all the same.
    FailedAfterwards,
    /// Nothing.
    Silence,
    /// To changes: that another writer was faster. All else is passed on.
    Conflict,
}

/// The trouble, and how many of a hundred requests have it.
type Plan = Option<(Trouble, u64)>;

/// The proxy; it lives as long as the runtime.
#[derive(Debug, Clone)]
pub struct DynamoDbProxy {
    /// Where it listens.
    pub address: SocketAddr,
    target: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    asked: Arc<AtomicU64>,
    client: Client<HttpConnector, Body>,
}

impl DynamoDbProxy {
    /// Begins to listen for requests to `target`, and passes them on.
    ///
    /// # Errors
    ///
    /// That there is no address to listen on.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let proxy = Self {
            address: listener.local_addr()?,
            target,
            plan: Arc::default(),
            asked: Arc::default(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        };
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(proxy)
    }

    /// Has so many of a hundred requests meet this trouble from now on.
    pub fn set(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// The trouble that the next request has.
    fn next(&self) -> Option<Trouble> {
        let plan = *self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let (trouble, percent) = plan?;
        // Spread evenly without chance, and not in step with attempts that come in threes.
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
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

/// That the condition of a transaction's first item does not hold; `None` if that would not mean that another was faster,
/// but that a new task exists.
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
