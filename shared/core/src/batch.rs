//! Collects the facts of several tasks before they are saved.

pub mod named_ids;
mod recent_lines;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::recent_lines::RecentLines;
use crate::fold::{Fact, KeyedFact, LastLines, LineKey};
use crate::log_event::LogEvent;
use crate::log_parser::{LineCounts, LogFormat, Observation, Samples, parse_message};
use crate::model::{Task, TaskId};
use crate::record::TaskOrigin;

/// A batch with this many tasks is full.
const MOST_TASKS: usize = 256;
/// A batch with this many facts is full, and of one event this many facts count, the last ones. A
/// fact takes up to 1 KB of memory, and up to 4 KB while it is saved.
const MOST_FACTS: usize = 16_384;
/// A batch with this much text is full, in bytes.
const MOST_TEXT: usize = 4 * 1024 * 1024;

/// Identifies the task of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The format, log group and log stream of the line.
    pub origin: TaskOrigin,
    /// The task that the line names; `None` if the line belongs to the task of its log stream.
    pub named: Option<TaskId>,
}

impl Target {
    /// The possible task ids.
    pub fn candidates(&self) -> Vec<TaskId> {
        if let Some(named) = &self.named {
            return vec![named.clone()];
        }
        let (plain, distinct) = self.ids_of_stream();
        self.reported_ids().chain([plain, distinct]).collect()
    }

    /// Chooses one of the candidates. `log_of` returns the log of an existing task.
    ///
    /// A log reports to an existing task that is called like its stream, or else to the task of the
    /// stream. Streams of the same name in two log groups have two tasks.
    pub fn choose<'a>(&self, log_of: impl Fn(&TaskId) -> Option<KnownLog<'a>>) -> TaskId {
        if let Some(named) = &self.named {
            return named.clone();
        }
        let TaskOrigin {
            log_group,
            log_stream,
            ..
        } = &self.origin;
        let may_be_own = |log: KnownLog<'_>| {
            log.log_group == Some(log_group) || log.log_stream != Some(log_stream)
        };
        let is_own = |id: &TaskId| log_of(id).is_some_and(may_be_own);
        let (plain, distinct) = self.ids_of_stream();
        if let Some(reported) = self.reported_ids().find(is_own) {
            return reported;
        }
        let is_free = log_of(&distinct).is_none() && log_of(&plain).is_none_or(may_be_own);
        if is_free { plain } else { distinct }
    }

    /// The ids of tasks that are called like the stream.
    fn reported_ids(&self) -> impl Iterator<Item = TaskId> {
        let stream = self.origin.log_stream.as_str();
        let names = [stream.strip_prefix("task-"), Some(stream)];
        names.into_iter().flatten().filter_map(|id| id.parse().ok())
    }

    /// The id of the task of the stream, and its id if that one belongs to another log group.
    fn ids_of_stream(&self) -> (TaskId, TaskId) {
        let TaskOrigin {
            format,
            log_group,
            log_stream,
        } = &self.origin;
        // A stream of commands has one id, whatever its lines are read as.
        let is_of_commands = *log_group == LogFormat::ANY.file_log_group;
        let format = if is_of_commands {
            LogFormat::ANY
        } else {
            *format
        };
        let plain = id_of_stream(format, log_stream, "");
        (plain, id_of_stream(format, log_stream, log_group))
    }
}

/// The log that first reported an existing task, if any has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownLog<'a> {
    /// The log group.
    pub log_group: Option<&'a str>,
    /// The log stream.
    pub log_stream: Option<&'a str>,
}

impl<'a> KnownLog<'a> {
    /// The log of `task`.
    pub fn of(task: &'a Task) -> Self {
        Self {
            log_group: task.log_group.as_deref(),
            log_stream: task.log_stream.as_deref(),
        }
    }
}

impl<'a> From<&'a TaskOrigin> for KnownLog<'a> {
    fn from(origin: &'a TaskOrigin) -> Self {
        Self {
            log_group: Some(&origin.log_group),
            log_stream: Some(&origin.log_stream),
        }
    }
}

/// The facts that a batch gathered.
pub type FactsByTarget = BTreeMap<Target, Vec<KeyedFact>>;

/// Facts by task. Memory is bounded if the batch is saved whenever it [is full](Self::is_full).
#[derive(Debug, Default)]
pub struct Batch {
    facts: FactsByTarget,
    /// The number of facts.
    count: usize,
    /// The total size of the messages in `facts`, in bytes.
    text: usize,
    recent_lines: RecentLines,
    /// The task of lines that name none; `None`: that of their stream.
    task_id: Option<TaskId>,
}

impl Batch {
    /// An empty batch of lines that belong to the task `task_id` unless they name another one.
    pub fn of_task(task_id: TaskId) -> Self {
        Self {
            task_id: Some(task_id),
            ..Self::default()
        }
    }

    /// Parses an event of a log group, adds its facts, and returns how many lines it had.
    pub fn add(&mut self, format: LogFormat, log_group: &str, event: &LogEvent) -> LineCounts {
        // Most lines have no observation, so the key is computed only when it is needed.
        let first_line = LazyCell::new(|| LineKey::of(event, 0));
        let read = self
            .recent_lines
            .select(format, log_group, &event.log_stream);
        if let Some((origin, fact)) = read {
            self.put(origin, fact);
        }
        // The first failure of an event has the context that explains the others.
        let mut is_explained = false;
        let mut gathered: VecDeque<(Target, KeyedFact)> = VecDeque::new();
        let counts = parse_message(format, &event.message, &mut |line, observation| {
            let target = Target {
                origin: origin_of(format, log_group, event),
                named: named_task(&observation).or_else(|| self.task_id.clone()),
            };
            let fact = if is_explained || !observation.is_failure() {
                Fact::line(observation)
            } else {
                is_explained = true;
                Fact::Failure {
                    context: self.recent_lines.before(event, line),
                    line: Box::new(observation),
                }
            };
            if gathered.len() >= MOST_FACTS {
                gathered.pop_front();
            }
            gathered.push_back((target, (first_line.with_line(line), fact)));
        });
        self.count += gathered.len();
        for (target, fact) in gathered {
            self.facts.entry(target).or_default().push(fact);
        }
        self.recent_lines.add(event);
        if counts.parsed > 0 {
            self.text = self.text.saturating_add(event.message.len());
        }
        counts
    }

    /// Adds that the log begins anew with `event`, which is added next.
    pub fn restart(&mut self, format: LogFormat, log_group: &str, event: &LogEvent) {
        let read = self
            .recent_lines
            .select(format, log_group, &event.log_stream);
        let forgotten = self.recent_lines.forget();
        for (origin, fact) in read.into_iter().chain(forgotten) {
            self.put(origin, fact);
        }
        let at = LineKey::of(event, 0).just_before();
        self.put(origin_of(format, log_group, event), (at, Fact::Restart));
    }

    /// Adds a line that was added before when it was shorter. Its event has the same id, and is
    /// earlier: so this reading replaces the one before.
    pub fn add_again(&mut self, format: LogFormat, log_group: &str, event: &LogEvent) {
        let counts = self.add(format, log_group, event);
        if counts.parsed == 0 {
            let nothing = Observation::Samples(Samples::default());
            let fact = (LineKey::of(event, 0), Fact::line(nothing));
            self.put(origin_of(format, log_group, event), fact);
        }
    }

    /// Whether the batch should be saved before more events are added.
    pub fn is_full(&self) -> bool {
        self.facts.len() >= MOST_TASKS || self.count >= MOST_FACTS || self.text >= MOST_TEXT
    }

    /// Takes all facts, by target, and leaves the batch empty.
    pub fn take(&mut self) -> FactsByTarget {
        for (origin, fact) in self.recent_lines.take_read() {
            self.put(origin, fact);
        }
        (self.count, self.text) = (0, 0);
        let mut facts = std::mem::take(&mut self.facts);
        // The lines of a stream that names tasks are about those.
        let named = facts.keys().filter(|target| target.named.is_some());
        let naming: BTreeSet<_> = named.map(|target| target.origin.clone()).collect();
        let is_about_others = |target: &Target, facts: &[KeyedFact]| {
            target.named.is_none() && says_nothing(facts) && naming.contains(&target.origin)
        };
        facts.retain(|target, facts| !is_about_others(target, facts));
        facts
    }

    /// The last lines of the stream of the last event.
    pub fn last_lines(&self) -> LastLines {
        self.recent_lines.last_lines()
    }

    /// Adds a fact about the task of a stream.
    pub fn put(&mut self, origin: TaskOrigin, fact: KeyedFact) {
        let target = Target {
            origin,
            named: self.task_id.clone(),
        };
        self.facts.entry(target).or_default().push(fact);
    }
}

fn origin_of(format: LogFormat, log_group: &str, event: &LogEvent) -> TaskOrigin {
    TaskOrigin {
        format,
        log_group: log_group.to_owned(),
        log_stream: event.log_stream.clone(),
    }
}

/// Whether facts are lines without any content.
pub fn says_nothing(facts: &[KeyedFact]) -> bool {
    let mut facts = facts.iter();
    facts.all(|(_, fact)| matches!(fact, Fact::Lines(_)))
}

/// The task that a line names; `None` if the name is not a valid id.
fn named_task(observation: &Observation) -> Option<TaskId> {
    match observation {
        Observation::Agent(observation) => observation.task_id.as_ref()?.parse().ok(),
        Observation::Cdk(_) | Observation::Lambda(_) | Observation::Samples(_) => None,
    }
}

/// The id of a task that no log line and no caller names: `cdk:<stream>`, `agent:<stream>` or
/// `run:<stream>`.
///
/// If the stream name is too long for an id or has other characters, it is shortened and a hash is
/// added. A `log_group` adds a hash, too.
fn id_of_stream(format: LogFormat, stream: &str, log_group: &str) -> TaskId {
    let prefix = format.id;
    let id = format!("{prefix}:{stream}").parse();
    if let (Ok(id), "") = (id, log_group) {
        return id;
    }
    let plain = |char: char| {
        if char.is_ascii_alphanumeric() || "._:-".contains(char) {
            char
        } else {
            '-'
        }
    };
    let readable: String = stream.chars().take(80).map(plain).collect();
    let name = match log_group {
        "" => stream.to_owned(),
        log_group => format!("{log_group}\n{stream}"),
    };
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).simple();
    let id = format!("{prefix}:{readable}:{hash}");
    id.parse().unwrap_or_else(|_| TaskId::random())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    /// The facts of `messages`, each an event with its stream.
    fn facts_of(messages: &[(&str, &str)]) -> Vec<Fact> {
        let mut batch = Batch::default();
        for (number, (log_stream, message)) in (0..).zip(messages) {
            let event = LogEvent {
                log_stream: (*log_stream).to_owned(),
                timestamp: Timestamp::from_millis(number),
                ingested_at: Timestamp::from_millis(number),
                event_id: number.to_string(),
                message: (*message).to_owned(),
            };
            batch.add(LogFormat::AGENT, "/agents", &event);
        }
        let facts = batch.take().into_values().flatten();
        let facts = facts.map(|(_, fact)| fact);
        facts
            .filter(|fact| !matches!(fact, Fact::Lines(_)))
            .collect()
    }

    fn context_of(messages: &[(&str, &str)]) -> Vec<String> {
        match facts_of(messages).pop() {
            Some(Fact::Failure { context, .. }) => context,
            other => panic!("no failure: {other:?}"),
        }
    }

    #[test]
    fn a_failure_carries_the_five_lines_before_it_in_its_stream() {
        let lines: Vec<_> = (0..9).map(|number| format!("line {number}")).collect();
        let mut messages: Vec<_> = lines.iter().map(|line| ("one", line.as_str())).collect();
        messages.insert(8, ("other", "of another stream"));
        messages.insert(7, ("one", "  "));
        messages.push(("one", "\u{1b}[31ma red line\u{1b}[0m\nBUILD FAILED"));
        let context = context_of(&messages);
        let expected = ["line 5", "line 6", "line 7", "line 8", "a red line"];
        assert_eq!(context, expected);
    }

    #[test]
    fn a_failure_has_no_lines_of_a_stream_with_the_same_name_in_another_log_group() {
        let mut batch = Batch::default();
        for (number, (log_group, message)) in (0..).zip([("/a", "secret"), ("/b", "BUILD FAILED")])
        {
            let event = LogEvent {
                log_stream: "main".to_owned(),
                timestamp: Timestamp::from_millis(number),
                ingested_at: Timestamp::from_millis(number),
                event_id: number.to_string(),
                message: message.to_owned(),
            };
            batch.add(LogFormat::AGENT, log_group, &event);
        }
        let facts = batch.take().into_values().flatten();
        let mut contexts = facts.filter_map(|(_, fact)| match fact {
            Fact::Failure { context, .. } => Some(context),
            _ => None,
        });
        assert_eq!(contexts.next(), Some(Vec::new()));
    }

    #[test]
    fn of_an_event_with_very_many_lines_the_last_ones_count() {
        let message: String = (0..MOST_FACTS + 10)
            .map(|done| format!("[{done}/99999]\n"))
            .collect();
        let facts = facts_of(&[("one", &message), ("one", "[5/6]")]);
        assert_eq!(facts.len(), MOST_FACTS + 1);
        let first = facts_of(&[("one", "[10/99999]")]);
        assert_eq!(facts[0], first[0]);
    }

    #[test]
    fn a_failure_in_the_first_line_has_no_context() {
        assert!(context_of(&[("one", "BUILD FAILED")]).is_empty());
        let long = "x".repeat(100_000);
        let context = context_of(&[("one", &long), ("one", "BUILD FAILED")]);
        assert_eq!(
            context,
            [format!("{} … {}", "x".repeat(107), "x".repeat(48))]
        );
    }

    #[test]
    fn a_line_with_an_id_that_no_path_can_hold_belongs_to_the_task_of_its_stream() {
        let mut batch = Batch::default();
        for (number, id) in (0..).zip([".", "..", "a/b", "..."]) {
            let event = LogEvent {
                log_stream: "main".to_owned(),
                timestamp: Timestamp::from_millis(number),
                ingested_at: Timestamp::from_millis(number),
                event_id: number.to_string(),
                message: format!(r#"{{"task_id":"{id}","project_id":"{id}","progress":50}}"#),
            };
            batch.add(LogFormat::AGENT, "/agents", &event);
        }
        let gathered = batch.take();
        let named = gathered.keys().map(|target| target.named.as_ref());
        let named: Vec<_> = named.map(|id| id.map(TaskId::as_str)).collect();
        assert_eq!(named, [None, Some("...")]);
    }

    #[test]
    fn the_id_of_a_log_stream_is_readable_unique_and_stable() {
        let id_of_stream = |format, stream| id_of_stream(format, stream, "");
        assert_eq!(
            id_of_stream(LogFormat::CDK, "build-7").as_str(),
            "cdk:build-7"
        );
        let (one, other) = ("2025/11/15/[$LATEST]a", "2025/11/15/[$LATEST]b");
        let id = id_of_stream(LogFormat::AGENT, one);
        assert!(id.as_str().starts_with("agent:2025-11-15--"), "{id}");
        assert_eq!(id, id_of_stream(LogFormat::AGENT, one));
        assert_ne!(id, id_of_stream(LogFormat::AGENT, other));
        for stream in ["", "ä", &"x".repeat(512)] {
            let id = id_of_stream(LogFormat::CDK, stream);
            assert_eq!(id, id_of_stream(LogFormat::CDK, stream), "{stream}");
        }
    }

    #[test]
    fn a_stream_of_commands_has_one_id_whatever_its_lines_are_read_as() {
        for format in LogFormat::OF_FILES {
            let origin = TaskOrigin {
                format,
                log_group: LogFormat::ANY.file_log_group.to_owned(),
                log_stream: "build-7".to_owned(),
            };
            let target = Target {
                origin,
                named: None,
            };
            assert_eq!(target.choose(|_| None).as_str(), "run:build-7");
        }
    }

    #[test]
    fn streams_of_the_same_name_in_two_log_groups_have_two_tasks() {
        let target = |log_group: &str| Target {
            origin: TaskOrigin {
                format: LogFormat::CDK,
                log_group: log_group.to_owned(),
                log_stream: "main".to_owned(),
            },
            named: None,
        };
        let (one, other) = (target("/a"), target("/b"));
        let plain = one.choose(|_| None);
        assert_eq!(plain.as_str(), "cdk:main");
        assert_eq!(other.choose(|_| None), plain, "nobody has it");
        let main_of = |log_group| KnownLog {
            log_group: Some(log_group),
            log_stream: Some("main"),
        };
        let stored = |id: &TaskId| (*id == plain).then(|| main_of("/a"));
        assert_eq!(one.choose(stored), plain);
        let distinct = other.choose(stored);
        assert!(distinct.as_str().starts_with("cdk:main:"), "{distinct}");
        let both = |id: &TaskId| stored(id).or((*id == distinct).then(|| main_of("/b")));
        assert_eq!(
            (one.choose(both), other.choose(both)),
            (plain, distinct.clone())
        );
        // It keeps its task, also when the other one is gone.
        let left = |id: &TaskId| (*id == distinct).then(|| main_of("/b"));
        assert_eq!(other.choose(left), distinct);
    }

    #[test]
    fn a_log_reports_to_a_task_that_a_caller_named_like_its_stream() {
        let target = |log_stream: &str| Target {
            origin: TaskOrigin {
                format: LogFormat::AGENT,
                log_group: "/agents".to_owned(),
                log_stream: log_stream.to_owned(),
            },
            named: None,
        };
        let made = |id: &TaskId| (id.as_str() == "nightly").then(KnownLog::default);
        for stream in ["nightly", "task-nightly"] {
            assert_eq!(target(stream).choose(made).as_str(), "nightly");
        }
        let named_by_another_log = |id: &TaskId| {
            let log = KnownLog {
                log_group: Some("/b"),
                log_stream: Some("worker"),
            };
            (id.as_str() == "nightly").then_some(log)
        };
        assert_eq!(
            target("nightly").choose(named_by_another_log).as_str(),
            "nightly"
        );
        let of_another_log = |id: &TaskId| {
            let log = KnownLog {
                log_group: Some("/b"),
                log_stream: Some("nightly"),
            };
            (id.as_str() == "nightly").then_some(log)
        };
        assert_eq!(
            target("nightly").choose(of_another_log).as_str(),
            "agent:nightly"
        );
    }
}
