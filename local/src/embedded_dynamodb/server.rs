//! The HTTP server of the embedded DynamoDB.
//!
//! The engine's own server takes any signature and lets every web page read its answers. This one answers
//! only requests whose access key id is the secret of this process, and none that come from a web page.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

/// The largest request, as in DynamoDB: a `BatchWriteItem` of 16 MB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

struct Server {
    database: Database,
    access_key_id: String,
}

/// Serves `database` on `listener` to callers that hold `access_key_id`, until it is dropped.
pub(super) async fn serve(listener: TcpListener, database: Database, access_key_id: String) {
    let server = Arc::new(Server {
        database,
        access_key_id,
    });
    let router = Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(server);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the embedded DynamoDB has ended");
    }
}

async fn answer(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.contains_key(ORIGIN) || !server.is_known(&headers) {
        return refusal(
            StatusCode::FORBIDDEN,
            "UnrecognizedClientException",
            "this DynamoDB answers only the process that started it",
        );
    }
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let operation = target.and_then(|target| Some(target.split_once('.')?.1));
    let result = execute(&server.database, operation.unwrap_or_default(), &body);
    match result {
        Ok(Some(json)) => response(StatusCode::OK, json),
        Ok(None) => refusal(
            StatusCode::BAD_REQUEST,
            "UnknownOperationException",
            "the embedded DynamoDB does not have this operation",
        ),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code());
            response(status.unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
        }
    }
}

impl Server {
    /// Whether a request is signed with the access key of this process:
    /// `AWS4-HMAC-SHA256 Credential=<access key id>/<date>/…`.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let authorization = headers.get(AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let credential = authorization.and_then(|value| Some(value.split_once("Credential=")?.1));
        let access_key_id = credential.and_then(|value| Some(value.split_once('/')?.0));
        access_key_id == Some(self.access_key_id.as_str())
    }
}

/// Executes an operation; `None` if there is none of that name.
fn execute(
    database: &Database,
    operation: &str,
    body: &[u8],
) -> Result<Option<String>, DynoxideError> {
    fn run<Q: DeserializeOwned, A: Serialize>(
        body: &[u8],
        operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
    ) -> Result<Option<String>, DynoxideError> {
        let invalid =
            |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
        let request = serde_json::from_slice(body).map_err(invalid)?;
        let answer = operation(request)?;
        serde_json::to_string(&answer).map(Some).map_err(invalid)
    }
    match operation {
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
        "CreateTable" => run(body, |request| database.create_table(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "DeleteTable" => run(body, |request| database.delete_table(request)),
        "DescribeStream" => run(body, |request| database.describe_stream(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "GetItem" => run(body, |request| database.get_item(request)),
        "GetRecords" => run(body, |request| database.get_records(request)),
        "GetShardIterator" => run(body, |request| database.get_shard_iterator(request)),
        "ListStreams" => run(body, |request| database.list_streams(request)),
        "ListTables" => run(body, |request| database.list_tables(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "TransactGetItems" => run(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "UpdateTable" => run(body, |request| database.update_table(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        _ => Ok(None),
    }
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response {
    let body = serde_json::json!({ "__type": error_type, "message": message });
    response(status, body.to_string())
}

fn response(status: StatusCode, json: String) -> Response {
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], json).into_response()
}
