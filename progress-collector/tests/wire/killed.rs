//! The binary killed at any moment: after the next run all is as if it had never died.
//!
//! `KILLS=200 cargo test -p progress-collector --test wire killed` kills it more often.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared::log_parser::LogFormat;
use shared::model::{Revision, Task, Timestamp};
use shared::store::{TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;

use crate::function::Function;
use crate::log_group::LogGroup;
use crate::parts::World;
use crate::runtime_api::{Answer, RuntimeApi};

/// How often it is killed, unless `KILLS` says otherwise.
const KILLS: u64 = 15;
/// How often in the midst of one backlog.
const KILLS_OF_A_BACKLOG: usize = 3;
/// The latest moment of a death: a run of the whole backlog takes about as long.
const LATEST_DEATH_MS: u64 = 300;
/// How long an answer may take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn start(runtime: &RuntimeApi, dynamodb: &EmbeddedDynamoDb, group: &LogGroup) -> Function {
    let settings = [("CDK_LOG_GROUP_NAME", group.name.as_str())];
    Function::start(runtime, dynamodb, group.endpoint_url(), &settings)
}

/// A log of many deploys, in as many streams.
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

/// All tasks in the database.
async fn stored_tasks(dynamodb: &EmbeddedDynamoDb) -> Vec<Task> {
    let store = dynamodb.tasks();
    let page = store.list(&TaskQuery::default(), None, 200).await;
    page.unwrap().tasks
}

/// Numbers that look random and are the same each time (splitmix64).
fn delays(mut seed: u64) -> impl Iterator<Item = Duration> {
    std::iter::from_fn(move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(Duration::from_millis((mixed >> 31) % LATEST_DEATH_MS))
    })
}

#[tokio::test]
async fn after_the_next_run_it_is_as_if_it_had_never_been_killed() {
    let group = backlog("/binary/killed", 40).await;
    let undisturbed = World::reading(Arc::new(group.source()), &[(&group.name, LogFormat::CDK)]);
    undisturbed.sweep(Timestamp::now(), None).await;
    let expected = undisturbed.tasks().await;
    assert_eq!(expected.len(), 40);

    let kills = env::var("KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills = usize::try_from(kills.unwrap_or(KILLS)).unwrap();
    let mut runtime = RuntimeApi::start().await;
    let mut died_at_work = 0;
    let delays: Vec<_> = delays(7).take(kills).collect();
    // Once all is saved a death has nothing to spoil: each few begin with empty tables.
    for delays in delays.chunks(KILLS_OF_A_BACKLOG) {
        let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
        let start = |runtime: &RuntimeApi| start(runtime, &dynamodb, &group);
        for delay in delays {
            let function = start(&runtime);
            runtime.offer(json!({}));
            died_at_work += usize::from(runtime.answer_within(*delay).await.is_none());
            drop(function);
        }
        let _function = start(&runtime);
        runtime.offer(json!({}));
        let answer = runtime.answer_within(PATIENCE).await;
        let Some(Answer::Response(summary)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(summary["groups"][0]["complete"], true, "{summary}");
        let mut tasks = stored_tasks(&dynamodb).await;
        for task in &mut tasks {
            task.revision = Revision::default();
            task.usual_duration_ms = None; // it depends on which runs were over when this one began
        }
        assert_eq!(tasks, expected);
    }
    assert!(
        died_at_work >= kills / 3,
        "only {died_at_work} of {kills} runs were interrupted"
    );
}

#[tokio::test]
async fn an_event_that_is_no_trigger_is_an_error_and_the_next_one_is_answered() {
    let group = backlog("/binary/bad-event", 1).await;
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    let mut runtime = RuntimeApi::start().await;
    let _function = start(&runtime, &dynamodb, &group);
    runtime.offer(json!({"log_group": group.name, "start_time": "now", "end_time": 5}));
    let answer = runtime.answer_within(PATIENCE).await;
    let Some(Answer::Error(error)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(error["errorType"], "InvalidTrigger");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("start_time must be"), "{message}");

    runtime.offer(json!({}));
    let answer = runtime.answer_within(PATIENCE).await;
    assert!(matches!(answer, Some(Answer::Response(_))), "{answer:?}");
}
