//! What the parser reads from lines of agents.

use serde::{Deserialize, Serialize};

use super::counter::{Counter, CounterKind};
use crate::model::TaskStatus;

/// What ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndOf {
    /// The run, as reported by the agent itself.
    #[default]
    Run,
    /// A tool that the agent ran. It also ends the run, unless the agent counts steps and some are
    /// left.
    Tool,
    /// A tool that prints no counters like `3/10`. As [`Self::Tool`], but any open counter of steps or
    /// items is around it.
    ToolWithoutCounter,
    /// A part of a tool's work, such as one of several hosts. As [`Self::Tool`], but it never
    /// overrides another end.
    Part,
}

/// What the parser read from one line of an agent. Every field is optional; a line with none is not
/// an observation. Texts without another limit are at most
/// [`MAX_MESSAGE_BYTES`](crate::model::MAX_MESSAGE_BYTES) long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentObservation {
    /// The task that the line names: a valid [`TaskId`](crate::model::TaskId).
    #[serde(rename = "task", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The project that the line names: a valid [`ProjectId`](crate::model::ProjectId).
    #[serde(rename = "project", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The counters: at most one of each kind, the last on the line.
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<(CounterKind, Counter)>,
    /// The status. Plain text gives only terminal statuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Whether the line starts a run: a first step (0 or 1 of n, 0 %), or a JSON status such as
    /// `started`.
    #[serde(rename = "start", skip_serializing_if = "is_default")]
    pub is_start: bool,
    /// What ended, if `status` is terminal.
    #[serde(rename = "end", skip_serializing_if = "is_default")]
    pub end_of: EndOf,
    /// The current activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The current step, in words.
    #[serde(rename = "step", skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    /// The line as a message to show.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the run has used so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Box<Usage>>,
    /// The to-do list of the agent, at most [`MAX_TODOS`] items. Its counter is in `counters`,
    /// unless the line has another counter of kind [`CounterKind::Report`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub todos: Vec<Todo>,
    /// Changes of the to-do list, in order.
    #[serde(rename = "edits", skip_serializing_if = "Vec::is_empty")]
    pub todo_edits: Vec<TodoEdit>,
    /// What the agent waits for, if the line says that it waits for a person.
    #[serde(rename = "wait", skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<Waiting>>,
    /// What the line says about sub-agents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<SubagentReport>,
}

impl AgentObservation {
    /// Whether any tool may have printed the line: it has a counter in plain text, or the end of a
    /// tool.
    pub(crate) fn is_of_tool(&self) -> bool {
        let is_report = |(kind, _): &(CounterKind, Counter)| *kind == CounterKind::Report;
        let ends_run = self.status.is_some() && self.end_of == EndOf::Run;
        let is_named = self.task_id.is_some() || self.usage.is_some() || !self.parts.is_empty();
        let has_todos = !self.todos.is_empty() || !self.todo_edits.is_empty();
        let is_about_agent = is_named || has_todos || self.phase.is_some();
        !ends_run && !is_about_agent && !self.counters.iter().any(is_report)
    }
}

/// What an agent waits for. It is `blocked` until a later line shows that it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What a person must give.
    #[serde(rename = "n")]
    pub need: Need,
    /// The question, at most [`MAX_MESSAGE_BYTES`](crate::model::MAX_MESSAGE_BYTES) bytes.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// What a person must give to an agent that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// An answer, a choice or a login.
    Input,
    /// A permission.
    Approval,
}

impl Need {
    /// The phase of a task that waits for this.
    pub fn phase(self) -> &'static str {
        match self {
            Self::Input => "input_required",
            Self::Approval => "approval_required",
        }
    }
}

/// What a line says about a sub-agent. Texts are at most [`MAX_ITEM_BYTES`] bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubagentReport {
    /// What identifies the sub-agent in its run.
    pub id: String,
    /// Its name for people. A line without a name is about a sub-agent that another line has named,
    /// or about something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its status.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// How many items of its to-do list are done.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub counter: Option<Counter>,
    /// What it does.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A change of a to-do list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoEdit {
    /// Another item at the end of the list.
    Add(Todo),
    /// The item with this number, from 1, is in another state; `None` takes it off the list.
    Set(u64, Option<TodoState>),
    /// A line of a list in text. A list is printed again whenever an item changes.
    Line(Todo),
    /// A line with a sign that other programs print too. It is one of a list if the list has an
    /// open item.
    Tick(Todo),
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a run of an agent has used since its start, as far as the line says. A later value replaces
/// an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The name of the agent, at most [`MAX_ITEM_BYTES`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language model, at most [`MAX_ITEM_BYTES`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens that the model read. Some agents count cached tokens here, some do not.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that the model wrote.
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens that were read from the cache of the provider.
    #[serde(rename = "cached", skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Requests to the model, as the agent counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// The cost in millionths of a US dollar, at most 10^15.
    #[serde(rename = "cost", skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// The tool that the agent uses now, at most [`MAX_ITEM_BYTES`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

impl Usage {
    /// Adds what a later line says. Values are cumulative, so they replace earlier ones.
    pub fn replace_by(&mut self, later: &Self) {
        fn put<T: Clone>(held: &mut Option<T>, later: &Option<T>) {
            if later.is_some() {
                held.clone_from(later);
            }
        }
        put(&mut self.name, &later.name);
        put(&mut self.model, &later.model);
        put(&mut self.input_tokens, &later.input_tokens);
        put(&mut self.output_tokens, &later.output_tokens);
        put(&mut self.cached_tokens, &later.cached_tokens);
        put(&mut self.turns, &later.turns);
        put(&mut self.cost_micro_usd, &later.cost_micro_usd);
        put(&mut self.tool, &later.tool);
    }
}

/// The most items of a to-do list that are kept. Further items are only counted.
pub const MAX_TODOS: usize = 50;
/// The greatest length of a to-do item and of the names in [`Usage`], in bytes.
pub const MAX_ITEM_BYTES: usize = 160;

/// An item of a to-do list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// The words of the item, at most [`MAX_ITEM_BYTES`] bytes.
    #[serde(rename = "t")]
    pub text: String,
    /// How far it is.
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    pub state: TodoState,
}

/// The state of a [`Todo`].
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TodoState {
    /// Not begun, or waiting.
    #[default]
    Pending,
    /// The agent works on it.
    InProgress,
    /// Done or cancelled: nothing is left to do.
    Done,
}
