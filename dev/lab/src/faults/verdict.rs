//! What the system promises while a service has trouble, and whether it kept that.

use std::time::Duration;

use super::fault::{Fault, Service};
use super::proxy::Wire;
use super::run::Outcome;
use super::samples::{Kind, Sample};
use crate::statistics::Times;

/// How much longer any request may take because of Redis.
const MOST_ADDED: Duration = Duration::from_millis(60);
/// How much longer a request may wait once a process knows of the trouble, unless it is a trial.
const MOST_ADDED_ONCE_KNOWN: Duration = Duration::from_millis(5);
/// After how long a call of Redis is given up.
const CALL_BUDGET: Duration = Duration::from_millis(49);
/// After how long a service must be used again.
const MOST_RECOVERY: Duration = Duration::from_secs(5);

/// A fault in numbers.
#[derive(Debug)]
pub struct Verdict {
    /// Requests while it lasted and afterwards.
    pub requests: usize,
    /// Answers that were wrong, with those of the end state.
    pub wrong: usize,
    /// Writes that are lost, done twice, or half done.
    pub lost: usize,
    /// Requests that were refused, or failed, and should not have been.
    pub failed: usize,
    /// Requests that were refused for the moment, as they may be.
    pub refused: usize,
    /// How much longer reads of a task took, 99 of a hundred; below zero if not.
    pub added_to_reads: f64,
    /// The same of writes and pushes.
    pub added_to_writes: f64,
    /// How long requests waited for Redis, 99 of a hundred: the last one waits for a processor.
    pub wait: Duration,
    /// How long they did once the trouble was known, the middle one: few are trials.
    pub wait_once_known: Duration,
    /// After how long all processes used the service again.
    pub recovered: Option<Duration>,
    /// Promises that were broken, in words, and whether it is one that a busy machine may break: of time.
    pub broken: Vec<(String, bool)>,
    /// Whether Redis was not answering in time where nothing was done to it: then the machine is a fault of its own, which
    /// one process has and another has not.
    pub is_disturbed: bool,
}

impl Verdict {
    /// The verdict of what came of a fault; `calm` is the same load without one.
    pub fn of(fault: Fault, outcome: &Outcome, calm: &[Sample]) -> Self {
        let samples = || outcome.during.iter().chain(&outcome.after);
        let service = fault.service();
        let failed: Vec<&Sample> = samples()
            .filter(|sample| is_broken(service, sample))
            .collect();
        let bad = samples().filter(|sample| !sample.is_good()).count();
        let reads = |sample: &&Sample| sample.kind == Kind::Task;
        let writes = |sample: &&Sample| matches!(sample.kind, Kind::Write | Kind::Push);
        let during = &outcome.during;
        let calm_wait = Times::new(calm.iter().filter_map(|sample| sample.cache).collect());
        let waits = samples().filter_map(|sample| sample.cache);
        let longest = Times::new(waits.collect()).percentile(99);
        let known = during
            .iter()
            .filter(|sample| sample.started > outcome.begun + outcome.lasted / 2)
            .filter_map(|sample| sample.cache);
        let mut verdict = Self {
            requests: samples().count(),
            wrong: outcome.wrong.len() + outcome.findings.wrong.len(),
            lost: outcome.findings.lost.len(),
            failed: failed.len(),
            refused: bad - failed.len(),
            added_to_reads: added(during, calm, reads),
            added_to_writes: added(during, calm, writes),
            wait: longest,
            wait_once_known: Times::new(known.collect()).median(),
            recovered: outcome.recovered,
            broken: Vec::new(),
            is_disturbed: is_disturbed(service, outcome),
        };
        let verdict_wait = verdict.wait_once_known;
        let mut broken = |is_broken: bool, what: String, is_of_time: bool| {
            if is_broken {
                verdict.broken.push((what, is_of_time));
            }
        };
        let first = |of: &[String]| of.first().cloned().unwrap_or_default();
        let (wrong, findings) = (&outcome.wrong, &outcome.findings);
        broken(
            !wrong.is_empty(),
            format!("wrong answers: {}", first(wrong)),
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
            let what = format!("{:?} answered {}", sample.kind, sample.status);
            broken(true, what, false);
        }
        let late = outcome.recovered.is_none_or(|after| after > MOST_RECOVERY);
        broken(
            late,
            format!("used again after {:?}", outcome.recovered),
            true,
        );
        if service == Service::Redis {
            let most = calm_wait.median() + MOST_ADDED;
            broken(
                longest > most,
                format!("waited {longest:?} for Redis"),
                true,
            );
            let pushes = |sample: &&Sample| sample.kind == Kind::Push;
            let pushed = added(during, calm, pushes);
            let budget = MOST_ADDED.as_secs_f64() * 1000.0;
            broken(
                pushed > budget,
                format!("a push took {pushed:.0} ms longer"),
                true,
            );
            let most = calm_wait.median() + MOST_ADDED_ONCE_KNOWN;
            let wait = verdict_wait;
            // A Redis that answers in time is not left alone, whatever it says.
            let answers = match fault {
                Fault::RedisWire(Wire::Delayed(delay)) => delay < MOST_ADDED * 2 / 3,
                Fault::RedisFull | Fault::RedisWrongType | Fault::RedisFlushed => true,
                _ => false,
            };
            let what = format!("waited {wait:?} for Redis once that was known");
            broken(!answers && wait > most, what, true);
        }
        verdict
    }

    /// Whether it may be the machine that broke promises, and not the system. It never loses a write.
    pub fn may_be_machine(&self) -> bool {
        let is_of_time = self.broken.iter().all(|(_, is_of_time)| *is_of_time);
        is_of_time || (self.is_disturbed && self.lost == 0)
    }
}

/// Whether a process had to do without Redis although nothing was done to it.
fn is_disturbed(service: Service, outcome: &Outcome) -> bool {
    let (during, after) = (outcome.during.iter(), outcome.after.iter());
    let is_late = |sample: &Sample| {
        sample.cache_errors > 0 || sample.cache.is_some_and(|wait| wait >= CALL_BUDGET)
    };
    outcome.calm.iter().any(is_late)
        || (service == Service::DynamoDb && during.chain(after).any(is_late))
        || outcome
            .after
            .iter()
            .filter(|sample| sample.started > outcome.forgotten)
            .any(is_late)
}

/// Whether a request should have been answered otherwise.
fn is_broken(service: Service, sample: &Sample) -> bool {
    match (service, sample.kind) {
        _ if sample.is_good() => false,
        (Service::Redis, _) => true,
        // What the cache has is answered whatever the store does.
        (Service::DynamoDb, Kind::Task) => true,
        // Lambda hands it over again.
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
