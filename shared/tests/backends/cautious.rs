use std::sync::Arc;
use std::time::Duration;

use tokio::time::{advance, timeout};

use shared::cache::cautious::{CautiousTaskCache, LONGEST_LIFE, OTHERS_RETURN, TOLERATED_FAILURES};
use shared::cache::{CacheError, TaskCache};
use shared::model::{Revision, TaskId};
use testkit::cache::conformance::task_bytes;
use testkit::cache::faulty::FaultyTaskCache;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Disturbance, Fault, Faults};

const TTL: Duration = Duration::from_secs(2 * 3600);

type Cautious = CautiousTaskCache<FaultyTaskCache<InMemoryTaskCache>>;

async fn never_failed() -> (Arc<dyn TaskCache>, ()) {
    (
        Arc::new(CautiousTaskCache::new(InMemoryTaskCache::new())),
        (),
    )
}

testkit::cache_conformance!(never_failed);

fn cache() -> (Cautious, Faults) {
    let faults = Faults::none();
    let inner = FaultyTaskCache::new(InMemoryTaskCache::new(), faults.clone());
    (CautiousTaskCache::new(inner), faults)
}

fn id() -> TaskId {
    "t".parse().unwrap()
}

async fn put(cache: &dyn TaskCache, revision: u64) -> Result<(), CacheError> {
    let bytes = task_bytes(revision);
    cache.put_task(&id(), Revision(revision), &bytes, TTL).await
}

/// What is in the cache, whether it is believed or not.
async fn held(cache: &Cautious) -> Option<Vec<u8>> {
    cache.inner().inner().fetch_task(&id()).await.unwrap()
}

/// Has the cache be away.
async fn fail(cache: &Cautious, faults: &Faults) {
    faults.fail_always(Fault::Unmade);
    for _ in 0..TOLERATED_FAILURES {
        cache.fetch_task(&id()).await.unwrap_err();
    }
    faults.clear();
}

#[tokio::test(start_paused = true)]
async fn once_it_was_away_a_task_is_a_miss_until_it_was_put_again() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    fail(&cache, &faults).await;
    assert_eq!(cache.fetch_task(&id()).await.unwrap(), None);
    let as_held = cache.fetch_task_as_held(&id()).await.unwrap();
    assert_eq!(as_held, Some(task_bytes(5)), "for want of a better one");
    // Others may not know yet that it is back, and write a later one past it.
    put(&cache, 9).await.unwrap();
    assert_eq!(cache.fetch_task(&id()).await.unwrap(), None);
    advance(OTHERS_RETURN).await;
    assert_eq!(cache.fetch_task(&id()).await.unwrap(), None);
    put(&cache, 9).await.unwrap();
    assert_eq!(cache.fetch_task(&id()).await.unwrap(), Some(task_bytes(9)));
    // And so each time.
    fail(&cache, &faults).await;
    assert_eq!(cache.fetch_task(&id()).await.unwrap(), None);
    // What was held then is gone some time.
    advance(LONGEST_LIFE).await;
    assert_eq!(cache.fetch_task(&id()).await.unwrap(), Some(task_bytes(9)));
}

#[tokio::test]
async fn one_failure_is_not_the_cache_s() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    for _ in 0..2 * TOLERATED_FAILURES {
        faults.fail_call(1, Fault::Unmade);
        cache.fetch_task(&id()).await.unwrap_err();
        let held = cache.fetch_task(&id()).await.unwrap();
        assert_eq!(held, Some(task_bytes(5)));
    }
}

#[tokio::test]
async fn what_the_cache_was_not_told_of_is_forgotten_there() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    faults.fail_call(1, Fault::Unmade);
    put(&cache, 6).await.unwrap_err();
    // Whatever is asked for next: others may hold the task to be true.
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, None);
}

#[tokio::test]
async fn what_fails_while_it_is_made_good_stays_owed() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    faults.fail_call(1, Fault::Unmade);
    put(&cache, 6).await.unwrap_err();
    faults.fail_call(2, Fault::Unmade); // the first is the ping
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, Some(task_bytes(5)));
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waited_for_is_owed() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    let generation = cache.fetch_page("all", None).await.unwrap().generation;
    faults.disturb(|| Disturbance {
        before: Duration::from_millis(20),
        ..Disturbance::default()
    });
    let no_more = Duration::from_millis(10);
    timeout(no_more, put(&cache, 6)).await.unwrap_err();
    timeout(no_more, cache.bump_generation()).await.unwrap_err();
    // Nor for what was to make it good.
    timeout(no_more, cache.ping()).await.unwrap_err();
    faults.clear();
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, None);
    let after = cache.fetch_page("all", None).await.unwrap().generation;
    assert!(after > generation);
}

#[tokio::test]
async fn what_is_told_after_all_is_not_owed() {
    let (cache, faults) = cache();
    faults.fail_call(1, Fault::Unmade);
    put(&cache, 5).await.unwrap_err();
    put(&cache, 6).await.unwrap();
    cache.ping().await.unwrap();
    assert_eq!(cache.fetch_task(&id()).await.unwrap(), Some(task_bytes(6)));
}

#[tokio::test]
async fn a_generation_that_could_not_begin_begins_with_the_next_call() {
    let (cache, faults) = cache();
    let before = cache.fetch_page("all", None).await.unwrap().generation;
    cache.put_page("all", before, b"[]").await.unwrap();
    faults.fail_call(1, Fault::Unmade);
    cache.bump_generation().await.unwrap_err();
    let after = cache.fetch_page("all", Some(before)).await.unwrap();
    assert!(after.generation > before && after.page.is_none());
    // Once.
    cache.ping().await.unwrap();
    assert_eq!(cache.fetch_page("all", None).await.unwrap(), after);
}

#[tokio::test(start_paused = true)]
async fn once_it_was_away_no_page_is_believed_until_everyone_is_back() {
    let (cache, faults) = cache();
    let before = cache.fetch_page("all", None).await.unwrap().generation;
    fail(&cache, &faults).await;
    let after = cache.fetch_page("all", Some(before)).await.unwrap();
    assert!(after.generation > before);
    // Whoever still goes on without the cache begins none.
    let again = cache.fetch_page("all", None).await.unwrap();
    assert!(again.generation > after.generation);
    advance(OTHERS_RETURN).await;
    cache.ping().await.unwrap();
    let then = cache.fetch_page("all", None).await.unwrap();
    assert!(then.generation > again.generation);
    let settled = cache.fetch_page("all", None).await.unwrap();
    assert_eq!(settled.generation, then.generation);
}
