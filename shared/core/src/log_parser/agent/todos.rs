//! Parses to-do lists.

use serde_json::value::RawValue;

use super::{item, status};
use crate::log_parser::json::{self, Object};
use crate::log_parser::observation::{Counter, MAX_TODOS, Todo, TodoState};
use crate::model::TaskStatus;

/// Parses the to-do list in an object: its first items, and the number of items done and in all.
///
/// Returns `None` if there is no list, if it has no items, or if an item is not valid.
pub(super) fn parse(object: &Object<'_>) -> Option<(Vec<Todo>, Counter)> {
    parse_list(object.first(&["todos", "todo"])?)
}

/// [`parse`] for the list itself.
pub(super) fn parse_list(list: &RawValue) -> Option<(Vec<Todo>, Counter)> {
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let mut todos = Vec::new();
    let (mut done, mut all) = (0, 0);
    for raw in list {
        let todo = parse_item(raw)?;
        all += 1;
        done += u64::from(todo.state == TodoState::Done);
        if todos.len() < MAX_TODOS {
            todos.push(todo);
        }
    }
    let counter = Counter {
        current: Some(done),
        total: Some(all),
        percentage: None,
    };
    (all > 0).then_some((todos, counter))
}

fn parse_item(raw: &RawValue) -> Option<Todo> {
    if raw.get().starts_with('"') {
        return Some(Todo {
            text: item(raw)?,
            state: TodoState::Pending,
        });
    }
    let fields = json::object(raw)?;
    let texts = [
        "content",
        "text",
        "title",
        "step",
        "description",
        "activeForm",
    ];
    let text = texts.iter().find_map(|name| item(fields.get(name)?))?;
    let word = fields.first(&["status", "state"]).and_then(json::string);
    let is_done = fields.first(&["done", "completed"]);
    let state = match is_done.map(RawValue::get) {
        Some("true") => TodoState::Done,
        Some("false") | None => state(&word.unwrap_or_default()),
        Some(_) => return None,
    };
    Some(Todo { text, state })
}

/// The state that a word means. A cancelled item is done: nothing is left to do.
pub(super) fn state(word: &str) -> TodoState {
    match status::parse(word).map(|status| status.status) {
        Some(TaskStatus::Completed | TaskStatus::Cancelled) => TodoState::Done,
        Some(TaskStatus::Running) => TodoState::InProgress,
        _ => TodoState::Pending,
    }
}
