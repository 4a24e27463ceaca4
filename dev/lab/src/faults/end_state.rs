//! The checks at the end of an experiment: of the store, and of the responses of each process.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use shared::error::Source;
use shared::model::{Task, TaskId};
use shared::store::TaskStore;
use testkit::oracle::Oracle;

use super::client::{PROJECT, request};
use super::harness::Harness;
use super::load::FRESH_FOR;
use super::tasks::Tasks;
use crate::function::Function;

/// The pause between two comparisons.
const PAUSE: Duration = Duration::from_millis(250);

/// The broken promises.
#[derive(Debug, Default)]
pub struct Findings {
    /// Writes that are lost, were made twice, or are half made.
    pub lost: Vec<String>,
    /// Responses that differ from the store.
    pub wrong: Vec<String>,
}

/// Compares the store and the responses with what the oracle expects.
///
/// # Errors
///
/// If the store or a function does not answer.
pub fn end_state(harness: &Harness, tasks: &Tasks) -> Result<Findings, Source> {
    let mut findings = Findings::default();
    let stores = harness.dynamodb.stores();
    let oracle = &tasks.oracle;
    if let Err(wrong) = oracle.check_progress(None) {
        findings.wrong.push(wrong);
    }
    oracle.forget_states();
    let expected = oracle.live_tasks();
    let mut stored = Vec::new();
    for task_id in tasks.counted() {
        match harness.block_on(check_count(&*stores.tasks, oracle, task_id))? {
            Ok(task) => stored.push(task),
            Err(lost) => findings.lost.push(lost),
        }
    }
    let project = PROJECT.parse()?;
    let project = harness.block_on(stores.projects.fetch(&project))?;
    let counted = project.map(|project| project.metrics.total_tasks);
    if counted != Some(expected.len() as u64) {
        let lost = format!("the project counts {counted:?} of {} tasks", expected.len());
        findings.lost.push(lost);
    }
    // An answer may be some seconds old.
    let begun = Instant::now();
    let differences = loop {
        let differences = differences(harness, &stored, &expected)?;
        if differences.is_empty() || begun.elapsed() > FRESH_FOR {
            break differences;
        }
        thread::sleep(PAUSE);
    };
    findings.wrong.extend(differences);
    Ok(findings)
}

/// How the responses of each process differ from the store.
fn differences(
    harness: &Harness,
    stored: &[Task],
    expected: &BTreeSet<TaskId>,
) -> Result<Vec<String>, Source> {
    let mut differences = Vec::new();
    for (process, api) in harness.apis.iter().enumerate() {
        for task in stored {
            let shown = get(api, &format!("/api/tasks/{}", task.task_id), "")?;
            let (revision, current) = (&shown["revision"], &shown["progress"]["current"]);
            let is_right = revision.as_u64() == Some(task.revision.0)
                && current.as_u64() == task.progress.current;
            if !is_right {
                differences.push(format!(
                    "process {process} shows {} at {current}, revision {revision}; stored is {:?}, revision {}",
                    task.task_id, task.progress.current, task.revision
                ));
            }
        }
        for path in ["/api/tasks", "/api/projects/faults/tasks"] {
            let listed = list(api, path)?;
            for (what, ids) in [
                ("lacks", expected.difference(&listed)),
                ("wrongly has", listed.difference(expected)),
            ] {
                let ids: Vec<_> = ids.take(3).collect();
                if !ids.is_empty() {
                    differences.push(format!("{path} of process {process} {what} {ids:?}"));
                }
            }
        }
    }
    Ok(differences)
}

/// A task with a count, or how its count is wrong.
async fn check_count(
    tasks: &dyn TaskStore,
    oracle: &Oracle,
    task_id: &TaskId,
) -> Result<Result<Task, String>, Source> {
    let Some(task) = tasks.fetch(&task_id.clone().into()).await? else {
        return Ok(Err(format!("{task_id} is not there")));
    };
    let run_id = task.run_id();
    let history = tasks.history(&run_id, None, None, usize::MAX).await?;
    let checked = oracle.check_counter(&task, &history);
    Ok(checked.map(|()| task))
}

/// The ids of all tasks in a list.
fn list(api: &Mutex<Function>, path: &str) -> io::Result<BTreeSet<TaskId>> {
    let mut listed = BTreeSet::new();
    let mut query = "limit=200".to_owned();
    loop {
        let page = get(api, path, &query)?;
        let tasks = page["tasks"].as_array().into_iter().flatten();
        listed.extend(tasks.filter_map(|task| task["task_id"].as_str()?.parse::<TaskId>().ok()));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=200&cursor={cursor}"),
            None => return Ok(listed),
        }
    }
}

fn get(api: &Mutex<Function>, path: &str, query: &str) -> io::Result<Value> {
    let event = request("GET", path, query, None, None);
    let mut function = api.lock().unwrap_or_else(PoisonError::into_inner);
    let response: Value = serde_json::from_slice(&function.attempt(&event)?.answer)?;
    let body = response["body"].as_str().unwrap_or_default();
    Ok(serde_json::from_str(body).unwrap_or_default())
}
