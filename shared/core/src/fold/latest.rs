//! The latest of several values.

use serde::{Deserialize, Serialize};

use super::LineKey;

/// A value and where it was said. Of two the later stays; of two in one place the greater, so that the
/// order of arrival can't matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latest<T> {
    pub(super) at: LineKey,
    pub(super) value: T,
}

impl<T: Ord> Latest<T> {
    pub(super) fn new(at: LineKey, value: T) -> Self {
        Self { at, value }
    }

    /// Keeps the later of what `held` has and `offered`.
    pub(super) fn put(held: &mut Option<Self>, offered: Self) {
        match held {
            Some(held) if (held.at, &held.value) >= (offered.at, &offered.value) => {}
            _ => *held = Some(offered),
        }
    }

    /// [`Self::put`] of a text, which is copied only if it stays.
    pub(super) fn put_text(held: &mut Option<Latest<String>>, at: LineKey, text: &str) {
        match held {
            Some(held) if (held.at, held.value.as_str()) >= (at, text) => {}
            Some(held) => {
                held.at = at;
                text.clone_into(&mut held.value);
            }
            None => *held = Some(Latest::new(at, text.to_owned())),
        }
    }

    /// Keeps the later of two that may be absent.
    pub(super) fn merge(held: &mut Option<Self>, other: Option<&Self>)
    where
        T: Clone,
    {
        if let Some(other) = other {
            Self::put(held, other.clone());
        }
    }
}
