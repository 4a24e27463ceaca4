//! Checks of facts, and of what else a record has.

use std::sync::Arc;

use shared::fold::{Fact, FactLog, KeyedFact};
use shared::record::{FactsChange, Outcome};
use shared::store::{StoreError, TaskStore};

use super::tasks::full_task;
use super::{
    change_of, create, fetch_run, lines, live, moment, new_task, next_of, origin, record_of, save,
};
use crate::embedded_dynamodb::Stores;

/// A record has all facts that were written, in segments and in the base, and only these.
pub async fn facts_are_those_that_were_written(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = create(tasks, "t", None, moment(0)).await;
    let mut known = record_of(tasks, &first.task_id).await.facts;
    assert_eq!(known.facts().len(), 1);
    let mut replaced = 0;
    for number in 1..=80_i64 {
        let record = record_of(tasks, &first.task_id).await;
        let line = format!("[{number}/100] step {number}");
        let facts = lines(&[(moment(number * 1000), line.as_str())]);
        let outcome = record.add_lines(facts, &origin(), moment(number * 1000));
        let Outcome::Changed { change, .. } = outcome else {
            panic!("line {number} changes nothing");
        };
        tasks.save(&change).await.unwrap();
        match change.facts {
            FactsChange::Keep => panic!("line {number} is not stored"),
            FactsChange::Append(new) => drop(known.add(new)),
            FactsChange::Replace(log) => {
                known = log;
                replaced += 1;
            }
        }
        let stored = record_of(tasks, &first.task_id).await;
        assert_eq!(stored.facts, known, "after line {number}");
        assert_eq!(stored.items, change.items);
        assert_eq!(stored.newest.as_ref(), Some(&change.heads[0].next));
        assert_eq!(stored.segment_bytes > 0, stored.items.segments > 0);
    }
    assert_eq!(replaced, 2, "a base has 32 segments");
}

/// Parts are read with their run, whether they were written before or now.
pub async fn parts_are_of_one_run_alone(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = full_task("t");
    save(tasks, None, &first).await.unwrap();
    let second = next_of(&first, |task| task.message = None);
    let mut change = change_of(Some(&first), &second);
    change.items.detail_revision = Some(first.revision);
    tasks.save(&change).await.unwrap();
    let stored = tasks.fetch(&second.record_id()).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&second));

    // The next run has no parts, and the earlier one keeps its own.
    let mut earlier = second.clone();
    earlier.is_earlier = true;
    let mut third = new_task("t");
    third.revision = second.revision.next();
    third.run = moment(5);
    let mut change = change_of(Some(&second), &third);
    change.heads.extend(change_of(None, &earlier).heads);
    tasks.save(&change).await.unwrap();
    let stored = tasks.fetch(&third.record_id()).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&third));
    assert_eq!(fetch_run(tasks, earlier.run_id()).await, Some(earlier));
    let record = record_of(tasks, &third.task_id).await;
    assert_eq!(record.newest, Some(live(&third)));
}

/// Adds a line to a task, however many other writers there are.
async fn add(tasks: Arc<dyn TaskStore>, line: KeyedFact) {
    let task_id = "t".parse().unwrap();
    let mut conflicts = 0;
    loop {
        let record = record_of(&*tasks, &task_id).await;
        let outcome = record.add_lines(vec![line.clone()], &origin(), moment(100_000));
        let Outcome::Changed { change, .. } = outcome else {
            panic!("a line changes nothing");
        };
        match tasks.save(&change).await {
            Ok(()) => return,
            Err(StoreError::Conflict(_)) => conflicts += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(conflicts < 1000, "no writer wins");
    }
}

/// Concurrent writers lose no line, whoever of them writes a base.
pub async fn concurrent_writers_lose_no_line(stores: Stores) {
    let texts: Vec<_> = (1..=48_i64)
        .map(|n| format!("[{n}/100] step {n}"))
        .collect();
    let log = (1..).zip(&texts);
    let log: Vec<_> = log
        .map(|(n, text)| (moment(n * 1000), text.as_str()))
        .collect();
    let mut facts = lines(&log);
    facts.retain(|(_, fact)| !matches!(fact, Fact::Lines(_)));
    for facts in facts.chunks(6) {
        let writes = facts.iter().cloned();
        let writes = writes.map(|fact| add(Arc::clone(&stores.tasks), fact));
        futures::future::join_all(writes).await;
    }
    let record = record_of(&*stores.tasks, &"t".parse().unwrap()).await;
    assert_eq!(
        record.facts.facts(),
        facts.iter().cloned().collect::<FactLog>().facts()
    );
    let task = record.live().unwrap();
    assert_eq!((task.progress.current, task.revision.0), (Some(48), 48));
    assert!(record.items.base_revision.0 > 0, "there is a base");
}
