//! The dashboard's list: live push tells it of changes, and it asks now and then. Messages are lost,
//! late and doubled, and the connection is cut. What push has told must never be taken back.
//!
//! It decides as `api-lambda/assets/src` does (`recent-changes.js`, `paged-tasks.js`, `poller.js`).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use shared::model::Revision;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use crate::harness::Harness;
use crate::request::send;
use crate::rng::Rng;
use crate::trace;
use crate::watch::{Told, stored_runs};

/// How long a change that push has told is kept.
const KEPT: Duration = Duration::from_secs(20);
/// The longest time that the page waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
const POLLING: Duration = Duration::from_secs(1);
const FIRST_LIVE: Duration = Duration::from_secs(2);
const LIVE: Duration = Duration::from_secs(30);
/// How long the page is open.
const OPEN: Duration = Duration::from_secs(70);
const LIST: &str = "/api/tasks?limit=200";

/// A page that shows the list.
pub(crate) struct Page<'a> {
    name: String,
    harness: &'a Harness,
    apis: &'a [Router],
    rng: Rng,
    told: UnboundedReceiver<Told>,
    /// Messages under way, by the time of their arrival.
    under_way: Vec<(Instant, Told)>,
    /// What push has told lately.
    recent: BTreeMap<String, (Instant, Told)>,
    /// The greatest revision that push has told of a run.
    newest_told: BTreeMap<String, Revision>,
    shown: BTreeMap<String, Revision>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(name: String, harness: &'a Harness, apis: &'a [Router], rng: Rng) -> Self {
        Self {
            name,
            harness,
            apis,
            rng,
            told: harness.watch.tell(),
            under_way: Vec::new(),
            recent: BTreeMap::new(),
            newest_told: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// Shows the list, live and without, until the page is closed.
    pub(crate) async fn run(mut self) -> Self {
        let closed_at = Instant::now() + OPEN;
        while Instant::now() < closed_at {
            let is_live = self.rng.chance(60);
            let until = Instant::now() + self.rng.millis(2_000..40_000);
            trace::step(self.harness.elapsed(), &self.name, || {
                format!("live: {is_live}")
            });
            self.poll().await;
            let mut pause = if is_live { FIRST_LIVE } else { POLLING };
            while Instant::now() < until {
                self.wait(is_live, until.min(Instant::now() + pause)).await;
                self.poll().await;
                pause = if is_live { LIVE } else { POLLING };
            }
        }
        self
    }

    /// Checks that the page ends with what is stored. The last changes are longer ago than a list may
    /// be old.
    pub(crate) async fn check_end(mut self) {
        self.poll().await;
        assert_eq!(
            self.shown,
            stored_runs(self.harness.store()),
            "{}",
            self.name
        );
    }

    /// Takes what push tells, until this time.
    async fn wait(&mut self, is_live: bool, until: Instant) {
        loop {
            let next = self.under_way.iter().map(|(at, _)| *at).min();
            tokio::select! {
                biased;
                Some(told) = self.told.recv() => {
                    if is_live {
                        self.send(&told);
                    }
                }
                () = sleep_until(next.unwrap_or(until).min(until)) => {
                    let now = Instant::now();
                    let (due, later) = std::mem::take(&mut self.under_way)
                        .into_iter()
                        .partition(|(at, _)| *at <= now);
                    self.under_way = later;
                    let due: Vec<(Instant, Told)> = due;
                    for (_, told) in due {
                        self.receive(told);
                    }
                    if now >= until {
                        break;
                    }
                }
            }
        }
        if !is_live {
            self.under_way.clear();
        }
    }

    /// A message is lost, or comes once or twice, sooner or later.
    fn send(&mut self, told: &Told) {
        let copies = match self.rng.number(0..10) {
            0..2 => 0,
            2..8 => 1,
            _ => 2,
        };
        for _ in 0..copies {
            let at = Instant::now() + self.rng.millis(0..4_000);
            self.under_way.push((at, told.clone()));
        }
    }

    fn receive(&mut self, told: Told) {
        let known = self.recent.get(&told.run_id);
        if known.is_some_and(|(_, known)| known.revision >= told.revision) {
            return;
        }
        let newest = self.newest_told.entry(told.run_id.clone()).or_default();
        *newest = told.revision.max(*newest);
        self.apply(&told);
        self.recent
            .insert(told.run_id.clone(), (Instant::now(), told));
    }

    fn apply(&mut self, told: &Told) {
        let shown = self.shown.get(&told.run_id);
        if shown.is_some_and(|shown| *shown >= told.revision) {
            return;
        }
        match told.exists {
            true => self.shown.insert(told.run_id.clone(), told.revision),
            false => self.shown.remove(&told.run_id),
        };
    }

    /// Loads the list, and applies to it what push has told lately.
    async fn poll(&mut self) {
        let api = self.rng.pick(self.apis);
        let response = send(api, Method::GET, LIST, &[], None);
        let response = match tokio::time::timeout(PATIENCE, response).await {
            Ok(response) if response.status == StatusCode::OK => response,
            _ => return,
        };
        let text = |task: &Value| task["run_id"].as_str().unwrap().to_owned();
        let listed = response.json["tasks"].as_array().unwrap().iter();
        self.shown = listed
            .map(|task| (text(task), Revision(task["revision"].as_u64().unwrap())))
            .collect();
        let now = Instant::now();
        self.recent.retain(|_, (at, _)| now - *at < KEPT);
        for (_, told) in self.recent.clone().into_values() {
            self.apply(&told);
        }
        // While the store is down, a list may be of any age, as for every reader.
        if self.harness.fault_plan.store_fails > 0 {
            return;
        }
        for (run_id, revision) in &self.shown {
            let told = self.newest_told.get(run_id).copied().unwrap_or_default();
            assert!(
                *revision >= told,
                "{} went back with {run_id}: from {told} to {revision}",
                self.name
            );
        }
    }
}
