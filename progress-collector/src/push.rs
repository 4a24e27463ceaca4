//! Taking what a subscription has pushed, at once.

use shared::batch::Batch;
use shared::model::Timestamp;
use tracing::warn;

use crate::collector::{CollectError, Collector};
use crate::summary::{GroupSummary, Summary};
use crate::trigger::PushedEvents;

impl Collector {
    pub(crate) async fn push(
        &self,
        pushed: &PushedEvents,
        now: Timestamp,
    ) -> Result<Summary, CollectError> {
        let mut summary = GroupSummary::of(&pushed.log_group);
        let group = self
            .config
            .groups
            .iter()
            .find(|group| group.name == pushed.log_group);
        if let Some(group) = group {
            let mut batch = Batch::default();
            for event in &pushed.events {
                summary.count_event(batch.add(group.format, &group.name, event));
                if batch.is_full() {
                    self.save(&mut batch, now, &mut summary).await?;
                }
            }
            summary.lag_ms = pushed
                .events
                .last()
                .map(|event| now.millis_since(event.timestamp));
            self.save(&mut batch, now, &mut summary).await?;
            summary.complete = true;
        } else {
            warn!(
                log_group = pushed.log_group,
                "pushed events of a log group that is not configured"
            );
            summary.error = Some("the log group is not configured".to_owned());
        }
        Ok(Summary::new("push", vec![summary]))
    }
}
