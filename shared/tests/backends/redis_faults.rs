//! Faults of Redis: invalid values, lost values, a stop, a hang, a full memory, a required
//! password.

use std::time::{Duration, Instant};

use shared::cache::redis::RedisTaskCache;
use shared::cache::{Answer, CacheError, CacheKey, KEPT_FOR, TaskCache};
use shared::config::{CacheConfig, Secret};
use testkit::cache::conformance::{page_answer, run_answer};

use crate::redis_server::{RedisServer, until_up};

/// The budget of a call, plus the delays of a busy machine.
const BUDGET: Duration = Duration::from_millis(50 + 200);

fn run() -> CacheKey {
    CacheKey::Run("t".parse().unwrap())
}

fn page() -> CacheKey {
    CacheKey::Page("all".to_owned())
}

async fn put(cache: &RedisTaskCache, revision: u64) -> Result<(), CacheError> {
    let answer = run_answer(revision);
    cache.put(&run(), &answer, Duration::ZERO).await
}

async fn put_page(cache: &RedisTaskCache, answer: &Answer) {
    cache.put(&page(), answer, Duration::ZERO).await.unwrap();
}

/// The version that the cache holds under a key.
async fn version(cache: &RedisTaskCache, key: &CacheKey) -> Option<u64> {
    let lookup = cache.fetch(key, &[]).await.unwrap();
    lookup.held.map(|held| held.version)
}

async fn generation(cache: &RedisTaskCache) -> u64 {
    cache.fetch(&page(), &[]).await.unwrap().generation
}

#[tokio::test]
async fn an_invalid_value_is_a_miss_and_replaced() {
    let (cache, server) = RedisServer::start_with_cache().await;
    for (key, name) in [(run(), "run:t"), (page(), "{tasks}:page:all")] {
        let texts = [
            "",
            "nonsense",
            "{\"revision\":9}",
            "1 2 9",
            "1 2 9 x",
            "1 -2 9 x\n{}",
            "1 2 9 \n{}",
            "\n",
        ];
        let mut invalid: Vec<Vec<&str>> = texts.map(|text| vec!["SET", name, text]).into();
        invalid.push(vec!["HSET", name, "revision", "9"]);
        invalid.push(vec!["RPUSH", name, "9"]);
        for command in invalid {
            server.run::<()>(&["DEL", name]).await;
            server.run::<()>(&command).await;
            assert_eq!(version(&cache, &key).await, None, "{command:?}");
            let answer = run_answer(2);
            cache.put(&key, &answer, Duration::ZERO).await.unwrap();
            assert_eq!(version(&cache, &key).await, Some(2), "{command:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_or_invalid_generation_is_replaced_by_a_higher_one() {
    let (cache, server) = RedisServer::start_with_cache().await;
    let key = "{tasks}:generation";
    server.run::<()>(&["RPUSH", key, "1"]).await;
    let mut before = generation(&cache).await;
    let huge = "99999999999999999999999";
    for invalid in ["-5", "0x10", "1e400", "nan", huge, "9007199254740993", ""] {
        server.run::<()>(&["SET", key, invalid]).await;
        let after = generation(&cache).await;
        assert!(after > before, "{invalid}");
        server.run::<()>(&["SET", key, invalid]).await;
        cache.begin_generation().await.unwrap();
        before = generation(&cache).await;
        assert!(before > after, "{invalid}");
    }
    server.run::<()>(&["DEL", key]).await;
    cache.begin_generation().await.unwrap();
    assert!(generation(&cache).await > before);
}

#[tokio::test]
async fn every_key_but_the_generation_expires() {
    let (cache, server) = RedisServer::start_with_cache().await;
    put(&cache, 1).await.unwrap();
    put_page(&cache, &page_answer(generation(&cache).await, b"[]")).await;
    for key in ["run:t", "{tasks}:page:all"] {
        let left: u64 = server.run(&["PTTL", key]).await;
        let shortest = (KEPT_FOR * 9 / 10).as_millis() as u64 - 500;
        let longest = (KEPT_FOR * 11 / 10).as_millis() as u64;
        assert!((shortest..=longest).contains(&left), "{key}: {left} ms");
    }
    let left: i64 = server.run(&["PTTL", "{tasks}:generation"]).await;
    assert_eq!(left, -1);
}

#[tokio::test]
async fn an_answer_from_a_clock_ahead_is_not_fresh() {
    let (cache, server) = RedisServer::start_with_cache().await;
    let value = "99999999999999 5000 7 x\n{}";
    server.run::<()>(&["SET", "run:t", value]).await;
    let held = cache.fetch(&run(), &[]).await.unwrap().held.unwrap();
    assert_eq!((held.version, held.age), (7, Duration::MAX));
}

#[tokio::test]
async fn scripts_that_redis_lost_are_sent_again() {
    let (cache, server) = RedisServer::start_with_cache().await;
    put(&cache, 1).await.unwrap();
    server.run::<()>(&["SCRIPT", "FLUSH"]).await;
    server.run::<()>(&["FLUSHALL"]).await;
    put(&cache, 2).await.unwrap();
    cache.begin_generation().await.unwrap();
    assert_eq!(version(&cache, &run()).await, Some(2));
}

#[tokio::test]
async fn calls_fail_fast_while_redis_is_down_and_succeed_after_its_return() {
    let server = RedisServer::start().await;
    let (port, config) = (server.port, server.config());
    drop(server);
    let cache = RedisTaskCache::new(&config).unwrap();
    for _ in 0..10 {
        let begun = Instant::now();
        cache.fetch(&run(), &[]).await.unwrap_err();
        assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    }
    let server = RedisServer::start_on(port).await;
    until_up(&cache).await;
    put(&cache, 1).await.unwrap();
    // A restart of Redis fails no call. The call that finds the connection lost is repeated.
    drop(server);
    let _server = RedisServer::start_on(port).await;
    assert_eq!(version(&cache, &run()).await, None);
}

#[tokio::test]
async fn a_hanging_redis_delays_no_call_beyond_its_budget() {
    let (cache, server) = RedisServer::start_with_cache().await;
    server.run::<()>(&["CLIENT", "PAUSE", "3000", "ALL"]).await;
    for _ in 0..3 {
        let begun = Instant::now();
        cache.fetch(&run(), &[]).await.unwrap_err();
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
    let before = generation(&cache).await;
    for revision in 2..10 {
        put(&cache, revision).await.unwrap_err();
        // The value from before would be outdated.
        assert_eq!(version(&cache, &run()).await, None);
    }
    cache.begin_generation().await.unwrap_err();
    assert!(generation(&cache).await > before);
    let room = ["CONFIG", "SET", "maxmemory", "0"];
    server.run::<()>(&room).await;
    put(&cache, 10).await.unwrap();
}

#[tokio::test]
async fn a_replica_is_not_read_because_it_may_miss_a_write() {
    let (cache, server) = RedisServer::start_with_cache().await;
    put(&cache, 1).await.unwrap();
    cache.begin_generation().await.unwrap();
    server.run::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    cache.fetch(&run(), &[]).await.unwrap_err();
    cache.fetch(&page(), &[]).await.unwrap_err();
    server.run::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    until_up(&cache).await;
    assert_eq!(version(&cache, &run()).await, Some(1));
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
