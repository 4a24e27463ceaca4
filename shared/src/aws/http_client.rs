//! The HTTP client of all AWS clients.
//!
//! It is made at the first call, because a response from the cache needs none. It loads the few
//! root certificates of AWS. Loading the system's 140 would take longer than the rest of a cold
//! start.

use std::sync::OnceLock;

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::config::Settings;

/// The root certificates of all AWS endpoints: Amazon Root CA 1 to 4, and Starfield Services Root
/// Certificate Authority - G2 (<https://www.amazontrust.com/repository/>).
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");

/// Makes a client that is built at its first use and trusts the root certificates of AWS.
///
/// It trusts the system's root certificates instead if `SSL_CERT_FILE` or `SSL_CERT_DIR` is set, or
/// if the region is in China, where AWS uses others.
pub(super) fn http_client(settings: &Settings<'_>) -> SharedHttpClient {
    SharedHttpClient::new(Lazy {
        system_roots: uses_system_roots(settings),
        client: OnceLock::new(),
    })
}

#[derive(Debug)]
struct Lazy {
    system_roots: bool,
    client: OnceLock<SharedHttpClient>,
}

impl HttpClient for Lazy {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let client = self.client.get_or_init(|| build(self.system_roots));
        client.http_connector(settings, components)
    }
}

fn uses_system_roots(settings: &Settings<'_>) -> bool {
    let region = settings.optional("AWS_REGION");
    let is_set = |name| settings.optional(name).is_some();
    region.is_some_and(|region| region.starts_with("cn-"))
        || is_set("SSL_CERT_FILE")
        || is_set("SSL_CERT_DIR")
}

/// Makes a connector for requests that no SDK sends. It trusts what [`http_client`] does.
pub(super) fn connector(
    settings: &Settings<'_>,
    timeouts: HttpConnectorSettings,
) -> impl FnOnce() -> SharedHttpConnector + Send + use<> {
    let system_roots = uses_system_roots(settings);
    move || {
        let connector = Connector::builder()
            .connector_settings(timeouts)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls_context(system_roots))
            .build();
        SharedHttpConnector::new(connector)
    }
}

fn build(system_roots: bool) -> SharedHttpClient {
    // ring, because the default provider's entropy source delays the first connection by up to a
    // second.
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls_context(system_roots))
        .build_https()
}

fn tls_context(system_roots: bool) -> TlsContext {
    let roots = if system_roots {
        TrustStore::default()
    } else {
        TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
    };
    let context = TlsContext::builder().with_trust_store(roots).build();
    context.expect("the root certificates are valid")
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn the_roots_of_aws_are_certificates() {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(AMAZON_ROOTS.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        assert_eq!(roots.len(), 5);
    }

    #[test]
    fn system_roots_are_used_if_they_are_named_and_in_china() {
        let uses = |name: &'static str, value: &'static str| {
            let lookup = |wanted: &str| (wanted == name).then(|| value.to_owned());
            uses_system_roots(&Settings::new(&lookup))
        };
        assert!(!uses("AWS_REGION", "us-east-1"));
        assert!(uses("AWS_REGION", "cn-north-1"));
        assert!(uses("SSL_CERT_FILE", "/etc/authorities.pem"));
        assert!(uses("SSL_CERT_DIR", "/etc/authorities"));
    }
}
