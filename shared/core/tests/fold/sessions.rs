//! Sessions: all output of a command is in the log, and its exit alone ends the run.

use progress_core::batch::Batch;
use progress_core::fold::{Fact, FactLog, KeyedFact, LineKey, Session, SessionKey};
use progress_core::log_event::LogEvent;
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{Cancelled, Completed, Ended, Failed, Running};
use progress_core::model::{Task, TaskType, Timestamp};
use progress_core::record::{TaskOrigin, task_of_run};

/// Two sessions.
const A: u64 = 1;
const B: u64 = 2;

/// An event of session `id`.
fn event_of(id: u64, second: i64, message: &str) -> LogEvent {
    let time = Timestamp::from_millis(second * 1000);
    LogEvent {
        log_stream: "deploy".to_owned(),
        timestamp: time,
        ingested_at: time,
        event_id: SessionKey::of_hash(id).event_id(u32::try_from(second).expect("a second"), 1),
        message: message.to_owned(),
    }
}

fn event(second: i64, message: &str) -> LogEvent {
    event_of(A, second, message)
}

/// A request of session `id`.
fn session(second: i64, id: u64) -> KeyedFact {
    let session = Session {
        task_name: Some("Shop".to_owned()),
        ..Session::default()
    };
    let at = LineKey::of(&event_of(id, second, ""), 0);
    (at, Fact::Session(Box::new(session)))
}

fn exit_of(id: u64, second: i64, code: i32) -> KeyedFact {
    (LineKey::of(&event_of(id, second, ""), 0), crate::exit(code))
}

fn exit(second: i64, code: i32) -> KeyedFact {
    exit_of(A, second, code)
}

/// The lines of a session, a second after another. The first is after second `start`.
fn lines_of(id: u64, start: i64, lines: &[&str]) -> Vec<KeyedFact> {
    let mut batch = Batch::default();
    for (second, line) in (start + 1..).zip(lines) {
        batch.add(LogFormat::ANY, "/runs", &event_of(id, second, line));
    }
    batch.take().into_values().flatten().collect()
}

fn lines(start: i64, lines: &[&str]) -> Vec<KeyedFact> {
    lines_of(A, start, lines)
}

fn tasks(facts: &FactLog) -> Vec<Task> {
    let origin = TaskOrigin {
        format: LogFormat::ANY,
        log_group: "/runs".to_owned(),
        log_stream: "deploy".to_owned(),
    };
    let id = "run:deploy".parse().expect("an id");
    let runs = facts.runs();
    let task = |run| task_of_run(run, run_start(run), &id, Some(&origin), None);
    runs.iter().map(task).collect()
}

fn run_start(run: &progress_core::fold::Run) -> Timestamp {
    run.start.time()
}

const TESTS_AND_DEPLOY: [&str; 5] = [
    "12 passed in 3.20s",
    "Api: deploying... [1/1]",
    "Api | 1/2 | 10:00:03 AM | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D)",
    " \u{2705}  Api",
    "BUILD SUCCESSFUL in 7s",
];

#[test]
fn only_the_exit_ends_a_session() {
    let mut log: FactLog = [session(1, A)].into_iter().collect();
    let waiting = tasks(&log);
    assert_eq!((waiting.len(), waiting[0].status), (1, Running));
    for (number, line) in (1..).zip(TESTS_AND_DEPLOY) {
        log.add(lines(number, &[line]));
        let [task] = &tasks(&log)[..] else {
            panic!("one run")
        };
        assert_eq!((task.status, task.completed_at), (Running, None), "{line}");
        assert_eq!(task.started_at, Some(Timestamp::from_millis(1000)));
    }
    log.add([exit(9, 0)]);
    let [task] = &tasks(&log)[..] else {
        panic!("one run")
    };
    assert_eq!((task.status, task.corrections), (Completed, 0));
    assert_eq!(task.completed_at, Some(Timestamp::from_millis(9000)));
    assert_eq!(
        (task.task_name.as_str(), task.task_type),
        ("Shop", TaskType::CdkDeploy)
    );
}

#[test]
fn the_exit_code_tells_how_and_the_lines_tell_why() {
    let end = |code| {
        let mut log: FactLog = [session(1, A)].into_iter().collect();
        log.add(lines(1, &["Mixing", "error: no ink"]));
        let mut facts = vec![exit(5, code)];
        if let (_, Fact::Exit { last_lines, .. }) = &mut facts[0] {
            last_lines.insert(LineKey::of(&event(3, ""), 0), "error: no ink");
            last_lines.insert(LineKey::of(&event(4, ""), 0), "12 passed in 3.20s");
        }
        log.add(facts);
        let task = tasks(&log).remove(0);
        (task.status, task.failure.map(|failure| failure.cause))
    };
    assert_eq!(end(0), (Completed, None));
    assert_eq!(end(3), (Failed, Some("error: no ink".to_owned())));
    for signal in [1, 2, 15] {
        assert_eq!(end(128 + signal), (Cancelled, None));
    }
    assert_eq!(end(137).0, Failed, "it was killed");
}

#[test]
fn a_session_is_a_run() {
    let mut log: FactLog = [session(1, A)].into_iter().collect();
    log.add(lines(1, &["[2/9] painting"]));
    log.add([session(1, A)]);
    assert_eq!(tasks(&log).len(), 1);
    log.add([exit(9, 0), session(20, B)]);
    log.add(lines_of(B, 20, &["[1/9] painting"]));
    let [first, second] = &tasks(&log)[..] else {
        panic!("two runs")
    };
    assert_eq!((first.status, first.is_assumed), (Completed, false));
    assert_eq!((second.status, second.progress.current), (Running, Some(1)));
}

#[test]
fn two_sessions_at_once_are_two_runs() {
    let statuses = |log: &FactLog| {
        let tasks = tasks(log).into_iter();
        tasks
            .map(|task| (task.status, task.progress.current))
            .collect::<Vec<_>>()
    };
    let mut log: FactLog = [session(1, A)].into_iter().collect();
    log.add(lines_of(A, 1, &["[2/9] painting"]));
    log.add([session(5, B)]);
    log.add(lines_of(B, 5, &["[1/9] painting"]));
    log.add(lines_of(A, 7, &["[3/9] painting"]));
    assert_eq!(statuses(&log), [(Running, Some(3)), (Running, Some(1))]);
    // The one that began first may end last.
    log.add([exit_of(B, 10, 0)]);
    assert_eq!(statuses(&log), [(Running, Some(3)), (Completed, Some(1))]);
    log.add(lines_of(A, 10, &["[4/9] painting"]));
    log.add([exit_of(A, 12, 1)]);
    assert_eq!(statuses(&log), [(Failed, Some(4)), (Completed, Some(1))]);
    // What comes late belongs to its own session, and to none if that can't change any more.
    log.add(lines_of(A, 12, &["[5/9] painting"]));
    log.add([session(20, 3)]);
    log.add(lines_of(B, 20, &["[9/9] painting"]));
    let expected = [(Failed, Some(4)), (Completed, Some(1)), (Running, None)];
    assert_eq!(statuses(&log), expected);
}

#[test]
fn a_session_ends_neither_by_another_exit_nor_by_one_without_a_session() {
    let mut log: FactLog = [session(1, A), session(2, B)].into_iter().collect();
    log.add([(
        LineKey::outside_logs(Timestamp::from_millis(3_000)),
        crate::exit(1),
    )]);
    log.add([exit_of(3, 4, 1)]);
    let statuses = tasks(&log).into_iter().map(|task| task.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [Running, Running]);
}

#[test]
fn of_very_many_sessions_at_once_the_first_are_given_up() {
    let sessions = (0..20).map(|id| session(1 + i64::try_from(id).expect("small"), id));
    let mut log: FactLog = sessions.collect();
    log.add([exit_of(0, 50, 0), exit_of(19, 51, 0), exit_of(15, 52, 0)]);
    let statuses: Vec<_> = tasks(&log).into_iter().map(|task| task.status).collect();
    assert_eq!(statuses.len(), 20);
    assert_eq!(
        statuses.iter().filter(|status| **status == Running).count(),
        7
    );
    assert_eq!(
        (statuses[0], statuses[15], statuses[19]),
        (Ended, Completed, Completed)
    );
}

#[test]
fn a_session_that_falls_silent_ends_as_its_last_lines_tell() {
    let mut log: FactLog = [session(1, A)].into_iter().collect();
    log.add(lines(1, &["Mixing", "Killed"]));
    log.end_of_log(true);
    let task = tasks(&log).remove(0);
    assert_eq!((task.status, task.is_assumed), (Failed, true));
    let mut log: FactLog = [session(1, A)].into_iter().collect();
    log.add(lines(1, &["12 passed in 3.20s"]));
    log.end_of_log(true);
    assert_eq!(tasks(&log).remove(0).status, Completed);
}

#[test]
fn what_tools_say_in_a_silent_session_is_only_assumed() {
    for (line, status) in [
        ("Tests:       14 passed, 14 total", Completed),
        ("BUILD FAILED", Failed),
        ("thread 'main' panicked at a.rs:1:1:", Failed),
    ] {
        let mut log: FactLog = [session(1, A)].into_iter().collect();
        log.add(lines(1, &[line, "one more line"]));
        log.end_of_log(true);
        let task = tasks(&log).remove(0);
        assert_eq!((task.status, task.is_assumed), (status, true), "{line}");
        log.add([exit(900, 3)]);
        let task = tasks(&log).remove(0);
        assert_eq!((task.status, task.is_assumed), (Failed, false), "{line}");
        assert_eq!(
            task.completed_at,
            Some(Timestamp::from_millis(900_000)),
            "{line}"
        );
    }
}

#[test]
fn each_request_of_a_session_may_come_first() {
    let exit_first: FactLog = [session(5, A), exit(6, 3)].into_iter().collect();
    let statuses = |log: &FactLog| {
        tasks(log)
            .iter()
            .map(|task| task.status)
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(&exit_first), [Failed]);
    let mut log = exit_first;
    log.add([session(1, A)]);
    log.add(lines(1, &["[1/4] painting"]));
    let task = tasks(&log).remove(0);
    assert_eq!((task.status, task.progress.current), (Failed, Some(1)));
    assert_eq!(task.started_at, Some(Timestamp::from_millis(1000)));
    assert_eq!(tasks(&log).len(), 1);
}

#[test]
fn a_plain_command_shows_its_last_lines() {
    let end = |code| {
        let mut log: FactLog = [session(1, A)].into_iter().collect();
        log.add(lines(1, &["deployed version 3", "usage: paint [-x]"]));
        let mut end = exit(5, code);
        if let (_, Fact::Exit { last_lines, .. }) = &mut end {
            last_lines.insert(LineKey::of(&event(2, ""), 0), "deployed version 3");
            last_lines.insert(LineKey::of(&event(3, ""), 0), "usage: paint [-x]");
        }
        log.add([end]);
        tasks(&log).remove(0)
    };
    assert_eq!(end(0).message.as_deref(), Some("usage: paint [-x]"));
    let failed = end(2).failure.expect("a failure");
    assert_eq!(failed.cause, "exit code 2");
    assert_eq!(failed.context, ["deployed version 3", "usage: paint [-x]"]);
    assert_eq!(
        end(137).failure.expect("a failure").cause,
        "killed by SIGKILL"
    );
}
