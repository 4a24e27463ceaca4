//! Every store and every cache keeps the contract of its trait: in memory, in an embedded DynamoDB
//! behind the real SDK client, and in a real Redis.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod caches;
mod certificates;
mod dynamodb_items;
mod lists;
mod reading;
mod redis_cluster;
mod redis_cluster_servers;
mod redis_faults;
mod redis_server;
mod redis_tls;
mod schedules;
mod stores;
mod task_reader;
mod template;
