//! Cursors: where the next page of a list begins.
//!
//! To clients a cursor is opaque. It is JSON in base64url; its version lets its form change while cursors
//! of the old form are still on their way.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared::model::{TaskId, Timestamp};

/// The form of the cursors that are made.
const VERSION: u8 = 1;
/// No cursor of ours is longer.
const MAX_LENGTH: usize = 1024;

/// A text that is no cursor of ours, or one of another list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidCursor {
    #[error("must be a cursor that this API has given")]
    Malformed,
    #[error("must be used with the same filters as the page that gave it")]
    OtherList,
}

/// The last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// When it was changed.
    pub(crate) at: Timestamp,
    /// Which task it is, in a list of tasks.
    pub(crate) task_id: Option<TaskId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    v: u8,
    /// Which list it is of.
    s: String,
    /// Milliseconds since 1970.
    t: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<TaskId>,
}

impl Cursor {
    /// The cursor as text, bound to a list: `scope` is a text that only this list has.
    pub(crate) fn encode(&self, scope: &str) -> String {
        let json = serde_json::to_vec(&Encoded {
            v: VERSION,
            s: scope.to_owned(),
            t: self.at.as_millis(),
            id: self.task_id.clone(),
        });
        BASE64_URL_SAFE_NO_PAD.encode(json.expect("a cursor has string keys and plain values"))
    }

    /// Reads a cursor of the list `scope`.
    pub(crate) fn decode(text: &str, scope: &str) -> Result<Self, InvalidCursor> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidCursor::Malformed);
        }
        let json = BASE64_URL_SAFE_NO_PAD.decode(text);
        let json = json.map_err(|_| InvalidCursor::Malformed)?;
        let encoded: Encoded =
            serde_json::from_slice(&json).map_err(|_| InvalidCursor::Malformed)?;
        let at = Timestamp::from_millis(encoded.t);
        if encoded.v != VERSION || at.as_millis() != encoded.t {
            return Err(InvalidCursor::Malformed);
        }
        if encoded.s != scope {
            return Err(InvalidCursor::OtherList);
        }
        Ok(Self {
            at,
            task_id: encoded.id,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_cursor() -> impl Strategy<Value = Cursor> {
        let task_id = proptest::option::of("[A-Za-z0-9._:-]{1,128}");
        (0_i64..253_402_300_800_000, task_id).prop_map(|(ms, task_id)| Cursor {
            at: Timestamp::from_millis(ms),
            task_id: task_id.map(|id| id.parse().unwrap()),
        })
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was(cursor in any_cursor(), scope in "[a-z0-9?&=,._:-]{0,400}") {
            let text = cursor.encode(&scope);
            prop_assert_eq!(Cursor::decode(&text, &scope), Ok(cursor));
        }

        #[test]
        fn a_cursor_serves_its_own_list_alone(cursor in any_cursor()) {
            let text = cursor.encode("one");
            prop_assert_eq!(Cursor::decode(&text, "other"), Err(InvalidCursor::OtherList));
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".*") {
            prop_assert!(Cursor::decode(&text, "list").is_err());
        }
    }

    #[test]
    fn a_moment_out_of_range_is_no_cursor() {
        let json = br#"{"v":1,"s":"list","t":-1}"#;
        let text = BASE64_URL_SAFE_NO_PAD.encode(json);
        assert_eq!(Cursor::decode(&text, "list"), Err(InvalidCursor::Malformed));
    }
}
