//! The baseline: a collector as one would write it first. Only the bench runs it, to compare the
//! designs.
//!
//! It reads one log group after the other and matches every line with regular expressions. For each
//! match it updates an item of DynamoDB, sets a key of Redis, and waits for both. It follows the
//! usual advice: clients and expressions are created once. It has no checkpoint, and understands
//! only the counters of CDK and agents.

use std::collections::HashSet;
use std::env;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use regex::Regex;
use serde_json::{Value, json};

/// The time window of a sweep.
const WINDOW: Duration = Duration::from_secs(300);

/// `Shop | 3/29 | 10:00:03 AM | CREATE_COMPLETE | AWS::SQS::Queue | Queue3 (Queue1A2B)`
static ROW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(\d+)/(\d+) \| .* \| (CREATE|UPDATE|DELETE)_(\w+) +\| AWS::")
        .expect("the pattern is a constant")
});

/// `[3/10] reading the repository`
static STEP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[(\d+)/(\d+)\] (.+)").expect("the pattern is a constant"));

#[tokio::main]
async fn main() -> Result<(), Error> {
    let collector = &Collector::connect().await?;
    run(service_fn(async |_: LambdaEvent<Value>| {
        collector.sweep().await
    }))
    .await
}

/// The names in a list of log groups with hints.
fn log_groups(list: &str) -> Vec<String> {
    let names = list.split(',').filter_map(|entry| entry.split('=').next());
    names.map(ToOwned::to_owned).collect()
}

struct Collector {
    logs: aws_sdk_cloudwatchlogs::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    redis: MultiplexedConnection,
    table: String,
    log_groups: Vec<String>,
}

impl Collector {
    async fn connect() -> Result<Self, Error> {
        // Like the SDK's default client, but with ring for cryptography.
        let http_client = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let config = aws_config::defaults(BehaviorVersion::latest());
        let config = config.http_client(http_client).load().await;
        let redis = redis::Client::open(format!("redis://{}", env::var("REDIS_ENDPOINT")?))?;
        Ok(Self {
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            redis: redis.get_multiplexed_async_connection().await?,
            table: env::var("TASKS_TABLE_NAME")?,
            log_groups: log_groups(&env::var("LOG_GROUPS")?),
        })
    }

    /// Reads all log groups. The answer has the fields of our collector that the bench reads.
    async fn sweep(&self) -> Result<Value, Error> {
        let mut groups = Vec::new();
        for log_group in &self.log_groups {
            let tasks_changed = self.read(log_group).await?;
            groups.push(json!({"complete": true, "tasks_changed": tasks_changed}));
        }
        Ok(json!({"groups": groups}))
    }

    /// Reads a log group. Returns its number of tasks: each log stream is one.
    async fn read(&self, log_group: &str) -> Result<usize, Error> {
        let start = (SystemTime::now() - WINDOW).duration_since(UNIX_EPOCH)?;
        let request = self.logs.filter_log_events().log_group_name(log_group);
        let request = request.start_time(i64::try_from(start.as_millis())?);
        let mut pages = request.into_paginator().send();
        let mut tasks = HashSet::new();
        while let Some(page) = pages.next().await {
            for event in page?.events() {
                let message = event.message().unwrap_or_default();
                let stream = event.log_stream_name().unwrap_or_default();
                if let Some((current, total)) = progress(message) {
                    self.save(&format!("baseline:{stream}"), current, total)
                        .await?;
                    tasks.insert(stream.to_owned());
                }
            }
        }
        Ok(tasks.len())
    }

    async fn save(&self, task_id: &str, current: u64, total: u64) -> Result<(), Error> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let update = self.dynamodb.update_item().table_name(&self.table);
        update
            .key("task_id", AttributeValue::S(task_id.to_owned()))
            .key("timestamp", number(0))
            .update_expression("SET current_step = :current, total_steps = :total")
            .expression_attribute_values(":current", number(current))
            .expression_attribute_values(":total", number(total))
            .send()
            .await?;
        let task = json!({"task_id": task_id, "current": current, "total": total});
        let mut redis = self.redis.clone();
        redis
            .set::<_, _, ()>(format!("task:{task_id}"), task.to_string())
            .await?;
        Ok(())
    }
}

/// The current step and the total in a line.
fn progress(line: &str) -> Option<(u64, u64)> {
    let found = ROW.captures(line).or_else(|| STEP.captures(line))?;
    Some((found[1].parse().ok()?, found[2].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_and_steps_are_progress() {
        let row = "Shop | 3/29 | 10:00:03 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Queue3 (Queue1A2B)";
        assert_eq!(progress(row), Some((3, 29)));
        assert_eq!(progress("[3/10] reading the repository"), Some((3, 10)));
        assert_eq!(
            progress("at Object.<anonymous> (/app/src/index.ts:3:17)"),
            None
        );
    }
}
