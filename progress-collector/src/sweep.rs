//! Which windows of the log groups are read, and where the checkpoints are then.

use std::time::Duration;

use futures::future::join_all;
use shared::checkpoint::Checkpoint;
use shared::fault_point::FaultPoint;
use shared::model::Timestamp;
use shared::store::StoreError;
use tokio::time::Instant;
use tracing::info;

use crate::collector::{CollectError, Collector, LogGroup};
use crate::summary::{GroupSummary, Summary};
use crate::window::{Place, Window, WindowEnd};

/// How old a token may be to be used again. CloudWatch Logs forgets its tokens after 24 hours
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>).
const OLDEST_TOKEN: Duration = Duration::from_secs(23 * 3600);

impl Collector {
    /// Reads every log group from its checkpoint, all side by side. The failure of one never loses what
    /// another has read.
    pub(crate) async fn sweep(
        &self,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Summary, CollectError> {
        let groups = self.config.groups.iter();
        let swept = join_all(groups.map(|group| self.sweep_group(group, now, deadline))).await;
        let mut summary = Summary::new("sweep", swept.into_iter().collect::<Result<_, _>>()?);
        for group in &mut summary.groups {
            group.fallback_used = group.error.is_some();
            summary.fallback_used |= group.fallback_used;
        }
        if summary.fallback_used {
            self.refresh_cache(now, deadline, &mut summary).await?;
        }
        Ok(summary)
    }

    /// Reads a window of one log group. Checkpoints stay as they are.
    pub(crate) async fn backfill(
        &self,
        log_group: &str,
        start: Timestamp,
        end: Timestamp,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Summary, CollectError> {
        let mut summary = GroupSummary::of(log_group);
        let groups = &self.config.groups;
        if let Some(group) = groups.iter().find(|group| group.name == log_group) {
            let window = Window {
                group,
                start,
                end,
                place: None,
            };
            let ended = self
                .read_window(&window, now, deadline, &mut summary)
                .await?;
            summary.complete = ended == WindowEnd::Complete;
        } else {
            summary.error = Some("the log group is not configured".to_owned());
        }
        Ok(Summary::new("backfill", vec![summary]))
    }

    /// Reads a log group up to `now`: first the rest of a window that was interrupted, if there is one.
    async fn sweep_group(
        &self,
        group: &LogGroup,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<GroupSummary, StoreError> {
        let mut summary = GroupSummary::of(&group.name);
        let mut held = self.parts.checkpoints.load(&group.name).await?;
        FaultPoint::CheckpointLoaded.reach();
        summary.checkpoint = held.as_ref().map(|checkpoint| checkpoint.read_up_to);
        let mut window = held
            .as_ref()
            .and_then(|held| interrupted_window(group, held, now))
            .unwrap_or_else(|| self.next_window(group, held.as_ref(), now));
        loop {
            match self
                .read_window(&window, now, deadline, &mut summary)
                .await?
            {
                WindowEnd::Complete => {}
                WindowEnd::CutShort => return Ok(summary),
                WindowEnd::TokenRefused => {
                    info!(
                        log_group = group.name,
                        "the interrupted window can't be gone on with: reading it from its beginning"
                    );
                    window = self.next_window(group, held.as_ref(), now);
                    continue;
                }
            }
            let checkpoint = Checkpoint {
                read_up_to: window.end,
                saved_at: now,
                resume: None,
            };
            summary.checkpoint = Some(checkpoint.read_up_to);
            let checkpoints = &self.parts.checkpoints;
            FaultPoint::BeforeCheckpoint.reach();
            checkpoints.save(&group.name, checkpoint.clone()).await?;
            FaultPoint::AfterCheckpoint.reach();
            if checkpoint.read_up_to >= now {
                summary.complete = true;
                return Ok(summary);
            }
            window = self.next_window(group, Some(&checkpoint), now);
            held = Some(checkpoint);
        }
    }

    /// All that comes after a checkpoint, less an overlap.
    fn next_window<'a>(
        &self,
        group: &'a LogGroup,
        held: Option<&Checkpoint>,
        now: Timestamp,
    ) -> Window<'a> {
        let before = |moment: Timestamp, duration: Duration| {
            let back = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(moment.as_millis().saturating_sub(back))
        };
        let start = match held {
            Some(checkpoint) => before(checkpoint.read_up_to.min(now), self.config.overlap),
            None => before(now, self.config.first_sweep),
        };
        Window {
            group,
            start,
            end: now,
            place: Some(Place {
                read_up_to: held.map_or(start, |checkpoint| checkpoint.read_up_to),
                next_token: None,
            }),
        }
    }
}

/// The window that `held` says was interrupted, if its token can still be good.
fn interrupted_window<'a>(
    group: &'a LogGroup,
    held: &Checkpoint,
    now: Timestamp,
) -> Option<Window<'a>> {
    let resume = held.resume.as_ref()?;
    // A token is no older than its checkpoint, which has the moment at which the run began that was given it.
    let is_fresh = u128::from(now.millis_since(held.saved_at)) <= OLDEST_TOKEN.as_millis();
    // A writer that does not know of windows leaves them in place when it has read on.
    let is_ahead = resume.end > held.read_up_to;
    (is_fresh && is_ahead).then(|| Window {
        group,
        start: resume.start,
        end: resume.end,
        place: Some(Place {
            read_up_to: held.read_up_to,
            next_token: Some(resume.next_token.clone()),
        }),
    })
}
