//! Claims that an authorizer of API Gateway has checked. They are in the event, and count only if a
//! setting says so.

use std::fs;
use std::path::Path;

use axum::body::Body;
use serde_json::{Value, json};

use crate::auth::signer::{SECRET, Signer};
use crate::auth::{SCOPE_PREFIX, bearer, claims, cognito_claims, harness};
use crate::harness::{ApiResponse, Harness, task};

const ON: (&str, &str) = ("AUTH_GATEWAY_CLAIMS", "true");
const OFF: (&str, &str) = ("AUTH_GATEWAY_CLAIMS", "false");
const KEY: (&str, &str) = ("AUTH_HS256_SECRET", SECRET);

fn event(path: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/api");
    let text = fs::read_to_string(folder.join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Sends an event, parsed as the Lambda runtime parses it.
async fn send_event(harness: &Harness, event: &Value) -> ApiResponse {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    harness.save(&task("cdk-deploy-MiyabiWebUIStack", 1)).await;
    harness.send(request.map(Body::new)).await
}

async fn check(settings: &[(&str, &str)], event: &Value, expected: u16) {
    let harness = harness(settings).await;
    let response = send_event(&harness, event).await;
    assert_eq!(
        response.status.as_u16(),
        expected,
        "{settings:?}: {response:?}"
    );
}

const V2: &str = "http-v2-jwt-authorizer/get-task.json";
const V2_CREATE: &str = "http-v2-jwt-authorizer/create-task.json";
const V1: &str = "rest-v1-cognito-authorizer/get-task.json";

#[tokio::test]
async fn gateway_claims_count_only_if_they_are_turned_on() {
    for (path, status) in [(V2, 200), (V2_CREATE, 204), (V1, 200)] {
        let event = event(path);
        check(&[ON], &event, status).await;
        check(&[ON, KEY], &event, status).await;
        check(&[OFF, KEY], &event, 401).await;
        check(&[KEY], &event, 401).await;
    }
}

#[tokio::test]
async fn gateway_claims_have_scopes() {
    let check_scopes = async |scope: Value, scp: Value, status: u16| {
        let mut event = event(V2);
        let jwt = &mut event["requestContext"]["authorizer"]["jwt"];
        jwt["claims"]["scope"] = scope;
        if !scp.is_null() {
            jwt["claims"]["scp"] = scp;
        }
        // These are the scopes that the route requires, not those of the token.
        jwt["scopes"] = json!(["progress:read", "progress:write"]);
        check(&[ON], &event, status).await;
    };
    check_scopes(json!("progress:read"), json!(null), 200).await;
    check_scopes(json!(""), json!("[openid progress:read]"), 200).await;
    check_scopes(json!(""), json!("openid,progress:read"), 200).await;
    check_scopes(json!("openid"), json!(null), 403).await;
    check_scopes(json!("progress:write"), json!(null), 403).await;
    check_scopes(json!(""), json!("[progress:reader]"), 403).await;
}

/// `claims` as the authorizer of an HTTP API writes them: all values are texts.
fn as_texts(claims: Value) -> Value {
    let claims = claims.as_object().unwrap();
    let texts = claims.iter().map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), Value::String(text))
    });
    Value::Object(texts.collect())
}

#[tokio::test]
async fn gateway_claims_can_have_the_prefix_of_cognito() {
    for (scope, with_prefix, without) in [
        ("miyabi/progress:write miyabi/progress:read", 200, 403),
        ("miyabi/progress:write", 403, 403),
        ("other/progress:read", 403, 403),
        ("progress:read", 403, 200),
    ] {
        let claims = as_texts(cognito_claims(scope));
        let mut http = event(V2);
        http["requestContext"]["authorizer"]["jwt"]["claims"] = claims.clone();
        let mut rest = event(V1);
        rest["requestContext"]["authorizer"]["claims"] = claims;
        for event in [http, rest] {
            check(&[ON, SCOPE_PREFIX], &event, with_prefix).await;
            check(&[ON], &event, without).await;
        }
    }
}

#[tokio::test]
async fn without_gateway_claims_a_token_is_needed() {
    let signer = Signer::Secret(SECRET.to_owned());
    let token = bearer(&signer.token(&claims(json!({}))));
    for (plain, header) in [
        ("http-v2/get-task.json", "authorization"),
        ("function-url/get-task.json", "authorization"),
        ("rest-v1/get-task.json", "Authorization"),
        ("alb/get-task.json", "authorization"),
    ] {
        let mut event = event(plain);
        check(&[ON], &event, 401).await;
        check(&[ON, KEY], &event, 401).await;
        event["headers"][header] = json!(token);
        if event["multiValueHeaders"].is_object() {
            event["multiValueHeaders"][header] = json!([token]);
        }
        check(&[ON, KEY], &event, 200).await;
        check(&[KEY], &event, 200).await;
        // Without a key, no token is accepted.
        check(&[ON], &event, 401).await;
    }
}

#[tokio::test]
async fn only_claims_of_a_jwt_authorizer_count() {
    let read = json!({"sub": "x", "scope": "progress:read"});
    for authorizer in [
        json!({"lambda": {"claims": read, "scope": "progress:read"}}),
        json!({"iam": {"userId": "x"}}),
        json!({"jwt": {"claims": {}, "scopes": ["progress:read"]}}),
        json!({"claims": read}),
        json!({}),
    ] {
        let mut event = event(V2);
        event["requestContext"]["authorizer"] = authorizer;
        check(&[ON, KEY], &event, 401).await;
    }
    for authorizer in [
        json!({"principalId": "x", "scope": "progress:read"}),
        json!({"claims": "progress:read"}),
        json!({"claims": {}}),
        json!(null),
    ] {
        let mut event = event(V1);
        event["requestContext"]["authorizer"] = authorizer;
        check(&[ON, KEY], &event, 401).await;
    }
}

#[tokio::test]
async fn a_client_can_not_forge_gateway_claims() {
    let mut event = event("http-v2/get-task.json");
    let claims = r#"{"jwt":{"claims":{"sub":"x","scope":"progress:read"}}}"#;
    for header in [
        "x-amzn-request-context",
        "x-authorizer",
        "requestcontext",
        "x-amzn-oidc-data",
    ] {
        event["headers"][header] = json!(claims);
    }
    event["queryStringParameters"] = json!({"authorizer": claims});
    event["authorizer"] = serde_json::from_str(claims).unwrap();
    check(&[ON], &event, 401).await;
}
