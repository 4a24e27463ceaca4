//! What the writers have asked for and been told, which is all that an answer may show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The total of every task's progress: more than is ever reached, so that none ends.
pub const TOTAL: u64 = 1_000_000;
/// How many tasks the collector reports, and how many are changed through the API.
pub const TASKS: usize = 6;

/// A task that one writer counts up.
#[derive(Debug)]
pub struct Counter {
    /// Its id.
    pub task_id: String,
    /// The highest count that was asked for.
    pub asked: AtomicU64,
    /// The highest count that was said to be written.
    pub told: AtomicU64,
}

/// All of them.
#[derive(Debug)]
pub struct Truth {
    /// Tasks that the collector is pushed lines of.
    pub pushed: Vec<Counter>,
    /// Tasks that are changed through the API.
    pub patched: Vec<Counter>,
    /// Ids of the tasks that were made and stay.
    pub made: Mutex<BTreeSet<String>>,
}

impl Default for Truth {
    fn default() -> Self {
        let counters = |name: &str| {
            let counter = |number| Counter {
                task_id: format!("{name}-{number}"),
                asked: AtomicU64::new(0),
                told: AtomicU64::new(0),
            };
            (0..TASKS).map(counter).collect()
        };
        Self {
            pushed: counters("pushed"),
            patched: counters("patched"),
            made: Mutex::default(),
        }
    }
}

impl Truth {
    /// All counters.
    pub fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.pushed.iter().chain(&self.patched)
    }

    /// The ids of all tasks that must be there.
    pub fn task_ids(&self) -> BTreeSet<String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = self.counters().map(|counter| counter.task_id.clone());
        made.iter().cloned().chain(counted).collect()
    }
}

/// What one client has seen: nothing that it sees later may be older.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<String, (u64, u64)>);

impl Memory {
    /// Looks at a task in an answer: what is wrong with it, if anything.
    pub fn look(&mut self, truth: &Truth, task: &Value) -> Option<String> {
        let task_id = task["task_id"].as_str().unwrap_or_default();
        let counter = truth
            .counters()
            .find(|counter| counter.task_id == task_id)?;
        let seen = task["progress"]["current"]
            .as_u64()
            .zip(task["revision"].as_u64());
        let Some((current, revision)) = seen else {
            return Some(format!("{task_id} has no progress or revision: {task}"));
        };
        let asked = counter.asked.load(Ordering::SeqCst);
        if current > asked {
            return Some(format!(
                "{task_id} shows {current}, and nobody asked for more than {asked}"
            ));
        }
        // Both are changed by one write.
        if current > 0 && task["message"].as_str() != Some(&current.to_string()) {
            return Some(format!(
                "{task_id} shows {current} with the message {}",
                task["message"]
            ));
        }
        let last = self.0.insert(task_id.to_owned(), (current, revision));
        match last {
            Some((last, of)) if current < last || revision < of => Some(format!(
                "{task_id} went back from {last} (revision {of}) to {current} (revision {revision})"
            )),
            _ => None,
        }
    }
}
