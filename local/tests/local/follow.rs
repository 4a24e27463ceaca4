//! Followed files: how many they are, and how they change.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::program::{Running, program, wait_for};
use crate::serve::{append, row, wait_for_step};

/// `serve` of these logs with a limit of open files. Its standard error is `log`.
fn serve_with_limit(limit: u32, arguments: &[&str], log: &Path) -> Running {
    let program = program(&[]);
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(program.get_program());
    command
        .args(["serve", "--port", "0", "--no-redis"])
        .args(arguments);
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.stderr(File::create(log).unwrap());
    Running::spawn(command, "End")
}

/// The time that a process has used so far, in hundredths of a second.
#[cfg(target_os = "linux")]
fn processor_ticks(process_id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap();
    let (_, columns) = stat.rsplit_once(')').unwrap();
    let columns: Vec<_> = columns.split_whitespace().collect();
    [columns[11], columns[12]]
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .iter()
        .sum()
}

#[cfg(target_os = "linux")]
#[test]
fn more_files_are_followed_than_can_be_open() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    fs::create_dir(&logs).unwrap();
    for number in 0..5_000 {
        File::create(logs.join(format!("{number}.log"))).unwrap();
    }
    let error = directory.path().join("error");
    let program = serve_with_limit(128, &["--cdk", logs.to_str().unwrap()], &error);
    for number in [0, 2_500, 4_999] {
        append(&logs.join(format!("{number}.log")), &row(3));
        wait_for_step(&program, &number.to_string(), 3);
    }
    let descriptors = fs::read_dir(format!("/proc/{}/fd", program.process_id()));
    let count = descriptors.unwrap().count();
    assert!(count < 64, "{count} open files");
    // The limit is 2 % of a core.
    let before = processor_ticks(program.process_id());
    std::thread::sleep(Duration::from_secs(5));
    let ticks = processor_ticks(program.process_id()) - before;
    assert!(ticks <= 10, "{ticks} ticks of 10 ms in 5 s");
    assert_eq!(fs::read_to_string(&error).unwrap(), "");
}

#[test]
fn running_out_of_descriptors_is_an_error_that_says_so_and_passes() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("deploy.log");
    append(&log, &row(1));
    let error = directory.path().join("error");
    let program = serve_with_limit(64, &["--cdk", log.to_str().unwrap()], &error);
    wait_for_step(&program, "deploy", 1);
    let address = program.address("Miyabi Progress");
    let connections: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let errors = || fs::read_to_string(&error).unwrap();
    wait_for("the error of the server", || {
        errors().contains("can't accept").then_some(())
    });
    // A connection that just ended leaves a descriptor, which the server takes after a pause.
    wait_for("the error of the file", || {
        append(&log, &row(2));
        std::thread::sleep(Duration::from_millis(50));
        errors().contains("can't follow").then_some(())
    });
    let text = errors();
    assert!(
        text.contains("deploy.log: this process may not open more files"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.contains("ulimit -n")),
        "{text}"
    );
    assert_eq!(text.matches("can't accept").count(), 1, "{text}");
    drop(connections);
    wait_for_step(&program, "deploy", 2);
}

#[test]
fn a_file_that_is_overwritten_in_place_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("deploy.log");
    append(&log, &row(1));
    let program = Running::serve(&["--no-redis", "--cdk", log.to_str().unwrap()]);
    wait_for_step(&program, "deploy", 1);
    let overwrite = |text: &str| {
        let mut file = OpenOptions::new().write(true).open(&log).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    overwrite(&row(2)); // the same size
    wait_for_step(&program, "deploy", 2);
    overwrite(&format!("{}{}", row(3), row(4))); // larger
    wait_for_step(&program, "deploy", 4);
}

#[test]
fn a_file_that_grows_fast_does_not_delay_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let (fast, slow) = (
        directory.path().join("fast.log"),
        directory.path().join("slow.log"),
    );
    let chatter = "a line of a program that writes a lot\n".repeat(200_000);
    append(&slow, "");
    append(&fast, &chatter);
    append(&fast, &row(4));
    let program = Running::serve(&["--no-redis", "--cdk", directory.path().to_str().unwrap()]);
    for step in 1..4 {
        append(&slow, &row(step));
        wait_for_step(&program, "slow", step);
    }
    let is_read = |task: &serde_json::Value| task["progress"]["current"] == 4;
    let fast = program.task("fast");
    assert!(
        !fast.is_some_and(|task| is_read(&task)),
        "it was still being read"
    );
    wait_for_step(&program, "fast", 4);
}

#[test]
fn a_directory_that_appears_late_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let late = directory.path().join("late");
    let program = Running::serve(&["--no-redis", "--cdk", late.to_str().unwrap()]);
    let banner = program.printed.join(" ");
    assert!(
        banner.contains("does not exist yet: waiting for it"),
        "{banner}"
    );
    fs::create_dir_all(late.join("web")).unwrap();
    append(&late.join("web/deploy.log"), &row(2));
    wait_for_step(&program, "web/deploy", 2);
}
