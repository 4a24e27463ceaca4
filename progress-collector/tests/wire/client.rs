//! The AWS clients of the tests: those of the collector, with another endpoint.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::interceptors::BeforeSerializationInterceptorContextMut;
use aws_sdk_cloudwatchlogs::config::{
    ConfigBag, Credentials, HttpClient, Intercept, RuntimeComponents, SharedCredentialsProvider,
};
use aws_sdk_cloudwatchlogs::error::BoxError;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsInput;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use shared::aws;

/// The collector's client for CloudWatch Logs. It sends to `endpoint_url` through `http_client`.
pub(crate) fn client_through(http_client: impl HttpClient + 'static, endpoint_url: &str) -> Client {
    aws::cloudwatch_logs(&config_through(http_client, endpoint_url))
}

/// The SDK configuration of such a client.
pub(crate) fn config_through(
    http_client: impl HttpClient + 'static,
    endpoint_url: &str,
) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint_url)
        .http_client(http_client)
        .build()
}

/// The collector's client for CloudWatch Logs, over a socket. It is built as in production, TLS
/// included.
pub(crate) fn client(endpoint_url: &str) -> Client {
    aws::cloudwatch_logs(&config(endpoint_url))
}

/// The SDK configuration of such a client over a socket.
pub(crate) fn config(endpoint_url: &str) -> SdkConfig {
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    config_through(http_client, endpoint_url)
}

/// The same client, with at most `page_size` events per page, so a few events fill many pages.
pub(crate) fn with_pages_of(page_size: i32, client: &Client) -> Client {
    let config = client.config().to_builder();
    Client::from_conf(config.interceptor(PageSize(page_size)).build())
}

/// Sets the limit of each `FilterLogEvents` request.
#[derive(Debug)]
struct PageSize(i32);

impl Intercept for PageSize {
    fn name(&self) -> &'static str {
        "PageSize"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(input) = context.input_mut().downcast_mut::<FilterLogEventsInput>() {
            input.limit = Some(self.0);
        }
        Ok(())
    }
}
