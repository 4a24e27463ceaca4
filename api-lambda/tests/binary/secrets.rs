//! The output of the binary contains no secrets.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::runtime_api::{Answer, RuntimeApi};

use crate::recorded::Recorded;
use crate::redis_server::RedisServer;

const BINARY: &str = env!("CARGO_BIN_EXE_api-lambda");
const HS256_SECRET: &str = "the-secret-that-signs-the-tokens";
const REDIS_PASSWORD: &str = "the-password-of-redis";
const URL_PASSWORD: &str = "the-password-in-the-url";
const AWS_SECRET: &str = "the-secret-of-the-account";
const AWS_SESSION: &str = "the-session-of-the-account";
const BAD_TOKEN: &str = "this-is-not-a-token";
/// The questions of AppSync Events about subscribers.
const CONNECT: &str = include_str!("../../../events/push-authorizer/connect.json");
const SUBSCRIBE: &str = include_str!("../../../events/push-authorizer/subscribe.json");
/// An address without a server.
const NOWHERE: &str = "http://127.0.0.1:1";
/// The longest time to wait for a response, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A valid token, and its signature.
fn valid_token() -> (String, String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expires = now.as_secs() + 300;
    let claims = json!({"sub": "tester", "exp": expires, "scope": "progress:read progress:write"});
    let parts = [json!({"alg": "HS256"}), claims];
    let message = parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = message.join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, HS256_SECRET.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    (format!("{message}.{signature}"), signature)
}

/// An event of an HTTP API with this path and token.
fn event(path: &str, token: &str) -> Value {
    let event = include_str!("../../../events/api/http-v2/get-task.json");
    let mut event: Value = serde_json::from_str(event).unwrap();
    event["headers"]["authorization"] = format!("Bearer {token}").into();
    event["rawPath"] = path.into();
    event["requestContext"]["http"]["path"] = path.into();
    event
}

/// Starts the binary with these settings for Redis, and sends requests. Checks that neither the log
/// at level `trace` nor the responses contain secrets. Returns the status of Redis that `/ready`
/// reports.
async fn redis_status((store_url, key_id): (&str, &str), redis: &[(&str, &str)]) -> String {
    let mut runtime = RuntimeApi::start().await.unwrap();
    let mut settings = vec![
        ("AWS_LAMBDA_RUNTIME_API", runtime.address.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "api"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", key_id),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("AWS_SESSION_TOKEN", AWS_SESSION),
        ("AWS_ENDPOINT_URL_DYNAMODB", store_url),
        ("TASKS_TABLE_NAME", "tasks"),
        ("PROJECTS_TABLE_NAME", "projects"),
        ("INDEX_SHARDS", "3"),
        ("AUTH_HS256_SECRET", HS256_SECRET),
        ("RUST_LOG", "trace"),
    ];
    settings.extend(redis);
    let function = Recorded::start(BINARY, &settings);
    let (token, signature) = valid_token();
    let (mut answers, mut ready) = (Vec::new(), Value::Null);
    for (path, token, status) in [
        ("/api/tasks", BAD_TOKEN, 401),
        ("/api/tasks/none", &token, 404),
        ("/api/tasks", &token, 200),
        ("/api/tasks", &token, 200),
        ("/ready", &token, 200),
    ] {
        runtime.offer(event(path, token));
        let answer = runtime.answer_within(PATIENCE).await;
        let Some(Answer::Response(answer)) = answer else {
            panic!("{answer:?}: {}", function.output());
        };
        let is_expected = answer["statusCode"] == status
            || store_url == NOWHERE && token != BAD_TOKEN && answer["statusCode"] == 503;
        assert!(is_expected, "{answer}");
        answers.push(answer.to_string());
        ready = answer;
    }
    for (question, token, is_authorized) in [
        (CONNECT, BAD_TOKEN, false),
        (CONNECT, &token, true),
        (SUBSCRIBE, &token, true),
    ] {
        let mut question: Value = serde_json::from_str(question).unwrap();
        question["authorizationToken"] = token.into();
        runtime.offer(question);
        let answer = runtime.answer_within(PATIENCE).await;
        let Some(Answer::Response(answer)) = answer else {
            panic!("{answer:?}: {}", function.output());
        };
        assert_eq!(answer["isAuthorized"], is_authorized, "{answer}");
        let ttl_seconds = answer["ttlOverride"].as_u64().unwrap();
        assert!(ttl_seconds <= 300, "the token lives for 300 s: {answer}");
        answers.push(answer.to_string());
    }
    let text = function.output() + &answers.concat();
    assert!(text.contains("TRACE"), "{text}");
    assert_clean(&text);
    assert!(!text.contains(&signature), "{text}");
    let ready: Value = serde_json::from_str(ready["body"].as_str().unwrap()).unwrap();
    ready["redis"]["status"].as_str().unwrap().to_owned()
}

fn assert_clean(text: &str) {
    let secrets = [
        HS256_SECRET,
        REDIS_PASSWORD,
        URL_PASSWORD,
        AWS_SECRET,
        AWS_SESSION,
        BAD_TOKEN,
    ];
    for secret in secrets {
        for line in text.lines() {
            assert!(!line.contains(secret), "{secret} is in the output: {line}");
        }
    }
}

#[tokio::test]
async fn requests_write_no_secrets() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let redis = RedisServer::start().await;
    let password = ["CONFIG", "SET", "requirepass", REDIS_PASSWORD];
    redis.run::<()>(&password).await;
    let at = format!("127.0.0.1:{}", redis.port);
    let in_url = |scheme: &str, password: &str| format!("{scheme}://:{password}@{at}");
    for (endpoint, token, expected) in [
        (at.clone(), REDIS_PASSWORD, "ok"),
        (in_url("redis", REDIS_PASSWORD), "", "ok"),
        (at.clone(), URL_PASSWORD, "down"),
        (in_url("redis", URL_PASSWORD), "", "down"),
        (in_url("rediss", URL_PASSWORD), "", "down"),
        ("127.0.0.1:1".to_owned(), REDIS_PASSWORD, "down"),
    ] {
        for cluster in ["false", "true"] {
            let settings = [
                ("REDIS_ENDPOINT", endpoint.as_str()),
                ("REDIS_AUTH_TOKEN", token),
                ("REDIS_CLUSTER", cluster),
            ];
            // The server is not a cluster.
            let expected = if cluster == "true" { "down" } else { expected };
            let store = (database.endpoint_url.as_str(), database.access_key_id());
            let status = redis_status(store, &settings).await;
            assert_eq!(status, expected, "{endpoint} {cluster}");
        }
    }
    redis_status((NOWHERE, "id"), &[("REDIS_ENDPOINT", &at)]).await;
}

#[test]
fn an_invalid_setting_is_named_but_not_shown() {
    let jwks = format!(r#"{{"keys":[{{"kty":"oct","k":"{HS256_SECRET}"}}]}}"#);
    let url = format!("redis://:{URL_PASSWORD}@cache:port");
    let url_over_tls = format!("rediss://:{URL_PASSWORD}@cache#insecure");
    for (name, value) in [
        ("REDIS_ENDPOINT", url.as_str()),
        ("REDIS_ENDPOINT", &url_over_tls),
        ("REDIS_TLS", REDIS_PASSWORD),
        ("REDIS_CLUSTER", REDIS_PASSWORD),
        ("REDIS_CA_CERT", REDIS_PASSWORD),
        ("AUTH_MODE", HS256_SECRET),
        ("AUTH_HS256_SECRET", "a-secret-that-is-too-short"),
        ("AUTH_PUBLIC_KEY", HS256_SECRET),
        ("AUTH_JWKS", HS256_SECRET),
        ("AUTH_JWKS", &jwks),
        ("CORS_ALLOWED_ORIGINS", HS256_SECRET),
        ("INDEX_SHARDS", HS256_SECRET),
        ("STALE_AFTER_SECONDS", HS256_SECRET),
    ] {
        let mut settings = vec![
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
            ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
            ("TASKS_TABLE_NAME", "tasks"),
            ("PROJECTS_TABLE_NAME", "projects"),
            ("AUTH_HS256_SECRET", HS256_SECRET),
            ("REDIS_ENDPOINT", "cache"),
            ("REDIS_AUTH_TOKEN", REDIS_PASSWORD),
            ("RUST_LOG", "trace"),
        ];
        settings.retain(|(other, _)| *other != name);
        settings.push((name, value));
        let mut function = Recorded::start(BINARY, &settings);
        assert!(!function.ended_well(), "{name}");
        let text = function.output();
        assert!(text.contains(name), "{name}: {text}");
        assert!(!text.contains(value), "{name}: {text}");
        assert_clean(&text);
    }
}
