//! Any line makes a run, and what follows the last line decides whether the run has ended.

use progress_core::batch::Batch;
use progress_core::fold::{FactLog, KeyedFact, Run};
use progress_core::log_event::LogEvent;
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{Blocked, Cancelled, Completed, Ended, Failed, Running};
use progress_core::model::{Task, TaskStatus, Timestamp};
use progress_core::record::{Outcome, TaskOrigin, TaskRecord, task_of_run};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What a collector reads in one batch. Each line has its time, in milliseconds.
pub(crate) fn facts(format: LogFormat, lines: &[(i64, &str)]) -> Vec<KeyedFact> {
    let mut batch = Batch::default();
    for (time_ms, line) in lines {
        let event = LogEvent {
            log_stream: "main".to_owned(),
            timestamp: Timestamp::from_millis(*time_ms),
            ingested_at: Timestamp::from_millis(*time_ms),
            event_id: format!("{time_ms:056}"),
            message: (*line).to_owned(),
        };
        batch.add(format, "/logs", &event);
    }
    batch.take().into_values().flatten().collect()
}

fn log(lines: &[(i64, &str)]) -> FactLog {
    facts(LogFormat::AGENT, lines).into_iter().collect()
}

fn task_of(run: &Run) -> Task {
    let id = "agent:main".parse().expect("an id");
    task_of_run(run, run.start.time(), &id, None, None)
}

fn tasks(log: &FactLog) -> Vec<Task> {
    log.runs().iter().map(task_of).collect()
}

fn statuses(log: &FactLog) -> Vec<TaskStatus> {
    tasks(log).iter().map(|task| task.status).collect()
}

/// The newest run after the log has been silent for long.
fn silent(lines: &[(i64, &str)]) -> Task {
    let mut log = log(lines);
    log.end_of_log(true);
    tasks(&log).pop().expect("a run")
}

#[test]
fn any_line_makes_a_run_that_shows_its_last_line() {
    let mut log = log(&[(1_000, "Mixing the colours"), (2_000, "Stirring")]);
    let task = tasks(&log).pop().unwrap();
    assert_eq!(
        (task.status, task.message.as_deref()),
        (Running, Some("Stirring"))
    );
    assert_eq!(task.started_at, Some(Timestamp::from_millis(1_000)));
    assert_eq!(task.progress, Default::default());
    log.add(facts(LogFormat::AGENT, &[(3_000, "[2/9] painting")]));
    log.add(facts(LogFormat::AGENT, &[(4_000, "a brush fell")]));
    let [task] = &tasks(&log)[..] else {
        panic!("one run")
    };
    assert_eq!(task.started_at, Some(Timestamp::from_millis(1_000)));
    assert_eq!(
        (task.progress.current, task.progress.total),
        (Some(2), Some(9))
    );
    assert_eq!(task.updated_at, Timestamp::from_millis(4_000));
}

#[test]
fn what_was_said_more_than_an_hour_before_is_of_no_run() {
    let lines = [(1_000, "waiting for work"), (2 * HOUR_MS, "[2/9] painting")];
    let [task] = &tasks(&log(&lines))[..] else {
        panic!("one run")
    };
    assert_eq!(task.started_at, Some(Timestamp::from_millis(2 * HOUR_MS)));
}

#[test]
fn the_last_lines_of_a_silent_log_tell_how_its_run_has_ended() {
    for (line, status) in [
        ("Everything is Ok", Completed),
        ("ValueError: no ink", Failed),
        ("KeyboardInterrupt", Cancelled),
        ("Stirring", Ended),
        ("[2/9] painting", Ended),
        ("[9/9] painting", Completed),
        (r#"{"status":"input_required"}"#, Blocked),
    ] {
        let task = silent(&[(1_000, "Mixing"), (2_000, line)]);
        assert_eq!(task.status, status, "{line}");
        assert_eq!(task.is_assumed, status != Blocked, "{line}");
        let end = (status != Blocked).then_some(Timestamp::from_millis(2_000));
        assert_eq!(task.completed_at, end, "{line}");
    }
    let certain = silent(&[(1_000, r#"{"status":"failed"}"#), (2_000, "Stirring")]);
    assert_eq!((certain.status, certain.is_assumed), (Failed, false));
}

#[test]
fn stacks_are_not_over_because_a_silent_log_is() {
    let statuses = |last: &str| {
        let lines = [(1_000, "Api: deploying... [1/1]"), (2_000, last)];
        let mut log: FactLog = facts(LogFormat::CDK, &lines).into_iter().collect();
        log.end_of_log(true);
        let task = tasks(&log).pop().unwrap();
        (task.status, task.parts["Api"].status)
    };
    assert_eq!(statuses("Everything is Ok"), (Ended, Ended));
    assert_eq!(
        statuses("ERROR a hook can't write its log"),
        (Failed, Failed)
    );
    assert_eq!(statuses("Killed"), (Failed, Failed));
    assert_eq!(statuses("KeyboardInterrupt"), (Cancelled, Cancelled));
}

#[test]
fn a_later_line_takes_an_assumed_end_back() {
    for line in ["Stirring again", "[3/9] painting"] {
        let mut log = log(&[(1_000, "[2/9] painting"), (2_000, "ERROR no ink")]);
        log.end_of_log(true);
        assert_eq!(statuses(&log), [Failed]);
        log.add(facts(LogFormat::AGENT, &[(40 * MINUTE_MS, line)]));
        let [task] = &tasks(&log)[..] else {
            panic!("one run")
        };
        assert_eq!((task.status, task.is_assumed), (Running, false), "{line}");
        assert_eq!((task.completed_at, task.corrections), (None, 1), "{line}");
    }
}

#[test]
fn any_line_after_an_assumed_end_and_an_hour_begins_a_run() {
    for line in ["Mixing", "[1/9] painting"] {
        let mut log = log(&[(1_000, "Mixing"), (2_000, "Everything is Ok")]);
        log.end_of_log(true);
        log.add(facts(LogFormat::AGENT, &[(24 * HOUR_MS, line)]));
        let [first, second] = &tasks(&log)[..] else {
            panic!("two runs")
        };
        assert_eq!(
            (first.status, first.is_assumed),
            (Completed, true),
            "{line}"
        );
        assert_eq!(second.status, Running, "{line}");
        let start = Timestamp::from_millis(24 * HOUR_MS);
        assert_eq!(second.started_at, Some(start), "{line}");
    }
}

#[test]
fn stronger_evidence_makes_an_assumed_end_certain() {
    let mut log = log(&[(1_000, "[2/9] painting"), (2_000, "ERROR no ink")]);
    log.end_of_log(true);
    log.add(facts(
        LogFormat::AGENT,
        &[(3_000, r#"{"status":"failed","message":"no ink"}"#)],
    ));
    let task = tasks(&log).pop().unwrap();
    assert_eq!((task.status, task.is_assumed), (Failed, false));
}

#[test]
fn a_run_that_a_later_one_follows_has_ended() {
    let start = r#"{"event":"start"}"#;
    let lines = |sample| {
        [
            (1_000, start),
            (2_000, sample),
            (2 * HOUR_MS, "[1/5] painting"),
        ]
    };
    let task = |sample| tasks(&log(&lines(sample))).remove(0);
    let (open, full) = (task("[2/9] painting"), task("[9/9] painting"));
    assert_eq!((open.status, open.is_assumed), (Ended, true));
    assert_eq!((full.status, full.is_assumed), (Completed, true));
}

#[test]
fn the_lines_of_a_function_that_say_nothing_make_no_run_of_their_own() {
    let mut lines = Vec::new();
    for number in 0..3_i64 {
        let time = number * MINUTE_MS;
        lines.push((time + 1, "START RequestId: 1 Version: 7"));
        lines.push((time + 2, "looking for work"));
        lines.push((time + 3, "END RequestId: 1"));
        lines.push((time + 4, "REPORT RequestId: 1\tDuration: 3.2 ms"));
    }
    assert_eq!(statuses(&log(&lines)), [Running]);
    let of_platform = |line: &&(i64, &str)| !line.1.starts_with("looking");
    let lines: Vec<_> = lines.iter().filter(of_platform).copied().collect();
    assert_eq!(statuses(&log(&lines)), []);
}

/// The record of a task with these lines.
fn record(lines: &[(i64, &str)]) -> TaskRecord {
    add(
        &TaskRecord::new("agent:main".parse().expect("an id")),
        lines,
    )
    .expect("a change")
}

fn add(record: &TaskRecord, lines: &[(i64, &str)]) -> Option<TaskRecord> {
    let origin = TaskOrigin {
        format: LogFormat::AGENT,
        log_group: "/logs".to_owned(),
        log_stream: "main".to_owned(),
    };
    let now = Timestamp::from_millis(HOUR_MS);
    match record.add_lines(facts(LogFormat::AGENT, lines), &origin, now) {
        Outcome::Changed { change, .. } => Some(written(record, *change)),
        Outcome::Unchanged => None,
    }
}

/// The record after a change, as a store would return it.
fn written(record: &TaskRecord, change: progress_core::record::TaskChange) -> TaskRecord {
    use progress_core::record::FactsChange;
    let mut facts = record.facts.clone();
    match change.facts {
        FactsChange::Keep => {}
        FactsChange::Append(new) => drop(facts.add(new)),
        FactsChange::Replace(all) => facts = all,
    }
    TaskRecord {
        task_id: record.task_id.clone(),
        newest: change.heads.into_iter().next().map(|head| head.next),
        earlier: Vec::new(),
        facts,
        segment_bytes: 0,
        items: change.items,
    }
}

#[test]
fn lines_are_worth_a_write_while_their_run_is_open() {
    let open = record(&[(1_000, "[2/9] painting")]);
    assert!(
        add(&open, &[(1_000, "[2/9] painting")]).is_none(),
        "they are known"
    );
    let later = add(&open, &[(2_000, "Stirring")]).expect("the run is open");
    assert_eq!(
        later.live().unwrap().updated_at,
        Timestamp::from_millis(2_000)
    );
    let over = add(&open, &[(2_000, r#"{"status":"completed"}"#)]).unwrap();
    assert!(add(&over, &[(3_000, "Cleaning the brushes")]).is_none());
}

#[test]
fn only_a_running_run_that_was_silent_for_long_ends_of_silence() {
    let now = Timestamp::from_millis(2 * HOUR_MS);
    let since = Timestamp::from_millis(5_000);
    let run = Timestamp::from_millis(1_000);
    let quiet = record(&[(1_000, "Mixing"), (4_000, "Killed")]);
    let change = quiet
        .end_of_silent_run(run, since, now)
        .expect("it is silent");
    let task = change.newest().unwrap();
    assert_eq!((task.status, task.is_assumed), (Failed, true));
    assert_eq!(task.message.as_deref(), Some("Killed"));
    let ended = written(&quiet, change);
    assert_eq!(
        ended.end_of_silent_run(run, since, now),
        None,
        "it has ended"
    );
    let back = add(&ended, &[(9_000, "Mixing again")]).expect("a change");
    assert_eq!(back.live().unwrap().status, Running);
    let heard = record(&[(1_000, "Mixing"), (5_000, "Killed")]);
    assert_eq!(heard.end_of_silent_run(run, since, now), None);
    let blocked = record(&[(1_000, r#"{"status":"blocked"}"#)]);
    assert_eq!(blocked.end_of_silent_run(run, since, now), None);
}

#[test]
fn the_lines_before_a_cause_do_not_repeat_it() {
    let mut log = log(&[
        (1_000, "mixing the paint"),
        (2_000, "\u{1b}[31mPaintError: too dry\u{1b}[0m"),
        (3_000, "make: *** [paint] Error 1"),
    ]);
    log.end_of_log(true);
    let failure = tasks(&log).remove(0).failure.unwrap();
    assert_eq!(failure.cause, "PaintError: too dry");
    assert_eq!(failure.context, ["mixing the paint"]);
}

#[test]
fn the_last_lines_tell_the_cause_and_the_lines_before_it() {
    let lines = ["Step 1/3", "mixing the paint", "PaintError: too dry", "bye"];
    let lines: Vec<_> = (1..).map(|second| 1_000 * second).zip(lines).collect();
    let mut log = log(&lines);
    assert_eq!(tasks(&log)[0].failure, None);
    log.end_of_log(true);
    let failure = tasks(&log).remove(0).failure.unwrap();
    assert_eq!(failure.cause, "PaintError: too dry");
    assert_eq!(failure.context, ["Step 1/3", "mixing the paint"]);
    assert_eq!(failure.at, Timestamp::from_millis(3_000));
    // What follows takes the failure back, and tells of its own.
    log.add(facts(LogFormat::AGENT, &[(5_000, "Step 2/3")]));
    assert_eq!(tasks(&log)[0].failure, None);
    log.add(facts(LogFormat::AGENT, &[(6_000, "BUILD FAILED")]));
    let failure = tasks(&log).remove(0).failure.unwrap();
    assert_eq!(failure.cause, "BUILD FAILED");
    assert_eq!(failure.context.last().unwrap(), "Step 2/3");
}

#[test]
fn earlier_readings_complete_the_lines_before_a_failure() {
    let (one, two, three) = ((1, "one"), (2, "two"), (3, "three"));
    let (four, failed) = ((4, "four"), (5, "BUILD FAILED"));
    let readings: [&[&[(i64, &str)]]; 5] = [
        &[&[one, two, three, four, failed]],
        &[&[one, two, three], &[four, failed]],
        &[&[one], &[two], &[three], &[four], &[failed]],
        &[&[one, two, three], &[two, three, four, failed]],
        &[&[one, two, three, four], &[three, four, failed]],
    ];
    for readings in readings {
        let mut log = FactLog::default();
        for reading in readings {
            log.add(facts(LogFormat::AGENT, reading));
        }
        let failure = tasks(&log).remove(0).failure.unwrap();
        assert_eq!(
            failure.context,
            ["one", "two", "three", "four"],
            "{readings:?}"
        );
    }
}
