//! Tests of DynamoDB only: expired items, damaged items, and lost responses.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use shared::model::{ProjectId, Revision, Task, Timestamp};
use shared::store::{ProjectStore, StoreError, TaskPage, TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::store::conformance::{moment, new_project, new_task, next_of, recount};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

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

#[tokio::test]
async fn a_task_expires_ninety_days_after_its_last_write() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let now_ms = Arc::new(AtomicI64::new(moment(0).as_millis()));
    let clock = Arc::clone(&now_ms);
    let store = embedded
        .tasks()
        .with_clock(move || Timestamp::from_millis(clock.load(Ordering::Relaxed)));
    let first = new_task("t");
    let mut ledger = shared::fold::Ledger::default();
    ledger.mark_adopted();
    store.save(None, &first, Some(&ledger)).await.unwrap();
    now_ms.fetch_add(89 * DAY_MS, Ordering::Relaxed);
    let second = next_of(&first, |task| task.progress.current = Some(1));
    store.save(Some(&first), &second, None).await.unwrap();
    now_ms.fetch_add(2 * DAY_MS, Ordering::Relaxed);
    let stored = store.fetch(&first.task_id).await.unwrap();
    assert_eq!(stored, Some(second), "91 days after the first write");
    let history = store.history(&first.task_id, None, None, 10).await.unwrap();
    assert_eq!(history.len(), 1, "the first change has expired");
    now_ms.fetch_add(88 * DAY_MS, Ordering::Relaxed);
    let ids = [first.task_id.clone()];
    assert_eq!(store.fetch(&first.task_id).await.unwrap(), None);
    assert_eq!(store.fetch_records(&ids).await.unwrap(), []);
    let listed = store.list(&TaskQuery::default(), None, 10).await.unwrap();
    assert_eq!(listed.tasks, []);
    // The expired items may remain for days. A new task with this id must not read them.
    store.save(None, &first, None).await.unwrap();
    let records = store.fetch_records(&ids).await.unwrap();
    assert_eq!(records[0].task.as_ref(), Some(&first));
    assert!(records[0].ledger.is_empty());
    let again = store.save(None, &first, None).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
}

#[tokio::test]
async fn a_damaged_item_is_corrupt_and_fails_no_list() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let (damaged, healthy) = (new_task("damaged"), new_task("healthy"));
    for task in [&damaged, &healthy] {
        store.save(None, task, None).await.unwrap();
    }
    let key = |timestamp: &str| {
        [
            ("task_id", text("damaged")),
            ("timestamp", number(timestamp)),
        ]
    };
    let whole = item(&embedded, "tasks", &key("0")).await;
    let damages = [
        ("status", Some(text("sleeping"))),
        ("status", None),
        ("revision", Some(number("-1"))),
        ("revision", Some(text("1"))),
        ("progress_percentage", Some(number("256"))),
        ("progress_current", Some(number("1.5"))),
        ("created_at", Some(text("yesterday"))),
        ("updated_at", Some(text("2026-11-21T09:30:00.000Z"))),
        ("updated_at", Some(text("é#"))),
        ("parts", Some(text("{"))),
        ("metadata", Some(text("[]"))),
        ("task_name", Some(AttributeValue::Null(true))),
        ("format", Some(number("2"))),
        ("format", None),
    ];
    for (name, value) in damages {
        let mut item = whole.clone();
        match value.clone() {
            Some(value) => item.insert(name.to_owned(), value),
            None => item.remove(name),
        };
        put(&embedded, "tasks", item).await;
        let outcome = store.fetch(&damaged.task_id).await;
        let is_corrupt = matches!(&outcome, Err(StoreError::Corrupt { .. }));
        assert!(is_corrupt, "{name} {value:?}: {outcome:?}");
        let ids = [damaged.task_id.clone()];
        let outcome = store.fetch_records(&ids).await;
        let is_corrupt = matches!(&outcome, Err(StoreError::Corrupt { .. }));
        assert!(is_corrupt, "{name} {value:?}: {outcome:?}");
        let listed = store.list(&TaskQuery::default(), None, 10).await.unwrap();
        assert_eq!(
            listed.tasks,
            std::slice::from_ref(&healthy),
            "{name} {value:?}"
        );
    }
}

#[tokio::test]
async fn a_task_can_be_created_over_a_tombstone_without_its_ledger() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let (store, task) = (embedded.tasks(), new_task("t"));
    let mut ledger = shared::fold::Ledger::default();
    store.save(None, &task, Some(&ledger)).await.unwrap();
    ledger.delete(&task, moment(99));
    store.delete(&task, &ledger).await.unwrap();
    let key = [("task_id", text("t")), ("timestamp", number("-1"))];
    let mut request = embedded.client.delete_item();
    for (name, value) in key {
        request = request.key(name, value);
    }
    let request = request.table_name(&embedded.config.tasks_table);
    request.send().await.unwrap();
    let ids = [task.task_id.clone()];
    let left = store.fetch_records(&ids).await.unwrap().remove(0);
    assert_eq!(left.ledger.deleted_revision(), Some(task.revision));
    let later = next_of(&task, |_| {});
    store.save(None, &later, Some(&left.ledger)).await.unwrap();
}

/// A ledger as version 1 stored it.
#[tokio::test]
async fn a_task_of_version_1_goes_on_from_its_head() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let (store, task) = (embedded.tasks(), new_task("t"));
    let empty = shared::fold::Ledger::default();
    store.save(None, &task, Some(&empty)).await.unwrap();
    let json = r#"{"whole":{"first":"1.a.0","last":"2.b.0"},"adopted":true,"edits":{"deleted_revision":7}}"#;
    let item = HashMap::from([
        ("task_id".to_owned(), text("t")),
        ("timestamp".to_owned(), number("-1")),
        ("format".to_owned(), number("1")),
        ("revision".to_owned(), number("1")),
        ("ledger".to_owned(), text(json)),
    ]);
    let table = &embedded.config.tasks_table;
    put(&embedded, table, item).await;
    let ids = [task.task_id.clone()];
    let record = store.fetch_records(&ids).await.unwrap().remove(0);
    assert_eq!(record.task, Some(task));
    assert_eq!(record.ledger.deleted_revision(), Some(Revision(7)));
    let mut expected = shared::fold::Ledger::of_tombstone(Revision(8));
    expected.mark_adopted();
    assert_eq!(record.ledger, expected);
}

#[tokio::test]
async fn a_page_of_rare_tasks_ends_early_and_the_next_page_continues() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let store = embedded.tasks();
    let mut expected = Vec::new();
    for number in 0..60_i64 {
        let mut task = new_task(&format!("task-{number}"));
        task.updated_at = moment(number / 3);
        if number % 25 == 0 {
            task.task_name = "Wanted".to_owned();
            expected.push(task.clone());
        }
        store.save(None, &task, None).await.unwrap();
    }
    expected.reverse();
    let query = TaskQuery {
        name_prefix: Some("wanted".to_owned()),
        ..TaskQuery::default()
    };
    for budget in [1, 7, 20] {
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
        assert_eq!(found, expected, "{budget}");
        assert!(pages > 1, "{budget}");
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
async fn the_stored_attributes_of_a_head_keep_their_names() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let mut task = new_task("foobar");
    task.progress.current = Some(5);
    task.progress.total = Some(29);
    task.progress.percentage = Some(17);
    embedded.tasks().save(None, &task, None).await.unwrap();
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
    lossy.save(None, &task, None).await.unwrap();
    assert!(attempts.load(Ordering::Relaxed) >= 2);
    let stored = stores.tasks.fetch(&task.task_id).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&task));
    let metrics = metrics(&*stores.projects, &project.project_id).await;
    assert_eq!(metrics, recount(&[&task], &project.project_id));
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
        store.fetch(&task.task_id).await.map(drop),
        store.save(None, &task, None).await,
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
    let outcome = store.save(None, &new_task("t"), None).await;
    let is_refused = matches!(&outcome, Err(StoreError::Refused { .. }));
    assert!(is_refused, "{outcome:?}");
}
