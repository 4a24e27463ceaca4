//! The claims that an authorizer of API Gateway has checked: from the event, and only where that is wanted.

use std::fs;
use std::path::Path;

use axum::body::Body;
use serde_json::{Value, json};

use crate::auth::signer::{SECRET, Signer};
use crate::auth::{bearer, claims, world};
use crate::world::{Answer, World, task};

const ON: (&str, &str) = ("AUTH_GATEWAY_CLAIMS", "true");
const OFF: (&str, &str) = ("AUTH_GATEWAY_CLAIMS", "false");
const KEY: (&str, &str) = ("AUTH_HS256_SECRET", SECRET);

fn event(path: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/api");
    let text = fs::read_to_string(folder.join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The answer to an event, read as the Lambda runtime reads it.
async fn send(world: &World, event: &Value) -> Answer {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    world.save(&task("cdk-deploy-MiyabiWebUIStack", 1)).await;
    world.send(request.map(Body::new)).await
}

async fn answers(settings: &[(&str, &str)], event: &Value, expected: u16) {
    let world = world(settings).await;
    let answer = send(&world, event).await;
    assert_eq!(answer.status.as_u16(), expected, "{settings:?}: {answer:?}");
}

const V2: &str = "http-v2-jwt-authorizer/get-task.json";
const V2_CREATE: &str = "http-v2-jwt-authorizer/create-task.json";
const V1: &str = "rest-v1-cognito-authorizer/get-task.json";

#[tokio::test]
async fn claims_of_the_gateway_count_where_it_is_said_that_they_do() {
    for (path, status) in [(V2, 200), (V2_CREATE, 201), (V1, 200)] {
        let event = event(path);
        answers(&[ON], &event, status).await;
        answers(&[ON, KEY], &event, status).await;
        answers(&[OFF, KEY], &event, 401).await;
        answers(&[KEY], &event, 401).await;
    }
}

#[tokio::test]
async fn claims_of_the_gateway_have_scopes_too() {
    let check = async |scope: Value, scp: Value, status: u16| {
        let mut event = event(V2);
        let jwt = &mut event["requestContext"]["authorizer"]["jwt"];
        jwt["claims"]["scope"] = scope;
        if !scp.is_null() {
            jwt["claims"]["scp"] = scp;
        }
        // What the route asks for is not what the token has.
        jwt["scopes"] = json!(["progress:read", "progress:write"]);
        answers(&[ON], &event, status).await;
    };
    check(json!("progress:read"), json!(null), 200).await;
    check(json!(""), json!("[openid progress:read]"), 200).await;
    check(json!(""), json!("openid,progress:read"), 200).await;
    check(json!("openid"), json!(null), 403).await;
    check(json!("progress:write"), json!(null), 403).await;
    check(json!(""), json!("[progress:reader]"), 403).await;
}

#[tokio::test]
async fn without_its_claims_a_token_is_needed() {
    let signer = Signer::Secret(SECRET.to_owned());
    let token = bearer(&signer.token(&claims(json!({}))));
    for (plain, header) in [
        ("http-v2/get-task.json", "authorization"),
        ("function-url/get-task.json", "authorization"),
        ("rest-v1/get-task.json", "Authorization"),
        ("alb/get-task.json", "authorization"),
    ] {
        let mut event = event(plain);
        answers(&[ON], &event, 401).await;
        answers(&[ON, KEY], &event, 401).await;
        event["headers"][header] = json!(token);
        if event["multiValueHeaders"].is_object() {
            event["multiValueHeaders"][header] = json!([token]);
        }
        answers(&[ON, KEY], &event, 200).await;
        answers(&[KEY], &event, 200).await;
        // Nothing to check it with: a token is not believed.
        answers(&[ON], &event, 401).await;
    }
}

#[tokio::test]
async fn only_a_jwt_authorizer_is_believed() {
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
        answers(&[ON, KEY], &event, 401).await;
    }
    for authorizer in [
        json!({"principalId": "x", "scope": "progress:read"}),
        json!({"claims": "progress:read"}),
        json!({"claims": {}}),
        json!(null),
    ] {
        let mut event = event(V1);
        event["requestContext"]["authorizer"] = authorizer;
        answers(&[ON, KEY], &event, 401).await;
    }
}

#[tokio::test]
async fn a_client_can_not_say_what_the_gateway_would() {
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
    answers(&[ON], &event, 401).await;
}
