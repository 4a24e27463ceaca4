//! Requests to AWS that no SDK sends, signed with Signature Version 4.

use std::sync::LazyLock;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::error::Source;

/// The most bytes of a response that an error message shows.
const SHOWN_BYTES: usize = 300;

/// Makes a connector when it is needed.
type MakeConnector = Box<dyn FnOnce() -> SharedHttpConnector + Send>;

/// Sends signed requests to one service.
pub(crate) struct SignedClient {
    connector: LazyLock<SharedHttpConnector, MakeConnector>,
    config: SdkConfig,
    service: &'static str,
}

/// A request before it is signed.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'static str,
    /// The host that AWS knows. The signature is for it, wherever the request goes.
    pub(crate) host: &'a str,
    /// Where the request goes: scheme, host and port, without a slash at the end.
    pub(crate) base: &'a str,
    /// The path and the query, percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a str,
}

/// A response with another status than 200.
#[derive(Debug, thiserror::Error)]
#[error("status {status}: {text}")]
pub(crate) struct BadStatus {
    status: u16,
    text: String,
}

impl BadStatus {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.chars().take(SHOWN_BYTES).collect();
        Self { status, text }
    }
}

/// No credentials or no region is configured.
#[derive(Debug, thiserror::Error)]
#[error("no {0} is configured")]
struct NotConfigured(&'static str);

impl SignedClient {
    /// Creates a client of `service`, as signatures call it. It signs with the credentials and the
    /// region of `config`. `make_connector` is called at the first request.
    pub(crate) fn new(
        service: &'static str,
        make_connector: impl FnOnce() -> SharedHttpConnector + Send + 'static,
        config: SdkConfig,
    ) -> Self {
        Self {
            connector: LazyLock::new(Box::new(make_connector)),
            config,
            service,
        }
    }

    /// The region of the service.
    pub(crate) fn region(&self) -> Result<&str, Source> {
        let region = self.config.region().ok_or(NotConfigured("region"))?;
        Ok(region.as_ref())
    }

    /// Sends a request, and returns the response when its headers are there.
    pub(crate) async fn send(&self, request: Unsigned<'_>) -> Result<HttpResponse, Source> {
        let request = self.sign(request).await?;
        Ok(self.connector.call(request).await?)
    }

    async fn sign(&self, unsigned: Unsigned<'_>) -> Result<HttpRequest, Source> {
        let credentials = self.config.credentials_provider();
        let credentials = credentials.ok_or(NotConfigured("access key"))?;
        let identity = credentials.provide_credentials().await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region()?)
            .name(self.service)
            .time(SystemTime::now())
            .settings(self.settings())
            .build()?
            .into();
        let content_type = unsigned.content_type.map(|value| ("content-type", value));
        let headers = content_type.into_iter().chain([("host", unsigned.host)]);
        let signed_url = format!("https://{}{}", unsigned.host, unsigned.path);
        let signable = SignableRequest::new(
            unsigned.method,
            &signed_url,
            headers.clone(),
            SignableBody::Bytes(unsigned.body.as_bytes()),
        )?;
        let (signature, _) = sign(signable, &parameters)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(unsigned.body));
        request.set_method(unsigned.method)?;
        request.set_uri(format!("{}{}", unsigned.base, unsigned.path))?;
        for (name, value) in headers.chain(signature.headers()) {
            request
                .headers_mut()
                .try_insert(name.to_owned(), value.to_owned())?;
        }
        Ok(request)
    }

    /// S3 signs the path as it is, and wants the hash of the body
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

/// The body of a response.
pub(crate) fn body_of(response: &mut HttpResponse) -> ByteStream {
    ByteStream::new(std::mem::replace(response.body_mut(), SdkBody::taken()))
}
