//! Tests of a cluster only: keys are on several nodes, and a replica may replace a node.

use std::time::{Duration, Instant};

use shared::cache::redis::RedisTaskCache;
use shared::cache::{CacheKey, TaskCache};
use shared::error::error_chain;
use testkit::cache::conformance::run_answer;
use tokio::time::interval;

use crate::redis_cluster_servers::RedisCluster;
use crate::redis_server::{PATIENCE, until_up};

/// The budget of a call, plus the delays of a busy machine.
const BUDGET: Duration = Duration::from_millis(50 + 200);
/// The most time between a failover and the next successful call.
const RECOVERY: Duration = Duration::from_secs(5);

fn list() -> CacheKey {
    CacheKey::Page("all".to_owned())
}

async fn connected(cluster: &RedisCluster) -> RedisTaskCache {
    let cache = RedisTaskCache::new(&cluster.config()).unwrap();
    until_up(&cache).await;
    cache
}

/// The outcome of fetching a list.
#[derive(Debug, PartialEq)]
enum Outcome {
    Succeeded,
    Failed,
    /// The circuit breaker is open, so no call is made.
    BreakerOpen,
}

/// Fetches a list until the outcome is `expected`, and returns how long that took. Checks that no
/// call exceeds its budget.
async fn until_lists(cache: &RedisTaskCache, expected: Outcome) -> Duration {
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        let called = Instant::now();
        let outcome = match cache.fetch(&list(), &[]).await {
            Ok(_) => Outcome::Succeeded,
            Err(error) if error_chain(&error).contains("circuit breaker is open") => {
                Outcome::BreakerOpen
            }
            Err(_) => Outcome::Failed,
        };
        assert!(called.elapsed() < BUDGET, "{:?}", called.elapsed());
        if outcome == expected {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "{outcome:?}");
    }
}

#[tokio::test]
async fn tasks_are_spread_over_all_nodes_and_found_by_one_connection() {
    let cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    let ids = (0..16).map(|n| format!("t-{n}").parse().unwrap());
    let keys: Vec<CacheKey> = ids.map(CacheKey::Run).collect();
    for (revision, key) in (0..).zip(&keys) {
        let answer = run_answer(revision);
        cache.put(key, &answer, Duration::ZERO).await.unwrap();
    }
    for (revision, key) in (0..).zip(&keys) {
        let held = cache.fetch(key, &[]).await.unwrap().held.unwrap();
        assert_eq!(held.version, revision);
    }
    for master in cluster.masters() {
        let keys: u64 = master.run(&["DBSIZE"]).await;
        assert!(keys > 0);
    }
}

/// The situation after a long freeze of a function.
#[tokio::test]
async fn losing_all_connections_fails_no_call() {
    let cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    for _ in 0..3 {
        for master in cluster.masters() {
            let command = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
            let killed: u64 = master.run(&command).await;
            assert!(killed > 0);
        }
        cache.fetch(&list(), &[]).await.unwrap();
        cache.ping().await.unwrap();
    }
}

/// Checks a failover: calls fail within their budget, and succeed soon after the failover.
async fn check_failover(cache: &RedisTaskCache, cluster: &RedisCluster) {
    until_lists(cache, Outcome::Failed).await;
    until_lists(cache, Outcome::BreakerOpen).await;
    cluster.fail_over().await;
    let took = until_lists(cache, Outcome::Succeeded).await;
    assert!(took < RECOVERY, "{took:?}");
}

#[tokio::test]
async fn a_replica_replaces_a_dead_node() {
    let mut cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    until_lists(&cache, Outcome::Succeeded).await;
    cluster.kill_master_of_lists().await;
    check_failover(&cache, &cluster).await;
}

#[tokio::test]
async fn a_replica_replaces_a_hanging_node() {
    let cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    until_lists(&cache, Outcome::Succeeded).await;
    let elsewhere = CacheKey::Run(cluster.task_elsewhere().await);
    cluster.hang_master_of_lists().await;
    for _ in 0..5 {
        until_lists(&cache, Outcome::Failed).await;
        let lookup = cache.fetch(&elsewhere, &[]).await.unwrap();
        assert_eq!(lookup.held, None);
    }
    check_failover(&cache, &cluster).await;
}

#[tokio::test]
async fn a_cluster_that_is_down_delays_no_call() {
    let cluster = RedisCluster::start().await;
    let config = cluster.config();
    let cache = connected(&cluster).await;
    drop(cluster);
    until_lists(&cache, Outcome::BreakerOpen).await;
    let begun = Instant::now();
    let unused = RedisTaskCache::new(&config).unwrap();
    assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    until_lists(&unused, Outcome::BreakerOpen).await;
}
