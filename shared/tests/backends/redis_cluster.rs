//! What is true of a cluster alone: keys are on several nodes, and a node may be replaced by its replica.

use std::time::{Duration, Instant};

use shared::cache::TaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::error::error_chain;
use shared::model::{Revision, TaskId};
use testkit::cache::conformance::task_bytes;
use tokio::time::interval;

use crate::redis_cluster_servers::RedisCluster;
use crate::redis_server::{PATIENCE, until_up};

/// The budget of a call, and what a busy machine may take beside it.
const BUDGET: Duration = Duration::from_millis(50 + 200);
/// How long after a failover the cache must be used again.
const RECOVERY: Duration = Duration::from_secs(5);

async fn connected(cluster: &RedisCluster) -> RedisTaskCache {
    let cache = RedisTaskCache::new(&cluster.config()).unwrap();
    until_up(&cache).await;
    cache
}

/// What comes of asking for a list.
#[derive(Debug, PartialEq)]
enum Is {
    Answered,
    Failing,
    /// Nothing is asked, as nothing was answered.
    LeftAlone,
}

/// Asks for a list until that is what comes of it, and says after how long. No call takes longer than its budget.
async fn until_lists(cache: &RedisTaskCache, expected: Is) -> Duration {
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let outcome = match cache.fetch_page("all", None).await {
            Ok(_) => Is::Answered,
            Err(error) if error_chain(&error).contains("left alone") => Is::LeftAlone,
            Err(_) => Is::Failing,
        };
        assert!(asked.elapsed() < BUDGET, "{:?}", asked.elapsed());
        if outcome == expected {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "{outcome:?}");
    }
}

#[tokio::test]
async fn tasks_are_on_all_nodes_and_found_by_one_connection() {
    let cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    let minute = Duration::from_secs(60);
    let ids: Vec<TaskId> = (0..16).map(|n| format!("t-{n}").parse().unwrap()).collect();
    for (revision, id) in (0..).zip(&ids) {
        let bytes = task_bytes(revision);
        let put = cache.put_task(id, Revision(revision), &bytes, minute);
        put.await.unwrap();
    }
    for (revision, id) in (0..).zip(&ids) {
        let held = cache.fetch_task(id).await.unwrap();
        assert_eq!(held, Some(task_bytes(revision)));
    }
    for master in cluster.masters() {
        let keys: u64 = master.run(&["DBSIZE"]).await;
        assert!(keys > 0);
    }
}

/// As it is when a function was frozen for long.
#[tokio::test]
async fn connections_that_were_all_lost_cost_no_call() {
    let cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    for _ in 0..3 {
        for master in cluster.masters() {
            let command = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
            let killed: u64 = master.run(&command).await;
            assert!(killed > 0);
        }
        cache.fetch_page("all", None).await.unwrap();
        cache.ping().await.unwrap();
    }
}

/// What a failover looks like from here: calls fail, each within its budget, and soon after it they don't.
async fn check_failover(cache: &RedisTaskCache, cluster: &RedisCluster) {
    until_lists(cache, Is::Failing).await;
    until_lists(cache, Is::LeftAlone).await;
    cluster.fail_over().await;
    let took = until_lists(cache, Is::Answered).await;
    assert!(took < RECOVERY, "{took:?}");
}

#[tokio::test]
async fn a_node_that_dies_is_replaced() {
    let mut cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    until_lists(&cache, Is::Answered).await;
    cluster.kill_master_of_lists().await;
    check_failover(&cache, &cluster).await;
}

#[tokio::test]
async fn a_node_that_hangs_is_replaced() {
    let cluster = RedisCluster::start().await;
    let cache = connected(&cluster).await;
    until_lists(&cache, Is::Answered).await;
    let elsewhere = cluster.task_elsewhere().await;
    cluster.hang_master_of_lists().await;
    for _ in 0..5 {
        until_lists(&cache, Is::Failing).await;
        assert_eq!(cache.fetch_task(&elsewhere).await.unwrap(), None);
    }
    check_failover(&cache, &cluster).await;
}

#[tokio::test]
async fn a_cluster_that_is_down_keeps_nobody_waiting() {
    let cluster = RedisCluster::start().await;
    let config = cluster.config();
    let cache = connected(&cluster).await;
    drop(cluster);
    until_lists(&cache, Is::LeftAlone).await;
    let begun = Instant::now();
    let unused = RedisTaskCache::new(&config).unwrap();
    assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    until_lists(&unused, Is::LeftAlone).await;
}
