//! Tests of the file log source.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;

use super::*;

const GROUP: &str = "/local/cdk";

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A time after the last modification of the files of a test.
fn later(ms: i64) -> Timestamp {
    at(Timestamp::now().as_millis() + 100_000 + ms)
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

async fn window(source: &FileLogSource, start: Timestamp, end: Timestamp) -> Vec<LogEvent> {
    let (mut events, mut page_token) = (Vec::new(), None::<String>);
    loop {
        let request = PageRequest {
            log_group: GROUP,
            start,
            end,
            next_token: page_token.as_deref(),
        };
        let page = source.fetch_page(request).await.unwrap();
        assert!(page.events.len() < 2 * PAGE_EVENTS, "{}", page.events.len());
        events.extend(page.events);
        page_token = page.next_token;
        if page_token.is_none() {
            return events;
        }
    }
}

/// All events. They are as of their own time, because each reading has another time.
async fn all(source: &FileLogSource) -> Vec<LogEvent> {
    let events = window(source, at(0), at(i64::MAX)).await.into_iter();
    let as_of_its_time = |event: LogEvent| LogEvent {
        ingested_at: event.timestamp,
        ..event
    };
    events.map(as_of_its_time).collect()
}

async fn messages(source: &FileLogSource) -> Vec<String> {
    let events = all(source).await;
    events.into_iter().map(|event| event.message).collect()
}

#[tokio::test]
async fn each_line_that_is_not_blank_is_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    fs::write(&path, b"\xEF\xBB\xBFa\r\n\n  \nb\xFF\nc\n").unwrap();
    let source = FileLogSource::new(None);
    source.add_path(GROUP, &path).unwrap();
    source.poll(later(0));
    let events = all(&source).await;
    let texts: Vec<_> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(texts, ["a", "b\u{FFFD}", "c"]);
    assert!(events.iter().all(|event| event.log_stream == "deploy"));
    assert!(events.is_sorted_by(|one, other| one.event_id < other.event_id));
    assert!(events.iter().all(|event| event.event_id.len() == 38));
}

#[tokio::test]
async fn pages_have_each_line_of_each_stream_once() {
    let directory = tempfile::tempdir().unwrap();
    let source = FileLogSource::new(None);
    let mut expected = Vec::new();
    for stream in ["a", "b:c", "d"] {
        let lines: Vec<_> = (0..25_000).map(|n| format!("{stream} {n}")).collect();
        let path = directory.path().join(format!("{stream}.log"));
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        expected.extend(lines);
    }
    source.add_path(GROUP, directory.path()).unwrap();
    source.poll(later(0));
    let events = all(&source).await;
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| &event.event_id).collect();
    assert_eq!(ids.len(), events.len());
    let texts: Vec<_> = events.into_iter().map(|event| event.message).collect();
    assert!(texts == expected);
}

#[tokio::test]
async fn long_lines_and_large_files_are_read_completely() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.log");
    let text = "0123456789あ\n".repeat(200_000) + &"x".repeat(3_000_000) + "\n";
    fs::write(&path, &text).unwrap();
    let source = FileLogSource::new(None);
    source.add_path(GROUP, &path).unwrap();
    source.poll(later(0));
    let read = messages(&source).await;
    assert_eq!(read.len(), 200_000 + 3_000_000_usize.div_ceil(256 * 1024));
    assert!(read.concat() == text.replace('\n', ""));
}

#[tokio::test]
async fn a_window_has_only_the_lines_of_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let lines: String = (10..60)
        .map(|second| format!("2025-11-15T10:00:{second}Z {second}\n"))
        .collect();
    fs::write(&path, lines).unwrap();
    let source = FileLogSource::new(None);
    source.add_path(GROUP, &path).unwrap();
    let found = source.poll(later(0));
    let moment = |second: u32| format!("2025-11-15T10:00:{second}Z").parse().unwrap();
    let expected = NewEvents {
        log_group: GROUP.to_owned(),
        earliest: moment(10),
        latest: moment(59),
    };
    assert_eq!(found, [expected]);
    assert_eq!(window(&source, moment(20), moment(29)).await.len(), 10);
    assert_eq!(source.poll(later(1)), []);
}

#[tokio::test]
async fn a_line_of_a_followed_file_is_an_event_once_it_has_its_line_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let source = FileLogSource::new(None);
    source.add_path(GROUP, &path).unwrap();
    assert_eq!(source.poll(later(0)), []);
    append(&path, b"a\nb");
    assert_eq!(source.poll(later(1)).len(), 1);
    assert_eq!(messages(&source).await, ["a"]);
    assert_eq!(source.poll(later(2)), []);
    append(&path, b"b\r\n");
    let found = source.poll(later(3));
    assert_eq!(messages(&source).await, ["a", "bb"]);
    let new = window(&source, found[0].earliest, found[0].latest).await;
    assert_eq!(new.len(), 1);
    assert_eq!(new[0].timestamp, found[0].latest);
}

#[tokio::test]
async fn an_emptied_file_is_read_again_with_new_event_ids() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    append(&path, b"first\nrun\n");
    let source = FileLogSource::new(None);
    source.add_path(GROUP, &path).unwrap();
    source.poll(later(0));
    let first = all(&source).await;
    fs::write(&path, b"second\n").unwrap();
    source.poll(later(1));
    let second = all(&source).await;
    assert_eq!(second[0].message, "second");
    assert_eq!(second.len(), 1);
    assert!(second[0].event_id > first[1].event_id);
}

#[cfg(unix)]
#[tokio::test]
async fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    append(&path, b"a\n");
    let source = FileLogSource::new(None);
    source.add_path(GROUP, directory.path()).unwrap();
    source.poll(later(0));
    append(&path, b"b\nno end");
    fs::rename(&path, directory.path().join("deploy.log.1")).unwrap();
    assert_eq!(source.poll(later(1)).len(), 1);
    append(&path, b"c\n");
    source.poll(later(2));
    assert_eq!(messages(&source).await, ["a", "b", "no end", "c"]);
    assert_eq!(source.log_streams(GROUP), ["deploy"]);
}

#[tokio::test]
async fn new_files_in_a_directory_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let source = FileLogSource::new(None);
    source.add_path(GROUP, directory.path()).unwrap();
    assert_eq!(source.poll(later(0)), []);
    append(&directory.path().join("one.log"), b"1\n");
    append(&directory.path().join(".hidden"), b"2\n");
    append(&directory.path().join("one.log.gz"), b"3\n");
    append(&directory.path().join("one.txt"), b"4\n");
    source.poll(later(1));
    assert_eq!(source.log_streams(GROUP), ["one"]);
    assert_eq!(messages(&source).await, ["1"]);
}

#[tokio::test]
async fn a_line_is_the_same_event_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let start = || {
        let first_seen = directory.path().join("first-seen");
        let source = FileLogSource::new(Some(first_seen));
        source.add_path(GROUP, &path).unwrap();
        source
    };
    append(&path, b"there before\n");
    let source = start();
    source.poll(later(0));
    append(&path, b"a\n");
    source.poll(later(1));
    fs::write(&path, b"anew\n").unwrap();
    source.poll(later(2));
    append(&path, b"b\n");
    source.poll(later(3));
    let before = all(&source).await;
    assert_eq!(before.len(), 2);

    let restarted = start();
    assert_eq!(restarted.poll(later(10)).len(), 1);
    assert_eq!(all(&restarted).await, before);
    append(&path, b"c\n");
    restarted.poll(later(11));
    let more = all(&restarted).await;
    assert_eq!(more[..2], before);

    fs::write(&path, b"other\nb\nc\nand more\n").unwrap();
    let other = start();
    other.poll(later(20));
    let events = all(&other).await;
    assert_eq!(events.len(), 4);
    assert!(events[0].event_id > more[2].event_id);
}

#[tokio::test]
async fn a_path_that_can_not_be_a_log_stream_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.log");
    let following = FileLogSource::new(None);
    following.add_path(GROUP, &missing).unwrap();
    let nowhere = directory.path().join("nowhere/missing.log");
    assert!(following.add_path(GROUP, &nowhere).is_err());
    let twin = directory.path().join("missing.txt");
    let error = following.add_path(GROUP, &twin).unwrap_err();
    let is_expected = matches!(
        error,
        FileLogError::LogFile(LogFileError::SameStream { .. })
    );
    assert!(is_expected, "{error}");

    let request = |log_group, next_token| PageRequest {
        log_group,
        start: at(0),
        end: at(1),
        next_token,
    };
    let refused = following.fetch_page(request(GROUP, Some("x"))).await;
    assert!(matches!(refused, Err(LogSourceError::Refused { .. })));
    let unknown = following.fetch_page(request("/other", None)).await;
    assert!(matches!(unknown, Err(LogSourceError::GroupNotFound(_))));
}

/// All events, read without an async runtime.
fn all_at_once(source: &FileLogSource) -> Vec<LogEvent> {
    let mut request = OwnedRequest {
        log_group: GROUP.to_owned(),
        start: at(0),
        end: at(i64::MAX),
        after: None,
    };
    let mut events = Vec::new();
    loop {
        let page = source.read_page(&request).unwrap();
        events.extend(page.events);
        let Some(page_token) = page.next_token else {
            return events;
        };
        request.after = Some(page_token.parse().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_are_the_same_whether_a_file_grows_slowly_or_at_once(
        pieces in proptest::collection::vec("[a-z\r\n\u{e9}]{0,12}", 0..20),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grown.log");
        let following = FileLogSource::new(None);
        following.add_path(GROUP, &path).unwrap();
        for (piece, ms) in pieces.iter().zip(0..) {
            append(&path, piece.as_bytes());
            following.poll(later(ms));
        }
        append(&path, b"\n");
        following.poll(later(100));
        let whole = FileLogSource::new(None);
        whole.add_path(GROUP, &path).unwrap();
        whole.poll(later(0));
        let texts = |events: Vec<LogEvent>| -> Vec<_> {
            let texts = events.into_iter();
            texts.map(|event| (event.event_id, event.message)).collect()
        };
        let (grown, at_once) = (all_at_once(&following), all_at_once(&whole));
        prop_assert!(grown.is_sorted_by_key(|event| event.timestamp));
        prop_assert_eq!(texts(grown), texts(at_once));
    }
}

#[tokio::test]
async fn a_file_in_utf_16_is_read_as_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let wide = |text: &str| {
        let units = text.encode_utf16();
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    append(&path, &wide("\u{feff}2025-11-15T10:00:00Z ✅  Api\r\nnext"));
    let source = FileLogSource::new(None);
    source.add_path(GROUP, &path).unwrap();
    source.poll(later(0));
    let events = all(&source).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].message, "2025-11-15T10:00:00Z ✅  Api");
    assert_eq!(events[0].timestamp, "2025-11-15T10:00:00Z".parse().unwrap());
    let rest = wide(" 日本\n");
    append(&path, &rest[..3]);
    source.poll(later(1));
    append(&path, &rest[3..]);
    source.poll(later(2));
    let texts = messages(&source).await;
    assert_eq!(texts, ["2025-11-15T10:00:00Z ✅  Api", "next 日本"]);
}

#[tokio::test]
async fn directories_below_a_directory_are_searched() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        append(&path, b"a\n");
    };
    for name in [
        "deploy.log",
        "web/deploy.log",
        "web/api/deploy.log",
        ".git/x.log",
    ] {
        put(name);
    }
    let source = FileLogSource::new(None);
    source.add_path(GROUP, directory.path()).unwrap();
    let streams = ["deploy", "web/api/deploy", "web/deploy"];
    assert_eq!(source.log_streams(GROUP), streams);
    put("late/deploy.log");
    source.poll(later(0));
    assert_eq!(source.log_streams(GROUP).len(), 4);
    assert_eq!(messages(&source).await.len(), 4);
}
