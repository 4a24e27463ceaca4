//! Sweep: a schedule lets the collector read every log group from its checkpoint.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value;
use shared::checkpoint::Checkpoint;
use shared::fault_point::FaultPoint;
use shared::model::Timestamp;
use shared::store::StoreError;
use tracing::info;

use crate::collector::{CollectError, Collector};
use crate::config::{CollectorConfig, LogGroup};
use crate::invocation::Invocation;
use crate::late_lines;
use crate::summary::{GroupSummary, Summary};
use crate::trigger::{InvalidTrigger, Trigger};
use crate::window::{Window, WindowEnd};

/// The age up to which a page token is used. CloudWatch Logs drops its page tokens after 24 hours
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>).
const MAX_PAGE_TOKEN_AGE: Duration = Duration::from_secs(23 * 3600);

/// How much time must be left to end one more silent run.
const TIME_TO_END_A_RUN: Duration = Duration::from_secs(3);

/// A request to read every log group from its checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep;

#[async_trait(?Send)]
impl Trigger for Sweep {
    fn expected() -> &'static str {
        "a schedule"
    }

    /// Matches the event of a schedule, and an empty object.
    fn matches(lambda_event: &Value) -> Result<Option<Self>, InvalidTrigger> {
        let Some(event) = lambda_event.as_object() else {
            return Ok(None);
        };
        let source = event.get("source").and_then(Value::as_str);
        let is_scheduled = matches!(source, Some("aws.events" | "aws.scheduler"));
        Ok((event.is_empty() || is_scheduled).then_some(Self))
    }

    /// Reads all log groups concurrently, and then ends the runs that have been silent for long. What
    /// one log group's lines report is saved even if another fails.
    async fn handle(
        &self,
        collector: &Collector,
        invocation: Invocation,
    ) -> Result<Summary, CollectError> {
        let groups = collector.config.groups.iter();
        let swept = groups.map(|group| sweep_group(collector, group, invocation));
        let swept = join_all(swept).await;
        let mut summary = Summary::new("sweep", swept.into_iter().collect::<Result<_, _>>()?);
        // A log that can't be read is not silent.
        if summary.groups.iter().all(|group| group.complete) {
            let last_moment = invocation.last_moment(TIME_TO_END_A_RUN);
            summary.runs_silent = collector
                .end_silent_runs(invocation.now, last_moment)
                .await?;
        }
        for group in &mut summary.groups {
            group.fallback_used = group.error.is_some();
            summary.fallback_used |= group.fallback_used;
        }
        Ok(summary)
    }
}

/// Reads a log group up to now. If an earlier sweep left a window unfinished, that window comes
/// first.
async fn sweep_group(
    collector: &Collector,
    group: &LogGroup,
    invocation: Invocation,
) -> Result<GroupSummary, StoreError> {
    let now = invocation.now;
    let (checkpoints, config) = (&collector.parts.checkpoints, &collector.config);
    let mut summary = GroupSummary::of(&group.name);
    let mut stored = checkpoints.load(&group.name).await?;
    FaultPoint::CheckpointLoaded.reach();
    summary.checkpoint = stored.as_ref().map(|checkpoint| checkpoint.read_up_to);
    let unfinished = stored
        .as_ref()
        .and_then(|checkpoint| unfinished_window(group, checkpoint, now));
    let look_is_due = late_lines::is_due(collector, group, stored.as_ref(), now);
    let mut window = unfinished.unwrap_or_else(|| next_window(config, group, stored.as_ref(), now));
    summary.read_from = Some(window.start);
    loop {
        match window.read(collector, invocation, &mut summary).await? {
            WindowEnd::Complete => {}
            WindowEnd::CutShort => return Ok(summary),
            WindowEnd::PageTokenRefused => {
                info!(
                    log_group = group.name,
                    "the page token was refused: reading the window from its start"
                );
                window = next_window(config, group, stored.as_ref(), now);
                continue;
            }
        }
        // Before the checkpoint: if this fails, the next sweep looks again.
        if look_is_due && window.end >= now {
            let end = summary.read_from.unwrap_or(window.start).min(window.start);
            late_lines::look(collector, group, end, invocation, &mut summary).await?;
        }
        let checkpoint = Checkpoint {
            read_up_to: window.end,
            saved_at: now,
            resume: None,
        };
        summary.checkpoint = Some(checkpoint.read_up_to);
        FaultPoint::BeforeCheckpoint.reach();
        checkpoints.save(&group.name, checkpoint.clone()).await?;
        FaultPoint::AfterCheckpoint.reach();
        if checkpoint.read_up_to >= now {
            summary.complete = true;
            return Ok(summary);
        }
        window = next_window(config, group, Some(&checkpoint), now);
        stored = Some(checkpoint);
    }
}

/// The window from a checkpoint, less the overlap, up to now.
fn next_window<'a>(
    config: &CollectorConfig,
    group: &'a LogGroup,
    checkpoint: Option<&Checkpoint>,
    now: Timestamp,
) -> Window<'a> {
    let before = |moment: Timestamp, duration: Duration| {
        let back = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(moment.as_millis().saturating_sub(back))
    };
    let start = match checkpoint {
        Some(checkpoint) => before(checkpoint.read_up_to.min(now), config.overlap),
        None => before(now, config.first_sweep),
    };
    Window {
        group,
        start,
        end: now,
        page_token: None,
        read_up_to: Some(checkpoint.map_or(start, |checkpoint| checkpoint.read_up_to)),
        max_pages: None,
    }
}

/// The window that an earlier sweep left unfinished, if its page token may still be valid.
fn unfinished_window<'a>(
    group: &'a LogGroup,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Option<Window<'a>> {
    let resume = checkpoint.resume.as_ref()?;
    // `saved_at` is when the run started that got the token, so the token is not older than that.
    let age_ms = u128::from(now.millis_since(checkpoint.saved_at));
    let is_fresh = age_ms <= MAX_PAGE_TOKEN_AGE.as_millis();
    // Versions without resume points leave `resume` in place when they advance the checkpoint.
    let is_ahead = resume.end > checkpoint.read_up_to;
    (is_fresh && is_ahead).then(|| Window {
        group,
        start: resume.start,
        end: resume.end,
        page_token: Some(resume.next_token.clone()),
        read_up_to: Some(checkpoint.read_up_to),
        max_pages: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schedules_and_empty_objects_are_sweeps() {
        let scheduled =
            json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        for event in [json!({}), scheduled, json!({"source": "aws.scheduler"})] {
            assert_eq!(Sweep::matches(&event).unwrap(), Some(Sweep), "{event}");
        }
    }
}
