//! Requests to the service.

use std::env;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The greatest size of an answer that is read, in bytes.
const MOST_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// What needs no escape in the link to a task: as the dashboard writes it.
const IN_LINK: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b'@');

/// The variables that name files with certificate authorities instead of the machine's.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A client for the service at this address. It trusts the authorities in `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`, or else the machine's or, if it has none, the public ones.
///
/// It follows no redirects: the token is for one service.
pub fn agent(service_url: &str) -> Agent {
    // Reading all of them takes milliseconds.
    let is_secure = service_url.starts_with("https:");
    let trusted = if is_secure { authorities() } else { None };
    let roots = trusted.map_or(RootCerts::WebPki, |trusted| {
        let trusted = trusted.iter();
        RootCerts::from(
            trusted
                .map(|trusted| Certificate::from_der(trusted).to_owned())
                .collect::<Vec<_>>(),
        )
    });
    Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(REQUEST_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .user_agent(concat!("progress/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// The certificate authorities that are named or that the machine trusts; `None` if there is none:
/// then the public ones are trusted.
pub fn authorities() -> Option<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs().certs;
    // A user who names authorities trusts no others.
    let are_named = AUTHORITIES.map(env::var_os).iter().any(Option::is_some);
    (are_named || !found.is_empty()).then_some(found)
}

/// Why a request has no answer.
pub fn reason_of(error: &ureq::Error) -> String {
    let reason = error.to_string();
    match reason.contains("invalid peer certificate") {
        true => format!(
            "{reason}; if the service has a certificate authority of its own, name the file of \
             its certificate in SSL_CERT_FILE"
        ),
        false => reason,
    }
}

/// The body of an answer. It is empty if it can't be read.
pub fn body_of(response: &mut Response<Body>) -> Vec<u8> {
    let body = response.body_mut().with_config();
    body.limit(MOST_ANSWER_BYTES)
        .read_to_vec()
        .unwrap_or_default()
}

/// The text of a problem document (RFC 9457), or else the status.
pub fn problem_of(response: &mut Response<Body>) -> String {
    #[derive(Deserialize)]
    struct Problem {
        title: String,
        detail: Option<String>,
        #[serde(default)]
        errors: Vec<FieldError>,
    }
    #[derive(Deserialize)]
    struct FieldError {
        field: String,
        detail: String,
    }
    let status = response.status();
    match serde_json::from_slice(&body_of(response)) {
        Ok(Problem { errors, .. }) if !errors.is_empty() => {
            let errors = errors.iter();
            let errors = errors.map(|error| format!("{} {}", error.field, error.detail));
            errors.collect::<Vec<_>>().join("; ")
        }
        Ok(Problem { title, detail, .. }) => {
            let detail = detail.map(|detail| format!(": {detail}"));
            format!("{title}{}", detail.unwrap_or_default())
        }
        Err(_) => format!("status {status}"),
    }
}

/// The page of a task, or of one run.
pub fn page_of(service_url: &str, id: &str) -> String {
    format!("{service_url}/?task={}", in_path(id))
}

/// The id as a part of a path.
pub fn in_path(id: &str) -> String {
    utf8_percent_encode(id, IN_LINK).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_task_is_the_dashboards() {
        let page = page_of("https://a.example/prod", "cdk:shop/a b&c@1");
        assert_eq!(page, "https://a.example/prod/?task=cdk:shop%2Fa%20b%26c@1");
    }
}
