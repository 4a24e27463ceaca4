//! The key of a log line.

use serde::{Deserialize, Serialize};

use crate::log_event::{LogEvent, MOST_AHEAD_MS};
use crate::model::Timestamp;

/// Event ids of sessions are above all other ones.
const FIRST_OF_SESSIONS: u128 = 10_u128.pow(38);
/// How many events a session may have.
const ORDERS_OF_SESSION: u128 = 10_u128.pow(20);
/// How many events a request of a session may have.
const NUMBERS_OF_REQUEST: u128 = 10_u128.pow(10);
/// The number of different keys of sessions.
const SESSIONS: u64 = 10_u64.pow(18);

/// Identifies a session among those of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(u64);

impl SessionKey {
    /// The key of the session with this hash.
    pub fn of_hash(hash: u64) -> Self {
        Self(hash % SESSIONS)
    }

    /// The id of an event of the session. Events of one time have the order of `request` and then of
    /// `number`.
    pub fn event_id(self, request: u32, number: u32) -> String {
        format!("session:{:018}{request:010}{number:010}", self.0)
    }
}

/// The key of a log line. Keys are ordered by time, then by event id, then by line within the event.
///
/// A line has the same key each time it is read, whoever reads it, unless its time is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(i64, u128, i64)", into = "(i64, u128, i64)")]
pub struct LineKey {
    time: Timestamp,
    order: u128,
    line: u32,
    is_bounded: bool,
}

impl LineKey {
    /// The key of line number `line` (from 0) of `event`.
    ///
    /// Clocks lie: an event whose time is more than a minute after its ingestion has the time of
    /// its ingestion instead. That time is bounded. Two readings may know two times of ingestion, so
    /// the same line may have two keys, with one `line_id`.
    pub fn of(event: &LogEvent, line: u32) -> Self {
        let is_bounded = event.timestamp.millis_since(event.ingested_at) > MOST_AHEAD_MS;
        Self {
            time: match is_bounded {
                true => event.ingested_at,
                false => event.timestamp,
            },
            order: order_of(&event.event_id),
            line,
            is_bounded,
        }
    }

    /// A key for something that is not in a log. It sorts after all lines of its time.
    pub fn outside_logs(time: Timestamp) -> Self {
        Self {
            time,
            order: u128::MAX,
            line: 0,
            is_bounded: false,
        }
    }

    /// The key of the end of a log whose last line is at `time`. It sorts after all lines and edits of
    /// that time.
    pub fn after_lines(time: Timestamp) -> Self {
        Self::outside_logs(time).with_line(u32::MAX)
    }

    /// The key of the end of `session`, whose last line is at `time`. It sorts after all lines of the
    /// session at that time.
    pub(super) fn after_lines_of(session: SessionKey, time: Timestamp) -> Self {
        Self {
            time,
            order: FIRST_OF_SESSIONS
                + u128::from(session.0) * ORDERS_OF_SESSION
                + (ORDERS_OF_SESSION - 1),
            line: u32::MAX,
            is_bounded: false,
        }
    }

    /// A key that sorts directly before the first line of the event.
    #[must_use]
    pub(crate) fn just_before(self) -> Self {
        Self {
            order: self.order.saturating_sub(1),
            line: 0,
            ..self
        }
    }

    /// The key of another line of the same event.
    #[must_use]
    pub fn with_line(self, line: u32) -> Self {
        Self { line, ..self }
    }

    /// The key of the same line with another time.
    #[must_use]
    pub(crate) fn at_time(self, time: Timestamp) -> Self {
        Self { time, ..self }
    }

    /// The time.
    pub fn time(self) -> Timestamp {
        self.time
    }

    /// The session that the line belongs to; `None` if it belongs to none.
    pub fn session(self) -> Option<SessionKey> {
        let order = self.order.checked_sub(FIRST_OF_SESSIONS)?;
        let key = u64::try_from(order / ORDERS_OF_SESSION).ok()?;
        (key < SESSIONS).then_some(SessionKey(key))
    }

    /// The session that the line belongs to, and the number of its request; `None` if it belongs to none.
    pub(super) fn request(self) -> Option<(SessionKey, u32)> {
        let session = self.session()?;
        let number = (self.order - FIRST_OF_SESSIONS) % ORDERS_OF_SESSION / NUMBERS_OF_REQUEST;
        Some((session, u32::try_from(number).ok()?))
    }

    /// Whether the time is that of the ingestion, because the event's own lies in the future.
    pub(super) fn is_bounded(self) -> bool {
        self.is_bounded
    }

    /// Identifies the line: the same for all its readings.
    pub(super) fn line_id(self) -> (u128, u32) {
        (self.order, self.line)
    }
}

/// Converts an event id to a number. The order of numbers is the order of events in one
/// millisecond.
///
/// Event ids of CloudWatch are decimal numbers with 56 digits that start with the time. Ids of one
/// millisecond differ only in the last 38 digits. Ids of sessions have 38 digits. Ids of another form
/// get a stable hash.
fn order_of(event_id: &str) -> u128 {
    const DIGITS: usize = 38; // the most digits that always fit
    let (first, digits) = match event_id.strip_prefix("session:") {
        Some(digits) => (FIRST_OF_SESSIONS, digits),
        None => (0, event_id),
    };
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let skipped = digits.len().saturating_sub(DIGITS);
        let digits = digits.get(skipped..).unwrap_or_default();
        // Two numbers of 19 digits are parsed faster than one of 38.
        let (high, low) = digits.split_at(digits.len().saturating_sub(DIGITS / 2));
        let number = |digits: &str| digits.parse::<u64>().map_or(0, u128::from);
        return first + number(high) * 10_u128.pow(19) + number(low);
    }
    // FNV-1a with 128 bits: stable across versions of Rust, unlike the standard library's hashes.
    let hash = event_id.bytes().fold(
        0x6c62_272e_07bb_0142_62b8_2175_6295_c58d,
        |hash: u128, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        },
    );
    hash % FIRST_OF_SESSIONS
}

/// The number of a line whose time is bounded is stored as a negative number, less one.
impl From<(i64, u128, i64)> for LineKey {
    fn from((time_ms, order, line): (i64, u128, i64)) -> Self {
        let number = if line < 0 {
            line.saturating_add(1).saturating_neg()
        } else {
            line
        };
        Self {
            time: Timestamp::from_millis(time_ms),
            order,
            line: u32::try_from(number).unwrap_or(u32::MAX),
            is_bounded: line < 0,
        }
    }
}

impl From<LineKey> for (i64, u128, i64) {
    fn from(key: LineKey) -> Self {
        let line = i64::from(key.line);
        let line = if key.is_bounded { -line - 1 } else { line };
        (key.time.as_millis(), key.order, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time_ms: i64, event_id: &str, line: u32) -> LineKey {
        let event = LogEvent {
            log_stream: String::new(),
            timestamp: Timestamp::from_millis(time_ms),
            ingested_at: Timestamp::from_millis(1_000),
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
    fn a_time_is_at_most_a_minute_after_the_ingestion() {
        assert_eq!(at(61_000, "e", 0).time().as_millis(), 61_000);
        let late = at(61_001, "e", 7);
        assert_eq!(late.time().as_millis(), 1_000);
        assert!(late.line_id() == at(500, "e", 7).line_id() && late.is_bounded());
        assert!(late.line_id() != at(500, "e", 8).line_id());
    }

    #[test]
    fn a_line_knows_its_session() {
        for hash in [0, 7, SESSIONS - 1] {
            let session = SessionKey::of_hash(hash);
            for id in [session.event_id(0, 0), session.event_id(u32::MAX, u32::MAX)] {
                assert_eq!(at(5, &id, 3).session(), Some(session), "{id}");
                assert!(
                    at(5, &id, 3) < LineKey::after_lines_of(session, Timestamp::from_millis(5))
                );
            }
            let end = LineKey::after_lines_of(session, Timestamp::from_millis(5));
            assert_eq!(end.session(), Some(session));
            assert!(at(5, &session.event_id(1, 2), 0) < at(5, &session.event_id(2, 1), 0));
        }
        let longest = "9".repeat(56);
        for id in [
            "",
            "event-7",
            "session:x",
            "36901882904226173043714826274437829430",
            &longest,
        ] {
            assert_eq!(at(5, id, 0).session(), None, "{id}");
        }
        assert_eq!(LineKey::outside_logs(Timestamp::default()).session(), None);
    }

    #[test]
    fn a_key_survives_storage() {
        for key in [
            at(0, "", 0),
            at(5, "event-7", 3),
            at(1_000_000, "event-7", 0),
            at(1_000_000, "event-7", 3),
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
