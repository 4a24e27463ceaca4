use super::*;
use crate::log_parser::observation::{
    Counter, CounterKind, EndOf, MAX_TODOS, Observation, TodoState,
};
use crate::log_parser::{LineCounts, LogFormat, parse_message};

/// Lines with one observation each.
pub(in crate::log_parser) const EXAMPLES: &[&str] = &[
    "[3/10] Linking",
    "Step 3/10: fetch",
    "Epoch 3/250",
    "#9 [builder 2/6] RUN make",
    "Processing batch 1/3 (50 stories)",
    " 67%|██████▋   | 39/58 [00:03<00:00, 31.54it/s]",
    "Receiving objects: 100% (5208/5208), 12.30 MiB | 9.10 MiB/s, done.",
    "Progress: 45%",
    "===== 4 passed in 0.04s =====",
    "START RequestId: 6f747567-7a0c-4fbf-9a01-3c7e7e1f5d2b Version: $LATEST",
    "REPORT RequestId: 6f747567\tDuration: 3000.00 ms\tMax Memory Used: 30 MB\tStatus: timeout",
    r#"{"task_id":"t-1","progress":{"current":3,"total":10},"status":"running"}"#,
    r#"{"todos":[{"content":"link","status":"completed"},"test"],"num_turns":4}"#,
    r#"{"usage":{"input_tokens":900,"output_tokens":80},"model":"m-1"}"#,
    r#"{"level":"info","msg":"copied","rows_done":3,"rows_total":10}"#,
    r#"{"gen_ai.agent.name":"a","gen_ai.usage.input_tokens":900,"gen_ai.request.model":"m-1"}"#,
    r#"copied rows {"done":3,"total":10}"#,
    "☒ Read the code",
    "- [ ] Write a test",
    "job 7 RUNNING -> COMPLETED",
    "Waiting for approval: write 14 files",
    r#"{"type":"system","subtype":"init","session_id":"s-1","model":"m-1","tools":[]}"#,
    r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"TodoWrite","input":{"todos":[{"content":"a","status":"completed"},{"content":"b","status":"pending"}]}}]},"session_id":"s-1"}"#,
    r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t2","name":"TaskCreate","input":{"subject":"a"}}]},"session_id":"s-1"}"#,
    r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","is_error":true}]},"session_id":"s-1"}"#,
    r#"{"type":"result","subtype":"success","is_error":false,"num_turns":4,"result":"Done.","total_cost_usd":0.02}"#,
    r#"{"type":"thread.started","thread_id":"t-1"}"#,
    r#"{"type":"item.updated","item":{"id":"i1","type":"todo_list","items":[{"text":"a","completed":true},{"text":"b","completed":false}]}}"#,
    r#"{"type":"item.completed","item":{"id":"i2","type":"command_execution","command":"make","exit_code":2,"status":"failed"}}"#,
    r#"{"type":"request_user_input","id":"r1","questions":[{"id":"q","question":"Which one?"}]}"#,
    r#"{"type":"turn.completed","usage":{"input_tokens":90,"cached_input_tokens":7,"output_tokens":8}}"#,
    r#"{"type":"init","session_id":"g-1","model":"m-1"}"#,
    r#"{"type":"tool_use","tool_name":"write_todos","tool_id":"t1","parameters":{"todos":[{"description":"a","status":"completed"},{"description":"b","status":"pending"}]}}"#,
    r#"{"type":"tool_result","tool_id":"t1","status":"error","output":"no such file"}"#,
    r#"{"type":"result","status":"success","stats":{"input_tokens":90,"output_tokens":8}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":3,"total":8,"message":"Reading"}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"m-1","status":"input_required"}}"#,
    r#"{"jsonrpc":"2.0","id":4,"result":{"taskId":"m-1","status":"completed","ttl":60000}}"#,
    r#"{"jsonrpc":"2.0","id":"r","result":{"kind":"status-update","taskId":"a-1","contextId":"c","status":{"state":"working"}}}"#,
    r#"{"statusUpdate":{"taskId":"a-1","contextId":"c","status":{"state":"TASK_STATE_AUTH_REQUIRED"}}}"#,
    r#"{"kind":"task","id":"a-1","contextId":"c","status":{"state":"rejected"}}"#,
    r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
    r#"{"type":"STEP_STARTED","stepName":"draw"}"#,
    r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"plot"}"#,
    r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r","outcome":{"type":"interrupt","interrupts":[{"id":"i","reason":"input_required","message":"Which one?"}]}}"#,
    r#"{"type":"RUN_ERROR","message":"no paper"}"#,
];

fn parse_json(line: &str) -> (Vec<AgentObservation>, LineCounts) {
    let mut found = Vec::new();
    let counts = parse_message(
        LogFormat::AGENT,
        line,
        &mut |_, observation| match observation {
            Observation::Agent(agent) => found.push(agent),
            other => panic!("{other:?} in a log of agents"),
        },
    );
    (found, counts)
}

fn one(line: &str) -> AgentObservation {
    let (mut found, counts) = parse_json(line);
    assert_eq!(counts.failures, 0, "{line}");
    assert_eq!(found.len(), 1, "{line}");
    found.remove(0)
}

fn counter(current: u64, total: u64, percentage: Option<u8>) -> Counter {
    Counter {
        current: Some(current),
        total: Some(total),
        percentage,
    }
}

#[test]
fn all_fields_of_a_report_are_read() {
    let report = one(concat!(
        r#"2025-11-15T10:00:00Z {"timestamp":"2025-11-15T10:00:00Z","level":"INFO","task_id":"t-1","message":"linking","#,
        r#""phase":"build","current_step":"link","progress":{"current":3,"total":10,"percentage":30.9},"#,
        r#""status":"running","project_id":"p-1","extra":{"deep":[1]}}"#,
    ));
    assert_eq!(
        report,
        AgentObservation {
            task_id: Some("t-1".to_owned()),
            project_id: Some("p-1".to_owned()),
            counters: vec![(CounterKind::Report, counter(3, 10, Some(30)))],
            status: Some(TaskStatus::Running),
            is_start: false,
            end_of: EndOf::Run,
            phase: Some("build".to_owned()),
            current_step: Some("link".to_owned()),
            message: Some("linking".to_owned()),
            ..AgentObservation::default()
        }
    );
}

#[test]
fn progress_may_have_many_forms() {
    let percent = |percentage| Counter {
        current: None,
        total: None,
        percentage: Some(percentage),
    };
    for (fields, expected) in [
        (
            r#""progress":{"current":3,"total":10}"#,
            counter(3, 10, None),
        ),
        (
            r#""progress":{"current":3.0,"total":"10"}"#,
            counter(3, 10, None),
        ),
        (r#""progress":{"percentage":"45%"}"#, percent(45)),
        (r#""progress":{"percent":100.0}"#, percent(100)),
        (r#""progress":45"#, percent(45)),
        (r#""progress":0.29"#, percent(29)),
        (r#""progress":"45%""#, percent(45)),
        (r#""progress":"3/10""#, counter(3, 10, None)),
        (r#""step":3,"total_steps":10"#, counter(3, 10, None)),
    ] {
        assert_eq!(
            one(&format!("{{{fields}}}")).counters,
            [(CounterKind::Report, expected)],
            "{fields}"
        );
    }
}

#[test]
fn a_report_without_progress_may_have_a_counter_in_its_message() {
    let report = one(r#"{"task_id":"t-1","message":"\u001b[1mStep 1/10\u001b[0m: fetch"}"#);
    assert_eq!(report.counters, [(CounterKind::Step, counter(1, 10, None))]);
    assert!(report.is_start);
    assert_eq!(report.message.as_deref(), Some("Step 1/10: fetch"));
}

#[test]
fn the_message_of_another_object_is_read_as_plain_text() {
    for line in [
        r#"{"log":"[3/10] Linking\n","stream":"stderr"}"#,
        r#"{"level":"INFO","msg":"[3/10] Linking"}"#,
        r#"{"log":"{\"message\":\"[3/10] Linking\"}\n"}"#,
        r#"{"event":"[3/10] Linking","level":"info"}"#,
        r#"{"message":"[3/10] Linking","status":"ok","url":"/x"}"#,
        r#"{"level":"INFO","message":"[3/10] Linking and then it was cut"#,
        r#"{"model":"m-1","model":"m-2","message":"[3/10] Linking"}"#,
    ] {
        let found = one(line);
        assert_eq!(
            found.counters,
            [(CounterKind::Bracket, counter(3, 10, None))],
            "{line}"
        );
        assert_eq!(found.status, None, "{line}");
    }
}

#[test]
fn statuses_have_synonyms() {
    use TaskStatus::{Blocked, Cancelled, Completed, Failed, Pending, Running};
    for (word, expected, is_start) in [
        ("pending", Pending, true),
        ("queued", Pending, true),
        ("started", Running, true),
        ("STARTING", Running, true),
        ("in_progress", Running, false),
        ("in-progress", Running, false),
        ("In Progress", Running, false),
        ("working", Running, false),
        ("waiting", Blocked, false),
        ("success", Completed, false),
        ("succeeded", Completed, false),
        ("done", Completed, false),
        ("ok", Completed, false),
        ("finished", Completed, false),
        ("error", Failed, false),
        ("failure", Failed, false),
        ("canceled", Cancelled, false),
    ] {
        let found = one(&format!(r#"{{"task_id":"t-1","status":"{word}"}}"#));
        assert_eq!(
            (found.status, found.is_start),
            (Some(expected), is_start),
            "{word}"
        );
    }
    assert_eq!(one(r#"{"task_id":"t-1","status":"purple"}"#).status, None);
}

#[test]
fn broken_reports_are_counted() {
    for line in [
        r#"{"progress":{"current":3,"total":10,"percentage":101}}"#,
        r#"{"progress":{"percentage":-1}}"#,
        r#"{"progress":{"current":-3,"total":10}}"#,
        r#"{"progress":{"current":NaN,"total":10}}"#,
        r#"{"progress":{"current":"NaN","total":10}}"#,
        r#"{"progress":{"current":"three","total":10}}"#,
        r#"{"progress":{"current":99999999999999999999999,"total":10}}"#,
        r#"{"progress":[3,10]}"#,
        r#"{"progress":true}"#,
        r#"{"task_id":"t-1","progress":{"current":3,"tot"#,
    ] {
        let (found, counts) = parse_json(line);
        assert_eq!(found, [], "{line}");
        assert_eq!(
            counts,
            LineCounts {
                lines: 1,
                parsed: 0,
                failures: 1
            },
            "{line}"
        );
    }
}

#[test]
fn other_objects_are_not_reports() {
    for line in [
        r#"{"level":"INFO","message":"hello"}"#,
        r#"{"status":200,"path":"/a/3/10"}"#,
        r#"{"method":"GET","path":"/","status":"completed"}"#,
        r#"{"check":"database","status":"ok"}"#,
        r#"{"level":"ERROR","message":"boom","error":{"status":"failed"}}"#,
        r#"{"progress":null,"message":"x"}"#,
        r#"{"task_id":"","message":"x"}"#,
        r#"{"deep":[[[[{"progress":3}]]]]}"#,
        r#"{"model":"m-1"}"#,
        r#"{"tool":"bash","message":"x"}"#,
        r#"{"tool_name":"bash","model":"m-1","turns":3}"#,
        r#"{"usage":{"cpu":0.3,"cached_tokens":7},"message":"x"}"#,
        "{}",
        "{not json}",
    ] {
        let (found, counts) = parse_json(line);
        assert_eq!((found, counts.failures), (vec![], 0), "{line}");
    }
}

#[test]
fn a_terminal_report_does_not_start_a_run() {
    let found = one(r#"{"task_id":"t-1","status":"failed","progress":{"current":0,"total":10}}"#);
    assert!(!found.is_start);
}

#[test]
fn the_usage_of_a_run_is_read() {
    let tokens = |input_tokens, output_tokens, cached_tokens| Usage {
        input_tokens,
        output_tokens,
        cached_tokens,
        ..Usage::default()
    };
    for (fields, expected) in [
        (
            r#""usage":{"input_tokens":9,"output_tokens":8,"cache_read_input_tokens":7,"deep":{}}"#,
            tokens(Some(9), Some(8), Some(7)),
        ),
        (
            r#""usage":{"prompt_tokens":9,"completion_tokens":8,"cached_tokens":7}"#,
            tokens(Some(9), Some(8), Some(7)),
        ),
        (
            r#""usage":{"input_tokens":9,"prompt_tokens":5,"cached_input_tokens":7,"output_tokens":null}"#,
            tokens(Some(9), None, Some(7)),
        ),
        (
            r#""total_cost_usd":0.0123456,"cost_usd":7,"num_turns":4,"model":"m-1""#,
            Usage {
                model: Some("m-1".to_owned()),
                turns: Some(4),
                cost_micro_usd: Some(12_346),
                ..Usage::default()
            },
        ),
        (
            r#""phase":"build","tool_name":"\u001b[1mbash\u001b[0m","turns":4,"usage":{"cpu":3}"#,
            Usage {
                turns: Some(4),
                tool: Some("bash".to_owned()),
                ..Usage::default()
            },
        ),
    ] {
        let report = one(&format!("{{{fields}}}"));
        assert_eq!(report.usage.as_deref(), Some(&expected), "{fields}");
        assert_eq!(
            (report.counters, report.is_start),
            (vec![], false),
            "{fields}"
        );
    }
}

#[test]
fn a_usage_that_is_not_valid_is_ignored() {
    for fields in [
        r#""usage":7"#,
        r#""usage":[9,8]"#,
        r#""usage":[{"input_tokens":9}]"#,
        r#""usage":{"input_tokens":-9}"#,
        r#""usage":{"input_tokens":"some","output_tokens":"many"}"#,
        r#""usage":{"input_tokens":99999999999999999999999}"#,
        r#""total_cost_usd":-1"#,
        r#""total_cost_usd":1e300"#,
        r#""total_cost_usd":"NaN""#,
        r#""num_turns":-1,"model":null,"tool":"""#,
        r#""todos":7"#,
        r#""todos":[]"#,
        r#""todos":["link",7]"#,
        r#""todos":[["link"]]"#,
        r#""todos":[{"status":"completed"}]"#,
        r#""todos":[{"content":"link","done":"yes"}]"#,
    ] {
        let report = one(&format!(r#"{{"phase":"build",{fields}}}"#));
        let expected = AgentObservation {
            phase: Some("build".to_owned()),
            ..AgentObservation::default()
        };
        assert_eq!(report, expected, "{fields}");
        let (found, counts) = parse_json(&format!("{{{fields}}}"));
        assert_eq!((found, counts.failures), (vec![], 0), "{fields}");
    }
}

#[test]
fn the_usage_of_one_request_is_not_that_of_the_run() {
    for line in [
        r#"{"method":"POST","url":"/v1/chat","usage":{"input_tokens":9},"status":"completed"}"#,
        r#"{"method":"GET","url":"/todos","todos":["link","test"]}"#,
    ] {
        let (found, counts) = parse_json(line);
        assert_eq!((found, counts.failures), (vec![], 0), "{line}");
    }
    let report = one(r#"{"usage":{"input_tokens":9},"status":"ok"}"#);
    assert_eq!(report.status, None, "the word is vague");
}

#[test]
fn a_to_do_list_is_a_counter() {
    use TodoState::{Done, InProgress, Pending};
    for (list, done, expected) in [
        (
            r#"[{"content":"a","status":"completed","activeForm":"doing a"},{"content":"b","status":"in_progress"},{"content":"c","status":"pending"}]"#,
            1,
            vec![("a", Done), ("b", InProgress), ("c", Pending)],
        ),
        (
            r#"["a",{"text":"b","done":true},{"title":"c","state":"Done"},{"activeForm":"d"}]"#,
            2,
            vec![("a", Pending), ("b", Done), ("c", Done), ("d", Pending)],
        ),
        (
            r#"[{"content":"a","status":"cancelled"},{"content":"b","status":"purple"}]"#,
            1,
            vec![("a", Done), ("b", Pending)],
        ),
    ] {
        for key in ["todos", "todo"] {
            let report = one(&format!(r#"{{"{key}":{list}}}"#));
            let total = expected.len() as u64;
            assert_eq!(
                report.counters,
                [(CounterKind::Report, counter(done, total, None))],
                "{list}"
            );
            let todos = report.todos.iter();
            let todos: Vec<_> = todos.map(|todo| (&*todo.text, todo.state)).collect();
            assert_eq!(todos, expected, "{list}");
            assert!(!report.is_start, "{list}");
        }
    }
    let both = one(r#"{"progress":"3/10","todos":["a"]}"#);
    assert_eq!(both.counters, [(CounterKind::Report, counter(3, 10, None))]);
    assert_eq!(both.todos.len(), 1);
}

#[test]
fn a_long_to_do_list_is_counted_in_full_and_kept_in_part() {
    let item = format!(r#"{{"content":"{}","done":true}}"#, "é".repeat(100));
    let list = vec![item; 1_000].join(",");
    let report = one(&format!(r#"{{"todos":[{list}]}}"#));
    assert_eq!(
        report.counters,
        [(CounterKind::Report, counter(1_000, 1_000, None))]
    );
    assert_eq!(report.todos.len(), MAX_TODOS);
    assert!(report.todos.iter().all(|todo| todo.text == "é".repeat(80)));
}
