//! From a log line to a delivered event: the real binary on DynamoDB's stream, and a rule on an event bus whose target
//! is a log group, so that what arrives can be read.

use std::collections::BTreeMap;

use aws_sdk_eventbridge::types::Target;
use serde_json::{Value, json};
use shared::aws;
use shared::model::TaskStatus;
use shared::store::{TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::config;
use crate::function::Function;
use crate::killed::{PATIENCE, backlog};
use crate::log_group::LogGroup;
use crate::runtime_api::{Answer, RuntimeApi};
use crate::stream::{enable_stream, stream_records};

/// An event bus with a rule, and the log group where its events arrive.
struct Bus {
    name: String,
    arrivals: LogGroup,
}

impl Bus {
    async fn create(name: &str) -> Self {
        let arrivals = LogGroup::create(&format!("/aws/events/{name}"), &[]).await;
        let client = aws::eventbridge(&config(arrivals.endpoint_url()));
        client.create_event_bus().name(name).send().await.unwrap();
        let pattern = json!({"source": ["miyabi-progress"]}).to_string();
        let rule = client.put_rule().name("all").event_bus_name(name);
        rule.event_pattern(pattern).send().await.unwrap();
        let arn = format!(
            "arn:aws:logs:us-east-1:123456789012:log-group:{}",
            arrivals.name
        );
        let target = Target::builder().id("log").arn(arn).build().unwrap();
        let targets = client.put_targets().rule("all").event_bus_name(name);
        targets.targets(target).send().await.unwrap();
        Self {
            name: name.to_owned(),
            arrivals,
        }
    }

    /// The events that have arrived, each as often as it has.
    ///
    /// Read without the SDK: the emulator gives what its rules log a time with a fraction, which the SDK refuses.
    async fn arrived(&self) -> Vec<Value> {
        let address = self.arrivals.endpoint_url().trim_start_matches("http://");
        let body = json!({"logGroupName": self.arrivals.name}).to_string();
        // The emulator finds the service by this alone.
        let who = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/logs/aws4_request, \
                   SignedHeaders=host, Signature=0";
        let request = format!(
            "POST / HTTP/1.0\r\nhost: {address}\r\nx-amz-target: Logs_20140328.FilterLogEvents\r\nauthorization: {who}\r\n\
             content-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).await.unwrap();
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        let page: Value = serde_json::from_str(body).unwrap();
        assert_eq!(page["nextToken"], Value::Null);
        let events = page["events"].as_array().unwrap().iter();
        events
            .map(|event| serde_json::from_str(event["message"].as_str().unwrap()).unwrap())
            .collect()
    }
}

async fn answer_to(runtime: &mut RuntimeApi, event: Value) -> Value {
    runtime.offer(event);
    match runtime.answer_within(PATIENCE).await {
        Some(Answer::Response(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_run_that_ends_in_the_logs_arrives_as_one_event_however_often_it_is_handed_over() {
    let group = backlog("/binary/notified", 4).await;
    let bus = Bus::create("notified").await;
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    enable_stream(&dynamodb).await;
    let mut runtime = RuntimeApi::start().await;
    let logs = group.endpoint_url();
    let more = [
        ("CDK_LOG_GROUP_NAME", group.name.as_str()),
        ("EVENT_BUS_NAME", bus.name.as_str()),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", logs),
    ];
    let _function = Function::start(&runtime, &dynamodb, logs, &more);
    let summary = answer_to(&mut runtime, json!({})).await;
    assert_eq!(summary["groups"][0]["complete"], true, "{summary}");

    let records = json!({"Records": stream_records(&dynamodb)});
    for times in 1..=2 {
        let answer = answer_to(&mut runtime, records.clone()).await;
        assert_eq!(answer, json!({"batchItemFailures": []}));
        let arrived = bus.arrived().await;
        let mut by_id: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for event in &arrived {
            let id = event["detail"]["event_id"].as_str().unwrap().to_owned();
            by_id.entry(id).or_default().push(&event["detail"]);
        }
        let store = dynamodb.tasks();
        let query = TaskQuery {
            statuses: vec![TaskStatus::Completed],
            ..TaskQuery::default()
        };
        let completed = store.list(&query, None, 200).await.unwrap().tasks;
        assert_eq!(completed.len(), 2);
        assert_eq!(by_id.len(), completed.len());
        for copies in by_id.values() {
            // At least: an emulator that is slow to answer is asked again.
            assert!(copies.len() >= times);
            assert!(copies.iter().all(|copy| *copy == copies[0]));
        }
        for task in completed {
            let is_of_task =
                |event: &&Value| event["detail"]["task"]["task_id"] == task.task_id.as_str();
            let event = arrived.iter().find(is_of_task).unwrap();
            assert_eq!(event["detail-type"], "Task Completed");
            assert_eq!(event["source"], "miyabi-progress");
            let mut shown = event["detail"]["task"].clone();
            let stale = shown.as_object_mut().unwrap().remove("stale");
            assert_eq!(stale, Some(json!(false)));
            assert_eq!(shown, serde_json::to_value(&task).unwrap());
        }
    }
}

#[tokio::test]
async fn a_bus_that_is_missing_keeps_the_records_and_no_bus_lets_them_go() {
    let group = LogGroup::create("/binary/no-bus", &[]).await;
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    let mut runtime = RuntimeApi::start().await;
    let logs = group.endpoint_url();
    let sample = include_str!("../../../events/collector/stream.json");
    let sample: Value = serde_json::from_str(sample).unwrap();
    {
        let more = [
            ("CDK_LOG_GROUP_NAME", group.name.as_str()),
            ("EVENT_BUS_NAME", "nowhere"),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", logs),
        ];
        let _function = Function::start(&runtime, &dynamodb, logs, &more);
        let answer = answer_to(&mut runtime, sample.clone()).await;
        let first = json!([{"itemIdentifier": "100000000000000000000001"}]);
        assert_eq!(answer, json!({"batchItemFailures": first}));
    }
    // EventBridge is nowhere: whoever asked it would wait for an answer, and say so.
    let _function = Function::start(
        &runtime,
        &dynamodb,
        logs,
        &[("CDK_LOG_GROUP_NAME", group.name.as_str())],
    );
    let answer = answer_to(&mut runtime, sample).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
}
