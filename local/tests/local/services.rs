//! Tests of `services`.

use std::collections::HashMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;

use crate::program::{Running, exchange, run, wait_for};
use crate::security::dynamodb_request;

/// Starts the services and reads their environment file.
fn start(directory: &Path) -> (Running, HashMap<String, String>) {
    let path = directory.join("local.env");
    let ports = [
        "services",
        "--dynamodb-port",
        "0",
        "--redis-port",
        "0",
        "--env-file",
    ];
    let arguments = [&ports[..], &[path.to_str().unwrap()]].concat();
    let program = Running::start(&arguments, "Ctrl-C");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let variables = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (program, variables.collect())
}

/// The address in a `REDIS_ENDPOINT` with a password, and the password.
fn redis(variables: &HashMap<String, String>) -> (&str, &str) {
    let url = variables["REDIS_ENDPOINT"].strip_prefix("redis://:");
    let (password, address) = url.and_then(|url| url.split_once('@')).unwrap();
    (address, password)
}

#[test]
#[cfg(unix)]
fn redis_ends_when_the_program_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (program, variables) = start(directory.path());
    let (address, _) = redis(&variables);
    assert!(TcpStream::connect(address).is_ok());
    assert!(!program.end("KILL").success());
    wait_for("the end of redis-server", || {
        TcpStream::connect(address).is_err().then_some(())
    });
}

#[test]
fn the_environment_file_names_services_that_run_until_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (program, variables) = start(directory.path());
    for name in [
        "TASKS_TABLE_NAME",
        "PROJECTS_TABLE_NAME",
        "CHECKPOINTS_TABLE_NAME",
        "AWS_REGION",
    ] {
        assert!(variables.contains_key(name), "{name}: {variables:?}");
    }
    let dynamodb = variables["AWS_ENDPOINT_URL_DYNAMODB"]
        .strip_prefix("http://")
        .unwrap();
    let addresses = [dynamodb, redis(&variables).0];
    for address in addresses {
        assert!(TcpStream::connect(address).is_ok(), "{address}");
    }
    assert!(program.end("INT").success());
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address}");
    }
}

#[test]
fn only_the_secrets_of_the_environment_file_open_the_services() {
    let directory = tempfile::tempdir().unwrap();
    let (_program, variables) = start(directory.path());
    let url = variables["AWS_ENDPOINT_URL_DYNAMODB"].as_str();
    let address = url.strip_prefix("http://").unwrap();
    let access_key_id = variables["AWS_ACCESS_KEY_ID"].as_str();
    let response = exchange(address, &dynamodb_request(access_key_id, ""));
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(response.contains("miyabi-task-runs"), "{response}");
    assert!(!response.contains("access-control-"), "{response}");
    let origin = "Origin: http://localhost:9000\r\n";
    let longer = format!("{access_key_id}0");
    let shorter = access_key_id.get(1..).unwrap();
    for (access_key_id, headers) in [
        ("local", ""),
        (longer.as_str(), ""),
        (shorter, ""),
        (access_key_id, origin),
    ] {
        let response = exchange(address, &dynamodb_request(access_key_id, headers));
        assert!(response.starts_with("HTTP/1.1 403"), "{response}");
    }

    let (address, password) = redis(&variables);
    let response = exchange(address, &format!("AUTH {password}\r\nPING\r\nQUIT\r\n"));
    assert_eq!(response, "+OK\r\n+PONG\r\n+OK\r\n");
    let response = exchange(address, "AUTH local\r\nPING\r\nQUIT\r\n");
    assert!(!response.contains("PONG"), "{response}");
}

#[test]
fn only_its_owner_can_read_the_environment_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("local.env");
    fs::write(&path, "an older file").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let (_program, variables) = start(directory.path());
    assert!(variables.contains_key("AWS_ACCESS_KEY_ID"));
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_environment_file_that_is_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    fs::write(&target, "a longer text ".repeat(1000)).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
    let link = directory.path().join("local.env");
    symlink(&target, &link).unwrap();
    let (_program, variables) = start(directory.path());
    assert!(variables.contains_key("AWS_ACCESS_KEY_ID"));
    assert!(link.is_symlink());
    let text = fs::read_to_string(&target).unwrap();
    assert!(!text.contains("a longer text"), "{text}");
    let mode = target.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_data_path_must_be_a_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let output = run(&["services", "--dynamodb-port", "0", "--data", path], b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("--data") && error.contains("not a directory"),
        "{error}"
    );
}
