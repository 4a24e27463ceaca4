//! The bundled sample runs, played as a log subscription would push them.

use std::time::Duration;

use progress_collector::{Collector, PushedEvents, Trigger};
use shared::error::error_chain;
use shared::log_event::LogEvent;
use shared::model::{Project, ProjectId, ProjectStatus, Revision, Timestamp};
use shared::store::{ProjectStore, StoreError};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, warn};

use crate::samples::{SAMPLES, Sample};

/// The rest between the end of all runs and the next.
const REST: Duration = Duration::from_secs(12);

/// A line and when it comes.
#[derive(Debug, Clone, Copy)]
struct Cue {
    at: Duration,
    sample: &'static Sample,
    line: &'static str,
}

/// Plays the samples again and again, until it is dropped. Each time is a new run of the same tasks.
pub(crate) async fn replay(collector: &Collector) {
    let cues = cues();
    let mut events_pushed: u64 = 0;
    loop {
        let start = Instant::now();
        for cue in &cues {
            sleep_until(start + cue.at).await;
            events_pushed += 1;
            push(collector, cue, events_pushed).await;
        }
        sleep(REST).await;
    }
}

/// Makes the project that the sample deploys belong to, unless it is there.
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
        Err(failure) => warn!(error = error_chain(&failure), "went on without a project"),
    }
}

/// All lines in the order they come.
fn cues() -> Vec<Cue> {
    let mut cues: Vec<_> = SAMPLES.iter().flat_map(cues_of).collect();
    cues.sort_by_key(|cue| cue.at);
    cues
}

/// The lines of a sample, spread over the time it takes.
fn cues_of(sample: &'static Sample) -> impl Iterator<Item = Cue> {
    let lines: Vec<_> = sample
        .text
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    let all_shares: u32 = lines.iter().copied().map(shares_of).sum();
    let share = sample.lasts / all_shares.max(1);
    let mut at = sample.starts_after;
    lines.into_iter().map(move |line| {
        let cue = Cue { at, sample, line };
        at += share * shares_of(line);
        cue
    })
}

/// How long it takes after a line until the next one, in shares: things that begin do so one right after the
/// other, and then take their time.
fn shares_of(line: &str) -> u32 {
    let is_step = ["COMPLETE ", "Step ", "\"running\""]
        .iter()
        .any(|mark| line.contains(mark));
    if is_step { 4 } else { 1 }
}

async fn push(collector: &Collector, cue: &Cue, number: u64) {
    let now = Timestamp::now();
    let log_group = cue.sample.format.file_log_group;
    let event = LogEvent {
        log_stream: cue.sample.log_stream.to_owned(),
        timestamp: now,
        event_id: format!("{number:038}"),
        message: cue.line.to_owned(),
    };
    let pushed = PushedEvents {
        log_group: log_group.to_owned(),
        events: vec![event],
    };
    if let Err(failure) = collector.handle(Trigger::Push(pushed), now, None).await {
        error!(error = error_chain(&failure), "can't collect");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_moves_within_two_seconds_and_all_ends_within_ninety() {
        let cues = cues();
        let moves = |cue: &&Cue| cue.line.contains("Step 1/");
        let first = cues.iter().find(moves).unwrap();
        assert!(first.at < Duration::from_secs(2), "{first:?}");
        let last = cues.last().unwrap().at;
        let range = Duration::from_secs(50)..Duration::from_secs(90);
        assert!(range.contains(&last), "{last:?}");
    }
}
