//! The tasks that log lines create.

use progress_collector::Push;
use shared::cache::TaskCache;
use shared::fold::{Fact, Ledger, LineKey};
use shared::log_event::LogEvent;
use shared::log_parser::{LogFormat, parse_message};
use shared::model::{Project, ProjectStatus, Task, TaskStatus, TaskType, Timestamp};
use shared::store::{ProjectStore, TaskStore};

use crate::harness::{
    AGENTS, CDK, Harness, RUNNING, START_MS, completed, events, id, now, rolled_back,
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
    assert_eq!(task.task_name, "CDK Deploy · Api");
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
    assert!(task.run > Timestamp::from_millis(START_MS).to_string());
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
        revisions.push((task.run.clone(), task.status, task.progress.percentage));
    }
    let second = Timestamp::from_millis(START_MS + 6_000).to_string();
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
    harness
        .store
        .save(None, &made_by_caller("42"), None)
        .await
        .unwrap();
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
    let push = Push {
        log_group: CDK.to_owned(),
        log_events: events("deploy-7", &RUNNING),
    };
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
        let made = made_by_caller("42");
        harness.store.save(None, &made, None).await.unwrap();
        let mut ledger = Ledger::default();
        ledger.delete(&made, Timestamp::from_millis(START_MS + 1_500));
        harness.store.delete(&made, &ledger).await.unwrap();
        for index in order {
            let push = Push {
                log_group: AGENTS.to_owned(),
                log_events: vec![events("task-42", &lines).swap_remove(index)],
            };
            harness
                .collector()
                .handle(&push, now(), None)
                .await
                .unwrap();
        }
        assert_eq!(harness.task("42").await, None, "{order:?}");
        assert_eq!(harness.tasks().await, [], "{order:?}");
        let cached = harness.cache.fetch_task(&id("42")).await.unwrap();
        assert_eq!(cached.into_json(), None);
        let left = harness.store.fetch_records(&[id("42")]).await.unwrap();
        let mut all = left[0].ledger.clone();
        all.merge(ledger_of(&events("task-42", &lines)));
        assert_eq!(all, left[0].ledger, "{order:?}: a line is lost");
    }
}

fn ledger_of(events: &[LogEvent]) -> Ledger {
    let mut ledger = Ledger::default();
    for event in events {
        parse_message(
            LogFormat::AGENT,
            &event.message,
            &mut |line, observation| {
                ledger.insert(LineKey::of(event, line), Fact::line(observation));
            },
        );
    }
    ledger
}

#[tokio::test]
async fn saved_tasks_are_in_the_cache() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("deploy-7", &RUNNING));
    harness.sweep().await;
    let bytes = harness
        .cache
        .fetch_task(&id("cdk:deploy-7"))
        .await
        .unwrap()
        .into_json()
        .unwrap();
    let cached: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(cached["progress"]["percentage"], 60);
}

fn made_by_caller(task_id: &str) -> Task {
    let made_at = Timestamp::from_millis(START_MS - 60_000);
    Task {
        task_id: id(task_id),
        task_name: "Fix the bug".to_owned(),
        task_type: TaskType::Build,
        status: TaskStatus::Pending,
        priority: None,
        progress: Default::default(),
        parts: Default::default(),
        run: made_at.to_string(),
        revision: shared::model::Revision(1),
        project_id: None,
        message: None,
        phase: None,
        current_step: None,
        log_group: None,
        log_stream: None,
        created_at: made_at,
        started_at: None,
        updated_at: made_at,
        completed_at: None,
        duration_ms: None,
        usual_duration_ms: None,
        metadata: None,
    }
}
