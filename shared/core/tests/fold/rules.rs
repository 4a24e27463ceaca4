//! Rules of the pass, each shown by lines.

use progress_core::fold::{FactLog, Report, Run};
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{self, Completed, Failed, Running};

use crate::limits::facts_of;

/// The reports of the runs in `lines`.
fn runs_of(format: LogFormat, lines: &[&str]) -> Vec<Report> {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let log = FactLog::of(facts_of(format, &lines));
    log.runs().iter().map(Run::report).collect()
}

fn statuses(format: LogFormat, lines: &[&str]) -> Vec<TaskStatus> {
    let runs = runs_of(format, lines).into_iter();
    runs.map(|run| run.status).collect()
}

#[test]
fn each_run_of_a_stream_has_its_own_outcome_and_parts() {
    let lines = [
        "Api: deploying... [1/1]",
        "❌  Api failed: the role is missing",
        "Api: deploying... [1/2]",
        "✅  Api",
        "Web: deploying... [2/2]",
    ];
    let runs = runs_of(LogFormat::CDK, &lines);
    let outcomes: Vec<_> = runs.iter().map(|run| run.status).collect();
    assert_eq!(outcomes, [Failed, Running]);
    let parts: Vec<Vec<_>> = runs.iter().map(|run| run.parts.keys().collect()).collect();
    assert_eq!(parts, [vec!["Api"], vec!["Api", "Web"]]);
    assert_eq!(runs[0].message.as_deref(), Some("the role is missing"));
}

#[test]
fn a_first_step_after_an_end_begins_a_run() {
    let agent = LogFormat::AGENT;
    let lines = ["Step 1/2", "Step 2/2", "All done", "Step 1/2"];
    assert_eq!(statuses(agent, &lines), [Completed, Running]);
    let lines = ["Step 1/2", "Step 1/2", "Step 2/2"];
    assert_eq!(statuses(agent, &lines), [Running]);
}

#[test]
fn work_that_goes_on_after_an_end_begins_a_run() {
    let lines = ["Epoch 1/3", "Epoch 3/3", "All done", "Epoch 2/3"];
    assert_eq!(statuses(LogFormat::AGENT, &lines), [Completed, Running]);
}

#[test]
fn an_end_that_contradicts_the_end_of_a_run_is_of_a_later_run() {
    let lines = ["Step 2/2", "BUILD SUCCESSFUL", "BUILD FAILED"];
    assert_eq!(statuses(LogFormat::AGENT, &lines), [Completed, Failed]);
    let lines = ["Api: deploying... [1/1]", "✅  Api", "❌  Api failed: no"];
    assert_eq!(statuses(LogFormat::CDK, &lines), [Completed, Failed]);
}

#[test]
fn a_line_corrects_the_end_that_a_row_gave() {
    let row = "Api | 2/2 | 10:00:00 AM | UPDATE_COMPLETE | AWS::CloudFormation::Stack | Api";
    let lines = ["Api: deploying... [1/1]", row, "❌  Api failed: no"];
    assert_eq!(statuses(LogFormat::CDK, &lines), [Failed]);
    let lines = ["Api: deploying... [1/1]", "❌  Api failed: no", row];
    assert_eq!(statuses(LogFormat::CDK, &lines), [Failed]);
}

#[test]
fn a_tool_that_completes_does_not_end_a_run_with_steps_left() {
    let lines = ["Step 1/3", "5 passed in 1.20s"];
    assert_eq!(statuses(LogFormat::AGENT, &lines), [Running]);
    let lines = ["Step 3/3", "5 passed in 1.20s"];
    assert_eq!(statuses(LogFormat::AGENT, &lines), [Completed]);
}

#[test]
fn the_summary_of_a_part_does_not_end_a_run_while_an_outer_counter_is_open() {
    let summary = "web-1 : ok=4 changed=1 unreachable=0 failed=0";
    let agent = LogFormat::AGENT;
    assert_eq!(statuses(agent, &["[3/10] rolling out", summary]), [Running]);
    assert_eq!(
        statuses(agent, &["[10/10] rolling out", summary]),
        [Completed]
    );
}
