//! `POST /event`: messages from another process, such as a function on this machine.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::push_sink::{Channel, MOST_EVENTS, MOST_MESSAGE_BYTES, PushMessage};
use uuid::Uuid;

use super::LivePush;
use crate::embedded_dynamodb::access_key_id_of;

/// The body of a request.
#[derive(Deserialize)]
struct Publication {
    channel: String,
    events: Vec<String>,
}

/// The body of a response.
#[derive(Default, Serialize)]
struct Outcomes {
    successful: Vec<Accepted>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Accepted {
    identifier: String,
    index: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    identifier: String,
    index: usize,
    code: u16,
    error_message: &'static str,
}

/// Publishes what a request holds, if it is signed with the access key id of the embedded DynamoDB.
pub(super) async fn publish(
    State(push): State<LivePush>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if access_key_id_of(&headers) != Some(push.0.publisher.as_str()) {
        let reason = "only who has the access key id of this process may publish";
        return refused(StatusCode::FORBIDDEN, reason);
    }
    let Ok(Publication { channel, events }) = serde_json::from_slice(&body) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "the body must have channel and events",
        );
    };
    let Some(channel) = Channel::parse(&channel) else {
        return refused(StatusCode::BAD_REQUEST, "there is no such channel");
    };
    if events.is_empty() || events.len() > MOST_EVENTS {
        return refused(StatusCode::BAD_REQUEST, "events must have 1 to 5 texts");
    }
    let mut outcomes = Outcomes::default();
    for (index, event) in events.into_iter().enumerate() {
        let identifier = Uuid::new_v4().to_string();
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&event).is_ok();
        if !is_json || event.len() > MOST_MESSAGE_BYTES {
            outcomes.failed.push(Failed {
                identifier,
                index,
                code: 400,
                error_message: "an event must be JSON of at most 200 KB",
            });
            continue;
        }
        push.0.hub.send(&PushMessage {
            channel: channel.clone(),
            event,
        });
        outcomes.successful.push(Accepted { identifier, index });
    }
    axum::Json(outcomes).into_response()
}

fn refused(status: StatusCode, message: &str) -> Response {
    let error_type = match status {
        StatusCode::FORBIDDEN => "UnauthorizedException",
        _ => "BadRequestException",
    };
    let body = json!({"errors": [{"errorType": error_type, "message": message}]});
    (status, axum::Json(body)).into_response()
}
