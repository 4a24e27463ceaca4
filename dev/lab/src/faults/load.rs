//! The load: clients that read and write, each in a thread of its own, at a pace.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Answer, PROJECT, ask, collect, push, request};
use super::samples::{Kind, Samples};
use super::truth::{Counter, Memory, TOTAL, Truth};
use super::world::World;

/// The pauses between two requests of a client.
const READ_PAUSE: Duration = Duration::from_millis(35);
const LIST_PAUSE: Duration = Duration::from_millis(100);
const WRITE_PAUSE: Duration = Duration::from_millis(40);
const MAKE_PAUSE: Duration = Duration::from_millis(250);
/// The pause after a request that was refused for the moment. Clients in a hurry are the harder ones.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// After how long a writer gives up what it is refused again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all clients share.
pub struct Load<'a> {
    /// What they talk to.
    pub world: &'a World,
    /// What they have asked for.
    pub truth: &'a Truth,
    /// What they have seen.
    pub samples: &'a Samples,
    /// Set when they are to end.
    pub is_over: AtomicBool,
    /// Numbers for names that are new.
    pub names: &'a AtomicU64,
}

/// A client.
struct Client<'a> {
    load: &'a Load<'a>,
    turn: usize,
    memory: Memory,
}

impl<'a> Load<'a> {
    /// Runs all clients until it is over.
    ///
    /// # Errors
    ///
    /// That a function is lost.
    pub fn run<'scope>(
        &'a self,
        scope: &'scope thread::Scope<'scope, 'a>,
    ) -> Vec<thread::ScopedJoinHandle<'scope, io::Result<()>>> {
        let mut client = 0;
        let mut new = || {
            client += 1;
            Client {
                load: self,
                turn: client,
                memory: Memory::default(),
            }
        };
        let (mut one, mut other, mut lister) = (new(), new(), new());
        let (mut patcher, mut maker) = (new(), new());
        vec![
            scope.spawn(move || one.read_tasks()),
            scope.spawn(move || other.read_tasks()),
            scope.spawn(move || lister.read_lists()),
            scope.spawn(move || patcher.change()),
            scope.spawn(move || maker.make()),
            scope.spawn(move || self.push_lines()),
        ]
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Counts the pushed tasks up. What the collector does not do is handed to it again, as Lambda does.
    fn push_lines(&self) -> io::Result<()> {
        let (world, samples) = (self.world, self.samples);
        for counter in self.truth.pushed.iter().cycle() {
            if self.is_over() {
                break;
            }
            let next = counter.told.load(Ordering::SeqCst) + 1;
            counter.asked.store(next, Ordering::SeqCst);
            let event = push(&counter.task_id, next)?;
            let process = world.apis.len();
            let begun = Instant::now();
            while !collect(&world.collector, process, &event, samples)? {
                if begun.elapsed() > PATIENCE {
                    samples.note_wrong(format!("{} was not taken for long", counter.task_id));
                    return Ok(());
                }
                thread::sleep(RETRY_PAUSE);
            }
            counter.told.store(next, Ordering::SeqCst);
            thread::sleep(WRITE_PAUSE);
        }
        Ok(())
    }
}

impl Client<'_> {
    fn get(&mut self, kind: Kind, path: &str, query: &str) -> io::Result<Answer> {
        let event = request("GET", path, query, None, None);
        ask(
            &self.load.world.apis,
            &mut self.turn,
            kind,
            &event,
            self.load.samples,
        )
    }

    /// Writes, again and again until it is done or refused for good; with how many attempts.
    fn write(&mut self, event: &[u8]) -> io::Result<(Answer, u32)> {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let load = self.load;
            let answer = ask(
                &load.world.apis,
                &mut self.turn,
                Kind::Write,
                event,
                load.samples,
            )?;
            if !answer.is_trouble() || begun.elapsed() > PATIENCE {
                return Ok((answer, attempt));
            }
            thread::sleep(RETRY_PAUSE);
            attempt += 1;
        }
    }

    fn wrong(&self, what: String) {
        self.load.samples.note_wrong(what);
    }

    fn look(&mut self, task: &Value) {
        if let Some(wrong) = self.memory.look(self.load.truth, task) {
            self.wrong(wrong);
        }
    }

    /// Reads a task that is there: all of them must always be.
    fn read(&mut self, counter: &Counter) -> io::Result<()> {
        let task_id = counter.task_id.as_str();
        let answer = self.get(Kind::Task, &format!("/api/tasks/{task_id}"), "")?;
        if answer.status == 200 && answer.body["task_id"] == task_id {
            self.look(&answer.body);
        } else if !answer.is_trouble() {
            self.wrong(format!(
                "{task_id} is answered {} {}",
                answer.status, answer.body
            ));
        }
        Ok(())
    }

    fn read_tasks(&mut self) -> io::Result<()> {
        let truth = self.load.truth;
        while !self.load.is_over() {
            // Each is read by either client some times on end, so that different processes are asked for it.
            for counter in truth.counters() {
                if counter.told.load(Ordering::SeqCst) == 0 {
                    continue;
                }
                for _ in 0..3 {
                    self.read(counter)?;
                    thread::sleep(READ_PAUSE);
                }
                if self.load.is_over() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn read_lists(&mut self) -> io::Result<()> {
        while !self.load.is_over() {
            for path in ["/api/tasks", "/api/projects/faults/tasks"] {
                let answer = self.get(Kind::List, path, "limit=200")?;
                match answer.body["tasks"].as_array() {
                    Some(tasks) if answer.status == 200 => {
                        tasks.iter().for_each(|task| self.look(task));
                    }
                    _ if answer.is_trouble() => {}
                    _ => self.wrong(format!("{path} is answered {}", answer.status)),
                }
                thread::sleep(LIST_PAUSE);
            }
        }
        Ok(())
    }

    /// Counts the patched tasks up, and reads each after it was written.
    fn change(&mut self) -> io::Result<()> {
        let truth = self.load.truth;
        for counter in truth.patched.iter().cycle() {
            if self.load.is_over() {
                break;
            }
            let next = counter.told.load(Ordering::SeqCst) + 1;
            counter.asked.store(next, Ordering::SeqCst);
            let body =
                json!({"progress": {"current": next, "total": TOTAL}, "message": next.to_string()});
            let path = format!("/api/tasks/{}", counter.task_id);
            let (answer, _) = self.write(&request("PATCH", &path, "", Some(&body), None))?;
            if answer.status != 200 || answer.body["progress"]["current"] != next {
                self.wrong(format!(
                    "a change of {} is answered {} {}",
                    counter.task_id, answer.status, answer.body
                ));
                continue;
            }
            self.look(&answer.body);
            counter.told.store(next, Ordering::SeqCst);
            self.read(counter)?;
            thread::sleep(WRITE_PAUSE);
        }
        Ok(())
    }

    /// Makes tasks, reads each, and deletes every second one.
    fn make(&mut self) -> io::Result<()> {
        let mut stays = false;
        while !self.load.is_over() {
            stays = !stays;
            let name = self.load.names.fetch_add(1, Ordering::SeqCst);
            let body = json!({
                "task_name": format!("Made {name}"),
                "task_type": "build",
                "project_id": PROJECT,
            });
            let key = format!("make-{name}-of-this-run");
            let event = request("POST", "/api/tasks", "", Some(&body), Some(&key));
            let (answer, _) = self.write(&event)?;
            let task_id = answer.body["task_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if answer.status != 201 {
                self.wrong(format!(
                    "a new task is answered {} {}",
                    answer.status, answer.body
                ));
                continue;
            }
            let path = format!("/api/tasks/{task_id}");
            let mut made = self
                .load
                .truth
                .made
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            made.insert(task_id.clone());
            drop(made);
            self.expect(&path, 200)?;
            if !stays {
                let (answer, attempts) = self.write(&request("DELETE", &path, "", None, None))?;
                // An attempt that was refused may have done it.
                if answer.status != 204 && (answer.status != 404 || attempts == 1) {
                    self.wrong(format!("deleting {task_id} is answered {}", answer.status));
                }
                let mut made = self
                    .load
                    .truth
                    .made
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                made.remove(&task_id);
                drop(made);
                self.expect(&path, 404)?;
            }
            thread::sleep(MAKE_PAUSE);
        }
        Ok(())
    }

    /// Reads a task that is, or is not, there by each process.
    fn expect(&mut self, path: &str, status: u16) -> io::Result<()> {
        for _ in 0..self.load.world.apis.len() {
            let answer = self.get(Kind::List, path, "")?; // not one of those that are always cached
            if answer.status != status && !answer.is_trouble() {
                self.wrong(format!(
                    "{path} is answered {} and not {status}",
                    answer.status
                ));
            }
        }
        Ok(())
    }
}
