//! What must be true at the end of a run, when all is quiet.

use std::collections::BTreeMap;
use std::slice;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use progress_collector::Backfill;
use shared::fold::Ledger;
use shared::model::{Metrics, ProjectId, Task, TaskId, TaskStatus, Timestamp};
use shared::store::{ProjectStore, TaskQuery, TaskStore};
use testkit::store::memory::InMemoryStore;

use crate::client::revision_of;
use crate::history::History;
use crate::request::send;
use crate::watched_cache::stored_revisions;
use crate::world::{AGENTS, CDK, START_MS, World};

/// How long the cache keeps anything at all.
const LONGEST_TTL: Duration = Duration::from_secs(3_700);

/// Checks the state in which a run has ended against `undisturbed`, what it would be if nothing had gone wrong.
pub(crate) async fn check(world: &World, history: &History, apis: &[Router], undisturbed: &World) {
    history.assert_forward();
    assert_nothing_is_lost(world, history, undisturbed).await;
    assert_metrics_are_exact(world.store()).await;
    assert_reading_again_writes_nothing(world).await;
    assert_cache_is_healed(&apis[0], undisturbed, world, history).await;
    if !world.weather.spares_cache() || world.weather.kills > 0 || world.weather.store_fails > 0 {
        // Who writes may have failed to tell the cache: what that holds still is gone after its time.
        tokio::time::sleep(LONGEST_TTL).await;
    }
    assert_answers_are_as_stored(world, &apis[0]).await;
}

async fn tasks(store: &InMemoryStore) -> BTreeMap<TaskId, Task> {
    let page = TaskStore::list(store, &TaskQuery::default(), None, usize::MAX).await;
    let tasks = page.unwrap().tasks.into_iter();
    tasks.map(|task| (task.task_id.clone(), task)).collect()
}

/// What logs said is all there, also what they said of a task that is deleted, and the same as if it had been read at
/// once; and so is what callers have changed.
async fn assert_nothing_is_lost(world: &World, history: &History, undisturbed: &World) {
    let found = tasks(world.store()).await;
    let expected = tasks(undisturbed.store()).await;
    for (task_id, expected) in &expected {
        let whole = ledger(undisturbed.store(), task_id).await;
        let mut joined = ledger(world.store(), task_id).await;
        if history.was_perhaps_deleted(task_id) {
            joined.mark_adopted(); // if it was, it is no more
        }
        let held = joined.clone();
        joined.merge(&whole);
        assert_eq!(held, joined, "lines of {task_id} are lost");
        if history.was_perhaps_deleted(task_id) {
            continue;
        }
        let found = found.get(task_id);
        let found = found.unwrap_or_else(|| panic!("{task_id} is lost"));
        if !history.was_changed(task_id) {
            assert_eq!(comparable(found), comparable(expected));
        }
    }
    for (task_id, task) in &found {
        assert!(!history.was_deleted_for_good(task_id), "{task_id} is back");
        if !history.was_perhaps_deleted(task_id) {
            history.assert_last_change_is_there(task);
        }
    }
}

/// A task without what depends on how often it was written, and on which runs were over when this one began.
fn comparable(task: &Task) -> Task {
    Task {
        revision: Default::default(),
        usual_duration_ms: None,
        ..task.clone()
    }
}

async fn ledger(store: &InMemoryStore, task_id: &TaskId) -> Ledger {
    let records = store.fetch_records(slice::from_ref(task_id)).await.unwrap();
    records.into_iter().next().unwrap().ledger
}

async fn assert_metrics_are_exact(store: &InMemoryStore) {
    let tasks = tasks(store).await;
    for project in ProjectStore::list(store).await.unwrap() {
        let counted = counted(&tasks, &project.project_id);
        assert_eq!(project.metrics, counted, "{}", project.project_id);
    }
}

fn counted(tasks: &BTreeMap<TaskId, Task>, project_id: &ProjectId) -> Metrics {
    let of_project = |task: &&Task| task.project_id.as_ref() == Some(project_id);
    let members: Vec<_> = tasks.values().filter(of_project).collect();
    let with = |status| members.iter().filter(move |task| task.status == status);
    let durations = with(TaskStatus::Completed).filter_map(|task| task.duration_ms);
    let duration_sum_ms = i64::try_from(durations.sum::<u64>()).unwrap();
    Metrics::from_counts(
        |status| i64::try_from(with(status).count()).unwrap(),
        duration_sum_ms,
    )
}

async fn assert_reading_again_writes_nothing(world: &World) {
    let before = stored_revisions(world.store()).await;
    let collector = world.collector();
    let now = world.clock(0)();
    for log_group in [CDK, AGENTS] {
        let all = Backfill {
            log_group: log_group.to_owned(),
            start: Timestamp::from_millis(START_MS),
            end: now,
        };
        let summary = collector.handle(&all, now, None).await.unwrap();
        assert_eq!(summary.totals().tasks_changed, 0);
    }
    assert_eq!(stored_revisions(world.store()).await, before);
}

/// Whatever the cache was not told of tasks that logs report, it was when their lines were read again.
async fn assert_cache_is_healed(
    api: &Router,
    undisturbed: &World,
    world: &World,
    history: &History,
) {
    let stored = stored_revisions(world.store()).await;
    for task_id in tasks(undisturbed.store()).await.keys() {
        // Without a line, nothing is read again.
        let has_lines = !ledger(undisturbed.store(), task_id).await.is_empty();
        if !has_lines || history.was_perhaps_deleted(task_id) {
            continue;
        }
        let path = format!("/api/tasks/{task_id}");
        let task = send(api, Method::GET, &path, &[], None).await;
        assert_eq!(revision_of(&task.json).1, stored[task_id], "{task_id}");
    }
}

/// What is answered is what is stored, be it from the cache or not.
async fn assert_answers_are_as_stored(world: &World, api: &Router) {
    let stored = stored_revisions(world.store()).await;
    let list = send(api, Method::GET, "/api/tasks?limit=200", &[], None).await;
    let listed = list.json["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(revision_of);
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), stored);
    for (task_id, revision) in &stored {
        let path = format!("/api/tasks/{task_id}");
        let task = send(api, Method::GET, &path, &[], None).await;
        assert_eq!(task.status, StatusCode::OK);
        assert_eq!(revision_of(&task.json).1, *revision, "{task_id}");
    }
    for project in ProjectStore::list(world.store()).await.unwrap() {
        let path = format!("/api/projects/{}", project.project_id);
        let answer = send(api, Method::GET, &path, &[], None).await;
        assert_eq!(
            answer.json["metrics"],
            serde_json::to_value(project.metrics).unwrap()
        );
    }
}
