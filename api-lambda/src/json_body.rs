//! The JSON body of a request.
//!
//! A body is described by one struct that derives `Deserialize`. [`JsonBody`] reads it and reports
//! every wrong field, by name. Tests derive the OpenAPI schema from the same struct.

mod all_errors;
pub(crate) mod field_types;

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::digest::digest;
use crate::problem::{ApiError, FieldError};

/// The largest body that is read.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A JSON object whose members are not checked yet.
#[derive(Debug, Clone)]
pub(crate) struct JsonBody {
    members: Map<String, Value>,
    /// The names that the object has more than once.
    repeated: Vec<String>,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                ApiError::BodyTooLarge {
                    limit_bytes: MAX_BODY_BYTES,
                }
            }
            _ => ApiError::MalformedBody,
        })?;
        parse(&body)
    }
}

impl JsonBody {
    /// A digest of the members. It depends neither on their order nor on white space.
    pub(crate) fn digest(&self) -> String {
        let json = serde_json::to_vec(&self.members);
        digest(&[&json.expect("values that were read from JSON can be written")])
    }

    /// Reads the body as a `T`.
    ///
    /// # Errors
    ///
    /// [`ApiError::InvalidFields`] with everything that is wrong.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let object = Value::Object(self.members.clone());
        self.checked(object, "is not a known field")
    }

    /// Merges the body, a merge patch (RFC 7396), into `current`. Returns the fields that `T` has.
    ///
    /// # Errors
    ///
    /// [`ApiError::InvalidFields`] with everything that is wrong after the merge.
    pub(crate) fn merged_into<T: DeserializeOwned>(
        &self,
        current: &impl Serialize,
    ) -> Result<T, ApiError> {
        let current = serde_json::to_value(current);
        let mut merged = current.expect("records have string keys and no fallible serializer");
        json_patch::merge(&mut merged, &Value::Object(self.members.clone()));
        self.checked(merged, "is not a field that can be changed")
    }

    fn checked<T: DeserializeOwned>(
        &self,
        object: Value,
        unknown_field: &'static str,
    ) -> Result<T, ApiError> {
        let read = all_errors::from_object(object, &self.members, unknown_field);
        let mut errors = match read {
            Ok(body) if self.repeated.is_empty() => return Ok(body),
            Ok(_) => Vec::new(),
            Err(errors) => errors,
        };
        let repeated = self.repeated.iter().map(|name| FieldError {
            field: all_errors::shortened(name),
            detail: "must occur only once".to_owned(),
        });
        errors.extend(repeated);
        errors.truncate(all_errors::MAX_ERRORS);
        errors.sort_by(|one, other| one.field.cmp(&other.field));
        Err(ApiError::InvalidFields(errors))
    }
}

/// Whether the content type is JSON in UTF-8, the only encoding that JSON allows.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    let Some(content_type) = content_type.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| {
        // Clients send a merge patch under either name.
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

fn parse(body: &[u8]) -> Result<JsonBody, ApiError> {
    let body = str::from_utf8(body).map_err(|_| ApiError::MalformedBody)?;
    serde_json::from_str(body).map_err(|error| match error.classify() {
        Category::Data => ApiError::InvalidFields(vec![FieldError {
            field: String::new(),
            detail: "the body must be a JSON object".to_owned(),
        }]),
        _ => ApiError::MalformedBody,
    })
}

impl<'de> Deserialize<'de> for JsonBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = JsonBody;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonBody, A::Error> {
                let mut body = JsonBody {
                    members: Map::new(),
                    repeated: Vec::new(),
                };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if body.members.insert(name.clone(), value).is_some() {
                        body.repeated.push(name);
                    }
                }
                Ok(body)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_several_content_types() {
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
    fn malformed_json_and_json_of_another_type_are_different_errors() {
        for broken in [b"".as_slice(), b"{", b"{\"a\":1}x", b"{\"a\":\"\xff\"}"] {
            assert!(matches!(parse(broken), Err(ApiError::MalformedBody)));
        }
        for other in ["1", "[]", "null", "\"text\""] {
            let parsed = parse(other.as_bytes());
            assert!(matches!(parsed, Err(ApiError::InvalidFields(_))), "{other}");
        }
    }
}
