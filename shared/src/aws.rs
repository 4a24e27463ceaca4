//! The AWS clients. Only this module knows how they are made.
//!
//! Region, credentials and endpoints come from the environment (also `AWS_ENDPOINT_URL_DYNAMODB`
//! and the like). No client connects before its first call.

mod http_client;
pub(crate) mod signed;

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::config::Settings;

/// The most time for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most time for one attempt at a DynamoDB call.
const DYNAMODB_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most time for a DynamoDB call with all its attempts.
pub(crate) const DYNAMODB_OPERATION_TIMEOUT: Duration = Duration::from_secs(5);
/// The most attempts at a DynamoDB call.
const DYNAMODB_ATTEMPTS: u32 = 3;
/// The most time for a CloudWatch Logs call. It searches for a page of up to 1 MB.
const LOGS_TIMEOUT: Duration = Duration::from_secs(10);
/// The most time for an EventBridge call.
const EVENTS_TIMEOUT: Duration = Duration::from_secs(5);

/// Loads what all clients share: region, credentials, connections.
///
/// Lambda sets the region and the credentials in the environment. Then the SDK's other providers,
/// and the HTTP clients that they need, are not made. Elsewhere the SDK's default chain finds both.
pub async fn load_config(settings: &Settings<'_>) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::latest());
    let loader = loader.http_client(http_client::http_client(settings));
    let region = settings.optional("AWS_REGION").map(Region::new);
    match (region, credentials(settings)) {
        (Some(region), Some(credentials)) => {
            let loader = loader.region(region).credentials_provider(credentials);
            loader.load().await
        }
        _ => loader.load().await,
    }
}

/// The credentials in the environment. Lambda never changes them during the life of a process.
fn credentials(settings: &Settings<'_>) -> Option<Credentials> {
    Some(Credentials::new(
        settings.optional("AWS_ACCESS_KEY_ID")?,
        settings.optional("AWS_SECRET_ACCESS_KEY")?,
        settings.optional("AWS_SESSION_TOKEN"),
        None,
        "environment",
    ))
}

/// Makes a DynamoDB client. Its calls take at most 5 seconds and three attempts.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .retry_config(RetryConfig::standard().with_max_attempts(DYNAMODB_ATTEMPTS))
        .timeout_config(dynamodb_timeouts())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// Makes a client of a DynamoDB on this machine, which identifies callers by their access key id.
pub fn local_dynamodb(endpoint_url: &str, access_key_id: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(
            access_key_id,
            "local",
            None,
            None,
            "local",
        ))
        .endpoint_url(endpoint_url)
        .retry_config(RetryConfig::standard().with_max_attempts(DYNAMODB_ATTEMPTS))
        .timeout_config(dynamodb_timeouts())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// Makes a CloudWatch Logs client without retries. The collector has its own retry policy.
pub fn cloudwatch_logs(config: &SdkConfig) -> aws_sdk_cloudwatchlogs::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_timeout(LOGS_TIMEOUT)
        .build();
    let config = aws_sdk_cloudwatchlogs::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .build();
    aws_sdk_cloudwatchlogs::Client::from_conf(config)
}

/// Makes an EventBridge client without retries. The collector has its own retry policy.
pub fn eventbridge(config: &SdkConfig) -> aws_sdk_eventbridge::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_timeout(EVENTS_TIMEOUT)
        .build();
    let config = aws_sdk_eventbridge::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .build();
    aws_sdk_eventbridge::Client::from_conf(config)
}

/// Makes a connector for requests to AWS that no SDK sends, when it is called.
pub fn connector(settings: &Settings<'_>) -> impl FnOnce() -> SharedHttpConnector + Send + use<> {
    let timeouts = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .build();
    http_client::connector(settings, timeouts)
}

fn dynamodb_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(DYNAMODB_ATTEMPT_TIMEOUT)
        .operation_timeout(DYNAMODB_OPERATION_TIMEOUT)
        .build()
}

/// Whether an error of CloudWatch Logs or EventBridge, by its code and status, may pass.
///
/// A successful response that can't be parsed counts as transient: it was cut off, or a proxy made
/// it. Expired credentials do too: their provider may have new ones by the next attempt.
pub(crate) fn is_transient(code: Option<&str>, status: u16) -> bool {
    const TRANSIENT: [&str; 10] = [
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalException",
        "InternalFailure",
        "LimitExceededException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
    ];
    matches!(status, 200..300 | 408 | 429 | 500..)
        || code.is_some_and(|code| TRANSIENT.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_transient_errors_are_retried() {
        for (code, status) in [
            (Some("ThrottlingException"), 400),
            (Some("ExpiredTokenException"), 400),
            (Some("ServiceUnavailableException"), 503),
            (None, 200),
            (None, 500),
            (None, 408),
            (None, 429),
        ] {
            assert!(is_transient(code, status), "{code:?} {status}");
        }
        for (code, status) in [
            (Some("InvalidParameterException"), 400),
            (Some("AccessDeniedException"), 400),
            (Some("UnrecognizedClientException"), 400),
            (None, 400),
        ] {
            assert!(!is_transient(code, status), "{code:?} {status}");
        }
    }
}
