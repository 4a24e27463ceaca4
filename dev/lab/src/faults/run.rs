//! One fault, from before it begins until it is forgotten.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use shared::error::Source;

use super::check::{Findings, end_state};
use super::client::{PROJECT, ask, request};
use super::fault::{Fault, Service};
use super::load::Load;
use super::samples::{Kind, Sample, Samples};
use super::truth::{TOTAL, Truth};
use super::world::World;

/// How long the parts of a run take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Before the fault, with the same load.
    pub calm: Duration,
    /// The fault.
    pub fault: Duration,
}

/// How long it is waited, at most, until a service is used again.
const MOST_RECOVERY: Duration = Duration::from_secs(12);
/// For how long the load goes on once all is well again: what is still wrong then shows.
const AFTERWARDS: Duration = Duration::from_millis(400);
/// How often a fault that has to be done again is.
const AGAIN: Duration = Duration::from_millis(50);

/// What came of a fault.
#[derive(Debug)]
pub struct Outcome {
    /// Requests before it.
    pub calm: Vec<Sample>,
    /// Requests that were asked while it lasted.
    pub during: Vec<Sample>,
    /// Requests afterwards.
    pub after: Vec<Sample>,
    /// When it began.
    pub begun: Instant,
    /// How long it lasted.
    pub lasted: Duration,
    /// When all processes used the service again, or when that was waited for no longer.
    pub forgotten: Instant,
    /// How long after its end all processes used the service again; `None`: not while it was waited.
    pub recovered: Option<Duration>,
    /// Answers that were wrong.
    pub wrong: Vec<String>,
    /// What the end state is.
    pub findings: Findings,
}

/// Makes what the load needs: the project, and the tasks that it changes.
///
/// # Errors
///
/// That the API does not do so.
pub fn prepare(world: &World, truth: &Truth) -> Result<(), Source> {
    let samples = Samples::default();
    let make = |path: &str, body| {
        let event = request("POST", path, "", Some(&body), None);
        let answer = ask(&world.apis, &mut 0, Kind::Write, &event, &samples)?;
        match answer.status {
            201 => Ok(()),
            status => Err(Source::from(format!("{path}: {status} {}", answer.body))),
        }
    };
    let project = json!({"project_id": PROJECT, "project_name": "Faults"});
    make("/api/projects", project)?;
    for counter in &truth.patched {
        let task = json!({
            "task_id": counter.task_id,
            "task_name": counter.task_id,
            "task_type": "build",
            "status": "running",
            "progress": {"current": 0, "total": TOTAL},
            "project_id": PROJECT,
        });
        make("/api/tasks", task)?;
    }
    Ok(())
}

/// Puts the load on the world, has the fault happen, and tells what came of it.
///
/// # Errors
///
/// That the bench itself can't go on.
pub fn run(
    world: &World,
    truth: &Truth,
    names: &AtomicU64,
    fault: Fault,
    times: Times,
) -> Result<Outcome, Source> {
    let samples = Samples::default();
    let load = Load {
        world,
        truth,
        samples: &samples,
        is_over: AtomicBool::new(false),
        names,
    };
    let timeline = thread::scope(|scope| {
        let clients = load.run(scope);
        let timeline = happen(world, truth, &samples, fault, times);
        load.is_over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().map_err(|_| "a client has panicked")??;
        }
        timeline
    });
    let (begun, ended, recovered) = timeline?;
    let findings = end_state(world, truth)?;
    let (all, wrong) = samples.take();
    let (calm, rest): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|sample| sample.started + sample.took < begun);
    let (during, after) = rest.into_iter().partition(|sample| sample.started < ended);
    Ok(Outcome {
        calm,
        during,
        after,
        begun,
        lasted: ended - begun,
        forgotten: recovered.unwrap_or_else(Instant::now),
        recovered: recovered.map(|at| at.saturating_duration_since(ended)),
        wrong,
        findings,
    })
}

/// When the fault began, when it ended, and when it was over for everybody.
fn happen(
    world: &World,
    truth: &Truth,
    samples: &Samples,
    fault: Fault,
    times: Times,
) -> Result<(Instant, Instant, Option<Instant>), Source> {
    thread::sleep(times.calm);
    let begun = Instant::now();
    fault.begin(world)?;
    while begun.elapsed() < times.fault {
        fault.go_on(world, truth)?;
        thread::sleep(AGAIN);
    }
    fault.end(world)?; // a restart takes a moment of its own, which is not ours
    let ended = Instant::now();
    let processes = world.apis.len() + 1; // and the collector
    let recovered = loop {
        let recovered = samples.all_are(processes, ended, |sample| match fault.service() {
            Service::Redis => sample.used_cache(),
            Service::DynamoDb => sample.used_store(),
        });
        if recovered.is_some() || ended.elapsed() > MOST_RECOVERY {
            break recovered;
        }
        thread::sleep(Duration::from_millis(10));
    };
    thread::sleep(AFTERWARDS);
    Ok((begun, ended, recovered))
}
