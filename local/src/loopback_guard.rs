//! Keeps web pages of other origins away from an API on loopback, which may have no authentication.
//!
//! A page in a browser on this machine can send requests to a loopback address. A page's owner can also point a name
//! at 127.0.0.1 (DNS rebinding), and then the browser takes the API for a part of that page. Two checks stop both:
//!
//! - `Host` must be a name of this server. An IP address can't be rebound, so the addresses of this server are names
//!   of it.
//! - `Origin`, if the request has one, must be this server or an origin that `CORS_ALLOWED_ORIGINS` names. Browsers
//!   send it with every request that another origin could read, with every write and with every WebSocket handshake.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use shared::config::Settings;

/// The hosts and origins that may use the API.
#[derive(Debug)]
pub(crate) struct LoopbackGuard {
    /// The address that the API listens on.
    address: IpAddr,
    /// The names that `--allow-host` gives.
    allowed_hosts: Vec<AllowedHost>,
    /// `CORS_ALLOWED_ORIGINS`.
    allowed_origins: Vec<String>,
}

impl LoopbackGuard {
    /// A guard for an API that listens on `address`.
    pub(crate) fn new(
        address: IpAddr,
        allowed_hosts: &[AllowedHost],
        settings: &Settings<'_>,
    ) -> Self {
        let origins = settings
            .optional("CORS_ALLOWED_ORIGINS")
            .unwrap_or_default();
        let origins = origins.split(',').map(str::trim);
        let origins = origins.filter(|origin| !origin.is_empty());
        Self {
            address,
            allowed_hosts: allowed_hosts.to_vec(),
            allowed_origins: origins.map(str::to_owned).collect(),
        }
    }

    /// Puts `router` behind this guard.
    pub(crate) fn protect(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(Arc::new(self), check))
    }

    /// Why a request is refused; `None` if it is allowed.
    fn refusal(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let Some(host) = self.host(uri, headers) else {
            return Some(
                "the Host header does not name this server: open it as localhost or by its IP \
                 address, or start it with --allow-host NAME"
                    .to_owned(),
            );
        };
        let mut origins = headers.get_all(ORIGIN).iter();
        let refused = origins.find(|origin| {
            let origin = origin.to_str();
            !origin.is_ok_and(|origin| self.is_allowed_origin(origin, &host))
        })?;
        let refused = String::from_utf8_lossy(refused.as_bytes());
        let advice = match Uri::try_from(refused.as_ref()) {
            Ok(origin) if origin.scheme().is_some() => {
                format!(": to allow them, start it with CORS_ALLOWED_ORIGINS={refused}")
            }
            _ => String::new(), // `null`, for one, can't be allowed
        };
        Some(format!(
            "web pages of the origin {refused} may not use this server{advice}"
        ))
    }

    /// The host that a request is for. `None` if the request names no host, or one that is not this server.
    ///
    /// A request target in absolute form names a host besides `Host`; then both must be this server.
    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
        let hosts = headers.get_all(HOST).iter();
        let hosts = hosts.map(|host| Authority::try_from(host.as_bytes()).ok());
        let hosts: Option<Vec<_>> = hosts.chain(uri.authority().cloned().map(Some)).collect();
        let hosts = hosts?;
        let are_own = hosts.iter().all(|host| self.is_own(host));
        hosts.into_iter().next().filter(|_| are_own)
    }

    fn is_own(&self, host: &Authority) -> bool {
        let is_own = match host_address(host.host()) {
            Some(address) => self.is_own_address(address),
            None => host.host().eq_ignore_ascii_case("localhost"),
        };
        is_own && !has_user(host) || self.is_allowed_host(host)
    }

    /// Whether `address` may be this server. An API that listens beyond loopback can have any address.
    fn is_own_address(&self, address: IpAddr) -> bool {
        address == self.address || address.is_loopback() || !self.address.is_loopback()
    }

    fn is_allowed_host(&self, host: &Authority) -> bool {
        !has_user(host)
            && self
                .allowed_hosts
                .iter()
                .any(|allowed| allowed.is(host.host()))
    }

    /// Whether pages of `origin` may use the API, which the browser knows as `host`.
    fn is_allowed_origin(&self, origin: &str, host: &Authority) -> bool {
        if self
            .allowed_origins
            .iter()
            .any(|allowed| allowed == origin || allowed == "*")
        {
            return true;
        }
        let Ok(origin) = Uri::try_from(origin) else {
            return false;
        };
        let is_web = matches!(origin.scheme_str(), Some("http" | "https"));
        // A proxy may change `Host`, but a page of the proxy's name is still a page of this server.
        let is_own = |origin: &Authority| origin == host || self.is_allowed_host(origin);
        is_web && origin.authority().is_some_and(is_own)
    }
}

/// A name of this server that `--allow-host` gives: a host name or an IP address, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowedHost {
    Name(String),
    Address(IpAddr),
}

impl AllowedHost {
    /// Parses the value of `--allow-host`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(address) = host_address(text) {
            return Ok(Self::Address(address));
        }
        let is_name_char = |char: char| char.is_ascii_alphanumeric() || "-._".contains(char);
        if text.is_empty() || !text.chars().all(is_name_char) {
            return Err(
                "give a host name alone, such as proxy.example.com: no scheme, port or path"
                    .to_owned(),
            );
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }

    fn is(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => host.eq_ignore_ascii_case(name),
            Self::Address(address) => host_address(host) == Some(*address),
        }
    }
}

/// Whether a user name stands before the host. Browsers never send one in these headers.
fn has_user(host: &Authority) -> bool {
    host.as_str().contains('@')
}

/// The IP address that a host names, with brackets around IPv6 or without. An IPv4 address that is written as IPv6
/// is that IPv4 address.
fn host_address(host: &str) -> Option<IpAddr> {
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = address.unwrap_or(host).parse().ok()?;
    Some(address.to_canonical())
}

async fn check(State(guard): State<Arc<LoopbackGuard>>, request: Request, next: Next) -> Response {
    match guard.refusal(request.uri(), request.headers()) {
        None => next.run(request).await,
        Some(detail) => {
            let problem = serde_json::json!({
                "type": "about:blank", "title": "Forbidden", "status": 403, "detail": detail,
            });
            let content_type = [(CONTENT_TYPE, "application/problem+json")];
            (StatusCode::FORBIDDEN, content_type, problem.to_string()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn guard(address: &str, origins: &'static str) -> LoopbackGuard {
        let lookup = move |name: &str| (name == "CORS_ALLOWED_ORIGINS").then(|| origins.to_owned());
        let settings = Settings::new(&lookup);
        let allowed_hosts =
            ["Proxy.test", "10.0.0.5"].map(|host| AllowedHost::parse(host).unwrap());
        LoopbackGuard::new(address.parse().unwrap(), &allowed_hosts, &settings)
    }

    fn is_allowed(guard: &LoopbackGuard, target: &str, headers: &[(HeaderName, &str)]) -> bool {
        let header = |(name, value): &(HeaderName, &str)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (name.clone(), value)
        };
        let headers = headers.iter().map(header).collect();
        guard.refusal(&target.parse().unwrap(), &headers).is_none()
    }

    fn is_allowed_host(address: &str, host: &str) -> bool {
        is_allowed(&guard(address, ""), "/", &[(HOST, host)])
    }

    #[test]
    fn host_must_be_a_name_of_this_server() {
        for host in [
            "localhost:9000",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.0.0.2:9000",
            "[::1]:9000",
            "[::ffff:127.0.0.1]:9000",
            "proxy.test:80",
            "10.0.0.5",
        ] {
            assert!(is_allowed_host("127.0.0.1", host), "{host}");
        }
        for host in [
            "evil.test",
            "evil.test:9000",
            "evil.test.",
            "localhost.",
            "localhost.evil.test",
            "localhost@evil.test",
            "evil.test@localhost",
            "localhost/evil.test",
            "localhost,evil.test",
            "127.0.0.1.evil.test:9000",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0.0.0.0:9000",
            "192.168.1.7:9000",
            "[fe80::1]:9000",
            "[::1",
            "null",
            "*",
            "",
            "@",
            "\u{e9}",
        ] {
            assert!(!is_allowed_host("127.0.0.1", host), "{host}");
        }
    }

    #[test]
    fn beyond_loopback_every_address_is_a_name_of_this_server() {
        for address in ["0.0.0.0", "192.168.1.7", "::"] {
            for host in ["192.168.1.7:9000", "[fe80::1]:9000", "localhost:9000"] {
                assert!(is_allowed_host(address, host), "{address} {host}");
            }
            for host in ["evil.test:9000", "192.168.1.7.evil.test"] {
                assert!(!is_allowed_host(address, host), "{address} {host}");
            }
        }
    }

    #[test]
    fn every_host_that_a_request_names_must_be_this_server() {
        let guard = guard("127.0.0.1", "");
        let own = (HOST, "localhost:9000");
        let foreign = (HOST, "evil.test");
        assert!(is_allowed(
            &guard,
            "http://localhost:9000/",
            std::slice::from_ref(&own)
        ));
        assert!(is_allowed(&guard, "http://localhost:9000/", &[])); // as in HTTP/2
        assert!(!is_allowed(&guard, "/", &[])); // HTTP/1.0
        assert!(!is_allowed(
            &guard,
            "http://evil.test/",
            std::slice::from_ref(&own)
        ));
        assert!(!is_allowed(
            &guard,
            "http://localhost/",
            std::slice::from_ref(&foreign)
        ));
        assert!(!is_allowed(&guard, "/", &[own.clone(), foreign.clone()]));
        assert!(!is_allowed(&guard, "/", &[foreign, own]));
    }

    #[test]
    fn a_web_page_must_be_of_this_server_or_of_an_allowed_origin() {
        let is_allowed = |host, origin: &str| {
            let guard = guard("127.0.0.1", "https://a.test, https://b.test");
            is_allowed(&guard, "/", &[(HOST, host), (ORIGIN, origin)])
        };
        let host = "localhost:9000";
        for origin in [
            "http://localhost:9000",
            "https://a.test",
            "https://b.test",
            "https://proxy.test",
            "http://proxy.test:8080",
        ] {
            assert!(is_allowed(host, origin), "{origin}");
        }
        for origin in [
            "http://localhost:9001",
            "http://localhost",
            "http://127.0.0.1:9000",
            "http://evil.test@localhost:9000",
            "https://evil.test",
            "https://a.test.evil.test",
            "http://a.test",
            "https://a.test:444",
            "https://a.test, https://b.test",
            "file://localhost:9000",
            "localhost:9000",
            "null",
            "*",
            "",
            "\u{e9}",
        ] {
            assert!(!is_allowed(host, origin), "{origin}");
        }
        assert!(is_allowed("[::1]:9000", "http://[::1]:9000"));
    }

    #[test]
    fn each_of_two_origins_must_be_allowed() {
        let guard = guard("127.0.0.1", "https://a.test");
        let headers = [
            (HOST, "localhost"),
            (ORIGIN, "https://a.test"),
            (ORIGIN, "https://evil.test"),
        ];
        assert!(!is_allowed(&guard, "/", &headers));
    }

    #[test]
    fn any_origin_is_allowed_if_cors_allows_any() {
        let guard = guard("127.0.0.1", "*");
        assert!(is_allowed(
            &guard,
            "/",
            &[(HOST, "localhost"), (ORIGIN, "https://a.test")]
        ));
        assert!(!is_allowed(
            &guard,
            "/",
            &[(HOST, "evil.test"), (ORIGIN, "https://a.test")]
        ));
    }

    #[test]
    fn an_allowed_host_is_a_name_or_an_address() {
        for good in ["proxy.test", "my_box", "10.0.0.5", "::1", "[::1]"] {
            assert!(AllowedHost::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "proxy.test:80",
            "http://proxy.test",
            "proxy.test/",
            "*.test",
            "a b",
        ] {
            assert!(AllowedHost::parse(bad).is_err(), "{bad}");
        }
    }
}
