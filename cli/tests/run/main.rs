//! Compares programs under `progress run` with the same programs alone, byte for byte.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "a test fails by panicking"
)]
#![allow(missing_docs, unreachable_pub, reason = "a test is no library")]

mod programs;
mod recipes;
mod service;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use programs::{Place, Program, run};
use rustix::process::Signal;
use serde_json::json;
use service::{Behavior, Service};

fn program(name: &'static str, script: &str) -> Program {
    Program {
        name,
        script: script.to_owned(),
        input: "",
        after: "",
        signal: None,
    }
}

fn signalled(name: &'static str, script: &str, signal: Signal) -> Program {
    Program {
        after: "ready",
        signal: Some(signal),
        ..program(name, script)
    }
}

fn programs() -> Vec<Program> {
    let binary = format!("head -c 300000 {}", env!("CARGO_BIN_EXE_progress"));
    let trap = "trap 'echo caught; exit 7' INT TERM HUP; echo ready; for i in $(seq 1 300); do sleep 0.02; done";
    let wait = "echo ready; exec sleep 20";
    vec![
        program("exit code 0", "echo one; echo two >&2; echo three"),
        program("exit code 3", "printf '\\033[31mred\\033[0m\\n'; exit 3"),
        program("killed by a signal", "echo now; kill -KILL $$"),
        program("huge output", "seq 1 300000"),
        program("binary output", &binary),
        program("no last newline", "printf 'a\\nb'; printf 'c' >&2"),
        program("nothing", "exit 0"),
        program(
            "progress bar",
            "for i in 1 2 3 4; do printf '\\r%s/4' $i; sleep 0.1; done; echo",
        ),
        program(
            "size of the window",
            "stty size 2>/dev/null <&1 || echo none",
        ),
        program(
            "kinds of files",
            "for i in 0 1 2; do test -t $i && echo $i; done; echo end",
        ),
        program("in the background", "(sleep 0.6; echo late) & echo now"),
        Program {
            input: "first\nsecond\n",
            after: "name? ",
            ..program(
                "reads its input",
                "printf 'name? '; read a; read b; echo \"$b, $a\"",
            )
        },
        Program {
            input: "secret\n",
            after: "word: ",
            ..program(
                "asks for a password",
                "stty -echo 2>/dev/null; printf 'word: '; read a; echo \"[$a]\"",
            )
        },
        signalled("SIGINT, caught", trap, Signal::INT),
        signalled("SIGTERM, caught", trap, Signal::TERM),
        signalled("SIGHUP, caught", trap, Signal::HUP),
        signalled("SIGINT", wait, Signal::INT),
        signalled("SIGTERM", wait, Signal::TERM),
        signalled("SIGHUP", wait, Signal::HUP),
    ]
}

const PLACES: [Place; 4] = [
    Place::Terminal,
    Place::OutputTerminal,
    Place::Pipes,
    Place::OnePipe,
];

/// Runs all programs in all places, alone and with such a service.
fn compare(behavior: Behavior) {
    let programs = programs();
    let programs = programs
        .iter()
        .flat_map(|program| PLACES.map(|place| (program, place)));
    let cases: Vec<_> = programs
        .filter(|(program, place)| {
            let is_terminal = matches!(place, Place::Terminal | Place::OutputTerminal);
            match program.name {
                // The end of a terminal's session ends what runs in the background.
                "in the background" => !is_terminal,
                _ => *place != Place::OnePipe || program.input.is_empty(),
            }
        })
        .collect();
    // Not so many at once that they wait for the processor.
    let failures = cases.chunks(40).flat_map(|cases| {
        thread::scope(|scope| {
            let threads: Vec<_> = cases
                .iter()
                .map(|&(program, place)| {
                    scope.spawn(move || {
                        let service = Service::start(behavior);
                        let alone = run(program, place, None);
                        let watched = run(program, place, Some((&service.url, &[])));
                        let name = format!("{} in {place:?}: ", program.name);
                        let mut problems = Vec::new();
                        let mut expected = alone.seen;
                        // A notice may come when a line had just ended.
                        if !watched.notices.is_empty() && expected != watched.seen {
                            expected.end_line(place);
                        }
                        if expected != watched.seen {
                            let short = |text: &str| text.chars().take(300).collect::<String>();
                            problems.push(format!(
                                "{name}{} {} {} {:?} {:?}\n  {} {} {} {:?} {:?}",
                                expected.exit_code,
                                expected.stdout.len(),
                                expected.stderr.len(),
                                short(&expected.stdout),
                                short(&expected.stderr),
                                watched.seen.exit_code,
                                watched.seen.stdout.len(),
                                watched.seen.stderr.len(),
                                short(&watched.seen.stdout),
                                short(&watched.seen.stderr),
                            ));
                        }
                        if watched.notices.len() > 3 {
                            problems.push(format!("{name}{:?}", watched.notices));
                        }
                        if watched.time > alone.time + Duration::from_secs(15) {
                            problems.push(format!(
                                "{name}{:?} instead of {:?}",
                                watched.time, alone.time
                            ));
                        }
                        problems
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        })
    });
    let failures: Vec<_> = failures.collect();
    assert!(
        failures.is_empty(),
        "{behavior:?}:\n{}",
        failures.join("\n")
    );
}

#[test]
fn programs_are_as_alone_if_the_service_accepts() {
    compare(Behavior::Accepts);
}

#[test]
fn programs_are_as_alone_if_the_service_is_down() {
    compare(Behavior::IsDown);
}

#[test]
fn programs_are_as_alone_if_the_service_dies() {
    compare(Behavior::DiesMidRun);
}

#[test]
fn programs_are_as_alone_if_the_service_answers_500() {
    compare(Behavior::Answers500);
}

#[test]
fn programs_are_as_alone_if_the_service_answers_429() {
    compare(Behavior::AnswersTooManyRequests);
}

#[test]
fn programs_are_as_alone_if_the_service_answers_401() {
    compare(Behavior::Answers401);
}

#[test]
fn programs_are_as_alone_if_the_service_is_slow() {
    compare(Behavior::IsSlow);
}

#[test]
fn programs_are_as_alone_if_the_service_never_answers() {
    compare(Behavior::NeverAnswers);
}

#[test]
fn each_line_is_delivered_once_with_the_end_of_the_run() {
    for behavior in [Behavior::Accepts, Behavior::IsSlow, Behavior::Stumbles] {
        let service = Service::start(behavior);
        // It ends when the service has its lines, because nobody waits for a service for long at the end.
        let folder = tempfile::tempdir().unwrap();
        let delivered = folder.path().join("delivered");
        let script = format!(
            "echo one; echo the-token-of-the-test; seq 1 20000; \
             while ! test -e {}; do sleep 0.05; done; printf end; exit 3",
            delivered.display()
        );
        let options = ["--task", "nightly", "--project", "shop", "--name", "a b"];
        let watched = thread::scope(|scope| {
            scope.spawn(|| {
                let until = Instant::now() + Duration::from_secs(60);
                while service.lines().len() < 20_002 && Instant::now() < until {
                    thread::sleep(Duration::from_millis(20));
                }
                fs::write(&delivered, "").unwrap();
            });
            run(
                &program("", &script),
                Place::Pipes,
                Some((&service.url, &options)),
            )
        });
        assert_eq!(watched.seen.exit_code, 3);
        let mut expected = vec!["one".to_owned(), "[redacted]".to_owned()];
        expected.extend((1..=20_000).map(|number: u32| number.to_string()));
        expected.push("end".to_owned());
        assert_eq!(service.lines(), expected, "{behavior:?}");
        let records = service.records();
        assert!(records[0]["context"].is_object(), "{}", records[0]);
        assert_eq!(records.last(), Some(&json!({"exit_code": 3})));
        let requests = service.requests.lock().unwrap();
        let request = &requests[0];
        assert_eq!(
            request.token.as_deref(),
            Some("Bearer the-token-of-the-test")
        );
        for part in [
            "/api/logs?",
            "stream=a%20b&",
            "session=",
            "task_id=nightly&",
            "project_id=shop&",
            "sequence=0",
        ] {
            assert!(request.url.contains(part), "{part}: {}", request.url);
        }
        let link = format!("progress: {}/?task=agent:a%20b", service.url);
        let is_link = |notice: &&String| **notice == link;
        assert_eq!(
            watched.notices.iter().filter(is_link).count(),
            1,
            "{:?}",
            watched.notices
        );
    }
}

#[test]
fn a_secret_is_not_sent_however_it_is_printed() {
    let service = Service::start(Behavior::Accepts);
    let script = "printf 'a \\033[31mthe-token\\033[0m-of-the-test b\\n'; \
                  printf 'the-token-of\\r-the-test\\n'; echo password-of-the-url";
    let url = service.url.replace("//", "//ada:password-of-the-url@");
    let watched = run(
        &program("", script),
        Place::Pipes,
        Some((&url, &["--name", "the-token-of-the-test"])),
    );
    assert_eq!(
        service.lines(),
        ["a \u{1b}[31m[redacted] b", "[redacted]", "[redacted]"]
    );
    let requests = service.requests.lock().unwrap();
    assert!(
        requests[0].url.contains("stream=%5Bredacted%5D&"),
        "{}",
        requests[0].url
    );
    assert_eq!(
        requests[0].token.as_deref(),
        Some("Bearer the-token-of-the-test")
    );
    let link = format!("progress: {}/?task=agent:a%20b", service.url);
    assert_eq!(watched.notices, [link]);
}

#[test]
fn credentials_in_the_address_are_in_no_notice() {
    for behavior in [Behavior::IsDown, Behavior::Answers401] {
        let service = Service::start(behavior);
        let url = service.url.replace("//", "//ada:pw@");
        let watched = run(&program("", "echo a"), Place::Pipes, Some((&url, &[])));
        assert_eq!(watched.notices.len(), 2, "{:?}", watched.notices);
        let notices = watched.notices.concat();
        assert!(
            !notices.contains("pw") && !notices.contains("ada"),
            "{notices}"
        );
    }
    let service = Service::start(Behavior::Accepts);
    let url = service.url.replace("//", "//ada:pw@");
    let script = "echo $PROGRESS_URL";
    let watched = run(&program("", script), Place::Pipes, Some((&url, &[])));
    assert!(
        !watched.notices.concat().contains("ada"),
        "{:?}",
        watched.notices
    );
    let address = service.url.replace("http://", "");
    assert_eq!(service.lines(), [format!("[redacted]{address}")]);
}

#[test]
fn a_wrong_option_is_an_error_before_the_command_starts() {
    let service = Service::start(Behavior::Accepts);
    for options in [["--task", "a/b"], ["--project", "a b"], ["--name", ""]] {
        let watched = run(
            &program("", "echo started"),
            Place::Pipes,
            Some((&service.url, &options)),
        );
        assert_eq!(
            (watched.seen.stdout.as_str(), watched.seen.exit_code),
            ("", 2)
        );
        assert!(
            watched.seen.stderr.contains(options[0]),
            "{}",
            watched.seen.stderr
        );
        assert!(
            watched.seen.stderr.contains("must be"),
            "{}",
            watched.seen.stderr
        );
    }
    assert!(service.requests.lock().unwrap().is_empty());
}

#[test]
fn what_is_not_delivered_is_counted() {
    let lines = program("", "seq 1 50; exit 4");
    for (behavior, expected) in [
        (
            Behavior::IsDown,
            vec![
                "can't send the output yet",
                "50 of 50 lines were not delivered",
            ],
        ),
        (
            Behavior::Answers401,
            vec![
                "refuses the output: Unauthorized: no token",
                "50 of 50 lines were not delivered",
            ],
        ),
        (
            Behavior::Answers500,
            vec![
                "can't send the output yet, still trying: status 500",
                "50 of 50",
            ],
        ),
    ] {
        let service = Service::start(behavior);
        let watched = run(&lines, Place::Pipes, Some((&service.url, &[])));
        assert_eq!(
            watched.notices.len(),
            expected.len(),
            "{:?}",
            watched.notices
        );
        for (notice, expected) in watched.notices.iter().zip(expected) {
            assert!(notice.contains(expected), "{notice}");
        }
        let quiet = run(&lines, Place::Pipes, Some((&service.url, &["--quiet"])));
        assert_eq!((quiet.notices.len(), quiet.seen.exit_code), (0, 4));
    }
}

#[test]
fn a_signal_is_delivered_by_its_name() {
    let service = Service::start(Behavior::Accepts);
    let killed = program("", "echo one; kill -KILL $$");
    let watched = run(&killed, Place::Terminal, Some((&service.url, &[])));
    assert_eq!(watched.seen.exit_code, 137);
    assert_eq!(
        service.records().last(),
        Some(&json!({"signal": "SIGKILL"}))
    );
}

#[test]
fn programs_that_can_not_be_started_have_the_exit_codes_of_a_shell() {
    use std::process::Command;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let service = Service::start(Behavior::Accepts);
    for url in [service.url.as_str(), ""] {
        for (path, expected) in [("/no/such/program", 127), (file.to_str().unwrap(), 126)] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_progress"));
            command.args(["run", path]).env("PROGRESS_URL", url);
            let output = command
                .env("XDG_CONFIG_HOME", directory.path())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(expected), "{output:?}");
        }
    }
}

#[test]
fn without_a_service_the_command_runs_all_the_same() {
    let alone = program("", "echo one; exit 5");
    let watched = run(&alone, Place::Pipes, Some(("ftp://a.example", &[])));
    assert_eq!(
        (watched.seen.stdout.as_str(), watched.seen.exit_code),
        ("one\n", 5)
    );
    assert!(
        watched.notices[0].contains("PROGRESS_URL must begin"),
        "{:?}",
        watched.notices
    );
}

#[test]
fn a_closed_output_ends_the_command_as_alone() {
    use std::process::Command;
    let service = Service::start(Behavior::Accepts);
    let script = "$0 run -q -- yes | head -n 1; echo done";
    let mut command = Command::new("bash");
    command.args([
        "-c",
        &format!("{script}; echo ${{PIPESTATUS[0]}}"),
        env!("CARGO_BIN_EXE_progress"),
    ]);
    let output = command.env("PROGRESS_URL", &service.url).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).lines().next(),
        Some("y")
    );
    assert_eq!(
        service.records().last(),
        Some(&json!({"signal": "SIGPIPE"}))
    );
}

/// The exit code and standard error of a script alone and by `progress run`, with this standard output.
#[cfg(target_os = "linux")]
fn with_output(script: &str, output: impl Fn() -> fs::File) -> [(Option<i32>, String); 2] {
    use std::process::Command;
    let service = Service::start(Behavior::Accepts);
    let alone = Command::new("bash");
    let mut watched = Command::new(env!("CARGO_BIN_EXE_progress"));
    watched
        .args(["run", "bash"])
        .env("PROGRESS_URL", &service.url);
    [alone, watched].map(|mut command| {
        let output = command.args(["-c", script]).stdout(output()).output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    })
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_as_full_as_alone() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let script = "echo one; code=$?; echo two >&2; exit $((code + 3))";
    let [alone, (code, error)] = with_output(script, full);
    assert_eq!((code, alone.0), (Some(4), Some(4)));
    let (own, others): (Vec<_>, Vec<_>) = error
        .lines()
        .partition(|line| line.starts_with("progress: "));
    assert_eq!(others, alone.1.lines().collect::<Vec<_>>());
    assert!(others[0].contains("No space left on device"), "{others:?}");
    assert!(own[0].contains("a device is not sent"), "{own:?}");
}

/// A pipe can't tell the command more than that.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_can_not_grow_is_named_as_the_reason_why_the_command_ends() {
    let service = Service::start(Behavior::Accepts);
    let directory = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 1; exec $0 run -- sh -c 'seq 1 100000'";
    let mut command = std::process::Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_progress")]);
    let file = fs::File::create(directory.path().join("log")).unwrap();
    let command = command.env("PROGRESS_URL", &service.url).stdout(file);
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(141), "{error}");
    assert!(
        error.contains("its next write will fail: File too large"),
        "{error}"
    );
}

#[test]
fn an_invalid_address_is_told_at_once_and_never_shown() {
    for url in ["http://us:pw@local host:1", "https://us:pw@a.example:x"] {
        let watched = run(&program("", "echo one"), Place::Pipes, Some((url, &[])));
        assert_eq!(watched.seen.stdout, "one\n");
        let notices = watched.notices.concat();
        assert!(
            notices.contains("the run is not shown anywhere: PROGRESS_URL is no valid address"),
            "{notices}"
        );
        assert!(
            !notices.contains("pw") && !notices.contains("trying"),
            "{notices}"
        );
    }
}

#[test]
fn a_second_interrupt_kills_the_command_and_a_third_one_ends_the_delivery() {
    use rustix::process::{Pid, kill_process};
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let service = Service::start(Behavior::NeverAnswers);
    let mut command = Command::new(env!("CARGO_BIN_EXE_progress"));
    let script = "trap 'echo caught' INT; echo ready; while :; do sleep 0.01; done";
    command
        .args(["run", "sh", "-c", script])
        .env("PROGRESS_URL", &service.url);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let interrupt = || kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    interrupt();
    assert_eq!(lines.next().unwrap().unwrap(), "caught");
    interrupt();
    thread::sleep(Duration::from_millis(500));
    let end = Instant::now();
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(137));
    assert!(
        end.elapsed() < Duration::from_secs(2),
        "{:?}",
        end.elapsed()
    );
}

#[test]
fn keys_of_the_terminal_reach_the_command() {
    let service = Service::start(Behavior::Accepts);
    let interrupted = Program {
        input: "\u{3}",
        after: "ready",
        ..program(
            "",
            "trap 'echo caught; exit 7' INT; echo ready; for i in $(seq 1 300); do sleep 0.02; done",
        )
    };
    let alone = run(&interrupted, Place::Terminal, None);
    let watched = run(&interrupted, Place::Terminal, Some((&service.url, &[])));
    assert_eq!(alone.seen, watched.seen);
    assert_eq!(watched.seen.exit_code, 7);
}
