//! The lines that deploys and agents print in a run, and when they arrive.

use std::time::Duration;

use shared::log_event::LogEvent;
use shared::model::Timestamp;

use crate::harness::{AGENTS, CDK, START_MS};
use crate::rng::Rng;

/// The largest error of a stream's clock, to either side.
const CLOCK_SKEW_MS: u64 = 3_000;
/// The longest time from printing a line until it can be read.
const LONGEST_DELAY_MS: u64 = 6_000;

/// The task whose stream has two runs.
pub(crate) const TWO_RUNS: &str = "cdk:deploy-8";

/// The task that a caller creates before its log reports to it.
pub(crate) const ADOPTED: &str = "nightly";

/// One log stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) log_group: &'static str,
    /// The task to which it reports.
    pub(crate) task_id: &'static str,
    /// Its lines, each with the time when it can be read, in that order.
    pub(crate) lines: Vec<(Duration, LogEvent)>,
}

const DEPLOY: [&str; 5] = [
    "Shop-Api: deploying... [1/1]",
    "Shop-Api: creating CloudFormation changeset...",
    "Shop-Api | 0/5 | 10:00:02 AM | CREATE_IN_PROGRESS   | AWS::CloudFormation::Stack | Shop-Api User Initiated",
    "Shop-Api | 1/5 | 10:00:03 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) ",
    "Shop-Api | 3/5 | 10:00:04 AM | CREATE_COMPLETE      | AWS::SNS::Topic | News (News1A2B3C4D) ",
];
const DEPLOYED: [&str; 2] = [
    "Shop-Api | 5/5 | 10:00:05 AM | CREATE_COMPLETE      | AWS::CloudFormation::Stack | Shop-Api ",
    " ✅  Shop-Api",
];
const ROLLED_BACK: [&str; 3] = [
    "Shop-Api | 3/5 | 10:00:05 AM | CREATE_FAILED        | AWS::S3::Bucket | Files (Files1A2B3C4D) files already exists",
    "Shop-Api | 3/5 | 10:00:09 AM | ROLLBACK_COMPLETE    | AWS::CloudFormation::Stack | Shop-Api ",
    " ❌  Shop-Api failed: Error: The stack named Shop-Api failed creation: ROLLBACK_COMPLETE",
];
const REVIEW: [&str; 5] = [
    r#"{"task_id":"review-7","status":"started","project_id":"agents","progress":{"current":0,"total":4}}"#,
    r#"{"task_id":"review-7","progress":{"current":1,"total":4},"phase":"reading"}"#,
    r#"{"task_id":"review-7","status":"blocked","message":"waiting for a person"}"#,
    r#"{"task_id":"review-7","status":"running","progress":{"current":3,"total":4}}"#,
    r#"{"task_id":"review-7","status":"completed","progress":{"current":4,"total":4}}"#,
];
const STEPS: [&str; 4] = ["[1/10] cloning", "[2/10] reading", "[3/10] x", "[7/10] y"];

/// The streams of a run. Some are cut off.
pub(crate) fn streams(rng: &Rng) -> Vec<Stream> {
    let twice = [&DEPLOY[..], &ROLLED_BACK, &DEPLOY, &DEPLOYED].concat();
    let all = [
        (
            CDK,
            "deploy-7",
            "cdk:deploy-7",
            [&DEPLOY[..], &DEPLOYED].concat(),
        ),
        (CDK, "deploy-8", TWO_RUNS, twice),
        (AGENTS, "agent-1", "review-7", REVIEW.to_vec()),
        (AGENTS, "task-nightly", ADOPTED, STEPS.to_vec()),
    ];
    let mut ids = 0;
    let mut streams = Vec::new();
    for (log_group, name, task_id, mut lines) in all {
        if rng.chance(25) {
            continue;
        }
        if rng.chance(30) {
            lines.truncate(usize::try_from(rng.number(1..6)).unwrap());
        }
        streams.push(stream(rng, (log_group, name, task_id), &lines, &mut ids));
    }
    streams
}

fn stream(
    rng: &Rng,
    (log_group, name, task_id): (&'static str, &str, &'static str),
    lines: &[&str],
    ids: &mut u64,
) -> Stream {
    let skew_ms = i64::try_from(rng.number(0..2 * CLOCK_SKEW_MS)).unwrap()
        - i64::try_from(CLOCK_SKEW_MS).unwrap();
    let longest_delay_ms = *rng.pick(&[1, 2_000, LONGEST_DELAY_MS]);
    let mut printed_ms = rng.number(CLOCK_SKEW_MS..CLOCK_SKEW_MS + 10_000);
    let lines = lines.iter().map(|line| {
        *ids += 1;
        printed_ms += *rng.pick(&[0, 1, 700, 3_000]);
        let arrives_ms = printed_ms + rng.number(0..longest_delay_ms);
        let event = LogEvent {
            log_stream: name.to_owned(),
            timestamp: Timestamp::from_millis(
                START_MS + i64::try_from(printed_ms).unwrap() + skew_ms,
            ),
            ingested_at: Timestamp::from_millis(START_MS + i64::try_from(arrives_ms).unwrap()),
            event_id: format!("{ids:056}"),
            message: (*line).to_owned(),
        };
        (Duration::from_millis(arrives_ms), event)
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort_by_key(|(arrives, _)| *arrives); // stable
    Stream {
        log_group,
        task_id,
        lines,
    }
}
