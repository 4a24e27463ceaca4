//! Checks of projects.

use futures::{StreamExt, stream};
use shared::model::{Metrics, Project, ProjectStatus};
use shared::store::MOST_LISTED_PROJECTS;

use super::changes::project_id;
use super::tasks::is_conflict;
use super::{moment, new_project, new_task, recount, save};
use crate::embedded_dynamodb::Stores;

/// A change on top of a stale revision is a conflict. No change touches the metrics.
pub async fn a_stale_project_revision_is_a_conflict(stores: Stores) {
    let projects = &*stores.projects;
    let mut first = new_project("p");
    first.description = Some("All of it".to_owned());
    first.owner = Some("雅".to_owned());
    let absent = projects.update(&first, &first).await;
    assert!(is_conflict(&absent), "{absent:?}");
    projects.create(&first).await.unwrap();
    let mut task = new_task("t");
    task.project_id = Some(project_id("p"));
    save(&*stores.tasks, None, &task).await.unwrap();
    let next = Project {
        project_name: "Another name".to_owned(),
        description: None,
        owner: None,
        status: ProjectStatus::Archived,
        match_prefixes: vec!["Prod".to_owned()],
        revision: first.revision.next(),
        updated_at: moment(5),
        ..first.clone()
    };
    projects.update(&first, &next).await.unwrap();
    let stale = projects.update(&first, &next).await;
    assert!(is_conflict(&stale), "{stale:?}");
    let stored = projects.fetch(&first.project_id).await.unwrap();
    let expected = Project {
        metrics: recount(&[&task], Some(&project_id("p"))),
        ..next
    };
    assert_eq!(stored.as_ref(), Some(&expected));
    assert_eq!(
        projects.list().await.unwrap(),
        std::slice::from_ref(&expected)
    );
    let without_metrics = Project {
        metrics: Metrics::default(),
        ..expected
    };
    let listed = projects.list_without_metrics().await.unwrap();
    assert_eq!(listed, [without_metrics]);
}

/// All fields of a project survive, and a second creation is a conflict.
pub async fn a_project_is_created_once(stores: Stores) {
    let project = Project {
        description: Some("All of it".to_owned()),
        status: ProjectStatus::Paused,
        owner: Some("雅".to_owned()),
        match_prefixes: vec!["Miyabi".to_owned(), String::new()],
        updated_at: moment(7),
        ..new_project("p")
    };
    stores.projects.create(&project).await.unwrap();
    let again = stores.projects.create(&new_project("p")).await;
    assert!(is_conflict(&again), "{again:?}");
    let stored = stores.projects.fetch(&project.project_id).await.unwrap();
    assert_eq!(stored, Some(project));
}

/// All projects are listed, sorted by id.
pub async fn projects_are_listed_by_id(stores: Stores) {
    for id in ["b", "B", "a.1", "a"] {
        stores.projects.create(&new_project(id)).await.unwrap();
    }
    let projects = stores.projects.list().await.unwrap();
    let ids: Vec<String> = projects
        .into_iter()
        .map(|project| project.project_id.into())
        .collect();
    assert_eq!(ids, ["B", "a", "a.1", "b"]);
}

/// Of more projects than a list has, each is still found by its id.
pub async fn a_list_has_at_most_a_thousand_projects(stores: Stores) {
    let projects = &*stores.projects;
    let ids = (0..=MOST_LISTED_PROJECTS).map(|number| format!("p-{number:04}"));
    let created = ids.map(|id| async move { projects.create(&new_project(&id)).await.unwrap() });
    let created = stream::iter(created).buffer_unordered(16);
    created.collect::<Vec<()>>().await;
    for list in [projects.list().await, projects.list_without_metrics().await] {
        let list = list.unwrap();
        assert_eq!(list.len(), MOST_LISTED_PROJECTS);
        assert!(list.is_sorted_by_key(|project| project.project_id.clone()));
    }
    for id in ["p-0000", "p-1000"] {
        assert!(projects.fetch(&project_id(id)).await.unwrap().is_some());
    }
}
