use std::sync::Arc;
use std::time::Duration;

use tokio::time::{advance, timeout};

use shared::cache::cautious::{CautiousTaskCache, LONGEST_LIFE, OTHERS_RETURN, TOLERATED_FAILURES};
use shared::cache::{CacheError, TaskCache};
use shared::model::{RecordId, Revision};
use testkit::cache::conformance::task_bytes;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Disturbance, ErrorKind, Fault, Faults, Faulty};

const TTL: Duration = Duration::from_secs(2 * 3600);
const FAILURE: Fault = Fault::Error(ErrorKind::Unavailable);

type Cautious = CautiousTaskCache<Faulty<InMemoryTaskCache>>;

async fn never_failed() -> (Arc<dyn TaskCache>, ()) {
    (
        Arc::new(CautiousTaskCache::new(InMemoryTaskCache::new())),
        (),
    )
}

testkit::cache_conformance!(never_failed);

fn cache() -> (Cautious, Faults) {
    let faults = Faults::none();
    let inner = Faulty::new(Arc::new(InMemoryTaskCache::new()), faults.clone());
    (CautiousTaskCache::new(inner), faults)
}

fn id() -> RecordId {
    "t".parse().unwrap()
}

async fn put(cache: &dyn TaskCache, revision: u64) -> Result<(), CacheError> {
    let bytes = task_bytes(&id(), revision);
    cache.put_task(&id(), Revision(revision), &bytes, TTL).await
}

async fn fetch(cache: &Cautious) -> Option<Vec<u8>> {
    cache.fetch_task(&id()).await.unwrap().into_json()
}

/// The bytes in the wrapped cache, whether the guard would return them or not.
async fn held(cache: &Cautious) -> Option<Vec<u8>> {
    let inner = cache.inner().inner();
    inner.fetch_task(&id()).await.unwrap().into_json()
}

/// Makes enough calls fail that the guard records an outage.
async fn fail(cache: &Cautious, faults: &Faults) {
    faults.fail_always(FAILURE);
    for _ in 0..TOLERATED_FAILURES {
        cache.fetch_task(&id()).await.unwrap_err();
    }
    faults.clear();
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_task_is_a_miss_until_it_is_put_again() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    fail(&cache, &faults).await;
    assert_eq!(fetch(&cache).await, None);
    let as_held = cache.fetch_task_as_held(&id()).await.unwrap();
    assert_eq!(
        as_held.into_json(),
        Some(task_bytes(&id(), 5)),
        "while the store is down"
    );
    // Another process may still go on without the cache, and save a later revision in the store
    // alone.
    put(&cache, 9).await.unwrap();
    assert_eq!(fetch(&cache).await, None);
    advance(OTHERS_RETURN).await;
    assert_eq!(fetch(&cache).await, None);
    put(&cache, 9).await.unwrap();
    assert_eq!(fetch(&cache).await, Some(task_bytes(&id(), 9)));
    // A second outage has the same effect.
    fail(&cache, &faults).await;
    assert_eq!(fetch(&cache).await, None);
    // By this time every value from before the outage has expired.
    advance(LONGEST_LIFE).await;
    assert_eq!(fetch(&cache).await, Some(task_bytes(&id(), 9)));
}

#[tokio::test]
async fn a_single_failure_is_no_outage() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    for _ in 0..2 * TOLERATED_FAILURES {
        faults.fail_call(1, FAILURE);
        cache.fetch_task(&id()).await.unwrap_err();
        let held = fetch(&cache).await;
        assert_eq!(held, Some(task_bytes(&id(), 5)));
    }
}

#[tokio::test]
async fn a_task_whose_write_failed_is_removed_by_the_next_call() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    faults.fail_call(1, FAILURE);
    put(&cache, 6).await.unwrap_err();
    // Any next call removes the task, because other processes may trust the cache.
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, None);
}

#[tokio::test]
async fn a_repeated_write_that_fails_is_repeated_again() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    faults.fail_call(1, FAILURE);
    put(&cache, 6).await.unwrap_err();
    faults.fail_call(2, FAILURE); // the first is the ping
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, Some(task_bytes(&id(), 5)));
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_ran_out_of_time_is_repeated() {
    let (cache, faults) = cache();
    put(&cache, 5).await.unwrap();
    let generation = cache.fetch_page("all", None).await.unwrap().generation;
    faults.disturb(|_| Disturbance {
        before: Duration::from_millis(20),
        ..Disturbance::default()
    });
    let no_more = Duration::from_millis(10);
    timeout(no_more, put(&cache, 6)).await.unwrap_err();
    timeout(no_more, cache.bump_generation()).await.unwrap_err();
    // The call that repeats the writes runs out of time too.
    timeout(no_more, cache.ping()).await.unwrap_err();
    faults.clear();
    cache.ping().await.unwrap();
    assert_eq!(held(&cache).await, None);
    let after = cache.fetch_page("all", None).await.unwrap().generation;
    assert!(after > generation);
}

#[tokio::test]
async fn a_write_that_succeeds_later_is_not_repeated() {
    let (cache, faults) = cache();
    faults.fail_call(1, FAILURE);
    put(&cache, 5).await.unwrap_err();
    put(&cache, 6).await.unwrap();
    cache.ping().await.unwrap();
    assert_eq!(fetch(&cache).await, Some(task_bytes(&id(), 6)));
}

#[tokio::test]
async fn a_failed_bump_is_repeated_by_the_next_call() {
    let (cache, faults) = cache();
    let before = cache.fetch_page("all", None).await.unwrap().generation;
    cache.put_page("all", before, b"[]").await.unwrap();
    faults.fail_call(1, FAILURE);
    cache.bump_generation().await.unwrap_err();
    let after = cache.fetch_page("all", Some(before)).await.unwrap();
    assert!(after.generation > before && after.page.is_none());
    // The repetition is made only once.
    cache.ping().await.unwrap();
    assert_eq!(cache.fetch_page("all", None).await.unwrap(), after);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_pages_are_ignored_until_all_processes_are_back() {
    let (cache, faults) = cache();
    let before = cache.fetch_page("all", None).await.unwrap().generation;
    fail(&cache, &faults).await;
    let after = cache.fetch_page("all", Some(before)).await.unwrap();
    assert!(after.generation > before);
    // A process that still goes on without the cache begins no generation.
    let again = cache.fetch_page("all", None).await.unwrap();
    assert!(again.generation > after.generation);
    advance(OTHERS_RETURN).await;
    cache.ping().await.unwrap();
    let then = cache.fetch_page("all", None).await.unwrap();
    assert!(then.generation > again.generation);
    let settled = cache.fetch_page("all", None).await.unwrap();
    assert_eq!(settled.generation, then.generation);
}
