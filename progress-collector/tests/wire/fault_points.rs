//! The binary, killed at each fault point: the next run repairs everything.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use shared::fault_point::FaultPoint::{self, *};
use shared::fold::Run;
use shared::log_event::LogEvent;
use shared::model::{Revision, Task, Timestamp};
use shared::record::{FactsChange, Head, HeadChange, TaskChange, TaskRecord};
use shared::store::{TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::runtime_api::RuntimeApi;

use crate::function::{Function, invoke, invoke_until, wait_until};
use crate::log_server::{Behavior, LogServer};
use crate::redis_server::RedisServer;

const CDK: &str = "/faults/cdk";
const AGENTS: &str = "/faults/agents";
/// Events per page. Each log group has several pages.
const PAGE_SIZE: usize = 3;
/// Kills that run concurrently.
const CONCURRENT_KILLS: usize = 4;
/// The time per page. Three pages take longer than the interval between saves. One page takes
/// less than a request's timeout.
const SLOW_PAGE: Duration = Duration::from_millis(3_600);

/// What the collector does when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Scenario {
    /// A sweep.
    Sweep,
    /// A sweep in which only the first page of each log group can be read.
    Refused,
    /// A sweep so slow that it saves resume points on the way.
    Slow,
    /// A sweep of reports of the maximum size.
    Large,
    /// A sweep in which another writer changes each task between the collector's read and write.
    Raced,
    /// A push, which Lambda repeats after a failure.
    Push,
}

/// A kill when the collector reaches the fault point for the `nth` time.
#[derive(Debug, Clone, Copy)]
struct Kill {
    scenario: Scenario,
    point: FaultPoint,
    nth: usize,
}

/// All kills of the test.
fn kills() -> Vec<Kill> {
    use Scenario::{Large, Push, Raced, Refused, Slow, Sweep};
    let points: [(Scenario, &[FaultPoint], usize); 8] = [
        (
            Sweep,
            &[CheckpointLoaded, BeforeCheckpoint, AfterCheckpoint],
            2,
        ),
        (Sweep, &[BeforePage, AfterPage], 3),
        (Sweep, &[TasksRead, BeforeCache, AfterCache], 2),
        (Sweep, &[BeforeTask, AfterTask], 4),
        (
            Push,
            &[TasksRead, BeforeTask, AfterTask, BeforeCache, AfterCache],
            1,
        ),
        (Refused, &[BeforeResumePoint, AfterResumePoint], 2),
        (Slow, &[BeforeResumePoint, AfterResumePoint], 1),
        (Large, &[MidPage], 2),
    ];
    let points = points
        .into_iter()
        .chain([(Raced, [RaceLost].as_slice(), 1)]);
    let kills = points.flat_map(|(scenario, points, times)| {
        let points = points.iter();
        points.flat_map(move |&point| {
            (1..=times).map(move |nth| Kill {
                scenario,
                point,
                nth,
            })
        })
    });
    kills.collect()
}

/// The real collector with its services. Only AWS is emulated.
struct Harness {
    scenario: Scenario,
    dynamodb: EmbeddedDynamoDb,
    redis: RedisServer,
    logs: LogServer,
    runtime: RuntimeApi,
}

/// The state after a run. It must be the same after an undisturbed run.
#[derive(Debug, PartialEq)]
struct EndState {
    /// Tasks with the runs that their facts tell of, without what depends on how often they were
    /// written.
    records: Vec<(Task, Vec<Run>)>,
    /// Log groups with an unfinished window.
    unfinished: Vec<&'static str>,
}

/// The time of the first log event. All harnesses share it, so that their tasks can be compared.
static START_MS: LazyLock<i64> = LazyLock::new(|| Timestamp::now().as_millis() - 500_000);
/// How much later the second part of the logs starts. It is longer than the overlap of sweeps.
const LATER_MS: i64 = 400_000;

fn events(log_stream: &str, start_ms: i64, lines: &[String]) -> Vec<LogEvent> {
    let event = |(number, line): (i64, &String)| {
        let time = Timestamp::from_millis(start_ms + number * 3);
        LogEvent {
            log_stream: log_stream.to_owned(),
            timestamp: time,
            ingested_at: time,
            event_id: format!("{number:056}"),
            message: line.clone(),
        }
    };
    (0..).zip(lines).map(event).collect()
}

/// A deploy in two parts. The second part completes it.
fn deploy(total: usize) -> (Vec<String>, Vec<String>) {
    let row = |done: usize| {
        format!(
            "Api | {done:2}/{total} | 10:00:03 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Q{done} (Q1A2B) "
        )
    };
    let start = "Api: deploying... [1/1]".to_owned();
    let first = [start].into_iter().chain((0..3).map(row)).collect();
    let end = "✅  Api".to_owned();
    (first, (3..=total).map(row).chain([end]).collect())
}

/// Reports of two tasks in one log stream.
fn reports(from: usize, to: usize, padding: usize) -> Vec<String> {
    let report = |done: usize| {
        let status = if done == 9 { "completed" } else { "running" };
        json!({
            "task_id": format!("review-{}", done % 2), "status": status, "trace": "x".repeat(padding),
            "progress": {"current": done, "total": 9},
        })
        .to_string()
    };
    (from..=to).map(report).collect()
}

impl Harness {
    /// Creates a harness that has collected the first part of all logs.
    async fn new(scenario: Scenario) -> Self {
        let mut harness = Self {
            scenario,
            dynamodb: EmbeddedDynamoDb::start().await.unwrap(),
            redis: RedisServer::start().await,
            logs: LogServer::start(PAGE_SIZE).await,
            runtime: RuntimeApi::start().await.unwrap(),
        };
        let padding = if scenario == Scenario::Large {
            900_000
        } else {
            0
        };
        let deploys = [("deploy-1", deploy(9)), ("deploy-2", deploy(12))];
        let start = *START_MS;
        for (stream, (first, _)) in &deploys {
            harness.logs.put(CDK, events(stream, start, first));
        }
        harness
            .logs
            .put(AGENTS, events("agent", start, &reports(1, 3, 0)));
        harness.run(&json!({})).await;
        for (stream, (_, then)) in &deploys {
            harness
                .logs
                .put(CDK, events(stream, start + LATER_MS, then));
        }
        let then = [reports(4, 9, padding), reports(4, 9, padding)].concat();
        harness
            .logs
            .put(AGENTS, events("agent", start + LATER_MS, &then));
        harness
    }

    fn start(&self, fault_points: &str) -> Function {
        let redis = format!("127.0.0.1:{}", self.redis.port);
        let groups = format!("{CDK}=cdk,{AGENTS}=agent");
        let settings = [
            ("LOG_GROUPS", groups.as_str()),
            ("REDIS_ENDPOINT", redis.as_str()),
            ("FAULT_POINTS", fault_points),
        ];
        let endpoint = &self.logs.endpoint_url;
        Function::start(&self.runtime, &self.dynamodb, endpoint, &settings)
    }

    /// The event that invokes the collector.
    fn lambda_event(&self) -> Value {
        if self.scenario != Scenario::Push {
            return json!({});
        }
        let event = |event: LogEvent| {
            json!({
                "id": event.event_id, "timestamp": event.timestamp.as_millis(), "message": event.message,
            })
        };
        let (_, then) = deploy(9);
        let pushed = events("deploy-1", *START_MS + LATER_MS, &then).into_iter();
        let pushed = json!({
            "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": CDK, "logStream": "deploy-1",
            "subscriptionFilters": ["all"], "logEvents": pushed.map(event).collect::<Vec<_>>(),
        });
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(pushed.to_string().as_bytes()).unwrap();
        json!({"awslogs": {"data": STANDARD.encode(packed.finish().unwrap())}})
    }

    /// Runs the collector undisturbed.
    async fn run(&mut self, lambda_event: &Value) {
        let _function = self.start("");
        let summary = invoke(&mut self.runtime, lambda_event.clone()).await;
        let summary = summary.unwrap();
        let groups = summary["groups"].as_array().unwrap();
        let is_complete = groups.iter().all(|group| group["complete"] == true);
        assert!(is_complete, "{summary}");
    }

    /// Runs the collector until it reaches the fault point, and kills it there.
    async fn kill_at(&mut self, kill: Kill) {
        self.logs.behave(match self.scenario {
            Scenario::Refused => Behavior {
                refuses_further_pages: true,
                ..Behavior::default()
            },
            Scenario::Slow => Behavior {
                delay: SLOW_PAGE,
                ..Behavior::default()
            },
            _ => Behavior::default(),
        });
        let name = kill.point.name();
        let mut plan = match kill.nth {
            1 => format!("{name}=return"),
            nth => format!("{name}={}*off->return", nth - 1),
        };
        if self.scenario == Scenario::Raced {
            plan.push_str(&format!(";{}=1*return", TasksRead.name()));
        }
        let mut function = self.start(&plan);
        let lambda_event = self.lambda_event();
        let stopped = function.stopped_at();
        let mut stopped_at = invoke_until(&mut self.runtime, lambda_event, stopped).await;
        if self.scenario == Scenario::Raced {
            assert_eq!(stopped_at, Some(TasksRead.name()));
            self.write_all().await;
            function.resume();
            stopped_at = wait_until(&mut self.runtime, function.stopped_at()).await;
        }
        assert_eq!(stopped_at, Some(kill.point.name()), "{kill:?}");
        function.kill();
        self.logs.behave(Behavior::default());
    }

    /// Writes all tasks unchanged, with new revisions, so that the collector's next writes
    /// conflict.
    async fn write_all(&self) {
        let store = self.dynamodb.tasks();
        for record in self.records().await {
            let head = record.newest.unwrap();
            let mut task = head.task.clone();
            task.revision = task.revision.next();
            let next = Head {
                task,
                state: head.state,
            };
            let unchanged = TaskChange {
                task_id: record.task_id,
                heads: vec![HeadChange {
                    session: None,
                    before: Some(head.task.clone()),
                    previous: Some(head),
                    next,
                }],
                facts: FactsChange::Keep,
                items: record.items,
            };
            store.save(&unchanged).await.unwrap();
        }
    }

    async fn records(&self) -> Vec<TaskRecord> {
        let store = self.dynamodb.tasks();
        let page = store.list(&TaskQuery::default(), None, 200).await.unwrap();
        let mut ids: Vec<_> = page.tasks.into_iter().map(|task| task.task_id).collect();
        ids.sort_unstable();
        let mut records = store.fetch_records(&ids).await.unwrap();
        records.sort_by(|one, other| one.task_id.cmp(&other.task_id));
        records
    }

    async fn end_state(&self) -> EndState {
        let mut records = Vec::new();
        for record in self.records().await {
            let runs = record.facts.runs();
            let mut task = record.newest.unwrap().task;
            task.revision = Revision::default();
            task.usual_duration_ms = None; // depends on which runs had ended when this one started
            records.push((task, runs));
        }
        let checkpoints = self.dynamodb.stores().checkpoints;
        let mut unfinished = Vec::new();
        for log_group in [CDK, AGENTS] {
            let checkpoint = checkpoints.load(log_group).await.unwrap().unwrap();
            if checkpoint.resume.is_some() {
                unfinished.push(log_group);
            }
        }
        EndState {
            records,
            unfinished,
        }
    }
}

/// The end state of a run that is not killed.
async fn undisturbed(scenario: Scenario) -> EndState {
    let mut harness = Harness::new(scenario).await;
    harness.run(&harness.lambda_event()).await;
    let end = harness.end_state().await;
    assert_eq!(end.records.len(), 4);
    assert!(end.unfinished.is_empty());
    end
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_run_repairs_a_kill_at_any_fault_point() {
    let [swept, pushed, large] = [Scenario::Sweep, Scenario::Push, Scenario::Large];
    let swept = undisturbed(swept).await;
    let statuses = swept.records.iter().map(|(task, _)| task.status);
    assert!(statuses.filter(|status| status.is_terminal()).count() >= 3);
    let (pushed, large) = (undisturbed(pushed).await, undisturbed(large).await);

    let kills = kills();
    let killed_at: BTreeSet<_> = kills.iter().map(|kill| kill.point.name()).collect();
    let points: BTreeSet<_> = FaultPoint::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(killed_at, points, "a fault point has no kill");
    let ends = kills.into_iter().map(async |kill| {
        let mut harness = Harness::new(kill.scenario).await;
        harness.kill_at(kill).await;
        harness.run(&harness.lambda_event()).await;
        (kill, harness.end_state().await)
    });
    let mut ends = stream::iter(ends).buffer_unordered(CONCURRENT_KILLS);
    while let Some((kill, end)) = ends.next().await {
        let expected = match kill.scenario {
            Scenario::Push => &pushed,
            Scenario::Large => &large,
            _ => &swept,
        };
        assert_eq!(&end, expected, "{kill:?}");
    }
}
