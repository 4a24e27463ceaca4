//! The to-do list of an agent.

use serde::{Deserialize, Serialize};

use crate::log_parser::{
    AgentObservation, Counter, CounterKind, MAX_TODOS, Todo, TodoEdit, TodoState,
};
use crate::model::{TodoItem, TodoStatus};

/// The newest list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TodoList {
    /// The items, in order. Those that were taken off stay, because agents number items.
    #[serde(rename = "t", skip_serializing_if = "Vec::is_empty")]
    items: Vec<Item>,
    /// Whether it is a list for certain, because a line has a sign that only lists have.
    #[serde(rename = "sure", skip_serializing_if = "std::ops::Not::not")]
    is_sure: bool,
    /// Whether the agent has told a list, or single items of one, other than in text.
    #[serde(rename = "told", skip_serializing_if = "std::ops::Not::not")]
    is_told: bool,
    /// How often a list in text was begun.
    #[serde(rename = "p", skip_serializing_if = "is_zero")]
    prints: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    #[serde(flatten)]
    todo: Todo,
    #[serde(rename = "off", default, skip_serializing_if = "std::ops::Not::not")]
    is_off: bool,
    /// The list in text that had it last.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    print: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl TodoList {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items on the list.
    pub(super) fn items(&self) -> impl Iterator<Item = &Todo> {
        let items = self.items.iter().filter(|item| !item.is_off);
        items.map(|item| &item.todo)
    }

    /// The items to show: none, unless it is a list for certain.
    pub(super) fn shown(&self) -> Vec<TodoItem> {
        if !(self.is_told || self.is_list()) {
            return Vec::new();
        }
        let item = |todo: &Todo| TodoItem {
            text: todo.text.clone(),
            status: match todo.state {
                TodoState::Pending => TodoStatus::Pending,
                TodoState::InProgress => TodoStatus::InProgress,
                TodoState::Done => TodoStatus::Done,
            },
        };
        self.items().map(item).collect()
    }

    /// Whether a list in text is one for certain: a single box may be anything.
    fn is_list(&self) -> bool {
        self.is_sure && self.items().count() >= 2
    }

    /// Adds what a line says. Returns the counter of the list, if the line has changed single
    /// items. The counter of a whole list is among those of the line.
    pub(super) fn see(&mut self, line: &AgentObservation) -> Option<(CounterKind, Counter)> {
        if !line.todos.is_empty() {
            let items = line.todos.iter().map(|todo| Item::new(todo, 0));
            self.items = items.collect();
            self.is_told = true;
            self.prints = 0;
        }
        let kinds = line.todo_edits.iter().map(|edit| self.edit(edit));
        let kind = kinds.last()?;
        let total = self.items().count();
        let done = self.items().filter(|todo| todo.state == TodoState::Done);
        let counter = Counter {
            current: u64::try_from(done.count()).ok(),
            total: u64::try_from(total).ok(),
            percentage: None,
        };
        let counts = self.is_list() || kind != CounterKind::Checklist;
        counts.then_some((kind, counter))
    }

    fn edit(&mut self, edit: &TodoEdit) -> CounterKind {
        match edit {
            TodoEdit::Add(todo) => self.push(Item::new(todo, 0)),
            TodoEdit::Set(number, state) => {
                let index = number
                    .checked_sub(1)
                    .and_then(|index| usize::try_from(index).ok());
                if let Some(item) = index.and_then(|index| self.items.get_mut(index)) {
                    item.is_off = state.is_none();
                    item.todo.state = state.unwrap_or(item.todo.state);
                }
            }
            TodoEdit::Line(todo) | TodoEdit::Tick(todo) => {
                self.is_sure |= matches!(edit, TodoEdit::Line(_));
                self.print(todo);
                return CounterKind::Checklist;
            }
        }
        // An empty list is not stored.
        self.is_told |= !self.items.is_empty();
        CounterKind::Report
    }

    /// Adds a line of a list in text. An item that comes again begins the list again: what the list
    /// before had not is no longer on it.
    fn print(&mut self, todo: &Todo) {
        let known = self
            .items
            .iter_mut()
            .find(|item| item.todo.text == todo.text);
        let Some(known) = known else {
            self.push(Item::new(todo, self.prints));
            return;
        };
        let print = known.print;
        known.todo.state = todo.state;
        if print < self.prints {
            known.print = self.prints;
            return;
        }
        let before = self.prints;
        self.prints = before.saturating_add(1);
        known.print = self.prints;
        self.items.retain(|item| item.print >= before);
    }

    fn push(&mut self, item: Item) {
        if self.items.len() < MAX_TODOS {
            self.items.push(item);
        }
    }
}

impl Item {
    fn new(todo: &Todo, print: u32) -> Self {
        Self {
            todo: todo.clone(),
            is_off: false,
            print,
        }
    }
}
