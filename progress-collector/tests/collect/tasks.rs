//! The tasks that log lines create.

use progress_collector::{Collector, Push, Sweep};
use shared::cache::CacheKey;
use shared::fold::CallerEdit;
use shared::model::{Project, ProjectStatus, TaskStatus, TaskType, Timestamp};
use shared::record::{CallerFields, TaskChange, TaskRecord};
use shared::store::{ProjectStore, TaskStore};

use crate::harness::{
    self, AGENTS, CDK, Harness, RUNNING, START_MS, completed, events, id, now, rolled_back,
};

#[tokio::test]
async fn a_deploy_becomes_a_task_with_its_stack_as_a_part() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("deploy-7", &RUNNING));
    let summary = harness.sweep().await;
    assert_eq!(
        (
            summary.groups[0].log_events,
            summary.groups[0].tasks_changed
        ),
        (5, 1)
    );

    let task = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(task.task_name, "Api");
    assert_eq!(
        (task.status, task.progress.percentage),
        (TaskStatus::Running, Some(60))
    );
    assert_eq!(
        (task.progress.current, task.progress.total),
        (Some(3), Some(5))
    );
    assert_eq!(task.parts["Api"].phase.as_deref(), Some("deploying"));
    assert_eq!(task.log_stream.as_deref(), Some("deploy-7"));
    assert_eq!(task.duration_ms, Some(4_000));
}

#[tokio::test]
async fn a_log_group_may_hold_lines_of_any_format() {
    let harness = Harness::new(100);
    let report = r#"{"task_id": "build-7", "status": "running", "progress": "3/10"}"#;
    let stream =
        r#"{"type": "result", "subtype": "success", "is_error": false, "session_id": "s"}"#;
    harness.logs.put(CDK, events("reports", &[report]));
    harness.logs.put(CDK, events("claude", &[stream]));
    harness.logs.put(CDK, events("plain", &["Step 2/7"]));
    harness.logs.put(AGENTS, events("deploy-7", &RUNNING));
    harness.sweep().await;
    for (id, status, counter) in [
        ("build-7", TaskStatus::Running, (Some(3), Some(10))),
        ("cdk:claude", TaskStatus::Completed, (None, None)),
        ("cdk:plain", TaskStatus::Running, (Some(2), Some(7))),
        ("agent:deploy-7", TaskStatus::Running, (Some(3), Some(5))),
    ] {
        let task = harness.task(id).await.unwrap();
        let progress = task.progress;
        assert_eq!(task.status, status, "{id}");
        assert_eq!((progress.current, progress.total), counter, "{id}");
    }
    let deploy = harness.task("agent:deploy-7").await.unwrap();
    assert_eq!(deploy.task_type, TaskType::CdkDeploy);
    assert_eq!(deploy.parts["Api"].phase.as_deref(), Some("deploying"));
}

#[tokio::test]
async fn a_rolled_back_deploy_has_its_reason() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("deploy-7", &rolled_back()));
    harness.sweep().await;
    let task = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(
        (task.status, task.phase.as_deref()),
        (TaskStatus::Failed, Some("rolled_back"))
    );
    let message = task.message.unwrap();
    assert!(message.contains("files already exists"), "{message}");
    assert!(task.completed_at.is_some());
}

#[tokio::test]
async fn a_second_deploy_in_the_stream_is_a_new_run() {
    let harness = Harness::new(100);
    let lines = [rolled_back(), completed()].concat();
    harness
        .logs
        .put(CDK, events("deploy-7", &lines[..rolled_back().len() + 4]));
    harness
        .sweep_at(Timestamp::from_millis(START_MS + 30_000))
        .await;
    let running = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(
        (running.status, running.progress.percentage),
        (TaskStatus::Running, Some(20))
    );

    harness.logs.put(
        CDK,
        events("deploy-7", &lines).split_off(rolled_back().len() + 4),
    );
    harness.sweep().await;
    let task = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(
        (task.status, task.progress.percentage),
        (TaskStatus::Completed, Some(100))
    );
    assert_eq!(task.run, running.run);
    assert!(task.run > Timestamp::from_millis(START_MS));
    // The failure stays visible.
    let runs = harness
        .store
        .runs(&id("cdk:deploy-7"), None, 10)
        .await
        .unwrap();
    let shown: Vec<_> = runs
        .iter()
        .map(|run| (run.status, run.is_earlier))
        .collect();
    let expected = [(TaskStatus::Completed, false), (TaskStatus::Failed, true)];
    assert_eq!(shown, expected);
    assert_eq!(harness.store.totals().await.unwrap().failed, 1);
    let earlier = TaskStore::fetch(&*harness.store, &runs[1].record_id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(earlier.run, Timestamp::from_millis(START_MS));
    assert_eq!(earlier.parts["Api"].phase.as_deref(), Some("rolled_back"));
}

#[tokio::test]
async fn a_second_run_of_several_stacks_starts_with_its_first_stack() {
    let harness = Harness::new(100);
    let run = [
        "Data: deploying... [1/2]",
        "Data | 1/2 | 9:15:02 AM | CREATE_COMPLETE | AWS::SQS::Queue | Jobs",
        "\u{2705}  Data",
        "Web: deploying... [2/2]",
        "Web | 1/2 | 9:15:09 AM | CREATE_COMPLETE | AWS::SQS::Queue | Mail",
        "\u{2705}  Web",
    ];
    let lines = [run, run].concat();
    let mut revisions = Vec::new();
    for count in 7..=lines.len() {
        let read = events("deploy-7", &lines[..count]).split_off(count - 1);
        let read = match count {
            7 => events("deploy-7", &lines[..count]),
            _ => read,
        };
        harness.logs.put(CDK, read);
        let at = START_MS + 30_000 + i64::try_from(count).unwrap();
        harness.sweep_at(Timestamp::from_millis(at)).await;
        let task = harness.task("cdk:deploy-7").await.unwrap();
        revisions.push((task.run, task.status, task.progress.percentage));
    }
    let second = Timestamp::from_millis(START_MS + 6_000);
    assert!(
        revisions.iter().all(|(run, ..)| *run == second),
        "{revisions:?}"
    );
    assert_eq!(revisions[0].2, Some(0));
    assert!(revisions.is_sorted_by_key(|(.., percentage)| *percentage));
    assert_eq!(revisions[5].1, TaskStatus::Completed, "{revisions:?}");
    assert!(
        revisions[..5]
            .iter()
            .all(|(_, status, _)| *status == TaskStatus::Running)
    );
}

#[tokio::test]
async fn a_line_that_names_a_task_updates_that_task() {
    let harness = Harness::new(100);
    let lines = [
        r#"{"task_id":"review-7","status":"running","progress":{"current":1,"total":4}}"#,
        "[3/10] cloning",
    ];
    harness.logs.put(AGENTS, events("agent-1", &lines));
    harness.sweep().await;
    let named = harness.task("review-7").await.unwrap();
    assert_eq!(named.progress.percentage, Some(25));
    let of_stream = harness.task("agent:agent-1").await.unwrap();
    assert_eq!(of_stream.progress.percentage, Some(30));
}

#[tokio::test]
async fn a_stream_named_after_a_task_updates_it() {
    let harness = Harness::new(100);
    harness.store.save(&made_by_caller("42")).await.unwrap();
    harness
        .logs
        .put(AGENTS, events("task-42", &["[3/10] cloning"]));
    harness.sweep().await;
    let task = harness.task("42").await.unwrap();
    assert_eq!(
        (task.status, task.progress.percentage),
        (TaskStatus::Running, Some(30))
    );
    assert_eq!(
        (task.task_name.as_str(), task.task_type),
        ("Fix the bug", TaskType::Build)
    );
    assert!(harness.task("agent:task-42").await.is_none());
}

#[tokio::test]
async fn a_task_belongs_to_the_project_with_the_longest_match() {
    let harness = Harness::new(100);
    for (project_id, prefix) in [("all", "A"), ("api", "Api"), ("web", "Web")] {
        let project = Project {
            project_id: project_id.parse().unwrap(),
            project_name: project_id.to_owned(),
            description: None,
            status: ProjectStatus::Active,
            owner: None,
            match_prefixes: vec![prefix.to_owned()],
            revision: Default::default(),
            metrics: Default::default(),
            created_at: now(),
            updated_at: now(),
        };
        ProjectStore::create(&*harness.store, &project)
            .await
            .unwrap();
    }
    harness.logs.put(CDK, events("deploy-7", &completed()));
    harness.sweep().await;
    let project_id = harness
        .task("cdk:deploy-7")
        .await
        .unwrap()
        .project_id
        .unwrap();
    assert_eq!(project_id.as_str(), "api");
    let project = ProjectStore::fetch(harness.store.as_ref(), &project_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (project.metrics.total_tasks, project.metrics.completed),
        (1, 1)
    );
    assert_eq!(project.metrics.avg_duration_ms, Some(5_000));
}

#[tokio::test]
async fn a_push_is_saved_and_the_next_sweep_changes_nothing() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("deploy-7", &completed()));
    let push = Push::new(CDK, events("deploy-7", &RUNNING));
    let collector = harness.collector();
    for tasks_changed in [1, 0] {
        let summary = collector.handle(&push, now(), None).await.unwrap();
        assert_eq!(summary.groups[0].tasks_changed, tasks_changed);
    }
    harness.sweep().await;
    let swept = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(swept.status, TaskStatus::Completed);
    // The same push arrives again.
    collector.handle(&push, now(), None).await.unwrap();
    assert_eq!(harness.task("cdk:deploy-7").await.unwrap(), swept);
}

/// A caller deletes the task between the second and the third line. The third line alone would
/// start a new run.
#[tokio::test]
async fn a_deletion_holds_for_every_order_of_lines() {
    let lines = ["[1/10] cloning", "[2/10] reading", "[3/10] testing"];
    for order in [[0, 1, 2], [2, 0, 1], [2, 1, 0], [1, 2, 0]] {
        let harness = Harness::new(100);
        harness.store.save(&made_by_caller("42")).await.unwrap();
        let record = harness.store.fetch_records(&[id("42")]).await.unwrap();
        let deletion = record[0].delete(Timestamp::from_millis(START_MS + 1_500));
        harness.store.save(&deletion.unwrap()).await.unwrap();
        for index in order {
            let push = Push::new(AGENTS, vec![events("task-42", &lines).swap_remove(index)]);
            harness
                .collector()
                .handle(&push, now(), None)
                .await
                .unwrap();
        }
        assert_eq!(harness.task("42").await, None, "{order:?}");
        assert_eq!(harness.tasks().await, [], "{order:?}");
        let held = harness.cache.held(&CacheKey::Run(id("42").into()));
        assert!(held.is_none_or(|held| held.body == Some(Vec::new())));
    }
}

#[tokio::test]
async fn saved_tasks_are_in_the_cache() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("deploy-7", &RUNNING));
    harness.sweep().await;
    let key = CacheKey::Run(id("cdk:deploy-7").into());
    let body = harness.cache.held(&key).unwrap().body.unwrap();
    let cached: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(cached["progress"]["percentage"], 60);
}

/// The creation of a task by a caller.
fn made_by_caller(task_id: &str) -> TaskChange {
    let edit = CallerEdit {
        task_name: Some("Fix the bug".to_owned()),
        ..CallerEdit::default()
    };
    let fields = CallerFields {
        priority: None,
        project_id: None,
        metadata: None,
    };
    let made_at = Timestamp::from_millis(START_MS - 60_000);
    TaskRecord::new(id(task_id)).create(TaskType::Build, edit, &fields, made_at)
}

#[tokio::test]
async fn streams_of_the_same_name_in_two_log_groups_are_two_tasks() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("main", &RUNNING));
    harness.sweep().await;
    let mut config = harness::config();
    config.groups[0].name = "/other/cdk".to_owned();
    harness.logs.put("/other/cdk", events("main", &completed()));
    let collector = Collector::new(harness.parts(), config);
    for _ in 0..2 {
        collector.handle(&Sweep, now(), None).await.unwrap();
    }
    let tasks = harness.tasks().await;
    assert_eq!(tasks.len(), 2);
    let second = tasks
        .iter()
        .find(|task| task.log_group.as_deref() == Some("/other/cdk"))
        .unwrap();
    assert_eq!(
        harness.task("cdk:main").await.unwrap().status,
        TaskStatus::Running
    );
    assert!(second.task_id.as_str().starts_with("cdk:main:"));
    assert_eq!(second.status, TaskStatus::Completed);
}

/// A line from the future must not hide what really happens afterwards.
#[tokio::test]
async fn a_line_from_the_future_counts_as_of_its_ingestion() {
    let harness = Harness::new(100);
    let mut early = events("deploy-7", &completed());
    let year_9999 = Timestamp::from_millis(i64::MAX);
    for event in &mut early {
        event.timestamp = year_9999;
    }
    let push = |log_events| Push::new(CDK, log_events);
    let collector = harness.collector();
    collector.handle(&push(early), now(), None).await.unwrap();
    let completed = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(completed.status, TaskStatus::Completed);
    assert!(completed.duration_ms < Some(60_000), "{completed:?}");
    assert!(completed.completed_at <= Some(now()));

    let mut failed = events("deploy-7", &rolled_back());
    for event in &mut failed {
        event.timestamp = Timestamp::from_millis(event.timestamp.as_millis() + 700_000);
        event.event_id = format!("{}1", event.event_id);
    }
    let later = Timestamp::from_millis(START_MS + 800_000);
    collector.handle(&push(failed), later, None).await.unwrap();
    let task = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(task.status, TaskStatus::Failed);

    // After a deletion, a later run shows at once.
    let record = harness
        .store
        .fetch_records(&[id("cdk:deploy-7")])
        .await
        .unwrap();
    harness
        .store
        .save(&record[0].delete(later).unwrap())
        .await
        .unwrap();
    let mut third = events("deploy-7", &RUNNING);
    for event in &mut third {
        event.timestamp = Timestamp::from_millis(event.timestamp.as_millis() + 900_000);
        event.event_id = format!("{}2", event.event_id);
    }
    let latest = Timestamp::from_millis(START_MS + 1_000_000);
    collector.handle(&push(third), latest, None).await.unwrap();
    let task = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(task.status, TaskStatus::Running);
}
