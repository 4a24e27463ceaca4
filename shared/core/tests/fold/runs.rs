//! Generates logs of CDK and agents, plausible and random ones.

use std::fmt;

use progress_core::fold::{CallerEdit, Fact, KeyedFact, LastLines, LineKey, SessionKey};
use progress_core::log_event::LogEvent;
use progress_core::log_parser::{
    AgentObservation, CdkObservation, Counter, CounterKind, EndOf, FailureOf, InRun,
    LambdaObservation, Need, Observation, Operation, Outcome, RowSubject, Sample, Samples,
    StackState, SubagentReport, Todo, TodoEdit, TodoState, Waiting,
};
use progress_core::model::{Progress, TaskStatus, Timestamp};
use proptest::prelude::*;

/// An observation and the key of its line.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) key: LineKey,
    pub(crate) observation: Observation,
}

/// On one line, because failures print whole logs.
impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let key = json(serde_json::to_string(&self.key));
        let observation = json(serde_json::to_string(&self.observation));
        formatter.write_str(&format!("{key} {observation}"))
    }
}

pub(crate) fn fact_of(line: &Line) -> KeyedFact {
    (line.key, Fact::line(line.observation.clone()))
}

/// A log of one stream in order. Its lines need not make sense together.
pub(crate) fn any_log() -> impl Strategy<Value = Vec<Line>> {
    let nonsense = proptest::collection::vec(any_cdk().prop_map(Observation::Cdk), 1..40);
    let line = prop_oneof![
        9 => any_agent().prop_map(|line| vec![Observation::Agent(line)]),
        1 => any_invocation().prop_map(|line| vec![Observation::Lambda(line)]),
        3 => any_samples(),
    ];
    let agent = proptest::collection::vec(line, 1..40).prop_map(|lines| lines.concat());
    prop_oneof![with_keys(nonsense), with_keys(agent), sensible_log()]
}

/// A plausible log of one stream: of CDK, with runs one after another or at once, or of an agent.
pub(crate) fn sensible_log() -> impl Strategy<Value = Vec<Line>> {
    let one_by_one = proptest::collection::vec(
        proptest::sample::select(STACKS.to_vec())
            .prop_flat_map(|stack| plain_run(stack, any::<bool>())),
        1..5,
    );
    // CloudFormation runs one operation on a stack at a time, so runs at once are of different
    // stacks.
    let each = STACKS.map(|stack| plain_run(stack, Just(true)));
    let at_once = (each, 1..=STACKS.len()).prop_flat_map(|(runs, count)| {
        let runs: Vec<_> = runs.into_iter().take(count).collect();
        let turns: Vec<_> = runs
            .iter()
            .enumerate()
            .flat_map(|(run, lines)| vec![run; lines.len()])
            .collect();
        let lines: Vec<_> = runs.into_iter().map(Vec::into_iter).collect();
        Just(turns).prop_shuffle().prop_map(move |turns| {
            let mut lines = lines.clone();
            turns
                .into_iter()
                .filter_map(|run| lines[run].next())
                .collect()
        })
    });
    // The agent has only one counter, because progress restarts with another counter.
    let agent = proptest::collection::vec(any_agent(), 1..40).prop_map(|mut observations| {
        for observation in &mut observations {
            observation.todo_edits.clear();
        }
        for (kind, counter) in observations
            .iter_mut()
            .flat_map(|observation| &mut observation.counters)
        {
            *kind = CounterKind::Step;
            counter.total = Some(8);
        }
        observations.into_iter().map(Observation::Agent).collect()
    });
    let moving = (0..3_u64, proptest::collection::vec(0..3_u64, 1..20)).prop_map(|(low, steps)| {
        let values = steps.into_iter().scan(low, |value, step| {
            *value += step;
            Some(*value)
        });
        values.map(|value| samples(0, value, 60)).collect()
    });
    prop_oneof![
        with_keys(one_by_one.prop_map(|runs| runs.concat())),
        with_keys(at_once),
        with_keys(agent),
        with_keys(moving)
    ]
}

/// Up to four sessions at once in one stream, some without an end: the facts in order.
pub(crate) fn sessions_at_once() -> impl Strategy<Value = Vec<KeyedFact>> {
    let session = (any_log(), 0..40_i64, proptest::option::of(0..2_i32));
    proptest::collection::vec(session, 1..5).prop_map(|sessions| {
        let mut facts = Vec::new();
        for (id, (log, start, code)) in (1..).zip(sessions) {
            let first = log
                .first()
                .map_or(Timestamp::default(), |line| line.key.time());
            let lines = log.iter().map(|line| (line.key.time(), fact_of(line).1));
            let mut of_session: Vec<_> = lines.collect();
            of_session.insert(0, (first, Fact::Session(Box::default())));
            if let (Some(code), Some((last, _))) = (code, of_session.last()) {
                let last_lines = LastLines::default();
                of_session.push((*last, Fact::Exit { code, last_lines }));
            }
            for (number, (time, fact)) in (0..).zip(of_session) {
                let time = Timestamp::from_millis(time.as_millis() + start);
                let event = LogEvent {
                    log_stream: "main".to_owned(),
                    timestamp: time,
                    ingested_at: time,
                    event_id: SessionKey::of_hash(id).event_id(0, number),
                    message: String::new(),
                };
                facts.push((LineKey::of(&event, 0), fact));
            }
        }
        facts.sort_by_key(|(at, _)| *at);
        facts
    })
}

fn samples(template: u64, current: u64, total: u64) -> Observation {
    let sample = Sample {
        template,
        current: current.min(total),
        total,
        is_share: false,
    };
    Observation::Samples(Samples {
        samples: vec![sample],
        message: Some(current.to_string()),
    })
}

/// Lines of one or two counters without words. Most of them rise.
fn any_samples() -> impl Strategy<Value = Vec<Observation>> {
    let value = proptest::sample::select(vec![0_i64, 0, 1, 1, 1, 1, 2, 3, -1, -9]);
    let steps = proptest::collection::vec((value, proptest::bool::weighted(0.9)), 1..14);
    (0..3_u64, 0..4_u64, 6..9_u64, steps).prop_map(|(template, low, total, steps)| {
        let mut value = low;
        let lines = steps.into_iter().map(|(step, is_first)| {
            let template = if is_first { template } else { template + 1 };
            value = value.saturating_add_signed(step).min(total);
            // The total is a part of the template.
            samples(template * 10 + total, value, total)
        });
        lines.collect()
    })
}

/// Gives lines a key. Several lines may have the same time.
fn with_keys(
    observations: impl Strategy<Value = Vec<Observation>>,
) -> impl Strategy<Value = Vec<Line>> {
    (observations, proptest::collection::vec(0..3i64, 150)).prop_map(|(observations, pauses)| {
        let mut time = 1_000;
        let with_key = |(index, (observation, pause)): (usize, (Observation, i64))| {
            time += pause;
            let event = LogEvent {
                log_stream: "main".to_owned(),
                timestamp: Timestamp::from_millis(time),
                ingested_at: Timestamp::from_millis(time),
                event_id: format!("{index:056}"),
                message: String::new(),
            };
            Line {
                key: LineKey::of(&event, 0),
                observation,
            }
        };
        observations
            .into_iter()
            .zip(pauses)
            .enumerate()
            .map(with_key)
            .collect()
    })
}

fn stack() -> impl Strategy<Value = String> {
    let names = vec![
        "Api",
        "Web",
        "Prod/Db",
        "Prod-Db",
        "Prod/Job (job)",
        "job",
        "Api-Nested-1A2B3C4D5E6F",
    ];
    proptest::sample::select(names).prop_map(str::to_owned)
}

fn counter() -> impl Strategy<Value = Counter> {
    (0..9u64, proptest::option::of(0..8u64)).prop_map(|(current, total)| Counter {
        current: Some(current),
        total,
        percentage: None,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    use Outcome::{Completed, Destroyed, Failed, RolledBack, Unchanged};
    proptest::sample::select([Completed, Unchanged, Destroyed, Failed, RolledBack].to_vec())
}

fn state() -> impl Strategy<Value = StackState> {
    use StackState::{
        CleaningUp, Complete, Deleted, Deleting, Failed, InProgress, RolledBack, RollingBack,
    };
    let states = vec![
        InProgress,
        Deleting,
        CleaningUp,
        Complete,
        Deleted,
        RollingBack,
        RolledBack,
        Failed,
    ];
    proptest::sample::select(states)
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::{Bootstrap, BuildAssets, Deploy, Destroy, Import, Rollback};
    let operations = vec![BuildAssets, Deploy, Destroy, Import, Rollback, Bootstrap];
    proptest::sample::select(operations)
}

fn row(
    stack: Option<String>,
    counter: Option<Counter>,
    own: Option<StackState>,
    own_name: Option<String>,
) -> CdkObservation {
    let failure = (own == Some(StackState::Failed)).then(|| "Queue: it exists".to_owned());
    CdkObservation::Row {
        stack,
        counter,
        own,
        own_name,
        failure,
        subject: RowSubject::CutOff {
            line: "a row".to_owned(),
        },
    }
}

/// Any line of CDK.
fn any_cdk() -> impl Strategy<Value = CdkObservation> {
    prop_oneof![
        3 => (stack(), operation(), proptest::option::of((1..4u32, 0..3u32)), any::<bool>()).prop_map(
            |(stack, operation, in_run, is_change_set)| CdkObservation::Start {
                stack,
                operation,
                in_run: in_run.map(|(index, more)| InRun { index, stacks: index + more }),
                is_change_set,
            }
        ),
        6 => (stack(), counter(), proptest::option::weighted(0.3, state()))
            .prop_map(|(stack, counter, own)| row(Some(stack), Some(counter), own, None)),
        4 => (proptest::option::weighted(0.8, counter()), proptest::option::weighted(0.3, (state(), stack())))
            .prop_map(|(counter, own)| {
                let (own, own_name) = own.unzip();
                row(None, counter, own, own_name)
            }),
        1 => counter().prop_map(|counter| CdkObservation::Bar { counter }),
        1 => (counter(), stack()).prop_map(
            |(counter, first_id)| CdkObservation::CurrentlyInProgress { counter, first_id }
        ),
        3 => (stack(), outcome()).prop_map(
            |(stack, outcome)| CdkObservation::End { stack, outcome, message: None }
        ),
        1 => (stack(), outcome(), any::<bool>()).prop_map(
            |(stack, outcome, is_squeezed)| CdkObservation::UnconfirmedEnd {
                stack, outcome, message: None, is_squeezed,
            }
        ),
        1 => (stack(), outcome()).prop_map(|(stack, outcome)| CdkObservation::StackIsIn {
            stack, outcome, message: "no".to_owned(),
        }),
        1 => stack().prop_map(|stack| CdkObservation::AssetPublished { stack }),
        2 => any_hint(),
        1 => Just(CdkObservation::BootstrapStart { environment: "aws://1/eu-west-1".to_owned() }),
        1 => outcome().prop_map(|outcome| CdkObservation::BootstrapEnd {
            environment: "aws://1/eu-west-1".to_owned(), outcome, message: None,
        }),
        1 => stack().prop_map(|name| CdkObservation::StackArn { name }),
        2 => any_line_of_command(),
    ]
}

fn any_hint() -> impl Strategy<Value = CdkObservation> {
    let message = "no".to_owned();
    proptest::sample::select(vec![
        CdkObservation::Hotswap,
        CdkObservation::Prepared,
        CdkObservation::Express {
            message: message.clone(),
        },
        CdkObservation::TimeTaken {
            operation: Operation::Deploy,
        },
        CdkObservation::TimeTaken {
            operation: Operation::Rollback,
        },
        CdkObservation::Exception {
            message: message.clone(),
        },
        CdkObservation::Cause { message },
    ])
}

/// Any line about a command as a whole.
fn any_line_of_command() -> impl Strategy<Value = CdkObservation> {
    use FailureOf::{App, Assets, Command, Surroundings};
    let failed = |of| CdkObservation::RunFailed {
        message: "no:".to_owned(),
        of,
    };
    let mut lines: Vec<_> = [Surroundings, Command, App, Assets].map(failed).into();
    lines.extend([
        CdkObservation::Synthesized,
        CdkObservation::RunCompleted,
        CdkObservation::RunCancelled {
            message: "cancelled".to_owned(),
        },
    ]);
    proptest::sample::select(lines)
}

/// Stacks: the name in lines about the stack, and the name in rows.
const STACKS: [(&str, &str); 4] = [
    ("Api", "Api"),
    ("Web", "Web"),
    ("Prod/Db", "Prod-Db"),
    ("Prod/Job (job)", "job"),
];

/// A run as CDK prints it: a start, rows, perhaps a rollback, and an end.
fn plain_run(
    stack: (&'static str, &'static str),
    named: impl Strategy<Value = bool>,
) -> impl Strategy<Value = Vec<Observation>> {
    (Just(stack), named, 1..8u64, 0..8u64, any::<bool>()).prop_map(
        |((stack, name), named, total, failing_at, has_end)| {
            let (stack, name) = (stack.to_owned(), name.to_owned());
            let column = named.then(|| name.clone());
            let own_name = (!named).then_some(name);
            let count = |current| {
                Some(Counter {
                    current: Some(current),
                    total: Some(total),
                    percentage: None,
                })
            };
            let mut run = vec![CdkObservation::Start {
                stack: stack.clone(),
                operation: Operation::Deploy,
                in_run: None,
                is_change_set: false,
            }];
            let last = total.min(failing_at);
            run.extend((0..=last).map(|current| row(column.clone(), count(current), None, None)));
            let failed = failing_at < total;
            if failed {
                let own = Some(StackState::RollingBack);
                run.push(row(column.clone(), count(last), own, own_name.clone()));
                run.extend(
                    (0..last)
                        .rev()
                        .map(|now| row(column.clone(), count(now), None, None)),
                );
            }
            let own = if failed {
                StackState::RolledBack
            } else {
                StackState::Complete
            };
            run.push(row(column, count(last), Some(own), own_name));
            if has_end {
                let outcome = if failed {
                    Outcome::Failed
                } else {
                    Outcome::Completed
                };
                run.push(CdkObservation::End {
                    stack,
                    outcome,
                    message: None,
                });
            }
            run.into_iter().map(Observation::Cdk).collect()
        },
    )
}

fn any_invocation() -> impl Strategy<Value = LambdaObservation> {
    let status = "timeout".to_owned();
    proptest::sample::select(vec![
        LambdaObservation::Start,
        LambdaObservation::Failed { status },
    ])
}

/// Any line of an agent.
fn any_agent() -> impl Strategy<Value = AgentObservation> {
    use CounterKind::{Bar, Bracket, Checklist, InnerBar, Percent, Phase, Report, Step};
    let kinds = vec![
        Percent, InnerBar, Bar, Bracket, Checklist, Step, Phase, Report,
    ];
    let kind = proptest::sample::select(kinds);
    let status = proptest::sample::select(TaskStatus::ALL);
    (
        proptest::option::weighted(0.8, (kind, counter())),
        proptest::option::weighted(0.25, status),
        proptest::option::weighted(0.3, "[a-c]"),
        proptest::sample::select(&[EndOf::Run, EndOf::Tool, EndOf::Part][..]),
        proptest::option::weighted(0.3, any_todo_edit()),
        proptest::option::weighted(0.2, any_subagent()),
    )
        .prop_map(
            |(counter, status, text, end_of, edit, part)| AgentObservation {
                todo_edits: edit.into_iter().collect(),
                parts: part.into_iter().collect(),
                waiting: (status == Some(TaskStatus::Blocked)).then(|| {
                    Box::new(Waiting {
                        need: Need::Approval,
                        question: text.clone(),
                    })
                }),
                end_of,
                is_start: counter.is_some_and(|(_, counter)| counter.current <= Some(1)),
                counters: counter.into_iter().collect(),
                status,
                phase: text.clone(),
                message: text,
                ..AgentObservation::default()
            },
        )
}

fn any_todo_edit() -> impl Strategy<Value = TodoEdit> {
    let state = proptest::sample::select(vec![TodoState::Pending, TodoState::Done]);
    let todo = ("[a-d]", state.clone()).prop_map(|(text, state)| Todo { text, state });
    prop_oneof![
        todo.clone().prop_map(TodoEdit::Tick),
        todo.clone().prop_map(TodoEdit::Add),
        todo.prop_map(TodoEdit::Line),
        (0..4_u64, proptest::option::of(state))
            .prop_map(|(number, state)| TodoEdit::Set(number, state)),
    ]
}

fn any_subagent() -> impl Strategy<Value = SubagentReport> {
    let status = proptest::option::of(proptest::sample::select(TaskStatus::ALL));
    ("[a-c]", proptest::option::of("[x-y]"), status).prop_map(|(id, name, status)| SubagentReport {
        id,
        name,
        status,
        ..SubagentReport::default()
    })
}

/// Any edit of a caller. The status may be one that the task must not have.
pub(crate) fn any_edit() -> impl Strategy<Value = CallerEdit> {
    let status = proptest::option::of(proptest::sample::select(TaskStatus::ALL.to_vec()));
    let progress = (0..20_u64, proptest::option::of(0..20_u64));
    let progress = proptest::option::of(progress.prop_map(|(current, total)| Progress {
        current: Some(current),
        total,
        percentage: None,
    }));
    let text = || proptest::option::of(proptest::option::of("[a-z]{1,4}"));
    (status, progress, text(), text(), text()).prop_map(
        |(status, progress, message, phase, current_step)| CallerEdit {
            task_name: None,
            status,
            progress,
            message,
            phase,
            current_step,
        },
    )
}
