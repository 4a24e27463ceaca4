//! From a log line to a delivered event, with the real binary and DynamoDB's stream. A rule of the
//! event bus sends the events to a log group, where the test reads them.

use std::collections::BTreeMap;

use aws_sdk_eventbridge::types::Target;
use serde_json::{Value, json};
use shared::aws;
use shared::model::TaskStatus;
use shared::store::{TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::runtime_api::RuntimeApi;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::config;
use crate::function::{Function, invoke};
use crate::killed::backlog;
use crate::log_group::LogGroup;
use crate::stream::{enable_stream, stream_records};

/// An event bus with a rule, and the log group that receives its events.
struct Bus {
    name: String,
    target: LogGroup,
}

impl Bus {
    async fn create(name: &str) -> Self {
        let log_group = LogGroup::create(&format!("/aws/events/{name}"), &[]).await;
        let client = aws::eventbridge(&config(log_group.endpoint_url()));
        client.create_event_bus().name(name).send().await.unwrap();
        let pattern = json!({"source": ["miyabi-progress"]}).to_string();
        let rule = client.put_rule().name("all").event_bus_name(name);
        rule.event_pattern(pattern).send().await.unwrap();
        let arn = format!(
            "arn:aws:logs:us-east-1:123456789012:log-group:{}",
            log_group.name
        );
        let target = Target::builder().id("log").arn(arn).build().unwrap();
        let targets = client.put_targets().rule("all").event_bus_name(name);
        targets.targets(target).send().await.unwrap();
        Self {
            name: name.to_owned(),
            target: log_group,
        }
    }

    /// The events that the bus delivered, repetitions included.
    ///
    /// Reads them without the SDK, because the emulator's timestamps of them have fractions, which
    /// the SDK rejects.
    async fn delivered_events(&self) -> Vec<Value> {
        let address = self.target.endpoint_url().trim_start_matches("http://");
        let body = json!({"logGroupName": self.target.name}).to_string();
        // The emulator finds the service by this header alone.
        let authorization = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/logs/aws4_request, \
                   SignedHeaders=host, Signature=0";
        let request = format!(
            "POST / HTTP/1.0\r\nhost: {address}\r\nx-amz-target: Logs_20140328.FilterLogEvents\r\nauthorization: {authorization}\r\n\
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

#[tokio::test]
async fn each_run_that_ends_is_delivered_as_one_event_even_if_records_come_twice() {
    let group = backlog("/binary/published", 4).await;
    let bus = Bus::create("published").await;
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    enable_stream(&dynamodb).await;
    let mut runtime = RuntimeApi::start().await.unwrap();
    let logs = group.endpoint_url();
    {
        let more = [("LOG_GROUPS", group.name.as_str())];
        let _collector = Function::start(&runtime, &dynamodb, logs, &more);
        let summary = invoke(&mut runtime, json!({})).await.unwrap();
        assert_eq!(summary["groups"][0]["complete"], true, "{summary}");
    }
    let more = [
        ("PUBLISH", "bus"),
        ("EVENT_BUS_NAME", bus.name.as_str()),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", logs),
    ];
    let _publisher = Function::start(&runtime, &dynamodb, logs, &more);
    let records = json!({"Records": stream_records(&dynamodb)});
    for times in 1..=2 {
        let response = invoke(&mut runtime, records.clone()).await.unwrap();
        assert_eq!(response, json!({"batchItemFailures": []}));
        let bus_events = bus.delivered_events().await;
        let mut by_id: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for event in &bus_events {
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
            // There may be more: the publisher repeats a request if the emulator is slow.
            assert!(copies.len() >= times);
            assert!(copies.iter().all(|copy| *copy == copies[0]));
        }
        for task in completed {
            let is_of_task =
                |event: &&Value| event["detail"]["task"]["task_id"] == task.task_id.as_str();
            let event = bus_events.iter().find(is_of_task).unwrap();
            assert_eq!(event["detail-type"], "Task Completed");
            assert_eq!(event["source"], "miyabi-progress");
            let mut shown = event["detail"]["task"].clone();
            let mut computed = |name| shown.as_object_mut().unwrap().remove(name);
            assert_eq!(computed("stale"), Some(json!(false)));
            assert_eq!(computed("run_id"), Some(json!(task.run_id())));
            assert_eq!(shown, serde_json::to_value(&task).unwrap());
        }
    }
}

#[tokio::test]
async fn records_are_acknowledged_only_by_a_publisher_that_can_do_its_work() {
    let group = LogGroup::create("/binary/no-bus", &[]).await;
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    let mut runtime = RuntimeApi::start().await.unwrap();
    let logs = group.endpoint_url();
    let sample = include_str!("../../../events/publisher/stream.json");
    let sample: Value = serde_json::from_str(sample).unwrap();
    {
        let more = [
            ("PUBLISH", "bus"),
            ("EVENT_BUS_NAME", "nowhere"),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", logs),
        ];
        let _function = Function::start(&runtime, &dynamodb, logs, &more);
        let response = invoke(&mut runtime, sample.clone()).await.unwrap();
        let first = json!([{"itemIdentifier": "100000000000000000000001"}]);
        assert_eq!(response, json!({"batchItemFailures": first}));
    }
    {
        // The publisher of another deployment, or none.
        let more = [("LOG_GROUPS", group.name.as_str())];
        let _collector = Function::start(&runtime, &dynamodb, logs, &more);
        let error = invoke(&mut runtime, sample.clone()).await.unwrap_err();
        assert_eq!(error["errorType"], "InvalidTrigger", "{error}");
    }
    // EventBridge has no endpoint here. A request to it would fail, and the response would say so.
    let _publisher = Function::start(&runtime, &dynamodb, logs, &[("PUBLISH", "bus")]);
    let response = invoke(&mut runtime, sample).await.unwrap();
    assert_eq!(response, json!({"batchItemFailures": []}));
}
