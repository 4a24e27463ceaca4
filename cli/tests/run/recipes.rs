//! The recipes of docs/getting-logs-in.md and action.yml, with the variables of each CI system.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::service::{Behavior, Service};

/// The text of a file of the repository.
fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The recipe below a heading.
fn recipe(heading: &str) -> String {
    let document = file("docs/getting-logs-in.md");
    let (_, recipe) = document.split_once(&format!("\n### {heading}\n")).unwrap();
    recipe.split("\n##").next().unwrap().to_owned()
}

/// What follows `before` in a line of the text.
fn after<'a>(text: &'a str, before: &str) -> &'a str {
    let mut lines = text.lines().map(str::trim_start);
    lines.find_map(|line| line.strip_prefix(before)).unwrap()
}

/// A folder with `progress`, stand-ins of other programs, and a home directory's settings.
fn folder(service: &Service) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    symlink(env!("CARGO_BIN_EXE_progress"), path("progress")).unwrap();
    for (name, script) in [
        ("npx", "#!/bin/sh\necho \"$@\"; echo '[3/9] copying'\n"),
        ("import.sh", "#!/bin/sh\necho '[4/9] importing'; exit 3\n"),
    ] {
        fs::write(path(name), script).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::create_dir_all(path(".config/miyabi-progress")).unwrap();
    let settings = path(".config/miyabi-progress/config");
    fs::write(&settings, format!("PROGRESS_URL={}\n", service.url)).unwrap();
    folder
}

/// Runs a command of a shell with these variables and no others.
fn shell(folder: &TempDir, command: &str, variables: &[(&str, &str)]) -> Output {
    let path = folder.path().to_str().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", command]).current_dir(folder).env_clear();
    shell
        .env("PATH", format!("{path}:/usr/bin:/bin"))
        .env("HOME", path)
        .envs(variables.iter().copied());
    shell.output().unwrap()
}

/// The lines and the context that the service has received, with the end of the run.
fn received(service: &Service) -> (Vec<String>, Value, Value) {
    let records = service.records();
    let context = records[0]["context"].clone();
    (service.lines(), context, records.last().unwrap().clone())
}

const DEPLOY: [&str; 2] = ["cdk deploy --progress events", "[3/9] copying"];

#[test]
fn the_step_for_github_actions_runs_as_documented() {
    let service = Service::start(Behavior::Accepts);
    let folder = folder(&service);
    let action = file("action.yml");
    let (_, script) = action.split_once("      run: |\n").unwrap();
    let recipe = recipe("GitHub Actions");
    let variables = [
        ("PROGRESS_BINARY", after(&recipe, "binary: ")),
        ("PROGRESS_COMMAND", after(&recipe, "run: ")),
        ("PROGRESS_TASK", "nightly"),
        ("PROGRESS_PROJECT", ""),
        ("PROGRESS_NAME", "a name"),
        ("PROGRESS_URL", &service.url),
        ("PROGRESS_TOKEN", "t0ken-of-the-job"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_ACTOR", "ada"),
        ("GITHUB_REPOSITORY", "team/shop"),
        ("GITHUB_SHA", "c0ffee"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_SERVER_URL", "https://github.example"),
        ("GITHUB_RUN_ID", "9"),
    ];
    let output = shell(&folder, script, &variables);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (lines, context, end) = received(&service);
    assert_eq!(lines, DEPLOY);
    let expected = json!({
        "actor": "ada", "repository": "team/shop", "commit": "c0ffee", "branch": "main",
        "ci_url": "https://github.example/team/shop/actions/runs/9",
    });
    assert_eq!(context, expected);
    assert_eq!(end, json!({"exit_code": 0}));
    let request = service.requests.lock().unwrap()[0].clone();
    assert_eq!(request.token.as_deref(), Some("Bearer t0ken-of-the-job"));
    assert!(request.url.contains("stream=a%20name&"), "{}", request.url);
    assert!(request.url.contains("task_id=nightly&"), "{}", request.url);
    assert!(!request.url.contains("project_id"), "{}", request.url);
    let failing = variables.map(|(name, value)| match name {
        "PROGRESS_COMMAND" => (name, "false | cat; echo not reached"),
        _ => (name, value),
    });
    let output = shell(&folder, script, &failing);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn the_commands_for_gitlab_and_codebuild_run_as_documented() {
    let gitlab: &[(&str, &str)] = &[
        ("GITLAB_CI", "true"),
        ("GITLAB_USER_LOGIN", "ada"),
        ("CI_PROJECT_PATH", "team/shop"),
        ("CI_COMMIT_SHA", "c0ffee"),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_JOB_URL", "https://ci.example/9"),
    ];
    let codebuild: &[(&str, &str)] = &[
        ("CODEBUILD_BUILD_ID", "shop:9"),
        ("CODEBUILD_INITIATOR", "ada"),
        (
            "CODEBUILD_SOURCE_REPO_URL",
            "https://git.example/team/shop.git",
        ),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION", "c0ffee"),
        ("CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/main"),
        ("CODEBUILD_BUILD_URL", "https://ci.example/9"),
    ];
    for (heading, variables) in [("GitLab", gitlab), ("CodeBuild", codebuild)] {
        let service = Service::start(Behavior::Accepts);
        let folder = folder(&service);
        let recipe = recipe(heading);
        let command = format!("progress run {}", after(&recipe, "- progress run "));
        let own = [("PROGRESS_URL", service.url.as_str())];
        let output = shell(&folder, &command, &[variables, &own].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let (lines, context, end) = received(&service);
        assert_eq!(lines, DEPLOY);
        let expected = json!({
            "actor": "ada", "repository": "team/shop", "commit": "c0ffee", "branch": "main",
            "ci_url": "https://ci.example/9",
        });
        assert_eq!(context, expected, "{heading}");
        assert_eq!(end, json!({"exit_code": 0}));
        let url = service.requests.lock().unwrap()[0].url.clone();
        assert!(url.contains("stream=shop%2Fnpx&"), "{url}");
        assert!(url.contains("project_id=shop"), "{url}");
    }
}

#[test]
fn the_line_for_cron_runs_as_documented() {
    let service = Service::start(Behavior::Accepts);
    let folder = folder(&service);
    let recipe = recipe("cron");
    let command = after(&recipe, "30 2 * * * ");
    let output = shell(
        &folder,
        command,
        &[("LOGNAME", "ada"), ("SHELL", "/bin/sh")],
    );
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
    let log = fs::read_to_string(folder.path().join("import.log")).unwrap();
    assert_eq!(log, "[4/9] importing\n");
    let (lines, context, end) = received(&service);
    assert_eq!(lines, ["[4/9] importing"]);
    assert_eq!(context["actor"], "ada");
    assert_eq!(end, json!({"exit_code": 3}));
    let url = service.requests.lock().unwrap()[0].url.clone();
    assert!(url.contains("stream=nightly-import&"), "{url}");
}
