//! One experiment: load, a fault, and the recovery.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use shared::error::Source;

use super::client::{PROJECT, request, send};
use super::end_state::{Findings, end_state};
use super::fault::{Fault, Service};
use super::harness::Harness;
use super::load::Load;
use super::samples::{Kind, Sample, Samples};
use super::tasks::{TOTAL, Tasks};

/// The durations of an experiment.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The time before the fault, with the same load.
    pub calm: Duration,
    /// The fault.
    pub fault: Duration,
}

/// The longest wait until all processes use the service again.
const MAX_RECOVERY: Duration = Duration::from_secs(12);
/// The load goes on this long after the recovery, to show what is still wrong.
const AFTERWARDS: Duration = Duration::from_millis(400);
/// The pause between two repetitions of a fault that needs them.
const REPEAT_PAUSE: Duration = Duration::from_millis(50);

/// All that was observed in an experiment.
#[derive(Debug)]
pub struct Observations {
    /// The requests before the fault.
    pub calm: Vec<Sample>,
    /// The requests that began during the fault.
    pub during: Vec<Sample>,
    /// The requests after the fault.
    pub after: Vec<Sample>,
    /// When the fault began.
    pub begun: Instant,
    /// How long the fault lasted.
    pub lasted: Duration,
    /// When all processes used the service again, or when the wait for that ended.
    pub settled: Instant,
    /// The time from the end of the fault until all processes used the service again. `None` if
    /// they did not.
    pub recovered: Option<Duration>,
    /// Wrong responses.
    pub wrong: Vec<String>,
    /// The broken promises at the end.
    pub findings: Findings,
}

/// Creates the project and the tasks that the load changes.
///
/// # Errors
///
/// If the API refuses.
pub fn prepare(harness: &Harness, tasks: &Tasks) -> Result<(), Source> {
    let samples = Samples::default();
    let create = |path: &str, body| {
        let event = request("POST", path, "", Some(&body), None);
        let response = send(&harness.apis, &mut 0, Kind::Write, &event, &samples)?;
        match response.status {
            201 => Ok(()),
            status => Err(Source::from(format!("{path}: {status} {}", response.body))),
        }
    };
    let project = json!({"project_id": PROJECT, "project_name": "Faults"});
    create("/api/projects", project)?;
    for task_id in &tasks.patched {
        let task = json!({
            "task_id": task_id,
            "task_name": task_id,
            "task_type": "build",
            "status": "running",
            "progress": {"current": 0, "total": TOTAL},
            "project_id": PROJECT,
        });
        create("/api/tasks", task)?;
    }
    Ok(())
}

/// Runs the load, makes the fault happen, and returns what was observed.
///
/// # Errors
///
/// If a service or a function can't be used at all.
pub fn run(
    harness: &Harness,
    tasks: &Tasks,
    names: &AtomicU64,
    fault: Fault,
    times: Times,
) -> Result<Observations, Source> {
    let samples = Samples::default();
    let load = Load {
        harness,
        tasks,
        samples: &samples,
        is_over: AtomicBool::new(false),
        names,
    };
    let timeline = thread::scope(|scope| {
        let clients = load.run(scope);
        let timeline = make_happen(harness, tasks, &samples, fault, times);
        load.is_over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().map_err(|_| "a client has panicked")??;
        }
        timeline
    });
    let (begun, ended, recovered) = timeline?;
    let findings = end_state(harness, tasks)?;
    let (all, wrong) = samples.take();
    let (calm, rest): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|sample| sample.started + sample.took < begun);
    let (during, after) = rest.into_iter().partition(|sample| sample.started < ended);
    Ok(Observations {
        calm,
        during,
        after,
        begun,
        lasted: ended - begun,
        settled: recovered.unwrap_or_else(Instant::now),
        recovered: recovered.map(|at| at.saturating_duration_since(ended)),
        wrong,
        findings,
    })
}

/// Makes the fault happen. Returns when it began, when it ended, and when all processes had
/// recovered.
fn make_happen(
    harness: &Harness,
    tasks: &Tasks,
    samples: &Samples,
    fault: Fault,
    times: Times,
) -> Result<(Instant, Instant, Option<Instant>), Source> {
    thread::sleep(times.calm);
    let begun = Instant::now();
    fault.begin(harness)?;
    while begun.elapsed() < times.fault {
        fault.repeat(harness, tasks)?;
        thread::sleep(REPEAT_PAUSE);
    }
    fault.end(harness)?; // does not count: it may restart a server
    let ended = Instant::now();
    let processes = harness.apis.len() + 1; // and the collector
    let recovered = loop {
        let recovered = samples.all_are(processes, ended, |sample| match fault.service() {
            Service::Redis => sample.used_cache(),
            Service::DynamoDb => sample.used_store(),
        });
        if recovered.is_some() || ended.elapsed() > MAX_RECOVERY {
            break recovered;
        }
        thread::sleep(Duration::from_millis(10));
    };
    thread::sleep(AFTERWARDS);
    Ok((begun, ended, recovered))
}
