//! Fault injection for every role: stores, cache, log source and event sink.
//!
//! [`Faulty`] decorates a part that works. Its [`Faults`] decide what happens to each call:
//! nothing, an error, a lost answer, or no answer at all. Several decorated parts may share one
//! `Faults`.

mod decorator;
mod plan;

pub use decorator::Faulty;
pub use plan::{Call, Disturbance, ErrorKind, Fault, Faults, MESSAGE, Moment, Role};

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use shared::store::{StoreError, TaskStore};
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::store::conformance::{change_of, new_task, save as save_in};
    use crate::store::memory::InMemoryStore;

    const UNAVAILABLE: Fault = Fault::Error(ErrorKind::Unavailable);

    fn faulty_store() -> (Faulty<InMemoryStore>, Faults) {
        let faults = Faults::none();
        let store = Faulty::new(Arc::new(InMemoryStore::new()), faults.clone());
        (store, faults)
    }

    #[tokio::test]
    async fn a_call_fails_before_or_after_it_is_made() {
        let (store, faults) = faulty_store();
        let (first, second) = (new_task("first"), new_task("second"));
        faults.fail_call(1, UNAVAILABLE);
        faults.fail_call(3, Fault::AnswerLost);
        let save = async |task| save_in(&store, None, task).await;
        assert!(save(&first).await.is_err());
        assert!(save(&first).await.is_ok(), "the failed call was made");
        assert!(save(&second).await.is_err());
        let conflict = save(&second).await;
        assert!(matches!(conflict, Err(StoreError::Conflict(_))));
        faults.fail_always(UNAVAILABLE);
        assert!(store.ping().await.is_err());
        assert!(store.inner().ping().await.is_ok());
        faults.clear();
        assert!(store.ping().await.is_ok());
        assert_eq!(faults.calls(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_predicate_decides_about_each_call() {
        let (store, faults) = faulty_store();
        let mut calls = 0;
        faults.disturb(move |_| {
            calls += 1;
            Disturbance {
                before: Duration::from_millis(10),
                fault: (calls % 2 == 0).then_some(UNAVAILABLE),
                after: Duration::from_millis(5),
            }
        });
        let started = Instant::now();
        let answers = [store.ping().await, store.ping().await, store.ping().await];
        let answers = answers.map(|answer| answer.is_ok());
        assert_eq!(answers, [true, false, true]);
        assert_eq!(started.elapsed(), Duration::from_millis(40));
        faults.clear();
        assert!(store.ping().await.is_ok() && store.ping().await.is_ok());
    }

    #[tokio::test]
    async fn a_predicate_knows_the_operation_and_the_subject() {
        let (store, faults) = faulty_store();
        faults.disturb(|call| {
            let is_save = (call.role, call.operation) == (Role::TaskStore, "save");
            (is_save && call.is_about("bad")).then_some(Fault::Error(ErrorKind::Invalid))
        });
        let save = async |id| save_in(&store, None, &new_task(id)).await;
        let refused = save("bad").await;
        assert!(matches!(refused, Err(StoreError::Corrupt { id, .. }) if id == "bad"));
        save("good").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_killed_part_never_answers() {
        let (store, faults) = faulty_store();
        let task = new_task("t");
        let patience = Duration::from_secs(60);
        faults.fail_call(1, Fault::NeverAnswers);
        let change = change_of(None, &task);
        let save = TaskStore::save(&store, &change);
        assert!(timeout(patience, save).await.is_err());
        let stored = store
            .inner()
            .fetch_records(std::slice::from_ref(&task.task_id))
            .await;
        assert_eq!(stored.unwrap().len(), 1, "the call was not made");
        store.ping().await.unwrap();
        faults.kill();
        assert!(timeout(patience, store.ping()).await.is_err());
    }
}
