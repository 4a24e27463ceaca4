//! Cursors: where the next page of a list begins.
//!
//! A cursor is opaque to clients. It is JSON in base64url. Its version lets the format change while
//! clients still have cursors of the old format.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared::model::{RunId, Timestamp};

/// The version of the format.
const VERSION: u8 = 2;
/// The longest cursor, in bytes.
const MAX_LENGTH: usize = 1024;

/// A cursor that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidCursor {
    #[error("must be a next_cursor of this API")]
    Malformed,
    #[error("must be used with the same filters as the page that it came from")]
    OtherList,
}

/// The position of the last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The time by which the list is ordered.
    pub(crate) at: Timestamp,
    /// The id of the run, in a list of tasks.
    pub(crate) run_id: Option<RunId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    v: u8,
    /// The filters of the list.
    s: String,
    /// Milliseconds since 1970.
    t: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<RunId>,
}

impl Cursor {
    /// Encodes the cursor. `cursor_filter` is a text that identifies the list with its filters.
    pub(crate) fn encode(&self, cursor_filter: &str) -> String {
        let json = serde_json::to_vec(&Encoded {
            v: VERSION,
            s: cursor_filter.to_owned(),
            t: self.at.as_millis(),
            id: self.run_id.clone(),
        });
        BASE64_URL_SAFE_NO_PAD.encode(json.expect("a cursor has string keys and plain values"))
    }

    /// Decodes a cursor of the list with this `cursor_filter`.
    pub(crate) fn decode(text: &str, cursor_filter: &str) -> Result<Self, InvalidCursor> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidCursor::Malformed);
        }
        let json = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| InvalidCursor::Malformed)?;
        let encoded: Encoded =
            serde_json::from_slice(&json).map_err(|_| InvalidCursor::Malformed)?;
        let at = Timestamp::from_millis(encoded.t);
        if encoded.v != VERSION || at.as_millis() != encoded.t {
            return Err(InvalidCursor::Malformed);
        }
        if encoded.s != cursor_filter {
            return Err(InvalidCursor::OtherList);
        }
        Ok(Self {
            at,
            run_id: encoded.id,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_cursor() -> impl Strategy<Value = Cursor> {
        let time = || (0_i64..253_402_300_800_000).prop_map(Timestamp::from_millis);
        let run_id = ("[A-Za-z0-9._:-]{1,128}", time()).prop_map(|(task_id, run)| RunId {
            task_id: task_id.parse().unwrap(),
            run,
        });
        let run_id = proptest::option::of(run_id);
        (time(), run_id).prop_map(|(at, run_id)| Cursor { at, run_id })
    }

    proptest! {
        #[test]
        fn a_cursor_survives_encoding_and_decoding(cursor in any_cursor(), filter in "[a-z0-9?&=,._:-]{0,400}") {
            let text = cursor.encode(&filter);
            prop_assert_eq!(Cursor::decode(&text, &filter), Ok(cursor));
        }

        #[test]
        fn a_cursor_is_refused_for_another_list(cursor in any_cursor()) {
            let text = cursor.encode("one");
            prop_assert_eq!(Cursor::decode(&text, "other"), Err(InvalidCursor::OtherList));
        }

        #[test]
        fn any_other_text_is_refused(text in ".*") {
            prop_assert!(Cursor::decode(&text, "list").is_err());
        }
    }

    #[test]
    fn a_time_out_of_range_is_refused() {
        let json = br#"{"v":2,"s":"list","t":-1}"#;
        let text = BASE64_URL_SAFE_NO_PAD.encode(json);
        assert_eq!(Cursor::decode(&text, "list"), Err(InvalidCursor::Malformed));
    }
}
