//! The HTTP server of the embedded DynamoDB.
//!
//! The engine has a server of its own. It accepts any signature and lets every web page read its responses, so it is
//! not used. This server answers a request only if its access key id is the secret of this process, and never one
//! that a web page sent. It has no CORS headers and checks a request before it reads the body.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use super::damage::Damage;

/// The largest request, as in DynamoDB: a `BatchWriteItem` of 16 MB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// The database, and whether it is damaged.
#[derive(Clone)]
pub(super) struct Engine {
    pub(super) database: Database,
    pub(super) damage: Arc<Damage>,
}

/// Serves `engine` on `listener` to clients that have `access_key_id`. Never returns, unless the server fails.
pub(super) async fn serve(listener: TcpListener, engine: Engine, access_key_id: String) {
    if let Err(error) = axum::serve(listener, router(engine, access_key_id)).await {
        tracing::error!(%error, "the embedded DynamoDB has failed");
    }
}

fn router(engine: Engine, access_key_id: String) -> Router {
    let access_key_id: Arc<str> = access_key_id.into();
    Router::new()
        .route("/", post(handle))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(engine)
        .layer(middleware::from_fn_with_state(access_key_id, authenticate))
}

/// Refuses requests from web pages and requests without the access key id of this process.
async fn authenticate(
    State(access_key_id): State<Arc<str>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let is_from_web_page = headers.contains_key(ORIGIN);
    if is_from_web_page || access_key_id_of(headers) != Some(&access_key_id) {
        return error_response(
            StatusCode::FORBIDDEN,
            "UnrecognizedClientException",
            "only the process that started this DynamoDB may use it, or a program that has the \
             access key id of that process",
        );
    }
    next.run(request).await
}

/// The access key id that a request was signed with:
/// `AWS4-HMAC-SHA256 Credential=<access key id>/<date>/…`.
pub(crate) fn access_key_id_of(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let (access_key_id, _) = credential.split_once('/')?;
    Some(access_key_id)
}

/// Executes one operation. It blocks on SQLite, as the engine's own server does.
async fn handle(State(engine): State<Engine>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let operation = target.and_then(|target| Some(target.split_once('.')?.1));
    match execute(&engine.database, operation.unwrap_or_default(), &body) {
        Ok(Some(json)) => json_response(StatusCode::OK, json),
        Ok(None) => error_response(
            StatusCode::BAD_REQUEST,
            "UnknownOperationException",
            "the embedded DynamoDB does not have this operation",
        ),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code());
            if error.status_code() >= 500 {
                engine.damage.note(&error.to_string());
            }
            json_response(status.unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
        }
    }
}

/// Executes an operation. `None` if the embedded DynamoDB does not have it.
fn execute(
    database: &Database,
    operation: &str,
    body: &[u8],
) -> Result<Option<String>, DynoxideError> {
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

fn run<Q: DeserializeOwned, R: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<R, DynoxideError>,
) -> Result<Option<String>, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| invalid_request(&error))?;
    let response = serde_json::to_string(&operation(request)?);
    let response = response.map_err(|error| DynoxideError::InternalServerError(error.to_string()));
    response.map(Some)
}

/// The DynamoDB error for a request that the engine's types can't hold.
///
/// A type of the engine names the class of the error at the beginning of its message, such as `VALIDATION:`. Without
/// such a name, a wrong value is a `ValidationException`, and a wrong JSON type is a `SerializationException`.
fn invalid_request(error: &serde_json::Error) -> DynoxideError {
    const VALIDATION_MESSAGES: [&str; 4] = [
        "missing field",
        "unknown variant",
        "invalid type: null",
        "AttributeValue",
    ];
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    let class = text.split_once(':').filter(|(class, _)| {
        class.starts_with(|char: char| char.is_ascii_uppercase())
            && class
                .chars()
                .all(|char| char.is_ascii_uppercase() || char == '_')
    });
    let (is_validation, message) = match class {
        Some((class, message)) => (class.starts_with("VALIDATION"), message),
        None => (
            VALIDATION_MESSAGES.iter().any(|part| text.contains(part)),
            text,
        ),
    };
    if is_validation {
        DynoxideError::ValidationException(message.to_owned())
    } else {
        DynoxideError::SerializationException(message.to_owned())
    }
}

fn error_response(status: StatusCode, error_type: &str, message: &str) -> Response {
    let body = serde_json::json!({ "__type": error_type, "message": message });
    json_response(status, body.to_string())
}

fn json_response(status: StatusCode, json: String) -> Response {
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], json).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class and the message of the error of a request that can't be read.
    fn refused(operation: &str, body: &str) -> (String, String) {
        let database = Database::memory().unwrap();
        let error = execute(&database, operation, body.as_bytes()).unwrap_err();
        let json: serde_json::Value = serde_json::from_str(&error.to_json()).unwrap();
        let class = json["__type"].as_str().unwrap().rsplit('#').next();
        let message = json.get("message").or(json.get("Message")).unwrap();
        (
            class.unwrap().to_owned(),
            message.as_str().unwrap().to_owned(),
        )
    }

    #[test]
    fn an_unreadable_request_has_the_error_class_of_dynamodb() {
        let not_a_number = r#"{"TableName": "tasks", "Key": {"pk": {"N": "x"}}}"#;
        let (class, message) = refused("GetItem", not_a_number);
        assert_eq!(class, "ValidationException", "{message}");
        assert!(
            !message.contains("VALIDATION") && !message.contains("line 1"),
            "{message}"
        );
        let (class, _) = refused("GetItem", r#"{"TableName": 7, "Key": {}}"#);
        assert_eq!(class, "SerializationException");
        let (class, _) = refused("GetItem", "{");
        assert_eq!(class, "SerializationException");
    }
}
