use serde_json::Value;

use crate::world::{World, ids, task};

/// Reads all pages of a list, `limit` tasks each, and gives their ids.
async fn pages(world: &World, query: &str, limit: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/tasks?limit={limit}{query}{cursor}");
        let page = world.read(&path).await;
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

/// A world with `count` tasks, of which four each were changed in the same millisecond.
async fn world_of(count: i64) -> World {
    let world = World::new();
    for number in 0..count {
        world
            .save(&task(&format!("t{number:03}"), number / 4))
            .await;
    }
    world
}

#[tokio::test]
async fn pages_lose_and_repeat_nothing() {
    let world = world_of(47).await;
    let all: Vec<_> = (0..47).rev().map(|n| format!("t{n:03}")).collect();
    for limit in [1, 3, 10, 46, 47, 200] {
        for round in ["cold", "warm"] {
            let read = pages(&world, "", limit).await;
            assert_eq!(read.concat(), all, "limit {limit}, {round}");
            assert_eq!(read.len(), 47_usize.div_ceil(limit));
        }
    }
}

#[tokio::test]
async fn the_largest_page_is_followed_by_the_rest() {
    let world = world_of(401).await;
    let read = pages(&world, "", 200).await;
    let lengths: Vec<_> = read.iter().map(Vec::len).collect();
    assert_eq!(lengths, [200, 200, 1]);
}

#[tokio::test]
async fn a_write_between_two_pages_hides_nothing() {
    let world = world_of(10).await;
    let first = world.read("/api/tasks?limit=4").await;
    world.save(&task("new", 1000)).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = world
        .read(&format!("/api/tasks?limit=50&cursor={cursor}"))
        .await;
    assert_eq!([ids(&first), ids(&rest)].concat().len(), 10);
}

#[tokio::test]
async fn a_cursor_serves_its_own_filters_alone() {
    let world = world_of(10).await;
    let first = world.read("/api/tasks?limit=4&status=pending,failed").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    // The order of the filters is nobody's business, and the limit may change.
    let same = format!("/api/tasks?limit=2&status=failed&status=pending&cursor={cursor}");
    assert_eq!(ids(&world.read(&same).await), ["t005", "t004"]);
    for other in ["", "&status=pending", "&status=pending,failed&project_id=a"] {
        let answer = world
            .get(&format!("/api/tasks?cursor={cursor}{other}"))
            .await;
        assert_eq!(answer.fields(), ["cursor"], "{other}");
    }
    let history = world
        .get(&format!("/api/tasks/t001/history?cursor={cursor}"))
        .await;
    assert_eq!(history.fields(), ["cursor"]);
}

#[tokio::test]
async fn pages_hold_what_the_store_holds() {
    let world = world_of(30).await;
    let stored = world.stored().await;
    let stored: Vec<_> = stored.iter().map(|task| task.task_id.to_string()).collect();
    assert_eq!(pages(&world, "&status=pending", 7).await.concat(), stored);
}
