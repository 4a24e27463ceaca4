//! The table.

use std::time::Duration;

use super::fault::{Fault, Service};
use super::verdict::Verdict;
use crate::statistics::millis;
use crate::table::Table;

/// The table of faults and what came of each.
pub fn table(verdicts: &[(Fault, Verdict)]) -> String {
    let mut table = Table::new(&[
        "fault",
        "requests",
        "wrong answers",
        "lost or twice",
        "failed",
        "refused for the moment",
        "added to reads, p99 ms",
        "added to writes, p99 ms",
        "wait for Redis, p99 ms",
        "once known, median ms",
        "used again after, s",
        "budgets",
    ]);
    for (fault, verdict) in verdicts {
        let of_redis = |text: String| match fault.service() {
            Service::Redis => text,
            Service::DynamoDb => String::new(),
        };
        table.row(&[
            &fault.name(),
            &verdict.requests.to_string(),
            &verdict.wrong.to_string(),
            &verdict.lost.to_string(),
            &verdict.failed.to_string(),
            &verdict.refused.to_string(),
            &format!("{:.0}", verdict.added_to_reads),
            &format!("{:.0}", verdict.added_to_writes),
            &of_redis(millis(verdict.wait)),
            &of_redis(millis(verdict.wait_once_known)),
            &verdict
                .recovered
                .map_or_else(|| "never".to_owned(), seconds),
            if verdict.broken.is_empty() {
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
