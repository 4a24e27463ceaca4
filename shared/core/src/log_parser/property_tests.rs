//! Property tests: invariants of every text.

use proptest::prelude::*;

use super::corpus_tests::parse_all;
use super::properties::{assert_safe_to_show, assert_survives_storage};
use super::*;
use crate::model::TaskStatus;

const PREFIXES: [&str; 9] = [
    "",
    "2025-11-15T10:00:00.123Z ",
    "2025-11-15T10:00:00+09:00 ",
    "[2025-11-15 10:00:00] ",
    "2025-11-15 10:00:00,123 - deployer - INFO - ",
    "[14:15:02] ",
    "Nov 15 10:00:00 host deploy[123]: ",
    "deploy\tRun it\t2025-11-15T10:00:00.1234567Z ",
    "2025-11-15T10:00:00.123Z [14:15:02] ",
];

fn any_line() -> impl Strategy<Value = (LogFormat, &'static str)> {
    let of_format = |format: LogFormat| format.examples.iter().map(move |line| (format, *line));
    let lines: Vec<_> = LogFormat::ALL.into_iter().flat_map(of_format).collect();
    prop::sample::select(lines)
}

fn any_format() -> impl Strategy<Value = LogFormat> {
    prop::sample::select(&LogFormat::ALL[..])
}

/// Pieces of lines that the parsers read, in any order.
fn any_pieces() -> impl Strategy<Value = String> {
    let pieces = [
        "Prod-Api",
        " | ",
        "|",
        "3/7",
        "  4",
        "9:15:02 AM",
        "CREATE_FAILED",
        "UPDATE_ROLLBACK_COMP",
        "AWS::CloudFormation::Stack",
        "(",
        ")",
        "[",
        "]",
        "✅  ",
        "❌  ",
        " failed: ",
        ": deploying...",
        "████",
        "] (",
        "Currently in progress: ",
        "Environment ",
        "arn:aws:cloudformation:",
        ":stack/",
        "\u{1b}[32m",
        "\u{1b}",
        "\\u001b[",
        "\r",
        "\n",
        " ",
        "é",
        "\u{202f}",
        "Step ",
        "Epoch ",
        "45%",
        " of ",
        "/",
        "99999999999999999999",
        "%|",
        "[00:03<",
        "=====",
        " complete",
        "Progress: ",
        "{\"log\":\"",
        "{\"message\":",
        "{\"progress\":",
        "\"}",
        "\\n",
        "\\",
        "\"",
        "NaN",
        "-1",
        " + ",
        ") / ",
        "2025-11-15T10:00:00Z ",
        "done",
        "\u{0}",
        "日本",
        "{\"usage\":{\"input_tokens\":3}}",
        "{\"todos\":[",
        "\"a\"",
        "]}",
        "{\"type\":\"assistant\",\"message\":{\"content\":[",
        "{\"type\":\"tool_use\",\"name\":\"TaskUpdate\",\"input\":",
        "{\"taskId\":\"1\",\"status\":\"completed\"}",
        "{\"done\":3,\"total\":9}",
        "}",
        ",",
        "data: ",
        "☒ ",
        "- [ ] ",
        "Waiting for approval",
        "state=",
        " -> ",
        "RUNNING",
        "１２",
        "％",
        "件中",
        " von ",
        "12 500",
        "9.800",
        ", ETA 0:01",
        "\u{8}",
        "\u{1b}[2G",
        "\u{1b}[K",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40)
        .prop_map(|pieces| pieces.concat())
}

/// Any row, with texts and numbers that no parser makes.
fn any_row() -> impl Strategy<Value = CdkObservation> {
    let texts = (any::<String>(), any::<String>(), any::<String>());
    let counter = (
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<Option<u8>>(),
    );
    let names: [_; 4] = std::array::from_fn(|_| any::<Option<String>>());
    (texts, counter, names, any::<bool>()).prop_map(|(texts, counter, names, is_cut)| {
        let (status, resource_type, name) = texts;
        let (current, total, percentage) = counter;
        let [stack, own_name, failure, logical_id] = names;
        let counter = Counter {
            current,
            total,
            percentage,
        };
        let subject = if is_cut {
            RowSubject::CutOff { line: status }
        } else {
            RowSubject::Resource(Resource {
                status,
                resource_type,
                name,
                logical_id,
            })
        };
        CdkObservation::Row {
            stack,
            counter: current.map(|_| counter),
            own: is_cut.then_some(StackState::RolledBack),
            own_name,
            failure,
            subject,
        }
    })
}

/// Any report of an agent, with texts and numbers that no parser makes.
fn any_report() -> impl Strategy<Value = AgentObservation> {
    let texts: [_; 7] = std::array::from_fn(|_| any::<Option<String>>());
    let numbers: [_; 5] = std::array::from_fn(|_| any::<Option<u64>>());
    let state =
        prop::sample::select(&[TodoState::Pending, TodoState::InProgress, TodoState::Done][..]);
    let todo = (any::<String>(), state).prop_map(|(text, state)| Todo { text, state });
    let todos = prop::collection::vec(todo, 0..4);
    let ends = [
        EndOf::Run,
        EndOf::Tool,
        EndOf::ToolWithoutCounter,
        EndOf::Part,
    ];
    let end_of = prop::sample::select(ends.to_vec());
    let status = prop::option::of(prop::sample::select(TaskStatus::ALL));
    (texts, numbers, todos, end_of, status, any::<bool>()).prop_map(
        |(texts, numbers, todos, end_of, status, is_start)| {
            let [
                task_id,
                project_id,
                phase,
                current_step,
                message,
                model,
                tool,
            ] = texts;
            let [
                input_tokens,
                output_tokens,
                cached_tokens,
                turns,
                cost_micro_usd,
            ] = numbers;
            let usage = Usage {
                name: None,
                model,
                input_tokens,
                output_tokens,
                cached_tokens,
                turns,
                cost_micro_usd,
                tool,
            };
            AgentObservation {
                task_id,
                project_id,
                counters: Vec::new(),
                status,
                is_start,
                end_of,
                phase,
                current_step,
                message,
                usage: is_start.then(|| Box::new(usage)),
                todos,
                ..AgentObservation::default()
            }
        },
    )
}

fn count_lines(format: LogFormat, message: &str) -> LineCounts {
    parse_message(format, message, &mut |_, _| ())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(format in any_format(), text in any::<String>()) {
        assert_safe_to_show(&parse_all(format, &text));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(format in any_format(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_safe_to_show(&parse_all(format, &String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn no_mix_of_pieces_makes_the_parser_panic(format in any_format(), text in any_pieces()) {
        assert_safe_to_show(&parse_all(format, &text));
        let counts = count_lines(format, &text);
        prop_assert!(counts.parsed + counts.failures <= 2 * counts.lines);
    }

    #[test]
    fn no_cut_line_makes_the_parser_panic((format, line) in any_line(), end in 0_usize..200) {
        assert_safe_to_show(&parse_all(format, text::head(line, end)));
    }

    #[test]
    fn any_row_survives_storage(row in any_row()) {
        assert_survives_storage(&Observation::Cdk(row));
    }

    #[test]
    fn any_report_survives_storage(report in any_report()) {
        assert_survives_storage(&Observation::Agent(report));
    }

    #[test]
    fn prefixes_colours_and_line_ends_change_nothing(
        (format, line) in any_line(),
        prefix in prop::sample::select(&PREFIXES[..]),
        colour in any::<bool>(),
        line_end in prop::sample::select(&["", "\n", "\r\n", "\r", "\u{1b}[K\n"][..]),
    ) {
        let bare = parse_all(format, line);
        prop_assert_eq!(bare.len(), 1);
        let line = if colour { format!("\u{1b}[1m{line}\u{1b}[22m") } else { line.to_owned() };
        prop_assert_eq!(parse_all(format, &format!("{prefix}{line}{line_end}")), bare);
    }

    #[test]
    fn json_around_a_line_changes_nothing(
        (format, line) in any_line(),
        key in prop::sample::select(&["log", "message", "msg", "line", "text"][..]),
        depth in 1..4_u32,
    ) {
        let mut wrapped = line.to_owned();
        for _ in 0..depth {
            wrapped = serde_json::json!({ key: format!("{wrapped}\n"), "stream": "stderr" }).to_string();
        }
        prop_assert_eq!(parse_all(format, &wrapped), parse_all(format, line));
    }

    #[test]
    fn a_message_is_the_sum_of_its_lines(lines in prop::collection::vec(any_line(), 0..8)) {
        let (format, _) = lines.first().copied().unwrap_or((LogFormat::CDK, ""));
        let mut numbered = Vec::new();
        let all: Vec<&str> = lines.iter().map(|(_, line)| *line).collect();
        let counts = parse_message(format, &all.join("\n"), &mut |number, found| numbered.push((number, found)));
        let mut expected = Vec::new();
        for (number, line) in (0..).zip(&all) {
            expected.extend(parse_all(format, line).into_iter().map(|found| (number, found)));
        }
        prop_assert_eq!(counts.lines, all.len() as u64);
        prop_assert_eq!(numbered, expected);
    }
}

#[test]
fn hostile_lines_of_a_megabyte_are_parsed_in_linear_time() {
    for piece in [
        "(",
        "[",
        "|",
        " | ",
        "1/2 ",
        "1/2",
        "[1/2]",
        "45% ",
        "45%| ",
        "] (",
        "{\"a\":",
        "\u{1b}[",
        "\\u001b[",
        "a (b) ",
        "Step ",
        "arn:",
        "=",
        "█",
        "9",
        "(1 + ",
        "\r",
        "[INFO] ",
        "| ",
        "é",
        "\u{feff}",
        "1,234,",
        "Prod: deploying... ",
        "✅  ",
        "2025-11-15T10:00:00Z ",
        "Currently in progress: ",
        "\\",
        "\"log\"",
        "- [ ] a",
        "☒ a",
        "RUNNING -> ",
        "waiting for a user ",
        "{\"done\":3,",
        "state ",
        "1 111 ",
        "３／４ ",
        "9件",
        "1 of ",
        "1 percent ",
        "1/2 ETA 1m ",
        "?a=1/2 ",
        "a\u{8}",
        "\u{1b}[9G",
        "\u{1b}[A",
    ] {
        let line = piece.repeat(1_000_000 / piece.len());
        for format in LogFormat::ALL {
            assert_safe_to_show(&parse_all(format, &line));
            assert_safe_to_show(&parse_all(format, &format!("{{\"log\":\"{line}")));
        }
    }
}
