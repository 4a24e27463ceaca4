//! Log events, read from an emulator of CloudWatch Logs.

use std::collections::BTreeMap;

use shared::fold::LineKey;
use shared::log_event::LogEvent;
use shared::log_source::{CloudWatchLogSource, LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::Timestamp;

use crate::client::with_pages_of;
use crate::log_group::{LogGroup, pages};

/// Ten minutes ago. CloudWatch Logs rejects events that are too old or too new.
fn start() -> Timestamp {
    after(Timestamp::now(), -600_000)
}

fn after(moment: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(moment.as_millis() + ms)
}

fn events_of(pages: Vec<LogPage>) -> Vec<LogEvent> {
    pages.into_iter().flat_map(|page| page.events).collect()
}

fn messages(events: &[LogEvent]) -> Vec<&str> {
    events.iter().map(|event| event.message.as_str()).collect()
}

#[tokio::test]
async fn every_page_is_read_to_the_end() {
    let start = start();
    let group = LogGroup::create("/reading/pages", &["main"]).await;
    let lines: Vec<_> = (0..100).map(|number| format!("line {number}")).collect();
    let events = (0..).map(|index| after(start, index / 3)).zip(&lines);
    group.put("main", events).await;

    let source = CloudWatchLogSource::new(with_pages_of(7, &group.client));
    let pages = pages(&source, &group.name, start, after(start, 60_000)).await;
    assert_eq!(pages.len(), 15);
    assert!(pages.iter().all(|page| page.events.len() <= 7));
    assert_eq!(messages(&events_of(pages)), lines);
}

#[tokio::test]
async fn events_of_more_than_one_full_page_are_all_read() {
    const EVENTS: i64 = 20_001;
    let start = start();
    let group = LogGroup::create("/reading/large", &["main"]).await;
    let events = (0..EVENTS).map(|number| (after(start, number), number.to_string()));
    group.put("main", events).await;

    let end = after(start, EVENTS);
    let pages = pages(&group.source(), &group.name, start, end).await;
    let sizes: Vec<_> = pages.iter().map(|page| page.events.len()).collect();
    assert_eq!(sizes, [10_000, 10_000, 1]);
    let numbers = events_of(pages).into_iter();
    assert!(
        numbers
            .map(|event| event.message.parse())
            .eq((0..EVENTS).map(Ok))
    );
}

#[tokio::test]
async fn a_window_includes_both_ends_and_nothing_else() {
    let start = start();
    let group = LogGroup::create("/reading/window", &["main"]).await;
    let events = [-1, 0, 3, 5, 6].map(|ms| (after(start, ms), format!("{ms} ms")));
    group.put("main", events).await;

    for (from_ms, to_ms, expected) in [
        (0, 5, vec!["0 ms", "3 ms", "5 ms"]),
        (5, 5, vec!["5 ms"]),
        (4, 4, vec![]),
        (6, 60_000, vec!["6 ms"]),
        (-1, 0, vec!["-1 ms", "0 ms"]),
    ] {
        let (from, to) = (after(start, from_ms), after(start, to_ms));
        let pages = pages(&group.source(), &group.name, from, to).await;
        let read = events_of(pages);
        assert_eq!(messages(&read), expected, "{from_ms} to {to_ms} ms");
    }
}

#[tokio::test]
async fn a_missing_log_group_is_not_found_and_one_without_streams_is_empty() {
    let group = LogGroup::create("/reading/empty", &[]).await;
    let start = start();
    let request = |log_group| PageRequest {
        log_group,
        start,
        end: after(start, 60_000),
        next_token: None,
    };
    let missing = group.source().fetch_page(request("/reading/missing")).await;
    assert!(
        matches!(&missing, Err(LogSourceError::GroupNotFound(name)) if name == "/reading/missing"),
        "{missing:?}"
    );
    let empty = group.source().fetch_page(request(&group.name)).await;
    assert_eq!(empty.unwrap(), LogPage::default());
}

#[tokio::test]
async fn an_event_that_is_read_again_has_the_same_id_and_line_key() {
    let start = start();
    let group = LogGroup::create("/reading/again", &["main"]).await;
    // Most events have the same millisecond, so only their ids order them.
    let events = (0..30).map(|number| (after(start, number / 25), number.to_string()));
    group.put("main", events).await;

    let end = after(start, 60_000);
    let first = events_of(pages(&group.source(), &group.name, start, end).await);
    // The second read has other pages and one more event.
    group.put("main", [(after(start, 2), "later")]).await;
    let source = CloudWatchLogSource::new(with_pages_of(4, &group.client));
    let mut second = events_of(pages(&source, &group.name, start, end).await);
    assert_eq!(second.pop().unwrap().message, "later");
    assert_eq!(first, second);

    let line_keys = |events: &[LogEvent]| -> Vec<LineKey> {
        events.iter().map(|event| LineKey::of(event, 0)).collect()
    };
    assert_eq!(line_keys(&first), line_keys(&second));
    let in_order = line_keys(&first);
    assert!(in_order.is_sorted_by(|one, other| one < other));
}

#[tokio::test]
async fn each_log_stream_is_read_in_order() {
    let start = start();
    let streams = ["deploy-1", "deploy-2", "task-7"];
    let group = LogGroup::create("/reading/streams", &streams).await;
    let lines = |stream: &str| -> Vec<String> {
        (0..10).map(|number| format!("{stream} {number}")).collect()
    };
    for stream in streams {
        let times = (0..).map(|index| after(start, index * 100));
        group.put(stream, times.zip(lines(stream))).await;
    }

    let source = CloudWatchLogSource::new(with_pages_of(4, &group.client));
    let read = events_of(pages(&source, &group.name, start, after(start, 60_000)).await);
    let mut by_stream: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in read {
        by_stream
            .entry(event.log_stream)
            .or_default()
            .push(event.message);
    }
    let expected = streams.map(|stream| (stream.to_owned(), lines(stream)));
    assert_eq!(by_stream, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_message_is_read_as_it_was_written() {
    let start = start();
    let group = LogGroup::create("/reading/messages", &["main"]).await;
    let long = "x".repeat(200_000);
    let written = [
        " ✅  Api",
        "\u{1b}[32mgreen\u{1b}[0m \u{0} \u{7f} \"quoted\" \\ </script>",
        "two\r\nlines\n",
        " ",
        &long,
    ];
    let events = (0..).map(|index| after(start, index)).zip(written);
    group.put("main", events).await;
    let read = events_of(pages(&group.source(), &group.name, start, after(start, 60_000)).await);
    assert_eq!(messages(&read), written);
}
