//! The printed table.

use std::time::Duration;

use super::fault::{Fault, Service};
use super::outcome::Outcome;
use crate::statistics::millis;
use crate::table::Table;

/// The table of faults and their outcomes.
pub fn table(outcomes: &[(Fault, Outcome)]) -> String {
    let mut table = Table::new(&[
        "fault",
        "requests",
        "wrong responses",
        "lost or repeated",
        "failed",
        "refused for the moment",
        "added to reads, p99 ms",
        "added to writes, p99 ms",
        "wait for Redis, p99 ms",
        "breaker open, median ms",
        "used again after, s",
        "promises",
    ]);
    for (fault, outcome) in outcomes {
        let of_redis = |text: String| match fault.service() {
            Service::Redis => text,
            Service::DynamoDb => String::new(),
        };
        table.row(&[
            &fault.name(),
            &outcome.requests.to_string(),
            &outcome.wrong.to_string(),
            &outcome.lost.to_string(),
            &outcome.failed.to_string(),
            &outcome.refused.to_string(),
            &format!("{:.0}", outcome.added_to_reads),
            &format!("{:.0}", outcome.added_to_writes),
            &of_redis(millis(outcome.wait)),
            &of_redis(millis(outcome.wait_while_open)),
            &outcome
                .recovered
                .map_or_else(|| "never".to_owned(), seconds),
            if outcome.broken.is_empty() {
                "kept"
            } else {
                "broken"
            },
        ]);
    }
    table.render()
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
