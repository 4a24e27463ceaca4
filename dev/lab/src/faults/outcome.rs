//! The promises for times of trouble, and whether an experiment kept them.

use std::time::Duration;

use super::fault::{Fault, Service};
use super::proxy::Wire;
use super::run::Observations;
use super::samples::{Kind, Sample};
use crate::statistics::Times;

/// The largest delay of a request by Redis.
const MAX_ADDED: Duration = Duration::from_millis(60);
/// The largest delay by Redis while the circuit breaker is open. Trials may take longer.
const MAX_ADDED_WHILE_OPEN: Duration = Duration::from_millis(5);
/// The time limit of a call of Redis.
const CALL_BUDGET: Duration = Duration::from_millis(49);
/// The time after a fault within which all processes must use the service again.
const MAX_RECOVERY: Duration = Duration::from_secs(5);

/// The outcome of an experiment in numbers.
#[derive(Debug)]
pub struct Outcome {
    /// Requests during and after the fault.
    pub requests: usize,
    /// Wrong responses, including those of the end state.
    pub wrong: usize,
    /// Writes that are lost, were made twice, or are half made.
    pub lost: usize,
    /// Requests that failed or were refused against a promise.
    pub failed: usize,
    /// Requests that were refused for the moment, which is allowed.
    pub refused: usize,
    /// The difference of the 99th percentile of task reads, in milliseconds.
    pub added_to_reads: f64,
    /// The same for writes and pushes.
    pub added_to_writes: f64,
    /// The 99th percentile of waits for Redis. The longest one waits for a processor.
    pub wait: Duration,
    /// The median wait in the second half of the fault, when the circuit breaker is open.
    pub wait_while_open: Duration,
    /// The time after which all processes used the service again.
    pub recovered: Option<Duration>,
    /// Broken promises, in words. `true` if it is a time limit, which a busy machine may break.
    pub broken: Vec<(String, bool)>,
    /// Whether Redis was too slow while it had no fault. Then the machine itself is disturbed.
    pub is_disturbed: bool,
}

impl Outcome {
    /// The outcome of an experiment. `calm` are requests of the same load without a fault.
    pub fn of(fault: Fault, observed: &Observations, calm: &[Sample]) -> Self {
        let samples = || observed.during.iter().chain(&observed.after);
        let service = fault.service();
        let failed: Vec<&Sample> = samples()
            .filter(|sample| is_broken(service, sample))
            .collect();
        let bad = samples().filter(|sample| !sample.is_good()).count();
        let reads = |sample: &&Sample| sample.kind == Kind::Task;
        let writes = |sample: &&Sample| matches!(sample.kind, Kind::Write | Kind::Push);
        let during = &observed.during;
        let calm_wait = Times::new(calm.iter().filter_map(|sample| sample.cache).collect());
        let waits = samples().filter_map(|sample| sample.cache);
        let longest = Times::new(waits.collect()).percentile(99);
        let known = during
            .iter()
            .filter(|sample| sample.started > observed.begun + observed.lasted / 2)
            .filter_map(|sample| sample.cache);
        let mut result = Self {
            requests: samples().count(),
            wrong: observed.wrong.len() + observed.findings.wrong.len(),
            lost: observed.findings.lost.len(),
            failed: failed.len(),
            refused: bad - failed.len(),
            added_to_reads: added(during, calm, reads),
            added_to_writes: added(during, calm, writes),
            wait: longest,
            wait_while_open: Times::new(known.collect()).median(),
            recovered: observed.recovered,
            broken: Vec::new(),
            is_disturbed: is_disturbed(service, observed),
        };
        let wait_while_open = result.wait_while_open;
        let mut broken = |is_broken: bool, what: String, is_time_limit: bool| {
            if is_broken {
                result.broken.push((what, is_time_limit));
            }
        };
        let first = |of: &[String]| of.first().cloned().unwrap_or_default();
        let (wrong, findings) = (&observed.wrong, &observed.findings);
        broken(
            !wrong.is_empty(),
            format!("wrong responses: {}", first(wrong)),
            false,
        );
        let ended_wrong = &findings.wrong;
        broken(
            !ended_wrong.is_empty(),
            format!("wrong at the end: {}", first(ended_wrong)),
            false,
        );
        broken(
            !findings.lost.is_empty(),
            format!("lost: {}", first(&findings.lost)),
            false,
        );
        if let Some(sample) = failed.first() {
            let what = format!("the response to a {:?} was {}", sample.kind, sample.status);
            broken(true, what, false);
        }
        let late = observed.recovered.is_none_or(|after| after > MAX_RECOVERY);
        broken(
            late,
            format!("used again after {:?}", observed.recovered),
            true,
        );
        if service == Service::Redis {
            let most = calm_wait.median() + MAX_ADDED;
            broken(
                longest > most,
                format!("waited {longest:?} for Redis"),
                true,
            );
            let pushes = |sample: &&Sample| sample.kind == Kind::Push;
            let pushed = added(during, calm, pushes);
            let budget = MAX_ADDED.as_secs_f64() * 1000.0;
            broken(
                pushed > budget,
                format!("a push took {pushed:.0} ms longer"),
                true,
            );
            let most = calm_wait.median() + MAX_ADDED_WHILE_OPEN;
            let wait = wait_while_open;
            // These faults don't make calls slow, so that the circuit breaker stays closed.
            let answers = match fault {
                Fault::RedisWire(Wire::Delayed(delay)) => delay < MAX_ADDED * 2 / 3,
                Fault::RedisFull | Fault::RedisWrongType | Fault::RedisFlushed => true,
                _ => false,
            };
            let what = format!("waited {wait:?} for Redis with the circuit breaker open");
            broken(!answers && wait > most, what, true);
        }
        result
    }

    /// Whether a busy machine may have broken the promises. It never loses a write.
    pub fn may_be_machine(&self) -> bool {
        let only_time_limits = self.broken.iter().all(|(_, is_time_limit)| *is_time_limit);
        only_time_limits || (self.is_disturbed && self.lost == 0)
    }
}

/// Whether a process had to do without Redis while Redis had no fault.
fn is_disturbed(service: Service, observed: &Observations) -> bool {
    let (during, after) = (observed.during.iter(), observed.after.iter());
    let is_late = |sample: &Sample| {
        sample.cache_errors > 0 || sample.cache.is_some_and(|wait| wait >= CALL_BUDGET)
    };
    observed.calm.iter().any(is_late)
        || (service == Service::DynamoDb && during.chain(after).any(is_late))
        || observed
            .after
            .iter()
            .filter(|sample| sample.started > observed.settled)
            .any(is_late)
}

/// Whether a response breaks a promise.
fn is_broken(service: Service, sample: &Sample) -> bool {
    match (service, sample.kind) {
        _ if sample.is_good() => false,
        (Service::Redis, _) => true,
        // The cache serves these without the store.
        (Service::DynamoDb, Kind::Task) => true,
        // Lambda repeats it.
        (Service::DynamoDb, Kind::Push) => false,
        (Service::DynamoDb, _) => sample.status != 503 || !sample.has_retry_after,
    }
}

/// The difference that the fault makes to the 99th percentile, in milliseconds.
fn added(during: &[Sample], calm: &[Sample], which: impl Fn(&&Sample) -> bool) -> f64 {
    let p99 = |samples: &[Sample]| {
        let took = samples.iter().filter(&which).map(|sample| sample.took);
        Times::new(took.collect()).percentile(99).as_secs_f64() * 1000.0
    };
    p99(during) - p99(calm)
}
