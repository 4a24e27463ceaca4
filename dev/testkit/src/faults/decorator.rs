//! The one decorator of all roles.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::batch::named_ids::NamedIds;
use shared::cache::{Answer, CacheError, CacheKey, Lookup, TaskCache};
use shared::checkpoint::{Checkpoint, CheckpointStore};
use shared::event_sink::{EventSink, EventSinkError, TaskEvent};
use shared::log_source::{
    LogPage, LogSource, LogSourceError, PageRequest, TailRequest, TailSource,
};
use shared::log_tail::{TailLine, TailPart};
use shared::model::{
    HistoryEntry, Metrics, Project, ProjectId, RecordId, RunId, Task, TaskId, Timestamp,
};
use shared::object_source::{Object, ObjectError, ObjectName, ObjectSource};
use shared::push_sink::{Channel, PushError, PushSink};
use shared::record::{TaskChange, TaskOrigin, TaskRecord};
use shared::store::{IdempotencyRecord, ProjectStore, StoreError, TaskPage, TaskQuery, TaskStore};
use shared::validator::Validator;

use super::plan::{Call, Fault, Faults, InjectedError, Role};

/// A part whose calls fail as its [`Faults`] decide. It has every role that the part inside has.
pub struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    faults: Faults,
}

impl<T: ?Sized> Faulty<T> {
    /// Decorates `inner`.
    pub fn new(inner: Arc<T>, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The part inside, which never fails.
    pub fn inner(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Clone for Faulty<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.inner), self.faults.clone())
    }
}

impl<T: ?Sized> fmt::Debug for Faulty<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Faulty")
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// Implements one role. Each line is a method of the trait and, in brackets, the subjects of its
/// calls.
macro_rules! decorate {
    ($role:ident, $error:ty {
        $($method:ident($($argument:ident: $type:ty),*) -> $output:ty, $subjects:expr;)+
    }) => {
        #[async_trait]
        impl<T: $role + ?Sized> $role for Faulty<T> {
            $(
                async fn $method(&self, $($argument: $type),*) -> Result<$output, $error> {
                    let subjects = $subjects;
                    let call = Call {
                        role: Role::$role,
                        operation: stringify!($method),
                        subjects: &subjects,
                    };
                    let inner = $role::$method(&*self.inner, $($argument),*);
                    self.faults.around(call, inner).await
                }
            )+
        }
    };
}

decorate!(TaskStore, StoreError {
    fetch(id: &RecordId) -> Option<Task>, [id.task_id().as_str()];
    fetch_records(task_ids: &[TaskId]) -> Vec<TaskRecord>,
        task_ids.iter().map(TaskId::as_str).collect::<Vec<_>>();
    save(change: &TaskChange) -> (), [change.task_id.as_str()];
    create(change: &TaskChange, record: &IdempotencyRecord) -> Option<IdempotencyRecord>,
        [change.task_id.as_str()];
    named_ids(origin: &TaskOrigin) -> NamedIds, [origin.log_stream.as_str()];
    save_named_ids(origin: &TaskOrigin, ids: &NamedIds) -> (), [origin.log_stream.as_str()];
    save_tail(run_id: &RunId, part: &TailPart, kept_for: Duration) -> (), [run_id.task_id.as_str()];
    tail(run_id: &RunId) -> Vec<TailPart>, [run_id.task_id.as_str()];
    subtract_expired(expired: &Task) -> (), [expired.task_id.as_str()];
    runs(task_id: &TaskId, before: Option<Timestamp>, limit: usize) -> Vec<Task>,
        [task_id.as_str()];
    usual_duration_ms(task: &Task) -> Option<u64>, [task.task_id.as_str()];
    list(query: &TaskQuery, after: Option<&RunId>, limit: usize) -> TaskPage, [];
    history(
        run_id: &RunId, after: Option<Timestamp>, until: Option<Timestamp>, limit: usize
    ) -> Vec<HistoryEntry>, [run_id.task_id.as_str()];
    ping() -> (), [];
});

decorate!(ProjectStore, StoreError {
    fetch(project_id: &ProjectId) -> Option<Project>, [project_id.as_str()];
    create(project: &Project) -> (), [project.project_id.as_str()];
    update(previous: &Project, next: &Project) -> (), [next.project_id.as_str()];
    list() -> Vec<Project>, [];
    list_without_metrics() -> Vec<Project>, [];
    totals() -> Metrics, [];
    ping() -> (), [];
});

decorate!(CheckpointStore, StoreError {
    load(source: &str) -> Option<Checkpoint>, [source];
    save(source: &str, checkpoint: Checkpoint) -> (), [source];
});

decorate!(TaskCache, CacheError {
    fetch(key: &CacheKey, known: &[Validator]) -> Lookup, [subject_of(key)];
    put(key: &CacheKey, answer: &Answer, age: Duration) -> (), [subject_of(key)];
    remove(key: &CacheKey) -> (), [subject_of(key)];
    begin_generation() -> (), [];
    ping() -> (), [];
});

fn subject_of(key: &CacheKey) -> &str {
    match key {
        CacheKey::Run(id) => id.task_id().as_str(),
        CacheKey::Page(key) => key,
    }
}

decorate!(LogSource, LogSourceError {
    fetch_page(request: PageRequest<'_>) -> LogPage,
        [Some(request.log_group), request.next_token].into_iter().flatten().collect::<Vec<_>>();
});

decorate!(ObjectSource, ObjectError {
    open(name: &ObjectName) -> Object, [name.key.as_str()];
});

decorate!(TailSource, LogSourceError {
    fetch_tail(request: TailRequest<'_>) -> Vec<TailLine>, [request.log_group, request.log_stream];
});

#[async_trait]
impl<T: EventSink + ?Sized> EventSink for Faulty<T> {
    /// The faults also decide about each event by itself, as `send_one`: a sink may take some
    /// events of a batch and refuse others.
    async fn send(
        &self,
        events: &[&TaskEvent],
    ) -> Result<Vec<Result<(), EventSinkError>>, EventSinkError> {
        let subjects: Vec<_> = events.iter().map(|event| event.task_id.as_str()).collect();
        let call = Call {
            role: Role::EventSink,
            operation: "send",
            subjects: &subjects,
        };
        let inner = async {
            let refusals: Vec<_> = events.iter().map(|event| self.refusal(event)).collect();
            let taken: Vec<&TaskEvent> = events
                .iter()
                .zip(&refusals)
                .filter_map(|(event, refusal)| refusal.is_none().then_some(*event))
                .collect();
            let outcomes = match taken.as_slice() {
                [] => Vec::new(),
                taken => self.inner.send(taken).await?,
            };
            let mut outcomes = outcomes.into_iter();
            let outcome = |refusal| match refusal {
                Some(error) => Err(error),
                None => outcomes.next().unwrap_or(Ok(())),
            };
            Ok(refusals.into_iter().map(outcome).collect())
        };
        self.faults.around(call, inner).await
    }
}

#[async_trait]
impl<T: PushSink + ?Sized> PushSink for Faulty<T> {
    /// The faults also decide about each event by itself, as `send_one`.
    async fn publish(
        &self,
        channel: &Channel,
        events: &[&str],
    ) -> Result<Vec<Result<(), PushError>>, PushError> {
        let channel_name = channel.to_string();
        let call = Call {
            role: Role::PushSink,
            operation: "publish",
            subjects: &[&channel_name],
        };
        let inner = async {
            let mut outcomes = Vec::new();
            for event in events {
                let call = Call {
                    role: Role::PushSink,
                    operation: "send_one",
                    subjects: &[&channel_name],
                };
                let accepted = self.faults.around(call, async { Ok(()) }).await;
                if accepted.is_ok() {
                    self.inner.publish(channel, &[event]).await?;
                }
                outcomes.push(accepted);
            }
            Ok(outcomes)
        };
        self.faults.around(call, inner).await
    }
}

impl<T: EventSink + ?Sized> Faulty<T> {
    /// The error of one event of a batch, if the faults refuse it.
    fn refusal(&self, event: &TaskEvent) -> Option<EventSinkError> {
        let call = Call {
            role: Role::EventSink,
            operation: "send_one",
            subjects: &[event.task_id.as_str()],
        };
        match self.faults.next_event(&call)? {
            Fault::Error(kind) => Some(EventSinkError::injected(kind, &call)),
            _ => None,
        }
    }
}
