//! The head of a run: what a list shows, and the names of the other items.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    HEAD_TIMESTAMP, KIND, LIFE, LIFETIME_SECONDS, LIST_KEY, LIST_SHARD, MESSAGE, METADATA, PHASE,
    PROGRESS_CURRENT, PROGRESS_PERCENTAGE, PROGRESS_TOTAL, PROJECT_ID, REVISION, RUN, SEARCH,
    STATUS, STATUS_SHARD, TASK_ID, TASK_TYPE, TIMESTAMP, UPDATED_AT, earlier_timestamp, list_key,
    read_progress, shard_of, status_shard, timestamp_of,
};
use crate::model::{Agent, Failure, Revision, Task};
use crate::record::{FactItems, Head, HeadState};
use crate::store::dynamodb_item::{
    Condition, Item, ItemError, ItemReader, ItemWriter, RUN_FORMAT, TTL, alias, is_expired, number,
};
use crate::store::search_text;

/// The value of [`KIND`].
pub(crate) const HEAD: &str = "head";

const TASK_NAME: &str = "task_name";
const PRIORITY: &str = "priority";
const CORRECTIONS: &str = "corrections";
const ASSUMED: &str = "assumed";
const CURRENT_STEP: &str = "current_step";
const LOG_GROUP: &str = "log_group";
const LOG_STREAM: &str = "log_stream";
const CREATED_AT: &str = "created_at";
const STARTED_AT: &str = "started_at";
const COMPLETED_AT: &str = "completed_at";
const DURATION_MS: &str = "duration_ms";
const USUAL_DURATION_MS: &str = "usual_duration_ms";
/// What the agent tells about itself, as JSON.
const AGENT: &str = "agent";
/// Why the run failed, as JSON, without the lines before it: those are in the detail.
const FAILURE: &str = "failure";
const CONTEXT: &str = "context";
/// Marks the head of a deleted run.
const DELETED: &str = "deleted";
/// Marks the head of a run that is part of another one.
const MERGED: &str = "merged";
/// Marks the head of an earlier run whose end only this write tells.
const ENDED_HERE: &str = "ended_here";
/// The revision that wrote the detail.
const DETAIL_REVISION: &str = "detail_revision";
/// Only of a newest run: see [`FactItems`].
const BASE_REVISION: &str = "base_revision";
const SEGMENTS: &str = "segments";
const OPEN_SINCE: &str = "open_since";

/// The sort key of the head of `task`.
pub(crate) fn timestamp(task: &Task) -> i64 {
    match task.is_earlier {
        true => earlier_timestamp(task.run),
        false => HEAD_TIMESTAMP,
    }
}

/// The item of a head. `items` is what it names: an earlier run names its detail alone.
pub(crate) fn item(
    head: &Head,
    items: &FactItems,
    has_ended_here: bool,
    index_shards: u32,
    now_seconds: i64,
) -> Result<Item, serde_json::Error> {
    let task = &head.task;
    let metadata = task.metadata.as_ref().filter(|_| !task.has_long_metadata());
    let metadata = metadata.map(serde_json::to_string);
    let agent = task.agent.as_deref().map(Agent::listed);
    let agent = agent.as_ref().map(serde_json::to_string);
    let failure = task.failure.as_deref().map(Failure::listed);
    let failure = failure.as_ref().map(serde_json::to_string);
    let context = task.context.as_ref().map(serde_json::to_string);
    let corrections = Some(task.corrections).filter(|corrections| *corrections > 0);
    let mut item = ItemWriter::in_format(RUN_FORMAT)
        .text(TASK_ID, &task.task_id)
        .number(TIMESTAMP, timestamp(task))
        .text(KIND, HEAD)
        .number(TTL, now_seconds.saturating_add(LIFETIME_SECONDS))
        .number(LIFE, items.life)
        .number(REVISION, task.revision)
        .text(RUN, task.run)
        .optional_number(DETAIL_REVISION, items.detail_revision)
        .text(TASK_NAME, &task.task_name)
        .text(TASK_TYPE, task.task_type)
        .text(STATUS, task.status)
        .optional_text(PRIORITY, task.priority)
        .optional_number(PROGRESS_CURRENT, task.progress.current)
        .optional_number(PROGRESS_TOTAL, task.progress.total)
        .optional_number(PROGRESS_PERCENTAGE, task.progress.percentage)
        .optional_number(CORRECTIONS, corrections)
        .optional_text(PROJECT_ID, task.project_id.as_ref())
        .optional_text(MESSAGE, task.message.as_ref())
        .optional_text(FAILURE, failure.transpose()?)
        .optional_text(PHASE, task.phase.as_ref())
        .optional_text(CURRENT_STEP, task.current_step.as_ref())
        .optional_text(LOG_GROUP, task.log_group.as_ref())
        .optional_text(LOG_STREAM, task.log_stream.as_ref())
        .text(CREATED_AT, task.created_at)
        .optional_text(STARTED_AT, task.started_at)
        .text(UPDATED_AT, task.updated_at)
        .optional_text(COMPLETED_AT, task.completed_at)
        .optional_number(DURATION_MS, task.duration_ms)
        .optional_number(USUAL_DURATION_MS, task.usual_duration_ms)
        .optional_text(AGENT, agent.transpose()?)
        .optional_text(CONTEXT, context.transpose()?)
        .optional_text(METADATA, metadata.transpose()?);
    if !task.is_earlier {
        item = item
            .number(BASE_REVISION, items.base_revision)
            .number(SEGMENTS, items.segments)
            .optional_text(OPEN_SINCE, items.open_since);
    }
    if task.is_assumed {
        item = item.set(ASSUMED, AttributeValue::Bool(true));
    }
    if has_ended_here {
        item = item.set(ENDED_HERE, AttributeValue::Bool(true));
    }
    // Without the keys of the indexes, a head is in no list.
    let item = match head.state {
        HeadState::Deleted => item.set(DELETED, AttributeValue::Bool(true)),
        HeadState::Merged => item.set(MERGED, AttributeValue::Bool(true)),
        HeadState::Live | HeadState::Expired => {
            let shard = shard_of(&task.task_id, index_shards);
            item.text(LIST_KEY, list_key(&task.run_id()))
                .text(LIST_SHARD, shard)
                .text(STATUS_SHARD, status_shard(task.status, shard))
                .text(SEARCH, search_text(task))
        }
    };
    Ok(item.finish())
}

/// The condition that the stored head is `previous`. `life` is that of the record; `None` for an
/// earlier run.
pub(crate) fn is_previous(
    previous: Option<&Head>,
    life: Option<i64>,
    now_seconds: i64,
) -> Condition {
    let Some(previous) = previous else {
        return Condition {
            expression: format!("attribute_not_exists(#{TASK_ID})"),
            names: [alias(TASK_ID)].into(),
            values: Item::new(),
        };
    };
    let mut condition = Condition {
        expression: format!("#{REVISION} = :previous"),
        names: [alias(REVISION)].into(),
        values: [(":previous".to_owned(), number(previous.task.revision))].into(),
    };
    let mut also = |name: &str, expression: String, value: AttributeValue| {
        condition.expression += &format!(" AND {expression}");
        condition.names.extend([alias(name)]);
        condition.values.insert(format!(":{name}"), value);
    };
    match (previous.state, life) {
        // The next life is another one, but nobody has begun it.
        (HeadState::Expired, _) => also(TTL, format!("#{TTL} <= :{TTL}"), number(now_seconds)),
        (_, Some(life)) => also(LIFE, format!("#{LIFE} = :{LIFE}"), number(life)),
        (_, None) => {}
    }
    condition
}

/// A stored head.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredHead {
    /// The run, without its detail.
    pub(crate) head: Head,
    /// What it names.
    pub(crate) items: FactItems,
}

/// Reads a head.
pub(crate) fn read(item: &Item, now_seconds: i64) -> Result<StoredHead, ItemError> {
    let head = read_head(item, now_seconds)?;
    let item = ItemReader::in_format(item, RUN_FORMAT)?;
    Ok(StoredHead {
        head,
        items: FactItems {
            life: item.number(LIFE)?,
            base_revision: Revision(item.optional_number(BASE_REVISION)?.unwrap_or(0)),
            segments: item.optional_number(SEGMENTS)?.unwrap_or(0),
            detail_revision: item.optional_number(DETAIL_REVISION)?.map(Revision),
            open_since: item.optional_parsed(OPEN_SINCE)?,
        },
    })
}

fn read_head(item: &Item, now_seconds: i64) -> Result<Head, ItemError> {
    let task = read_task(item)?;
    let state = match item {
        // The metrics include expired runs, but not these.
        _ if item.contains_key(DELETED) => HeadState::Deleted,
        _ if item.contains_key(MERGED) => HeadState::Merged,
        _ if is_expired(item, now_seconds) => HeadState::Expired,
        _ => HeadState::Live,
    };
    Ok(Head { task, state })
}

/// Reads the run of a head, without its detail.
pub(crate) fn read_task(item: &Item) -> Result<Task, ItemError> {
    let is_earlier = timestamp_of(item) != Some(HEAD_TIMESTAMP);
    let is_assumed = item.contains_key(ASSUMED);
    let item = ItemReader::in_format(item, RUN_FORMAT)?;
    Ok(Task {
        task_id: item.parsed(TASK_ID)?,
        task_name: item.text(TASK_NAME)?.to_owned(),
        task_type: item.parsed(TASK_TYPE)?,
        status: item.parsed(STATUS)?,
        priority: item.optional_parsed(PRIORITY)?,
        progress: read_progress(item)?,
        parts: Default::default(),
        agent: item.optional_json(AGENT)?,
        context: item.optional_json(CONTEXT)?,
        run: item.parsed(RUN)?,
        is_earlier,
        is_assumed,
        corrections: item.optional_number(CORRECTIONS)?.unwrap_or(0),
        revision: Revision(item.number(REVISION)?),
        project_id: item.optional_parsed(PROJECT_ID)?,
        message: item.optional_text(MESSAGE)?.map(str::to_owned),
        failure: item.optional_json(FAILURE)?,
        phase: item.optional_text(PHASE)?.map(str::to_owned),
        current_step: item.optional_text(CURRENT_STEP)?.map(str::to_owned),
        log_group: item.optional_text(LOG_GROUP)?.map(str::to_owned),
        log_stream: item.optional_text(LOG_STREAM)?.map(str::to_owned),
        created_at: item.parsed(CREATED_AT)?,
        started_at: item.optional_parsed(STARTED_AT)?,
        updated_at: item.parsed(UPDATED_AT)?,
        completed_at: item.optional_parsed(COMPLETED_AT)?,
        duration_ms: item.optional_number(DURATION_MS)?,
        usual_duration_ms: item.optional_number(USUAL_DURATION_MS)?,
        metadata: item.optional_json(METADATA)?,
    })
}

/// The head in an image of the table's stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeadImage {
    /// The head. It is never [`HeadState::Expired`], because an image has no present.
    pub(crate) head: Head,
    /// Whether no other record tells of the end of this earlier run.
    pub(crate) has_ended_here: bool,
    /// Whether the run has a detail, which the head does not hold.
    pub(crate) has_detail: bool,
}

/// Reads an image of the table's stream; `None` if it is not of a head.
pub(crate) fn read_image(item: &Item) -> Result<Option<HeadImage>, ItemError> {
    if !item.contains_key(KIND) {
        return Ok(None);
    }
    Ok(Some(HeadImage {
        head: read_head(item, i64::MIN)?,
        has_ended_here: item.contains_key(ENDED_HERE),
        has_detail: item.contains_key(DETAIL_REVISION),
    }))
}
