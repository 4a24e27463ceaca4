//! The load: clients that read and write, each in a thread of its own, with a pause after each
//! request.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use shared::model::TaskId;
use testkit::oracle::View;

use super::client::{PROJECT, Response, collect, push, request, send};
use super::harness::Harness;
use super::samples::{Kind, Samples};
use super::tasks::{TOTAL, Tasks};

/// The pauses between two requests of a client.
const READ_PAUSE: Duration = Duration::from_millis(35);
const LIST_PAUSE: Duration = Duration::from_millis(100);
const WRITE_PAUSE: Duration = Duration::from_millis(40);
const CREATE_PAUSE: Duration = Duration::from_millis(250);
/// The pause after a request that was refused for the moment. Clients in a hurry are harder to
/// serve.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How old an answer may be that Redis holds, and the delays of a busy machine.
pub const FRESH_FOR: Duration = Duration::from_millis(5_000 + 1_000);
/// The time after which a writer gives up a request that is refused again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all clients share.
pub struct Load<'a> {
    /// The functions and services.
    pub harness: &'a Harness,
    /// The tasks that they change.
    pub tasks: &'a Tasks,
    /// The requests so far.
    pub samples: &'a Samples,
    /// Set when they must end.
    pub is_over: AtomicBool,
    /// The next number for a new name.
    pub names: &'a AtomicU64,
}

/// A client. It sends the entity tag of its copy of a task, as browsers do.
struct Client<'a> {
    load: &'a Load<'a>,
    turn: usize,
    view: View,
    /// By path, the entity tag of the last answer about a task.
    etags: HashMap<String, String>,
}

impl<'a> Load<'a> {
    /// Starts all clients. Each ends when the load is over, or with an error if a function is lost.
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
                view: View::default(),
                etags: HashMap::new(),
            }
        };
        let (mut one, mut other, mut lister) = (new(), new(), new());
        let (mut patcher, mut creator) = (new(), new());
        vec![
            scope.spawn(move || one.read_tasks()),
            scope.spawn(move || other.read_tasks()),
            scope.spawn(move || lister.read_lists()),
            scope.spawn(move || patcher.change()),
            scope.spawn(move || creator.create()),
            scope.spawn(move || self.push_lines()),
        ]
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Raises the counts of the pushed tasks. Repeats an invocation that failed, as Lambda does.
    fn push_lines(&self) -> io::Result<()> {
        let (harness, samples) = (self.harness, self.samples);
        let oracle = &self.tasks.oracle;
        for task_id in self.tasks.pushed.iter().cycle() {
            if self.is_over() {
                break;
            }
            let next = oracle.confirmed_count(task_id) + 1;
            oracle.request_count(task_id, next);
            let event = push(task_id, next)?;
            let process = harness.apis.len();
            let begun = Instant::now();
            while !collect(&harness.collector, process, &event, samples)? {
                if begun.elapsed() > PATIENCE {
                    samples.note_wrong(format!("a line of {task_id} was refused for too long"));
                    return Ok(());
                }
                thread::sleep(RETRY_PAUSE);
            }
            oracle.confirm_count(task_id, next);
            thread::sleep(WRITE_PAUSE);
        }
        Ok(())
    }
}

impl Client<'_> {
    fn get(
        &mut self,
        kind: Kind,
        path: &str,
        query: &str,
        etag: Option<&str>,
    ) -> io::Result<Response> {
        let known = etag.map(|etag| ("if-none-match", etag));
        let event = request("GET", path, query, None, known);
        send(
            &self.load.harness.apis,
            &mut self.turn,
            kind,
            &event,
            self.load.samples,
        )
    }

    /// Repeats a write until it succeeds or is refused for good. Returns the number of attempts
    /// too.
    fn write(&mut self, event: &[u8]) -> io::Result<(Response, u32)> {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let load = self.load;
            let response = send(
                &load.harness.apis,
                &mut self.turn,
                Kind::Write,
                event,
                load.samples,
            )?;
            if !response.may_be_repeated() || begun.elapsed() > PATIENCE {
                return Ok((response, attempt));
            }
            thread::sleep(RETRY_PAUSE);
            attempt += 1;
        }
    }

    fn wrong(&self, what: String) {
        self.load.samples.note_wrong(what);
    }

    /// Checks an answer about a task, and remembers its entity tag.
    fn check(&mut self, path: &str, response: &Response) {
        let oracle = &self.load.tasks.oracle;
        if let Err(wrong) = oracle.check_shown(&mut self.view, &response.body) {
            self.wrong(wrong);
        }
        if let Some(etag) = &response.etag {
            self.etags.insert(path.to_owned(), etag.clone());
        }
    }

    /// Reads a task that exists.
    fn read(&mut self, task_id: &TaskId) -> io::Result<()> {
        let path = format!("/api/tasks/{task_id}");
        let etag = self.etags.get(&path).cloned();
        let response = self.get(Kind::Task, &path, "", etag.as_deref())?;
        if response.status == 304 && etag.is_some() {
            return Ok(());
        }
        if response.status == 200 && response.body["task_id"] == task_id.as_str() {
            self.check(&path, &response);
        } else if !response.may_be_repeated() {
            self.wrong(format!(
                "the response for {task_id} is {} {}",
                response.status, response.body
            ));
        }
        Ok(())
    }

    fn read_tasks(&mut self) -> io::Result<()> {
        let tasks = self.load.tasks;
        while !self.load.is_over() {
            // Each client reads a task three times in a row, so that it asks different processes.
            for task_id in tasks.counted() {
                if tasks.oracle.confirmed_count(task_id) == 0 {
                    continue;
                }
                for _ in 0..3 {
                    self.read(task_id)?;
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
                let response = self.get(Kind::List, path, "limit=200", None)?;
                match response.body["tasks"].as_array() {
                    // A list may be some seconds old, so that it may go back.
                    Some(tasks) if response.status == 200 => {
                        let oracle = &self.load.tasks.oracle;
                        let checked = tasks.iter().map(|task| oracle.check_listed(task));
                        checked
                            .filter_map(Result::err)
                            .for_each(|wrong| self.wrong(wrong));
                    }
                    _ if response.may_be_repeated() => {}
                    _ => self.wrong(format!("the response for {path} is {}", response.status)),
                }
                thread::sleep(LIST_PAUSE);
            }
        }
        Ok(())
    }

    /// Raises the counts of the patched tasks, and reads each after its write.
    fn change(&mut self) -> io::Result<()> {
        let tasks = self.load.tasks;
        let oracle = &tasks.oracle;
        for task_id in tasks.patched.iter().cycle() {
            if self.load.is_over() {
                break;
            }
            let next = oracle.confirmed_count(task_id) + 1;
            oracle.request_count(task_id, next);
            let body =
                json!({"progress": {"current": next, "total": TOTAL}, "message": next.to_string()});
            let path = format!("/api/tasks/{task_id}");
            let (response, _) = self.write(&request("PATCH", &path, "", Some(&body), None))?;
            if response.status != 200 || response.body["progress"]["current"] != next {
                self.wrong(format!(
                    "the response to a change of {task_id} is {} {}",
                    response.status, response.body
                ));
                continue;
            }
            self.check(&path, &response);
            oracle.confirm_count(task_id, next);
            self.read(task_id)?;
            thread::sleep(WRITE_PAUSE);
        }
        Ok(())
    }

    /// Creates tasks, reads each, and deletes every second one.
    fn create(&mut self) -> io::Result<()> {
        let mut stays = false;
        while !self.load.is_over() {
            stays = !stays;
            let name = self.load.names.fetch_add(1, Ordering::SeqCst);
            let body = json!({
                "task_name": format!("Created {name}"),
                "task_type": "build",
                "project_id": PROJECT,
            });
            let key = format!("create-{name}-of-this-run");
            let key = Some(("idempotency-key", key.as_str()));
            let event = request("POST", "/api/tasks", "", Some(&body), key);
            let (response, _) = self.write(&event)?;
            let task_id = response.body["task_id"].as_str();
            let task_id = task_id.and_then(|id| id.parse::<TaskId>().ok());
            let Some(task_id) = task_id.filter(|_| response.status == 201) else {
                self.wrong(format!(
                    "the response to a new task is {} {}",
                    response.status, response.body
                ));
                continue;
            };
            let path = format!("/api/tasks/{task_id}");
            let oracle = &self.load.tasks.oracle;
            oracle.expect_task(&task_id);
            self.expect(&path, 200)?;
            if !stays {
                let (response, attempts) = self.write(&request("DELETE", &path, "", None, None))?;
                // An attempt without a response may have deleted it.
                if response.status != 204 && (response.status != 404 || attempts == 1) {
                    self.wrong(format!(
                        "the response to the deletion of {task_id} is {}",
                        response.status
                    ));
                }
                oracle.note_deletion(&task_id);
                self.expect(&path, 404)?;
            }
            thread::sleep(CREATE_PAUSE);
        }
        Ok(())
    }

    /// Reads a task through each process and expects this status, after a while: an answer may be
    /// some seconds old.
    fn expect(&mut self, path: &str, status: u16) -> io::Result<()> {
        for _ in 0..self.load.harness.apis.len() {
            let begun = Instant::now();
            let response = loop {
                // `Task` stands for cached tasks
                let response = self.get(Kind::List, path, "", None)?;
                if response.status == status || begun.elapsed() > FRESH_FOR {
                    break response;
                }
                thread::sleep(RETRY_PAUSE);
            };
            if response.status != status && !response.may_be_repeated() {
                self.wrong(format!(
                    "the response for {path} is {}, not {status}",
                    response.status
                ));
            }
        }
        Ok(())
    }
}
