//! Tests of followed files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;

use shared::fold::LineKey;
use shared::log_event::LogEvent;

use super::*;

const FORMAT: LogFormat = LogFormat::CDK;

/// A time after the last modification of the files of a test.
fn later(ms: i64) -> Timestamp {
    Timestamp::from_millis(Timestamp::now().as_millis() + 100_000 + ms)
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

fn follow(path: &Path) -> FollowedFiles {
    let mut files = FollowedFiles::new(None);
    files.add_path(FORMAT, path).unwrap();
    files
}

/// The new events, as if nobody had told of changes. They are as of their own time, because each reading has another
/// time.
fn events(files: &mut FollowedFiles, now: Timestamp) -> Vec<LogEvent> {
    let mut events = Vec::new();
    files.look_at_all();
    while files.has_more() {
        events.extend(files.read(now).lines);
    }
    let events = events.into_iter().map(|(_, line)| LogEvent {
        ingested_at: line.event.timestamp,
        ..line.event
    });
    events.collect()
}

/// The texts of the new events.
fn texts(files: &mut FollowedFiles) -> Vec<String> {
    let events = events(files, later(0)).into_iter();
    events.map(|event| event.message).collect()
}

#[test]
fn each_line_that_is_not_blank_is_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    fs::write(&path, b"\xEF\xBB\xBFa\r\n\n  \nb\xFF\nc\n").unwrap();
    let events = events(&mut follow(&path), later(0));
    let texts: Vec<_> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(texts, ["a", "b\u{FFFD}", "c"]);
    assert!(events.iter().all(|event| event.log_stream == "deploy"));
    assert!(events.is_sorted_by(|one, other| one.event_id < other.event_id));
    assert!(events.iter().all(|event| event.event_id.len() == 38));
}

#[test]
fn long_lines_and_large_files_are_read_completely_by_turns() {
    let directory = tempfile::tempdir().unwrap();
    let text = "0123456789あ\n".repeat(200_000) + &"x".repeat(3_000_000) + "\n";
    fs::write(directory.path().join("large.log"), &text).unwrap();
    fs::write(directory.path().join("small.log"), "a\n").unwrap();
    let mut files = follow(directory.path());
    files.look_at_all();
    let mut turns = Vec::new();
    while files.has_more() {
        turns.push(files.read(later(0)).lines);
        let lines = turns.last().unwrap().len();
        assert!(lines <= 2 * 10_001, "{lines}");
    }
    let is_small = |line: &(LogFormat, FileLine)| line.1.event.log_stream == "small";
    assert!(turns[0].iter().any(is_small), "it waits for one turn only");
    let events = turns.concat().into_iter();
    let events: Vec<_> = events.filter(|event| !is_small(event)).collect();
    assert_eq!(events.len(), 200_000 + 3_000_000_usize.div_ceil(256 * 1024));
    let read: String = events
        .into_iter()
        .map(|(_, line)| line.event.message)
        .collect();
    assert!(read == text.replace('\n', ""));
}

#[test]
fn a_line_has_its_time_stamp_or_that_of_the_line_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    fs::write(&path, "a\n2025-11-15T10:00:20Z b\nc\n").unwrap();
    let mut files = follow(&path);
    let times = |events: Vec<LogEvent>| -> Vec<Timestamp> {
        events.into_iter().map(|event| event.timestamp).collect()
    };
    let modified = path.metadata().unwrap().modified().unwrap();
    let modified = Timestamp::from(chrono::DateTime::from(modified));
    let stamp: Timestamp = "2025-11-15T10:00:20Z".parse().unwrap();
    let before = times(events(&mut files, later(0)));
    assert_eq!(before, [modified, stamp, stamp]);
    append(&path, b"d\n");
    let now = later(7);
    assert_eq!(times(events(&mut files, now)), [now]);
}

#[test]
fn a_line_of_a_followed_file_is_an_event_once_it_has_its_line_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let mut files = follow(&path);
    assert_eq!(texts(&mut files), [""; 0]);
    append(&path, b"a\nb");
    assert_eq!(texts(&mut files), ["a"]);
    assert_eq!(texts(&mut files), [""; 0]);
    append(&path, b"b\r\n");
    assert_eq!(texts(&mut files), ["bb"]);
}

#[test]
fn an_emptied_file_is_read_again_with_new_event_ids() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    append(&path, b"first\nrun\n");
    let mut files = follow(&path);
    let first = events(&mut files, later(0));
    fs::write(&path, b"second\n").unwrap();
    let second = events(&mut files, later(1));
    assert_eq!(second[0].message, "second");
    assert_eq!(second.len(), 1);
    assert!(second[0].event_id > first[1].event_id);
}

#[test]
fn a_file_that_is_overwritten_with_at_least_its_size_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let overwrite = |text: &str| {
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let long = "line\n".repeat(10_000);
    append(&path, b"step 1\nstep 2\n");
    let mut files = follow(&path);
    assert_eq!(texts(&mut files).len(), 2);
    overwrite("step 1\nstep 3\n");
    // The system tells of it even if the time of modification is the same.
    files.changes().add(files.by_path.keys().cloned());
    files.look_at_changes();
    let read = files.read(later(0)).lines;
    assert_eq!(read.len(), 2, "of the same size");
    assert_eq!(read[1].1.event.message, "step 3");
    overwrite(&format!("step 4\nstep 3\n{long}"));
    assert_eq!(texts(&mut files).len(), 10_002, "larger");
    append(&path, b"more\n");
    assert_eq!(texts(&mut files), ["more"], "it was only extended");
    overwrite(&format!("step 4\nstep 3\n{}near", "line\n".repeat(3_000)));
    assert_eq!(texts(&mut files).len(), 10_003, "near the beginning");
}

#[cfg(unix)]
#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    append(&path, b"a\n");
    let mut files = follow(directory.path());
    assert_eq!(texts(&mut files), ["a"]);
    append(&path, b"b\nno end");
    fs::rename(&path, directory.path().join("deploy.log.1")).unwrap();
    assert_eq!(texts(&mut files), ["b"]);
    append(&path, b"c\n");
    assert_eq!(texts(&mut files), ["no end", "c"]);
    assert_eq!(files.log_streams(FORMAT).collect::<Vec<_>>(), ["deploy"]);
}

#[test]
fn new_files_in_a_directory_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = follow(directory.path());
    assert_eq!(texts(&mut files), [""; 0]);
    append(&directory.path().join("one.log"), b"1\n");
    append(&directory.path().join(".hidden"), b"2\n");
    append(&directory.path().join("one.log.gz"), b"3\n");
    append(&directory.path().join("one.txt"), b"4\n");
    assert_eq!(texts(&mut files).len(), 1);
    assert_eq!(files.log_streams(FORMAT).collect::<Vec<_>>(), ["one"]);
}

#[test]
fn the_same_files_are_found_whether_the_system_tells_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let mut told = follow(&root);
    let put = |name: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        append(&path, b"a\n");
        path
    };
    let names = [
        "deploy.log",
        "web/deploy.log",
        "web/api/deploy.log",
        ".git/x.log",
        "node_modules/x.log",
        "web/.x.log",
        "1/2/3/4/5/6/7/8/deep.log",
        "1/2/3/4/5/6/7/8/9/too-deep.log",
    ];
    let paths = names.map(put);
    told.changes().take();
    told.changes().add(paths);
    told.look_at_changes();
    let asked = follow(&root);
    let expected = [
        "1/2/3/4/5/6/7/8/deep",
        "deploy",
        "web/api/deploy",
        "web/deploy",
    ];
    for files in [&told, &asked] {
        assert_eq!(files.log_streams(FORMAT).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_path_that_appears_late_is_followed_as_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (file, folder) = (directory.path().join("a.log"), directory.path().join("b"));
    let mut files = FollowedFiles::new(None);
    for path in [&file, &folder] {
        files.add_path(FORMAT, path).unwrap();
    }
    assert_eq!(texts(&mut files), [""; 0]);
    append(&file, b"1\n");
    fs::create_dir(&folder).unwrap();
    assert_eq!(texts(&mut files), ["1"]);
    append(&folder.join("c.log"), b"2\n");
    assert_eq!(texts(&mut files), ["2"]);
    assert_eq!(files.log_streams(FORMAT).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn a_line_is_the_same_event_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let start = || {
        let first_seen = directory.path().join("first-seen");
        let mut files = FollowedFiles::new(Some(first_seen));
        files.add_path(FORMAT, &path).unwrap();
        files
    };
    append(&path, b"there before\n");
    let mut files = start();
    events(&mut files, later(0));
    append(&path, b"a\n");
    events(&mut files, later(1));
    fs::write(&path, b"anew\n").unwrap();
    let mut before = events(&mut files, later(2));
    append(&path, b"b\n");
    before.extend(events(&mut files, later(3)));
    assert_eq!(before.len(), 2);

    let mut restarted = start();
    assert_eq!(events(&mut restarted, later(10)), before);
    append(&path, b"c\n");
    let more = events(&mut restarted, later(11));
    assert_eq!(more.len(), 1);

    fs::write(&path, b"other\nb\nc\nand more\n").unwrap();
    let other = events(&mut start(), later(20));
    assert_eq!(other.len(), 4);
    assert!(other[0].event_id > more[0].event_id);
}

#[test]
fn lines_wait_until_it_can_be_kept_when_they_were_first_seen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    append(&path, b"a\n");
    let journals = directory.path().join("journals");
    let mut files = FollowedFiles::new(Some(journals.clone()));
    files.add_path(FORMAT, &path).unwrap();
    fs::write(&journals, "not a directory").unwrap();
    assert_eq!(texts(&mut files), [""; 0]);
    let error = files.files[0].last_error.clone().unwrap();
    assert!(error.contains("journals/deploy-"), "{error}");
    fs::remove_file(&journals).unwrap();
    assert_eq!(texts(&mut files), ["a"]);
}

#[test]
fn a_path_that_can_not_be_a_log_stream_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.log");
    let mut files = follow(&missing);
    let nowhere = directory.path().join("nowhere/missing.log");
    assert!(files.add_path(FORMAT, &nowhere).is_err());
    let twin = directory.path().join("missing.txt");
    let error = files.add_path(FORMAT, &twin).unwrap_err();
    let is_expected = matches!(error, FollowError::LogFile(LogFileError::SameStream { .. }));
    assert!(is_expected, "{error}");
}

#[test]
fn a_pipe_has_its_own_turns_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    append(&directory.path().join("a.log"), b"1\n");
    let mut files = follow(directory.path());
    let mut writer = tempfile::NamedTempFile::new().unwrap();
    let is_complete = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
    let spool = Spool {
        file: writer.reopen().unwrap(),
        is_complete: is_complete.clone(),
    };
    files.add_spool(FORMAT, "stdin", spool, later(0)).unwrap();
    writer.write_all(b"2\n").unwrap();
    files.look_at_all();
    assert_eq!(files.read(later(0)).pipe, None);
    let pipe = |is_at_end| Pipe {
        log_stream: "stdin".to_owned(),
        is_at_end,
    };
    let turn = files.read(later(0));
    assert_eq!((turn.lines.len(), turn.pipe), (1, Some(pipe(false))));
    writer.write_all(b"3\n").unwrap();
    is_complete.store(true, std::sync::atomic::Ordering::Release);
    files.changes().add([PathBuf::from("stdin")]);
    files.look_at_changes();
    let turn = files.read(later(0));
    assert_eq!((turn.lines.len(), turn.pipe), (1, Some(pipe(true))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_are_the_same_whether_a_file_grows_slowly_or_at_once(
        pieces in proptest::collection::vec("[a-z\r\n\u{e9}]{0,12}", 0..20),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grown.log");
        let mut following = follow(&path);
        let mut grown = Vec::new();
        for (piece, ms) in pieces.iter().zip(0..) {
            append(&path, piece.as_bytes());
            grown.extend(events(&mut following, later(ms)));
        }
        append(&path, b"\n");
        grown.extend(events(&mut following, later(100)));
        let at_once = events(&mut follow(&path), later(0));
        let texts = |events: &[LogEvent]| -> Vec<_> {
            let texts = events.iter();
            texts.map(|event| (event.event_id.clone(), event.message.clone())).collect()
        };
        prop_assert!(grown.is_sorted_by_key(|event| event.timestamp));
        prop_assert_eq!(texts(&grown), texts(&at_once));
    }
}

#[test]
fn a_file_in_utf_16_is_read_as_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let wide = |text: &str| {
        let units = text.encode_utf16();
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    append(&path, &wide("\u{feff}2025-11-15T10:00:00Z ✅  Api\r\nnext"));
    let mut files = follow(&path);
    let read = events(&mut files, later(0));
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].message, "2025-11-15T10:00:00Z ✅  Api");
    assert_eq!(read[0].timestamp, "2025-11-15T10:00:00Z".parse().unwrap());
    let rest = wide(" 日本\n");
    append(&path, &rest[..3]);
    assert_eq!(texts(&mut files), [""; 0]);
    append(&path, &rest[3..]);
    assert_eq!(texts(&mut files), ["next 日本"]);
    let plain = directory.path().join("plain.log");
    append(&plain, &wide("[1/2] red\r\n"));
    assert_eq!(texts(&mut follow(&plain)), ["[1/2] red"], "without a mark");
}

/// What a reading of the files says, with the keys that count.
fn keys(files: &mut FollowedFiles, now: Timestamp) -> Vec<(LineKey, String, [bool; 2])> {
    let mut lines = Vec::new();
    files.look_at_all();
    while files.has_more() {
        lines.extend(files.read(now).lines);
    }
    let lines = lines.into_iter().map(|(_, mut line)| {
        // As in `events`; the time of a line without its end is that of its reading.
        if line.event.timestamp != Timestamp::LATEST {
            line.event.ingested_at = line.event.timestamp;
        }
        let key = LineKey::of(&line.event, 0);
        (key, line.event.message, [line.is_restart, line.is_again])
    });
    lines.collect()
}

#[test]
fn a_last_line_without_its_end_counts_after_some_seconds_and_its_end_replaces_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let journals = directory.path().join("journals");
    let start = || {
        let mut files = FollowedFiles::new(Some(journals.clone()));
        files.add_path(FORMAT, &path).unwrap();
        files
    };
    append(&path, b"a\nStep 1/");
    let mut files = start();
    let first = keys(&mut files, later(0));
    assert_eq!(first.len(), 1);
    assert_eq!(keys(&mut files, later(2_900)), []);
    let mut readings = keys(&mut files, later(3_000));
    assert_eq!(keys(&mut files, later(9_000)), [], "it is read once");
    append(&path, b"2");
    assert_eq!(keys(&mut files, later(10_000)), [], "it has just grown");
    readings.extend(keys(&mut files, later(14_000)));
    let mut files = start();
    assert_eq!(keys(&mut files, later(20_000)), first);
    append(&path, b"0\nb\n");
    let last = keys(&mut files, later(21_000));
    readings.extend(last.iter().take(1).cloned());
    let texts: Vec<_> = readings.iter().map(|(_, text, _)| text.as_str()).collect();
    assert_eq!(texts, ["Step 1/", "Step 1/2", "Step 1/20"]);
    assert!(readings.is_sorted_by(|(one, ..), (next, ..)| one > next));
    assert!(first[0].0 < readings[2].0 && readings[0].0 < last[1].0);
    assert_eq!(readings[2].2, [false, true]);
    assert_eq!(last[1].2, [false, false]);
    let again = keys(&mut start(), later(30_000));
    assert_eq!(again, [first, last].concat(), "after a restart");
}

#[test]
fn blanks_without_a_line_end_are_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    append(&path, b"a\n  \r");
    let mut files = follow(&path);
    assert_eq!(keys(&mut files, later(0)).len(), 1);
    assert_eq!(keys(&mut files, later(1)), []);
    assert_eq!(keys(&mut files, later(5_000)), []);
    files.look_at_all();
    assert!(!files.has_more(), "it is not looked at again");
    append(&path, b"\nb\n");
    assert_eq!(keys(&mut files, later(6_000))[0].2, [false, false]);
}

#[test]
fn the_log_begins_anew_in_a_file_that_was_emptied_or_replaced_but_not_in_a_renamed_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let journals = directory.path().join("journals");
    let start = || {
        let mut files = FollowedFiles::new(Some(journals.clone()));
        files.add_path(FORMAT, &path).unwrap();
        files
    };
    let restarts = |files: &mut FollowedFiles, ms| {
        let lines = keys(files, later(ms)).into_iter();
        lines
            .map(|(_, _, [is_restart, _])| is_restart)
            .collect::<Vec<_>>()
    };
    append(&path, b"a\nb\n");
    let mut files = start();
    assert_eq!(restarts(&mut files, 0), [false, false]);
    fs::write(&path, "\nc\nd\n").unwrap();
    assert_eq!(restarts(&mut files, 1), [true, false]);
    assert_eq!(restarts(&mut start(), 2), [true, false]);
    append(&path, b"e\n");
    assert_eq!(restarts(&mut files, 3), [false]);
    fs::rename(&path, directory.path().join("deploy.log.1")).unwrap();
    append(&path, b"f\n");
    assert_eq!(restarts(&mut files, 4), [false]);
    assert_eq!(restarts(&mut start(), 5), [false]);
    let other = directory.path().join("other");
    append(&other, b"g\n");
    fs::rename(&other, &path).unwrap();
    assert_eq!(restarts(&mut files, 6), [true]);
}
