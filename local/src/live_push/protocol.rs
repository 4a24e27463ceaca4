//! The messages of AppSync Events
//! (<https://docs.aws.amazon.com/appsync/latest/eventapi/event-api-websocket-protocol.html>).

use axum::http::HeaderMap;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

/// The subprotocol of the WebSocket.
pub(super) const SUBPROTOCOL: &str = "aws-appsync-event-ws";
/// What stands before the authorization among the subprotocols: there, no URL and no log shows it.
const AUTHORIZATION_PREFIX: &str = "header-";

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client sends.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientMessage {
    ConnectionInit,
    Subscribe {
        id: String,
        channel: String,
        #[serde(default)]
        authorization: Authorization,
    },
    Unsubscribe {
        id: String,
    },
}

/// The token of a client. Other members, such as `host`, are ignored.
#[derive(Default, PartialEq, Eq, Deserialize)]
pub(super) struct Authorization {
    #[serde(rename = "Authorization", alias = "authorization", default)]
    pub(super) access_token: String,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authorization(…)")
    }
}

/// What the server sends, but for messages of channels: see [`data`].
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
    ConnectionAck {
        #[serde(rename = "connectionTimeoutMs")]
        connection_timeout_ms: u64,
    },
    ConnectionError {
        errors: [ProtocolError; 1],
    },
    #[serde(rename = "ka")]
    KeepAlive,
    SubscribeSuccess {
        id: &'a str,
    },
    SubscribeError {
        id: &'a str,
        errors: [ProtocolError; 1],
    },
    UnsubscribeSuccess {
        id: &'a str,
    },
    UnsubscribeError {
        id: &'a str,
        errors: [ProtocolError; 1],
    },
    Error {
        errors: [ProtocolError; 1],
    },
}

/// Why something is refused.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProtocolError {
    pub(super) error_type: &'static str,
    pub(super) message: String,
}

impl ProtocolError {
    pub(super) fn unauthorized(reason: impl ToString) -> [Self; 1] {
        Self::new("UnauthorizedException", reason)
    }

    pub(super) fn bad_request(reason: impl ToString) -> [Self; 1] {
        Self::new("BadRequestException", reason)
    }

    fn new(error_type: &'static str, reason: impl ToString) -> [Self; 1] {
        [Self {
            error_type,
            message: reason.to_string(),
        }]
    }
}

impl ServerMessage<'_> {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("messages have no maps and no fallible serializer")
    }
}

/// The message of a channel. `subscription` and `event` are JSON texts.
pub(super) fn data(subscription: &str, event: &str) -> String {
    format!(r#"{{"type":"data","id":{subscription},"event":{event}}}"#)
}

/// Whether a handshake offers the subprotocol.
pub(super) fn offers_protocol(headers: &HeaderMap) -> bool {
    offered(headers).any(|protocol| protocol == SUBPROTOCOL)
}

/// The authorization in a handshake; an empty one if there is none that can be read.
pub(super) fn authorization(headers: &HeaderMap) -> Authorization {
    let text = offered(headers).find_map(|protocol| protocol.strip_prefix(AUTHORIZATION_PREFIX));
    let json = text.and_then(|text| BASE64URL.decode(text).ok());
    let authorization = json.and_then(|json| serde_json::from_slice(&json).ok());
    authorization.unwrap_or_default()
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter();
        values
            .map(|value| (SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_authorization_is_among_the_subprotocols() {
        // printf '{"host":"a","Authorization":"t?>"}' | base64 | tr +/ -_
        for encoded in [
            "eyJob3N0IjoiYSIsIkF1dGhvcml6YXRpb24iOiJ0Pz4ifQ",
            "eyJob3N0IjoiYSIsIkF1dGhvcml6YXRpb24iOiJ0Pz4ifQ==",
        ] {
            let one = headers(&[&format!("aws-appsync-event-ws, header-{encoded}")]);
            let two = headers(&[&format!("header-{encoded}"), "aws-appsync-event-ws"]);
            for headers in [one, two] {
                assert!(offers_protocol(&headers));
                assert_eq!(authorization(&headers).access_token, "t?>");
            }
        }
        for other in ["", "graphql-ws", "aws-appsync-event-ws2"] {
            assert!(!offers_protocol(&headers(&[other])), "{other}");
        }
        for broken in ["header-", "header-%", "header-eyJ", "header-W10"] {
            assert_eq!(authorization(&headers(&[broken])).access_token, "");
        }
    }

    #[test]
    fn messages_have_the_form_of_appsync() {
        let subscribe = r#"{"type":"subscribe","id":"1","channel":"/progress/tasks","authorization":{"host":"a","Authorization":"secret"}}"#;
        let Ok(ClientMessage::Subscribe { authorization, .. }) = serde_json::from_str(subscribe)
        else {
            panic!("no subscription");
        };
        assert_eq!(authorization.access_token, "secret");
        assert!(!format!("{authorization:?}").contains("secret"));
        let init: ClientMessage = serde_json::from_str(r#"{"type":"connection_init"}"#).unwrap();
        assert_eq!(init, ClientMessage::ConnectionInit);
        assert_eq!(ServerMessage::KeepAlive.to_json(), r#"{"type":"ka"}"#);
        let errors = ProtocolError::unauthorized("no");
        assert_eq!(
            ServerMessage::SubscribeError { id: "1", errors }.to_json(),
            r#"{"type":"subscribe_error","id":"1","errors":[{"errorType":"UnauthorizedException","message":"no"}]}"#
        );
    }
}
