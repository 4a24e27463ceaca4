//! Faults on demand, for tests of what happens when a store or a cache fails.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::error::Source;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not made.
    Unmade,
    /// It is made, and its answer is lost: the caller can't know.
    AnswerLost,
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// How long it takes until the call is made.
    pub before: Duration,
    /// How it fails, if it does.
    pub fault: Option<Fault>,
    /// How long it takes then until it is answered.
    pub after: Duration,
}

/// What the error of a fault says.
#[derive(Debug, thiserror::Error)]
#[error("a fault that the test asked for")]
struct Injected;

/// Says which calls of a faulty part fail. Clones speak of the same part.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    calls: u64,
    always: Option<Fault>,
    once: BTreeMap<u64, Fault>,
    disturb: Option<Box<dyn FnMut() -> Disturbance + Send>>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl Faults {
    /// No faults, until some are asked for.
    pub fn none() -> Self {
        Self::default()
    }

    /// From now on every call fails.
    pub fn fail_always(&self, fault: Fault) {
        self.lock().always = Some(fault);
    }

    /// The `nth` call from now on fails, 1 being the next.
    pub fn fail_call(&self, nth: u64, fault: Fault) {
        let mut plan = self.lock();
        let call = plan.calls.saturating_add(nth);
        plan.once.insert(call, fault);
    }

    /// From now on `disturb` says of each call, when it is made, what happens to it, unless one of the others does.
    pub fn disturb(&self, disturb: impl FnMut() -> Disturbance + Send + 'static) {
        self.lock().disturb = Some(Box::new(disturb));
    }

    /// From now on no call fails.
    pub fn clear(&self) {
        let mut plan = self.lock();
        plan.always = None;
        plan.once.clear();
        plan.disturb = None;
    }

    /// How many calls there were, failed ones included.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Disturbance {
        let mut plan = self.lock();
        plan.calls += 1;
        let calls = plan.calls;
        let asked_for = plan.once.remove(&calls).or(plan.always);
        let mut disturbance = match &mut plan.disturb {
            Some(disturb) => disturb(),
            None => Disturbance::default(),
        };
        disturbance.fault = asked_for.or(disturbance.fault);
        disturbance
    }

    /// Makes `call`, or fails it with what `error` makes of the cause.
    ///
    /// # Errors
    ///
    /// Those of the call, and of the faults.
    pub async fn around<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        error: impl FnOnce(Source) -> E + Send,
    ) -> Result<T, E> {
        let Disturbance {
            before,
            fault,
            after,
        } = self.next();
        pause(before).await;
        if fault == Some(Fault::Unmade) {
            return Err(error(Injected.into()));
        }
        let answer = call.await?;
        pause(after).await;
        match fault {
            Some(_) => Err(error(Injected.into())),
            None => Ok(answer),
        }
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
