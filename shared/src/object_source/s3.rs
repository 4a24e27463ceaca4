//! Objects of S3, over HTTP. The SDK of S3 would be several times as large as what it does here.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures::stream::{self, StreamExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::{Object, ObjectError, ObjectName, ObjectSource};
use crate::aws::is_transient;
use crate::aws::signed::{BadStatus, SignedClient, Unsigned, body_of};
use crate::error::Source;
use crate::model::Timestamp;

/// The most time until a response begins.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The characters that are encoded in a name.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The characters that are encoded in a path.
const PATH: &AsciiSet = &NAME.remove(b'/');

/// Reads objects with `GetObject`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>), in the function's region.
pub struct S3ObjectSource {
    client: SignedClient,
    /// The URL of another S3, without a slash at the end.
    endpoint: Option<String>,
}

/// Where a request goes.
struct Address {
    host: String,
    base: String,
    path: String,
}

impl S3ObjectSource {
    /// Creates a source, which signs with the credentials and the region of `config`. The endpoint of
    /// `config`, if it has one, is another S3. `make_connector` is called at the first request.
    pub fn new(
        make_connector: impl FnOnce() -> SharedHttpConnector + Send + 'static,
        config: SdkConfig,
    ) -> Self {
        let endpoint = config.endpoint_url();
        Self {
            endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
            client: SignedClient::new("s3", make_connector, config),
        }
    }

    fn address(&self, name: &ObjectName) -> Result<Address, Source> {
        let region = self.client.region()?;
        let suffix = match region.starts_with("cn-") {
            true => ".cn",
            false => "",
        };
        let service = format!("s3.{region}.amazonaws.com{suffix}");
        let version = name.version.as_deref();
        let version = version.map_or_else(String::new, |version| {
            format!("?versionId={}", utf8_percent_encode(version, NAME))
        });
        let key = utf8_percent_encode(&name.key, PATH);
        // A certificate is for one label before the service's name, and a bucket with dots has several.
        let has_own_host = self.endpoint.is_none() && !name.bucket.contains('.');
        let (host, path) = match has_own_host {
            true => (
                format!("{}.{service}", name.bucket),
                format!("/{key}{version}"),
            ),
            false => (service, format!("/{}/{key}{version}", name.bucket)),
        };
        let base = self.endpoint.clone();
        let base = base.unwrap_or_else(|| format!("https://{host}"));
        Ok(Address { host, base, path })
    }

    async fn request(&self, name: &ObjectName) -> Result<Result<Object, (u16, BadStatus)>, Source> {
        let address = self.address(name)?;
        let request = Unsigned {
            method: "GET",
            host: &address.host,
            base: &address.base,
            path: &address.path,
            content_type: None,
            body: "",
        };
        let mut response = timeout(RESPONSE_TIMEOUT, self.client.send(request)).await??;
        let status = response.status().as_u16();
        if status != 200 {
            let body = timeout(RESPONSE_TIMEOUT, body_of(&mut response).collect()).await??;
            return Ok(Err((status, BadStatus::new(status, &body.into_bytes()))));
        }
        let modified = response.headers().get("last-modified");
        let modified = modified.ok_or("the response has no Last-Modified")?;
        let modified = chrono::DateTime::parse_from_rfc2822(modified)?;
        let body = stream::try_unfold(body_of(&mut response), async |mut body| {
            let part = body.next().await.transpose()?;
            Ok(part.map(|part| (part.to_vec(), body)))
        });
        Ok(Ok(Object {
            modified: Timestamp::from_millis(modified.timestamp_millis()),
            body: body.boxed(),
        }))
    }
}

#[async_trait]
impl ObjectSource for S3ObjectSource {
    async fn open(&self, name: &ObjectName) -> Result<Object, ObjectError> {
        let answer = self.request(name).await;
        let answer = answer.map_err(|source| ObjectError::unavailable(name, source))?;
        answer.map_err(|(status, error)| {
            let ObjectName { bucket, key, .. } = name.clone();
            match status {
                404 => ObjectError::NotFound { bucket, key },
                _ if is_transient(None, status) => ObjectError::unavailable(name, error),
                _ => ObjectError::Refused {
                    bucket,
                    key,
                    source: error.into(),
                },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(endpoint: Option<&'static str>, bucket: &str, key: &str) -> (String, String) {
        let region = aws_sdk_dynamodb::config::Region::new("eu-west-1");
        let mut config = SdkConfig::builder().region(region);
        config.set_endpoint_url(endpoint.map(str::to_owned));
        let no_connector = || unreachable!("no request is sent");
        let source = S3ObjectSource::new(no_connector, config.build());
        let name = ObjectName {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version: Some("v=1".to_owned()),
        };
        let address = source.address(&name).unwrap();
        (address.base, address.path)
    }

    #[test]
    fn a_bucket_has_a_host_of_its_own_where_a_certificate_allows_it() {
        let own = path(None, "logs", "a b/ü+1.log");
        let expected = "/a%20b/%C3%BC%2B1.log?versionId=v%3D1";
        assert_eq!(
            own,
            (
                "https://logs.s3.eu-west-1.amazonaws.com".to_owned(),
                expected.to_owned()
            )
        );
        let (base, shared) = path(None, "my.logs", "x");
        assert_eq!(base, "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(shared, "/my.logs/x?versionId=v%3D1");
        let (base, other) = path(Some("http://127.0.0.1:1/"), "logs", "x");
        assert_eq!(
            (&*base, &*other),
            ("http://127.0.0.1:1", "/logs/x?versionId=v%3D1")
        );
    }
}
