//! Rules about runs of CDK, each shown by lines.

use progress_core::fold::{Fact, FactLog, LastLines, LineKey, Report, Run};
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{self, Cancelled, Completed, Ended, Failed, Running};
use progress_core::model::Timestamp;

use crate::limits::facts_of;

fn runs_of(lines: &[&str]) -> Vec<Report> {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let log = FactLog::from_iter(facts_of(LogFormat::CDK, &lines));
    let runs = log
        .runs()
        .into_iter()
        .filter(|run| run.report().start.is_some());
    runs.map(|run| Run::report(&run)).collect()
}

/// The only run.
#[track_caller]
fn run_of(lines: &[&str]) -> Report {
    let mut runs = runs_of(lines);
    let run = runs.pop().expect("a run");
    assert!(runs.is_empty(), "{runs:?}");
    run
}

/// The parts of the only run: name, status and phase.
#[track_caller]
fn parts_of(lines: &[&str]) -> Vec<(String, TaskStatus, String)> {
    let parts = run_of(lines).parts.into_iter();
    let parts = parts.map(|(name, part)| (name, part.status, part.phase.unwrap_or_default()));
    parts.collect()
}

#[track_caller]
fn check_parts(lines: &[&str], expected: &[(&str, TaskStatus, &str)]) {
    let parts = parts_of(lines);
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, status, phase)| (&**name, *status, &**phase))
        .collect();
    assert_eq!(parts, expected);
}

#[test]
fn a_failure_of_the_command_ends_the_run_and_stacks_that_had_not_begun() {
    let lines = [
        "Api: deploying... [1/3]",
        "Web:  start: Building Web Template",
        "Tasks: start: Building Tasks Template",
        "Tasks: success: Published Tasks Template (1-eu-west-1)",
        "❌ Api failed to deploy",
    ];
    let open = [
        ("Api", Failed, ""),
        ("Tasks", Running, "waiting"),
        ("Web", Running, "building_assets"),
    ];
    check_parts(&lines, &open);
    let lines = [&lines[..], &["‣ QuotaError: no third queue"]].concat();
    let run = run_of(&lines);
    assert_eq!(
        run.message.as_deref(),
        Some("Api: QuotaError: no third queue")
    );
    check_parts(
        &lines,
        &[
            ("Api", Failed, ""),
            ("Tasks", Cancelled, ""),
            ("Web", Cancelled, ""),
        ],
    );
}

#[test]
fn a_command_that_fails_before_any_stack_is_a_failed_run_with_the_cause() {
    let lines = [
        "Error: Cannot find the table",
        "    at Object.<anonymous> (app.js:10:29)",
        "node app.js: Subprocess exited with error 1",
    ];
    let run = run_of(&lines);
    assert_eq!((run.status, run.parts.len()), (Failed, 0));
    assert_eq!(run.message.as_deref(), Some("Error: Cannot find the table"));
    let lines = [&["Api: deploying... [1/1]", "✅  Api"], &lines[..]].concat();
    let runs = runs_of(&lines);
    let statuses: Vec<_> = runs.iter().map(|run| run.status).collect();
    assert_eq!(statuses, [Completed, Failed]);
    assert_eq!(
        runs[1].message.as_deref(),
        Some("Error: Cannot find the table")
    );
}

#[test]
fn the_failure_of_something_around_a_completed_command_is_none_of_the_run() {
    let lines = [
        "Api: deploying... [1/1]",
        "✅  Api",
        "Process completed with exit code 1.",
    ];
    assert_eq!(run_of(&lines).status, Completed);
}

#[test]
fn the_last_word_of_a_tool_is_of_the_run_that_its_rows_have_ended() {
    let row = "Api | CREATE_COMPLETE | AWS::CloudFormation::Stack | Api";
    for end in [
        "✔ Deployment completed in 31.2 seconds",
        "The operation was canceled.",
    ] {
        check_parts(&[row, end], &[("Api", Completed, "deployed")]);
    }
}

#[test]
fn the_last_lines_of_a_log_end_a_run_with_open_stacks() {
    let at_end = |lines: &[&str]| {
        let log = facts_of(
            LogFormat::CDK,
            &lines
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>(),
        );
        let mut last_lines = LastLines::default();
        let key = LineKey::outside_logs(Timestamp::default());
        for (number, line) in (0..).zip(lines) {
            last_lines.insert(key.with_line(number), line);
        }
        let mut log = FactLog::from_iter(log);
        log.add([(key, Fact::Lines(last_lines))]);
        log.end_of_log(false);
        let report = log.runs().pop().unwrap().report();
        (report.status, report.parts["Api"].status)
    };
    let start = "Api: deploying... [1/1]";
    let row =
        "Api | 3/5 | 10:00:02 | CREATE_FAILED | AWS::S3::Bucket | Files (Files1A2B) it exists";
    for (end, status) in [
        ("^C", Cancelled),
        ("Error [ValidationError]: no such stack", Failed),
        ("Killed", Failed),
        ("Done", Ended),
        (row, Ended),
        ("Api: creating CloudFormation changeset...", Ended),
    ] {
        assert_eq!(at_end(&[start, end]), (status, status), "{end}");
    }
    assert_eq!(
        at_end(&[start, "✅  Api", "Killed"]),
        (Completed, Completed)
    );
}

#[test]
fn a_command_begins_a_run_before_its_stacks() {
    assert_eq!(
        run_of(&["✨  Synthesis time: 3.2s"]).phase.as_deref(),
        Some("synthesized")
    );
    let again = [
        "Api: deploying... [1/1]",
        "✅  Api",
        "✨  Synthesis time: 3.2s",
    ];
    let runs = runs_of(&again);
    assert_eq!(
        runs.iter().map(|run| run.status).collect::<Vec<_>>(),
        [Completed, Running]
    );
}

#[test]
fn a_command_that_nobody_approves_is_cancelled() {
    let start = "Api: creating CloudFormation changeset...";
    for end in [
        "Stack includes updates, but terminal (TTY) is not attached so we are unable to ask",
        "Deployment cancelled",
        "Aborted by user",
    ] {
        check_parts(&[start, end], &[("Api", Cancelled, "")]);
        assert_eq!(run_of(&[start, end]).message.as_deref(), Some(end));
    }
    // If CDK can't ask a person after a failure, nobody has cancelled.
    let end = "‣ TtyNotAttached: no, terminal (TTY) is not attached so we are unable to ask";
    check_parts(
        &[start, "❌ Api failed to deploy", end],
        &[("Api", Failed, "")],
    );
}

#[test]
fn an_asset_that_fails_ends_its_stack_and_the_run_unless_another_stack_is_under_way() {
    let fail = [
        "Api: start: Building Img",
        "Api: fail: no docker",
        "Api: start: Building Code",
    ];
    let end = "Failed to build asset Img";
    let lines = [&fail[..], &[end]].concat();
    assert_eq!(run_of(&lines).message.as_deref(), Some("no docker"));
    check_parts(&lines, &[("Api", Failed, "")]);
    let lines = [&["Web: deploying... [1/2]"], &lines[..]].concat();
    assert_eq!(run_of(&lines).status, Running);
    check_parts(
        &lines,
        &[("Api", Failed, ""), ("Web", Running, "deploying")],
    );
}

#[test]
fn a_rollback_command_completes_by_its_row_its_time_or_because_there_is_nothing_to_do() {
    let start = "Rolling back Api";
    let row = "Api |   2 | 10:00:00 | UPDATE_ROLLBACK_COMP | AWS::CloudFormation::Stack | Api ";
    for end in [row, "✨  Rollback time: 0.9s"] {
        check_parts(&[start, end], &[("Api", Completed, "rolled_back")]);
    }
    let lines = [start, "Stack Api does not need a rollback: UPDATE_COMPLETE"];
    check_parts(&lines, &[("Api", Completed, "unchanged")]);
}

#[test]
fn the_manner_of_a_deploy_is_its_phase() {
    let start = "Api: deploying... [1/1]";
    let set =
        "Changeset arn:aws:x created and waiting in review for manual execution (--no-execute)";
    let row = "Api | 1/3 | 10:00:00 | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B) ";
    let express = "⚠️  Stack deployed using Express Mode. Resources still stabilizing: Jobs";
    for (lines, phase) in [
        (
            &[
                "Api: creating CloudFormation changeset...",
                set,
                start,
                "✅  Api",
            ][..],
            "prepared",
        ),
        (
            &[
                "Api: creating CloudFormation changeset...",
                set,
                start,
                row,
                "✅  Api",
            ],
            "deployed",
        ),
        (
            &[start, "✨ hotswapping resources:", "✅  Api"],
            "hotswapped",
        ),
        (
            &[start, "✨ hotswapping resources:", row, "✅  Api"],
            "deployed",
        ),
        (&[start, row, "✅  Api", express], "deployed_express"),
        (&[start, "✅  Api (no changes)"], "unchanged"),
    ] {
        check_parts(lines, &[("Api", Completed, phase)]);
    }
}

#[test]
fn a_tick_with_the_time_of_a_deploy_is_a_stack() {
    assert!(runs_of(&["✅ lint"]).is_empty());
    let lines = ["✅ lint", "✅ Api", "✨ Deployment time: 7.3s"];
    check_parts(&lines, &[("Api", Completed, "deployed")]);
    // The time is that of the tick before it.
    let start = "Api: deploying... [1/1]";
    let lines = ["✅ lint", start, "✅  Api", "✨ Deployment time: 7.3s"];
    check_parts(&lines, &[("Api", Completed, "deployed")]);
    // Many ticks of another program hide none of CDK.
    let mut lines = vec!["✅ lint"; 60];
    let arn = "arn:aws:cloudformation:eu-west-1:1:stack/Api/1";
    lines.extend(["✅  Api", "Stack ARN:", arn]);
    check_parts(&lines, &[("Api", Completed, "deployed")]);
    // A script may tick a name before the deploy begins.
    let lines = ["✅ Api", "Api: deploying... [1/1]"];
    check_parts(&lines, &[("Api", Running, "deploying")]);
    let lines = ["Api: deploying... [1/1]", "✅ Api"];
    check_parts(&lines, &[("Api", Completed, "deployed")]);
}

#[test]
fn a_sentence_about_the_state_of_a_stack_ends_it_if_it_is_open() {
    let said = "Api is in ROLLBACK_COMPLETE";
    check_parts(
        &["Api: deploying... [1/1]", said],
        &[("Api", Failed, "rolled_back")],
    );
    check_parts(
        &[said, "Api: deploying... [1/1]"],
        &[("Api", Running, "deploying")],
    );
    let known = ["Api: deploying... [1/1]", "✅  Api", said];
    check_parts(&known, &[("Api", Completed, "deployed")]);
}

#[test]
fn names_that_a_terminal_has_cut_are_of_the_whole_stack() {
    let row =
        "Min-ComputeS | 1/3 | 10:00:00 | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B) ";
    let lines = [
        "Min-ComputeStack: deploying... [1/2]",
        "Other: deploying... [2/2]",
        row,
    ];
    let names: Vec<_> = parts_of(&lines)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(names, ["Min-ComputeStack", "Other"]);
    let own = "10:00:00 | CREATE_IN_PROGRESS   | AWS::CloudFormation::Stack | Min-Comp";
    check_parts(
        &[own, "❌  Min-ComputeStack failed: Error: no"],
        &[("Min-ComputeStack", Failed, "")],
    );
}

#[test]
fn a_change_set_tells_the_name_of_the_stack_that_was_just_started() {
    let lines = [
        "LegacyTop: deploying...",
        "legacy-top: creating CloudFormation changeset...",
        "legacy-top | 1/3 | 10:00:00 | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B) ",
        " ✅  LegacyTop",
    ];
    check_parts(&lines, &[("legacy-top", Completed, "deployed")]);
    // Each of these has its own change set.
    let lines = [
        "Api: creating CloudFormation changeset...",
        "Api: deploying... [1/2]",
        "Web: creating CloudFormation changeset...",
    ];
    assert_eq!(parts_of(&lines).len(), 2);
}

#[test]
fn a_cause_below_a_message_that_announces_causes_is_added_to_it() {
    let lines = [
        "Api: creating CloudFormation changeset...",
        "❌ Api failed to deploy",
        "‣ ToolkitError: early validation found 1 problem:",
        " └─ Api",
        "     🛑 a queue of this name is there",
    ];
    let message = "ToolkitError: early validation found 1 problem: a queue of this name is there";
    assert_eq!(run_of(&lines).message.as_deref(), Some(message));
    assert_eq!(
        run_of(&lines).parts["Api"].message.as_deref(),
        Some(message)
    );
}

const ROLLBACK: [&str; 6] = [
    "Api: deploying... [1/1]",
    "Api | 3/5 | 10:00:01 | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B) ",
    "Api | 3/5 | 10:00:02 | CREATE_FAILED | AWS::S3::Bucket | Files (Files1A2B) it exists",
    "Api | 3/5 | 10:00:03 | ROLLBACK_IN_PROGRESS | AWS::CloudFormation::Stack | Api no",
    "Api | 4/5 | 10:00:04 | DELETE_COMPLETE | AWS::S3::Bucket | Files (Files1A2B) ",
    "Api | 2/5 | 10:00:05 | DELETE_IN_PROGRESS | AWS::SQS::Queue | Jobs (Jobs1A2B) ",
];

#[test]
fn a_roll_back_keeps_the_furthest_progress_and_the_first_cause() {
    for rows in 4..=ROLLBACK.len() {
        let run = run_of(&ROLLBACK[..rows]);
        let progress = run.progress;
        let shown = (progress.current, progress.total, progress.percentage);
        assert_eq!(shown, (Some(3), Some(5), Some(60)), "{rows}");
        assert_eq!(
            (run.status, run.phase.as_deref()),
            (Running, Some("rolling_back"))
        );
        assert_eq!(run.message.as_deref(), Some("Files1A2B: it exists"));
    }
    // The part shows what CDK prints.
    assert_eq!(run_of(&ROLLBACK).parts["Api"].progress.current, Some(2));
    let lines = [&ROLLBACK[..], &["❌  Api failed: Error: ROLLBACK_COMPLETE"]].concat();
    let run = run_of(&lines);
    assert_eq!((run.status, run.progress.current), (Failed, Some(3)));
    assert_eq!(run.message.as_deref(), Some("Files1A2B: it exists"));
}

#[test]
fn a_failure_has_its_cause_its_resource_and_its_part() {
    let failure = run_of(&ROLLBACK).failure.unwrap();
    assert_eq!(failure.cause, "Files1A2B: it exists");
    let texts = [failure.resource, failure.resource_type, failure.part];
    let texts = texts.map(Option::unwrap);
    assert_eq!(texts, ["Files1A2B", "AWS::S3::Bucket", "Api"]);
    // A resource that failed may be tried again.
    assert_eq!(run_of(&ROLLBACK[..3]).failure, None);
    let lines = ["✨  Synthesis time: 1s", "‣ QuotaError: no third queue"];
    let failure = run_of(&lines).failure.unwrap();
    assert_eq!(
        (&*failure.cause, failure.part),
        ("QuotaError: no third queue", None)
    );
    let lines = ["Api: deploying... [1/1]", ROLLBACK[2], "✅  Api"];
    assert_eq!(run_of(&lines).failure, None);
}

#[test]
fn the_cause_of_a_run_is_the_first_one_of_all_stacks() {
    let row = |stack, state, rest| format!("{stack} | 1/3 | 10:00:00 | {state} | {rest}");
    let queue = "AWS::SQS::Queue | Jobs (Jobs1A2B) no third queue";
    let deleted = "AWS::S3::Bucket | Files (Files1A2B) it exists";
    let lines = [
        "Api: deploying... [1/2]".to_owned(),
        "Web: deploying... [2/2]".to_owned(),
        row("Web", "CREATE_FAILED", queue),
        row(
            "Web",
            "ROLLBACK_IN_PROGRESS",
            "AWS::CloudFormation::Stack | Web no",
        ),
        row("Api", "CREATE_FAILED", deleted),
        row(
            "Api",
            "ROLLBACK_IN_PROGRESS",
            "AWS::CloudFormation::Stack | Api no",
        ),
        row(
            "Api",
            "DELETE_FAILED",
            "AWS::SNS::Topic | News (News1A2B) in use",
        ),
    ];
    let lines = lines.each_ref().map(String::as_str);
    let run = run_of(&lines);
    let failure = run.failure.unwrap();
    assert_eq!(failure.cause, "Jobs1A2B: no third queue");
    assert_eq!(failure.part.as_deref(), Some("Web"));
    assert_eq!(
        run.message.as_deref(),
        Some("Web: Jobs1A2B: no third queue")
    );
    assert_eq!(failure.resource.as_deref(), Some("Jobs1A2B"));
}

#[test]
fn a_resource_that_failed_without_a_reason_is_the_cause() {
    // The bar has the reason on a line of its own.
    let lines = [
        "Api: deploying... [1/1]",
        "10:00:02 | CREATE_FAILED        | AWS::S3::Bucket | Files",
        "10:00:03 | ROLLBACK_IN_PROGRESS | AWS::CloudFormation::Stack | Api",
        "10:00:04 | DELETE_IN_PROGRESS   | AWS::S3::Bucket | Files",
    ];
    let run = run_of(&lines);
    assert_eq!(
        run.message.as_deref(),
        Some("CREATE_FAILED AWS::S3::Bucket Files")
    );
    let lines = [&lines[..], &["❌  Api failed: Error: the bucket exists"]].concat();
    assert_eq!(
        run_of(&lines).message.as_deref(),
        Some("Error: the bucket exists")
    );
}

#[test]
fn errors_of_the_app_and_of_its_constructs_are_causes() {
    let lines = ["[Error at /Api/Files] no encryption", "Found errors"];
    let run = run_of(&lines);
    assert_eq!((run.status, run.phase), (Failed, None));
    assert_eq!(
        run.message.as_deref(),
        Some("[Error at /Api/Files] no encryption")
    );
}

#[test]
fn the_run_shows_the_roll_back_of_one_of_several_stacks() {
    let lines = [
        &ROLLBACK[..],
        &[
            "Web: deploying... [2/2]",
            "Web | 1/2 | 10:00:06 | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B) ",
        ],
    ]
    .concat();
    let run = run_of(&lines);
    assert_eq!(run.phase.as_deref(), Some("rolling_back"));
    assert_eq!(run.message.as_deref(), Some("Api: Files1A2B: it exists"));
}

#[test]
fn a_completed_run_is_whole_whatever_cloudformation_estimated() {
    for counter in ["4/5", "6/5"] {
        let row = format!("Api | {counter} | 10:00:01 | CREATE_COMPLETE | AWS::SQS::Queue | Jobs ");
        let run = run_of(&["Api: deploying... [1/1]", &row, "✅  Api"]);
        let progress = run.progress;
        let shown = (progress.current, progress.total, progress.percentage);
        assert_eq!(shown, (Some(5), Some(5), Some(100)));
    }
}
