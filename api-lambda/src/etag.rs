//! Entity tags: conditional reads (`If-None-Match`) and conditional changes (`If-Match`).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_ENCODING, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use shared::model::Project;
use shared::task_reader::{ConditionalRead, Representation};
use shared::validator::Validator;

use crate::response::JsonBytes;

/// The most tags of a header that are read.
const MAX_TAGS: usize = 32;

/// The `If-None-Match` header: the responses that the client has.
#[derive(Debug, Default)]
pub(crate) struct IfNoneMatch(Tags);

/// The `If-Match` header: the state that the client wants to change. `None` without the header.
#[derive(Debug, Default)]
pub(crate) struct IfMatch(Option<Tags>);

/// The tags in a header.
#[derive(Debug, Default)]
struct Tags {
    /// `*`: any state.
    is_any: bool,
    validators: Vec<Validator>,
}

impl Tags {
    /// Reads a header; `None` without it. A weak tag equals the strong tag of the same text.
    fn of(headers: &HeaderMap, name: HeaderName) -> Option<Self> {
        let mut values = headers.get_all(name).into_iter().peekable();
        values.peek()?;
        let mut tags = Self::default();
        let lists = values.filter_map(|value| value.to_str().ok());
        let items = lists.flat_map(|list| list.split(',')).map(str::trim);
        for text in items.take(MAX_TAGS) {
            if text == "*" {
                tags.is_any = true;
            }
            let strong = text.strip_prefix("W/").unwrap_or(text);
            let tag = strong
                .strip_prefix('"')
                .and_then(|tag| tag.strip_suffix('"'));
            tags.validators
                .extend(tag.map(|tag| Validator::from(tag.to_owned())));
        }
        Some(tags)
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let tags = Tags::of(&parts.headers, IF_NONE_MATCH);
        Ok(Self(tags.unwrap_or_default()))
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Tags::of(&parts.headers, IF_MATCH)))
    }
}

impl IfNoneMatch {
    /// The validators of the responses that the client has.
    pub(crate) fn validators(&self) -> &[Validator] {
        &self.0.validators
    }

    /// Responds with `representation`, or with 304 if the client has it.
    pub(crate) fn respond(&self, representation: Representation) -> Response {
        let Representation { validator, json } = representation;
        self.respond_with(&validator, || JsonBytes(json).into_response())
    }

    /// Responds with the result of `make`, or with 304 if the client has the state of `validator`.
    pub(crate) fn respond_with(
        &self,
        validator: &Validator,
        make: impl FnOnce() -> Response,
    ) -> Response {
        if self.0.is_any || self.0.validators.contains(validator) {
            return not_modified(validator);
        }
        tagged(make(), validator)
    }

    /// Responds with what the reader returned, or with 304 if the client has it.
    pub(crate) fn respond_to(&self, reading: ConditionalRead) -> Response {
        match reading {
            ConditionalRead::Current(answer) => self.respond(answer),
            ConditionalRead::NotModified(validator) => not_modified(&validator),
        }
    }
}

impl IfMatch {
    /// Whether the client allows a change of a state that has one of the validators `present`.
    pub(crate) fn admits(&self, present: impl IntoIterator<Item = Validator>) -> bool {
        self.0.as_ref().is_none_or(|tags| {
            let mut present = present.into_iter();
            tags.is_any || present.any(|validator| tags.validators.contains(&validator))
        })
    }

    /// Whether the client allows a change of the project with the validator `present`, whatever its
    /// metrics. They change with every task, and not by the client.
    pub(crate) fn admits_project(&self, present: &Validator) -> bool {
        self.0.as_ref().is_none_or(|tags| {
            let mut known = tags.validators.iter().map(without_metrics);
            tags.is_any || known.any(|known| known == without_metrics(present))
        })
    }
}

/// The part of a project's validator that does not depend on metrics.
fn without_metrics(validator: &Validator) -> Option<&str> {
    let (fields, _) = validator.as_str().rsplit_once('-')?;
    Some(fields)
}

/// The validator of a project: `{revision}-{hash of its fields}-{hash of its metrics}`.
pub(crate) fn validator_of_project(json: &[u8]) -> Validator {
    let Ok(mut project) = serde_json::from_slice::<Project>(json) else {
        return Validator::of_bytes(json);
    };
    let metrics = std::mem::take(&mut project.metrics);
    let json = |value| serde_json::to_vec(&value).unwrap_or_default();
    let metrics = Validator::of_bytes(&json(serde_json::json!(metrics)));
    let fields = Validator::of_revision(project.revision, &json(serde_json::json!(project)));
    Validator::from(format!("{fields}-{metrics}"))
}

/// Adds the `ETag` header.
pub(crate) fn tagged(mut response: Response, validator: &Validator) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{validator}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Makes the tag of a compressed response weak, because the uncompressed response has the same tag.
pub(crate) fn weaken_if_compressed(response: &mut Response) {
    let headers = response.headers_mut();
    if headers.contains_key(CONTENT_ENCODING)
        && let Some(tag) = headers.get(ETAG)
        && tag.as_bytes().starts_with(b"\"")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}

fn not_modified(validator: &Validator) -> Response {
    tagged(StatusCode::NOT_MODIFIED.into_response(), validator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(values: &[&str]) -> Option<Tags> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, value.parse().unwrap());
        }
        Tags::of(&headers, IF_MATCH)
    }

    #[test]
    fn tags_come_from_lists_and_from_repeated_headers() {
        assert!(tags(&[]).is_none());
        let found = tags(&["\"a\" , W/\"b\"", "\"c\""]).unwrap();
        let texts: Vec<_> = found.validators.iter().map(Validator::as_str).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        assert!(!found.is_any && tags(&["*"]).unwrap().is_any);
        let rubbish = tags(&["a", "\"", "W/", ",,", "\u{20}"]).unwrap();
        assert!(rubbish.validators.is_empty(), "{rubbish:?}");
    }

    #[test]
    fn if_match_admits_only_whole_tags() {
        let check = |value: &[&str], expected| {
            let present = ["7-a", "7-b"].map(|tag| Validator::from(tag.to_owned()));
            let admits = IfMatch(tags(value)).admits(present);
            assert_eq!(admits, expected, "{value:?}");
        };
        check(&[], true);
        check(&["*"], true);
        check(&["\"7-a\""], true);
        check(&["\"6-a\", W/\"7-b\""], true);
        check(&["\"7-anything\""], false);
        check(&["\"6-a\""], false);
        check(&["7-a"], false);
        check(&[""], false);
    }

    #[test]
    fn if_match_admits_a_project_whatever_its_metrics() {
        let check = |value: &[&str], expected| {
            let present = Validator::from("7-a-1".to_owned());
            let admits = IfMatch(tags(value)).admits_project(&present);
            assert_eq!(admits, expected, "{value:?}");
        };
        check(&[], true);
        check(&["*"], true);
        check(&["\"7-a-1\""], true);
        check(&["\"6-a-1\", W/\"7-a-2\""], true);
        check(&["\"7-b-1\""], false);
        check(&["\"6-a-1\""], false);
        check(&["\"7-a\""], false);
        check(&["\"7\""], false);
        check(&["7-a-1"], false);
        check(&[""], false);
    }
}
