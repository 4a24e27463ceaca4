//! Collecting what comes to the followed files.

use std::collections::BTreeMap;
use std::time::Duration;

use progress_collector::{Collector, Trigger};
use shared::error::error_chain;
use shared::model::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, warn};

use crate::file_log_source::{FileLogSource, NewEvents};

/// How often files are looked at.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Collects what is new in the files of `source`, until it is dropped.
///
/// The source knows which time its new lines are of, also where they have stamps of long ago: just that window
/// is read, and nothing while nothing comes. A window that could not be collected is tried again.
pub(crate) async fn follow(collector: &Collector, source: FileLogSource) {
    let mut ticks = interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting: BTreeMap<String, NewEvents> = BTreeMap::new();
    loop {
        ticks.tick().await;
        let polled = source.clone();
        let found = tokio::task::spawn_blocking(move || polled.poll(Timestamp::now())).await;
        for found in found.unwrap_or_default() {
            waiting
                .entry(found.log_group.clone())
                .and_modify(|waiting| waiting.join(&found))
                .or_insert(found);
        }
        for (log_group, window) in std::mem::take(&mut waiting) {
            if !collect(collector, &window).await {
                waiting.insert(log_group, window);
            }
        }
    }
}

/// Collects a window; tells whether all of it was.
async fn collect(collector: &Collector, window: &NewEvents) -> bool {
    let backfill = Trigger::Backfill {
        log_group: window.log_group.clone(),
        start: window.earliest,
        end: window.latest,
    };
    match collector.handle(backfill, Timestamp::now(), None).await {
        Ok(summary) => summary.groups.iter().all(|group| match &group.error {
            None => group.complete,
            Some(reason) => {
                warn!(log_group = group.log_group, reason, "can't read a log");
                false
            }
        }),
        Err(failure) => {
            let log_group = &window.log_group;
            error!(log_group, error = error_chain(&failure), "can't collect");
            false
        }
    }
}
