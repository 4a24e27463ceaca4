//! What a ledger says of an agent's run.

use std::collections::BTreeMap;

use super::ledger::Ledger;
use super::marks::Ending;
use super::report::{Report, shown};
use super::track::Track;
use crate::model::TaskStatus;

/// The report of an agent, or of a run of CDK that failed before it named a stack.
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
        progress: shown(track.progress_of(&run, true), status),
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

/// Where a run stands that has not ended: as it last said, unless it has moved since.
fn open_status(track: &Track, run: &super::marks::Run) -> TaskStatus {
    let said = track
        .status
        .as_ref()
        .filter(|said| Some(said.at) >= run.start);
    let moved = track
        .counters
        .values()
        .map(super::counter::CounterTrack::at)
        .max();
    match said {
        Some(said) if Some(said.at) >= moved => said.value,
        _ => TaskStatus::Running,
    }
}
