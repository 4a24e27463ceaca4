//! Checks of metrics.

use shared::model::{Metrics, ProjectId, Task, TaskStatus};
use shared::store::ProjectStore;

use super::changes::project_id;
use super::{create, delete, edit, moment, new_project, new_task, next_of, save, to_status};
use crate::embedded_dynamodb::Stores;

pub(super) async fn metrics_of(projects: &dyn ProjectStore, id: &str) -> Metrics {
    let project = projects.fetch(&project_id(id)).await.unwrap();
    project.unwrap().metrics
}

/// Metrics always match the present tasks, even when a task changes or leaves its project.
pub async fn metrics_follow_every_write(stores: Stores) {
    for id in ["p", "q"] {
        stores.projects.create(&new_project(id)).await.unwrap();
    }
    let mut task = new_task("t");
    save(&*stores.tasks, None, &task).await.unwrap();
    let mut other = new_task("other");
    other.project_id = Some(project_id("p"));
    other.status = TaskStatus::Failed;
    save(&*stores.tasks, None, &other).await.unwrap();
    let steps: [(Option<&str>, TaskStatus, Option<u64>); 7] = [
        (Some("p"), TaskStatus::Running, None),
        (Some("p"), TaskStatus::Running, Some(5)),
        (Some("p"), TaskStatus::Completed, Some(3000)),
        (Some("q"), TaskStatus::Completed, Some(3000)),
        (Some("q"), TaskStatus::Completed, Some(5000)),
        (Some("q"), TaskStatus::Blocked, None),
        (None, TaskStatus::Cancelled, None),
    ];
    for (project, status, duration_ms) in steps {
        let next = next_of(&task, |task| {
            task.project_id = project.map(project_id);
            task.status = status;
            task.duration_ms = duration_ms;
        });
        save(&*stores.tasks, Some(&task), &next).await.unwrap();
        task = next;
        for id in ["p", "q"] {
            let members = [&task, &other];
            let expected = recount(&members, Some(&project_id(id)));
            let metrics = metrics_of(&*stores.projects, id).await;
            assert_eq!(metrics, expected, "of {id} after {status}");
        }
        let totals = stores.projects.totals().await.unwrap();
        assert_eq!(totals, recount(&[&task, &other], None), "after {status}");
    }
}

/// The metrics of a project, or of all tasks, counted from its runs.
pub fn recount(tasks: &[&Task], project: Option<&ProjectId>) -> Metrics {
    let members = || {
        let all = tasks.iter();
        all.filter(|task| project.is_none() || task.project_id.as_ref() == project)
    };
    let count = |status| {
        let count = members().filter(|task| task.status == status).count();
        i64::try_from(count).unwrap()
    };
    let durations = members()
        .filter(|task| task.status == TaskStatus::Completed)
        .map(|task| i64::try_from(task.duration_ms.unwrap_or(0)).unwrap());
    Metrics::from_counts(count, durations.sum())
}

/// A new project counts the tasks that named it before. Until it is created it is not there.
pub async fn metrics_count_tasks_that_are_older_than_the_project(stores: Stores) {
    let mut task = new_task("t");
    task.project_id = Some(project_id("p"));
    save(&*stores.tasks, None, &task).await.unwrap();
    let early = stores.projects.fetch(&project_id("p")).await.unwrap();
    assert_eq!(early, None);
    assert_eq!(stores.projects.list().await.unwrap(), []);
    let mut project = new_project("p");
    project.metrics.failed = 99;
    stores.projects.create(&project).await.unwrap();
    let metrics = metrics_of(&*stores.projects, "p").await;
    assert_eq!(metrics, recount(&[&task], Some(&project_id("p"))));
}

/// Metrics count earlier runs too, but no deleted ones.
pub async fn metrics_count_each_run(stores: Stores) {
    let tasks = &*stores.tasks;
    stores.projects.create(&new_project("p")).await.unwrap();
    let check = async |expected: usize| {
        let runs = tasks.runs(&"t".parse().unwrap(), None, 10).await.unwrap();
        assert_eq!(runs.len(), expected);
        let runs: Vec<&Task> = runs.iter().collect();
        let metrics = metrics_of(&*stores.projects, "p").await;
        assert_eq!(metrics, recount(&runs, Some(&project_id("p"))));
        let totals = stores.projects.totals().await.unwrap();
        assert_eq!(totals, recount(&runs, None));
    };
    for expected in 1..4 {
        let task = create(tasks, "t", Some("p"), moment(0)).await;
        check(expected).await;
        edit(tasks, &task, to_status(TaskStatus::Completed), moment(0)).await;
        check(expected).await;
    }
    let task = create(tasks, "t", None, moment(9)).await;
    check(4).await;
    delete(tasks, &task, moment(10)).await;
    check(3).await;
}

/// A run that has expired leaves the metrics, however often the store is told.
pub async fn an_expired_run_is_subtracted_once(stores: Stores) {
    let tasks = &*stores.tasks;
    stores.projects.create(&new_project("p")).await.unwrap();
    let mut run = new_task("t");
    run.project_id = Some(project_id("p"));
    save(tasks, None, &run).await.unwrap();
    let others = ["u", "v"].map(|id| Task {
        task_id: id.parse().unwrap(),
        ..run.clone()
    });
    for other in &others {
        save(tasks, None, other).await.unwrap();
    }
    for _ in 0..2 {
        tasks.subtract_expired(&run).await.unwrap();
        let metrics = metrics_of(&*stores.projects, "p").await;
        assert_eq!(metrics.pending, 2);
        assert_eq!(stores.projects.totals().await.unwrap(), metrics);
    }
    // An earlier run of the same time is another one, and so is a later revision.
    let earlier = Task {
        is_earlier: true,
        ..run.clone()
    };
    for other in [earlier, next_of(&run, |_| {})] {
        tasks.subtract_expired(&other).await.unwrap();
    }
    assert_eq!(metrics_of(&*stores.projects, "p").await, Metrics::default());
}
