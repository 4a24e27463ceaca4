//! Representations that the cache keeps by generation: pages of tasks, projects, and the list of
//! projects.
//!
//! Every write begins a new generation. A kept page is therefore never older than the last write
//! that reached the cache.

use std::future::Future;

use tracing::warn;

use super::budget::CacheBudget;
use super::{ConditionalRead, Representation, TaskReader, Validator};
use crate::cache::PAGE_TTL;
use crate::model::Timestamp;
use crate::server_timing::for_store;
use crate::store::StoreError;

/// A page as it was read from the store.
pub(super) struct Page {
    pub(super) json: Vec<u8>,
    /// Until when the page stays true if nothing is written.
    pub(super) true_until: Timestamp,
}

impl TaskReader {
    /// Returns the page that the cache keeps under `key`, or else the page that `read` returns.
    pub(super) async fn read_page(
        &self,
        key: &str,
        known: &[Validator],
        now: Timestamp,
        read: impl Future<Output = Result<Option<Page>, StoreError>> + Send,
    ) -> Result<Option<ConditionalRead>, StoreError> {
        let mut known = known
            .iter()
            .filter_map(|known| Some((known.page_generation(key, now)?, known)));
        let known = known.next();
        let mut fillable = None;
        let mut budget = CacheBudget::new();
        if let Some(cache) = &self.cache {
            let fetch = cache.fetch_page(key, known.map(|(generation, _)| generation));
            if let Some(lookup) = budget.within(fetch).await {
                match known {
                    Some((generation, known)) if generation == lookup.generation => {
                        return Ok(Some(ConditionalRead::NotModified(known.clone())));
                    }
                    _ => {}
                }
                match lookup.page.as_deref().map(|value| decode(key, value)) {
                    Some(Some(page)) => return Ok(Some(ConditionalRead::Current(page))),
                    Some(None) => warn!("the cache holds an invalid page"),
                    None => {}
                }
                fillable = Some((cache, lookup));
            }
        }
        let Some(page) = for_store(read).await? else {
            return Ok(None);
        };
        let validator = match &fillable {
            Some((_, lookup)) if lookup.is_settled => {
                Validator::of_page(key, lookup.generation, page.true_until)
            }
            // The page may miss the last write, and include it later in the same generation.
            _ => Validator::of_bytes(&page.json),
        };
        let representation = Representation {
            validator,
            json: page.json,
        };
        // The cache keeps pages for a fixed time. A page that turns wrong earlier is not kept.
        if let Some((cache, lookup)) = fillable
            && page.true_until >= now.after(PAGE_TTL)
        {
            let value = encode(&representation);
            let put = cache.put_page(key, lookup.generation, &value);
            budget.within(put).await;
        }
        Ok(Some(ConditionalRead::Current(representation)))
    }
}

/// The value that the cache keeps for a page: its validator, a line break, and its bytes.
fn encode(page: &Representation) -> Vec<u8> {
    let validator = page.validator.as_str().as_bytes();
    [validator, b"\n", &page.json].concat()
}

/// The page under `key` that a value of the cache holds; `None` unless its validator is one of
/// this page.
fn decode(key: &str, value: &[u8]) -> Option<Representation> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let (validator, json) = value.split_at_checked(end)?;
    let json = json.strip_prefix(b"\n")?;
    let validator = Validator::from(str::from_utf8(validator).ok()?.to_owned());
    validator.is_of_page(key, json).then(|| Representation {
        validator,
        json: json.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "tasks?limit=1";

    #[test]
    fn a_kept_page_is_read_back() {
        let json = br#"{"tasks":[],"next_cursor":null}"#;
        for validator in [
            Validator::of_bytes(json),
            Validator::of_page(KEY, 7, Timestamp::from_millis(1000)),
        ] {
            let page = Representation {
                validator,
                json: json.to_vec(),
            };
            assert_eq!(decode(KEY, &encode(&page)), Some(page));
        }
    }

    #[test]
    fn a_value_without_a_validator_of_the_page_is_no_page() {
        let other_page = Validator::of_page("tasks?limit=2", 7, Timestamp::from_millis(1000));
        let other_bytes = Validator::of_bytes(b"{}");
        for invalid in [
            "",
            "\n",
            r#"{"tasks":[]}"#,
            "a\n{\"tasks\":[",
            "a\n{}",
            "a\"b\n{\"tasks\":[]}",
            "\u{e4}\n{\"tasks\":[]}",
            &format!("{other_page}\n{{\"tasks\":[]}}"),
            &format!("{other_bytes}\n{{\"tasks\":[]}}"),
        ] {
            assert_eq!(decode(KEY, invalid.as_bytes()), None, "{invalid}");
        }
    }
}
