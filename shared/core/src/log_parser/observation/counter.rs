//! Counters.

use serde::{Deserialize, Serialize};

/// A counter as printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counter {
    /// The number of steps done. It may exceed the total.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// The total number of steps. CloudFormation only estimates it.
    #[serde(rename = "of", default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The percentage, if one is printed (0 to 100).
    #[serde(rename = "pct", default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<u8>,
}

impl Counter {
    /// Whether all steps are done.
    pub(in crate::log_parser) fn is_full(&self) -> bool {
        match (self.current, self.total) {
            (Some(current), Some(total)) => current >= total,
            _ => self.percentage == Some(100),
        }
    }
}

/// The kind of a counter. Of several counters in one log, the one with the greatest kind is the
/// outer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterKind {
    /// A counter of which no word says that it is one, but which has moved as one does.
    Moved,
    /// A percentage without a count: `45%`.
    Percent,
    /// A bar that restarts in each step, such as the bar of one epoch: `178/178 [=====]`.
    InnerBar,
    /// A bar with a count: tqdm, phases of git, stages of Spark.
    Bar,
    /// A named counter of small things: `item 3/10`, `batch 1/3`, `file 2 of 7`.
    Item,
    /// A counter in brackets: `[3/10]`.
    Bracket,
    /// The lines of a to-do list in text: `☒ Read`, `- [ ] Write`.
    Checklist,
    /// A named step: `Step 3/10`.
    Step,
    /// A named large step: `Epoch 1/250`, `Task 3/5`, `Phase 2/3`, `Stage 1/4`.
    Phase,
    /// A JSON report of an agent.
    Report,
}
