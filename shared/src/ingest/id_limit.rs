//! Keeps the number of task ids that lines of one log stream name within
//! [`MOST_NAMED_IDS`](crate::batch::named_ids::MOST_NAMED_IDS).
//!
//! The store holds the admitted ids of each stream, so that the limit holds for all processes. They
//! are written before the tasks: if a collector is killed in between, the same ids are admitted
//! again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, stream};
use tracing::error;

use super::{CONCURRENT_SAVES, IngestCounts};
use crate::batch::named_ids::{NamedIds, ids_by_stream, move_to_stream};
use crate::batch::{FactsByTarget, Target};
use crate::error::error_chain;
use crate::model::{TaskId, Timestamp};
use crate::record::TaskOrigin;
use crate::retry::{ConflictPolicy, retry_on_conflict};
use crate::store::{StoreError, TaskStore};

/// The most streams whose ids are remembered: 50 KB each.
const MOST_STREAMS: usize = 100;

/// Admits the task ids that lines name.
pub(super) struct IdLimit {
    tasks: Arc<dyn TaskStore>,
    /// What the store held when it was last read or written. An id among these is still admitted,
    /// and if they are full, others still are not. So known ids cost no request.
    known: Mutex<HashMap<TaskOrigin, NamedIds>>,
}

impl IdLimit {
    /// Creates a limit whose ids are in `tasks`.
    pub(super) fn new(tasks: Arc<dyn TaskStore>) -> Self {
        Self {
            tasks,
            known: Mutex::default(),
        }
    }

    /// Moves the lines whose ids are beyond the limit to the tasks of their streams. Takes the
    /// lines out whose ids can't be looked up.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] that a later attempt may not meet.
    pub(super) async fn apply(
        &self,
        facts: &mut FactsByTarget,
        now: Timestamp,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let checks = ids_by_stream(facts).into_iter();
        let checks = checks.map(|(origin, ids)| async move {
            let refused = self.refused(&origin, &ids, now).await;
            (origin, ids, refused)
        });
        let checks: Vec<_> = stream::iter(checks)
            .buffered(CONCURRENT_SAVES)
            .collect()
            .await;
        let mut outcome = Ok(());
        for (origin, ids, refused) in checks {
            let error = match refused {
                Ok(refused) => {
                    move_to_stream(facts, &origin, &refused);
                    counts.ids_refused.add(&origin, &refused);
                    continue;
                }
                Err(error) => error,
            };
            if matches!(
                error,
                StoreError::Refused { .. } | StoreError::Corrupt { .. }
            ) {
                counts.tasks_refused += u64::try_from(ids.len()).unwrap_or(u64::MAX);
                error!(error = error_chain(&error), "tasks can't be saved");
            } else {
                outcome = Err(error);
            }
            take_out(facts, &origin, ids);
        }
        outcome
    }

    /// Whether lines of a stream have named tasks.
    pub(super) async fn has_ids(&self, origin: &TaskOrigin) -> Result<bool, StoreError> {
        let known = self
            .known()
            .get(origin)
            .map(NamedIds::entries)
            .map(|ids| ids.len());
        let known = match known {
            Some(known) => known,
            None => self.tasks.named_ids(origin).await?.entries().len(),
        };
        Ok(known > 0)
    }

    /// Admits `ids`, and returns those beyond the limit.
    async fn refused(
        &self,
        origin: &TaskOrigin,
        ids: &[TaskId],
        now: Timestamp,
    ) -> Result<Vec<TaskId>, StoreError> {
        let mut known = self.known().get(origin).cloned();
        let step = || {
            let known = known.take();
            async move {
                let mut named = match known {
                    Some(known) => known,
                    None => self.tasks.named_ids(origin).await?,
                };
                let admission = named.admit(ids, now);
                if admission.has_changed {
                    named.revision += 1;
                    self.tasks.save_named_ids(origin, &named).await?;
                }
                Ok((named, admission.refused))
            }
        };
        let is_conflict = |error: &StoreError| matches!(error, StoreError::Conflict(_));
        let (named, refused) = retry_on_conflict(ConflictPolicy::INGEST, step, is_conflict).await?;
        let mut known = self.known();
        if known.len() >= MOST_STREAMS {
            known.clear();
        }
        known.insert(origin.clone(), named);
        Ok(refused)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TaskOrigin, NamedIds>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out the facts of the lines that name `ids`.
fn take_out(facts: &mut FactsByTarget, origin: &TaskOrigin, ids: Vec<TaskId>) {
    for id in ids {
        facts.remove(&Target {
            origin: origin.clone(),
            named: Some(id),
        });
    }
}
