use super::*;
use crate::log_parser::observation::{Counter, FailureOf, Resource, RowSubject};

/// Lines with one observation each.
pub(in crate::log_parser) const EXAMPLES: &[&str] = &[
    "Prod-Api | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) ",
    "Prod-Api |   4 | 14:15:02 | DELETE_FAILED        | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) no",
    " 3/7 | 오후 2:15:02 | ROLLBACK_IN_PROGRESS | AWS::CloudFormation::Stack | Prod-Api no",
    "3/7 Currently in progress: Prod-Api, Jobs1A2B3C4D",
    "  [████▌·······] (4/7)",
    "Prod/Api (Prod-Api): deploying... [1/2]",
    "Prod-Api: creating CloudFormation changeset...",
    " ✅  Prod-Api (no changes)",
    "❌  Prod-Api failed: Error: no: ROLLBACK_COMPLETE",
    "⏳  Bootstrapping environment aws://123456789012/us-east-1...",
    "arn:aws:cloudformation:us-east-1:123456789012:stack/Prod-Api/dc3e",
    "✨ hotswapping resources:",
];

/// Compares the observation of a line in the short form of [`brief`]. `-` means none.
#[track_caller]
fn check(line: &str, expected: &str) {
    let line = crate::log_parser::line::clean(line);
    let found = if may_match(&line) {
        parse(&line).unwrap()
    } else {
        None
    };
    assert_eq!(
        found.as_ref().map_or("-".to_owned(), brief),
        expected,
        "{line:?}"
    );
}

fn brief(observation: &CdkObservation) -> String {
    let number = |counter: &Counter| match (counter.current, counter.total) {
        (Some(current), Some(total)) => format!("{current}/{total}"),
        (Some(current), None) => current.to_string(),
        _ => unreachable!(),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
    match observation {
        CdkObservation::Start {
            stack,
            operation,
            in_run,
            is_change_set,
        } => {
            let run = in_run.map_or(String::new(), |in_run| {
                format!(" {} of {}", in_run.index, in_run.stacks)
            });
            let set = if *is_change_set { " by change set" } else { "" };
            format!("{operation:?} {stack}{run}{set}")
        }
        CdkObservation::Row {
            stack,
            counter,
            own,
            own_name,
            failure,
            subject,
        } => {
            let message = subject.message();
            let counter = counter.as_ref().map_or("-".to_owned(), number);
            let own = own.map_or("-".to_owned(), |own| format!("{own:?}"));
            let (stack, own_name, failure) = (text(stack), text(own_name), text(failure));
            format!("{stack} {counter} own={own}:{own_name} failure={failure} [{message}]")
        }
        CdkObservation::Bar { counter } => format!("bar {}", number(counter)),
        CdkObservation::CurrentlyInProgress { counter, first_id } => {
            format!("waiting {} {first_id}", number(counter))
        }
        CdkObservation::End {
            stack,
            outcome,
            message,
        } => {
            format!("{outcome:?} {stack} [{}]", text(message))
        }
        CdkObservation::UnconfirmedEnd {
            stack,
            outcome,
            message,
            is_squeezed,
        } => {
            let space = if *is_squeezed { "squeezed " } else { "" };
            format!("{space}unconfirmed {outcome:?} {stack} [{}]", text(message))
        }
        CdkObservation::StackIsIn { stack, outcome, .. } => format!("{stack} is {outcome:?}"),
        CdkObservation::AssetPublished { stack } => format!("published {stack}"),
        CdkObservation::Prepared => "prepared".to_owned(),
        CdkObservation::Express { message } => format!("express [{message}]"),
        CdkObservation::TimeTaken { operation } => format!("time of {operation:?}"),
        CdkObservation::Synthesized => "synthesized".to_owned(),
        CdkObservation::RunCancelled { message } => format!("run cancelled [{message}]"),
        CdkObservation::RunCompleted => "run completed".to_owned(),
        CdkObservation::Exception { message } => format!("exception [{message}]"),
        CdkObservation::Cause { message } => format!("cause [{message}]"),
        CdkObservation::BootstrapStart { environment } => format!("bootstrap {environment}"),
        CdkObservation::BootstrapEnd {
            environment,
            outcome,
            message,
        } => {
            format!("bootstrap {environment} {outcome:?} [{}]", text(message))
        }
        CdkObservation::StackArn { name } => format!("arn {name}"),
        CdkObservation::Hotswap => "hotswap".to_owned(),
        CdkObservation::RunFailed { message, of } => match of {
            FailureOf::Surroundings => format!("run failed [{message}]"),
            of => format!("run failed by {of:?} [{message}]"),
        },
    }
}

#[test]
fn rows_of_all_releases_are_read() {
    const JOBS: &str = "own=-:- failure=- [CREATE_COMPLETE AWS::SQS::Queue Jobs]";
    for (line, start) in [
        (
            " 3/7 | 09:15:02 | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D)",
            "- 3/7",
        ),
        (
            "  3/7 |9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D)",
            "- 3/7",
        ),
        (
            "Prod-Api | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) ",
            "Prod-Api 3/7",
        ),
        (
            "Prod-Api | 3/7 | 9:15:02 AM | CREATE_COMPLETE         | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) ",
            "Prod-Api 3/7",
        ),
        (
            "Prod-Api | 3/7 | 9:15:02 AM | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D)",
            "Prod-Api 3/7",
        ),
        (
            "Prod-Api |  3/12 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/12",
        ),
        (
            "Prod-Api |   7/100 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 7/100",
        ),
        (
            "Prod-Api |   4 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 4",
        ),
        (
            "  4 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "- 4",
        ),
        (
            "Prod-Api | 23/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 23/7",
        ),
        // locales
        (
            "Prod-Api | 3/7 | 오후 2:15:02 | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/7",
        ),
        (
            "Prod-Api | 3/7 | 下午2:15:02 | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/7",
        ),
        (
            "Prod-Api | 3/7 | 9:15:02\u{202f}AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/7",
        ),
        (
            "Prod-Api | 3/7 | 14.15.02 | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/7",
        ),
        // prefixes of other programs
        (
            "2021-12-07T10:49:15+11:00 ✘  Prod-Api | 3/7 | 9:15:02 am | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/7",
        ),
        (
            "2021-12-07T10:49:15+11:00 ✘    3/7 | 9:15:02 am | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "- 3/7",
        ),
        (
            "2025-11-15T10:00:00.000Z   4 | 9:15:02 am | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "- 4",
        ),
        (
            "deployer-1  | Prod-Api | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/7",
        ),
        (
            "deployer-1  |  3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "- 3/7",
        ),
        (
            "web_1 | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "- 3/7",
        ),
        (
            "deploy\tRun cdk\t2025-11-15T10:00:00.0000000Z Prod-Api | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api 3/7",
        ),
        (
            "***-Api | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "***-Api 3/7",
        ),
        // printers without a counter
        (
            "Prod-Api | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "Prod-Api -",
        ),
        (
            " 9:15:02 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs",
            "- -",
        ),
    ] {
        check(line, &format!("{start} {JOBS}"));
    }
}

#[test]
fn the_row_of_a_stack_gives_its_state() {
    for (status, state) in [
        ("REVIEW_IN_PROGRESS  ", "InProgress"),
        ("CREATE_IN_PROGRESS  ", "InProgress"),
        ("CREATE_COMPLETE     ", "Complete"),
        ("IMPORT_COMPLETE     ", "Complete"),
        ("UPDATE_COMPLETE_CLEA", "CleaningUp"),
        ("UPDATE_COMPLETE_CLEANUP", "CleaningUp"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "CleaningUp"),
        ("UPDATE_COMPLETE     ", "Complete"),
        ("DELETE_IN_PROGRESS  ", "Deleting"),
        ("DELETE_COMPLETE     ", "Deleted"),
        ("DELETE_FAILED       ", "Failed"),
        ("ROLLBACK_IN_PROGRESS", "RollingBack"),
        ("ROLLBACK_COMPLETE   ", "RolledBack"),
        ("ROLLBACK_FAILED     ", "Failed"),
        ("UPDATE_ROLLBACK_IN_P", "RollingBack"),
        ("UPDATE_ROLLBACK_IN_PROG", "RollingBack"),
        ("UPDATE_ROLLBACK_COMP", "RolledBack"),
        ("UPDATE_ROLLBACK_COMPLET", "RolledBack"),
        ("UPDATE_ROLLBACK_FAIL", "Failed"),
        ("IMPORT_ROLLBACK_IN_P", "RollingBack"),
        ("IMPORT_ROLLBACK_COMP", "RolledBack"),
        ("IMPORT_ROLLBACK_FAIL", "Failed"),
    ] {
        let line =
            format!("Prod | 3/7 | 9:15:02 AM | {status} | AWS::CloudFormation::Stack | Prod ");
        let found = parse(&line).unwrap().unwrap();
        assert!(
            brief(&found).contains(&format!("own={state}:- ")),
            "{line}: {found:?}"
        );
        let line = format!(
            " 3/7 | 9:15:02 AM | {status} | AWS::CloudFormation::Stack | Prod User Initiated"
        );
        let found = parse(&line).unwrap().unwrap();
        assert!(
            brief(&found).contains(&format!("own={state}:Prod ")),
            "{line}: {found:?}"
        );
    }
}

#[test]
fn the_row_of_a_nested_stack_gives_no_state() {
    for name in [
        "Data.NestedStack/Data.NestedStackResource (Data1A2B3C4D)",
        "Data (Data1A2B3C4D) Resource creation Initiated",
        "Data",
        "Prod (Prod1A2B3C4D)",
        "Prod-Data-1BIXA5GN4FTBJ",
    ] {
        let line = format!(
            "Prod | 3/7 | 9:15:02 AM | CREATE_COMPLETE | AWS::CloudFormation::Stack | {name}"
        );
        let found = parse(&line).unwrap().unwrap();
        assert!(
            brief(&found).starts_with("Prod 3/7 own=-:- "),
            "{line}: {found:?}"
        );
    }
}

#[test]
fn a_repeated_row_gives_no_state() {
    check(
        "Prod | 9:15:02 AM | DELETE_FAILED        | AWS::CloudFormation::Stack | Prod it is stuck",
        "Prod - own=-:- failure=Prod: it is stuck [DELETE_FAILED AWS::CloudFormation::Stack Prod]",
    );
    // The printer of errors alone prints no time, and nothing twice.
    check(
        "Prod | ROLLBACK_FAILED | AWS::CloudFormation::Stack | Prod",
        "Prod - own=Failed:- failure=- [ROLLBACK_FAILED AWS::CloudFormation::Stack Prod]",
    );
    check(
        "6:41:29 PM | ROLLBACK_IN_PROGRESS | AWS::CloudFormation::Stack | Prod",
        "- - own=RollingBack:Prod failure=- [ROLLBACK_IN_PROGRESS AWS::CloudFormation::Stack Prod]",
    );
}

#[test]
fn the_reason_of_a_failed_resource_is_read() {
    for (rest, failure) in [
        (
            "Jobs (Jobs1A2B3C4D) it | is 3/7 50% (Service: Sqs)",
            "Jobs1A2B3C4D: it | is 3/7 50% (Service: Sqs)",
        ),
        (
            "My Jobs/Queue (Jobs1A2B3C4D) broken",
            "Jobs1A2B3C4D: broken",
        ),
        (
            "Jobs already exists (Service: Sqs; Status Code: 400)",
            "Jobs: already exists (Service: Sqs; Status Code: 400)",
        ),
        ("Jobs (Jobs1A2B3C4D) Resource creation cancelled", "-"),
        ("Jobs Resource update cancelled", "-"),
        ("Jobs (Jobs1A2B3C4D)", "-"),
    ] {
        let name = if rest.starts_with("My") {
            "My Jobs/Queue"
        } else {
            "Jobs"
        };
        check(
            &format!("Prod | 3/7 | 9:15:02 AM | CREATE_FAILED        | AWS::SQS::Queue | {rest}"),
            &format!("Prod 3/7 own=-:- failure={failure} [CREATE_FAILED AWS::SQS::Queue {name}]"),
        );
    }
    check(
        "Prod | 3/7 | 9:15:02 AM | DELETE_FAILED (skipped) | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) in use",
        "Prod 3/7 own=-:- failure=- [DELETE_FAILED (skipped) AWS::SQS::Queue Jobs]",
    );
    check(
        "Prod | CREATE_FAILED | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) no",
        "Prod - own=-:- failure=Jobs1A2B3C4D: no [CREATE_FAILED AWS::SQS::Queue Jobs]",
    );
}

#[test]
fn cut_rows_are_read_as_far_as_possible() {
    check(
        "Prod | 3/7 | 9:15:02 AM | CREATE_IN_PR",
        "Prod 3/7 own=-:- failure=- [CREATE_IN_PROGRESS]",
    );
    check(
        "Prod | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | AWS::SQ",
        "Prod 3/7 own=-:- failure=- [CREATE_COMPLETE AWS::SQ]",
    );
    check(
        "Prod | 3/7 | 9:15:02 AM | CREATE_COMPLETE      | ",
        "Prod 3/7 own=-:- failure=- [CREATE_COMPLETE]",
    );
    let stack = "A".repeat(80);
    check(
        &format!("{stack} | 3/7 | 9:15:02 AM |"),
        &format!("{stack} 3/7 own=-:- failure=- [{stack} | 3/7 | 9:15:02 AM |]"),
    );
}

#[test]
fn a_row_gives_its_resource() {
    for (rest, name, logical_id) in [
        ("Jobs", "Jobs", None),
        ("Jobs (Jobs)", "Jobs", None),
        (
            "My Jobs/Queue (Jobs1A2B3C4D) no",
            "My Jobs/Queue",
            Some("Jobs1A2B3C4D"),
        ),
        ("Jo\u{7}bs (Jobs1A2B3C4D)", "Jobs", Some("Jobs1A2B3C4D")),
    ] {
        let line =
            format!("Prod | 3/7 | 9:15:02 AM | CREATE_IN_PROGRESS | AWS::SQS::Queue | {rest}");
        let Some(CdkObservation::Row { subject, .. }) = parse(&line).unwrap() else {
            panic!("{line:?} is not a row");
        };
        let expected = Resource {
            status: "CREATE_IN_PROGRESS".to_owned(),
            resource_type: "AWS::SQS::Queue".to_owned(),
            name: name.to_owned(),
            logical_id: logical_id.map(str::to_owned),
        };
        assert_eq!(subject, RowSubject::Resource(expected), "{line:?}");
        assert_eq!(
            subject.message(),
            format!("CREATE_IN_PROGRESS AWS::SQS::Queue {name}")
        );
    }
}

#[test]
fn waiting_lines_and_bars_have_counters() {
    check(
        "3/7 Currently in progress: Prod-Api, Jobs1A2B3C4D",
        "waiting 3/7 Prod-Api",
    );
    check(
        "  4 Currently in progress: Jobs1A2B3C4D",
        "waiting 4 Jobs1A2B3C4D",
    );
    check(
        "2021-12-07T10:49:15+11:00 ✘  1/4 Currently in progress: A, B",
        "waiting 1/4 A",
    );
    check("[████▌···············] (4/7)      ", "bar 4/7");
    check("  [····················] (0/7)", "bar 0/7");
    check("[██··] (1/7) [████] (7/7)\u{1b}[K", "bar 7/7");
    check("[Warning] (1/7)", "-");
    check("[====] (1/7)", "-");
}

#[test]
fn the_start_of_a_stack_is_read() {
    for (line, expected) in [
        ("Prod-Api: deploying...", "Deploy Prod-Api"),
        ("Prod-Api: deploying... [2/3]", "Deploy Prod-Api 2 of 3"),
        (
            "Prod/Api (Prod-Api): deploying... [1/1]",
            "Deploy Prod/Api (Prod-Api) 1 of 1",
        ),
        (
            "My Stage/Api (Prod-Api): deploying...",
            "Deploy My Stage/Api (Prod-Api)",
        ),
        (
            "Prod-Api: creating CloudFormation changeset...",
            "Deploy Prod-Api by change set",
        ),
        (
            "Prod-Api: creating stack...",
            "Deploy Prod-Api by change set",
        ),
        (
            "My Group/Api Stack: deploying... [1/2]",
            "Deploy My Group/Api Stack 1 of 2",
        ),
        ("runner/7 Prod-Api: deploying...", "Deploy Prod-Api"),
        ("Prod-Api: updating stack...", "Deploy Prod-Api"),
        ("Prod-Api: destroying... [1/2]", "Destroy Prod-Api 1 of 2"),
        (
            "Are you sure you want to delete: A, B (y/n)? B: destroying... [1/2]",
            "Destroy B 1 of 2",
        ),
        (
            "Prod-Api: importing resources into stack...",
            "Import Prod-Api",
        ),
        ("Rolling back Prod-Api", "Rollback Prod-Api"),
        ("Prod-Api: building assets...", "BuildAssets Prod-Api"),
        (
            "Prod-Api:  start: Building Template",
            "BuildAssets Prod-Api",
        ),
        ("Prod-Api: start: Building Template", "BuildAssets Prod-Api"),
        (
            "⏳  Starting deployment of stack Prod-Api...",
            "Deploy Prod-Api",
        ),
        ("[14:15:02] Prod-Api: deploying...", "Deploy Prod-Api"),
        ("14:15:02 Prod-Api: deploying...", "Deploy Prod-Api"),
        ("deployer-1  | Prod-Api: deploying...", "Deploy Prod-Api"),
        ("infra:deploy: Prod-Api: deploying...", "Deploy Prod-Api"),
        (
            " ⏳  Bootstrapping environment aws://123/us-east-1...",
            "bootstrap aws://123/us-east-1",
        ),
        ("✨ hotswapping resources:", "hotswap"),
        ("   ✨ Lambda Function 'x' hotswapped!", "hotswap"),
        (
            "arn:aws:cloudformation:us-east-1:1:stack/Prod-Api/dc3e",
            "arn Prod-Api",
        ),
        (
            "Stack ARN: arn:aws-cn:cloudformation:cn-north-1:1:stack/Prod-Api/dc3e",
            "arn Prod-Api",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn the_end_of_a_stack_is_read() {
    for (line, expected) in [
        ("✅  Prod-Api", "unconfirmed Completed Prod-Api [-]"),
        (" ✅  Prod-Api", "unconfirmed Completed Prod-Api [-]"),
        ("âœ…  Prod-Api", "unconfirmed Completed Prod-Api [-]"),
        (
            "✅  Prod/Api (Prod-Api)",
            "Completed Prod/Api (Prod-Api) [-]",
        ),
        ("✅  Prod-Api (no changes)", "Unchanged Prod-Api [-]"),
        (
            "✅  Prod/Api (Prod-Api) (no changes)",
            "Unchanged Prod/Api (Prod-Api) [-]",
        ),
        ("✅ ApiStack", "Completed ApiStack [-]"),
        ("✅  Prod-Api: destroyed", "Destroyed Prod-Api [-]"),
        ("✅  Prod-Api: deployed", "Destroyed Prod-Api [-]"),
        (
            "2025-11-15 10:00:00 INFO  ✅  Prod-Api",
            "unconfirmed Completed Prod-Api [-]",
        ),
        (
            "Prod-Api: stack has no resources, skipping deployment.",
            "Unchanged Prod-Api [-]",
        ),
        (
            "❌  Prod-Api failed: Error: no: CREATE_FAILED (x)",
            "Failed Prod-Api [Error: no: CREATE_FAILED (x)]",
        ),
        (
            "❌  Prod/Api (Prod-Api) failed: Error: UPDATE_ROLLBACK_COMPLETE",
            "RolledBack Prod/Api (Prod-Api) [Error: UPDATE_ROLLBACK_COMPLETE]",
        ),
        ("❌  Prod-Api failed", "unconfirmed Failed Prod-Api [-]"),
        (
            "❌  lint failed: 3 problems",
            "unconfirmed Failed lint [3 problems]",
        ),
        ("❌ e2e failed: 3", "unconfirmed Failed e2e [3]"),
        (
            "❌  Prod-Api failed: _ToolkitError: no",
            "Failed Prod-Api [_ToolkitError: no]",
        ),
        (
            "❌ Prod-Api failed: the stack is in UPDATE_ROLLBACK_FAILED",
            "unconfirmed Failed Prod-Api [the stack is in UPDATE_ROLLBACK_FAILED]",
        ),
        (
            "✅  My Group/Api Stack",
            "unconfirmed Completed My Group/Api Stack [-]",
        ),
        (
            "✅  My Group/Api Stack (no changes)",
            "Unchanged My Group/Api Stack [-]",
        ),
        (
            "❌  My Group/Api Stack failed: Error: no",
            "Failed My Group/Api Stack [Error: no]",
        ),
        (
            "✅  My Group/Api Stack: destroyed",
            "Destroyed My Group/Api Stack [-]",
        ),
        (
            "❌  Prod-Api: destroy failed Error: no",
            "Failed Prod-Api [Error: no]",
        ),
        (
            "❌ Deployment failed: Error: no",
            "run failed by Command [Error: no]",
        ),
        (
            "✅  Environment aws://123/us-east-1 bootstrapped.",
            "bootstrap aws://123/us-east-1 Completed [-]",
        ),
        (
            "✅  Environment aws://123/us-east-1 bootstrapped (no changes).",
            "bootstrap aws://123/us-east-1 Unchanged [-]",
        ),
        (
            "❌  Environment aws://123/us-east-1 failed bootstrapping: Error: no",
            "bootstrap aws://123/us-east-1 Failed [Error: no]",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_mark_with_one_space_is_told_apart() {
    check("✅ lint", "squeezed unconfirmed Completed lint [-]");
    check("✅ Prod-Api", "squeezed unconfirmed Completed Prod-Api [-]");
    check("✅ All good", "-");
}

#[test]
fn failures_without_an_error_in_the_line_of_the_stack_are_read() {
    for (line, expected) in [
        ("❌ Prod-Api failed to deploy", "Failed Prod-Api [-]"),
        (
            "❌  Prod/Api (Prod-Api) failed to destroy",
            "Failed Prod/Api (Prod-Api) [-]",
        ),
        ("❌ lint failed to run", "-"),
        (
            "❌  Api failed: Error: Api: no parameter. Has the environment been bootstrapped? Please run 'cdk bootstrap'",
            "Failed Api [Error: Api: no parameter. Has the environment been bootstrapped? Please run 'cdk bootstrap']",
        ),
        (
            "The stack named Prod-Api is in a failed state: UPDATE_ROLLBACK_COMPLETE",
            "RolledBack Prod-Api [The stack named Prod-Api is in a failed state: UPDATE_ROLLBACK_COMPLETE]",
        ),
        (
            "The stack named Prod-Api failed creation: CREATE_FAILED (no)",
            "Failed Prod-Api [The stack named Prod-Api failed creation: CREATE_FAILED (no)]",
        ),
        (
            "The stack named Prod-Api failed to deploy: UPDATE_FAILED",
            "Failed Prod-Api [The stack named Prod-Api failed to deploy: UPDATE_FAILED]",
        ),
        (
            "2025-11-15 10:00:00 ERROR Prod-Api is in ROLLBACK_COMPLETE",
            "Prod-Api is RolledBack",
        ),
        (
            "Stack:arn:aws:cloudformation:us-east-1:1:stack/Prod-Api/1f is in ROLLBACK_COMPLETE state and can not be updated.",
            "Prod-Api is Failed",
        ),
        (
            "Stack Prod-Api does not need a rollback: UPDATE_COMPLETE",
            "Unchanged Prod-Api [-]",
        ),
        ("Prod-Api: fail: no builder", "Failed Prod-Api [no builder]"),
        (
            "Prod-Api:  success: Published Jobs/Code (1-eu-west-1)",
            "published Prod-Api",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn lines_about_a_command_as_a_whole_are_read() {
    for (line, expected) in [
        ("✨  Synthesis time: 3.2s", "synthesized"),
        ("✨  Deployment time: 41.7s", "time of Deploy"),
        ("✨  Rollback time: 0.9s", "time of Rollback"),
        (
            "‣ QuotaError: no third queue",
            "run failed by Command [QuotaError: no third queue]",
        ),
        (
            "‣ AccessDenied: not this role",
            "run failed by Command [AccessDenied: not this role]",
        ),
        (
            "npx ts-node app.ts: Subprocess exited with error 1",
            "run failed by App [npx ts-node app.ts: Subprocess exited with error 1]",
        ),
        (
            "Failed to publish one or more assets. See the error messages above.",
            "run failed by Assets [Failed to publish one or more assets. See the error messages above.]",
        ),
        (
            "No stacks match the name(s) Prod-Web",
            "run failed by Command [No stacks match the name(s) Prod-Web]",
        ),
        (
            "❌  Refactor failed: two of them",
            "run failed by Command [two of them]",
        ),
        ("✅  Stack refactor complete", "run completed"),
        ("✔ Deployment completed in 8.1 seconds", "run completed"),
        ("Nothing to refactor.", "run completed"),
        (
            "Deployment cancelled",
            "run cancelled [Deployment cancelled]",
        ),
        ("Aborted by user", "run cancelled [Aborted by user]"),
        (
            "The operation was canceled.",
            "run cancelled [The operation was canceled.]",
        ),
        (
            "TypeError: no such queue",
            "exception [TypeError: no such queue]",
        ),
        (
            "botocore.exceptions.NoRegionError: none",
            "exception [botocore.exceptions.NoRegionError: none]",
        ),
        (
            "      🛑 a queue of this name exists",
            "cause [a queue of this name exists]",
        ),
        (
            "Changeset arn:aws:cloudformation:us-east-1:1:changeSet/cdk/66 created and waiting in review for manual execution (--no-execute)",
            "prepared",
        ),
        (
            "⚠️  Stack deployed using Express Mode. Resources still stabilizing: Jobs",
            "express [Stack deployed using Express Mode. Resources still stabilizing: Jobs]",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_time_is_no_stack_in_any_language() {
    for time in [
        "8 h 07 min 44 s",
        "13 h 46 min",
        "14時15分02秒",
        "오후 2시 15분 2초",
        "下午2:15:02",
        "2:15:02 p. m.",
        "kl. 14.15.02",
    ] {
        let line = format!("{time} | CREATE_FAILED | AWS::SQS::Queue | Jobs it exists");
        let found = parse(&line).unwrap().unwrap();
        assert!(brief(&found).starts_with("- - own"), "{line}: {found:?}");
    }
}

#[test]
fn rows_of_other_tools_are_read() {
    for (line, expected) in [
        (
            "UPDATE_ROLLBACK_IN_PRO   AWS::CloudFormation::S   orders       The following",
            "- - own=RollingBack:orders failure=- [UPDATE_ROLLBACK_IN_PROGRESS AWS::CloudFormation::Stack orders]",
        ),
        (
            "CREATE_FAILED            AWS::SQS::Queue          Jobs         it exists",
            "- - own=-:- failure=Jobs: it exists [CREATE_FAILED AWS::SQS::Queue Jobs]",
        ),
        (
            "CloudFormation - CREATE_COMPLETE - AWS::CloudFormation::Stack - orders-dev",
            "- - own=Complete:orders-dev failure=- [CREATE_COMPLETE AWS::CloudFormation::Stack orders-dev]",
        ),
        ("Stack name                   : orders", "Deploy orders"),
        (
            "Successfully created/updated stack - orders in eu-west-1",
            "Completed orders [-]",
        ),
        (
            "Error: No changes to deploy. Stack orders is up to date",
            "Unchanged orders [-]",
        ),
        (
            "Error: Failed to create/update the stack: orders, Waiter failed: UPDATE_ROLLBACK_COMPLETE",
            "RolledBack orders [Waiter failed: UPDATE_ROLLBACK_COMPLETE]",
        ),
        (
            "Error: Failed to create changeset for the stack: orders, no role",
            "run failed by Command [Failed to create changeset for the stack: orders, no role]",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn lines_of_other_programs_are_not_read() {
    for line in [
        "✅ Generated AI script: 245 characters",
        "✅ Audio generated: output/story_audio.wav",
        "✅  All tests passed",
        "✅  Done",
        "✅  Done!",
        "✅  デプロイ完了",
        "❌ Failed: 2 stories",
        "❌  Tests failed: 3",
        "✅  Built web/api image",
        "✅  Unit tests/Integration tests",
        "aws_s3_bucket.bucket: Destroying... [id=x]",
        "aws_s3_bucket.bucket: Creating...",
        "Rolling back the transaction",
        "Rolling back transaction",
        "Prod-Api:  start: Publishing x",
        "Prod-Api: assets built",
        "[33%] success: Published 0e58:current",
        "[33%] start: Building 0e58:current",
        "Prod-Api: stack has no resources, deleting existing stack.",
        "✨  Total time: 80.1s",
        "✨  Deployment time: 3/7s",
        "✨  Number of stacks with differences: 2",
        "✅ Stack Prod-Api: no issues found.",
        "❌ Stack Prod-Api:",
        "‣ Note: three regions are left",
        "The lamp is in ROLLBACK",
        "Prod-Api is in UPDATE_COMPLETE",
        "Failed to load the extension",
        "an AWS::SQS::Queue  Jobs",
        "CREATE_COMPLETE of AWS::SQS::Queue",
        "Stack ARN:",
        "Prod-Api",
        "Including dependency stacks: A, B",
        "Prod-Api.Url = https://example.com/a/b/3/7",
        "Embedded stack arn:aws:cloudformation:us-east-1:1:stack/A/5 was not successfully created",
        "│ + │ ${Fn.Arn} │ Allow │ lambda:InvokeFunction │ 3/7 │",
        "| Name | 3/7 | 10:15 | COMPLETE | x |",
        "Prod | 3/7 | 9:15 | CREATE_COMPLETE_X | AWS::SQS::Queue | Jobs",
        "[Container] 2025/11/15 10:00:00.123456 Running command npx cdk deploy",
        "",
        "|",
        "||||||||||||",
    ] {
        check(line, "-");
    }
}

#[test]
fn a_counter_out_of_range_is_an_error() {
    let line =
        "Prod | 99999999999999999999999/7 | 9:15:02 AM | CREATE_COMPLETE | AWS::SQS::Queue | Jobs";
    assert!(parse(line).is_err());
}
