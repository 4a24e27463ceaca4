//! The way of every cached answer: the cache, the store, and the cache again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::budget::CacheBudget;
use super::freshness::CHANGED_PAGE_FRESH_FOR;
use super::{ConditionalRead, Representation, TaskReader};
use crate::cache::{Answer, CacheKey, HeldAnswer, Lookup};
use crate::model::{RecordId, Revision};
use crate::server_timing::for_store;
use crate::store::StoreError;
use crate::validator::Validator;

/// An answer as it was read from the store.
pub(super) struct Reading {
    /// The own id of the run, and its revision; `None` for a page. The newest run is also found by
    /// the id that it will have as an earlier one, but is kept under its own.
    pub(super) run: Option<(RecordId, Revision)>,
    pub(super) fresh_for: Duration,
    pub(super) representation: Representation,
}

impl TaskReader {
    /// Returns the answer that the cache holds if it is fresh, or else the one that `read` returns.
    /// If the store is down, returns what the cache holds, however old.
    ///
    /// `known` are the validators of the client's copies. A client is never shown an older revision
    /// of a run than it has: the cache may have missed writes.
    pub(super) async fn read_through(
        &self,
        key: &CacheKey,
        known: &[Validator],
        read: impl Future<Output = Result<Option<Reading>, StoreError>> + Send,
    ) -> Result<Option<ConditionalRead>, StoreError> {
        let newest_known = match key {
            CacheKey::Run(_) => newest(known),
            CacheKey::Page(_) => None,
        };
        let is_outdated =
            |held: &HeldAnswer| newest_known.is_some_and(|(revision, _)| held.version < revision.0);
        let mut budget = CacheBudget::new();
        // A cache that has just failed is not filled either.
        let mut fillable = None;
        let mut held = None;
        if let Some(cache) = &self.cache
            && let Some(lookup) = budget.within(cache.fetch(key, known)).await
        {
            let Lookup {
                generation,
                held: found,
            } = lookup;
            match found {
                Some(found) if !is_intact(&found) => {
                    // It may have any version, so it must go before an answer is put.
                    warn!(?key, "the cache holds an invalid answer");
                    budget.within(cache.remove(key)).await;
                }
                Some(found) if is_fresh(key, &found, generation) && !is_outdated(&found) => {
                    return Ok(shown(found));
                }
                found => held = found,
            }
            fillable = Some((cache, generation));
        }
        let begun = Instant::now();
        match (for_store(read).await, held) {
            (Ok(None), _) => Ok(None),
            (Ok(Some(reading)), _) => {
                if let Some((cache, generation)) = fillable {
                    let representation = &reading.representation;
                    let (key, version) = match reading.run {
                        Some((id, revision)) => (&CacheKey::Run(id), revision.0),
                        None => (key, generation),
                    };
                    let answer = Answer {
                        version,
                        fresh_for: reading.fresh_for,
                        validator: representation.validator.clone(),
                        body: representation.json.clone(),
                    };
                    let put = cache.put(key, &answer, begun.elapsed());
                    budget.within(put).await;
                }
                Ok(Some(ConditionalRead::Current(reading.representation)))
            }
            (Err(StoreError::Unavailable { .. }), Some(held)) => match newest_known {
                // The client's copy is the latest known state.
                Some((_, known)) if is_outdated(&held) => {
                    Ok(Some(ConditionalRead::NotModified(known.clone())))
                }
                _ => Ok(shown(held)),
            },
            (Err(error), _) => Err(error),
        }
    }
}

/// The newest revision of a run that a client has.
fn newest(known: &[Validator]) -> Option<(Revision, &Validator)> {
    let revisions = known
        .iter()
        .filter_map(|known| Some((known.revision()?, known)));
    revisions.max_by_key(|(revision, _)| *revision)
}

/// Whether the body is the one that was put.
fn is_intact(held: &HeldAnswer) -> bool {
    held.body
        .as_ref()
        .is_none_or(|body| held.validator.is_of(body))
}

fn is_fresh(key: &CacheKey, held: &HeldAnswer, generation: u64) -> bool {
    let fresh_for = match key {
        CacheKey::Page(_) if held.version != generation => CHANGED_PAGE_FRESH_FOR,
        _ => held.fresh_for,
    };
    held.age < fresh_for
}

/// What a client is shown; `None` if there is no such run.
fn shown(held: HeldAnswer) -> Option<ConditionalRead> {
    let validator = held.validator;
    match held.body {
        None => Some(ConditionalRead::NotModified(validator)),
        Some(json) if json.is_empty() => None,
        Some(json) => Some(ConditionalRead::Current(Representation { validator, json })),
    }
}
