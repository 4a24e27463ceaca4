//! Faults of Redis: invalid values, lost values, a stop, a hang, a full memory, a required
//! password.

use std::time::{Duration, Instant};

use shared::cache::redis::RedisTaskCache;
use shared::cache::{CacheError, TaskCache};
use shared::config::{CacheConfig, Secret};
use shared::model::{RecordId, Revision};
use testkit::cache::conformance::task_bytes;

use crate::redis_server::{RedisServer, until_up};

const MINUTE: Duration = Duration::from_secs(60);
/// The budget of a call, plus the delays of a busy machine.
const BUDGET: Duration = Duration::from_millis(50 + 200);

fn id() -> RecordId {
    "t".parse().unwrap()
}

async fn put(cache: &RedisTaskCache, revision: u64) -> Result<(), CacheError> {
    let bytes = task_bytes(&id(), revision);
    let (id, revision) = (id(), Revision(revision));
    cache.put_task(&id, revision, &bytes, MINUTE).await
}

async fn fetch(cache: &RedisTaskCache) -> Option<Vec<u8>> {
    cache.fetch_task(&id()).await.unwrap().into_json()
}

#[tokio::test]
async fn an_invalid_value_under_the_key_of_a_task_is_replaced() {
    let (cache, server) = RedisServer::start_with_cache().await;
    let texts = [
        "",
        "nonsense",
        "[1]",
        "7",
        "null",
        "{}",
        r#"{"revision":"9"}"#,
    ];
    let mut invalid: Vec<Vec<&str>> = texts.map(|text| vec!["SET", "task:t", text]).into();
    invalid.push(vec!["HSET", "task:t", "revision", "9"]);
    invalid.push(vec!["RPUSH", "task:t", "9"]);
    for command in invalid {
        server.run::<()>(&["DEL", "task:t"]).await;
        server.run::<()>(&command).await;
        put(&cache, 2).await.unwrap();
        let held = fetch(&cache).await;
        assert_eq!(held, Some(task_bytes(&id(), 2)), "{command:?}");
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_a_miss_and_replaced() {
    let (cache, server) = RedisServer::start_with_cache().await;
    for key in ["task:t", "{tasks}:generation", "{tasks}:fresh"] {
        server.run::<()>(&["RPUSH", key, "1"]).await;
    }
    assert_eq!(fetch(&cache).await, None);
    let generation = cache.fetch_page("all", None).await.unwrap().generation;
    let page_key = format!("{{tasks}}:page:{generation}:all");
    server.run::<()>(&["RPUSH", &page_key, "1"]).await;
    assert_eq!(cache.fetch_page("all", None).await.unwrap().page, None);
    cache.put_page("all", generation, b"[]").await.unwrap();
    let page = cache.fetch_page("all", None).await.unwrap().page;
    assert_eq!(page.as_deref(), Some(&b"[]"[..]));
}

#[tokio::test]
async fn a_lost_or_invalid_generation_is_replaced_by_a_higher_one() {
    let (cache, server) = RedisServer::start_with_cache().await;
    let key = "{tasks}:generation";
    let mut before = cache.fetch_page("all", None).await.unwrap().generation;
    cache.put_page("all", before, b"old").await.unwrap();
    let huge = "99999999999999999999999";
    for invalid in ["-5", "0x10", "1e400", "nan", huge, "9007199254740993", ""] {
        server.run::<()>(&["SET", key, invalid]).await;
        let after = cache.fetch_page("all", None).await.unwrap();
        assert!(
            after.generation > before && after.page.is_none(),
            "{invalid}"
        );
        server.run::<()>(&["SET", key, invalid]).await;
        cache.bump_generation().await.unwrap();
        before = cache.fetch_page("all", None).await.unwrap().generation;
        assert!(before > after.generation, "{invalid}");
    }
    server.run::<()>(&["DEL", key]).await;
    cache.bump_generation().await.unwrap();
    let after = cache.fetch_page("all", None).await.unwrap();
    assert!(after.generation > before && after.page.is_none());
}

#[tokio::test]
async fn every_key_but_the_generation_expires() {
    let (cache, server) = RedisServer::start_with_cache().await;
    put(&cache, 1).await.unwrap();
    let generation = cache.fetch_page("all", None).await.unwrap().generation;
    let page_key = format!("{{tasks}}:page:{generation}:all");
    cache.put_page("all", generation, b"[]").await.unwrap();
    let check = async |key: &str, seconds: i64| {
        let left: i64 = server.run(&["PTTL", key]).await;
        assert!(left <= seconds * 1100, "{key}: {left} ms");
        assert!(left > seconds * 900 - 500, "{key}: {left} ms");
    };
    check("task:t", 60).await;
    // A page of a new generation may miss a write, so it expires soon.
    check(&page_key, 1).await;
    assert!(!cache.fetch_page("all", None).await.unwrap().is_settled);
    server.run::<()>(&["DEL", "{tasks}:fresh"]).await;
    assert!(cache.fetch_page("all", None).await.unwrap().is_settled);
    cache.put_page("all", generation, b"[]").await.unwrap();
    check(&page_key, 60).await;
    cache.bump_generation().await.unwrap();
    check("{tasks}:fresh", 5).await;
    let generation = cache.fetch_page("all", None).await.unwrap().generation;
    let page_key = format!("{{tasks}}:page:{generation}:all");
    cache.put_page("all", generation, b"[]").await.unwrap();
    check(&page_key, 1).await;
    let left: i64 = server.run(&["PTTL", "{tasks}:generation"]).await;
    assert_eq!(left, -1);
}

#[tokio::test]
async fn scripts_that_redis_lost_are_sent_again() {
    let (cache, server) = RedisServer::start_with_cache().await;
    put(&cache, 1).await.unwrap();
    server.run::<()>(&["SCRIPT", "FLUSH"]).await;
    server.run::<()>(&["FLUSHALL"]).await;
    put(&cache, 2).await.unwrap();
    cache.bump_generation().await.unwrap();
    let held = fetch(&cache).await;
    assert_eq!(held, Some(task_bytes(&id(), 2)));
}

#[tokio::test]
async fn calls_fail_fast_while_redis_is_down_and_succeed_after_its_return() {
    let server = RedisServer::start().await;
    let (port, config) = (server.port, server.config());
    drop(server);
    let cache = RedisTaskCache::new(&config).unwrap();
    for _ in 0..10 {
        let begun = Instant::now();
        cache.fetch_task(&id()).await.unwrap_err();
        assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    }
    let server = RedisServer::start_on(port).await;
    until_up(&cache).await;
    put(&cache, 1).await.unwrap();
    // A restart of Redis fails no call. The call that finds the connection lost is repeated.
    drop(server);
    let _server = RedisServer::start_on(port).await;
    assert_eq!(fetch(&cache).await, None);
}

#[tokio::test]
async fn a_hanging_redis_delays_no_call_beyond_its_budget() {
    let (cache, server) = RedisServer::start_with_cache().await;
    server.run::<()>(&["CLIENT", "PAUSE", "3000", "ALL"]).await;
    for _ in 0..3 {
        let begun = Instant::now();
        cache.fetch_task(&id()).await.unwrap_err();
        assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    }
    // The circuit breaker is open now, so no call waits.
    let begun = Instant::now();
    for _ in 0..1000 {
        put(&cache, 1).await.unwrap_err();
    }
    assert!(begun.elapsed() < 4 * BUDGET, "{:?}", begun.elapsed());
    until_up(&cache).await;
    put(&cache, 1).await.unwrap();
}

#[tokio::test]
async fn a_full_redis_fails_writes_but_not_reads() {
    let (cache, server) = RedisServer::start_with_cache().await;
    put(&cache, 1).await.unwrap();
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let before = cache.fetch_page("all", None).await.unwrap().generation;
    for revision in 2..10 {
        put(&cache, revision).await.unwrap_err();
        // The value from before would be outdated.
        assert_eq!(fetch(&cache).await, None);
    }
    cache.bump_generation().await.unwrap_err();
    let after = cache.fetch_page("all", None).await.unwrap().generation;
    assert!(after > before);
    let room = ["CONFIG", "SET", "maxmemory", "0"];
    server.run::<()>(&room).await;
    put(&cache, 10).await.unwrap();
}

#[tokio::test]
async fn a_replica_is_not_read_because_it_may_miss_a_write() {
    let (cache, server) = RedisServer::start_with_cache().await;
    put(&cache, 1).await.unwrap();
    cache.bump_generation().await.unwrap();
    server.run::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    cache.fetch_task(&id()).await.unwrap_err();
    cache.fetch_page("all", None).await.unwrap_err();
    server.run::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    until_up(&cache).await;
    let held = fetch(&cache).await;
    assert_eq!(held, Some(task_bytes(&id(), 1)));
}

#[tokio::test]
async fn a_required_password_is_sent() {
    let server = RedisServer::start().await;
    let password = ["CONFIG", "SET", "requirepass", "hunter2"];
    server.run::<()>(&password).await;
    let right = CacheConfig {
        auth_token: Some(Secret::from("hunter2".to_owned())),
        ..server.config()
    };
    let cache = RedisTaskCache::new(&right).unwrap();
    until_up(&cache).await;
    put(&cache, 1).await.unwrap();
    let without = RedisTaskCache::new(&server.config()).unwrap();
    without.ping().await.unwrap_err();
}
