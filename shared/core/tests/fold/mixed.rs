//! Logs that hold the output of CDK and that of an agent or of other tools.

use progress_core::fold::{FactLog, Report, Run};
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{Completed, Failed, Running};

use crate::ends::facts;
use crate::limits::facts_of;

const DEPLOY: [&str; 5] = [
    "Shop: deploying... [1/1]",
    "Shop | 0/3 | 7:00:40 AM | CREATE_IN_PROGRESS | AWS::CloudFormation::Stack | Shop",
    "Shop | 3/3 | 7:00:50 AM | CREATE_COMPLETE | AWS::CloudFormation::Stack | Shop",
    " ✅  Shop",
    "✨  Deployment time: 12s",
];
const FAILED_DEPLOY: [&str; 4] = [
    "Shop: deploying... [1/1]",
    "Shop | 1/3 | 7:00:50 AM | CREATE_FAILED | AWS::SQS::Queue | Jobs a queue of this name exists",
    "Shop | 2/3 | 7:00:50 AM | ROLLBACK_COMPLETE | AWS::CloudFormation::Stack | Shop",
    " ❌  Shop failed: Error: The stack named Shop failed creation",
];

fn log_of(format: LogFormat, lines: &[&str]) -> FactLog {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    FactLog::from_iter(facts_of(format, &lines))
}

/// The only run of `lines`, in every format.
fn run_of(lines: &[&str]) -> Report {
    let reports = LogFormat::OF_FILES.map(|format| {
        let runs = log_of(format, lines).runs();
        assert_eq!(runs.len(), 1, "{format:?}: {lines:?}");
        runs[0].report()
    });
    let state = |report: &Report| (report.status, report.progress, report.parts.clone());
    let [of_any, of_cdk, of_agent] = reports;
    assert_eq!(state(&of_any), state(&of_cdk));
    assert_eq!(state(&of_any), state(&of_agent));
    of_any
}

fn counted(report: &Report) -> (Option<u64>, Option<u64>) {
    (report.progress.current, report.progress.total)
}

#[test]
fn tools_before_and_after_a_deploy_neither_count_for_it_nor_end_it() {
    let before = ["[1/4] Resolving", "[4/4] Building"];
    let after = ["[1/3] login", "Tests: 1 failed, 3 passed, 4 total"];
    let run = run_of(&[&before[..], &DEPLOY, &after].concat());
    assert_eq!(run.status, Completed);
    assert_eq!(counted(&run), (Some(3), Some(3)));
}

#[test]
fn a_sum_of_a_tool_before_a_deploy_is_no_end_of_the_run() {
    for sum in ["Tests: 4 passed, 4 total", "=== 2 failed in 0.10s ==="] {
        let lines = [&[sum][..], &DEPLOY].concat();
        let runs = log_of(LogFormat::AGENT, &lines).runs();
        let [run] = &runs[..] else {
            panic!("{} runs", runs.len());
        };
        assert_eq!(run.report().status, Completed);
        assert_eq!(run.corrections, 1);
    }
}

#[test]
fn words_of_tools_do_not_end_a_run_in_a_log_of_cdk() {
    let status = |format| {
        let lines = ["[1/3] building", "Tests: 4 passed, 4 total", "All done"];
        let run = log_of(format, &lines).runs().pop();
        run.map(|run| (run.report().status, counted(&run.report())))
    };
    let counter = (Some(1), Some(3));
    assert_eq!(status(LogFormat::CDK), Some((Running, counter)));
    assert_eq!(status(LogFormat::AGENT), Some((Completed, counter)));
}

#[test]
fn an_agent_that_counts_its_steps_deploys_in_one_of_them() {
    for (first, second) in [
        ("Step 2/4: deploy", "Step 3/4: test"),
        (
            r#"{"status": "running", "progress": {"current": 2, "total": 4}}"#,
            r#"{"status": "running", "progress": {"current": 3, "total": 4}}"#,
        ),
    ] {
        let run = run_of(&[&[first][..], &DEPLOY].concat());
        assert_eq!((run.status, counted(&run)), (Running, (Some(2), Some(4))));
        assert_eq!(run.parts["Shop"].status, Completed);

        let run = run_of(&[&[first][..], &DEPLOY, &[second]].concat());
        assert_eq!((run.status, counted(&run)), (Running, (Some(3), Some(4))));
        assert_eq!(run.parts["Shop"].status, Completed);
    }
}

#[test]
fn a_deploy_that_fails_in_a_step_may_be_tried_again() {
    let step = ["Step 2/4: deploy"];
    let run = run_of(&[&step[..], &FAILED_DEPLOY].concat());
    assert_eq!(run.status, Running);
    assert_eq!(run.parts["Shop"].status, Failed);
    let run = run_of(&[&step[..], &FAILED_DEPLOY, &DEPLOY].concat());
    assert_eq!(run.status, Running);
    assert_eq!(run.parts["Shop"].status, Completed);
}

#[test]
fn a_run_that_fails_with_its_deploy_has_the_cause_of_that() {
    let lines = [&["Step 2/4: deploy"][..], &FAILED_DEPLOY].concat();
    let lines: Vec<_> = (1..).zip(lines).collect();
    let mut log: FactLog = facts(LogFormat::AGENT, &lines).into_iter().collect();
    log.end_of_log(false);
    let report = log.runs()[0].report();
    assert_eq!(report.status, Failed);
    let failure = report.failure.unwrap();
    assert_eq!(failure.part.as_deref(), Some("Shop"));
    assert_eq!(failure.cause, "Jobs: a queue of this name exists");
}

#[test]
fn a_counter_that_goes_on_shows_that_a_tool_ended_only_a_step() {
    let runs = |lines: &[&str]| -> Vec<_> {
        let runs = log_of(LogFormat::AGENT, lines).runs();
        let state = |run: &Run| (run.report().status, run.corrections);
        runs.iter().map(state).collect()
    };
    let failed = "Tests: 1 failed, 3 passed, 4 total";
    assert_eq!(runs(&["[2/9] test", failed]), [(Failed, 0)]);
    assert_eq!(runs(&["[2/9] test", failed, "[3/9] mend"]), [(Running, 1)]);
    // A counter that begins again is of a later run, and so is one after the end of the run.
    let again = runs(&["[2/9] test", failed, "[1/9] test"]);
    assert_eq!(again, [(Failed, 0), (Running, 0)]);
    let exited = "the agent exited with code 1";
    let later = runs(&["[2/9] test", exited, "[3/9] mend"]);
    assert_eq!(later, [(Failed, 0), (Running, 0)]);
}
