//! A register that keeps the latest of several values.

use serde::{Deserialize, Serialize};

use super::LineKey;

/// A last-write-wins register: a value and the key of its line.
///
/// The value with the later key stays. Of two values with the same key the greater one stays, so
/// that the order of arrival does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastWriteWins<T> {
    pub(super) at: LineKey,
    pub(super) value: T,
}

impl<T: Ord> LastWriteWins<T> {
    pub(super) fn new(at: LineKey, value: T) -> Self {
        Self { at, value }
    }

    /// Keeps the later of `held` and `offered`.
    pub(super) fn put(held: &mut Option<Self>, offered: Self) {
        match held {
            Some(held) if (held.at, &held.value) >= (offered.at, &offered.value) => {}
            _ => *held = Some(offered),
        }
    }

    /// [`Self::put`] for a text, which is copied only if it is kept.
    pub(super) fn put_text(held: &mut Option<LastWriteWins<String>>, at: LineKey, text: &str) {
        match held {
            Some(held) if (held.at, held.value.as_str()) >= (at, text) => {}
            Some(held) => {
                held.at = at;
                text.clone_into(&mut held.value);
            }
            None => *held = Some(LastWriteWins::new(at, text.to_owned())),
        }
    }

    /// Keeps the later of `held` and `other`.
    pub(super) fn merge(held: &mut Option<Self>, other: Option<&Self>)
    where
        T: Clone,
    {
        if let Some(other) = other {
            Self::put(held, other.clone());
        }
    }
}
