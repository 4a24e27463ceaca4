//! Failures of CloudWatch Logs, and how the collector handles them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::error::error_chain;
use shared::log_parser::LogFormat;
use shared::log_source::{LogSource, LogSourceError, PageRequest};
use shared::model::{TaskStatus, Timestamp};
use tokio::time::Instant;

use crate::harness::Harness;
use crate::scripted::{Request, Response, Script};

const GROUP: &str = "/miyabi/cdk";
/// The timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The lateness of timers that the tests allow.
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
fn deploy() -> Response {
    Response::page(start(), &DEPLOY, None)
}

/// Responses of failures that may pass.
fn transient() -> Vec<Response> {
    vec![
        Response::error(400, "ThrottlingException"),
        Response::error(400, "com.amazonaws.logs#ThrottlingException"),
        Response::error(400, "LimitExceededException"),
        Response::error(400, "ExpiredTokenException"),
        Response::error(408, "RequestTimeoutException"),
        Response::error(500, "InternalFailure"),
        Response::error(503, "ServiceUnavailableException"),
        // From a proxy, which does not use the format of AWS.
        Response::http(408, ""),
        Response::http(429, "slow down"),
        Response::http(500, ""),
        Response::http(502, "<html><body>Bad Gateway</body></html>"),
        Response::http(200, "<html><body>Please log in</body></html>"),
        Response::http(200, r#"{"events":[{"eventId":"#),
        Response::http(200, r#"{"events":"none"}"#),
        Response::Broken,
        Response::Never,
    ]
}

/// Responses of failures that a retry does not fix.
fn permanent() -> Vec<Response> {
    vec![
        Response::error(400, "AccessDeniedException"),
        Response::error(400, "InvalidParameterException"),
        Response::error(400, "com.amazonaws.logs#InvalidParameterException"),
        Response::error(400, "UnrecognizedClientException"),
        Response::error(400, "ValidationException"),
        Response::error(403, "InvalidSignatureException"),
        Response::http(403, "<html><body>Forbidden</body></html>"),
        Response::http(404, ""),
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

fn harness(script: &Script) -> Harness {
    Harness::reading(Arc::new(script.source()), &[(GROUP, LogFormat::CDK)])
}

fn page_tokens(requests: &[Request]) -> Vec<Value> {
    let requests = requests.iter();
    requests
        .map(|request| request.body["nextToken"].clone())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_classified_after_one_request() {
    let transient = transient().into_iter().map(|response| (response, true));
    let permanent = permanent().into_iter().map(|response| (response, false));
    for (response, is_transient) in transient.chain(permanent) {
        let script = Script::new([], response.clone());
        let error = script.source().fetch_page(first_page()).await.unwrap_err();
        let is_classified = match &error {
            LogSourceError::Unavailable { log_group, .. } => is_transient && log_group == GROUP,
            LogSourceError::Refused { log_group, .. } => !is_transient && log_group == GROUP,
            LogSourceError::GroupNotFound(_) => false,
        };
        assert!(is_classified, "{response:?}: {error:?}");
        assert_eq!(error.is_transient(), is_transient, "{response:?}");
        let requests = script.take_requests().len();
        assert_eq!(requests, 1, "the SDK must not retry: {response:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_has_the_cause_and_the_summary_has_not() {
    for (response, words) in [
        (
            Response::error(400, "AccessDeniedException"),
            "AccessDeniedException",
        ),
        (
            Response::error(400, "ThrottlingException"),
            "injected by the test",
        ),
        (Response::Broken, "connection reset"),
        (Response::Never, "timeout"),
    ] {
        let script = Script::new([], response);
        let error = script.source().fetch_page(first_page()).await.unwrap_err();
        let chain = error_chain(&error);
        assert!(chain.contains(GROUP) && chain.contains(words), "{chain}");
        // The summary has the outermost message only.
        assert!(!error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_tried_five_times_with_growing_waits() {
    for response in transient() {
        let script = Script::new([], response.clone());
        let harness = harness(&script);
        let summary = harness.sweep(now(), None).await;

        let requests = script.take_requests();
        assert_eq!(requests.len(), 5, "{response:?}");
        let unanswered = match response {
            Response::Never => REQUEST_TIMEOUT,
            _ => Duration::ZERO,
        };
        for (pair, seconds) in requests.windows(2).zip([1, 2, 4, 8]) {
            let wait = pair[1].at - pair[0].at - unanswered;
            let longest = Duration::from_secs(seconds);
            assert!(
                longest / 2 <= wait + SLACK && wait <= longest + SLACK,
                "{response:?}: {wait:?}"
            );
        }
        assert_eq!(summary.totals().retries, 4, "{response:?}");
        assert!(!summary.totals().complete && summary.fallback_used);
        assert!(summary.groups[0].error.is_some());

        // After the failure nothing is lost.
        script.change(deploy());
        let totals = harness.sweep(now(), None).await.totals();
        assert!(totals.complete && totals.retries == 0, "{response:?}");
        assert_eq!(harness.tasks().await[0].status, TaskStatus::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_tried_once() {
    for response in permanent() {
        let script = Script::new([], response.clone());
        let started = Instant::now();
        let summary = harness(&script).sweep(now(), None).await;
        assert_eq!(script.take_requests().len(), 1, "{response:?}");
        assert_eq!(started.elapsed(), Duration::ZERO, "{response:?}");
        assert_eq!(summary.totals().retries, 0, "{response:?}");
        assert!(!summary.totals().complete && summary.fallback_used);
        assert!(summary.groups[0].error.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_log_group_is_requested_once_and_is_no_failure() {
    let script = Script::new([], Response::error(400, "ResourceNotFoundException"));
    let error = script.source().fetch_page(first_page()).await.unwrap_err();
    assert!(matches!(&error, LogSourceError::GroupNotFound(group) if group == GROUP));
    assert!(!error.is_transient());
    assert_eq!(script.take_requests().len(), 1);

    let summary = harness(&script).sweep(now(), None).await;
    assert_eq!(script.take_requests().len(), 1);
    assert!(summary.totals().complete && !summary.fallback_used);
    assert_eq!(summary.groups[0].error, None);
}

#[tokio::test(start_paused = true)]
async fn a_retry_requests_the_same_page() {
    let script = Script::new(
        [
            Response::error(400, "ThrottlingException"),
            Response::Never,
            Response::page(start(), &DEPLOY[..2], Some("second page")),
            Response::error(503, "ServiceUnavailableException"),
            Response::Broken,
            Response::http(200, "{"),
            deploy(),
        ],
        Response::error(400, "InvalidParameterException"),
    );
    let harness = harness(&script);
    let totals = harness.sweep(now(), None).await.totals();
    assert!(totals.complete);
    // Each page has five attempts of its own.
    assert_eq!((totals.retries, totals.log_events), (5, 6));
    let requests = script.take_requests();
    let (first, second) = (Value::Null, json!("second page"));
    let asked = [&first, &first, &first, &second, &second, &second, &second];
    assert!(page_tokens(&requests).iter().eq(asked));
    let windows = requests.iter().map(|request| {
        let field = |name: &str| request.body[name].clone();
        (field("logGroupName"), field("startTime"), field("endTime"))
    });
    let windows: Vec<_> = windows.collect();
    assert_eq!(windows[0].0, GROUP);
    assert!(windows.iter().all(|window| *window == windows[0]));
    assert_eq!(harness.tasks().await[0].status, TaskStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn pages_without_events_are_skipped_until_there_is_no_page_token() {
    let empty = |token| Response::page(start(), &[], Some(token));
    let script = Script::new(
        [
            empty("a"),
            Response::http(200, r#"{"nextToken":"b"}"#),
            Response::page(start(), &DEPLOY, Some("c")),
            empty("d"),
            Response::http(200, "{}"),
        ],
        Response::error(400, "InvalidParameterException"),
    );
    let harness = harness(&script);
    let totals = harness.sweep(now(), None).await.totals();
    assert!(totals.complete);
    assert_eq!((totals.log_events, totals.retries), (4, 0));
    let asked = page_tokens(&script.take_requests());
    assert_eq!(
        asked,
        [Value::Null, json!("a"), json!("b"), json!("c"), json!("d")]
    );
    assert_eq!(harness.tasks().await[0].status, TaskStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_missing_response_neither_outlasts_the_invocation_nor_loses_events() {
    let first = Response::page(start(), &DEPLOY, Some("more"));
    let script = Script::new([first], Response::Never);
    let harness = harness(&script);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(20);
    let summary = harness.sweep(now(), Some(deadline)).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(!summary.groups[0].complete);
    assert_eq!(harness.tasks().await[0].status, TaskStatus::Completed);
    // The first page, one attempt that timed out, and one that the deadline cut off.
    assert_eq!(script.take_requests().len(), 3);

    // After the failure the rest is read.
    let later = start().after(Duration::from_secs(10));
    script.change(Response::page(later, &["Web: deploying... [1/1]"], None));
    assert!(harness.sweep(now(), None).await.groups[0].complete);
    assert!(harness.tasks().await[0].parts.contains_key("Web"));
}
