//! The conformance suite of caches: the contract of the trait as checks, for every implementation.
//!
//! [`cache_conformance!`](crate::cache_conformance) turns each check into a test. Times to live are
//! not checked here, because not every cache has a clock that a test can move.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use shared::cache::{Answer, CacheKey, HeldAnswer, Lookup, TaskCache};
use shared::model::Revision;
use shared::validator::Validator;

const NOW: Duration = Duration::ZERO;
const FRESH_FOR: Duration = Duration::from_millis(5_000);
/// Longer than the two calls of a check take.
const A_MOMENT: Duration = Duration::from_secs(30);

/// Makes a test of each check. `$make` is an async function that returns an empty cache, as
/// `Arc<dyn TaskCache>`, and a value that keeps it alive.
///
/// If that is costly, `in_turn $make` makes one test of all checks. The value that `$make` then
/// returns has an async method `emptied`, which is called for each check and returns the cache.
#[macro_export]
macro_rules! cache_conformance {
    ($make:path) => {
        $crate::cache_conformance! { @all tests $make }
    };
    (in_turn $make:path) => {
        $crate::cache_conformance! { @all in_turn $make }
    };
    (@all $way:ident $make:path) => {
        $crate::cache_conformance! { @$way $make:
            an_empty_cache_only_misses,
            an_answer_is_found_unchanged_until_it_is_removed,
            every_key_has_its_own_answer,
            an_earlier_version_never_replaces_a_later_one,
            the_latest_of_many_concurrent_versions_stays,
            a_known_body_is_not_sent_again,
            an_answer_has_the_age_that_it_was_put_with,
            every_write_begins_a_generation,
            a_cache_answers_a_ping,
        }
    };
    (@tests $make:path: $($check:ident,)+) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (cache, _alive) = $make().await;
                $crate::cache::conformance::$check(cache).await;
            }
        )+
    };
    (@in_turn $make:path: $($check:ident,)+) => {
        #[tokio::test]
        async fn every_check_in_turn() {
            let caches = $make().await;
            $(
                $crate::cache::conformance::$check(caches.emptied().await).await;
            )+
        }
    };
}

fn run() -> CacheKey {
    CacheKey::Run("cdk:main.log_2".parse().unwrap())
}

fn page() -> CacheKey {
    CacheKey::Page("tasks?status=failed&limit=50".to_owned())
}

/// An answer about a run of this revision.
pub fn run_answer(revision: u64) -> Answer {
    let body = format!(r#"{{"revision":{revision},"message":"進捗 \u0000"}}"#).into_bytes();
    Answer {
        version: revision,
        fresh_for: FRESH_FOR,
        validator: Validator::of_revision(Revision(revision), &body),
        body,
    }
}

/// A page that was read in this generation. Its body need not be text.
pub fn page_answer(generation: u64, body: &[u8]) -> Answer {
    Answer {
        version: generation,
        fresh_for: FRESH_FOR,
        validator: Validator::of_bytes(body),
        body: body.to_vec(),
    }
}

async fn put(cache: &dyn TaskCache, key: &CacheKey, answer: &Answer) {
    cache.put(key, answer, NOW).await.unwrap();
}

async fn held(cache: &dyn TaskCache, key: &CacheKey) -> Option<HeldAnswer> {
    cache.fetch(key, &[]).await.unwrap().held
}

async fn generation(cache: &dyn TaskCache) -> u64 {
    cache.fetch(&page(), &[]).await.unwrap().generation
}

/// The cache holds `answer`, or nothing.
async fn assert_held(cache: &dyn TaskCache, key: &CacheKey, answer: Option<&Answer>) {
    let held = held(cache, key).await.map(|held| Answer {
        version: held.version,
        fresh_for: held.fresh_for,
        validator: held.validator,
        body: held.body.unwrap(),
    });
    assert_eq!(held.as_ref(), answer);
}

/// A miss is no error.
pub async fn an_empty_cache_only_misses(cache: Arc<dyn TaskCache>) {
    for key in [run(), page()] {
        assert_held(&*cache, &key, None).await;
        cache.remove(&key).await.unwrap();
    }
}

/// An answer is found with the same bytes. Also one without a body, and one whose bytes are no text.
pub async fn an_answer_is_found_unchanged_until_it_is_removed(cache: Arc<dyn TaskCache>) {
    let gone = Answer {
        body: Vec::new(),
        ..run_answer(6)
    };
    for (key, answer) in [
        (run(), run_answer(5)),
        (run(), gone),
        (page(), page_answer(u64::from(u32::MAX), b"\0\xff\n 7 \n")),
        (page(), page_answer(8_999_999_999_999_999, b"[]")),
    ] {
        put(&*cache, &key, &answer).await;
        assert_held(&*cache, &key, Some(&answer)).await;
    }
    for key in [run(), page()] {
        cache.remove(&key).await.unwrap();
        assert_held(&*cache, &key, None).await;
        put(&*cache, &key, &run_answer(1)).await;
        assert_held(&*cache, &key, Some(&run_answer(1))).await;
    }
}

/// Runs, the newest run of a task, and pages don't mix.
pub async fn every_key_has_its_own_answer(cache: Arc<dyn TaskCache>) {
    let keys = [
        run(),
        CacheKey::Run("cdk:main.log_2@20261121T093000.123Z".parse().unwrap()),
        CacheKey::Run("other".parse().unwrap()),
        page(),
        CacheKey::Page("tasks?status=failed".to_owned()),
        CacheKey::Page("cdk:main.log_2".to_owned()),
    ];
    let answers: Vec<_> = (1..).map(run_answer).take(keys.len()).collect();
    for (key, answer) in keys.iter().zip(&answers) {
        assert_held(&*cache, key, None).await;
        put(&*cache, key, answer).await;
    }
    for (key, answer) in keys.iter().zip(&answers) {
        assert_held(&*cache, key, Some(answer)).await;
    }
}

/// A slow reader does not undo the put of a fast writer.
pub async fn an_earlier_version_never_replaces_a_later_one(cache: Arc<dyn TaskCache>) {
    for key in [run(), page()] {
        // Compared as texts, 9 would be later than 10.
        for (version, expected) in [(9, 9), (10, 10), (9, 10), (10, 10), (11, 11), (1, 11)] {
            put(&*cache, &key, &run_answer(version)).await;
            assert_held(&*cache, &key, Some(&run_answer(expected))).await;
        }
        // One version has other bytes once a task is stale. The later bytes stay.
        let stale = Answer {
            body: br#"{"revision":11,"stale":true}"#.to_vec(),
            ..run_answer(11)
        };
        put(&*cache, &key, &stale).await;
        assert_held(&*cache, &key, Some(&stale)).await;
    }
}

/// Of many concurrent writers the latest version stays.
pub async fn the_latest_of_many_concurrent_versions_stays(cache: Arc<dyn TaskCache>) {
    let puts = (1..=64).map(|version: u64| {
        let cache = Arc::clone(&cache);
        async move { put(&*cache, &run(), &run_answer(version * 37 % 67)).await }
    });
    futures::future::join_all(puts).await;
    assert_held(&*cache, &run(), Some(&run_answer(66))).await;
}

/// A client that has the body does not get it again.
pub async fn a_known_body_is_not_sent_again(cache: Arc<dyn TaskCache>) {
    for key in [run(), page()] {
        let (answer, other) = (run_answer(2), run_answer(3));
        put(&*cache, &key, &answer).await;
        let body = async |known: &[Validator]| {
            let lookup = cache.fetch(&key, known).await.unwrap();
            let held = lookup.held.unwrap();
            assert_eq!(held.validator, answer.validator);
            held.body
        };
        let sent = Some(answer.body.clone());
        let hostile = Validator::from("' \r\n*".to_owned());
        let both = [hostile, answer.validator.clone()];
        assert_eq!(body(std::slice::from_ref(&other.validator)).await, sent);
        assert_eq!(body(&both).await, None);
    }
}

/// The age of an answer goes on from the age that it was put with.
pub async fn an_answer_has_the_age_that_it_was_put_with(cache: Arc<dyn TaskCache>) {
    for key in [run(), page()] {
        for age in [NOW, Duration::from_millis(4_999), Duration::from_secs(900)] {
            let answer = run_answer(1);
            cache.put(&key, &answer, age).await.unwrap();
            let held = held(&*cache, &key).await.unwrap();
            assert!((age..age + A_MOMENT).contains(&held.age), "{:?}", held.age);
        }
    }
}

/// A page is held with the generation in which it was read. Later ones begin with each write.
pub async fn every_write_begins_a_generation(cache: Arc<dyn TaskCache>) {
    let mut before = generation(&*cache).await;
    assert_eq!(generation(&*cache).await, before);
    for _ in 0..3 {
        put(&*cache, &page(), &page_answer(before, b"[]")).await;
        cache.begin_generation().await.unwrap();
        let Lookup { generation, held } = cache.fetch(&page(), &[]).await.unwrap();
        assert!(generation > before);
        assert_eq!(held.unwrap().version, before);
        before = generation;
    }
}

/// A working cache answers a ping.
pub async fn a_cache_answers_a_ping(cache: Arc<dyn TaskCache>) {
    cache.ping().await.unwrap();
}
