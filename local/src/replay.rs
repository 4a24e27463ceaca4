//! Replays the bundled sample runs, as a log subscription would push them.

use std::time::Duration;

use shared::batch::Batch;
use shared::error::error_chain;
use shared::ingest::{Ingest, IngestCounts, Pace};
use shared::log_event::LogEvent;
use shared::model::{Project, ProjectId, ProjectStatus, Revision, Timestamp};
use shared::store::{ProjectStore, StoreError};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, warn};

use crate::samples::{SAMPLES, Sample};

/// The pause after all runs, before they start again.
const PAUSE: Duration = Duration::from_secs(12);

/// A line and when it is pushed.
#[derive(Debug, Clone, Copy)]
struct TimedLine {
    /// The time from the start of the replay.
    at: Duration,
    sample: &'static Sample,
    text: &'static str,
}

/// Replays the samples again and again. Never returns. Each replay is a new run of the same tasks.
pub(crate) async fn replay(ingest: &Ingest) {
    let lines = timed_lines();
    let mut events_pushed: u64 = 0;
    loop {
        let start = Instant::now();
        for line in &lines {
            sleep_until(start + line.at).await;
            events_pushed += 1;
            push(ingest, line, events_pushed).await;
        }
        sleep(PAUSE).await;
    }
}

/// Creates the project of the sample deploys, if it does not exist.
pub(crate) async fn create_project(projects: &dyn ProjectStore) {
    let Ok(project_id) = "sample-shop".parse::<ProjectId>() else {
        return;
    };
    let now = Timestamp::now();
    let project = Project {
        project_id,
        project_name: "Sample shop".to_owned(),
        description: Some("Bundled sample runs, replayed again and again".to_owned()),
        status: ProjectStatus::Active,
        owner: None,
        match_prefixes: vec!["Shop".to_owned()],
        revision: Revision::default().next(),
        metrics: Default::default(),
        created_at: now,
        updated_at: now,
    };
    match projects.create(&project).await {
        Ok(()) | Err(StoreError::Conflict(_)) => {}
        Err(failure) => warn!(
            error = error_chain(&failure),
            "can't create the sample project"
        ),
    }
}

/// The lines of all samples, in the order they are pushed.
fn timed_lines() -> Vec<TimedLine> {
    let mut lines: Vec<_> = SAMPLES.iter().flat_map(lines_of).collect();
    lines.sort_by_key(|line| line.at);
    lines
}

/// The lines of a sample, spread over its duration.
fn lines_of(sample: &'static Sample) -> impl Iterator<Item = TimedLine> {
    let lines: Vec<_> = sample
        .text
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    let total: u32 = lines.iter().copied().map(pause_after).sum();
    let unit = sample.duration / total.max(1);
    let mut at = sample.start;
    lines.into_iter().map(move |text| {
        let line = TimedLine { at, sample, text };
        at += unit * pause_after(text);
        line
    })
}

/// The pause after a line, as a multiple of the shortest pause of its sample. It is longer after a step: resources
/// start one right after the other, and each takes some time.
fn pause_after(line: &str) -> u32 {
    let is_step = ["COMPLETE ", "Step ", "\"running\""]
        .iter()
        .any(|part| line.contains(part));
    if is_step { 4 } else { 1 }
}

/// Pushes a line as the log event with this number.
async fn push(ingest: &Ingest, line: &TimedLine, number: u64) {
    let now = Timestamp::now();
    let log_group = line.sample.format.file_log_group;
    let event = LogEvent {
        log_stream: line.sample.log_stream.to_owned(),
        timestamp: now,
        ingested_at: now,
        event_id: format!("{number:038}"),
        message: line.text.to_owned(),
    };
    let mut batch = Batch::default();
    batch.add(line.sample.format, log_group, &event);
    let mut counts = IngestCounts::default();
    let saved = ingest.save(&mut batch, Pace::ALWAYS, now, &mut counts);
    if let Err(failure) = saved.await {
        error!(error = error_chain(&failure), "can't save a sample line");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_comes_within_two_seconds_and_the_last_line_within_ninety() {
        let lines = timed_lines();
        let is_first_step = |line: &&TimedLine| line.text.contains("Step 1/");
        let first = lines.iter().find(is_first_step).unwrap();
        assert!(first.at < Duration::from_secs(2), "{first:?}");
        let last = lines.last().unwrap().at;
        let range = Duration::from_secs(50)..Duration::from_secs(90);
        assert!(range.contains(&last), "{last:?}");
    }
}
