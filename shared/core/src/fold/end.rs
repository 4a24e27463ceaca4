//! How a run or a stack ended, and how strong the evidence is.

use serde::{Deserialize, Serialize};

use super::LineKey;
use crate::log_parser::Outcome;
use crate::model::TaskStatus;

/// An outcome. Of two that agree, the greater one says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    Completed,
    Unchanged,
    Destroyed,
    Failed,
    RolledBack,
    Cancelled,
    /// Nothing tells how it went.
    Ended,
}

/// The strength of the evidence of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strength {
    /// The last lines of a log that nothing follows.
    LastLines,
    /// Evidence about a part: an event row of a stack, or a tool's summary of one of several hosts.
    Part,
    /// The sum of a tool, which may be one of several in the run.
    Tool,
    /// A line about the run itself.
    Owner,
    /// The exit code of the command, or what the platform says.
    Exit,
}

/// An end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// The first evidence of this outcome.
    pub(super) at: LineKey,
    pub(super) ending: Ending,
    pub(super) strength: Strength,
}

impl Strength {
    /// Which evidence replaces which: that of a higher rank. A line about the run does not replace
    /// the sum of a tool, because a tool may be the whole run.
    fn rank(self) -> u8 {
        match self {
            Self::LastLines => 0,
            Self::Part => 1,
            Self::Tool | Self::Owner => 2,
            Self::Exit => 3,
        }
    }
}

impl Ending {
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::RolledBack)
    }

    pub(super) fn status(self) -> TaskStatus {
        match self {
            Self::Completed | Self::Unchanged | Self::Destroyed => TaskStatus::Completed,
            Self::Failed | Self::RolledBack => TaskStatus::Failed,
            Self::Cancelled => TaskStatus::Cancelled,
            Self::Ended => TaskStatus::Ended,
        }
    }
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Completed,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Destroyed => Self::Destroyed,
            Outcome::Failed => Self::Failed,
            Outcome::RolledBack => Self::RolledBack,
        }
    }
}

impl End {
    /// Whether evidence of the same strength tells of another outcome.
    pub(super) fn differs(&self, ending: Ending, strength: Strength) -> bool {
        self.strength.rank() == strength.rank() && self.ending.status() != ending.status()
    }

    /// Adds the evidence `new` to what is known. Returns whether it replaces another outcome.
    pub(super) fn put(known: &mut Option<Self>, new: Self) -> bool {
        match known {
            Some(known) if known.ending.status() == new.ending.status() => {
                known.ending = known.ending.max(new.ending);
                known.strength = known.strength.max(new.strength);
                false
            }
            Some(known) if new.strength.rank() < known.strength.rank() => false,
            known => known.replace(new).is_some(),
        }
    }
}
