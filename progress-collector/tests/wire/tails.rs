//! The ends of log streams, read from an emulator of CloudWatch Logs.

use shared::log_parser::LogFormat;
use shared::log_source::{CloudWatchTailSource, LogSourceError, TailRequest, TailSource};
use shared::log_tail::MOST_TAIL_LINES;
use shared::model::Timestamp;

use crate::log_group::LogGroup;

/// The texts of the last lines of the stream `main`, from `from_ms` to `to_ms` after `start`.
async fn tail(
    group: &LogGroup,
    start: Timestamp,
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<String>, LogSourceError> {
    let client = group.client.clone();
    let at = |ms: i64| Timestamp::from_millis(start.as_millis() + ms);
    let request = TailRequest {
        log_group: &group.name,
        log_stream: "main",
        start: at(from_ms),
        end: at(to_ms),
    };
    let source = CloudWatchTailSource::new(move || client);
    let lines = source.fetch_tail(request);
    Ok(lines.await?.into_iter().map(|line| line.text).collect())
}

/// Ten minutes ago. CloudWatch Logs rejects events that are too old or too new.
fn start() -> Timestamp {
    Timestamp::from_millis(Timestamp::now().as_millis() - 600_000)
}

#[tokio::test]
async fn the_end_of_one_stream_is_read() {
    let start = start();
    let group = LogGroup::create("/tails/end", &["main", "other"]).await;
    let at = |ms: i64| Timestamp::from_millis(start.as_millis() + ms);
    let events = (0..500).map(|ms| (at(ms), format!("line {ms}")));
    group.put("main", events).await;
    group.put("other", [(at(450), "other".to_owned())]).await;
    let lines = tail(&group, start, (0, 60_000)).await.unwrap();
    assert_eq!(lines.len(), MOST_TAIL_LINES);
    assert_eq!((&*lines[0], &*lines[199]), ("line 300", "line 499"));
    assert_eq!(
        tail(&group, start, (3, 5)).await.unwrap(),
        ["line 3", "line 4", "line 5"]
    );
    assert!(tail(&group, start, (600, 700)).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_event_of_several_lines_is_several_lines() {
    let start = start();
    let group = LogGroup::create("/tails/lines", &["main"]).await;
    group.put("main", [(start, "one\r\ntwo\n")]).await;
    assert_eq!(tail(&group, start, (0, 1)).await.unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn a_stream_that_does_not_exist_is_not_found() {
    let mut group = LogGroup::create("/tails/none", &[]).await;
    let missing = tail(&group, start(), (0, 1)).await;
    assert!(
        matches!(missing, Err(LogSourceError::GroupNotFound(_))),
        "{missing:?}"
    );
    group.name = LogFormat::ANY.file_log_group.to_owned();
    let sent = tail(&group, start(), (0, 1)).await;
    assert!(
        matches!(sent, Err(LogSourceError::GroupNotFound(_))),
        "{sent:?}"
    );
}
