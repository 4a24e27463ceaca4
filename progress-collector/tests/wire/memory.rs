//! The memory of the real program, whatever arrives.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::runtime_api::RuntimeApi;

use crate::function::{Function, invoke};

/// The memory of the smallest function that the documentation names, in bytes.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// The event of a push whose JSON is `start`, then `part` many times, then `end`.
fn push(start: &str, part: &str, times: usize, end: &str) -> Value {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(start.as_bytes()).unwrap();
    // Long writes are faster.
    let many = part.repeat(1_000);
    for _ in 0..times / 1_000 {
        packed.write_all(many.as_bytes()).unwrap();
    }
    packed.write_all(end.as_bytes()).unwrap();
    json!({"awslogs": {"data": STANDARD.encode(packed.finish().unwrap())}})
}

const START: &str =
    r#"{"messageType":"DATA_MESSAGE","logGroup":"/agents","logStream":"main","logEvents":["#;
const EMPTY: &str = r#"{"id":"","timestamp":0,"message":""},"#;
const LAST: &str = r#"{"id":"1","timestamp":0,"message":""}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_takes_less_than_256_megabytes_whatever_it_unpacks_to() {
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    let mut runtime = RuntimeApi::start().await.unwrap();
    let settings = [("LOG_GROUPS", "/agents=agent")];
    let unreachable = "http://127.0.0.1:9";
    let long = [START, r#"{"id":"1","timestamp":0,"message":""#].concat();
    let stream = START.replace("main", "");
    let (stream, rest) = stream.split_at(stream.find(r#"","logEvents"#).unwrap());
    let end = [rest, LAST].concat();
    let lines = [START, r#"{"id":"1","timestamp":0,"message":""#].concat();
    for (name, event, is_read) in [
        ("empty events", push(START, EMPTY, 1_500_000, LAST), true),
        (
            "a long message",
            push(&long, "xxxxxxxxxx", 3_000_000, r#""}]}"#),
            true,
        ),
        (
            "a long name",
            push(stream, "xxxxxxxxxx", 3_000_000, &end),
            true,
        ),
        (
            "a long field",
            push(r#"{"x":""#, "xxxxxxxxxx", 5_000_000, r#""}"#),
            false,
        ),
        ("no trigger", Value::Array(vec![json!(0); 3_000_000]), false),
        (
            "counters",
            push(&lines, r"[1/9]\n", 174_000, r#""}]}"#),
            true,
        ),
    ] {
        let function = Function::start(&runtime, &dynamodb, unreachable, &settings);
        let response = invoke(&mut runtime, event).await;
        assert_eq!(response.is_ok(), is_read, "{name}: {response:?}");
        let memory = function.peak_memory();
        println!("{name}: {} MB, {response:?}", memory / 1_000_000);
        assert!(memory < MOST_MEMORY, "{name}: {memory} bytes");
    }
}
