//! `/api/push`: where to subscribe to changes.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use shared::model::RecordId;
use shared::push_sink::Channel;
use shared::task_reader::Representation;
use shared::validator::Validator;

use crate::etag::IfNoneMatch;
#[cfg(test)]
use crate::openapi::parameters::{IfNoneMatchHeader, WatchedTask};
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::state::ApiState;

/// The OpenAPI description of this route.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(show))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new().route("/api/push", get(show))
}

/// Where to subscribe to changes of tasks. The protocol is that of AppSync Events.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Push {
    /// The URL of the WebSocket, absolute or relative to the root of this API. `null` if there is no
    /// push: ask again instead, with the `ETag` that you have.
    #[cfg_attr(test, schema(required))]
    url: Option<String>,
    /// The `host` of each authorization. `null`: the host of this API.
    #[cfg_attr(test, schema(required))]
    host: Option<String>,
    /// The channel with the entry in lists of every run that changes.
    tasks: String,
    /// The channel with the runs of the task `task_id`. `null` without that parameter.
    #[cfg_attr(test, schema(required))]
    task: Option<String>,
}

/// Tells where to subscribe to changes
#[cfg_attr(test, utoipa::path(
    get, path = "/api/push", operation_id = "getPush", tag = "service",
    params(WatchedTask, IfNoneMatchHeader),
    responses((status = 200, description = "Where to subscribe", body = Push)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters"])))
))]
async fn show(
    State(state): State<ApiState>,
    mut parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let id: Option<RecordId> = parameters.one("task_id");
    parameters.finish()?;
    let (url, host) = match state.push {
        Some(push) => (Some(push.url), push.host),
        None => (None, None),
    };
    let json = serde_json::to_vec(&Push {
        url,
        host,
        tasks: Channel::Tasks.to_string(),
        task: id.map(|id| Channel::of_task(id.task_id()).to_string()),
    });
    let json = json.expect("records have string keys and no fallible serializer");
    let validator = Validator::of_bytes(&json);
    Ok(known.respond(Representation { validator, json }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::{Value, json};
    use shared::config::Settings;
    use testkit::store::memory::InMemoryStore;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{Auth, Cors, PushEndpoint, router};

    /// The policy and the body of a response.
    async fn get(push: Option<PushEndpoint>, path: &str) -> (String, Vec<u8>) {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(store.clone(), store, None, Duration::from_secs(900));
        let state = match push {
            Some(push) => state.with_push(push),
            None => state,
        };
        let request = Request::get(path).body(Body::empty()).unwrap();
        let router = router(state, Auth::none(), Cors::default());
        let response = router.oneshot(request).await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str();
        let policy = policy.unwrap().to_owned();
        let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
        (policy, body.to_vec())
    }

    async fn push_of(push: Option<PushEndpoint>, path: &str) -> Value {
        serde_json::from_slice(&get(push, path).await.1).unwrap()
    }

    fn appsync() -> PushEndpoint {
        let lookup = |name: &str| match name {
            "PUSH_HTTP_HOST" => Some("a.example".to_owned()),
            "PUSH_REALTIME_HOST" => Some("b.example".to_owned()),
            _ => None,
        };
        let endpoint = PushEndpoint::from_settings(&Settings::new(&lookup));
        endpoint.unwrap().unwrap()
    }

    #[tokio::test]
    async fn it_says_where_to_subscribe_or_that_there_is_no_push() {
        let expected = json!({
            "url": null, "host": null, "tasks": "/progress/tasks", "task": null,
        });
        assert_eq!(push_of(None, "/api/push").await, expected);
        let of_run = "/api/push?task_id=cdk:shop-deploy@20261121T093000.123Z";
        let place = push_of(Some(appsync()), of_run).await;
        assert_eq!(place["url"], "wss://b.example/event/realtime");
        assert_eq!(place["host"], "a.example");
        assert_eq!(
            place["task"],
            "/progress/task/7c2eb715b1526854539f692c4ecda263"
        );
        let error = push_of(None, "/api/push?task_id=a%20b").await;
        assert_eq!(error["errors"][0]["field"], "task_id");
    }

    #[tokio::test]
    async fn the_policy_of_the_page_allows_the_server_of_push_alone() {
        let (policy, _) = get(Some(appsync()), "/").await;
        assert!(
            policy.contains("connect-src 'self' wss://b.example; "),
            "{policy}"
        );
        for push in [None, Some(PushEndpoint::beside_api())] {
            let (policy, _) = get(push, "/").await;
            assert!(policy.contains("connect-src 'self'; "), "{policy}");
        }
    }
}
