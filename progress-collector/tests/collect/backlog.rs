//! More than one invocation can read: each goes on where the one before it had to stop, and none runs late.
//!
//! `BACKLOG_EVENTS=1000000` sets how many events the big backlog has, 50,000 by default; where it is set, the test
//! also holds that memory stays flat, so that nothing else may run in its process:
//!
//! ```console
//! $ BACKLOG_EVENTS=1000000 cargo test -p progress-collector --test collect -- a_backlog_is --nocapture
//! ```

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use progress_collector::{Collector, Summary, Trigger};
use proptest::prelude::*;
use shared::checkpoint::{Checkpoint, CheckpointStore};
use shared::log_event::LogEvent;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::{TaskStatus, Timestamp};
use tokio::time::{Instant, timeout};

use crate::races::{block_on, config};
use crate::world::{AGENTS, START_MS, World, now};

/// How long an invocation has.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a page takes, so that an invocation reads 17 and has three seconds left.
const PAGE_TAKES: Duration = Duration::from_millis(400);
/// All events are that much older than [`now`] at least, which is more than the overlap of sweeps.
const LATEST_MS: i64 = 200_000;
/// The most that reading may add to what the process holds when it is idle.
const MOST_MEMORY_KIB: u64 = 64 * 1024;

/// Agents that each report so many steps, all at once: events that are made when they are asked for.
struct Agents {
    events: u64,
    streams: u64,
    page_size: u64,
    tokens_are_forgotten: AtomicBool,
    /// Events given.
    given: AtomicU64,
}

impl Agents {
    fn new(events: u64, streams: u64, page_size: u64) -> Arc<Self> {
        Arc::new(Self {
            events,
            streams,
            page_size,
            tokens_are_forgotten: AtomicBool::new(false),
            given: AtomicU64::new(0),
        })
    }

    fn time_of(&self, index: u64) -> Timestamp {
        let after = index * u64::try_from(LATEST_MS).unwrap() / self.events.max(1);
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
            event_id: format!("{index:056}"),
            message: format!(
                r#"{{"level":"INFO","message":"step {step}","status":"{status}","progress":{{"current":{step},"total":{steps}}}}}"#
            ),
        }
    }

    /// The events of a window, by number.
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
impl LogSource for Agents {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        tokio::time::sleep(PAGE_TAKES).await;
        if request.log_group != AGENTS {
            return Ok(LogPage::default());
        }
        let mut window = self.in_window(&request);
        if let Some(token) = request.next_token {
            if self.tokens_are_forgotten.load(Ordering::Relaxed) {
                return Err(LogSourceError::Refused {
                    log_group: AGENTS.to_owned(),
                    source: "the token has expired".into(),
                });
            }
            window.start = token.parse().unwrap();
        }
        let end = window.end.min(window.start + self.page_size);
        let events: Vec<_> = (window.start..end).map(|index| self.event(index)).collect();
        self.given.fetch_add(end - window.start, Ordering::Relaxed);
        Ok(LogPage {
            events,
            next_token: (end < window.end).then(|| end.to_string()),
        })
    }
}

/// A minute after each other, as the schedule has it.
fn minute(run: u32) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + 60_000 * i64::from(run))
}

/// One invocation, which must end in time.
async fn run(collector: &Collector, at: Timestamp) -> Summary {
    let deadline = Instant::now() + TIMEOUT;
    let summary = collector.handle(Trigger::Sweep, at, Some(deadline)).await;
    assert!(Instant::now() < deadline, "an invocation ran late");
    summary.unwrap()
}

/// Invocations until all was read: how many.
async fn run_until_complete(collector: &Collector) -> u32 {
    for number in 1.. {
        if run(collector, minute(number)).await.totals().complete {
            return number;
        }
        assert!(number < 1_000, "it never ends");
    }
    unreachable!("the loop has no end")
}

async fn checkpoint(world: &World) -> Checkpoint {
    world.checkpoints.load(AGENTS).await.unwrap().unwrap()
}

/// The most that this process has held at once, where the system tells.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_worked_off_by_several_invocations() {
    let asked = std::env::var("BACKLOG_EVENTS").ok();
    let asked = asked.map(|events| events.parse::<u64>().unwrap());
    let events = asked.unwrap_or(50_000);
    let agents = || Agents::new(events, 200, events / 100);

    let idle = peak_memory_kib();
    let (interrupted, source) = (World::new(1), agents());
    let runs = run_until_complete(&interrupted.collector_reading(source.clone())).await;
    assert_eq!(runs, 6, "100 pages, 17 at a time");
    assert_eq!(
        source.given.load(Ordering::Relaxed),
        events,
        "none is read twice"
    );
    let checkpoint = checkpoint(&interrupted).await;
    assert_eq!(
        (checkpoint.read_up_to, checkpoint.resume),
        (minute(runs), None)
    );
    if let (Some(_), Some(idle), Some(peak)) = (asked, idle, peak_memory_kib()) {
        println!("{events} events: {idle} KiB idle, {peak} KiB at most");
        assert!(peak - idle < MOST_MEMORY_KIB);
    }

    let undisturbed = World::new(1);
    let collector = undisturbed.collector_reading(agents());
    let summary = collector
        .handle(Trigger::Sweep, minute(runs), None)
        .await
        .unwrap();
    assert_eq!(
        (summary.totals().events, summary.totals().pages),
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
async fn a_token_that_is_refused_or_old_makes_the_window_begin_again() {
    let hours = |hours: i64| Timestamp::from_millis(now().as_millis() + hours * 3_600_000);
    for (refused, later, given) in [
        (false, hours(22), 1_000),
        (false, hours(24), 1_000 + 17 * 40),
        (true, hours(1), 1_000 + 17 * 40),
    ] {
        let (world, source) = (World::new(1), Agents::new(1_000, 7, 40));
        let collector = world.collector_reading(source.clone());
        assert!(!run(&collector, now()).await.totals().complete);
        let held = checkpoint(&world).await;
        let resume = held.resume.unwrap();
        assert_eq!((resume.end, resume.next_token.as_str()), (now(), "680"));
        assert_eq!(held.read_up_to, resume.start, "nothing is read to its end");

        source
            .tokens_are_forgotten
            .store(refused, Ordering::Relaxed);
        let summary = collector_after(&world, &source, refused, later).await;
        assert!(summary.totals().complete);
        assert_eq!(summary.groups[1].error, None);
        assert_eq!(
            source.given.load(Ordering::Relaxed),
            given,
            "{refused} {later}"
        );
        assert_eq!(checkpoint(&world).await.resume, None);
        let tasks = world.tasks().await;
        assert!(tasks.len() == 7 && tasks.iter().all(|task| task.status.is_terminal()));
    }
}

/// Reads all that is left `later`, by a source that knows the tokens it gives from then on.
async fn collector_after(
    world: &World,
    source: &Arc<Agents>,
    refused: bool,
    later: Timestamp,
) -> Summary {
    struct OnceRefused(Arc<Agents>);
    #[async_trait]
    impl LogSource for OnceRefused {
        async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
            let page = self.0.fetch_page(request).await;
            if request.log_group == AGENTS {
                self.0.tokens_are_forgotten.store(false, Ordering::Relaxed);
            }
            page
        }
    }
    assert_eq!(source.tokens_are_forgotten.load(Ordering::Relaxed), refused);
    let collector = world.collector_reading(Arc::new(OnceRefused(source.clone())));
    collector.handle(Trigger::Sweep, later, None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_is_cut_short_leaves_no_trace_in_checkpoints() {
    let (world, source) = (World::new(1), Agents::new(1_000, 7, 10));
    let collector = world.collector_reading(source);
    let trigger = Trigger::Backfill {
        log_group: AGENTS.to_owned(),
        start: Timestamp::from_millis(START_MS),
        end: now(),
    };
    let deadline = Some(Instant::now() + Duration::from_secs(25));
    let summary = collector.handle(trigger, now(), deadline).await.unwrap();
    assert!(!summary.totals().complete && summary.totals().tasks_changed > 7);
    assert_eq!(world.checkpoints.load(AGENTS).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_is_killed_costs_the_last_seconds_alone() {
    let (world, source) = (World::new(1), Agents::new(1_000, 7, 10));
    let collector = world.collector_reading(source.clone());
    // Nobody told it of a deadline.
    let killed = timeout(
        Duration::from_secs(25),
        collector.handle(Trigger::Sweep, now(), None),
    );
    assert!(killed.await.is_err());
    let resume = checkpoint(&world).await.resume.unwrap();
    assert_eq!(resume.next_token, "500", "saved after 20 seconds");
    assert_eq!(world.tasks().await.len(), 7);
}

/// These cases are long ones.
fn fewer_cases() -> ProptestConfig {
    let config = config();
    ProptestConfig {
        cases: config.cases.div_ceil(4),
        ..config
    }
}

proptest! {
    #![proptest_config(fewer_cases())]

    /// Killed, out of time, and side by side: the end is that of one run that nothing disturbs.
    #[test]
    fn whatever_disturbs_a_backlog_it_ends_the_same(
        disturbances in proptest::collection::vec((1..300u64, 0..300u64, any::<bool>()), 0..6),
        page_size in 5..60u64,
    ) {
        let sources = || Agents::new(300, 5, page_size);
        block_on(async {
            let (busy, calm) = (World::new(1), World::new(1));
            let (one, other) = (busy.collector_reading(sources()), busy.collector_reading(sources()));
            let mut last = 0;
            for (number, (deadline, killed, together)) in (1..).zip(disturbances) {
                let deadline = Instant::now() + Duration::from_millis(3_000 + 100 * deadline);
                let killed = Duration::from_millis(100 * killed);
                let sweep = async |collector: &Collector| {
                    let swept = collector.handle(Trigger::Sweep, minute(number), Some(deadline));
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
            collector.handle(Trigger::Sweep, minute(1), None).await.unwrap();
            prop_assert_eq!(busy.tasks().await, calm.tasks().await);
            prop_assert_eq!(checkpoint(&busy).await.resume, None);
            Ok(())
        })?;
    }
}
