//! The checks at the end of a run, when no faults are left.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use progress_collector::Backfill;
use shared::model::{Metrics, ProjectId, RecordId, Task, TaskId, TaskStatus, Timestamp};
use shared::store::{ProjectStore, TaskQuery, TaskStore};
use testkit::oracle::{Oracle, revision_of};
use testkit::store::memory::InMemoryStore;

use crate::harness::{AGENTS, CDK, Harness, START_MS};
use crate::logs::TWO_RUNS;
use crate::request::send;
use crate::watch::stored_revisions;

/// The longest time that an answer is fresh.
const LONGEST_FRESH: Duration = Duration::from_secs(60);

/// Checks how a run has ended. `undisturbed` has read the same logs without faults.
pub(crate) async fn check(harness: &Harness, oracle: &Oracle, api: &Router, undisturbed: &Harness) {
    oracle.check_progress(Some(TWO_RUNS)).unwrap();
    assert_nothing_is_lost(harness, oracle, undisturbed).await;
    assert_metrics_are_exact(harness.store()).await;
    assert_reading_again_writes_nothing(harness).await;
    // A writer may have failed to update the cache.
    tokio::time::sleep(LONGEST_FRESH).await;
    assert_responses_are_as_stored(harness, api).await;
}

/// All runs.
async fn runs(store: &InMemoryStore) -> BTreeMap<RecordId, Task> {
    let page = TaskStore::list(store, &TaskQuery::default(), None, usize::MAX).await;
    let mut runs = BTreeMap::new();
    for listed in page.unwrap().tasks {
        let id = listed.record_id();
        let run = TaskStore::fetch(store, &id).await.unwrap().unwrap();
        runs.insert(id, run);
    }
    runs
}

/// The runs of each task, oldest first.
async fn tasks(store: &InMemoryStore) -> BTreeMap<TaskId, Vec<Task>> {
    let mut tasks: BTreeMap<TaskId, Vec<Task>> = BTreeMap::new();
    for run in runs(store).await.into_values() {
        tasks.entry(run.task_id.clone()).or_default().push(run);
    }
    for runs in tasks.values_mut() {
        runs.sort_by_key(|run| run.run);
    }
    tasks
}

/// Every line counts, as if the logs had been read once. Every confirmed change of a caller is
/// there.
async fn assert_nothing_is_lost(harness: &Harness, oracle: &Oracle, undisturbed: &Harness) {
    let found = tasks(harness.store()).await;
    let expected = tasks(undisturbed.store()).await;
    for (task_id, expected) in &expected {
        if oracle.was_perhaps_deleted(task_id) {
            continue;
        }
        let found = found.get(task_id);
        let found = found.unwrap_or_else(|| panic!("{task_id} is lost"));
        if !oracle.was_changed(task_id) {
            let comparable = |runs: &[Task]| runs.iter().map(comparable).collect::<Vec<_>>();
            assert_eq!(comparable(found), comparable(expected));
        }
    }
    for (task_id, runs) in &found {
        if !oracle.was_perhaps_deleted(task_id) {
            oracle.check_last_change(runs.last().unwrap()).unwrap();
        }
        let newest = runs.iter().any(|run| !run.is_earlier);
        assert!(!newest || !oracle.was_deleted(task_id), "{task_id} is back");
    }
}

/// A run without the fields that depend on the number of writes, on which lines came first or were
/// read together, and on which runs had ended before it.
fn comparable(task: &Task) -> Task {
    let failure = task.failure.as_ref();
    Task {
        revision: Default::default(),
        run: Default::default(),
        failure: failure.map(|failure| Box::new(failure.listed())),
        usual_duration_ms: None,
        ..task.clone()
    }
}

async fn assert_metrics_are_exact(store: &InMemoryStore) {
    let runs = runs(store).await;
    for project in ProjectStore::list(store).await.unwrap() {
        let counted = counted(&runs, Some(&project.project_id));
        assert_eq!(project.metrics, counted, "{}", project.project_id);
    }
    assert_eq!(store.totals().await.unwrap(), counted(&runs, None));
}

/// The metrics of a project, or of all runs.
fn counted(runs: &BTreeMap<RecordId, Task>, project_id: Option<&ProjectId>) -> Metrics {
    let is_member = |run: &&Task| project_id.is_none() || run.project_id.as_ref() == project_id;
    let members: Vec<_> = runs.values().filter(is_member).collect();
    let with = |status| members.iter().filter(move |run| run.status == status);
    let durations = with(TaskStatus::Completed).filter_map(|run| run.duration_ms);
    let duration_sum_ms = i64::try_from(durations.sum::<u64>()).unwrap();
    Metrics::from_counts(
        |status| i64::try_from(with(status).count()).unwrap(),
        duration_sum_ms,
    )
}

async fn assert_reading_again_writes_nothing(harness: &Harness) {
    let before = stored_revisions(harness.store());
    let collector = harness.collector();
    let now = harness.clock(0)();
    for log_group in [CDK, AGENTS] {
        let all = Backfill {
            log_group: log_group.to_owned(),
            start: Timestamp::from_millis(START_MS),
            end: now,
        };
        let summary = collector.handle(&all, now, None).await.unwrap();
        assert_eq!(summary.totals().tasks_changed, 0);
    }
    assert_eq!(stored_revisions(harness.store()), before);
}

/// The API shows the stored state, from the cache or not.
async fn assert_responses_are_as_stored(harness: &Harness, api: &Router) {
    let stored = stored_revisions(harness.store());
    let list = send(api, Method::GET, "/api/tasks?limit=200", &[], None).await;
    let listed = list.json["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(revision_of);
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), stored);
    for (id, revision) in &stored {
        let path = format!("/api/tasks/{id}");
        let task = send(api, Method::GET, &path, &[], None).await;
        assert_eq!(task.status, StatusCode::OK);
        assert_eq!(revision_of(&task.json), (id.clone(), *revision));
    }
    for project in ProjectStore::list(harness.store()).await.unwrap() {
        let path = format!("/api/projects/{}", project.project_id);
        let response = send(api, Method::GET, &path, &[], None).await;
        assert_eq!(
            response.json["metrics"],
            serde_json::to_value(project.metrics).unwrap()
        );
    }
}
