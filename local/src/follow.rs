//! Collects new lines of the followed files.

use std::collections::BTreeMap;
use std::time::Duration;

use progress_collector::{Backfill, Collector};
use shared::error::error_chain;
use shared::model::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, warn};

use crate::file_log_source::{FileLogSource, NewEvents};

/// The time between two polls of the files.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The time between two searches for silent runs.
const SILENCE_INTERVAL: Duration = Duration::from_secs(10);

/// Collects new lines of the files of `source`, and ends runs that are silent for long. Never returns.
///
/// The source knows the times of its new lines, also where their time stamps are old. So only that window is read,
/// and nothing is read while no lines arrive. A window that can't be collected is tried again.
pub(crate) async fn follow(collector: &Collector, source: FileLogSource) {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut searched = Instant::now();
    let mut pending: BTreeMap<String, NewEvents> = BTreeMap::new();
    loop {
        ticks.tick().await;
        let polled = source.clone();
        let found = tokio::task::spawn_blocking(move || polled.poll(Timestamp::now())).await;
        for found in found.unwrap_or_default() {
            pending
                .entry(found.log_group.clone())
                .and_modify(|pending| pending.join(&found))
                .or_insert(found);
        }
        for (log_group, window) in std::mem::take(&mut pending) {
            if !collect(collector, &window).await {
                pending.insert(log_group, window);
            }
        }
        if pending.is_empty() && searched.elapsed() >= SILENCE_INTERVAL {
            searched = Instant::now();
            if let Err(failure) = collector.end_silent_runs(Timestamp::now(), None).await {
                error!(error = error_chain(&failure), "can't end silent runs");
            }
        }
    }
}

/// Collects a window. Returns whether all of it was collected.
async fn collect(collector: &Collector, window: &NewEvents) -> bool {
    let backfill = Backfill {
        log_group: window.log_group.clone(),
        start: window.earliest,
        end: window.latest,
    };
    match collector.handle(&backfill, Timestamp::now(), None).await {
        Ok(summary) => summary.groups.iter().all(|group| match &group.error {
            None => group.complete,
            Some(reason) => {
                warn!(log_group = group.log_group, reason, "can't read a log");
                false
            }
        }),
        Err(failure) => {
            let log_group = &window.log_group;
            error!(
                log_group,
                error = error_chain(&failure),
                "can't collect new log lines"
            );
            false
        }
    }
}
