//! Parses to-do lists.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{item, parse_status};
use crate::log_parser::json::{self, Object};
use crate::log_parser::observation::{Counter, MAX_TODOS, Todo, TodoState};
use crate::model::TaskStatus;

/// An item that is an object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow, rename = "activeForm")]
    active_form: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    done: Option<bool>,
}

/// Parses the to-do list in an object: its first items, and the number of items done and in all.
///
/// Returns `None` if there is no list, if it has no items, or if an item is not valid.
pub(super) fn parse(object: &Object<'_>) -> Option<(Vec<Todo>, Counter)> {
    let list = object.todos.or(object.todo)?;
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
    let fields: Fields<'_> = json::object(raw)?;
    let texts = [
        fields.content,
        fields.text,
        fields.title,
        fields.active_form,
    ];
    let text = texts.into_iter().flatten().find_map(item)?;
    let word = fields.status.or(fields.state).and_then(json::string);
    let status = parse_status(&word.unwrap_or_default()).map(|status| status.status);
    let state = match status {
        _ if fields.done == Some(true) => TodoState::Done,
        Some(TaskStatus::Completed | TaskStatus::Cancelled) => TodoState::Done,
        Some(TaskStatus::Running) => TodoState::InProgress,
        _ => TodoState::Pending,
    };
    Some(Todo { text, state })
}
