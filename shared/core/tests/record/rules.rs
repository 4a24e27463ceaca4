//! Rules of the record, each shown by an example.

use std::time::Duration;

use progress_core::fold::{CallerEdit, Fact, KeyedFact, LineKey, SessionKey};
use progress_core::log_event::LogEvent;
use progress_core::log_parser::{LogFormat, parse_message};
use progress_core::model::{MAX_CAUSE_BYTES, Progress, Revision, TaskStatus, TaskType, Timestamp};
use progress_core::record::{CallerFields, HeadState, Outcome, delete_earlier};

use crate::store::Store;
use crate::{origin, save};

const NO_FIELDS: CallerFields = CallerFields {
    priority: None,
    project_id: None,
    metadata: None,
};

fn ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// The facts of one line of an agent, written at `timestamp` and ingested at `ingested_at`.
fn line_at(id: usize, text: &str, timestamp: i64, ingested_at: i64) -> Vec<KeyedFact> {
    facts_of(LogFormat::AGENT, id, text, (timestamp, ingested_at))
}

fn facts_of(
    format: LogFormat,
    id: usize,
    text: &str,
    (timestamp, ingested_at): (i64, i64),
) -> Vec<KeyedFact> {
    let event = LogEvent {
        log_stream: "main".to_owned(),
        timestamp: ms(timestamp),
        ingested_at: ms(ingested_at),
        event_id: format!("{id:056}"),
        message: text.to_owned(),
    };
    let mut facts = Vec::new();
    parse_message(format, text, &mut |inner, observation| {
        facts.push((LineKey::of(&event, inner), Fact::line(observation)));
    });
    facts
}

/// The facts of lines, a second apart, the first in the second `first`.
fn lines(first: i64, texts: &[&str]) -> Vec<KeyedFact> {
    let facts = (first..).zip(texts).flat_map(|(second, text)| {
        let id = usize::try_from(second).expect("a positive time");
        line_at(id, text, 1_000 * second, 1_000 * second)
    });
    facts.collect()
}

fn statuses(store: &Store) -> Vec<TaskStatus> {
    store.live().iter().map(|task| task.status).collect()
}

#[test]
fn a_later_run_keeps_the_failed_one_before() {
    let mut store = Store::new();
    save(
        &mut store,
        lines(1, &["Step 1/2", "BUILD FAILED"]),
        ms(3_000),
    );
    let failed = store.live()[0].clone();
    save(
        &mut store,
        lines(3, &["Step 1/2", "Step 2/2", "All done"]),
        ms(6_000),
    );
    assert_eq!(
        statuses(&store),
        [TaskStatus::Failed, TaskStatus::Completed]
    );
    let runs = store.live();
    assert_eq!(runs[0].run_id(), failed.run_id());
    assert!(runs[0].is_earlier && !runs[1].is_earlier);
    assert_eq!(
        runs[0].task_name, "main",
        "the name of the log stream, without prefix"
    );
}

#[test]
fn a_task_is_called_by_its_id_if_a_line_or_a_caller_names_it() {
    let record = progress_core::record::TaskRecord::new("nightly".parse().unwrap());
    let facts = lines(1, &["Step 1/2"]);
    let Outcome::Changed { change, .. } = record.add_lines(facts, &origin(), ms(1)) else {
        panic!("nothing has changed");
    };
    assert_eq!(change.newest().unwrap().task_name, "nightly");
}

#[test]
fn more_runs_than_fit_in_a_write_are_all_stored() {
    let mut store = Store::new();
    let log: Vec<_> = std::iter::repeat_n(["Step 1/2", "All done"], 600).collect();
    // Twelve hours in one day.
    let facts = (0..).zip(log.concat()).flat_map(|(number, text)| {
        let time = 36_000 * number;
        line_at(usize::try_from(number).expect("positive"), text, time, time)
    });
    let facts: Vec<_> = facts.collect();
    let writes = save(&mut store, facts.clone(), ms(50_000_000));
    // 500 runs begin after the first one. The last one holds all further lines.
    assert_eq!(store.live().len(), 501);
    assert!((25..30).contains(&writes), "{writes} writes");
    assert_eq!(save(&mut store, facts, ms(50_000_000)), 0, "all are known");
}

#[test]
fn a_line_two_hours_ahead_counts_once_and_as_of_its_ingestion() {
    let ahead = 2 * 3_600_000;
    let mut store = Store::new();
    save(&mut store, lines(1, &["Step 1/2"]), ms(1_000));
    // The push came late, and a sweep knows the earlier time of ingestion.
    let pushed = line_at(7, "All done", ahead, 9_000);
    let swept = line_at(7, "All done", ahead, 5_000);
    for facts in [&pushed, &swept, &pushed, &swept] {
        save(&mut store, facts.clone(), ms(9_000));
        assert_eq!(statuses(&store), [TaskStatus::Completed]);
    }
    let task = store.live()[0].clone();
    assert_eq!(task.completed_at, Some(ms(5_000)));
    assert_eq!(task.duration_ms, Some(4_000));

    // A later, real failure is not hidden.
    save(
        &mut store,
        lines(10, &["Step 1/2", "BUILD FAILED"]),
        ms(12_000),
    );
    assert_eq!(
        statuses(&store),
        [TaskStatus::Completed, TaskStatus::Failed]
    );
}

#[test]
fn after_a_deletion_a_later_run_shows_also_if_a_clock_was_ahead() {
    let mut store = Store::new();
    save(
        &mut store,
        line_at(1, "Step 1/2", 9_000_000, 1_000),
        ms(1_000),
    );
    save(
        &mut store,
        line_at(2, "All done", 9_000_001, 2_000),
        ms(2_000),
    );
    let deletion = store.read().delete(ms(3_000)).expect("it exists");
    store.write(&deletion).unwrap();
    assert!(store.live().is_empty());
    assert!(store.read().delete(ms(3_500)).is_none(), "it is deleted");
    // Lines that are known, and late ones, don't bring it back.
    save(
        &mut store,
        line_at(1, "Step 1/2", 9_000_000, 1_500),
        ms(3_600),
    );
    save(&mut store, lines(2, &["Step 2/2"]), ms(3_700));
    assert!(store.live().is_empty());
    save(&mut store, lines(4, &["Step 1/2"]), ms(4_000));
    assert_eq!(statuses(&store), [TaskStatus::Running]);
    assert_eq!(store.live()[0].run, ms(4_000));
}

#[test]
fn a_new_life_continues_the_revisions() {
    let mut store = Store::new();
    let create = |store: &mut Store, now| {
        let edit = CallerEdit::default();
        let change = store
            .read()
            .create(TaskType::Other, edit, &NO_FIELDS, ms(now));
        store.write(&change).unwrap();
        store.live()[0].revision
    };
    assert_eq!(create(&mut store, 1_000), Revision(1));
    let record = store.read();
    let edit = CallerEdit {
        message: Some(Some("hi".to_owned())),
        ..CallerEdit::default()
    };
    store
        .write(&record.edit(edit, &NO_FIELDS, ms(2_000)))
        .unwrap();
    store
        .write(&store.read().delete(ms(3_000)).unwrap())
        .unwrap();
    assert_eq!(store.newest().unwrap().state, HeadState::Deleted);
    assert_eq!(create(&mut store, 4_000), Revision(4));
    let task = store.live()[0].clone();
    assert_eq!((task.message, task.status), (None, TaskStatus::Pending));
}

#[test]
fn runs_of_one_millisecond_have_histories_of_their_own() {
    let mut store = Store::new();
    let mut times = Vec::new();
    let texts = [
        "Step 1/2",
        "BUILD FAILED",
        "Step 1/2",
        "All done",
        "Step 1/2",
    ];
    for (id, text) in texts.iter().enumerate() {
        let facts = line_at(id, text, 1_000, 1_000);
        let Outcome::Changed { change, .. } = store.read().add_lines(facts, &origin(), ms(1_000))
        else {
            panic!("{text} changes nothing");
        };
        let entries = change.history().into_iter();
        times.extend(entries.map(|entry| (entry.run, entry.timestamp)));
        store.write(&change).unwrap();
    }
    let runs = store.live();
    assert_eq!(runs.len(), 3);
    for (run, time) in &times {
        let of_others = times.iter().filter(|(other, _)| other != run);
        assert!(
            of_others.into_iter().all(|(_, other)| other != time),
            "{times:?}"
        );
    }
}

/// What shows after these lines of `format`, a deletion, and another line.
fn shown_after_deletion(
    format: LogFormat,
    before: &[&str],
    after: &str,
    at: i64,
) -> Vec<TaskStatus> {
    let mut store = Store::new();
    for (id, text) in before.iter().enumerate() {
        save(
            &mut store,
            facts_of(format, id, text, (1_000, 1_000)),
            ms(1_000),
        );
    }
    let deletion = store.read().delete(ms(2_000)).expect("it exists");
    store.write(&deletion).unwrap();
    save(&mut store, facts_of(format, 99, after, (at, at)), ms(at));
    statuses(&store)
}

#[test]
fn a_start_shows_after_the_deletion_of_an_open_run_and_its_further_lines_do_not() {
    let deploy = [
        "Api: deploying... [1/1]",
        "Api | 1/3 | 9:15:04 AM | CREATE_COMPLETE | AWS::SQS::Queue | Jobs",
    ];
    let row = "Api | 2/3 | 9:15:09 AM | CREATE_COMPLETE | AWS::SQS::Queue | Mail";
    let cdk = |after| shown_after_deletion(LogFormat::CDK, &deploy, after, 9_000);
    assert_eq!(cdk("Api: deploying... [1/1]"), [TaskStatus::Running]);
    assert_eq!(cdk("Web: deploying... [1/1]"), [TaskStatus::Running]);
    assert_eq!(cdk(row), []);
    let agent = |after| shown_after_deletion(LogFormat::AGENT, &["[3/10] reading"], after, 9_000);
    assert_eq!(agent(r#"{"status":"started"}"#), [TaskStatus::Running]);
    assert_eq!(agent("[4/10] testing"), []);
    assert_eq!(agent("[1/5] a counter of a part"), []);
    let a_day_later =
        shown_after_deletion(LogFormat::AGENT, &["[3/10] reading"], "[3/7] x", 90_000_000);
    assert_eq!(a_day_later, [TaskStatus::Running]);
}

#[test]
fn a_log_that_begins_a_day_after_its_task_was_deleted_shows() {
    let mut store = Store::new();
    let edit = CallerEdit::default();
    let created = store
        .read()
        .create(TaskType::Build, edit, &NO_FIELDS, ms(1_000));
    store.write(&created).unwrap();
    let deletion = store.read().delete(ms(2_000)).expect("it exists");
    store.write(&deletion).unwrap();
    save(
        &mut store,
        line_at(1, "[3/10] reading", 9_000, 9_000),
        ms(9_000),
    );
    assert!(store.live().is_empty());
    save(
        &mut store,
        line_at(2, "[4/12] x", 90_000_000, 90_000_000),
        ms(90_000_000),
    );
    assert_eq!(statuses(&store), [TaskStatus::Running]);
}

#[test]
fn a_deleted_earlier_run_stays_deleted_when_lines_about_it_come() {
    let mut store = Store::new();
    save(
        &mut store,
        lines(1, &["Step 1/2", "BUILD FAILED", "Step 1/2"]),
        ms(4_000),
    );
    let earlier = store.live()[0].clone();
    store.write(&delete_earlier(&earlier)).unwrap();
    // It did more before it failed than was known.
    save(&mut store, line_at(9, "Step 2/2", 1_500, 1_500), ms(5_000));
    assert_eq!(statuses(&store), [TaskStatus::Running]);
}

#[test]
fn progress_tells_one_story_when_a_log_is_written_again() {
    let shown = |lines: &[KeyedFact]| {
        let mut store = Store::new();
        save(&mut store, lines.to_vec(), ms(9_000));
        let progress = store.live()[0].progress;
        (progress.current, progress.total, progress.percentage)
    };
    let facts = lines(1, &["[6/10] six", "[2/10] two", "[3/10] three"]);
    assert_eq!(shown(&facts), (Some(6), Some(10), Some(60)));
    let facts = lines(1, &["[6/10] six", "[2/10] two", "[7/10] seven"]);
    assert_eq!(shown(&facts), (Some(7), Some(10), Some(70)));
}

#[test]
fn progress_tells_one_story_when_a_caller_edits_it() {
    let mut store = Store::new();
    save(&mut store, lines(1, &["[6/10] six"]), ms(2_000));
    let edit = |store: &mut Store, current, total, percentage, now| {
        let record = store.read();
        let progress = Some(Progress {
            current,
            total,
            percentage,
        });
        let edit = CallerEdit {
            progress,
            ..CallerEdit::default()
        };
        let edit = edit.of_task(record.live().unwrap()).unwrap();
        store
            .write(&record.edit(edit, &NO_FIELDS, ms(now)))
            .unwrap();
        store.live()[0].progress
    };
    let shown = edit(&mut store, Some(2), Some(10), Some(90), 2_000);
    assert_eq!(shown.percentage, Some(20), "2 of 10");
    let shown = edit(&mut store, None, None, Some(10), 3_000);
    assert_eq!(
        shown.percentage,
        Some(20),
        "a bare percentage does not fall"
    );
    save(&mut store, lines(4, &["[7/10] seven"]), ms(4_000));
    let shown = edit(&mut store, Some(9), Some(10), None, 5_000);
    assert_eq!(shown.percentage, Some(90));
    save(&mut store, lines(6, &["[8/10] eight"]), ms(6_000));
    let shown = store.live()[0].progress;
    assert_eq!((shown.current, shown.percentage), (Some(8), Some(80)));
}

#[test]
fn a_caller_who_ends_a_run_tells_why_it_failed() {
    let ended = |texts: &[&str], status, message: Option<&str>| {
        let mut store = Store::new();
        save(&mut store, lines(1, texts), ms(2_000));
        let record = store.read();
        let edit = CallerEdit {
            status: Some(status),
            message: message.map(|text| Some(text.to_owned())),
            ..CallerEdit::default()
        };
        let edit = edit.of_task(record.live().unwrap()).unwrap();
        let change = record.edit(edit, &NO_FIELDS, ms(5_000));
        store.write(&change).unwrap();
        let failure = store.live()[0].failure.clone();
        failure.map(|failure| (failure.cause, failure.at))
    };
    let said = ended(&["[6/10] six"], TaskStatus::Failed, Some("no thread"));
    assert_eq!(said, Some(("no thread".to_owned(), ms(5_000))));
    let long = "x".repeat(1_000);
    let (cause, _) = ended(&["[6/10] six"], TaskStatus::Failed, Some(&long)).unwrap();
    assert_eq!(cause.len(), MAX_CAUSE_BYTES);
    assert_eq!(ended(&["[6/10] six"], TaskStatus::Failed, None), None);
    assert_eq!(
        ended(&["[6/10] six"], TaskStatus::Cancelled, Some("no")),
        None
    );
}

#[test]
fn a_task_without_facts_goes_on_from_its_head() {
    let mut store = Store::new();
    save(&mut store, lines(1, &["Step 1/4", "Step 2/4"]), ms(2_000));
    let before = store.live()[0].clone();
    store.lose_facts();
    save(&mut store, lines(2, &["Step 2/4"]), ms(2_500));
    let same = store.live()[0].clone();
    assert_eq!(same.started_at, before.started_at);
    assert_eq!(
        (same.run, same.progress, same.status),
        (before.run, before.progress, before.status)
    );
    save(&mut store, lines(3, &["Step 3/4"]), ms(3_000));
    let task = store.live()[0].clone();
    assert_eq!((task.run, task.progress.current), (before.run, Some(3)));
    save(
        &mut store,
        lines(4, &["Step 4/4", "All done", "Step 1/4"]),
        ms(7_000),
    );
    assert_eq!(
        statuses(&store),
        [TaskStatus::Completed, TaskStatus::Running]
    );

    store.lose_facts();
    store
        .write(&store.read().delete(ms(8_000)).unwrap())
        .unwrap();
    assert_eq!(statuses(&store), [TaskStatus::Completed]);
    store.lose_facts();
    save(&mut store, lines(9, &["Step 2/4"]), ms(9_000));
    assert_eq!(statuses(&store), [TaskStatus::Completed], "it is deleted");
}

#[test]
fn an_earlier_run_is_final_after_an_hour() {
    let mut store = Store::new();
    save(
        &mut store,
        lines(1, &["Step 1/2", "BUILD FAILED", "Step 1/2"]),
        ms(4_000),
    );
    assert_eq!(store.read().items.open_since, Some(ms(1_000)));
    let later = ms(3_000).after(Duration::from_secs(3_601));
    save(
        &mut store,
        lines(later.as_millis() / 1_000, &["Step 2/2"]),
        later,
    );
    assert_eq!(store.read().items.open_since, None);
    save(&mut store, line_at(9, "Step 2/2", 1_500, 1_500), later);
    assert_eq!(store.live()[0].progress.current, Some(1));
}

/// The exit that event `id` of a log tells.
fn exit_at(id: usize, second: i64, code: i32) -> KeyedFact {
    let (at, _) = line_at(id, "Step 1/2", 1_000 * second, 1_000 * second).remove(0);
    let last_lines = progress_core::fold::LastLines::default();
    (at, Fact::Exit { code, last_lines })
}

/// A client asks which run its exit ends, and sends the exit again if the answer was lost.
#[test]
fn an_exit_that_comes_again_after_its_facts_became_state_is_no_exit_of_another_run() {
    let mut store = Store::new();
    let save_exit = |store: &mut Store, exit: &KeyedFact, now| {
        let at = store.read().key_of_exit(exit.0);
        let at = at.expect("the newest run waits for it, or has had it");
        save(store, vec![(at, exit.1.clone())], now)
    };
    save(&mut store, lines(1, &["Step 1/2", "Step 2/2"]), ms(2_000));
    let exit = exit_at(1_000, 3, 4);
    assert_eq!(save_exit(&mut store, &exit, ms(3_000)), 1);
    assert_eq!(save_exit(&mut store, &exit, ms(3_000)), 0, "it is known");
    // Hours later, nothing before the next run is a fact any more.
    let later: Vec<_> = (20_000..20_600)
        .flat_map(|second| {
            lines(
                second,
                &[if second % 2 == 0 {
                    "Step 1/2"
                } else {
                    "All done"
                }],
            )
        })
        .collect();
    save(&mut store, later, ms(20_600_000));
    assert!(store.read().facts.watermark() > Some(exit.0));
    let before: Vec<_> = store.live().into_iter().cloned().collect();
    assert_eq!(before[0].status, TaskStatus::Failed);
    assert_eq!(save_exit(&mut store, &exit, ms(20_601_000)), 0);
    // One that is new is that of a later command: it is not taken for one of those.
    let next = exit_at(1_001, 20_700, 4);
    assert_eq!(save_exit(&mut store, &next, ms(20_700_000)), 1);
    assert_eq!(store.read().key_of_exit(exit_at(1_002, 20_701, 0).0), None);
    assert_eq!(save_exit(&mut store, &exit, ms(20_701_000)), 0);
    let after: Vec<_> = store.live().into_iter().cloned().collect();
    let (last, earlier) = after.split_last().unwrap();
    assert_eq!(last.status, TaskStatus::Failed);
    assert_eq!(earlier, &before[..before.len() - 1]);
}

/// A request of session `id` with a line.
fn request(id: u64, second: i64, text: &str) -> Vec<KeyedFact> {
    let event = |number| LogEvent {
        log_stream: "main".to_owned(),
        timestamp: ms(1_000 * second),
        ingested_at: ms(1_000 * second),
        event_id: SessionKey::of_hash(id).event_id(u32::try_from(second).unwrap(), number),
        message: text.to_owned(),
    };
    let mut facts = vec![(LineKey::of(&event(0), 0), Fact::Session(Box::default()))];
    parse_message(LogFormat::ANY, text, &mut |inner, observation| {
        facts.push((LineKey::of(&event(1), inner), Fact::line(observation)));
    });
    facts
}

#[test]
fn a_session_that_was_killed_ends_of_silence_while_a_later_one_goes_on() {
    use TaskStatus::{Ended, Running};
    let mut store = Store::new();
    let (now, since) = (ms(3_000_000), ms(2_000_000));
    save(&mut store, request(1, 1, "[1/9] painting"), now);
    save(&mut store, request(2, 2, "[1/9] painting"), now);
    save(&mut store, request(2, 2_500, "[2/9] painting"), now);
    assert_eq!(statuses(&store), [Running, Running]);
    let record = store.read();
    assert_eq!(record.end_of_silent_run(ms(2_000), since, now), None);
    assert_eq!(
        record.run_of_session(SessionKey::of_hash(1)).unwrap().run,
        ms(1_000)
    );
    let end = record.end_of_silent_run(ms(1_000), since, now).unwrap();
    store.write(&end).unwrap();
    assert_eq!(statuses(&store), [Ended, Running]);
    assert!(store.live()[0].is_assumed);
    // It was not dead, but its clock is slow. The other one has gone on.
    save(&mut store, request(1, 900, "[8/9] painting"), now);
    assert_eq!(statuses(&store), [Running, Running]);
    assert_eq!(store.live()[0].progress.current, Some(8));
}
