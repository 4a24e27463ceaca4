//! The clients of AWS: the only place that knows how they are made.
//!
//! Region, credentials and endpoints come from the environment, as everywhere
//! (`AWS_ENDPOINT_URL_DYNAMODB` and its like work). No client connects before its first call.

mod http_client;

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::config::Settings;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one attempt at a call of DynamoDB may take.
const DYNAMODB_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a call of DynamoDB may take with all its attempts.
pub(crate) const DYNAMODB_OPERATION_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a call of DynamoDB is tried.
const DYNAMODB_ATTEMPTS: u32 = 3;
/// How long a call of CloudWatch Logs may take: a page is up to 1 MB, found by a search.
const LOGS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call of EventBridge may take.
const EVENTS_TIMEOUT: Duration = Duration::from_secs(5);

/// What all clients share: region, credentials, connections.
///
/// Where the region and credentials are in the environment, as Lambda has them there, the clients are not made that would
/// ask others for them. Otherwise they come from where the SDK finds them.
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

/// The credentials in the environment. Lambda gives a process no others as long as it lives.
fn credentials(settings: &Settings<'_>) -> Option<Credentials> {
    Some(Credentials::new(
        settings.optional("AWS_ACCESS_KEY_ID")?,
        settings.optional("AWS_SECRET_ACCESS_KEY")?,
        settings.optional("AWS_SESSION_TOKEN"),
        None,
        "environment",
    ))
}

/// A client of DynamoDB, whose calls take at most 5 seconds and three attempts.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .retry_config(RetryConfig::standard().with_max_attempts(DYNAMODB_ATTEMPTS))
        .timeout_config(dynamodb_timeouts())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// A client of a DynamoDB on this machine, which knows its callers by their access key id.
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

/// A client of CloudWatch Logs. It never tries again: the collector has its own policy for that.
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

/// A client of EventBridge. It never tries again: the collector has its own policy for that.
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

fn dynamodb_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(DYNAMODB_ATTEMPT_TIMEOUT)
        .operation_timeout(DYNAMODB_OPERATION_TIMEOUT)
        .build()
}

/// Whether an answer of CloudWatch Logs or EventBridge that is an error, by its code and status, may be another one
/// next time.
///
/// A success that can't be understood counts as such: it was cut off, or something in between gave it. So do
/// expired credentials: what provides them may have new ones by the next attempt.
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
    fn what_may_pass_is_retried_and_nothing_else() {
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
