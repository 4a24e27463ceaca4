//! Runs `progress report` as a user does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const DEPLOY: &str = "\
Api: deploying... [1/1]
Api: creating CloudFormation changeset...
Api | 0/3 | 9:15:02 AM | CREATE_IN_PROGRESS   | AWS::CloudFormation::Stack | Api User Initiated
Api | 1/3 | 9:15:04 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D)
";

/// Runs the program with these arguments and this input.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_progress"));
    command
        .args(arguments)
        .env_remove("STALE_AFTER_SECONDS")
        .env_remove("COLUMNS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that ends without reading its input closes the pipe.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

fn tasks_of(arguments: &[&str], input: &[u8]) -> Vec<Value> {
    let output = run(arguments, input);
    assert!(output.status.success(), "{output:?}");
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(page["next_cursor"], Value::Null);
    page["tasks"].as_array().unwrap().clone()
}

fn path_in(directory: &Path, name: &str, content: &[u8]) -> String {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn samples() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../local/samples").to_owned()
}

fn sample(name: &str) -> String {
    format!("{}/{name}.log", samples())
}

#[test]
fn a_deploy_is_a_task_with_one_part_for_each_stack() {
    for text in [
        DEPLOY.to_owned(),
        DEPLOY.replace('\n', "\r\n"),
        DEPLOY.trim_end().to_owned(),
    ] {
        let tasks = tasks_of(&["report", "--json", "--cdk", "-"], text.as_bytes());
        assert_eq!(tasks.len(), 1);
        let task = &tasks[0];
        assert_eq!(task["log_stream"], "stdin");
        assert_eq!(task["status"], "ended", "nothing follows");
        let part = &task["parts"]["Api"];
        assert_eq!((&part["current"], &part["total"]), (&1.into(), &3.into()));
        assert_eq!(part["percentage"], 33);
    }
}

#[test]
fn each_file_is_a_task() {
    let directory = tempfile::tempdir().unwrap();
    let deploy = path_in(directory.path(), "deploy.log", DEPLOY.as_bytes());
    let agent = path_in(
        directory.path(),
        "agent.txt",
        b"Step 3/10: build\nno progress",
    );
    let tasks = tasks_of(
        &["report", "--cdk", &deploy, "--agents", &agent, "--json"],
        b"",
    );
    let mut streams: Vec<_> = tasks
        .iter()
        .map(|task| task["log_stream"].as_str().unwrap())
        .collect();
    streams.sort_unstable();
    assert_eq!(streams, ["agent", "deploy"]);
    let agent = tasks
        .iter()
        .find(|task| task["log_stream"] == "agent")
        .unwrap();
    assert_eq!(agent["progress"]["current"], 3);
    assert_eq!(agent["progress"]["percentage"], 30);
}

#[test]
fn all_runs_of_a_log_are_listed_the_newest_first() {
    let runs = 1_200;
    let log: String = (0..runs)
        .map(|run| {
            let day = 1 + run / 100;
            let (hour, minute) = (run % 100 / 5, run % 5 * 10);
            let time = format!("2025-11-{day:02}T{hour:02}:{minute:02}");
            let end = if run % 2 == 0 {
                "BUILD FAILED"
            } else {
                "All done"
            };
            format!("{time}:00Z Step 1/2\n{time}:10Z {end}\n")
        })
        .collect();
    let tasks = tasks_of(&["report", "--json", "--agents", "-"], log.as_bytes());
    assert_eq!(tasks.len(), runs);
    let starts: Vec<_> = tasks.iter().map(|task| task["run"].as_str()).collect();
    assert!(starts.is_sorted_by(|one, next| one > next));
    assert_eq!(tasks[0]["status"], "completed");
    assert_eq!(tasks[0]["earlier"], Value::Null);
    assert_eq!(tasks[0]["task_name"], "stdin");
    for (number, task) in tasks.iter().enumerate().skip(1) {
        let expected = ["completed", "failed"][number % 2];
        assert_eq!(task["status"], expected, "{task}");
        assert_eq!(task["earlier"], true);
        assert_ne!(task["run_id"], tasks[number - 1]["run_id"]);
    }
}

#[test]
fn timestamps_in_a_log_are_the_times_of_its_task() {
    let stamped: String = DEPLOY
        .lines()
        .zip(10..)
        .map(|(line, second)| format!("2025-11-15T10:00:{second}.500Z {line}\n"))
        .collect();
    let tasks = tasks_of(&["report", "--json", "--cdk", "-"], stamped.as_bytes());
    assert_eq!(tasks[0]["started_at"], "2025-11-15T10:00:10.500Z");
    assert_eq!(tasks[0]["updated_at"], "2025-11-15T10:00:13.500Z");
    assert_eq!(tasks[0]["completed_at"], "2025-11-15T10:00:13.500Z");
    assert_eq!(tasks[0]["stale"], false);
}

#[test]
fn the_samples_have_the_expected_status() {
    for (name, status, parts) in [
        ("shop-deploy", "completed", 3),
        ("docs-deploy", "completed", 2),
        ("workers-deploy", "failed", 1),
    ] {
        let tasks = tasks_of(&["report", "--json", "--cdk", &sample(name)], b"");
        assert_eq!(tasks.len(), 1, "{name}");
        assert_eq!(tasks[0]["status"], status, "{name}: {}", tasks[0]);
        assert_eq!(
            tasks[0]["parts"].as_object().unwrap().len(),
            parts,
            "{name}: {}",
            tasks[0]
        );
    }
    for name in ["coder-142", "nightly-digest"] {
        let tasks = tasks_of(&["report", "--json", "--agents", &sample(name)], b"");
        assert_eq!(tasks.len(), 1, "{name}");
        assert_eq!(tasks[0]["status"], "completed", "{name}: {}", tasks[0]);
        assert_eq!(tasks[0]["progress"]["percentage"], 100, "{name}");
    }
}

#[test]
fn the_table_shows_tasks_parts_and_reasons() {
    let output = run(
        &[
            "report",
            "--cdk",
            &sample("workers-deploy"),
            "--cdk",
            &sample("shop-deploy"),
        ],
        b"",
    );
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(!table.contains('\x1b'), "colours are only for terminals");
    for expected in [
        "ShopWorkers",
        "rolled back",
        "nodejs14.x",
        "ShopData",
        "100 %",
    ] {
        assert!(table.contains(expected), "{expected}:\n{table}");
    }
}

#[test]
fn the_table_has_durations_and_full_reasons_in_80_columns() {
    let rows = [
        ("00", "CREATE_IN_PROGRESS", "Stack", "Api", ""),
        (
            "30",
            "CREATE_FAILED",
            "Lambda::Function",
            "Worker",
            " The runtime nodejs14.x is no longer supported for creating or updating functions, please use a newer one (Service: Lambda)",
        ),
        (
            "59",
            "ROLLBACK_COMPLETE",
            "CloudFormation::Stack",
            "Api",
            "",
        ),
    ];
    let log: String = rows
        .iter()
        .map(|(second, state, kind, name, reason)| {
            format!("2025-11-15T10:00:{second}.000Z Api | 1/3 | 10:00:{second} AM | {state} | AWS::{kind} | {name}{reason}\n")
        })
        .collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_progress"));
    let directory = tempfile::tempdir().unwrap();
    let file = path_in(directory.path(), "deploy.log", log.as_bytes());
    let output = command
        .args(["report", &file])
        .env("COLUMNS", "80")
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    assert!(
        table
            .lines()
            .next()
            .unwrap()
            .ends_with("rolled back   59 s"),
        "{table}"
    );
    let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("please use a newer one (Service: Lambda)"),
        "{table}"
    );
    assert!(table.contains("│ "), "{table}");
}

#[test]
fn a_log_without_progress_is_a_task_without_numbers() {
    let binary: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    for input in [&b"hello\n\nworld\n"[..], &binary] {
        let tasks = tasks_of(&["report", "--json", "--agents", "-"], input);
        assert_eq!(tasks.len(), 1);
        let progress = json!({"current": null, "total": null, "percentage": null});
        assert_eq!(tasks[0]["progress"], progress);
    }
    let tasks = tasks_of(&["report", "--json", "--cdk", "-"], b"hello\nworld\n");
    assert_eq!(
        (&tasks[0]["status"], &tasks[0]["message"]),
        (&json!("ended"), &json!("world"))
    );
    let crash = b"Painting\nTraceback (most recent call last):\nValueError: no ink\n";
    let tasks = tasks_of(&["report", "--json", "--agents", "-"], crash);
    assert_eq!(
        (&tasks[0]["status"], &tasks[0]["message"]),
        (&json!("failed"), &json!("ValueError: no ink"))
    );
}

#[test]
fn a_log_whose_lines_only_explain_others_is_a_task() {
    let log = b"Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\n    \
        KitchenStack(app)\nNameError: name 'KitchenStack' is not defined\n";
    let tasks = tasks_of(&["report", "--json", "--cdk", "-"], log);
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["status"], "failed");
    assert_eq!(
        tasks[0]["message"],
        "NameError: name 'KitchenStack' is not defined"
    );
    // The platform writes it, whatever the function does.
    let lambda = b"START RequestId: 8d7f0f4e-6c1b-4a52-9d0e-3f2b1c0a9e8d Version: $LATEST\n";
    let tasks = tasks_of(&["report", "--json", "--agents", "-"], lambda);
    assert_eq!(tasks, [] as [Value; 0]);
}

#[test]
fn an_empty_log_has_no_tasks() {
    for input in [&b""[..], b"\n\n", b" \r\n"] {
        let tasks = tasks_of(&["report", "--json", "--cdk", "-"], input);
        assert_eq!(tasks, [] as [Value; 0]);
    }
    let output = run(&["report", "--agents", "-"], b"");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("No tasks")
    );
}

#[test]
fn an_unreadable_log_is_an_error_with_exit_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let packed = path_in(directory.path(), "packed.log", b"\x1f\x8b\x08\x00rest");
    let missing = &["report", "--cdk", "no/such/file.log"][..];
    let twice = &["report", "--cdk", "-", "--agents", "-"];
    let same_stem = &[
        "report",
        "--cdk",
        &samples(),
        "--cdk",
        &sample("shop-deploy"),
    ];
    for (arguments, expected) in [
        (missing, "no/such/file.log"),
        (&["report", &packed], "unpack it first"),
        (twice, "more than once"),
        (same_stem, "shop-deploy"),
        (&["report"], "--cdk"),
        (&["report", "--cdk"], "--cdk"),
        (&["deploy"], "deploy"),
    ] {
        let output = run(arguments, b"");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_unreadable_log_in_a_directory_is_skipped_with_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    path_in(directory.path(), "deploy.log", DEPLOY.as_bytes());
    // Opening this file succeeds, but reading its first byte fails, also for root.
    std::os::unix::fs::symlink("/proc/self/mem", directory.path().join("broken.log")).unwrap();
    let directory = directory.path().to_str().unwrap();
    let output = run(&["report", "--json", "--cdk", directory], b"");
    assert!(output.status.success(), "{output:?}");
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(page["tasks"].as_array().unwrap().len(), 1);
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.contains("broken.log"), "{warning}");
}

#[test]
fn a_large_log_is_read_to_the_end() {
    let mut text = DEPLOY.to_owned();
    while text.len() < 3_000_000 {
        text.push_str(
            "#12 3.456 Get:7 http://deb.example.org/debian stable/main amd64 libfoo 1.2-3\n",
        );
    }
    text.push_str(
        "Api | 2/3 | 9:15:04 AM | CREATE_COMPLETE      | AWS::SQS::Queue | B (B1A2B3C4D)\n",
    );
    let tasks = tasks_of(&["report", "--json", "--cdk", "-"], text.as_bytes());
    assert_eq!(tasks[0]["parts"]["Api"]["current"], 2);
}

#[test]
fn each_of_many_logs_is_complete_at_its_end() {
    // The cleanup row of a stack completes it if no line follows.
    let log = "Api: deploying... [1/1]\n\
        Api | 0/3 | 10:00:01 AM | UPDATE_IN_PROGRESS   | AWS::CloudFormation::Stack | Api User Initiated\n\
        Api | 2/3 | 10:00:02 AM | UPDATE_COMPLETE_CLEA | AWS::CloudFormation::Stack | Api \n";
    let directory = tempfile::tempdir().unwrap();
    for stream in 0..600 {
        path_in(
            directory.path(),
            &format!("deploy-{stream}.log"),
            log.as_bytes(),
        );
    }
    let logs = directory.path().to_str().unwrap();
    let tasks = tasks_of(&["report", "--json", "--cdk", logs], b"");
    assert_eq!(tasks.len(), 600);
    assert!(tasks.iter().all(|task| task["status"] == "completed"));
}

#[test]
fn a_line_may_name_the_task_of_another_log() {
    let directory = tempfile::tempdir().unwrap();
    let named = br#"{"task_id":"deploy","progress":{"current":1,"total":4}}"#;
    let agent = path_in(directory.path(), "agent.log", named);
    let deploy = path_in(directory.path(), "deploy.log", DEPLOY.as_bytes());
    let tasks = tasks_of(
        &["report", "--json", "--agents", &agent, "--cdk", &deploy],
        b"",
    );
    let ids: Vec<_> = tasks.iter().map(|task| task["task_id"].as_str()).collect();
    assert_eq!(ids, [Some("deploy")]);
}

#[test]
fn lines_of_more_than_a_thousand_ids_count_for_the_task_of_the_log() {
    let line = |id| format!("{{\"task_id\":\"t-{id}\",\"progress\":50}}\n");
    let log: String = (0..1_003).map(line).collect();
    let output = run(&["report", "--agents", "-", "--json"], log.as_bytes());
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tasks = page["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 1_001);
    assert!(tasks.iter().any(|task| task["task_id"] == "agent:stdin"));
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(
        warning.contains("stdin names more than 1000 task ids"),
        "{warning}"
    );
    assert!(warning.contains("3 ids"), "{warning}");
}

#[test]
fn the_exit_code_tells_the_outcome_on_request() {
    let failed = b"step 3/4\nERROR: the disk is full\n";
    let log = |text: &[u8], arguments: &[&str]| {
        let arguments = [&["report", "--agents", "-"], arguments].concat();
        run(&arguments, text).status.code()
    };
    let failed = [
        failed.as_slice(),
        b"{\"status\":\"failed\",\"task_id\":\"a\"}\n",
    ]
    .concat();
    assert_eq!(log(&failed, &[]), Some(0));
    assert_eq!(log(&failed, &["--fail-on-error"]), Some(1));
    assert_eq!(log(b"step 3/4\n", &["--fail-on-error"]), Some(0));
}

#[test]
fn the_format_of_a_log_is_that_of_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let deploy = path_in(directory.path(), "deploy.log", DEPLOY.as_bytes());
    let agent = path_in(directory.path(), "agent.log", b"[3/9] painting\n");
    let tasks = tasks_of(&["report", "--json", &deploy, "--log", &agent], b"");
    let of = |id: &str| tasks.iter().find(|task| task["task_id"] == id).unwrap();
    assert_eq!(of("run:deploy")["task_type"], "cdk_deploy");
    assert_eq!(of("run:deploy")["parts"]["Api"]["current"], 1);
    assert_eq!(of("run:agent")["progress"]["current"], 3);
}

#[cfg(unix)]
#[test]
fn running_out_of_descriptors_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("a/b/c/d");
    fs::create_dir_all(&nested).unwrap();
    path_in(&nested, "deploy.log", DEPLOY.as_bytes());
    let report = |limit: u32| {
        let script = format!("ulimit -n {limit}; exec \"$0\" report --cdk \"$1\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_progress")]);
        command.arg(directory.path()).stdin(Stdio::null());
        command.output().unwrap()
    };
    assert!(report(64).status.success());
    // Each directory above a searched one is open.
    let output = report(6);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("`ulimit -n 4096`"), "{error}");
    assert_eq!(output.stdout, b"");
}
