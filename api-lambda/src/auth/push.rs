//! The authorization of live push: whether a subscriber may connect, or subscribe to a channel.
//!
//! AppSync Events asks with an event of its own, the WebSocket of `local` with a call.

use serde::{Deserialize, Serialize};
use shared::model::Timestamp;
use shared::push_sink::Channel;
use tracing::debug;

use crate::auth::access::Scope;
use crate::auth::auth_error::AuthError;
use crate::auth::principal::Principal;
use crate::auth::{Auth, Checks, bearer};

/// The longest time that AppSync may remember a decision, in seconds
/// (<https://docs.aws.amazon.com/appsync/latest/eventapi/configure-event-api-auth.html>).
const LONGEST_TTL_SECONDS: i64 = 3600;

/// What someone wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOperation<'a> {
    /// Open a connection.
    Connect,
    /// Get the messages of this channel.
    Subscribe(&'a str),
    /// Publish a message. Only the publisher may, and it does not ask here.
    Publish,
}

/// Why something is refused. The messages go to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushRefusal {
    /// The token is not accepted.
    #[error("{reason}")]
    Unauthenticated {
        /// Why not.
        reason: String,
    },
    /// The token may not read tasks.
    #[error("the token has no scope for reading tasks")]
    InsufficientScope,
    /// There is no such channel.
    #[error("there is no such channel: GET /api/push names the channels")]
    UnknownChannel,
    /// Subscribers can't publish.
    #[error("subscribers can't publish")]
    Publishing,
}

/// The event with which AppSync Events asks. `aws_lambda_events` has no type for it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthorizerEvent {
    authorization_token: String,
    request_context: AuthorizerContext,
}

#[derive(Debug, Deserialize)]
struct AuthorizerContext {
    operation: Operation,
    channel: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Operation {
    #[serde(rename = "EVENT_CONNECT")]
    Connect,
    #[serde(rename = "EVENT_SUBSCRIBE")]
    Subscribe,
    #[serde(rename = "EVENT_PUBLISH")]
    Publish,
}

/// The answer to AppSync.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthorizerDecision {
    is_authorized: bool,
    /// How many seconds AppSync may remember the decision.
    ttl_override: i64,
}

impl Auth {
    /// Checks that the holder of `access_token`, with `Bearer ` before it or without, may do this.
    /// Returns when the token expires; `None` if no token is needed.
    ///
    /// # Errors
    ///
    /// [`PushRefusal`] if not.
    pub fn authorize_push(
        &self,
        operation: PushOperation<'_>,
        access_token: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PushRefusal> {
        match operation {
            PushOperation::Publish => return Err(PushRefusal::Publishing),
            PushOperation::Subscribe(channel) if Channel::parse(channel).is_none() => {
                return Err(PushRefusal::UnknownChannel);
            }
            PushOperation::Subscribe(_) | PushOperation::Connect => {}
        }
        let Some(checks) = &self.0 else {
            return Ok(None);
        };
        let checked = checks.check_token(access_token, now);
        let (expires_at, principal) = checked.map_err(|error| PushRefusal::Unauthenticated {
            reason: error.to_string(),
        })?;
        if !principal.may(Scope::Read) {
            return Err(PushRefusal::InsufficientScope);
        }
        Ok(Some(expires_at))
    }

    /// Answers AppSync.
    pub(crate) fn decide_push(
        &self,
        event: &AuthorizerEvent,
        now: Timestamp,
    ) -> AuthorizerDecision {
        let context = &event.request_context;
        let operation = match context.operation {
            Operation::Connect => PushOperation::Connect,
            Operation::Subscribe => {
                PushOperation::Subscribe(context.channel.as_deref().unwrap_or_default())
            }
            Operation::Publish => PushOperation::Publish,
        };
        match self.authorize_push(operation, &event.authorization_token, now) {
            Ok(expires_at) => AuthorizerDecision {
                is_authorized: true,
                ttl_override: expires_at.map_or(LONGEST_TTL_SECONDS, |expires_at| {
                    let left_ms = expires_at.as_millis().saturating_sub(now.as_millis());
                    (left_ms / 1000).clamp(0, LONGEST_TTL_SECONDS)
                }),
            },
            Err(refusal) => {
                debug!(reason = %refusal, "a subscriber was refused");
                AuthorizerDecision {
                    is_authorized: false,
                    ttl_override: 0,
                }
            }
        }
    }
}

impl Checks {
    /// When a token expires, and whose it is.
    fn check_token(
        &self,
        access_token: &str,
        now: Timestamp,
    ) -> Result<(Timestamp, Principal), AuthError> {
        let claims = self.keys.verify(bearer::without_scheme(access_token)?)?;
        let expires_at = self.rules.check(&claims, now)?;
        Ok((expires_at, claims.into_principal(&self.scope_prefix)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::config::Settings;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const TASKS: &str = "/progress/tasks";
    /// Signed with `openssl`, until 2286: {"sub":"ci","exp":9999999999,"scope":"progress:read"}.
    const READER: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjaSIsImV4cCI6OTk5OTk5OTk5OSwic2NvcGUiOiJwcm9ncmVzczpyZWFkIn0._aXe-qNEdkrGiBmQoaO6Ul7FjN5gL3yAwRaFpsWqKUc";
    /// The same with `progress:write`.
    const WRITER: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjaSIsImV4cCI6OTk5OTk5OTk5OSwic2NvcGUiOiJwcm9ncmVzczp3cml0ZSJ9.-z0dNxrznNSNhWgpBQOksk6DOhJKRKjYoMkX_h0ZmQQ";
    const EXPIRES_AT: i64 = 9_999_999_999;

    fn auth() -> Auth {
        let lookup = |name: &str| (name == "AUTH_HS256_SECRET").then(|| SECRET.to_owned());
        Auth::from_settings(&Settings::new(&lookup)).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    #[test]
    fn a_reader_may_connect_and_subscribe_until_the_token_expires() {
        let task = "/progress/task/0123456789abcdef0123456789abcdef";
        let expires_at = Ok(Some(Timestamp::from_millis(EXPIRES_AT * 1000)));
        for operation in [
            PushOperation::Connect,
            PushOperation::Subscribe(TASKS),
            PushOperation::Subscribe(task),
        ] {
            for token in [READER.to_owned(), format!("Bearer {READER}")] {
                let decision = auth().authorize_push(operation, &token, now());
                assert_eq!(decision, expires_at, "{operation:?}");
            }
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_the_reason() {
        let refused =
            |operation, token| auth().authorize_push(operation, token, now()).unwrap_err();
        let subscribe = PushOperation::Subscribe(TASKS);
        for (operation, token, reason) in [
            (PushOperation::Connect, "", "a bearer token is needed"),
            (
                PushOperation::Connect,
                "a.b.c",
                "the token is not a valid JWT",
            ),
            (
                subscribe,
                WRITER,
                "the token has no scope for reading tasks",
            ),
            (PushOperation::Publish, READER, "subscribers can't publish"),
        ] {
            assert_eq!(refused(operation, token).to_string(), reason);
        }
        for pattern in ["/progress/*", "/*", "*", "/progress/task/*", ""] {
            let refusal = refused(PushOperation::Subscribe(pattern), READER);
            assert_eq!(refusal, PushRefusal::UnknownChannel, "{pattern}");
        }
        let late = Timestamp::from_millis((EXPIRES_AT + 60) * 1000);
        let expired = auth().authorize_push(subscribe, READER, late).unwrap_err();
        assert_eq!(expired.to_string(), "the token has expired");
    }

    #[test]
    fn without_authentication_every_channel_is_open_but_patterns_are_not() {
        let auth = Auth::none();
        assert_eq!(
            auth.authorize_push(PushOperation::Connect, "", now()),
            Ok(None)
        );
        assert_eq!(
            auth.authorize_push(PushOperation::Subscribe(TASKS), "", now()),
            Ok(None)
        );
        let pattern = auth.authorize_push(PushOperation::Subscribe("/progress/*"), "", now());
        assert_eq!(pattern, Err(PushRefusal::UnknownChannel));
    }

    /// The decision about an event of AppSync.
    fn decision(
        token: &str,
        operation: &str,
        channel: Option<&str>,
        now_seconds: i64,
    ) -> serde_json::Value {
        let event = json!({
            "authorizationToken": token,
            "requestContext": {
                "apiId": "a", "accountId": "1", "requestId": "r", "operation": operation,
                "channelNamespaceName": "progress", "channel": channel,
            },
            "requestHeaders": {"host": "a.example"},
        });
        let event = serde_json::from_value(event).unwrap();
        let now = Timestamp::from_millis(now_seconds * 1000);
        serde_json::to_value(auth().decide_push(&event, now)).unwrap()
    }

    #[test]
    fn appsync_never_remembers_a_decision_for_longer_than_the_token_lives() {
        let allowed = |ttl| json!({"isAuthorized": true, "ttlOverride": ttl});
        let refused = json!({"isAuthorized": false, "ttlOverride": 0});
        let at = |seconds| decision(READER, "EVENT_SUBSCRIBE", Some(TASKS), seconds);
        assert_eq!(at(1_700_000_000), allowed(3600));
        assert_eq!(at(EXPIRES_AT - 90), allowed(90));
        // Within the leeway for the issuer's clock.
        assert_eq!(at(EXPIRES_AT + 30), allowed(0));
        assert_eq!(at(EXPIRES_AT + 61), refused);
        let connect = |token| decision(token, "EVENT_CONNECT", None, 1_700_000_000);
        assert_eq!(connect(READER), allowed(3600));
        assert_eq!(connect("x"), refused);
        let without_channel = decision(READER, "EVENT_SUBSCRIBE", None, 1_700_000_000);
        assert_eq!(without_channel, refused);
        assert_eq!(
            decision(READER, "EVENT_PUBLISH", Some(TASKS), 1_700_000_000),
            refused
        );
    }
}
