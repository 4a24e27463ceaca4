//! The binary, killed at random moments: the next run repairs everything.
//!
//! `KILLS` sets the number of kills:
//!
//! ```console
//! $ KILLS=200 cargo test -p progress-collector --test wire killed
//! ```

use std::env;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared::log_parser::LogFormat;
use shared::model::{Revision, Task, Timestamp};
use shared::store::{TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::runtime_api::RuntimeApi;

use crate::function::{Function, invoke, responds_within};
use crate::harness::Harness;
use crate::log_group::LogGroup;

/// The number of kills, unless `KILLS` sets another.
const KILLS: u64 = 15;
/// The number of kills before the tables are emptied.
const KILLS_PER_BACKLOG: usize = 3;
/// The longest time from start to kill. Reading the whole backlog takes about as long.
const MAX_DELAY_MS: u64 = 300;

fn start(runtime: &RuntimeApi, dynamodb: &EmbeddedDynamoDb, group: &LogGroup) -> Function {
    let groups = format!("{}=cdk", group.name);
    let settings = [("LOG_GROUPS", groups.as_str())];
    Function::start(runtime, dynamodb, group.endpoint_url(), &settings)
}

/// A log group with a deploy in each of `streams` log streams.
pub(crate) async fn backlog(name: &str, streams: usize) -> LogGroup {
    let names: Vec<_> = (0..streams)
        .map(|stream| format!("deploy-{stream}"))
        .collect();
    let group = LogGroup::create(name, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let start = Timestamp::now().as_millis() - 600_000;
    for (stream, name) in (0..).zip(&names) {
        let total = 20 + stream;
        let mut lines = vec!["Api: deploying... [1/1]".to_owned()];
        lines.extend((0..=total).map(|done| {
            format!("Api | {done:2}/{total} | 10:00:03 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Q{done} (Q1A2B) ")
        }));
        if stream % 3 > 0 {
            lines.push("✅  Api".to_owned());
        }
        let times = (0..).map(|line| Timestamp::from_millis(start + stream * 7 + line * 11));
        group.put(name, times.zip(lines)).await;
    }
    group
}

/// All tasks in DynamoDB.
async fn stored_tasks(dynamodb: &EmbeddedDynamoDb) -> Vec<Task> {
    let store = dynamodb.tasks();
    let page = store.list(&TaskQuery::default(), None, 200).await;
    let mut tasks = Vec::new();
    for listed in page.unwrap().tasks {
        let task = store.fetch(&listed.record_id()).await;
        tasks.push(task.unwrap().unwrap());
    }
    tasks
}

/// Delays from a seeded random generator (splitmix64).
fn delays(mut seed: u64) -> impl Iterator<Item = Duration> {
    std::iter::from_fn(move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(Duration::from_millis((mixed >> 31) % MAX_DELAY_MS))
    })
}

#[tokio::test]
async fn the_next_run_repairs_every_kill() {
    let group = backlog("/binary/killed", 40).await;
    let undisturbed = Harness::reading(Arc::new(group.source()), &[(&group.name, LogFormat::CDK)]);
    undisturbed.sweep(Timestamp::now(), None).await;
    let expected = undisturbed.tasks().await;
    assert_eq!(expected.len(), 40);

    let kills = env::var("KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills = usize::try_from(kills.unwrap_or(KILLS)).unwrap();
    let mut runtime = RuntimeApi::start().await.unwrap();
    let mut interrupted = 0;
    let delays: Vec<_> = delays(7).take(kills).collect();
    // A kill after everything is saved tests nothing, so the tables are emptied after a few kills.
    for delays in delays.chunks(KILLS_PER_BACKLOG) {
        let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
        let start = |runtime: &RuntimeApi| start(runtime, &dynamodb, &group);
        for delay in delays {
            let function = start(&runtime);
            let has_responded = responds_within(&mut runtime, json!({}), *delay).await;
            interrupted += usize::from(!has_responded);
            drop(function);
        }
        let _function = start(&runtime);
        let summary = invoke(&mut runtime, json!({})).await.unwrap();
        assert_eq!(summary["groups"][0]["complete"], true, "{summary}");
        let mut tasks = stored_tasks(&dynamodb).await;
        for task in &mut tasks {
            task.revision = Revision::default();
            task.usual_duration_ms = None; // depends on which runs had ended when this one started
        }
        assert_eq!(tasks, expected);
    }
    assert!(
        interrupted >= kills / 3,
        "only {interrupted} of {kills} runs were interrupted"
    );
}

#[tokio::test]
async fn an_invalid_event_is_a_function_error_and_the_next_event_is_handled() {
    let group = backlog("/binary/bad-event", 1).await;
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    let mut runtime = RuntimeApi::start().await.unwrap();
    let _function = start(&runtime, &dynamodb, &group);
    let invalid = json!({"log_group": group.name, "start_time": "now", "end_time": 5});
    let error = invoke(&mut runtime, invalid).await.unwrap_err();
    assert_eq!(error["errorType"], "InvalidTrigger");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("start_time must be"), "{message}");

    invoke(&mut runtime, json!({})).await.unwrap();
}
