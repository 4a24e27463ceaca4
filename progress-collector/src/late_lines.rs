//! Looks for lines that arrived later than the overlap, for which a sweep comes too late.
//!
//! CloudWatch Logs can't filter by time of arrival, so finding them means reading the hours before
//! the sweep's window again. Once an hour, a sweep does that for each log group: backward hour by
//! hour, with a limit of pages. It keeps no position: a look that is cut short begins anew an hour
//! later, and the summary says how far it came.

use std::time::Duration;

use shared::checkpoint::Checkpoint;
use shared::model::Timestamp;
use shared::store::StoreError;

use crate::collector::Collector;
use crate::config::LogGroup;
use crate::invocation::Invocation;
use crate::summary::GroupSummary;
use crate::window::{Window, WindowEnd};

/// How often each log group is looked at.
const EVERY: Duration = Duration::from_secs(3_600);
/// How far a look goes back. Lines are found that arrive up to five hours late: a look that comes
/// within an hour then still has them in its reach.
const REACH: Duration = Duration::from_secs(6 * 3_600);
/// The windows in which a look goes back, the latest first: most late lines are not very late.
const STEP: Duration = Duration::from_secs(3_600);
/// The most pages of a look. A page has at most 10,000 log events.
const MAX_PAGES: u64 = 20;

/// Whether a look is due: since the last complete sweep an hour of this log group has begun. The
/// hours of log groups begin at different times, so that not all are looked at at once. The first
/// sweep of a log group goes back by itself.
pub(crate) fn is_due(
    collector: &Collector,
    group: &LogGroup,
    stored: Option<&Checkpoint>,
    now: Timestamp,
) -> bool {
    let groups = &collector.config.groups;
    let place = groups.iter().position(|other| other.name == group.name);
    let every = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
    let share = |part: usize| i64::try_from(part).unwrap_or(0);
    let offset = every * share(place.unwrap_or(0)) / share(groups.len()).max(1);
    let hour = |moment: Timestamp| (moment.as_millis() - offset).div_euclid(every);
    stored.is_some_and(|stored| hour(stored.read_up_to) < hour(now))
}

/// Reads the hours before `end`, and saves the tasks that their lines report. Adds to the summary
/// what it did, and how far back everything was read. A log group that can't be read is no error
/// here: the sweep's own window was read.
///
/// # Errors
///
/// A [`StoreError`] if tasks could not be saved.
pub(crate) async fn look(
    collector: &Collector,
    group: &LogGroup,
    mut end: Timestamp,
    invocation: Invocation,
    summary: &mut GroupSummary,
) -> Result<(), StoreError> {
    let oldest = invocation.now.before(REACH);
    let mut pages_left = MAX_PAGES;
    while oldest < end && pages_left > 0 {
        let window = Window {
            group,
            start: end.before(STEP).max(oldest),
            end,
            page_token: None,
            read_up_to: None,
            max_pages: Some(pages_left),
        };
        let mut looked = GroupSummary::of(&group.name);
        let how = window.read(collector, invocation, &mut looked).await?;
        summary.add(&looked);
        if how != WindowEnd::Complete {
            break;
        }
        pages_left = pages_left.saturating_sub(looked.pages);
        end = window.start;
        summary.read_from = Some(window.start);
    }
    Ok(())
}
