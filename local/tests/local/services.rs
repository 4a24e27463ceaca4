//! `services`.

use std::collections::HashMap;
use std::fs;
use std::net::TcpStream;

use crate::program::Running;

#[test]
fn the_environment_names_services_that_run_until_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("local.env");
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
    let variables: HashMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    for name in [
        "TASKS_TABLE_NAME",
        "PROJECTS_TABLE_NAME",
        "CHECKPOINTS_TABLE_NAME",
        "AWS_REGION",
    ] {
        assert!(variables.contains_key(name), "{name}: {text}");
    }
    let dynamodb = variables["AWS_ENDPOINT_URL_DYNAMODB"]
        .strip_prefix("http://")
        .unwrap();
    let addresses = [dynamodb, variables["REDIS_ENDPOINT"]];
    for address in addresses {
        assert!(TcpStream::connect(address).is_ok(), "{address}");
    }
    assert!(program.end("INT").success());
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address}");
    }
}
