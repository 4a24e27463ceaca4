//! Observations in, one state a task out.

use serde::{Deserialize, Serialize};

/// All that a task's logs have said, as far as it can still matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {}
