//! Tests of DynamoDB only: expired items, damaged items, and lost responses.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, stream};
use shared::fold::{CallerEdit, FactLog};
use shared::model::{
    Failure, MAX_CAUSE_BYTES, Part, Progress, ProjectId, RecordId, Revision, Task, TaskStatus,
    Timestamp,
};
use shared::record::{CallerFields, HeadState, TaskRecord};
use shared::store::dynamodb::{DynamoDbTaskStore, ReadBudget};
use shared::store::{ProjectStore, StoreError, TaskPage, TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::store::conformance::{
    create, delete as delete_run, edit, lines, live, moment, new_project, new_task, record_of,
    recount, save, save_lines, to_status,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn number(value: &str) -> AttributeValue {
    AttributeValue::N(value.to_owned())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Reads an item in its stored form.
async fn item(
    embedded: &EmbeddedDynamoDb,
    table: &str,
    key: &[(&str, AttributeValue)],
) -> HashMap<String, AttributeValue> {
    let mut request = embedded.client.get_item().table_name(table);
    for (name, value) in key {
        request = request.key(*name, value.clone());
    }
    request.send().await.unwrap().item.unwrap()
}

/// Writes an item in its stored form.
async fn put(embedded: &EmbeddedDynamoDb, table: &str, item: HashMap<String, AttributeValue>) {
    let request = embedded.client.put_item().table_name(table);
    request.set_item(Some(item)).send().await.unwrap();
}

/// The key of an item of a task.
fn key(task_id: &str, timestamp: i64) -> [(&'static str, AttributeValue); 2] {
    [
        ("task_id", text(task_id)),
        ("timestamp", number(&timestamp.to_string())),
    ]
}

async fn delete(embedded: &EmbeddedDynamoDb, task_id: &str, timestamp: i64) {
    let mut request = embedded.client.delete_item().table_name("tasks");
    for (name, value) in key(task_id, timestamp) {
        request = request.key(name, value);
    }
    request.send().await.unwrap();
}

/// Removes the head of a run, as DynamoDB does when its time to live is over.
pub(crate) async fn delete_head(embedded: &EmbeddedDynamoDb, id: &RecordId) {
    let timestamp = match id {
        RecordId::Newest(_) => 0,
        RecordId::Run(run_id) => -2 * run_id.run.as_millis(),
    };
    delete(embedded, id.task_id().as_str(), timestamp).await;
}

/// A store with a clock that a test moves.
struct Clocked {
    embedded: EmbeddedDynamoDb,
    store: DynamoDbTaskStore,
    now_ms: Arc<AtomicI64>,
}

impl Clocked {
    async fn start() -> Self {
        let embedded = EmbeddedDynamoDb::start().await.unwrap();
        let now_ms = Arc::new(AtomicI64::new(moment(0).as_millis()));
        let clock = Arc::clone(&now_ms);
        let store = embedded
            .tasks()
            .with_clock(move || Timestamp::from_millis(clock.load(Ordering::Relaxed)));
        Self {
            embedded,
            store,
            now_ms,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    fn wait(&self, days: i64) {
        self.now_ms.fetch_add(days * DAY_MS, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_task_expires_ninety_days_after_its_last_write() {
    let clocked = Clocked::start().await;
    let store = &clocked.store;
    let first = create(store, "t", Some("p"), clocked.now()).await;
    clocked.wait(89);
    let second = edit(store, &first, to_status(TaskStatus::Blocked), clocked.now()).await;
    clocked.wait(2);
    let id = second.record_id();
    let stored = store.fetch(&id).await.unwrap();
    assert_eq!(
        stored.as_ref(),
        Some(&second),
        "91 days after the first write"
    );
    let history = store.history(&second.run_id(), None, None, 10).await;
    assert_eq!(history.unwrap().len(), 1, "the first change has expired");
    clocked.wait(88);
    assert_eq!(store.fetch(&id).await.unwrap(), None);
    assert_eq!(store.runs(&second.task_id, None, 10).await.unwrap(), []);
    let listed = store.list(&TaskQuery::default(), None, 10).await.unwrap();
    assert_eq!(listed.tasks, []);
    // The expired items may remain for days. A new task with this id does not read them.
    let record = record_of(store, &second.task_id).await;
    let newest = record.newest.as_ref().unwrap();
    assert_eq!(newest.state, HeadState::Expired);
    assert_eq!(record.facts, FactLog::default());
    let third = create(store, "t", Some("q"), clocked.now()).await;
    assert_eq!(third.revision, second.revision.next());
    assert_eq!(third.status, TaskStatus::Running);
    let record = record_of(store, &second.task_id).await;
    assert_eq!(record.newest, Some(live(&third)));
    assert_eq!(record.facts.facts().len(), 1);
    let totals = clocked.embedded.stores().projects.totals().await.unwrap();
    assert_eq!(totals, recount(&[&third], None));
}

#[tokio::test]
async fn an_expired_head_that_was_removed_or_replaced_is_a_conflict() {
    let clocked = Clocked::start().await;
    let store = &clocked.store;
    let first = create(store, "t", None, clocked.now()).await;
    clocked.wait(91);
    let record = record_of(store, &first.task_id).await;
    let fields = CallerFields::of(&first);
    let status = to_status(TaskStatus::Running);
    let change = record.create(first.task_type, status, &fields, clocked.now());
    delete_head(&clocked.embedded, &first.record_id()).await;
    let removed = store.save(&change).await;
    assert!(
        matches!(removed, Err(StoreError::Conflict(_))),
        "{removed:?}"
    );
    let second = create(store, "t", None, clocked.now()).await;
    assert_eq!(second.revision, first.revision);
    let replaced = store.save(&change).await;
    assert!(
        matches!(replaced, Err(StoreError::Conflict(_))),
        "{replaced:?}"
    );
}

#[tokio::test]
async fn old_facts_are_written_again_before_they_expire() {
    let clocked = Clocked::start().await;
    let store = &clocked.store;
    let mut task = create(store, "t", None, clocked.now()).await;
    for days in [29, 2, 60, 10] {
        clocked.wait(days);
        let record = record_of(store, &task.task_id).await;
        let must_replace = record.segment_bytes == usize::MAX;
        assert_eq!(must_replace, days == 2 || days == 60, "{days} days later");
        task = edit(store, &task, to_status(TaskStatus::Running), clocked.now()).await;
    }
}

/// A task with a base, two segments and parts.
async fn with_all_items(store: &DynamoDbTaskStore) -> TaskRecord {
    let mut task = create(store, "t", None, moment(0)).await;
    for number in 0..34 {
        let blocked = [TaskStatus::Blocked, TaskStatus::Running][number % 2];
        task = edit(store, &task, to_status(blocked), moment(1)).await;
    }
    let record = record_of(store, &task.task_id).await;
    let mut change = record.edit(CallerEdit::default(), &CallerFields::of(&task), moment(2));
    change.heads[0].next.task.parts = full_parts();
    change.items.detail_revision = Some(change.heads[0].next.task.revision);
    store.save(&change).await.unwrap();
    let record = record_of(store, &task.task_id).await;
    assert_eq!(record.items, change.items);
    assert!(record.items.base_revision > Revision::default() && record.items.segments > 1);
    assert_eq!(record.live().unwrap().parts, full_parts());
    record
}

fn full_parts() -> BTreeMap<String, Part> {
    let part = Part {
        status: TaskStatus::Running,
        progress: Progress::default(),
        phase: None,
        message: Some("m".to_owned()),
        started_at: None,
        completed_at: None,
    };
    BTreeMap::from([("Stack".to_owned(), part)])
}

#[tokio::test]
async fn a_torn_read_is_repeated_until_the_items_belong_together() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let record = with_all_items(&store).await;
    let expected = record.live().unwrap().clone();
    for timestamp in [-1, -2, -100] {
        // The item as another write would leave it.
        let whole = item(&embedded, "tasks", &key("t", timestamp)).await;
        for (name, value) in [
            ("revision", number("1000")),
            ("revision", number("1")),
            ("life", number("7")),
        ] {
            let mut other = whole.clone();
            other.insert(name.to_owned(), value);
            put(&embedded, "tasks", other).await;
            let whole = whole.clone();
            let repair = async {
                sleep(Duration::from_millis(60)).await;
                put(&embedded, "tasks", whole).await;
            };
            let ids = [expected.task_id.clone()];
            let id = expected.record_id();
            let reads = async { tokio::join!(store.fetch_records(&ids), store.fetch(&id)) };
            let ((records, run), ()) = tokio::join!(reads, repair);
            let expected_record = std::slice::from_ref(&record);
            assert_eq!(records.unwrap(), expected_record, "{timestamp} {name}");
            assert_eq!(run.unwrap().as_ref(), Some(&expected), "{timestamp} {name}");
        }
    }
}

#[tokio::test]
async fn items_of_another_life_are_ignored() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let record = with_all_items(&store).await;
    let segment = item(&embedded, "tasks", &key("t", -100)).await;
    for (timestamp, name, value) in [
        (-120, "life", number("7")),
        (-131, "revision", number("1")),
        (-110, "life", number("99999999999999")),
    ] {
        let mut other = segment.clone();
        other.insert("timestamp".to_owned(), number(&timestamp.to_string()));
        other.insert(name.to_owned(), value);
        put(&embedded, "tasks", other).await;
        let stored = record_of(&store, &record.task_id).await;
        assert_eq!(stored, record, "{timestamp}");
    }
}

#[tokio::test]
async fn the_cause_is_in_the_head_and_the_lines_before_it_are_in_the_detail() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let cause = "x".repeat(MAX_CAUSE_BYTES);
    let failure = Failure {
        resource: Some("Jobs1A2B3C4D".to_owned()),
        resource_type: Some("AWS::SQS::Queue".to_owned()),
        part: Some("Stack".to_owned()),
        context: vec!["before".repeat(26); 5],
        ..Failure::new(cause.clone(), moment(1))
    };
    let task = Task {
        status: TaskStatus::Failed,
        completed_at: Some(moment(1)),
        message: Some(format!("Stack: {cause}")),
        failure: Some(Box::new(failure)),
        ..new_task("t")
    };
    save(&store, None, &task).await.unwrap();
    let id = task.record_id();
    assert_eq!(store.fetch(&id).await.unwrap(), Some(task.clone()));
    let mut head = item(&embedded, "tasks", &key("t", 0)).await;
    let texts = head
        .iter()
        .map(|(name, value)| name.len() + value.as_s().or(value.as_n()).map_or(1, String::len));
    assert!(texts.sum::<usize>() <= 2048, "{head:?}");
    assert!(!head["failure"].as_s().unwrap().contains("before"));

    // Earlier versions wrote neither.
    let mut detail = item(&embedded, "tasks", &key("t", -1)).await;
    assert!(detail.remove("failure_context").is_some());
    put(&embedded, "tasks", detail).await;
    let stored = store.fetch(&id).await.unwrap().unwrap();
    assert_eq!(stored, task.listed());
    head.remove("failure");
    put(&embedded, "tasks", head).await;
    let stored = store.fetch(&id).await.unwrap().unwrap();
    assert_eq!(stored.failure, None);
}

#[tokio::test]
async fn a_task_goes_on_from_its_head_if_other_items_are_lost() {
    for lost in [-1, -2, -100] {
        let embedded = EmbeddedDynamoDb::start().await.unwrap();
        let store = embedded.tasks();
        let record = with_all_items(&store).await;
        let whole = record.live().unwrap().clone();
        delete(&embedded, "t", lost).await;
        let stored = store.fetch(&whole.record_id()).await.unwrap().unwrap();
        assert_eq!(stored.status, whole.status);
        assert_eq!(stored.parts.is_empty(), lost == -1);
        let left = record_of(&store, &whole.task_id).await;
        assert_eq!(left.live().unwrap().revision, whole.revision);
        let next = edit(&store, &stored, to_status(TaskStatus::Completed), moment(9)).await;
        assert_eq!(next.status, TaskStatus::Completed);
        let record = record_of(&store, &whole.task_id).await;
        assert_eq!(record.items.base_revision, next.revision, "a new base");
        assert_eq!(record.newest, Some(live(&next)));
    }
}

#[tokio::test]
async fn a_damaged_item_is_corrupt_and_fails_no_list() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let healthy = new_task("healthy");
    save(&store, None, &healthy).await.unwrap();
    let record = with_all_items(&store).await;
    let task = record.live().unwrap();
    let bytes = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    let damages = [
        (0, "status", Some(text("sleeping"))),
        (0, "status", None),
        (0, "revision", Some(number("-1"))),
        (0, "revision", Some(text("1"))),
        (0, "life", None),
        (0, "segments", Some(number("-1"))),
        (0, "progress_percentage", Some(number("256"))),
        (0, "progress_current", Some(number("1.5"))),
        (0, "created_at", Some(text("yesterday"))),
        (0, "updated_at", Some(text("é"))),
        (0, "updated_at", None),
        (0, "metadata", Some(text("[]"))),
        (0, "task_name", Some(AttributeValue::Null(true))),
        (0, "format", Some(number("1"))),
        (0, "format", None),
        (-1, "parts", Some(text("{"))),
        (-1, "parts", None),
        (-2, "facts", Some(bytes(b"\xff\xff"))),
        (-2, "facts", None),
        (-100, "facts", Some(bytes(b""))),
        (-100, "format", None),
    ];
    for (timestamp, name, value) in damages {
        let whole = item(&embedded, "tasks", &key("t", timestamp)).await;
        let mut damaged = whole.clone();
        match value.clone() {
            Some(value) => damaged.insert(name.to_owned(), value),
            None => damaged.remove(name),
        };
        put(&embedded, "tasks", damaged).await;
        let ids = [task.task_id.clone()];
        let outcome = store.fetch_records(&ids).await;
        let is_corrupt = matches!(&outcome, Err(StoreError::Corrupt { id, .. }) if id == "task t");
        assert!(is_corrupt, "{timestamp} {name} {value:?}: {outcome:?}");
        if timestamp >= -1 {
            let outcome = store.fetch(&task.record_id()).await;
            let is_corrupt = matches!(&outcome, Err(StoreError::Corrupt { .. }));
            assert!(is_corrupt, "{name} {value:?}: {outcome:?}");
        }
        if timestamp == 0 && !["life", "segments"].contains(&name) {
            let listed = store.list(&TaskQuery::default(), None, 10).await.unwrap();
            let healthy = std::slice::from_ref(&healthy);
            assert_eq!(listed.tasks, healthy, "{name} {value:?}");
        }
        put(&embedded, "tasks", whole).await;
    }
    assert_eq!(record_of(&store, &task.task_id).await, record);
}

#[tokio::test]
async fn heads_have_attributes_that_the_stream_can_show() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let first = create(&store, "t", Some("p"), moment(0)).await;
    edit(&store, &first, to_status(TaskStatus::Failed), moment(1)).await;
    let second = create(&store, "t", Some("p"), moment(2)).await;
    let earlier_key = -2 * first.run.as_millis();
    let earlier = item(&embedded, "tasks", &key("t", earlier_key)).await;
    delete_run(&store, &second, moment(3)).await;
    let deleted = item(&embedded, "tasks", &key("t", 0)).await;
    for head in [&earlier, &deleted] {
        assert_eq!(head["kind"], text("head"));
        for (name, value) in head {
            let is_simple = value.is_s() || value.is_n() || value.is_bool();
            assert!(is_simple, "{name}: {value:?}");
        }
    }
    assert_eq!(deleted["deleted"], AttributeValue::Bool(true));
    for name in ["list_key", "list_shard", "status_shard"] {
        assert!(
            earlier.contains_key(name) && !deleted.contains_key(name),
            "{name}"
        );
    }
    // The write that stored the earlier run did not end it.
    assert!(!earlier.contains_key("ended_here"));
}

#[tokio::test]
async fn a_write_that_ends_an_earlier_run_says_so() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    save_lines(&store, "t", lines(&[(moment(0), "[1/2] one")]), moment(0)).await;
    let log = [
        (moment(1000), r#"{"status":"failed","message":"broken"}"#),
        (moment(2000), "[1/2] one"),
    ];
    save_lines(&store, "t", lines(&log), moment(2000)).await;
    let earlier_key = -2 * moment(0).as_millis();
    let earlier = item(&embedded, "tasks", &key("t", earlier_key)).await;
    assert_eq!(earlier["status"], text("failed"));
    assert_eq!(earlier["ended_here"], AttributeValue::Bool(true));
    let newest = item(&embedded, "tasks", &key("t", 0)).await;
    assert!(!newest.contains_key("ended_here"));
}

#[tokio::test]
async fn a_page_of_rare_tasks_ends_early_and_the_next_page_continues() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let mut expected = Vec::new();
    for number in 0..60_i64 {
        let mut task = new_task(&format!("task-{number}"));
        task.run = moment(number / 3);
        if number % 25 == 0 {
            task.task_name = "Wanted".to_owned();
            expected.push(task.clone());
        }
        save(&store, None, &task).await.unwrap();
    }
    expected.reverse();
    let query = TaskQuery {
        text: Some("wanted".to_owned()),
        ..TaskQuery::default()
    };
    let budget = |items, units| ReadBudget { items, units };
    let enough = ReadBudget::default();
    for budget in [
        budget(1, enough.units),
        budget(7, enough.units),
        budget(20, enough.units),
        budget(enough.items, 0.5),
    ] {
        let store = embedded.tasks().with_read_budget(budget);
        let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = store.list(&query, after.as_ref(), 50).await.unwrap();
            found.extend(page.tasks);
            pages += 1;
            let Some(next) = page.next else { break };
            assert!(after.is_none_or(|after| next < after));
            after = Some(next);
        }
        assert_eq!(found, expected, "{budget:?}");
        assert!(pages > 1, "{budget:?}");
    }
    assert_eq!(
        store.list(&query, None, 50).await.unwrap(),
        TaskPage {
            tasks: expected,
            next: None
        }
    );
}

#[tokio::test]
async fn a_list_of_projects_reads_nothing_of_projects_that_only_lines_name() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let stores = embedded.stores();
    stores
        .projects
        .create(&new_project("created"))
        .await
        .unwrap();
    let tasks = &*stores.tasks;
    let saves = (0..400).map(|number| async move {
        let mut task = new_task(&format!("task-{number}"));
        let project = match number {
            0 => "created".to_owned(),
            _ => format!("named-{number}"),
        };
        task.project_id = Some(project.parse().unwrap());
        save(tasks, None, &task).await.unwrap();
        task
    });
    let saved: Vec<Task> = stream::iter(saves).buffered(16).collect().await;
    let listed = stores.projects.list().await.unwrap();
    let created: ProjectId = "created".parse().unwrap();
    let ids: Vec<&ProjectId> = listed.iter().map(|project| &project.project_id).collect();
    assert_eq!(ids, [&created]);
    assert_eq!(listed[0].metrics, recount(&[&saved[0]], Some(&created)));
    let scan = embedded.client.scan().table_name("projects").send().await;
    assert_eq!(scan.unwrap().scanned_count, 1, "what a list reads");
}

/// Counts the items of the counters of projects.
async fn counters_of_projects(embedded: &EmbeddedDynamoDb) -> i32 {
    let scan = embedded.client.scan().table_name("tasks");
    let scan = scan.filter_expression("begins_with(task_id, :project)");
    let scan = scan.expression_attribute_values(":project", text("project#"));
    scan.send().await.unwrap().count
}

#[tokio::test]
async fn counters_of_a_project_that_only_lines_name_expire_after_its_tasks() {
    let clocked = Clocked::start().await;
    let (store, project_id) = (&clocked.store, "named".parse::<ProjectId>().unwrap());
    let mut task = create(store, "t", Some("named"), clocked.now()).await;
    // The status stays the same for a year, so the counts do too.
    for days in [29, 31, 60, 89, 2, 80, 74] {
        clocked.wait(days);
        let message = CallerEdit {
            message: Some(Some(format!("{days} more days"))),
            ..CallerEdit::default()
        };
        task = edit(store, &task, message, clocked.now()).await;
        store.remove_expired().await.unwrap();
        assert_eq!(counters_of_projects(&clocked.embedded).await, 1, "{days}");
    }
    let projects = clocked.embedded.stores().projects;
    projects.create(&new_project("named")).await.unwrap();
    let counted = metrics(&*projects, &project_id).await;
    assert_eq!(counted, recount(&[&task], Some(&project_id)));

    clocked.wait(91);
    store.remove_expired().await.unwrap();
    assert_eq!(metrics(&*projects, &project_id).await, recount(&[], None));
    clocked.wait(151);
    store.remove_expired().await.unwrap();
    assert_eq!(counters_of_projects(&clocked.embedded).await, 0);
    let left = projects.fetch(&project_id).await.unwrap().unwrap();
    assert_eq!(left.metrics, recount(&[], None), "a created project stays");
}

#[tokio::test]
async fn metrics_equal_a_recount_while_runs_and_counters_expire() {
    let clocked = Clocked::start().await;
    let store = &clocked.store;
    let projects = clocked.embedded.stores().projects;
    for id in ["p", "q"] {
        projects.create(&new_project(id)).await.unwrap();
    }
    let mut random = fastrand::Rng::with_seed(7);
    for step in 0..120 {
        clocked.wait(random.i64(0..30));
        store.remove_expired().await.unwrap();
        let id = format!("t-{}", random.u8(0..5));
        let record = record_of(store, &id.parse().unwrap()).await;
        match record.live() {
            Some(task) if !task.status.is_terminal() => {
                let next = *random
                    .choice(&[TaskStatus::Running, TaskStatus::Completed])
                    .unwrap();
                let next = match random.u8(0..5) {
                    0 => to_status(next),
                    _ => CallerEdit {
                        message: Some(Some(step.to_string())),
                        ..CallerEdit::default()
                    },
                };
                edit(store, task, next, clocked.now()).await;
            }
            _ => {
                let project = random.choice(["p", "q"]);
                create(store, &id, project, clocked.now()).await;
            }
        }
        let mut runs = Vec::new();
        for id in 0..5 {
            let id = format!("t-{id}").parse().unwrap();
            runs.extend(store.runs(&id, None, 200).await.unwrap());
        }
        let runs: Vec<&Task> = runs.iter().collect();
        for id in ["p", "q"].map(|id| id.parse().unwrap()) {
            let counted = metrics(&*projects, &id).await;
            assert_eq!(counted, recount(&runs, Some(&id)), "{id} at step {step}");
        }
        assert_eq!(
            projects.totals().await.unwrap(),
            recount(&runs, None),
            "step {step}"
        );
    }
}

#[tokio::test]
async fn the_stored_attributes_of_a_head_keep_their_names() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let mut task = new_task("foobar");
    task.progress.current = Some(5);
    task.progress.total = Some(29);
    task.progress.percentage = Some(17);
    save(&embedded.tasks(), None, &task).await.unwrap();
    let key = [("task_id", text("foobar")), ("timestamp", number("0"))];
    let head = item(&embedded, "tasks", &key).await;
    assert_eq!(head["task_name"], text("Task foobar"));
    assert_eq!(head["status"], text("pending"));
    assert_eq!(head["progress_current"], number("5"));
    assert_eq!(head["progress_total"], number("29"));
    assert_eq!(head["progress_percentage"], number("17"));
    // The FNV authors list 0xbf9c_f968 as the FNV-1a hash of "foobar". The table has three shards.
    let shard = 0xbf9c_f968_u32 % 3;
    assert_eq!(head["status_shard"], text(&format!("pending#{shard}")));
}

/// A proxy to the database. It drops the connection instead of sending the first response to a
/// transaction.
async fn lossy_proxy(to: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lost = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&to).await.unwrap();
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let Ok(read) = client.read(&mut request).await else {
                    return;
                };
                let request = &request[..read];
                let is_transaction =
                    String::from_utf8_lossy(request).contains("TransactWriteItems");
                server.write_all(request).await.unwrap();
                if is_transaction && counter.fetch_add(1, Ordering::Relaxed) == 0 {
                    let mut response = vec![0; 1024];
                    assert!(server.read(&mut response).await.unwrap() > 0);
                    return;
                }
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = server.split();
                let up = copy(&mut from_client, &mut to_server);
                let down = copy(&mut from_server, &mut to_client);
                drop(tokio::join!(up, down));
            });
        }
    });
    (address.to_string(), lost)
}

#[tokio::test]
async fn a_write_whose_response_is_lost_is_made_once_and_succeeds() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let project = new_project("p");
    let stores = embedded.stores();
    stores.projects.create(&project).await.unwrap();
    let (address, attempts) = lossy_proxy(embedded.endpoint_url.replace("http://", "")).await;
    let client =
        shared::aws::local_dynamodb(&format!("http://{address}"), embedded.access_key_id());
    let lossy = shared::store::dynamodb::DynamoDbTaskStore::new(client, &embedded.config);
    let mut task = new_task("t");
    task.project_id = Some(project.project_id.clone());
    save(&lossy, None, &task).await.unwrap();
    assert!(attempts.load(Ordering::Relaxed) >= 2);
    let stored = stores.tasks.fetch(&task.record_id()).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&task));
    let metrics = metrics(&*stores.projects, &project.project_id).await;
    assert_eq!(metrics, recount(&[&task], Some(&project.project_id)));
}

async fn metrics(projects: &dyn ProjectStore, id: &ProjectId) -> shared::model::Metrics {
    projects.fetch(id).await.unwrap().unwrap().metrics
}

#[tokio::test]
async fn a_database_that_is_down_is_unavailable() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    embedded.stop().await;
    let task = Task {
        revision: Revision(1),
        ..new_task("t")
    };
    let outcomes = [
        store.fetch(&task.record_id()).await.map(drop),
        save(&store, None, &task).await,
        store.list(&TaskQuery::default(), None, 10).await.map(drop),
        store.ping().await,
    ];
    for outcome in outcomes {
        let is_unavailable = matches!(&outcome, Err(StoreError::Unavailable { .. }));
        assert!(is_unavailable, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_missing_table_is_refused_and_existing_tables_are_kept() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let mut config = embedded.config.clone();
    shared::store::tables::create_tables(&embedded.client, &config)
        .await
        .unwrap();
    config.tasks_table = "elsewhere".to_owned();
    let store = shared::store::dynamodb::DynamoDbTaskStore::new(embedded.client.clone(), &config);
    let outcome = save(&store, None, &new_task("t")).await;
    let is_refused = matches!(&outcome, Err(StoreError::Refused { .. }));
    assert!(is_refused, "{outcome:?}");
}
