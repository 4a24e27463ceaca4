//! Cursors: where the next page of a list begins.
//!
//! A cursor is opaque to clients. It is JSON in base64url. Its version lets the format change while
//! clients still have cursors of the old format.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared::model::{RunId, Timestamp};

use crate::digest::digest;

/// The version of the format.
const VERSION: u8 = 3;
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

/// The last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cursor {
    /// A run, in a list of tasks.
    #[serde(rename = "run")]
    Run(RunId),
    /// The time of an entry, in a list that is ordered by time.
    #[serde(rename = "at")]
    At(Timestamp),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    v: u8,
    /// A digest of the filters of the list, which may be long.
    list: String,
    last: Cursor,
}

impl Cursor {
    /// Encodes the cursor. `cursor_filter` is a text that identifies the list with its filters.
    pub(crate) fn encode(&self, cursor_filter: &str) -> String {
        let json = serde_json::to_vec(&Encoded {
            v: VERSION,
            list: digest(&[cursor_filter.as_bytes()]),
            last: self.clone(),
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
        if encoded.v != VERSION {
            return Err(InvalidCursor::Malformed);
        }
        if encoded.list != digest(&[cursor_filter.as_bytes()]) {
            return Err(InvalidCursor::OtherList);
        }
        Ok(encoded.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_cursor() -> impl Strategy<Value = Cursor> {
        let time = || (0_i64..253_402_300_800_000).prop_map(Timestamp::from_millis);
        let run_id =
            ("[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", time()).prop_map(|(task_id, run)| RunId {
                task_id: task_id.parse().unwrap(),
                run,
            });
        prop_oneof![run_id.prop_map(Cursor::Run), time().prop_map(Cursor::At)]
    }

    proptest! {
        #[test]
        fn a_cursor_survives_encoding_and_decoding(cursor in any_cursor(), filter in ".{0,1000}") {
            let text = cursor.encode(&filter);
            prop_assert!(text.len() <= MAX_LENGTH);
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
}
