//! A backlog that is too large for one invocation: each invocation continues where the previous one
//! stopped, and each ends before its deadline.
//!
//! `BACKLOG_EVENTS` sets the number of log events, 50,000 by default. If it is set, the test also
//! checks that memory stays flat, so no other test may run in its process:
//!
//! ```console
//! $ BACKLOG_EVENTS=1000000 cargo test -p progress-collector --test collect -- several_invocations --nocapture
//! ```

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use progress_collector::{Backfill, Collector, Summary, Sweep};
use proptest::prelude::*;
use shared::checkpoint::{Checkpoint, CheckpointStore};
use shared::log_event::LogEvent;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::{TaskStatus, Timestamp};
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use tokio::time::{Instant, timeout};

use crate::harness::{AGENTS, Harness, START_MS, now};
use crate::races::{block_on, config};

/// The time limit of an invocation.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The time per page: an invocation reads 17 pages and has three seconds left.
const TIME_PER_PAGE: Duration = Duration::from_millis(400);
/// The last log event, in milliseconds after the first. Sweeps do not reach it by their overlap
/// alone.
const LAST_EVENT_MS: i64 = 200_000;
/// The most memory that reading may add to that of the idle process.
const MAX_ADDED_MEMORY_KIB: u64 = 64 * 1024;

/// The log of agents that each report many steps. It creates its events when they are read.
struct AgentLog {
    events: u64,
    streams: u64,
    page_size: u64,
    /// Log events that were read, repeated ones included.
    events_read: AtomicU64,
}

impl AgentLog {
    fn new(events: u64, streams: u64, page_size: u64) -> Arc<Self> {
        Arc::new(Self {
            events,
            streams,
            page_size,
            events_read: AtomicU64::new(0),
        })
    }

    fn time_of(&self, index: u64) -> Timestamp {
        let after = index * u64::try_from(LAST_EVENT_MS).unwrap() / self.events.max(1);
        Timestamp::from_millis(START_MS + i64::try_from(after).unwrap())
    }

    fn event(&self, index: u64) -> LogEvent {
        let (stream, step) = (index % self.streams, index / self.streams + 1);
        let steps = (self.events - stream).div_ceil(self.streams);
        let status = if step == steps {
            "completed"
        } else {
            "running"
        };
        LogEvent {
            log_stream: format!("agent-{stream:04}"),
            timestamp: self.time_of(index),
            ingested_at: self.time_of(index),
            event_id: format!("{index:056}"),
            message: format!(
                r#"{{"level":"INFO","message":"step {step}","status":"{status}","progress":{{"current":{step},"total":{steps}}}}}"#
            ),
        }
    }

    /// The indexes of the events in a window.
    fn in_window(&self, request: &PageRequest<'_>) -> Range<u64> {
        let first_after = |is_before: &dyn Fn(Timestamp) -> bool| {
            let (mut low, mut high) = (0, self.events);
            while low < high {
                let middle = low.midpoint(high);
                match is_before(self.time_of(middle)) {
                    true => low = middle + 1,
                    false => high = middle,
                }
            }
            low
        };
        first_after(&|time| time < request.start)..first_after(&|time| time <= request.end)
    }
}

#[async_trait]
impl LogSource for AgentLog {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        tokio::time::sleep(TIME_PER_PAGE).await;
        if request.log_group != AGENTS {
            return Ok(LogPage::default());
        }
        let mut window = self.in_window(&request);
        if let Some(page_token) = request.next_token {
            window.start = page_token.parse().unwrap();
        }
        let end = window.end.min(window.start + self.page_size);
        let events: Vec<_> = (window.start..end).map(|index| self.event(index)).collect();
        self.events_read
            .fetch_add(end - window.start, Ordering::Relaxed);
        Ok(LogPage {
            events,
            next_token: (end < window.end).then(|| end.to_string()),
        })
    }
}

/// The time of a sweep, one a minute.
fn minute(run: u32) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + 60_000 * i64::from(run))
}

/// Runs one invocation, which must end before its deadline.
async fn run(collector: &Collector, at: Timestamp) -> Summary {
    let deadline = Instant::now() + TIMEOUT;
    let summary = collector.handle(&Sweep, at, Some(deadline)).await;
    assert!(Instant::now() < deadline, "an invocation ran late");
    summary.unwrap()
}

/// Runs invocations until everything is read, and returns how many that took.
async fn run_until_complete(collector: &Collector) -> u32 {
    for number in 1.. {
        if run(collector, minute(number)).await.totals().complete {
            return number;
        }
        assert!(number < 1_000, "the backlog was never read to its end");
    }
    unreachable!("the loop has no end")
}

async fn checkpoint(harness: &Harness) -> Checkpoint {
    harness.checkpoints.load(AGENTS).await.unwrap().unwrap()
}

/// The peak memory of this process, on Linux.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[tokio::test(start_paused = true)]
async fn several_invocations_read_a_backlog() {
    let asked = std::env::var("BACKLOG_EVENTS").ok();
    let asked = asked.map(|events| events.parse::<u64>().unwrap());
    let events = asked.unwrap_or(50_000);
    let agents = || AgentLog::new(events, 200, events / 100);

    let idle = peak_memory_kib();
    let (interrupted, source) = (Harness::new(1), agents());
    let runs = run_until_complete(&interrupted.collector_reading(source.clone())).await;
    assert_eq!(runs, 6, "100 pages, 17 at a time");
    assert_eq!(
        source.events_read.load(Ordering::Relaxed),
        events,
        "no event is read twice"
    );
    let checkpoint = checkpoint(&interrupted).await;
    assert_eq!(
        (checkpoint.read_up_to, checkpoint.resume),
        (minute(runs), None)
    );
    if let (Some(_), Some(idle), Some(peak)) = (asked, idle, peak_memory_kib()) {
        println!("{events} events: {idle} KiB idle, {peak} KiB at most");
        assert!(peak - idle < MAX_ADDED_MEMORY_KIB);
    }

    let undisturbed = Harness::new(1);
    let collector = undisturbed.collector_reading(agents());
    let summary = collector.handle(&Sweep, minute(runs), None).await.unwrap();
    assert_eq!(
        (summary.totals().log_events, summary.totals().pages),
        (events, 101)
    );
    let tasks = undisturbed.tasks().await;
    assert_eq!(tasks.len(), 200);
    assert!(
        tasks
            .iter()
            .all(|task| task.status == TaskStatus::Completed)
    );
    assert_eq!(interrupted.tasks().await, tasks);
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_old_page_token_restarts_the_window() {
    let hours = |hours: i64| Timestamp::from_millis(now().as_millis() + hours * 3_600_000);
    for (refused, later, events_read) in [
        (false, hours(22), 1_000),
        (false, hours(24), 1_000 + 17 * 40),
        (true, hours(1), 1_000 + 17 * 40),
    ] {
        let (harness, source) = (Harness::new(1), AgentLog::new(1_000, 7, 40));
        let collector = harness.collector_reading(source.clone());
        assert!(!run(&collector, now()).await.totals().complete);
        let checkpoint_before = checkpoint(&harness).await;
        let resume = checkpoint_before.resume.unwrap();
        assert_eq!((resume.end, resume.next_token.as_str()), (now(), "680"));
        assert_eq!(
            checkpoint_before.read_up_to, resume.start,
            "no window is complete"
        );

        let summary = sweep_later(&harness, &source, refused, later).await;
        assert!(summary.totals().complete);
        assert_eq!(summary.groups[1].error, None);
        assert_eq!(
            source.events_read.load(Ordering::Relaxed),
            events_read,
            "{refused} {later}"
        );
        assert_eq!(checkpoint(&harness).await.resume, None);
        let tasks = harness.tasks().await;
        assert!(tasks.len() == 7 && tasks.iter().all(|task| task.status.is_terminal()));
    }
}

/// Sweeps at the time `later`. If `refused`, the source refuses the first page token that it gets.
async fn sweep_later(
    harness: &Harness,
    source: &Arc<AgentLog>,
    refused: bool,
    later: Timestamp,
) -> Summary {
    let faults = Faults::none();
    let mut refuses = refused;
    faults.disturb(move |call| {
        let has_token = call.is_about(AGENTS) && call.subjects.len() > 1;
        let is_refused = has_token && std::mem::take(&mut refuses);
        is_refused.then_some(Fault::Error(ErrorKind::Refused))
    });
    let source = Faulty::new(source.clone(), faults);
    let collector = harness.collector_reading(Arc::new(source));
    collector.handle(&Sweep, later, None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_backfill_saves_no_checkpoint() {
    let (harness, source) = (Harness::new(1), AgentLog::new(1_000, 7, 10));
    let collector = harness.collector_reading(source);
    let trigger = Backfill {
        log_group: AGENTS.to_owned(),
        start: Timestamp::from_millis(START_MS),
        end: now(),
    };
    let deadline = Some(Instant::now() + Duration::from_secs(25));
    let summary = collector.handle(&trigger, now(), deadline).await.unwrap();
    assert!(!summary.totals().complete && summary.totals().tasks_changed > 7);
    assert_eq!(harness.checkpoints.load(AGENTS).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_killed_invocation_loses_only_its_last_seconds() {
    let (harness, source) = (Harness::new(1), AgentLog::new(1_000, 7, 10));
    let collector = harness.collector_reading(source.clone());
    // The collector knows no deadline.
    let killed = timeout(
        Duration::from_secs(25),
        collector.handle(&Sweep, now(), None),
    );
    assert!(killed.await.is_err());
    let resume = checkpoint(&harness).await.resume.unwrap();
    assert_eq!(resume.next_token, "500", "saved after 20 seconds");
    assert_eq!(harness.tasks().await.len(), 7);
}

/// These cases take long.
fn fewer_cases() -> ProptestConfig {
    let config = config();
    ProptestConfig {
        cases: config.cases.div_ceil(4),
        ..config
    }
}

proptest! {
    #![proptest_config(fewer_cases())]

    /// Kills, deadlines and concurrent runs: the end state is that of one undisturbed run.
    #[test]
    fn disturbances_do_not_change_the_end_state(
        disturbances in proptest::collection::vec((1..300u64, 0..300u64, any::<bool>()), 0..6),
        page_size in 5..60u64,
    ) {
        let sources = || AgentLog::new(300, 5, page_size);
        block_on(async {
            let (busy, calm) = (Harness::new(1), Harness::new(1));
            let (one, other) = (busy.collector_reading(sources()), busy.collector_reading(sources()));
            let mut last = 0;
            for (number, (deadline, killed, together)) in (1..).zip(disturbances) {
                let deadline = Instant::now() + Duration::from_millis(3_000 + 100 * deadline);
                let killed = Duration::from_millis(100 * killed);
                let sweep = async |collector: &Collector| {
                    let swept = collector.handle(&Sweep, minute(number), Some(deadline));
                    if let Ok(swept) = timeout(killed, swept).await {
                        assert!(Instant::now() < deadline);
                        swept.unwrap();
                    }
                };
                if together {
                    tokio::join!(sweep(&one), sweep(&other));
                } else {
                    sweep(&one).await;
                }
                last = number;
            }
            for number in last + 1..last + 100 {
                if run(&one, minute(number)).await.totals().complete {
                    break;
                }
            }
            let collector = calm.collector_reading(sources());
            collector.handle(&Sweep, minute(1), None).await.unwrap();
            prop_assert_eq!(busy.tasks().await, calm.tasks().await);
            prop_assert_eq!(checkpoint(&busy).await.resume, None);
            Ok(())
        })?;
    }
}
