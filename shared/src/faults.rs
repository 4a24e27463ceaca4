//! Faults on demand, for tests of what happens when a store or a cache fails.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Source;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not made.
    Unmade,
    /// It is made, and its answer is lost: the caller can't know.
    AnswerLost,
}

/// What the error of a fault says.
#[derive(Debug, thiserror::Error)]
#[error("a fault that the test asked for")]
struct Injected;

/// Says which calls of a faulty part fail. Clones speak of the same part.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    calls: u64,
    always: Option<Fault>,
    once: BTreeMap<u64, Fault>,
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

    /// From now on no call fails.
    pub fn clear(&self) {
        let mut plan = self.lock();
        plan.always = None;
        plan.once.clear();
    }

    /// How many calls there were, failed ones included.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Fault> {
        let mut plan = self.lock();
        plan.calls += 1;
        let calls = plan.calls;
        plan.once.remove(&calls).or(plan.always)
    }

    /// Makes `call`, or fails it with what `error` makes of the cause.
    pub(crate) async fn around<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        error: impl FnOnce(Source) -> E + Send,
    ) -> Result<T, E> {
        let fault = self.next();
        if fault == Some(Fault::Unmade) {
            return Err(error(Injected.into()));
        }
        let answer = call.await?;
        match fault {
            Some(_) => Err(error(Injected.into())),
            None => Ok(answer),
        }
    }
}
