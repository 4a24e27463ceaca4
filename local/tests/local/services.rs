//! `services`.

use std::collections::HashMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;

use crate::program::{Running, wait_for};

/// Starts the services, and gives what they wrote into their environment file.
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

#[test]
#[cfg(unix)]
fn no_redis_is_left_when_the_program_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (program, variables) = start(directory.path());
    let address = variables["REDIS_ENDPOINT"].as_str();
    assert!(TcpStream::connect(address).is_ok());
    assert!(!program.end("KILL").success());
    wait_for("the end of redis-server", || {
        TcpStream::connect(address).is_err().then_some(())
    });
}

#[test]
fn the_environment_names_services_that_run_until_the_end() {
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
    let addresses = [dynamodb, variables["REDIS_ENDPOINT"].as_str()];
    for address in addresses {
        assert!(TcpStream::connect(address).is_ok(), "{address}");
    }
    assert!(program.end("INT").success());
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address}");
    }
}
