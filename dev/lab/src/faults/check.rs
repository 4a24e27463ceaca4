//! Whether everything is as it should be once the clients are gone: in the store, and in each process's answers.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use shared::error::Source;
use shared::model::{Task, TaskId};
use shared::store::TaskStore;

use super::client::{PROJECT, request};
use super::truth::{Counter, Truth};
use super::world::World;
use crate::function::Function;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Writes that are lost, done twice, or half done.
    pub lost: Vec<String>,
    /// Answers that are not as the store is.
    pub wrong: Vec<String>,
}

/// Compares.
///
/// # Errors
///
/// That the store or a function can't be asked.
pub fn end_state(world: &World, truth: &Truth) -> Result<Findings, Source> {
    let mut findings = Findings::default();
    let stores = world.dynamodb.stores();
    let expected = truth.task_ids();
    let mut stored = Vec::new();
    for counter in truth.counters() {
        match world.block_on(check_counter(&*stores.tasks, counter))? {
            Ok(task) => stored.push(task),
            Err(lost) => findings.lost.push(lost),
        }
    }
    let project = PROJECT.parse()?;
    let project = world.block_on(stores.projects.fetch(&project))?;
    let counted = project.map(|project| project.metrics.total_tasks);
    if counted != Some(expected.len() as u64) {
        let lost = format!("the project counts {counted:?} tasks of {}", expected.len());
        findings.lost.push(lost);
    }
    for (process, api) in world.apis.iter().enumerate() {
        for task in &stored {
            let answer = get(api, &format!("/api/tasks/{}", task.task_id), "")?;
            let shown = (&answer["revision"], &answer["progress"]["current"]);
            let is_right = shown.0.as_u64() == Some(task.revision.0)
                && shown.1.as_u64() == task.progress.current;
            if !is_right {
                findings.wrong.push(format!(
                    "process {process} shows {} at {}, revision {}; stored is {:?}, revision {}",
                    task.task_id, shown.1, shown.0, task.progress.current, task.revision
                ));
            }
        }
        for path in ["/api/tasks", "/api/projects/faults/tasks"] {
            let listed = list(api, path)?;
            for (what, ids) in [
                ("lacks", expected.difference(&listed)),
                ("has, and should not,", listed.difference(&expected)),
            ] {
                let ids: Vec<_> = ids.take(3).collect();
                if !ids.is_empty() {
                    findings
                        .wrong
                        .push(format!("{path} of process {process} {what} {ids:?}"));
                }
            }
        }
    }
    Ok(findings)
}

/// The task of a counter, or what became of it.
async fn check_counter(
    tasks: &dyn TaskStore,
    counter: &Counter,
) -> Result<Result<Task, String>, Source> {
    let task_id: TaskId = counter.task_id.parse()?;
    let told = counter.told.load(Ordering::SeqCst);
    let Some(task) = tasks.fetch(&task_id).await? else {
        return Ok(Err(format!("{task_id} is not there")));
    };
    if task.progress.current != Some(told) {
        let current = task.progress.current;
        return Ok(Err(format!(
            "{task_id} is at {current:?} and was told {told}"
        )));
    }
    let history = tasks.history(&task_id, None, None, usize::MAX).await?;
    let counts: Vec<u64> = history
        .iter()
        .filter_map(|entry| entry.progress.current)
        .filter(|count| *count > 0)
        .collect();
    // Each count was written by a request of its own, once.
    let expected: Vec<u64> = (1..=told).collect();
    if counts != expected {
        let odd = counts
            .iter()
            .zip(&expected)
            .find(|(is, should)| is != should);
        return Ok(Err(format!(
            "the history of {task_id} has {} counts of {told}; (is, should be) {odd:?}",
            counts.len()
        )));
    }
    Ok(Ok(task))
}

/// The ids of all tasks of a list.
fn list(api: &Mutex<Function>, path: &str) -> io::Result<BTreeSet<String>> {
    let mut listed = BTreeSet::new();
    let mut query = "limit=200".to_owned();
    loop {
        let page = get(api, path, &query)?;
        let tasks = page["tasks"].as_array().into_iter().flatten();
        listed.extend(tasks.filter_map(|task| task["task_id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=200&cursor={cursor}"),
            None => return Ok(listed),
        }
    }
}

fn get(api: &Mutex<Function>, path: &str, query: &str) -> io::Result<Value> {
    let event = request("GET", path, query, None, None);
    let mut function = api.lock().unwrap_or_else(PoisonError::into_inner);
    let answer: Value = serde_json::from_slice(&function.attempt(&event)?.answer)?;
    let body = answer["body"].as_str().unwrap_or_default();
    Ok(serde_json::from_str(body).unwrap_or_default())
}
