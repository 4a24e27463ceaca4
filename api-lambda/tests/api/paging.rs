use serde_json::Value;
use shared::model::{TaskStatus, Timestamp};

use crate::harness::{Harness, ids, task};

/// The ids in all pages of a list, with `limit` tasks in each.
async fn pages(harness: &Harness, query: &str, limit: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/tasks?limit={limit}{query}{cursor}");
        let page = harness.read(&path).await;
        pages.push(ids(&page));
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            end => {
                assert!(end.is_null());
                return pages;
            }
        }
        assert!(pages.len() < 100, "the pages come to an end");
    }
}

/// An API with `count` tasks. Each group of four began in the same millisecond.
async fn harness_with(count: i64) -> Harness {
    let harness = Harness::new();
    for number in 0..count {
        harness
            .save(&task(&format!("t{number:03}"), number / 4))
            .await;
    }
    harness
}

#[tokio::test]
async fn pages_have_every_task_once() {
    let harness = harness_with(47).await;
    let all: Vec<_> = (0..47).rev().map(|n| format!("t{n:03}")).collect();
    for limit in [1, 3, 10, 46, 47, 200] {
        for round in ["cold", "warm"] {
            let read = pages(&harness, "", limit).await;
            assert_eq!(read.concat(), all, "limit {limit}, {round}");
            assert_eq!(read.len(), 47_usize.div_ceil(limit));
        }
    }
}

#[tokio::test]
async fn a_cursor_of_a_long_query_can_be_used() {
    let harness = Harness::new();
    let name = "\u{1F680}".repeat(256);
    for number in 0..3 {
        let mut task = task(&format!("t{number}"), number);
        task.task_name = name.clone();
        harness.save(&task).await;
    }
    let query = format!("&q={}", "%F0%9F%9A%80".repeat(256));
    assert_eq!(
        pages(&harness, &query, 1).await,
        [["t2"], ["t1"], ["t0"]].map(|ids| ids.map(str::to_owned).to_vec())
    );
}

#[tokio::test]
async fn a_page_ends_at_1_mb() {
    let harness = Harness::new();
    for number in 0..200 {
        let mut task = task(&format!("t{number:03}"), number);
        task.message = Some("\u{1}".repeat(1024));
        harness.save(&task).await;
    }
    let page = harness.get("/api/tasks?limit=200").await;
    let length = page.body.len();
    assert!((900_000..=1_000_100).contains(&length), "{length}");
    let all: Vec<_> = (0..200).rev().map(|n| format!("t{n:03}")).collect();
    let read = pages(&harness, "", 200).await;
    assert!(read.len() > 1);
    assert_eq!(read.concat(), all);
    let first = harness.read("/api/tasks?limit=200").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = format!("/api/tasks?limit=50&cursor={cursor}");
    let next = harness.read(&next).await;
    assert_eq!(ids(&next).first(), all.get(ids(&first).len()));
}

#[tokio::test]
async fn lists_leave_out_what_only_a_tasks_own_view_needs() {
    let harness = Harness::new();
    for (number, length) in [(0, 1000), (1, 1100)] {
        let mut task = task(&format!("t{number}"), number);
        let metadata = serde_json::json!({ "note": "x".repeat(length) });
        task.metadata = metadata.as_object().cloned();
        harness.save(&task).await;
    }
    let page = harness.read("/api/tasks").await;
    assert!(page["tasks"][0]["metadata"].is_null());
    assert!(page["tasks"][1]["metadata"].is_object());
    let task = harness.read("/api/tasks/t1").await;
    assert!(task["metadata"].is_object());
}

#[tokio::test]
async fn rows_stand_still_while_tasks_change() {
    let harness = harness_with(30).await;
    let before = pages(&harness, "", 7).await;
    for number in [3_i64, 17, 29, 0] {
        let earlier = task(&format!("t{number:03}"), number / 4);
        let mut later = earlier.clone();
        later.updated_at = Timestamp::from_millis(1_800_000_000_000 + number);
        later.status = TaskStatus::Running;
        later.revision = later.revision.next();
        harness.save_after(Some(&earlier), &later).await;
    }
    let after = pages(&harness, "", 9).await;
    assert_eq!(after.concat(), before.concat());
}

#[tokio::test]
async fn the_largest_page_is_followed_by_the_rest() {
    let harness = harness_with(401).await;
    let read = pages(&harness, "", 200).await;
    let lengths: Vec<_> = read.iter().map(Vec::len).collect();
    assert_eq!(lengths, [200, 200, 1]);
}

#[tokio::test]
async fn a_write_between_two_pages_hides_no_task() {
    let harness = harness_with(10).await;
    let first = harness.read("/api/tasks?limit=4").await;
    harness.save(&task("new", 1000)).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = harness
        .read(&format!("/api/tasks?limit=50&cursor={cursor}"))
        .await;
    assert_eq!([ids(&first), ids(&rest)].concat().len(), 10);
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_filters() {
    let harness = harness_with(10).await;
    let first = harness
        .read("/api/tasks?limit=4&status=pending,failed")
        .await;
    let cursor = first["next_cursor"].as_str().unwrap();
    // The order of the filters does not matter, and the limit can change.
    let same = format!("/api/tasks?limit=2&status=failed&status=pending&cursor={cursor}");
    assert_eq!(ids(&harness.read(&same).await), ["t005", "t004"]);
    for other in ["", "&status=pending", "&status=pending,failed&project_id=a"] {
        let response = harness
            .get(&format!("/api/tasks?cursor={cursor}{other}"))
            .await;
        assert_eq!(response.fields(), ["cursor"], "{other}");
    }
    let runs = harness
        .get(&format!("/api/tasks/t001/runs?cursor={cursor}"))
        .await;
    assert_eq!(runs.fields(), ["cursor"]);
    let history = harness
        .get(&format!("/api/tasks/t001/history?cursor={cursor}"))
        .await;
    assert_eq!(history.fields(), ["cursor"]);
}

#[tokio::test]
async fn pages_have_the_tasks_of_the_store() {
    let harness = harness_with(30).await;
    let stored = harness.stored().await;
    let stored: Vec<_> = stored.iter().map(|task| task.task_id.to_string()).collect();
    assert_eq!(pages(&harness, "&status=pending", 7).await.concat(), stored);
}
