//! Checks of history.

use shared::model::{HistoryEntry, Task, Timestamp};
use shared::record::TaskChange;
use shared::store::TaskStore;

use super::{change_of, moment, new_task, next_of, save};
use crate::embedded_dynamodb::Stores;

pub(super) async fn whole_history(tasks: &dyn TaskStore, task: &Task) -> Vec<HistoryEntry> {
    let history = tasks.history(&task.run_id(), None, None, 1000).await;
    history.unwrap()
}

/// History has an entry for each change of progress, and no other.
pub async fn history_has_one_entry_per_change(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = new_task("t");
    let second = next_of(&first, |task| task.message = Some("still waiting".into()));
    let third = next_of(&second, |task| task.progress.current = Some(3));
    // Of two changes in one millisecond, history has the later one.
    let fourth = next_of(&third, |task| {
        task.progress.current = Some(4);
        task.updated_at = third.updated_at;
    });
    save(tasks, None, &first).await.unwrap();
    save(tasks, Some(&first), &second).await.unwrap();
    save(tasks, Some(&second), &third).await.unwrap();
    let changes = [(None, &first), (Some(&second), &third)];
    let expected = changes.map(|(previous, next)| HistoryEntry::of_change(previous, next).unwrap());
    assert_eq!(whole_history(tasks, &third).await, expected);
    save(tasks, Some(&third), &fourth).await.unwrap();
    let changes = [(None, &first), (Some(&third), &fourth)];
    let expected = changes.map(|(previous, next)| HistoryEntry::of_change(previous, next).unwrap());
    assert_eq!(whole_history(tasks, &fourth).await, expected);
}

/// History is sorted by time. Pages lose and repeat no entry.
pub async fn history_is_read_in_pages(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut task = new_task("t");
    save(tasks, None, &task).await.unwrap();
    for step in [3, 1, 4, 2, 6, 5] {
        let next = next_of(&task, |task| {
            task.progress.current = Some(step);
            task.updated_at = moment(i64::try_from(step).unwrap());
        });
        save(tasks, Some(&task), &next).await.unwrap();
        task = next;
    }
    let all = whole_history(tasks, &task).await;
    let times: Vec<Timestamp> = all.iter().map(|entry| entry.timestamp).collect();
    assert_eq!(times, (0..=6).map(moment).collect::<Vec<_>>());
    let mut paged: Vec<HistoryEntry> = Vec::new();
    loop {
        let after = paged.last().map(|entry| entry.timestamp);
        let page = tasks.history(&task.run_id(), after, None, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
        assert!(paged.len() <= all.len(), "paging does not end");
    }
    assert_eq!(paged, all);
    let run_id = task.run_id();
    let window = tasks.history(&run_id, Some(moment(1)), Some(moment(4)), 10);
    assert_eq!(window.await.unwrap(), all.get(2..=4).unwrap());
    let nothing = tasks.history(&run_id, Some(moment(4)), Some(moment(4)), 10);
    assert_eq!(nothing.await.unwrap(), []);
}

/// Each run has its own history. If two change in one millisecond, the entry of the later one is a
/// millisecond later.
pub async fn history_is_of_one_run(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = new_task("t");
    save(tasks, None, &first).await.unwrap();
    let earlier = next_of(&first, |task| {
        task.is_earlier = true;
        task.progress.current = Some(1);
        task.revision = first.revision;
    });
    let later = next_of(&first, |task| task.run = moment(500));
    let mut change = change_of(Some(&first), &later);
    change.heads[0].before = None;
    let mut of_earlier = change_of(None, &earlier);
    of_earlier.heads[0].before = Some(first.clone());
    let heads = [change.heads, of_earlier.heads].concat();
    let change = TaskChange { heads, ..change };
    tasks.save(&change).await.unwrap();
    let entry = |previous: Option<&Task>, next: &Task| HistoryEntry::of_change(previous, next);
    let expected = [entry(None, &first), entry(Some(&first), &earlier)];
    let expected: Vec<_> = expected.into_iter().flatten().collect();
    assert_eq!(whole_history(tasks, &earlier).await, expected);
    let mut expected = entry(None, &later).unwrap();
    expected.timestamp = moment(1001);
    assert_eq!(whole_history(tasks, &later).await, [expected.clone()]);
    for limit in 1..3 {
        let history = tasks.history(&later.run_id(), None, None, limit).await;
        assert_eq!(history.unwrap(), [expected.clone()], "at most {limit}");
    }
}
