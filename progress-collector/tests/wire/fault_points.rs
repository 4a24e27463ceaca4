//! The binary killed at each step of its work: after the next run all is as if it had never died.

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
use shared::log_event::LogEvent;
use shared::model::{Revision, TaskId, Timestamp};
use shared::store::{TaskQuery, TaskRecord, TaskStore};
use shared::view::Renderer;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use tokio::time::timeout;

use crate::function::Function;
use crate::log_server::{LogServer, Manner};
use crate::redis_server::RedisServer;
use crate::runtime_api::{Answer, RuntimeApi};

const CDK: &str = "/faults/cdk";
const AGENTS: &str = "/faults/agents";
/// Events a page: each log group has several pages.
const PAGE_SIZE: usize = 3;
/// Deaths that are died side by side.
const SIDE_BY_SIDE: usize = 4;
/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than a third of the time after which a run that goes on keeps its place, and less than a request may take.
const SLOW_PAGE: Duration = Duration::from_millis(3_600);

/// How a run is undertaken in which the collector dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Situation {
    /// A sweep.
    Sweep,
    /// A sweep of logs of which only the first page can be read.
    Refused,
    /// A sweep that takes so long that it keeps its place meanwhile.
    Slow,
    /// A sweep of reports that are as large as events can be.
    Large,
    /// Somebody else writes a task after it was read and before it is written.
    Raced,
    /// A push, which Lambda tries again when it has failed.
    Push,
}

/// A death: the collector is killed where it comes to the point for the `nth` time.
#[derive(Debug, Clone, Copy)]
struct Death {
    situation: Situation,
    point: FaultPoint,
    nth: usize,
}

/// All deaths that are died.
fn deaths() -> Vec<Death> {
    use Situation::{Large, Push, Raced, Refused, Slow, Sweep};
    let places: [(Situation, &[FaultPoint], usize); 9] = [
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
        (Refused, &[BeforePlace, AfterPlace], 2),
        (Refused, &[BeforeRefresh, AfterRefresh], 1),
        (Slow, &[BeforePlace, AfterPlace], 1),
        (Large, &[AmidPage], 2),
    ];
    let places = places
        .into_iter()
        .chain([(Raced, [RaceLost].as_slice(), 1)]);
    let deaths = places.flat_map(|(situation, points, times)| {
        let points = points.iter();
        points.flat_map(move |&point| {
            (1..=times).map(move |nth| Death {
                situation,
                point,
                nth,
            })
        })
    });
    deaths.collect()
}

/// A collector and all around it, real but for Amazon's side of the network.
struct World {
    situation: Situation,
    dynamodb: EmbeddedDynamoDb,
    redis: RedisServer,
    logs: LogServer,
    runtime: RuntimeApi,
}

/// What is there after a run, and what a run that was never disturbed leaves, too.
#[derive(Debug, PartialEq)]
struct EndState {
    /// Tasks, without how often they were written, and all that their logs have said.
    records: Vec<TaskRecord>,
    /// Log groups that are not read to their end.
    unfinished: Vec<&'static str>,
    /// Tasks of which the cache holds an older state.
    outdated: Vec<String>,
}

/// When the logs begin: the same in every world, so that their tasks can be compared.
static START_MS: LazyLock<i64> = LazyLock::new(|| Timestamp::now().as_millis() - 500_000);
/// How much later what follows is logged: a sweep no longer reads what came before again.
const LATER_MS: i64 = 400_000;

fn events(log_stream: &str, start_ms: i64, lines: &[String]) -> Vec<LogEvent> {
    let event = |(number, line): (i64, &String)| LogEvent {
        log_stream: log_stream.to_owned(),
        timestamp: Timestamp::from_millis(start_ms + number * 3),
        event_id: format!("{number:056}"),
        message: line.clone(),
    };
    (0..).zip(lines).map(event).collect()
}

/// A deploy of some rows, which then goes on to its end.
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

/// Two agents' reports in one stream.
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

impl World {
    /// A world in which the first part of all logs was collected.
    async fn new(situation: Situation) -> Self {
        let mut world = Self {
            situation,
            dynamodb: EmbeddedDynamoDb::start().await.unwrap(),
            redis: RedisServer::start().await,
            logs: LogServer::start(PAGE_SIZE).await,
            runtime: RuntimeApi::start().await,
        };
        let padding = if situation == Situation::Large {
            900_000
        } else {
            0
        };
        let deploys = [("deploy-1", deploy(9)), ("deploy-2", deploy(12))];
        let start = *START_MS;
        for (stream, (first, _)) in &deploys {
            world.logs.put(CDK, events(stream, start, first));
        }
        world
            .logs
            .put(AGENTS, events("agent", start, &reports(1, 3, 0)));
        world.run(&json!({})).await;
        world.fill_cache().await;
        for (stream, (_, then)) in &deploys {
            world.logs.put(CDK, events(stream, start + LATER_MS, then));
        }
        let then = [reports(4, 9, padding), reports(4, 9, padding)].concat();
        world
            .logs
            .put(AGENTS, events("agent", start + LATER_MS, &then));
        world
    }

    /// Puts all tasks into the cache: on a busy machine the collector may have given up waiting for it.
    async fn fill_cache(&self) {
        let renderer = Renderer::new(Duration::from_secs(900));
        let stored = self.records().await;
        assert_eq!(stored.len(), 4);
        for TaskRecord { task, .. } in stored {
            let task = task.unwrap();
            let bytes = renderer.task(&task, Timestamp::now());
            let (key, value) = (
                format!("task:{}", task.task_id),
                str::from_utf8(&bytes).unwrap(),
            );
            self.redis.run::<()>(&["SET", &key, value]).await;
        }
    }

    fn start(&self, fault_points: &str) -> Function {
        let redis = format!("127.0.0.1:{}", self.redis.port);
        let settings = [
            ("CDK_LOG_GROUP_NAME", CDK),
            ("AGENT_LOG_GROUP_NAME", AGENTS),
            ("REDIS_ENDPOINT", redis.as_str()),
            ("FAULT_POINTS", fault_points),
        ];
        let endpoint = &self.logs.endpoint_url;
        Function::start(&self.runtime, &self.dynamodb, endpoint, &settings)
    }

    /// What the collector is invoked with.
    fn trigger(&self) -> Value {
        if self.situation != Situation::Push {
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

    /// Runs the collector, undisturbed: until the cache has answered in time, if the machine is busy.
    async fn run(&mut self, trigger: &Value) {
        let _function = self.start("");
        loop {
            self.runtime.offer(trigger.clone());
            let answer = self.runtime.answer_within(PATIENCE).await;
            let Some(Answer::Response(summary)) = answer else {
                panic!("{answer:?}")
            };
            let groups = summary["groups"].as_array().unwrap();
            let is_complete = groups.iter().all(|group| group["complete"] == true);
            assert!(is_complete, "{summary}");
            if groups.iter().all(|group| group["cache_errors"] == 0) {
                return;
            }
        }
    }

    /// Runs the collector until it comes to a point for the `nth` time, and kills it there.
    async fn die(&mut self, death: Death) {
        self.logs.behave(match self.situation {
            Situation::Refused => Manner {
                refuses_further_pages: true,
                ..Manner::default()
            },
            Situation::Slow => Manner {
                takes: SLOW_PAGE,
                ..Manner::default()
            },
            _ => Manner::default(),
        });
        let name = death.point.name();
        let mut plan = match death.nth {
            1 => format!("{name}=return"),
            nth => format!("{name}={}*off->return", nth - 1),
        };
        if self.situation == Situation::Raced {
            plan.push_str(&format!(";{}=1*return", TasksRead.name()));
        }
        let mut function = self.start(&plan);
        self.runtime.offer(self.trigger());
        if self.situation == Situation::Raced {
            self.stop(&mut function, TasksRead).await;
            self.write_all().await;
            function.go_on();
        }
        self.stop(&mut function, death.point).await;
        function.kill();
        self.logs.behave(Manner::default());
    }

    /// Waits until the collector has stopped at a point.
    async fn stop(&mut self, function: &mut Function, point: FaultPoint) {
        let stopped_at = tokio::select! {
            stopped_at = timeout(PATIENCE, function.stopped_at()) => stopped_at.unwrap(),
            answer = self.runtime.answer_within(PATIENCE) => panic!("{point:?} was not reached: {answer:?}"),
        };
        assert_eq!(stopped_at, Some(point.name()));
    }

    /// Writes all tasks, as they are: whoever has read them loses the race.
    async fn write_all(&self) {
        let store = self.dynamodb.tasks();
        for record in self.records().await {
            let task = record.task.unwrap();
            let mut next = task.clone();
            next.revision = next.revision.next();
            let written = store.save(Some(&task), &next, None);
            written.await.unwrap();
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

    async fn cached_revision(&self, task_id: &TaskId) -> Option<Revision> {
        let key = format!("task:{task_id}");
        let held: Option<String> = self.redis.run(&["GET", &key]).await;
        let task: Value = serde_json::from_str(&held?).unwrap();
        task["revision"].as_u64().map(Revision)
    }

    async fn end_state(&self) -> EndState {
        let mut records = self.records().await;
        let mut outdated = Vec::new();
        for record in &mut records {
            let task = record.task.as_mut().unwrap();
            let cached = self.cached_revision(&task.task_id).await;
            if cached.is_some_and(|cached| cached != task.revision) {
                outdated.push(task.task_id.to_string());
            }
            task.revision = Revision::default();
            task.usual_duration_ms = None; // it depends on which runs were over when this one began
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
            outdated,
        }
    }
}

/// What a world in this situation becomes when nobody disturbs it.
async fn undisturbed(situation: Situation) -> EndState {
    let mut world = World::new(situation).await;
    world.run(&world.trigger()).await;
    let end = world.end_state().await;
    assert_eq!((&end.unfinished, &end.outdated), (&vec![], &vec![]));
    end
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_be_killed_at_every_step() {
    let [swept, pushed, large] = [Situation::Sweep, Situation::Push, Situation::Large];
    let swept = undisturbed(swept).await;
    let statuses = swept
        .records
        .iter()
        .map(|record| record.task.as_ref().unwrap().status);
    assert!(statuses.filter(|status| status.is_terminal()).count() >= 3);
    let (pushed, large) = (undisturbed(pushed).await, undisturbed(large).await);

    let deaths = deaths();
    let died_at: BTreeSet<_> = deaths.iter().map(|death| death.point.name()).collect();
    let points: BTreeSet<_> = FaultPoint::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(died_at, points, "nobody dies at some point");
    let died = deaths.into_iter().map(async |death| {
        let mut world = World::new(death.situation).await;
        world.die(death).await;
        world.run(&world.trigger()).await;
        (death, world.end_state().await)
    });
    let mut died = stream::iter(died).buffer_unordered(SIDE_BY_SIDE);
    while let Some((death, end)) = died.next().await {
        let expected = match death.situation {
            Situation::Push => &pushed,
            Situation::Large => &large,
            _ => &swept,
        };
        assert_eq!(&end, expected, "{death:?}");
    }
}
