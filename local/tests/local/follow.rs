//! Followed files: how many they are, and how they change.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// The processor time that all threads of a process have used so far.
#[cfg(target_os = "linux")]
fn processor_time(process_id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process_id}/task")).unwrap();
    let times = threads.filter_map(|thread| {
        let statistics = fs::read_to_string(thread.unwrap().path().join("schedstat")).ok()?;
        let nanoseconds = statistics.split_whitespace().next()?.parse().unwrap();
        Some(Duration::from_nanos(nanoseconds))
    });
    times.sum()
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
    // The limit is 2 % of a core. It looks at all files every second or so.
    let (start, before) = (Instant::now(), processor_time(program.process_id()));
    std::thread::sleep(Duration::from_secs(2));
    let used = processor_time(program.process_id()).saturating_sub(before);
    let limit = start.elapsed().mul_f64(0.02);
    assert!(used <= limit, "{used:?} instead of {limit:?}");
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

/// A log of 80 MB a second is read more slowly than it grows. Lines of other logs wait for a turn only, however busy the
/// machine is: in the middle, less than a second.
#[test]
fn a_log_that_is_written_at_80_mb_a_second_delays_the_others_by_less_than_a_second() {
    const TICK: Duration = Duration::from_millis(50);
    let directory = tempfile::tempdir().unwrap();
    let (fast, slow) = (
        directory.path().join("fast.log"),
        directory.path().join("slow.log"),
    );
    append(&slow, "");
    append(&fast, "");
    let program = Running::serve(&["--no-redis", "--cdk", directory.path().to_str().unwrap()]);
    let is_over = AtomicBool::new(false);
    let mut delays = Vec::new();
    std::thread::scope(|scope| {
        let write = || {
            let chatter = "a line of a program that writes a lot\n".repeat(4_000_000 / 38);
            let (start, mut written) = (Instant::now(), 0);
            while !is_over.load(Ordering::Relaxed) && written < 60 {
                append(&fast, &chatter);
                written += 1;
                std::thread::sleep((TICK * written).saturating_sub(start.elapsed()));
            }
            written
        };
        let writer = scope.spawn(write);
        for step in 1..=4 {
            std::thread::sleep(Duration::from_millis(300));
            let start = Instant::now();
            append(&slow, &row(step));
            wait_for_step(&program, "slow", step);
            delays.push(start.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 10, "40 MB were written");
    });
    append(&fast, &row(4));
    let is_read = |task: serde_json::Value| task["progress"]["current"] == 4;
    assert!(
        !program.task("fast").is_some_and(is_read),
        "it was being read all the time"
    );
    delays.sort_unstable();
    assert!(delays[1] < Duration::from_secs(1), "{delays:?}");
}

#[test]
fn a_last_line_without_its_end_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let (log, bar) = (
        directory.path().join("deploy.log"),
        directory.path().join("bar.log"),
    );
    append(&log, "Step 3/10: build\nStep 4/10: te");
    append(&bar, "\rmixing [1/4]\rmixing [2/4]\rmixing [3/4]");
    let path = directory.path().to_str().unwrap();
    let program = Running::serve(&["--no-redis", "--agents", path]);
    wait_for_step(&program, "bar", 3);
    let task = wait_for_step(&program, "deploy", 4);
    append(&log, "st\n");
    let changed = wait_for("the rest of the line", || {
        let task = program.task("deploy")?;
        (task["message"] == "Step 4/10: test").then_some(task)
    });
    assert_eq!(changed["run"], task["run"]);
    // What was read of a line that was cut off counts no longer.
    let cut_off = directory.path().join("cut-off.log");
    append(&cut_off, "Step 1/1");
    wait_for_step(&program, "cut-off", 1);
    append(&cut_off, "0: again\n");
    wait_for("the number", || {
        let task = program.task("cut-off")?;
        (task["progress"]["percentage"] == 10).then_some(())
    });
    for stream in ["deploy", "cut-off", "bar"] {
        let runs = program.get(&format!("/api/tasks/agent:{stream}/runs"));
        assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs}");
        assert_eq!(runs["runs"][0]["status"], "running");
    }
}

#[test]
fn a_file_that_is_written_again_is_another_run() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("deploy.log");
    append(&log, &(1..4).map(row).collect::<String>());
    let program = Running::serve(&["--no-redis", "--cdk", log.to_str().unwrap()]);
    wait_for_step(&program, "deploy", 3);
    fs::write(&log, row(1)).unwrap();
    wait_for_step(&program, "deploy", 1);
    let other = directory.path().join("other");
    append(&other, &row(2));
    fs::rename(&other, &log).unwrap();
    wait_for_step(&program, "deploy", 2);
    let runs = program.get("/api/tasks/cdk:deploy/runs");
    let steps = runs["runs"].as_array().unwrap().iter();
    let steps: Vec<_> = steps
        .map(|run| run["progress"]["current"].as_u64())
        .collect();
    assert_eq!(steps, [2, 1, 3].map(Some));
}

#[test]
fn a_screen_that_is_cleared_and_utf_16_are_read_and_a_pipe_in_a_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    fs::create_dir(&logs).unwrap();
    append(
        &logs.join("screen.log"),
        "\u{1b}[2J\u{1b}[H[1/2] red\u{1b}[2J\u{1b}[H\n",
    );
    let wide: Vec<u8> = "[1/2] red\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(logs.join("wide.log"), wide).unwrap();
    let pipe = logs.join("pipe.log");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let error = directory.path().join("error");
    let program = serve_with_limit(1024, &["--agents", logs.to_str().unwrap()], &error);
    wait_for_step(&program, "screen", 1);
    wait_for_step(&program, "wide", 1);
    let error = fs::read_to_string(&error).unwrap();
    assert_eq!(error.matches("pipe.log").count(), 1, "{error}");
    assert!(error.contains("if the command line names it"), "{error}");
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
