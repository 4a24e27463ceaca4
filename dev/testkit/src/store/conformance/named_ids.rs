//! Checks of the task ids that lines of log streams name.

use shared::batch::named_ids::NamedIds;
use shared::model::TaskId;
use shared::record::TaskOrigin;

use super::tasks::is_conflict;
use super::{moment, origin};
use crate::embedded_dynamodb::Stores;

fn ids(numbers: std::ops::Range<u32>) -> Vec<TaskId> {
    numbers
        .map(|number| format!("t-{number}").parse().unwrap())
        .collect()
}

/// The ids of a log stream are read as they were written, and of two writers one wins.
pub async fn the_ids_that_a_log_names_are_stored_for_each_stream(stores: Stores) {
    let tasks = &*stores.tasks;
    let main = origin();
    let mut named = tasks.named_ids(&main).await.unwrap();
    assert_eq!(named, NamedIds::default());
    let mut expected = NamedIds::default();
    for last in [1, 400, 1001] {
        named.admit(&ids(0..last), moment(0));
        named.revision += 1;
        tasks.save_named_ids(&main, &named).await.unwrap();
        let stale = tasks.save_named_ids(&main, &named).await;
        assert!(is_conflict(&stale), "{stale:?}");
        expected.admit(&ids(0..last), moment(0));
        expected.revision += 1;
        named = tasks.named_ids(&main).await.unwrap();
        assert_eq!(named, expected);
    }
    assert_eq!(named.entries().len(), 1000);
    let others = [
        TaskOrigin {
            log_stream: "x".repeat(512),
            ..main.clone()
        },
        TaskOrigin {
            log_group: "/other".to_owned(),
            ..main
        },
    ];
    for other in others {
        assert_eq!(tasks.named_ids(&other).await.unwrap(), NamedIds::default());
        let mut named = NamedIds::default();
        named.admit(&ids(0..1), moment(0));
        named.revision = 1;
        tasks.save_named_ids(&other, &named).await.unwrap();
    }
}
