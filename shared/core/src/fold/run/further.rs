//! The stacks of a run beyond those that have details.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::end_line::EndLine;
use crate::log_parser::CdkObservation;

/// The most of them that are known to be open at once. Starts of further ones are ignored.
const MOST_OPEN: usize = 1_000;

/// Which of them are open and how many have ended, so that a run of any number of stacks ends, and
/// ends rightly. Only lines that start or end a stack count: they print the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FurtherStacks {
    /// A hash of the name of each that has not ended.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    open: BTreeSet<u64>,
    ended: usize,
    failed: usize,
}

impl FurtherStacks {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a line about one of them.
    pub(super) fn see(&mut self, line: &CdkObservation) {
        if let CdkObservation::Start { stack, .. } = line
            && self.open.len() < MOST_OPEN
        {
            self.open.insert(hash_of(stack));
        } else if let Some(end) = EndLine::of(line) {
            self.open.remove(&hash_of(end.name));
            self.ended = self.ended.saturating_add(1);
            self.failed += usize::from(end.ending.is_failure());
        }
    }

    /// Whether a line has started the stack of this name, and none has ended it.
    pub(super) fn is_open(&self, name: &str) -> bool {
        self.open.contains(&hash_of(name))
    }

    pub(super) fn count(&self) -> usize {
        self.ended.saturating_add(self.open.len())
    }

    pub(super) fn ended(&self) -> usize {
        self.ended
    }

    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn have_failed(&self) -> bool {
        self.failed > 0
    }
}

fn hash_of(name: &str) -> u64 {
    let uuid = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes());
    uuid.as_u64_pair().0
}
