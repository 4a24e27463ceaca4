//! Sessions of agents: their to-do lists, sub-agents, questions and ends.

use progress_core::fold::{FactLog, Run};
use progress_core::log_parser::LogFormat;
use progress_core::model::TaskStatus::{self, Blocked, Completed, Failed, Running};
use progress_core::model::TodoStatus;

use crate::limits::facts_of;

fn run(lines: &[&str]) -> Run {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut runs = FactLog::from_iter(facts_of(LogFormat::AGENT, &lines)).runs();
    assert_eq!(runs.len(), 1, "{lines:?}");
    runs.remove(0)
}

/// The status, the counter and the phase of the only run.
fn state(lines: &[&str]) -> (TaskStatus, Option<(u64, u64)>, Option<String>) {
    let report = run(lines).report();
    let counter = report.progress.current.zip(report.progress.total);
    (report.status, counter, report.phase)
}

/// A line of Claude Code in which it uses a tool.
fn uses(tool: &str, input: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"{tool}-1","name":"{tool}","input":{input}}}]}}}}"#
    )
}

#[test]
fn single_changes_make_a_list() {
    let create = uses("TaskCreate", r#"{"subject":"sew"}"#);
    let done = |id| {
        uses(
            "TaskUpdate",
            &format!(r#"{{"taskId":"{id}","status":"completed"}}"#),
        )
    };
    let off = uses("TaskUpdate", r#"{"taskId":"3","status":"deleted"}"#);
    let (one, two, nine) = (done(1), done(2), done(9));
    let lines = [&create, &create, &create, &one].map(String::as_str);
    assert_eq!(state(&lines), (Running, Some((1, 3)), None));
    let lines = [&lines[..], &[&off, &nine, &two]].concat();
    assert_eq!(state(&lines), (Running, Some((2, 2)), None));
}

#[test]
fn a_list_in_text_is_the_newest_one() {
    let lines = ["☒ cut", "☐ sew", "Sewn.", "☒ cut", "☒ sew", "☐ iron"];
    assert_eq!(state(&lines), (Running, Some((2, 3)), None));
    let shorter = [&lines[..], &["☒ sew", "☒ iron", "☒ sew", "☒ iron"]].concat();
    assert_eq!(state(&shorter), (Running, Some((2, 2)), None));
    assert_eq!(state(&["- [ ] cut"]), (Running, None, None), "a single box");
    assert_eq!(
        state(&["- [x] cut", "- [x] sew"]),
        (Running, None, None),
        "crosses"
    );
    assert_eq!(
        state(&["- [x] cut", "- [x] sew", "- [ ] iron"]).1,
        Some((2, 3))
    );
    let steps = ["Step 2/5: sew", "- [x] cut", "- [ ] sew"];
    assert_eq!(state(&steps).1, Some((2, 5)), "named steps are outside");
}

#[test]
fn a_failed_tool_is_no_failure_of_its_agent() {
    let start = r#"{"type":"system","subtype":"init","session_id":"s"}"#;
    let tool = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":"3 failed"}]}}"#;
    let end = r#"{"type":"result","subtype":"success","is_error":false,"result":"14% of 2 of 9"}"#;
    let broken = r#"{"type":"result","subtype":"error_max_turns","is_error":true}"#;
    assert_eq!(state(&[start, tool]), (Running, None, None));
    assert_eq!(state(&[start, tool, end]), (Completed, None, None));
    assert_eq!(state(&[start, tool, broken]), (Failed, None, None));
    let message = run(&[start, broken]).report().message;
    assert_eq!(message.as_deref(), Some("error_max_turns"));
    let command = r#"{"type":"item.completed","item":{"type":"command_execution","command":"make","exit_code":2,"status":"failed"}}"#;
    let turn = r#"{"type":"turn.completed","usage":{"input_tokens":9,"output_tokens":8}}"#;
    assert_eq!(
        state(&[r#"{"type":"turn.started"}"#, command]),
        (Running, None, None)
    );
    assert_eq!(
        state(&[r#"{"type":"turn.started"}"#, command, turn]),
        (Completed, None, None)
    );
}

#[test]
fn a_run_is_blocked_until_the_agent_goes_on() {
    let question = uses(
        "AskUserQuestion",
        r#"{"questions":[{"question":"Which thread?"}]}"#,
    );
    let answer = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"AskUserQuestion-1"}]}}"#;
    let input = Some("input_required".to_owned());
    let approval = Some("approval_required".to_owned());
    assert_eq!(state(&[&question]), (Blocked, None, input.clone()));
    let waiting = run(&[&question]).waiting().cloned().unwrap();
    assert_eq!(waiting.question.as_deref(), Some("Which thread?"));
    assert_eq!(state(&[&question, answer]), (Running, None, None));
    let text = ["Step 2/5: sew", "Waiting for approval: cut the silk"];
    assert_eq!(state(&text), (Blocked, Some((2, 5)), approval.clone()));
    let later = [&text[..], &["Step 3/5: iron"]].concat();
    assert_eq!(state(&later), (Running, Some((3, 5)), None));
    for (line, phase) in [
        (
            r#"{"statusUpdate":{"contextId":"c","status":{"state":"auth-required"}}}"#,
            &input,
        ),
        (
            r#"{"type":"request_user_input","questions":[{"question":"Which?"}]}"#,
            &input,
        ),
        (r#"{"type":"RUN_FINISHED","outcome":"interrupt"}"#, &input),
        (
            r#"{"method":"notifications/tasks/status","params":{"status":"input_required"}}"#,
            &input,
        ),
        (r#"{"task_id":"t","status":"awaiting_approval"}"#, &approval),
    ] {
        assert_eq!(&state(&[line]), &(Blocked, None, phase.clone()), "{line}");
    }
}

#[test]
fn sub_agents_are_parts() {
    let start = uses(
        "Task",
        r#"{"description":"hem the skirt","subagent_type":"tailor"}"#,
    );
    let own = uses(
        "TodoWrite",
        r#"{"todos":[{"content":"a","status":"completed"},{"content":"b"}]}"#,
    );
    let theirs = uses(
        "TodoWrite",
        r#"{"todos":[{"content":"c"},{"content":"d"},{"content":"e"}]}"#,
    );
    let theirs = theirs.replace(
        r#"{"type":"assistant","#,
        r#"{"type":"assistant","parent_tool_use_id":"Task-1","#,
    );
    let end = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"Task-1","is_error":true}]}}"#;
    let report = run(&[&own, &start, &theirs]).report();
    assert_eq!(
        (report.progress.current, report.progress.total),
        (Some(1), Some(2))
    );
    let part = &report.parts["hem the skirt"];
    assert_eq!(
        (part.status, part.progress.current, part.progress.total),
        (Running, Some(0), Some(3))
    );
    let report = run(&[&own, &start, &theirs, end]).report();
    assert_eq!(report.status, Running);
    assert_eq!(report.parts["hem the skirt"].status, Failed);
    let states = r#"{"type":"item.updated","item":{"type":"collab_tool_call","tool":"wait","agents_states":{"a1":{"status":"completed"},"a2":{"status":"running","message":"sews"}}}}"#;
    let parts = run(&[states]).report().parts;
    assert_eq!(
        (parts["a1"].status, parts["a2"].status),
        (Completed, Running)
    );
}

#[test]
fn the_agent_has_its_newest_to_do_list() {
    let todos = |lines: &[&str]| -> Vec<(String, TodoStatus)> {
        let todos = run(lines).report().agent.unwrap_or_default().todos;
        let items = todos.into_iter();
        items.map(|item| (item.text, item.status)).collect()
    };
    let first = uses("TodoWrite", r#"{"todos":[{"content":"measure"}]}"#);
    let second = uses(
        "TodoWrite",
        r#"{"todos":[{"content":"cut","status":"completed"},{"content":"sew","status":"in_progress"},{"content":"iron","status":"pending"}]}"#,
    );
    let expected = [
        ("cut", TodoStatus::Done),
        ("sew", TodoStatus::InProgress),
        ("iron", TodoStatus::Pending),
    ];
    let expected = expected.map(|(text, status)| (text.to_owned(), status));
    assert_eq!(todos(&[&first, &second]), expected);
    // A single box may be anything, several are a list.
    assert_eq!(todos(&["Step 1/3", "- [x] cut"]), []);
    let boxes = ["- [x] cut", "- [ ] sew"];
    let expected = [("cut", TodoStatus::Done), ("sew", TodoStatus::Pending)];
    let expected = expected.map(|(text, status)| (text.to_owned(), status));
    assert_eq!(todos(&boxes), expected);
}

#[test]
fn what_a_run_has_used_is_replaced() {
    let run = run(&[
        r#"{"type":"system","subtype":"init","session_id":"s","model":"m-1"}"#,
        r#"{"gen_ai.agent.name":"tailor","gen_ai.usage.input_tokens":7}"#,
        r#"{"type":"result","subtype":"success","total_cost_usd":0.5,"num_turns":4,"usage":{"input_tokens":90,"output_tokens":8}}"#,
    ]);
    let usage = run.usage().unwrap();
    assert_eq!(
        (usage.name.as_deref(), usage.model.as_deref()),
        (Some("tailor"), Some("m-1"))
    );
    assert_eq!(
        (usage.input_tokens, usage.output_tokens),
        (Some(90), Some(8))
    );
    assert_eq!(
        (usage.cost_micro_usd, usage.turns),
        (Some(500_000), Some(4))
    );
}
