//! The collector writes no secret to its log or its responses, even at the lowest log level.

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::runtime_api::RuntimeApi;
use tokio::net::TcpListener;

use crate::function::invoke;
use crate::recorded::Recorded;
use crate::redis_server::RedisServer;

const BINARY: &str = env!("CARGO_BIN_EXE_progress-collector");
const REDIS_PASSWORD: &str = "the-password-of-redis";
const URL_PASSWORD: &str = "the-password-in-the-url";
const AWS_SECRET: &str = "the-secret-of-the-account";
const AWS_SESSION: &str = "the-session-of-the-account";

fn settings<'a>(runtime: &'a str, redis: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut settings = vec![
        ("AWS_LAMBDA_RUNTIME_API", runtime),
        ("AWS_LAMBDA_FUNCTION_NAME", "collector"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("AWS_SESSION_TOKEN", AWS_SESSION),
        ("TASKS_TABLE_NAME", "tasks"),
        ("PROJECTS_TABLE_NAME", "projects"),
        ("CHECKPOINTS_TABLE_NAME", "checkpoints"),
        ("LOG_GROUPS", "/aws/cdk=cdk"),
        ("INDEX_SHARDS", "3"),
        ("RUST_LOG", "trace"),
    ];
    settings.extend(redis);
    settings
}

fn assert_clean(text: &str) {
    for secret in [REDIS_PASSWORD, URL_PASSWORD, AWS_SECRET, AWS_SESSION] {
        assert!(!text.contains(secret), "{secret} was written: {text}");
    }
}

/// Starts a CloudWatch Logs that denies every request, and returns its URL.
async fn start_denying_logs() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let denied = (
        StatusCode::BAD_REQUEST,
        r#"{"__type":"AccessDeniedException"}"#,
    );
    let router = Router::new().fallback(move || async move { denied });
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn pushes_and_sweeps_write_no_secret() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let redis = RedisServer::start().await;
    let password = ["CONFIG", "SET", "requirepass", REDIS_PASSWORD];
    redis.run::<()>(&password).await;
    let logs = start_denying_logs().await;
    let at = format!("127.0.0.1:{}", redis.port);
    let urls = ["redis", "rediss"].map(|scheme| format!("{scheme}://:{URL_PASSWORD}@{at}"));
    let push = include_str!("../../../events/collector/push-cdk.json");
    let sweep = include_str!("../../../events/collector/schedule.json");
    for (endpoint, token) in [
        (at.as_str(), REDIS_PASSWORD),
        (&at, URL_PASSWORD),
        (&urls[0], ""),
        (&urls[1], ""),
    ] {
        let mut runtime = RuntimeApi::start().await.unwrap();
        let address = runtime.address.clone();
        let settings = settings(
            &address,
            &[
                ("AWS_ENDPOINT_URL_DYNAMODB", &database.endpoint_url),
                ("AWS_ACCESS_KEY_ID", database.access_key_id()),
                ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &logs),
                ("REDIS_ENDPOINT", endpoint),
                ("REDIS_AUTH_TOKEN", token),
            ],
        );
        let collector = Recorded::start(BINARY, &settings);
        let mut responses = String::new();
        for event in [push, sweep] {
            let event: Value = serde_json::from_str(event).unwrap();
            let (Ok(response) | Err(response)) = invoke(&mut runtime, event).await;
            responses.push_str(&response.to_string());
        }
        let text = collector.output() + &responses;
        assert!(text.contains("TRACE"), "{text}");
        assert_clean(&text);
    }
}

#[test]
fn an_invalid_setting_is_reported_by_its_name_alone() {
    let url = format!("redis://:{URL_PASSWORD}@cache:port");
    for (name, value) in [
        ("REDIS_ENDPOINT", url.as_str()),
        ("REDIS_CA_CERT", REDIS_PASSWORD),
        ("OVERLAP_SECONDS", AWS_SECRET),
    ] {
        let redis = [("REDIS_ENDPOINT", "cache"), (name, value)];
        let mut collector = Recorded::start(BINARY, &settings("127.0.0.1:1", &redis));
        assert!(!collector.ended_well(), "{name}");
        let text = collector.output();
        assert!(text.contains(name), "{name}: {text}");
        assert_clean(&text);
    }
}
