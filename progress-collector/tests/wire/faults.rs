//! What CloudWatch Logs may answer instead of events, and what the collector makes of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::error::error_chain;
use shared::log_parser::LogFormat;
use shared::log_source::{LogSource, LogSourceError, PageRequest};
use shared::model::{TaskStatus, Timestamp};
use tokio::time::Instant;

use crate::parts::World;
use crate::scripted::{Answer, Request, Script};

const GROUP: &str = "/miyabi/cdk";
/// How long a request may go unanswered.
const PATIENCE: Duration = Duration::from_secs(10);
/// What timers may be late by.
const SLACK: Duration = Duration::from_millis(20);

const DEPLOY: [&str; 4] = [
    "Api: deploying... [1/1]",
    "Api | 0/5 | 10:00:02 AM | CREATE_IN_PROGRESS   | AWS::CloudFormation::Stack | Api User Initiated",
    "Api | 5/5 | 10:00:05 AM | CREATE_COMPLETE      | AWS::CloudFormation::Stack | Api ",
    " ✅  Api",
];

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_255_800_000)
}

fn start() -> Timestamp {
    Timestamp::from_millis(now().as_millis() - 600_000)
}

/// The whole deploy, on one page.
fn deploy() -> Answer {
    Answer::page(start(), &DEPLOY, None)
}

/// Answers that may be others next time.
fn passing() -> Vec<Answer> {
    vec![
        Answer::error(400, "ThrottlingException"),
        Answer::error(400, "com.amazonaws.logs#ThrottlingException"),
        Answer::error(400, "LimitExceededException"),
        Answer::error(400, "ExpiredTokenException"),
        Answer::error(408, "RequestTimeoutException"),
        Answer::error(500, "InternalFailure"),
        Answer::error(503, "ServiceUnavailableException"),
        // From something in between, which does not speak as AWS does.
        Answer::http(408, ""),
        Answer::http(429, "slow down"),
        Answer::http(500, ""),
        Answer::http(502, "<html><body>Bad Gateway</body></html>"),
        Answer::http(200, "<html><body>Please log in</body></html>"),
        Answer::http(200, r#"{"events":[{"eventId":"#),
        Answer::http(200, r#"{"events":"none"}"#),
        Answer::Broken,
        Answer::Silence,
    ]
}

/// Answers that stay the same however often one asks.
fn lasting() -> Vec<Answer> {
    vec![
        Answer::error(400, "AccessDeniedException"),
        Answer::error(400, "InvalidParameterException"),
        Answer::error(400, "com.amazonaws.logs#InvalidParameterException"),
        Answer::error(400, "UnrecognizedClientException"),
        Answer::error(400, "ValidationException"),
        Answer::error(403, "InvalidSignatureException"),
        Answer::http(403, "<html><body>Forbidden</body></html>"),
        Answer::http(404, ""),
    ]
}

fn first_page() -> PageRequest<'static> {
    PageRequest {
        log_group: GROUP,
        start: start(),
        end: now(),
        next_token: None,
    }
}

fn world(script: &Script) -> World {
    World::reading(Arc::new(script.source()), &[(GROUP, LogFormat::CDK)])
}

fn tokens(requests: &[Request]) -> Vec<Value> {
    let requests = requests.iter();
    requests
        .map(|request| request.body["nextToken"].clone())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_known_for_what_it_is_from_one_request() {
    let all = passing().into_iter().map(|answer| (answer, true));
    let all = all.chain(lasting().into_iter().map(|answer| (answer, false)));
    for (answer, may_pass) in all {
        let script = Script::new([], answer.clone());
        let error = script.source().fetch_page(first_page()).await.unwrap_err();
        let known = match &error {
            LogSourceError::Unavailable { log_group, .. } => may_pass && log_group == GROUP,
            LogSourceError::Refused { log_group, .. } => !may_pass && log_group == GROUP,
            LogSourceError::GroupNotFound(_) => false,
        };
        assert!(known, "{answer:?}: {error:?}");
        assert_eq!(error.is_transient(), may_pass, "{answer:?}");
        let requests = script.take_requests().len();
        assert_eq!(requests, 1, "the SDK itself does not repeat: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_what_went_wrong() {
    for (answer, words) in [
        (
            Answer::error(400, "AccessDeniedException"),
            "AccessDeniedException",
        ),
        (
            Answer::error(400, "ThrottlingException"),
            "as the test asked for",
        ),
        (Answer::Broken, "connection reset"),
        (Answer::Silence, "timeout"),
    ] {
        let script = Script::new([], answer);
        let error = script.source().fetch_page(first_page()).await.unwrap_err();
        let chain = error_chain(&error);
        assert!(chain.contains(GROUP) && chain.contains(words), "{chain}");
        // What a client of the summary sees has nothing of the inside.
        assert!(!error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_asked_for_five_times_with_growing_waits() {
    for answer in passing() {
        let script = Script::new([], answer.clone());
        let world = world(&script);
        let summary = world.sweep(now(), None).await;

        let requests = script.take_requests();
        assert_eq!(requests.len(), 5, "{answer:?}");
        let unanswered = match answer {
            Answer::Silence => PATIENCE,
            _ => Duration::ZERO,
        };
        for (pair, seconds) in requests.windows(2).zip([1, 2, 4, 8]) {
            let wait = pair[1].at - pair[0].at - unanswered;
            let longest = Duration::from_secs(seconds);
            assert!(
                longest / 2 <= wait + SLACK && wait <= longest + SLACK,
                "{answer:?}: {wait:?}"
            );
        }
        assert_eq!(summary.totals().retries, 4, "{answer:?}");
        assert!(!summary.totals().complete && summary.fallback_used);
        assert!(summary.groups[0].error.is_some());

        // Once it has passed, nothing is lost.
        script.change(deploy());
        let totals = world.sweep(now(), None).await.totals();
        assert!(totals.complete && totals.retries == 0, "{answer:?}");
        assert_eq!(world.tasks().await[0].status, TaskStatus::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_asked_for_once() {
    for answer in lasting() {
        let script = Script::new([], answer.clone());
        let started = Instant::now();
        let summary = world(&script).sweep(now(), None).await;
        assert_eq!(script.take_requests().len(), 1, "{answer:?}");
        assert_eq!(started.elapsed(), Duration::ZERO, "{answer:?}");
        assert_eq!(summary.totals().retries, 0, "{answer:?}");
        assert!(!summary.totals().complete && summary.fallback_used);
        assert!(summary.groups[0].error.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_group_that_is_missing_is_asked_for_once_and_is_no_fault() {
    let script = Script::new([], Answer::error(400, "ResourceNotFoundException"));
    let error = script.source().fetch_page(first_page()).await.unwrap_err();
    assert!(matches!(&error, LogSourceError::GroupNotFound(group) if group == GROUP));
    assert!(!error.is_transient());
    assert_eq!(script.take_requests().len(), 1);

    let summary = world(&script).sweep(now(), None).await;
    assert_eq!(script.take_requests().len(), 1);
    assert!(summary.totals().complete && !summary.fallback_used);
    assert_eq!(summary.groups[0].error, None);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_repeated_asks_for_the_same_page() {
    let script = Script::new(
        [
            Answer::error(400, "ThrottlingException"),
            Answer::Silence,
            Answer::page(start(), &DEPLOY[..2], Some("second page")),
            Answer::error(503, "ServiceUnavailableException"),
            Answer::Broken,
            Answer::http(200, "{"),
            deploy(),
        ],
        Answer::error(400, "InvalidParameterException"),
    );
    let world = world(&script);
    let totals = world.sweep(now(), None).await.totals();
    assert!(totals.complete);
    // Each page has attempts of its own.
    assert_eq!((totals.retries, totals.events), (5, 6));
    let requests = script.take_requests();
    let (first, second) = (Value::Null, json!("second page"));
    let asked = [&first, &first, &first, &second, &second, &second, &second];
    assert!(tokens(&requests).iter().eq(asked));
    let windows = requests.iter().map(|request| {
        let field = |name: &str| request.body[name].clone();
        (field("logGroupName"), field("startTime"), field("endTime"))
    });
    let windows: Vec<_> = windows.collect();
    assert_eq!(windows[0].0, GROUP);
    assert!(windows.iter().all(|window| *window == windows[0]));
    assert_eq!(world.tasks().await[0].status, TaskStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn pages_without_events_are_passed_until_there_is_no_token() {
    let empty = |token| Answer::page(start(), &[], Some(token));
    let script = Script::new(
        [
            empty("a"),
            Answer::http(200, r#"{"nextToken":"b"}"#),
            Answer::page(start(), &DEPLOY, Some("c")),
            empty("d"),
            Answer::http(200, "{}"),
        ],
        Answer::error(400, "InvalidParameterException"),
    );
    let world = world(&script);
    let totals = world.sweep(now(), None).await.totals();
    assert!(totals.complete);
    assert_eq!((totals.events, totals.retries), (4, 0));
    let asked = tokens(&script.take_requests());
    assert_eq!(
        asked,
        [Value::Null, json!("a"), json!("b"), json!("c"), json!("d")]
    );
    assert_eq!(world.tasks().await[0].status, TaskStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn silence_does_not_outlast_the_invocation_nor_lose_what_was_read() {
    let first = Answer::page(start(), &DEPLOY, Some("more"));
    let script = Script::new([first], Answer::Silence);
    let world = world(&script);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(20);
    let summary = world.sweep(now(), Some(deadline)).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(!summary.groups[0].complete);
    assert_eq!(world.tasks().await[0].status, TaskStatus::Completed);
    // The first page, one attempt in vain, and one that was under way.
    assert_eq!(script.take_requests().len(), 3);

    // Once it speaks again, the rest is read.
    script.change(Answer::page(start(), &["Web: deploying... [1/1]"], None));
    assert!(world.sweep(now(), None).await.groups[0].complete);
    assert!(world.tasks().await[0].parts.contains_key("Web"));
}
