//! The key of a log line.

use serde::{Deserialize, Serialize};

use crate::log_event::LogEvent;
use crate::model::Timestamp;

/// The key of a log line. Keys are ordered by event time, then by event id, then by line within the
/// event.
///
/// A line has the same key each time it is read, whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(i64, u128, u32)", into = "(i64, u128, u32)")]
pub struct LineKey {
    time: Timestamp,
    order: u128,
    line: u32,
}

impl LineKey {
    /// The key of line number `line` (from 0) of `event`.
    pub fn of(event: &LogEvent, line: u32) -> Self {
        Self {
            time: event.timestamp,
            order: order_of(&event.event_id),
            line,
        }
    }

    /// A key for something that is not in a log. It sorts after all lines of its time.
    pub fn outside_logs(time: Timestamp) -> Self {
        Self {
            time,
            order: u128::MAX,
            line: 0,
        }
    }

    /// The key of another line of the same event.
    #[must_use]
    pub fn with_line(self, line: u32) -> Self {
        Self { line, ..self }
    }

    /// The event time.
    pub fn time(self) -> Timestamp {
        self.time
    }
}

/// Converts an event id to a number. The order of numbers is the order of events in one
/// millisecond.
///
/// Event ids of CloudWatch are decimal numbers with 56 digits that start with the time. Ids of one
/// millisecond differ only in the last 38 digits. Ids of another form get a stable hash.
fn order_of(event_id: &str) -> u128 {
    const DIGITS: usize = 38; // the most digits that always fit
    if !event_id.is_empty() && event_id.bytes().all(|byte| byte.is_ascii_digit()) {
        let skipped = event_id.len().saturating_sub(DIGITS);
        let digits = event_id.get(skipped..).unwrap_or_default();
        // Two numbers of 19 digits are parsed faster than one of 38.
        let (high, low) = digits.split_at(digits.len().saturating_sub(DIGITS / 2));
        let number = |digits: &str| digits.parse::<u64>().map_or(0, u128::from);
        return number(high) * 10_u128.pow(19) + number(low);
    }
    // FNV-1a with 128 bits: stable across versions of Rust, unlike the standard library's hashes.
    event_id.bytes().fold(
        0x6c62_272e_07bb_0142_62b8_2175_6295_c58d,
        |hash: u128, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        },
    )
}

impl From<(i64, u128, u32)> for LineKey {
    fn from((time_ms, order, line): (i64, u128, u32)) -> Self {
        Self {
            time: Timestamp::from_millis(time_ms),
            order,
            line,
        }
    }
}

impl From<LineKey> for (i64, u128, u32) {
    fn from(key: LineKey) -> Self {
        (key.time.as_millis(), key.order, key.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time_ms: i64, event_id: &str, line: u32) -> LineKey {
        let event = LogEvent {
            log_stream: String::new(),
            timestamp: Timestamp::from_millis(time_ms),
            event_id: event_id.to_owned(),
            message: String::new(),
        };
        LineKey::of(&event, line)
    }

    #[test]
    fn lines_are_ordered_by_time_then_event_then_line() {
        let ids = [
            "36901882904226173043714826274437829430837624738402877440",
            "36901882904226173043714826274437829430837624738402877441",
        ];
        let ordered = [
            at(1, ids[1], 7),
            at(2, ids[0], 0),
            at(2, ids[0], 1),
            at(2, ids[1], 0),
        ];
        assert!(ordered.is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn a_key_survives_storage() {
        for key in [
            at(0, "", 0),
            at(5, "event-7", 3),
            LineKey::outside_logs(Timestamp::default()),
        ] {
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(
                serde_json::from_str::<LineKey>(&json).unwrap(),
                key,
                "{json}"
            );
        }
    }
}
