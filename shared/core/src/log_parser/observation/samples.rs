//! Number pairs that may be counters.

use serde::{Deserialize, Serialize};

use super::agent::MAX_ITEM_BYTES;
use crate::log_parser::text::{clip_some, head};

/// The most samples of a line.
pub const MAX_SAMPLES: usize = 3;

/// The number pairs of a line of which the words do not say that they are progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// The pairs, at most [`MAX_SAMPLES`], each with another template. There is none if a line had some
    /// while it was shorter.
    #[serde(rename = "s")]
    pub samples: Vec<Sample>,
    /// The line as a message to show, at most [`MAX_ITEM_BYTES`](super::MAX_ITEM_BYTES) bytes.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Samples {
    /// The samples in `line`.
    pub(in crate::log_parser) fn new(samples: Vec<Sample>, line: &str) -> Self {
        let message = clip_some(line);
        let message = message.map(|message| head(&message, MAX_ITEM_BYTES).trim_end().to_owned());
        Self { samples, message }
    }
}

/// A number pair, or a percentage, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// A hash of the total and of the line without its numbers.
    #[serde(rename = "t")]
    pub template: u64,
    /// The first number. It is not above the total.
    #[serde(rename = "n")]
    pub current: u64,
    /// The second number: 100, if it is a percentage.
    #[serde(rename = "of")]
    pub total: u64,
    /// Whether it is a percentage.
    #[serde(rename = "pct", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_share: bool,
}
