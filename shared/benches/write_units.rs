//! Counts the write units of a deploy: `cargo bench -p shared --bench write_units`. They do not depend
//! on the machine, so `--profile dev` gives the same numbers.
//!
//! The deploy has four stacks. Its rows are pushed five at a time. A transaction costs two write
//! units for each started KB of an item (<https://aws.amazon.com/dynamodb/pricing/on-demand/>). Each
//! index costs one more for each started KB of a head, and twice as much if a key of the index has
//! changed: the old entry is deleted, and a new one is put
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and fails by panicking"
)]

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::batch::Batch;
use shared::ingest::{Ingest, IngestCounts, Pace};
use shared::log_event::LogEvent;
use shared::log_parser::LogFormat;
use shared::model::Timestamp;
use shared::task_reader::WriteThrough;
use shared::view::Renderer;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::store::conformance::{moment, new_project};

const STACKS: [&str; 4] = ["ShopNetwork", "ShopData", "ShopApi", "ShopWeb"];
/// The pushes of the deploy of 500 rows.
const PUSHES: usize = 100;
/// The pushes of a deploy that is five times as long.
const MOST_PUSHES: usize = 500;
const ROWS_PER_PUSH: usize = 5;
/// The keys of the indexes.
const INDEXES: [[&str; 2]; 3] = [
    ["list_shard", "list_key"],
    ["project_id", "list_key"],
    ["status_shard", "list_key"],
];

type Item = HashMap<String, AttributeValue>;

/// The rows of the stacks, which are deployed one after another.
fn rows(count: usize) -> Vec<String> {
    let of_stack = count / STACKS.len();
    let total = of_stack / 2;
    let row = |number: usize| {
        let stack = STACKS[number / of_stack];
        let number = number % of_stack;
        let (resource, status) = match number % 2 {
            0 => (number / 2, "CREATE_IN_PROGRESS"),
            _ => (number / 2, "CREATE_COMPLETE"),
        };
        let done = number.div_ceil(2);
        let name = match resource + 1 == total {
            true => format!("AWS::CloudFormation::Stack | {stack}"),
            false => format!("AWS::SQS::Queue | Queue{resource} (Queue{resource}1A2B)"),
        };
        format!("{stack} | {done:>3}/{total} | 10:00:03 AM | {status:<20} | {name} ")
    };
    (0..count).map(row).collect()
}

/// The size of an attribute, by DynamoDB's rules
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
fn size_of_attribute(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.trim_start_matches('-').len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(values) => 3 + values.iter().map(size_of_attribute).sum::<usize>(),
        _ => 1,
    }
}

fn size_of(item: &Item) -> usize {
    let attributes = item.iter();
    attributes
        .map(|(name, value)| name.len() + size_of_attribute(value))
        .sum()
}

/// The started kilobytes of an item.
fn kilobytes(item: &Item) -> usize {
    size_of(item).div_ceil(1024)
}

/// The write units of an index with these keys. Items without them are not in it.
fn index_units(before: Option<&Item>, after: &Item, keys: [&str; 2]) -> usize {
    let entry_of = |item: &Item| keys.map(|key| item.get(key).cloned());
    let is_in = |entry: &[Option<AttributeValue>; 2]| entry.iter().all(Option::is_some);
    let old = before.map(entry_of).filter(is_in);
    let new = Some(entry_of(after)).filter(is_in);
    match (&old, &new) {
        (Some(old), Some(new)) if old == new => kilobytes(after),
        _ => {
            let deleted = old.and(before).map_or(0, kilobytes);
            deleted + new.map_or(0, |_| kilobytes(after))
        }
    }
}

/// All items of a table, by key.
async fn items(database: &EmbeddedDynamoDb, table: &str) -> HashMap<String, Item> {
    let scan = database.client.scan().table_name(table).into_paginator();
    let items: Vec<Item> = scan.items().send().try_collect().await.unwrap();
    let key = |item: &Item| {
        let names: &[&str] = match table {
            "tasks" => &["task_id", "timestamp"],
            _ => &["project_id"],
        };
        let key = names.iter().map(|name| item.get(*name));
        format!("{:?}", key.collect::<Vec<_>>())
    };
    items.into_iter().map(|item| (key(&item), item)).collect()
}

/// What a push has cost.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    units: usize,
    /// The size of the head.
    head: usize,
    /// The size of the largest other item.
    largest: usize,
}

#[derive(Default)]
struct Meter {
    before: HashMap<String, Item>,
}

impl Meter {
    /// What was written since the last call.
    async fn read(&mut self, database: &EmbeddedDynamoDb) -> Cost {
        let mut cost = Cost::default();
        for table in ["tasks", "projects"] {
            for (key, item) in items(database, table).await {
                let before = self.before.get(&key);
                if before == Some(&item) {
                    continue;
                }
                let size = size_of(&item);
                cost.units += 2 * kilobytes(&item);
                if item.contains_key("kind") {
                    for keys in INDEXES {
                        cost.units += index_units(before, &item, keys);
                    }
                    cost.head = cost.head.max(size);
                } else {
                    cost.largest = cost.largest.max(size);
                }
                self.before.insert(key, item);
            }
        }
        cost
    }
}

/// Pushes `count` rows, five at a time. Returns the cost of each push.
async fn deploy(count: usize) -> Vec<Cost> {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let stores = database.stores();
    stores.projects.create(&new_project("shop")).await.unwrap();
    let write_through = WriteThrough::new(None, Renderer::new(Duration::from_secs(900)));
    let ingest = Ingest::new(stores.tasks, stores.projects, write_through);
    let mut meter = Meter::default();
    meter.read(&database).await;
    let mut costs = Vec::new();
    for (push, rows) in rows(count).chunks(ROWS_PER_PUSH).enumerate() {
        let mut batch = Batch::default();
        let mut now = Timestamp::default();
        for (line, row) in rows.iter().enumerate() {
            let number = push * ROWS_PER_PUSH + line;
            now = moment(i64::try_from(number).unwrap() * 1000);
            let event = LogEvent {
                log_stream: "deploy/7c1e9a4b".to_owned(),
                timestamp: now,
                ingested_at: now,
                event_id: format!("{number:056}"),
                message: row.clone(),
            };
            batch.add(LogFormat::CDK, "/aws/codebuild/shop", &event);
        }
        let mut counts = IngestCounts::default();
        ingest
            .save(&mut batch, Pace::ALWAYS, now, &mut counts)
            .await
            .unwrap();
        assert_eq!(counts.tasks_changed, 1, "push {push}");
        costs.push(meter.read(&database).await);
    }
    costs
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("| push | write units | head, bytes | largest other item, bytes |");
    println!("| --- | ---: | ---: | ---: |");
    for pushes in [PUSHES, MOST_PUSHES] {
        let costs = deploy(pushes * ROWS_PER_PUSH).await;
        for (index, cost) in costs.iter().enumerate() {
            if [1, 2, 10, 50, 99, 100, 300, 499, 500].contains(&(index + 1)) {
                let Cost {
                    units,
                    head,
                    largest,
                } = cost;
                println!(
                    "| {} of {pushes} | {units} | {head} | {largest} |",
                    index + 1
                );
            }
        }
        let total: usize = costs.iter().map(|cost| cost.units).sum();
        let most = costs
            .iter()
            .map(|cost| cost.units)
            .max()
            .unwrap_or_default();
        let mut sorted: Vec<usize> = costs.iter().map(|cost| cost.units).collect();
        sorted.sort_unstable();
        let median = sorted[sorted.len() / 2];
        assert_eq!(costs[9].units, median, "the cost grows with the log");
        println!("| all {pushes} | {total} (median {median}, most {most}) | | |");
    }
}
