//! The body of a request: one JSON object.

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use crate::fields::Fields;
use crate::problem::{ApiError, FieldError};

/// The largest body that is read.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                ApiError::BodyTooLarge
            }
            _ => ApiError::MalformedBody,
        })?;
        parse(&body)
    }
}

/// Whether the content type is JSON, in the one encoding that JSON has.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    let Some(content_type) = content_type.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| {
        // A PATCH is a merge patch; it may be called so, or just JSON.
        ["application/json", "application/merge-patch+json"]
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known))
    });
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

fn parse(body: &[u8]) -> Result<Fields, ApiError> {
    let body = str::from_utf8(body).map_err(|_| ApiError::MalformedBody)?;
    match serde_json::from_str::<Object>(body) {
        Ok(object) => Ok(Fields::new(object.0)),
        Err(error) if error.classify() == Category::Data => {
            Err(ApiError::InvalidFields(vec![FieldError {
                field: String::new(),
                detail: "the body must be a JSON object".to_owned(),
            }]))
        }
        Err(_) => Err(ApiError::MalformedBody),
    }
}

/// The members of a JSON object as they were written, also those that share a name.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_named_in_several_ways() {
        let check = |value: &str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(is_json(&headers), expected, "{value}");
        };
        check("application/json", true);
        check("Application/JSON; charset=UTF-8", true);
        check("application/json;charset=\"utf-8\"", true);
        check("application/json; charset=latin1", false);
        check("application/jsonp", false);
        check("text/plain", false);
        check("", false);
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn what_can_not_be_read_is_told_from_what_makes_no_sense() {
        for broken in [b"".as_slice(), b"{", b"{\"a\":1}x", b"{\"a\":\"\xff\"}"] {
            assert!(matches!(parse(broken), Err(ApiError::MalformedBody)));
        }
        for other in ["1", "[]", "null", "\"text\""] {
            let parsed = parse(other.as_bytes());
            assert!(matches!(parsed, Err(ApiError::InvalidFields(_))), "{other}");
        }
    }
}
