//! Rules of the pass, each shown by lines.

use std::time::Duration;

use progress_core::fold::{Fact, FactLog, LineKey, Report, Run};
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{self, Cancelled, Completed, Ended, Failed, Running};

use crate::limits::facts_of;

/// The reports of the runs in `lines`.
fn runs_of(format: LogFormat, lines: &[&str]) -> Vec<Report> {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let log = FactLog::from_iter(facts_of(format, &lines));
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
    for counter in ["(2/9) @paint/sky", "=== suite 1/6: sky", "[2/9] sky"] {
        let lines = [counter, "BUILD SUCCESSFUL in 4s"];
        assert_eq!(statuses(LogFormat::AGENT, &lines), [Running], "{counter}");
    }
    // The counter may be the tool's own.
    let lines = ["[1/4] Resolving packages...", "Done in 0.10s."];
    assert_eq!(statuses(LogFormat::AGENT, &lines), [Completed]);
}

#[test]
fn the_last_line_of_a_server_or_a_platform_ends_the_run() {
    let id = "00000000-0000-0000-0000-000000000000";
    for (end, status) in [
        ("##[error]Process completed with exit code 1.", Failed),
        ("Error: Process completed with exit code 1.", Failed),
        ("##[error]The operation was canceled.", Cancelled),
        ("##[error]Bash exited with code '1'.", Failed),
        (
            "##[error]The process '/bin/paint' failed with exit code 2",
            Failed,
        ),
        ("ERROR: Job failed: exit code 1", Failed),
        ("ERROR: Job failed (system failure): no runner", Failed),
        ("Job succeeded", Completed),
        ("🚨 Error: The command exited with status 1", Failed),
        ("user command error: exit status 1", Failed),
        ("Finished: SUCCESS", Completed),
        ("Finished: FAILURE", Failed),
        ("Finished: UNSTABLE", Failed),
        ("Finished: ABORTED", Cancelled),
        ("Finished: NOT_BUILT", Cancelled),
        ("Exited with code exit status 1", Failed),
        ("CircleCI received exit code 1", Failed),
        ("CircleCI received exit code 0", Completed),
        ("Process exited with code 1", Failed),
        ("Done. Your build exited with 0.", Completed),
        ("Done. Your build exited with 1.", Failed),
        ("Build success", Completed),
        ("Completed - Training job completed", Completed),
        ("Failed - Training job failed", Failed),
        ("Stopped - Training job stopped", Cancelled),
        ("Task timed out after 3.01 seconds", Failed),
        (
            &format!("2026-03-01T07:00:00.000Z {id} Task timed out after 3.01 seconds"),
            Failed,
        ),
        (
            &format!("RequestId: {id} Error: Runtime exited with error: exit status 1"),
            Failed,
        ),
        (
            &format!("RequestId: {id} Process exited before completing request"),
            Failed,
        ),
    ] {
        let found = statuses(LogFormat::AGENT, &["Step 3/10: paint", end]);
        assert_eq!(found, [status], "{end}");
    }
    for line in [
        "##[section]Finishing: paint",
        "ERROR: Job failed to find its cache, going on",
        "if the operation was canceled. That is rare",
        "the painter exited with code 0",
        "CircleCI received exit code 0 of the hook",
        "Completed - Training job completed 3 of 9 rounds",
        "Build finished",
    ] {
        let found = statuses(LogFormat::AGENT, &["Step 3/10: paint", line]);
        assert_eq!(found, [Running], "{line}");
    }
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

/// The report of the newest run of `lines` and an exit code, which is late.
fn with_exit(format: LogFormat, lines: &[&str], code: i32) -> Report {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let facts = facts_of(format, &lines);
    let mut log = FactLog::from_iter(facts.clone());
    log.compact(0, 0);
    log.add([(facts[0].0.with_line(1), crate::exit(code))]);
    let reports = log.runs().iter().map(Run::report).collect::<Vec<_>>();
    reports.last().expect("a run").clone()
}

#[test]
fn an_exit_code_outranks_all_lines() {
    let agent = LogFormat::AGENT;
    assert_eq!(
        with_exit(agent, &["Step 1/3", "BUILD FAILED"], 0).status,
        Completed
    );
    assert_eq!(
        with_exit(agent, &["Step 3/3", "All done"], 1).status,
        Failed
    );
    assert_eq!(
        with_exit(agent, &["Finished: ABORTED"], 1).status,
        Cancelled
    );
    let report = with_exit(LogFormat::CDK, &["Api: deploying... [1/2]", "✅  Api"], 1);
    assert_eq!(report.status, Failed);
    assert_eq!(report.parts["Api"].status, Completed);
    let report = with_exit(LogFormat::CDK, &["✅  Api"], 0);
    assert_eq!(
        (report.status, report.parts.len()),
        (Completed, 1),
        "a tick is a part"
    );
    let report = with_exit(LogFormat::CDK, &["Api: deploying... [1/1]"], 1);
    assert_eq!(
        (report.status, report.parts["Api"].status),
        (Failed, Failed)
    );
}

#[test]
fn lines_after_the_exit_code_change_nothing_until_work_starts() {
    let facts = |lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        facts_of(LogFormat::AGENT, &lines)
    };
    let lines = facts(&["Step 1/3", "Step 2/3", "BUILD SUCCESSFUL", "Step 1/3"]);
    let mut log = FactLog::from_iter(lines[..3].to_vec());
    log.add([(lines[0].0.with_line(1), crate::exit(1))]);
    let runs: Vec<_> = log.runs().iter().map(Run::report).collect();
    assert_eq!(
        runs.iter().map(|run| run.status).collect::<Vec<_>>(),
        [Failed]
    );
    assert_eq!(log.runs()[0].exit_code(), Some(1));
    log.add(lines);
    let statuses: Vec<_> = log.runs().iter().map(|run| run.report().status).collect();
    assert_eq!(statuses, [Failed, Running]);
}

#[test]
fn a_line_after_a_long_silence_begins_a_run_unless_it_continues_the_work() {
    let runs = |lines: [&str; 2]| {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        let format = match lines[0].contains('|') {
            true => LogFormat::CDK,
            false => LogFormat::AGENT,
        };
        let mut facts = facts_of(format, &lines);
        let (key, fact) = facts.pop().unwrap();
        let later = key.time().after(Duration::from_secs(3_600));
        facts.push((LineKey::outside_logs(later), fact));
        FactLog::from_iter(facts).runs().len()
    };
    assert_eq!(runs(["Step 1/3", "Step 2/3"]), 1, "a further sample");
    assert_eq!(runs(["Step 1/3", "All done"]), 1, "an end");
    assert_eq!(runs(["Step 1/3", "Epoch 5/9"]), 2);
    assert_eq!(runs(["All done", "All done"]), 2);
    let row = |state| format!("Api | 1/3 | 10:00:00 AM | {state} | AWS::SQS::Queue | Jobs");
    let (starts, ends) = (row("CREATE_IN_PROGRESS"), row("CREATE_COMPLETE"));
    assert_eq!(runs([&starts, &ends]), 1, "a row of an open stack");
}

#[test]
fn a_failure_keeps_the_lines_before_the_first_cause() {
    let lines = ["Step 1/3".to_owned(), "BUILD FAILED".to_owned()];
    let mut facts = facts_of(LogFormat::AGENT, &lines);
    let (key, fact) = facts.pop().unwrap();
    let Fact::Line(line) = fact else {
        panic!("{fact:?}")
    };
    for (number, context) in ["the cause", "an effect"].into_iter().enumerate() {
        let (line, context) = (line.clone(), vec![context.to_owned()]);
        let number = u32::try_from(number).unwrap();
        facts.push((key.with_line(number), Fact::Failure { line, context }));
    }
    let report = FactLog::from_iter(facts).runs()[0].report();
    assert_eq!(report.failure.unwrap().context, ["the cause"]);
}

#[test]
fn each_run_has_the_lines_before_its_own_failure() {
    let lines = ["Step 1/3", "BUILD FAILED", "Step 1/3", "BUILD FAILED"];
    let facts = facts_of(LogFormat::AGENT, &lines.map(str::to_owned));
    let facts = (0..).zip(facts).map(|(number, (key, fact))| match fact {
        Fact::Line(line) if line.is_failure() => {
            let context = vec![format!("before {number}")];
            (key, Fact::Failure { line, context })
        }
        _ => (key, fact),
    });
    let runs = FactLog::from_iter(facts).runs();
    let failures = runs.iter().filter_map(|run| run.report().failure);
    let contexts: Vec<_> = failures.flat_map(|failure| failure.context).collect();
    assert_eq!(contexts, ["before 1", "before 3"]);
}

#[test]
fn an_exit_code_is_the_cause_that_no_line_tells() {
    let line = "Step 1/3".to_owned();
    let mut log = FactLog::from_iter(facts_of(LogFormat::AGENT, &[line]));
    let exit_at = log.newest().unwrap().with_line(9);
    let of_exit = |log: &mut FactLog, code| {
        log.add([(exit_at, crate::exit(code))]);
        log.runs()[0].report().failure
    };
    assert_eq!(of_exit(&mut log.clone(), 0), None);
    let failure = of_exit(&mut log, 3).unwrap();
    assert_eq!(
        (&*failure.cause, failure.at),
        ("exit code 3", exit_at.time())
    );
    // A success of the command takes the failure back.
    let lines = ["Step 1/3", "BUILD FAILED"].map(str::to_owned);
    let mut log = FactLog::from_iter(facts_of(LogFormat::AGENT, &lines));
    assert!(log.runs()[0].report().failure.is_some());
    assert_eq!(of_exit(&mut log, 0), None);
}

#[test]
fn the_error_before_an_exit_code_tells_more() {
    let lines = ["Step 1/3", "process exited with code 3"].map(str::to_owned);
    let mut facts = facts_of(LogFormat::AGENT, &lines);
    let (key, fact) = facts.pop().unwrap();
    let Fact::Line(line) = fact else {
        panic!("{fact:?}")
    };
    let failed = |context: &[&str]| {
        let context = context.iter().map(|line| (*line).to_owned()).collect();
        let line = line.clone();
        let fact = (key, Fact::Failure { line, context });
        let facts = facts.iter().cloned().chain([fact]);
        let report = FactLog::from_iter(facts).runs()[0].report();
        let failure = report.failure.unwrap();
        assert_eq!(report.message.as_deref(), Some(&*failure.cause));
        failure.cause
    };
    let error = "10:00:00 ERROR the brush is lost";
    assert_eq!(
        failed(&["Step 1/3", error, "exit status 3"]),
        "the brush is lost"
    );
    let said = "process exited with code 3";
    assert_eq!(failed(&["Step 1/3", "mixing"]), said);
    assert_eq!(failed(&[error, "All done"]), said);
}

#[test]
fn the_usage_and_the_to_do_list_are_the_newest_ones() {
    let lines = [
        r#"{"usage":{"input_tokens":10,"output_tokens":2},"model":"m-1"}"#,
        r#"{"todos":[{"content":"a","status":"completed"},{"content":"b","status":"pending"}]}"#,
        r#"{"usage":{"input_tokens":30}}"#,
    ];
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let log = FactLog::from_iter(facts_of(LogFormat::AGENT, &lines));
    let run = &log.runs()[0];
    let usage = run.usage().unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens),
        (Some(30), Some(2))
    );
    assert_eq!(usage.model.as_deref(), Some("m-1"));
    assert_eq!(run.todos().count(), 2);
    let progress = run.report().progress;
    assert_eq!((progress.current, progress.total), (Some(1), Some(2)));
}

/// The parts of the newest run: name, current, status.
fn parts_of(lines: &[&str]) -> Vec<(String, Option<u64>, TaskStatus)> {
    let run = runs_of(LogFormat::CDK, lines).pop().expect("a run");
    let parts = run.parts.into_iter();
    parts
        .map(|(name, part)| (name, part.progress.current, part.status))
        .collect()
}

#[test]
fn a_tick_after_the_start_of_another_stack_is_of_the_same_run() {
    let row = "a | 3/3 | 9:15:02 AM | UPDATE_COMPLETE | AWS::CloudFormation::Stack | a";
    let lines = [
        "P/A (a): deploying...",
        row,
        "P/B (b): deploying...",
        " ✅  P/A (a)",
        " ✅  P/B (b)",
    ];
    let expected = [
        ("a".to_owned(), Some(3), Completed),
        ("b".to_owned(), None, Completed),
    ];
    assert_eq!(parts_of(&lines), expected);
    assert_eq!(statuses(LogFormat::CDK, &lines), [Completed]);
}

#[test]
fn another_stack_after_the_failure_of_the_run_begins_a_run() {
    let row = "A | 3/3 | 9:15:02 AM | UPDATE_FAILED | AWS::CloudFormation::Stack | A";
    let failed = "❌ Deployment failed: Error: no";
    for end in [&[failed][..], &[row, failed]] {
        let lines = [&["A: deploying..."], end, &["B: deploying..."]].concat();
        assert_eq!(statuses(LogFormat::CDK, &lines), [Failed, Running]);
    }
}

#[test]
fn stacks_may_come_in_any_order_of_their_numbers_and_go_on_after_a_failure() {
    let cdk = LogFormat::CDK;
    let lines = [
        "B: deploying... [2/2]",
        "✅  B",
        "A: deploying... [1/2]",
        "✅  A",
    ];
    assert_eq!(statuses(cdk, &lines), [Completed]);
    let lines = [
        "A: deploying... [1/2]",
        "❌  A failed: Error: no",
        "B: deploying... [2/2]",
        "✅  B",
    ];
    assert_eq!(statuses(cdk, &lines), [Failed]);
    let lines = ["A: deploying... [1/3]", "✅  A", "X: deploying... [1/2]"];
    assert_eq!(
        statuses(cdk, &lines),
        [Ended, Running],
        "A's run was killed"
    );
}

#[test]
fn a_bootstrap_stack_with_its_usual_name_is_no_other_stack() {
    let start = "⏳  Bootstrapping environment aws://1/us-east-1...";
    let row = "Web | 1/2 | 9:15:02 AM | CREATE_COMPLETE | AWS::SQS::Queue | Q";
    let parts = parts_of(&[
        start,
        "CDKToolkit: creating CloudFormation changeset...",
        row,
    ]);
    let names: Vec<_> = parts.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["CDKToolkit", "Web"]);
    let parts = parts_of(&[start, row]);
    let names: Vec<_> = parts.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["Web"], "the first row names the bootstrap stack");
    let parts = parts_of(&[start, "toolkit: creating CloudFormation changeset..."]);
    assert_eq!(parts[0].0, "toolkit");
    let parts = parts_of(&[start, "Shop: deploying... [1/1]"]);
    assert_eq!(parts.len(), 2);
}

#[test]
fn a_foreign_tick_does_not_hide_a_failure() {
    let lines = ["❌ Deployment failed: Error: no", " ✅  Prod/Net"];
    assert_eq!(statuses(LogFormat::CDK, &lines), [Failed]);
    assert!(parts_of(&lines).is_empty());
}

#[test]
fn a_run_with_more_stacks_than_are_kept_still_ends() {
    let stacks = 1_100;
    let start = |n| format!("S{n}: deploying... [{n}/{stacks}]");
    let end = |n| format!(" ✅  S{n}");
    let lines: Vec<_> = (1..=stacks)
        .map(start)
        .chain((1..=stacks).map(end))
        .collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    assert_eq!(statuses(LogFormat::CDK, &lines), [Completed]);
}

#[test]
fn each_invocation_of_a_function_is_a_run() {
    let (start, end, report) = (
        "START RequestId: 6f747567-7a0c Version: $LATEST",
        "END RequestId: 6f747567-7a0c",
        "REPORT RequestId: 6f747567-7a0c\tDuration: 9.51 ms\tBilled Duration: 10 ms",
    );
    let timeout = format!("{report}\tStatus: timeout");
    let lines = [
        start,
        "Step 1/3",
        "Step 2/3",
        end,
        &timeout, // killed
        start,
        "no progress",
        end,
        report, // shows nothing
        start,
        end,
        &timeout, // of no run
        start,
        "Step 2/3",
        "Step 3/3",
        "All done",
        end,
        report,
        start,
        "3 steps are left: Step 3/3",
    ];
    let runs = runs_of(LogFormat::AGENT, &lines);
    let outcomes: Vec<_> = runs.iter().map(|run| run.status).collect();
    assert_eq!(outcomes, [Failed, Completed, Running]);
    assert_eq!(runs[0].message.as_deref(), Some("Status: timeout"));
    let started_at = |run: &Report| run.start.unwrap().time().as_millis() / 1_000 - 1_790_000_000;
    assert_eq!(runs.iter().map(started_at).collect::<Vec<_>>(), [0, 12, 18]);
    assert!(runs_of(LogFormat::AGENT, &[start, end, &timeout]).is_empty());
}
