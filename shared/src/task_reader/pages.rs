//! Answers that are kept by generation: pages of tasks, projects, and the list of these.
//!
//! A generation begins with every write, so that what is kept can never be older than the last write that
//! the cache was told of.

use std::future::Future;

use tracing::warn;

use super::budget::CacheBudget;
use super::{Answer, ConditionalRead, TaskReader, Validator};
use crate::cache::PAGE_TTL;
use crate::model::Timestamp;
use crate::server_timing::for_store;
use crate::store::StoreError;

/// An answer as it was read from the store.
pub(super) struct Page {
    pub(super) json: Vec<u8>,
    /// Until when it stays true if nothing is written.
    pub(super) true_until: Timestamp,
}

impl TaskReader {
    /// The answer that is kept under `key` and begins with `begin`; otherwise what `read` reads.
    pub(super) async fn read_page(
        &self,
        key: &str,
        begin: &[u8],
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
                match lookup.page.as_deref().map(|page| decode(page, begin)) {
                    Some(Some(answer)) => return Ok(Some(ConditionalRead::Current(answer))),
                    Some(None) => warn!("the cache holds something else than a page"),
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
            // It may miss the last write, and have it later in the same generation.
            _ => Validator::of_bytes(&page.json),
        };
        let answer = Answer {
            validator,
            json: page.json,
        };
        // A page is kept for a fixed time, so one that would be wrong before is not kept at all.
        if let Some((cache, lookup)) = fillable
            && page.true_until >= now.after(PAGE_TTL)
        {
            let kept = encode(&answer);
            let put = cache.put_page(key, lookup.generation, &kept);
            budget.within(put).await;
        }
        Ok(Some(ConditionalRead::Current(answer)))
    }
}

/// An answer as it is kept: its validator, a line break, and its bytes.
fn encode(answer: &Answer) -> Vec<u8> {
    let validator = answer.validator.as_str().as_bytes();
    [validator, b"\n", &answer.json].concat()
}

/// The answer that `kept` holds, if it is one and begins as it should.
fn decode(kept: &[u8], begin: &[u8]) -> Option<Answer> {
    let end = memchr::memchr(b'\n', kept)?;
    let (validator, json) = kept.split_at_checked(end)?;
    let json = json.strip_prefix(b"\n")?;
    let validator = str::from_utf8(validator).ok()?;
    let is_validator = validator
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_whole = json.starts_with(begin) && json.ends_with(b"}");
    (is_validator && is_whole).then(|| Answer {
        validator: Validator::from(validator.to_owned()),
        json: json.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_comes_back_and_rubbish_does_not() {
        let answer = Answer {
            validator: Validator::of_bytes(b"x"),
            json: br#"{"tasks":[],"next_cursor":null}"#.to_vec(),
        };
        assert_eq!(decode(&encode(&answer), br#"{"tasks":["#), Some(answer));
        for rubbish in [
            "",
            "\n",
            r#"{"tasks":[]}"#,
            "a\n{\"tasks\":[",
            "a\n{}",
            "a\"b\n{\"tasks\":[]}",
            "\u{e4}\n{\"tasks\":[]}",
        ] {
            let decoded = decode(rubbish.as_bytes(), br#"{"tasks":["#);
            assert_eq!(decoded, None, "{rubbish}");
        }
    }
}
