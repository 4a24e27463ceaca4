//! The calls of decorated parts, and the decisions about them.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::cache::CacheError;
use shared::error::Source;
use shared::event_sink::EventSinkError;
use shared::log_source::LogSourceError;
use shared::object_source::ObjectError;
use shared::push_sink::PushError;
use shared::store::StoreError;

/// The text of every injected error and panic. No client may ever see it.
pub const MESSAGE: &str = "a fault that the test injected";

/// The trait to which a call belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// [`TaskStore`](shared::store::TaskStore)
    TaskStore,
    /// [`ProjectStore`](shared::store::ProjectStore)
    ProjectStore,
    /// [`CheckpointStore`](shared::checkpoint::CheckpointStore)
    CheckpointStore,
    /// [`TaskCache`](shared::cache::TaskCache)
    TaskCache,
    /// [`LogSource`](shared::log_source::LogSource)
    LogSource,
    /// [`TailSource`](shared::log_source::TailSource)
    TailSource,
    /// [`ObjectSource`](shared::object_source::ObjectSource)
    ObjectSource,
    /// [`EventSink`](shared::event_sink::EventSink)
    EventSink,
    /// [`PushSink`](shared::push_sink::PushSink)
    PushSink,
}

/// One call of a decorated part.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The trait that is called.
    pub role: Role,
    /// The name of its method. A sink has a call of its own for each event, `send_one`.
    pub operation: &'static str,
    /// What the call is about: ids of tasks or a project, a cache key, or a log group and its page
    /// token.
    pub subjects: &'a [&'a str],
}

impl Call<'_> {
    /// Whether the call is about `subject`.
    pub fn is_about(&self, subject: &str) -> bool {
        self.subjects.contains(&subject)
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call is not made. The caller gets an error of this kind.
    Error(ErrorKind),
    /// The call is made, but the caller gets an `Unavailable` error.
    AnswerLost,
    /// The call is made, but the caller waits for the answer forever.
    NeverAnswers,
    /// The call is not made. It panics.
    Panic,
}

/// Which error of its trait a failed call returns. Cache errors have only one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Trying again may help.
    Unavailable,
    /// Trying again will not help.
    Refused,
    /// The stored or sent record itself is not valid.
    Invalid,
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// The delay before the call is made.
    pub before: Duration,
    /// How the call fails, if it does.
    pub fault: Option<Fault>,
    /// The delay after the call is made, until it returns.
    pub after: Duration,
}

impl From<Option<Fault>> for Disturbance {
    fn from(fault: Option<Fault>) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

/// A moment within a call. An observer sees each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The part inside is about to be called.
    Begun,
    /// The part inside has returned without an error.
    Made,
    /// The caller is about to get the answer: the delay after the call is over.
    Answered,
}

/// Decides which calls of decorated parts fail. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    plan: Mutex<Plan>,
    observer: Mutex<Option<Box<Observer>>>,
    is_killed: AtomicBool,
}

type Predicate = dyn FnMut(&Call<'_>) -> Disturbance + Send;
type Observer = dyn FnMut(&Call<'_>, Moment) + Send;

#[derive(Default)]
struct Plan {
    calls: u64,
    always: Option<Fault>,
    once: BTreeMap<u64, Fault>,
    predicate: Option<Box<Predicate>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Faults")
            .field("calls", &lock(&self.plan).calls)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    /// No faults yet.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every call fails.
    pub fn always(fault: Fault) -> Self {
        let faults = Self::none();
        faults.fail_always(fault);
        faults
    }

    /// From now on every call fails.
    pub fn fail_always(&self, fault: Fault) {
        lock(&self.0.plan).always = Some(fault);
    }

    /// The `nth` call from now on fails, 1 being the next.
    pub fn fail_call(&self, nth: u64, fault: Fault) {
        let mut plan = lock(&self.0.plan);
        let call = plan.calls.saturating_add(nth);
        plan.once.insert(call, fault);
    }

    /// From now on `predicate` decides about each call at its start. `fail_call` and `fail_always`
    /// take precedence over it.
    pub fn disturb<D: Into<Disturbance>>(
        &self,
        mut predicate: impl FnMut(&Call<'_>) -> D + Send + 'static,
    ) {
        let predicate = move |call: &Call<'_>| predicate(call).into();
        lock(&self.0.plan).predicate = Some(Box::new(predicate));
    }

    /// From now on `observer` sees each call that reaches the part inside. It must not call a
    /// decorated part.
    pub fn observe(&self, observer: impl FnMut(&Call<'_>, Moment) + Send + 'static) {
        *lock(&self.0.observer) = Some(Box::new(observer));
    }

    /// From now on no call is made and none returns, not even one that has begun: what a killed
    /// process looks like from outside. Nothing revives it.
    pub fn kill(&self) {
        self.0.is_killed.store(true, Ordering::Relaxed);
    }

    /// From now on no call fails. An observer stays.
    pub fn clear(&self) {
        let mut plan = lock(&self.0.plan);
        plan.always = None;
        plan.once.clear();
        plan.predicate = None;
    }

    /// The number of calls so far, failed ones included.
    pub fn calls(&self) -> u64 {
        lock(&self.0.plan).calls
    }

    /// Counts a call and decides about it.
    fn next(&self, call: &Call<'_>) -> Disturbance {
        let mut plan = lock(&self.0.plan);
        plan.calls += 1;
        let calls = plan.calls;
        let planned = plan.once.remove(&calls).or(plan.always);
        let mut disturbance = match &mut plan.predicate {
            Some(predicate) => predicate(call),
            None => Disturbance::default(),
        };
        disturbance.fault = planned.or(disturbance.fault);
        disturbance
    }

    /// Decides about one event of a batch. It is not counted as a call, and has no delays.
    pub(super) fn next_event(&self, call: &Call<'_>) -> Option<Fault> {
        let mut plan = lock(&self.0.plan);
        let predicate = plan.predicate.as_mut()?;
        predicate(call).fault
    }

    /// Passes a moment of a call to the observer. Never returns once the part is killed.
    async fn pass(&self, call: &Call<'_>, moment: Moment) {
        if let Some(observer) = lock(&self.0.observer).as_mut() {
            observer(call, moment);
        }
        if self.0.is_killed.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }

    /// Makes a call of the part inside, with the faults and delays that were decided for it.
    pub(super) async fn around<T, E: InjectedError>(
        &self,
        call: Call<'_>,
        inner: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let disturbance = self.next(&call);
        pause(disturbance.before).await;
        match disturbance.fault {
            Some(Fault::Error(kind)) => return Err(E::injected(kind, &call)),
            Some(Fault::Panic) => panic!("{MESSAGE}"),
            _ => {}
        }
        self.pass(&call, Moment::Begun).await;
        let answer = inner.await?;
        self.pass(&call, Moment::Made).await;
        pause(disturbance.after).await;
        match disturbance.fault {
            Some(Fault::AnswerLost) => return Err(E::injected(ErrorKind::Unavailable, &call)),
            Some(Fault::NeverAnswers) => pending().await,
            _ => {}
        }
        self.pass(&call, Moment::Answered).await;
        Ok(answer)
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

/// An error that a fault can produce.
pub(super) trait InjectedError {
    fn injected(kind: ErrorKind, call: &Call<'_>) -> Self;
}

impl InjectedError for StoreError {
    fn injected(kind: ErrorKind, call: &Call<'_>) -> Self {
        let (operation, source) = (call.operation, MESSAGE.into());
        match kind {
            ErrorKind::Unavailable => Self::Unavailable { operation, source },
            ErrorKind::Refused => Self::Refused { operation, source },
            ErrorKind::Invalid => {
                let id = call.subjects.first().copied().unwrap_or_default();
                let id = id.to_owned();
                Self::Corrupt { id, source }
            }
        }
    }
}

impl InjectedError for CacheError {
    fn injected(_: ErrorKind, call: &Call<'_>) -> Self {
        Self {
            operation: call.operation,
            source: MESSAGE.into(),
        }
    }
}

impl InjectedError for LogSourceError {
    fn injected(kind: ErrorKind, call: &Call<'_>) -> Self {
        let log_group = call.subjects.first().copied().unwrap_or_default();
        let (log_group, source) = (log_group.to_owned(), MESSAGE.into());
        match kind {
            ErrorKind::Unavailable => Self::Unavailable { log_group, source },
            ErrorKind::Refused | ErrorKind::Invalid => Self::Refused { log_group, source },
        }
    }
}

impl InjectedError for ObjectError {
    fn injected(kind: ErrorKind, call: &Call<'_>) -> Self {
        let key = call.subjects.first().copied().unwrap_or_default();
        let (bucket, key, source) = (String::new(), key.to_owned(), MESSAGE.into());
        match kind {
            ErrorKind::Unavailable => Self::Unavailable {
                bucket,
                key,
                source,
            },
            ErrorKind::Refused | ErrorKind::Invalid => Self::Refused {
                bucket,
                key,
                source,
            },
        }
    }
}

impl InjectedError for PushError {
    fn injected(kind: ErrorKind, _: &Call<'_>) -> Self {
        let source = Source::from(MESSAGE);
        match kind {
            ErrorKind::Unavailable => Self::Unavailable(source),
            ErrorKind::Refused | ErrorKind::Invalid => Self::Refused(source),
        }
    }
}

impl InjectedError for EventSinkError {
    fn injected(kind: ErrorKind, _: &Call<'_>) -> Self {
        let source = Source::from(MESSAGE);
        match kind {
            ErrorKind::Unavailable => Self::Unavailable(source),
            ErrorKind::Refused => Self::Refused(source),
            ErrorKind::Invalid => Self::Invalid(source),
        }
    }
}
