//! Sessions: all output of a command is in the log, and its exit alone ends the run.

use progress_core::batch::Batch;
use progress_core::fold::{Fact, FactLog, KeyedFact, LineKey, Session};
use progress_core::log_event::LogEvent;
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{Cancelled, Completed, Ended, Failed, Running};
use progress_core::model::{Task, TaskType, Timestamp};
use progress_core::record::{TaskOrigin, task_of_run};

fn event(second: i64, message: &str) -> LogEvent {
    let time = Timestamp::from_millis(second * 1000);
    LogEvent {
        log_stream: "deploy".to_owned(),
        timestamp: time,
        ingested_at: time,
        event_id: format!("{second:020}"),
        message: message.to_owned(),
    }
}

fn session(second: i64, id: &str) -> KeyedFact {
    let session = Session {
        id: id.to_owned(),
        task_name: Some("Shop".to_owned()),
        ..Session::default()
    };
    let at = LineKey::of(&event(second, ""), 0);
    (at, Fact::Session(Box::new(session)))
}

fn exit(second: i64, code: i32) -> KeyedFact {
    (LineKey::of(&event(second, ""), 0), crate::exit(code))
}

/// The lines of a log, a second after another. The first is after second `start`.
fn lines(start: i64, lines: &[&str]) -> Vec<KeyedFact> {
    let mut batch = Batch::default();
    for (second, line) in (start + 1..).zip(lines) {
        batch.add(LogFormat::ANY, "/runs", &event(second, line));
    }
    batch.take().into_values().flatten().collect()
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
    let mut log: FactLog = [session(1, "a")].into_iter().collect();
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
        let mut log: FactLog = [session(1, "a")].into_iter().collect();
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
fn a_session_is_a_run_and_ends_the_one_before() {
    let mut log: FactLog = [session(1, "a")].into_iter().collect();
    log.add(lines(1, &["[2/9] painting"]));
    log.add([session(1, "a")]);
    assert_eq!(tasks(&log).len(), 1);
    log.add([session(20, "b")]);
    log.add(lines(20, &["[1/9] painting"]));
    let [first, second] = &tasks(&log)[..] else {
        panic!("two runs")
    };
    assert_eq!((first.status, first.is_assumed), (Ended, true));
    assert_eq!((second.status, second.progress.current), (Running, Some(1)));
}

#[test]
fn a_session_that_falls_silent_ends_as_its_last_lines_tell() {
    let mut log: FactLog = [session(1, "a")].into_iter().collect();
    log.add(lines(1, &["Mixing", "Killed"]));
    log.end_of_log(true);
    let task = tasks(&log).remove(0);
    assert_eq!((task.status, task.is_assumed), (Failed, true));
    let mut log: FactLog = [session(1, "a")].into_iter().collect();
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
        let mut log: FactLog = [session(1, "a")].into_iter().collect();
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
    let exit_first: FactLog = [session(5, "a"), exit(6, 3)].into_iter().collect();
    let statuses = |log: &FactLog| {
        tasks(log)
            .iter()
            .map(|task| task.status)
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(&exit_first), [Failed]);
    let mut log = exit_first;
    log.add([session(1, "a")]);
    log.add(lines(1, &["[1/4] painting"]));
    let task = tasks(&log).remove(0);
    assert_eq!((task.status, task.progress.current), (Failed, Some(1)));
    assert_eq!(task.started_at, Some(Timestamp::from_millis(1000)));
    assert_eq!(tasks(&log).len(), 1);
}

#[test]
fn a_plain_command_shows_its_last_lines() {
    let end = |code| {
        let mut log: FactLog = [session(1, "a")].into_iter().collect();
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
