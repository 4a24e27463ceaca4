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

use shared::cache::{CacheLookup, TaskCache};
use shared::model::{RecordId, Revision};

/// Longer than any test.
const TTL: Duration = Duration::from_secs(3600);

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
            a_task_is_found_unchanged_until_it_is_removed,
            a_run_and_the_newest_run_are_two_values,
            a_lower_revision_never_replaces_a_higher_one,
            the_highest_of_many_concurrent_revisions_stays,
            only_an_older_task_is_renewed,
            a_page_is_found_under_its_generation_and_key,
            no_page_outlives_a_write,
            a_known_page_is_not_sent_again,
            a_generation_has_not_settled_just_after_a_write,
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

fn id() -> RecordId {
    "cdk:main.log_2".parse().unwrap()
}

/// The bytes of a task or run, as the API may show it.
pub fn task_bytes(id: &RecordId, revision: u64) -> Vec<u8> {
    let task_id = id.task_id();
    let run_id = match id {
        RecordId::Newest(_) => String::new(),
        RecordId::Run(run_id) => format!(r#""run_id":"{run_id}","#),
    };
    format!(r#"{{"task_id":"{task_id}",{run_id}"revision":{revision},"message":"進捗 \u0000"}}"#)
        .into()
}

async fn put(cache: &dyn TaskCache, revision: u64) {
    let bytes = task_bytes(&id(), revision);
    let (id, revision) = (id(), Revision(revision));
    cache.put_task(&id, revision, &bytes, TTL).await.unwrap();
}

async fn fetch(cache: &dyn TaskCache) -> Option<Vec<u8>> {
    cache.fetch_task(&id()).await.unwrap().into_json()
}

/// A renewal replaces a lower revision. It changes nothing else, and adds nothing.
pub async fn only_an_older_task_is_renewed(cache: Arc<dyn TaskCache>) {
    let renew = async |revision: u64| {
        let bytes = task_bytes(&id(), revision);
        let (id, revision) = (id(), Revision(revision));
        let renewed = cache.renew_task(&id, revision, &bytes, TTL).await;
        renewed.unwrap()
    };
    assert!(!renew(3).await);
    assert_eq!(fetch(&*cache).await, None);
    put(&*cache, 2).await;
    assert!(renew(3).await);
    assert_eq!(fetch(&*cache).await, Some(task_bytes(&id(), 3)));
    assert!(!renew(3).await);
    assert!(!renew(2).await);
    assert_eq!(fetch(&*cache).await, Some(task_bytes(&id(), 3)));
}

/// A miss is no error.
pub async fn an_empty_cache_only_misses(cache: Arc<dyn TaskCache>) {
    assert_eq!(fetch(&*cache).await, None);
    assert_eq!(cache.fetch_page("all", None).await.unwrap().page, None);
    cache.remove_task(&id()).await.unwrap();
}

/// A task is found with the same bytes.
pub async fn a_task_is_found_unchanged_until_it_is_removed(cache: Arc<dyn TaskCache>) {
    put(&*cache, 5).await;
    assert_eq!(fetch(&*cache).await, Some(task_bytes(&id(), 5)));
    let other: RecordId = "other".parse().unwrap();
    assert_eq!(cache.fetch_task(&other).await.unwrap(), CacheLookup::Miss);
    cache.remove_task(&id()).await.unwrap();
    assert_eq!(fetch(&*cache).await, None);
    put(&*cache, 1).await;
    assert_eq!(fetch(&*cache).await, Some(task_bytes(&id(), 1)));
}

/// The id of a run and that of its task are two keys.
pub async fn a_run_and_the_newest_run_are_two_values(cache: Arc<dyn TaskCache>) {
    put(&*cache, 5).await;
    let run: RecordId = "cdk:main.log_2@20261121T093000.123Z".parse().unwrap();
    assert_eq!(cache.fetch_task(&run).await.unwrap(), CacheLookup::Miss);
    let bytes = task_bytes(&run, 2);
    let put_run = cache.put_task(&run, Revision(2), &bytes, TTL);
    put_run.await.unwrap();
    cache.remove_task(&id()).await.unwrap();
    let held = cache.fetch_task(&run).await.unwrap();
    assert_eq!(held.into_json(), Some(bytes));
    assert_eq!(fetch(&*cache).await, None);
}

/// A slow reader does not undo the put of a fast writer.
pub async fn a_lower_revision_never_replaces_a_higher_one(cache: Arc<dyn TaskCache>) {
    // Compared as texts, 9 would be higher than 10.
    for (put_revision, held) in [(9, 9), (10, 10), (9, 10), (10, 10), (11, 11), (1, 11)] {
        put(&*cache, put_revision).await;
        assert_eq!(fetch(&*cache).await, Some(task_bytes(&id(), held)));
    }
    // One revision has other bytes once it is stale. The later bytes stay.
    let stale = br#"{"task_id":"cdk:main.log_2","revision":11,"stale":true}"#;
    let (id, revision) = (id(), Revision(11));
    cache.put_task(&id, revision, stale, TTL).await.unwrap();
    assert_eq!(fetch(&*cache).await.as_deref(), Some(&stale[..]));
}

/// Of many concurrent writers the highest revision stays.
pub async fn the_highest_of_many_concurrent_revisions_stays(cache: Arc<dyn TaskCache>) {
    let puts = (1..=64).map(|revision: u64| {
        let cache = Arc::clone(&cache);
        async move { put(&*cache, revision * 37 % 67).await }
    });
    futures::future::join_all(puts).await;
    assert_eq!(fetch(&*cache).await, Some(task_bytes(&id(), 66)));
}

/// Pages of different keys and generations don't mix.
pub async fn a_page_is_found_under_its_generation_and_key(cache: Arc<dyn TaskCache>) {
    let key = "tasks?status=failed&limit=50";
    let generation = cache.fetch_page(key, None).await.unwrap().generation;
    let page = b"\0\xffnot even JSON";
    cache.put_page(key, generation, page).await.unwrap();
    let found = cache.fetch_page(key, None).await.unwrap();
    assert_eq!(found.generation, generation);
    assert_eq!(found.page.as_deref(), Some(&page[..]));
    let other = cache.fetch_page("tasks?status=failed", None).await.unwrap();
    assert_eq!((other.generation, other.page), (generation, None));
    cache.put_page(key, generation, b"[]").await.unwrap();
    let found = cache.fetch_page(key, None).await.unwrap();
    assert_eq!(found.page.as_deref(), Some(&b"[]"[..]));
}

/// A page that was read before a write is not found after it, even if it is put later.
pub async fn no_page_outlives_a_write(cache: Arc<dyn TaskCache>) {
    let mut before = cache.fetch_page("all", None).await.unwrap().generation;
    cache.put_page("all", before, b"old").await.unwrap();
    for _ in 0..3 {
        cache.bump_generation().await.unwrap();
        let after = cache.fetch_page("all", None).await.unwrap();
        assert!(after.generation > before);
        assert_eq!(after.page, None);
        cache.put_page("all", before, b"late").await.unwrap();
        assert_eq!(cache.fetch_page("all", None).await.unwrap(), after);
        let generation = after.generation;
        cache.put_page("all", generation, b"new").await.unwrap();
        let found = cache.fetch_page("all", None).await.unwrap();
        assert_eq!(found.page.as_deref(), Some(&b"new"[..]));
        before = generation;
    }
}

/// A client that has the page of this generation does not get it again.
pub async fn a_known_page_is_not_sent_again(cache: Arc<dyn TaskCache>) {
    let generation = cache.fetch_page("all", None).await.unwrap().generation;
    cache.put_page("all", generation, b"[]").await.unwrap();
    let known = cache.fetch_page("all", Some(generation)).await.unwrap();
    assert_eq!((known.generation, known.page), (generation, None));
    let other = cache.fetch_page("all", Some(generation + 1)).await.unwrap();
    assert_eq!(other.page.as_deref(), Some(&b"[]"[..]));
}

/// Just after a write, the store's indexes may lack it.
pub async fn a_generation_has_not_settled_just_after_a_write(cache: Arc<dyn TaskCache>) {
    cache.bump_generation().await.unwrap();
    assert!(!cache.fetch_page("all", None).await.unwrap().is_settled);
}

/// A working cache answers a ping.
pub async fn a_cache_answers_a_ping(cache: Arc<dyn TaskCache>) {
    cache.ping().await.unwrap();
}
