//! Derives the report of an agent.

use std::collections::BTreeMap;

use super::ledger::Ledger;
use super::marks::Ending;
use super::progress::capped;
use super::report::Report;
use super::track::Track;
use crate::model::TaskStatus;

/// The report of an agent, or of a CDK run that failed before it named a stack.
pub(super) fn report(ledger: &Ledger) -> Option<Report> {
    let track = ledger.whole.as_ref()?;
    let run = track.latest_run();
    let status = match run.end {
        Some((_, Ending::Cancelled)) => TaskStatus::Cancelled,
        Some((_, ending)) if ending.is_failure() => TaskStatus::Failed,
        Some(_) => TaskStatus::Completed,
        None => open_status(track, &run),
    };
    let message = Track::in_run(&run, track.message.as_ref());
    let end_message = Track::in_run(&run, track.end_message.as_ref());
    let start = track.start_of(&run);
    Some(Report {
        first: track.first,
        last: track.last,
        start,
        run: run.renewed.unwrap_or(start),
        end: run.end.map(|(at, _)| at),
        status,
        progress: capped(track.progress_of(&run, true), status),
        phase: Track::in_run(&run, track.phase.as_ref()),
        current_step: Track::in_run(&run, track.current_step.as_ref()),
        message: if status == TaskStatus::Failed {
            end_message.or(message)
        } else {
            message
        },
        parts: BTreeMap::new(),
        title: None,
    })
}

/// The status of a run that has not ended: the last reported one, or running if a counter came
/// later.
fn open_status(track: &Track, run: &super::marks::Run) -> TaskStatus {
    let reported = track
        .status
        .as_ref()
        .filter(|reported| Some(reported.at) >= run.start);
    let moved = track
        .counters
        .values()
        .map(super::counter::CounterTrack::at)
        .max();
    match reported {
        Some(reported) if Some(reported.at) >= moved => reported.value,
        _ => TaskStatus::Running,
    }
}
