//! Where those who watch tasks subscribe to changes.

use shared::config::{ConfigError, Settings};

const HTTP_HOST: &str = "PUSH_HTTP_HOST";
const REALTIME_HOST: &str = "PUSH_REALTIME_HOST";

/// An API of AppSync Events, or a server that speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushEndpoint {
    /// The URL of its WebSocket: absolute, or relative to the root of this API.
    pub(crate) url: String,
    /// The host that subscribers name when they authorize; `None`: the host of this API.
    pub(crate) host: Option<String>,
    /// What the page's policy must allow besides its own host.
    pub(crate) origin: Option<String>,
}

impl PushEndpoint {
    /// The WebSocket beside this API, on the same server.
    pub fn beside_api() -> Self {
        Self {
            url: "event/realtime".to_owned(),
            host: None,
            origin: None,
        }
    }

    /// Reads `PUSH_HTTP_HOST` and `PUSH_REALTIME_HOST`: the hosts of an API of AppSync Events. `None`
    /// if neither is set.
    ///
    /// # Errors
    ///
    /// If one of them is missing, or is no host name.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Option<Self>, ConfigError> {
        let hosts = [HTTP_HOST, REALTIME_HOST].map(|name| settings.optional(name));
        let (host, realtime_host) = match hosts {
            [None, None] => return Ok(None),
            [None, Some(_)] => return Err(ConfigError::Missing { name: HTTP_HOST }),
            [Some(_), None] => {
                return Err(ConfigError::Missing {
                    name: REALTIME_HOST,
                });
            }
            [Some(host), Some(realtime_host)] => (host, realtime_host),
        };
        for (name, host) in [(HTTP_HOST, &host), (REALTIME_HOST, &realtime_host)] {
            if !is_host(host) {
                return Err(ConfigError::Invalid {
                    name,
                    expected: "a host name alone: no scheme, port or path",
                });
            }
        }
        let origin = format!("wss://{realtime_host}");
        Ok(Some(Self {
            url: format!("{origin}/event/realtime"),
            host: Some(host),
            origin: Some(origin),
        }))
    }
}

/// Whether `text` is a host name. It goes into a header of the page.
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(
        http: Option<&str>,
        realtime: Option<&str>,
    ) -> Result<Option<PushEndpoint>, String> {
        let lookup = |name: &str| match name {
            HTTP_HOST => http.map(str::to_owned),
            _ => realtime.map(str::to_owned),
        };
        PushEndpoint::from_settings(&Settings::new(&lookup)).map_err(|error| error.to_string())
    }

    #[test]
    fn both_hosts_are_needed_and_are_host_names() {
        assert_eq!(endpoint(None, None), Ok(None));
        let good = endpoint(Some("a.example"), Some("b.example"))
            .unwrap()
            .unwrap();
        assert_eq!(good.url, "wss://b.example/event/realtime");
        assert_eq!(good.origin.as_deref(), Some("wss://b.example"));
        for (http, realtime, name) in [
            (None, Some("b.example"), HTTP_HOST),
            (Some("a.example"), None, REALTIME_HOST),
            (Some("https://a.example"), Some("b.example"), HTTP_HOST),
            (
                Some("a.example"),
                Some("b.example; script-src *"),
                REALTIME_HOST,
            ),
            (Some("a.example"), Some("b.example:1"), REALTIME_HOST),
        ] {
            let error = endpoint(http, realtime).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
