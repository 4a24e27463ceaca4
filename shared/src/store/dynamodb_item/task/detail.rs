//! The detail of a run: what only its own view shows. Indexes and lists do not carry it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    DETAIL_TIMESTAMP, LIFE, METADATA, NAMED_LIFETIME_SECONDS, REVISION, TASK_ID, TIMESTAMP,
    earlier_timestamp,
};
use crate::model::{Part, Revision, Task, TodoItem};
use crate::store::dynamodb_item::{Item, ItemError, ItemReader, ItemWriter, RUN_FORMAT, TTL};

const PARTS: &str = "parts";
const FAILURE_CONTEXT: &str = "failure_context";
/// The to-do list of the agent, as JSON.
const TODOS: &str = "todos";

/// The item of the detail of `task`.
pub(crate) fn item(task: &Task, life: i64, now_seconds: i64) -> Result<Item, serde_json::Error> {
    let timestamp = match task.is_earlier {
        true => earlier_timestamp(task.run) - 1,
        false => DETAIL_TIMESTAMP,
    };
    let metadata = task.metadata.as_ref().filter(|_| task.has_long_metadata());
    let metadata = metadata.map(serde_json::to_string).transpose()?;
    let context = Some(task.failure_context()).filter(|context| !context.is_empty());
    let context = context.map(serde_json::to_string).transpose()?;
    let todos = Some(task.todos()).filter(|todos| !todos.is_empty());
    let todos = todos.map(serde_json::to_string).transpose()?;
    Ok(ItemWriter::in_format(RUN_FORMAT)
        .text(TASK_ID, &task.task_id)
        .number(TIMESTAMP, timestamp)
        .number(TTL, now_seconds.saturating_add(NAMED_LIFETIME_SECONDS))
        .number(LIFE, life)
        .number(REVISION, task.revision)
        .text(PARTS, serde_json::to_string(&task.parts)?)
        .optional_text(METADATA, metadata)
        .optional_text(FAILURE_CONTEXT, context)
        .optional_text(TODOS, todos)
        .finish())
}

/// What a detail holds, and the life and revision that wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredDetail {
    pub(crate) life: i64,
    pub(crate) revision: Revision,
    pub(crate) parts: BTreeMap<String, Part>,
    /// `None` if the head has the metadata, or there is none.
    pub(crate) metadata: Option<Map<String, Value>>,
    /// The lines before the failure.
    pub(crate) failure_context: Vec<String>,
    /// The to-do list of the agent.
    pub(crate) todos: Vec<TodoItem>,
}

/// Reads a detail.
pub(crate) fn read(item: &Item) -> Result<StoredDetail, ItemError> {
    let item = ItemReader::in_format(item, RUN_FORMAT)?;
    Ok(StoredDetail {
        life: item.number(LIFE)?,
        revision: Revision(item.number(REVISION)?),
        parts: item
            .optional_json(PARTS)?
            .ok_or(ItemError::Missing(PARTS))?,
        metadata: item.optional_json(METADATA)?,
        failure_context: item.optional_json(FAILURE_CONTEXT)?.unwrap_or_default(),
        todos: item.optional_json(TODOS)?.unwrap_or_default(),
    })
}
