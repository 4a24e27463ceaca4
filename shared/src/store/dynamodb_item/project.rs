//! The items of the projects table: the fields of a project, and the counters behind its metrics.
//!
//! The counters may exist before the project does. Such an item has no `project_name`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Item, ItemError, ItemReader, ItemUpdate, ItemWriter, alias, number, text};
use crate::model::{Metrics, MetricsDelta, Project, ProjectId, Revision, TaskStatus};

/// The partition key.
pub(crate) const PROJECT_ID: &str = "project_id";
/// The project's name. An item without it has only counters.
pub(crate) const PROJECT_NAME: &str = "project_name";

const DESCRIPTION: &str = "description";
const STATUS: &str = "status";
const OWNER: &str = "owner";
const MATCH: &str = "match";
const CREATED_AT: &str = "created_at";
const UPDATED_AT: &str = "updated_at";
const REVISION: &str = "revision";
const DURATION_SUM_MS: &str = "duration_sum_ms";

/// The counter of tasks with a status.
fn counter(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "tasks_pending",
        TaskStatus::Running => "tasks_running",
        TaskStatus::Blocked => "tasks_blocked",
        TaskStatus::Completed => "tasks_completed",
        TaskStatus::Failed => "tasks_failed",
        TaskStatus::Cancelled => "tasks_cancelled",
    }
}

/// The key of a project.
pub(crate) fn key(project_id: &ProjectId) -> Item {
    Item::from([(PROJECT_ID.to_owned(), text(project_id.as_str()))])
}

/// The update that adds `delta` to the counters, whether or not the project exists.
pub(crate) fn counters_update(delta: &MetricsDelta) -> ItemUpdate {
    let mut update = ItemUpdate::new(ItemWriter::new().finish(), &[]);
    let counts = delta.counts.iter();
    let counts = counts.map(|(status, count)| (counter(*status), *count));
    let durations = [(DURATION_SUM_MS, delta.duration_sum_ms)];
    let mut additions = Vec::new();
    for (name, value) in counts.chain(durations) {
        update.names.extend([alias(name)]);
        update.values.insert(format!(":{name}"), number(value));
        additions.push(format!("#{name} :{name}"));
    }
    update.expression = format!("{} ADD {}", update.expression, additions.join(", "));
    update
}

/// The update that creates a project. Existing counters stay as they are.
pub(crate) fn creation(project: &Project) -> ItemUpdate {
    let mut update = fields_update(project);
    update.condition = Some(format!("attribute_not_exists(#{PROJECT_NAME})"));
    update
}

/// The update that writes the fields of `next`, if the stored project has the revision of
/// `previous`. The counters stay as they are.
pub(crate) fn change(previous: &Project, next: &Project) -> ItemUpdate {
    let mut update = fields_update(next);
    let revision = number(previous.revision);
    update.values.insert(":previous".to_owned(), revision);
    update.condition = Some(format!("#{REVISION} = :previous"));
    update
}

fn fields_update(project: &Project) -> ItemUpdate {
    let prefixes = project.match_prefixes.iter().map(text).collect();
    let set = ItemWriter::new()
        .number(REVISION, project.revision)
        .text(PROJECT_NAME, &project.project_name)
        .optional_text(DESCRIPTION, project.description.as_ref())
        .text(STATUS, project.status)
        .optional_text(OWNER, project.owner.as_ref())
        .set(MATCH, AttributeValue::L(prefixes))
        .text(CREATED_AT, project.created_at)
        .text(UPDATED_AT, project.updated_at)
        .finish();
    let remove: Vec<&str> = [DESCRIPTION, OWNER]
        .into_iter()
        .filter(|name| !set.contains_key(*name))
        .collect();
    ItemUpdate::new(set, &remove)
}

/// Reads a project; `None` if the item has only counters.
pub(crate) fn read(item: &Item) -> Result<Option<Project>, ItemError> {
    if !item.contains_key(PROJECT_NAME) {
        return Ok(None);
    }
    let item = ItemReader::new(item)?;
    Ok(Some(Project {
        project_id: item.parsed(PROJECT_ID)?,
        project_name: item.text(PROJECT_NAME)?.to_owned(),
        description: item.optional_text(DESCRIPTION)?.map(str::to_owned),
        status: item.parsed(STATUS)?,
        owner: item.optional_text(OWNER)?.map(str::to_owned),
        match_prefixes: item.texts(MATCH)?,
        revision: Revision(item.number(REVISION)?),
        metrics: read_metrics(item)?,
        created_at: item.parsed(CREATED_AT)?,
        updated_at: item.parsed(UPDATED_AT)?,
    }))
}

fn read_metrics(item: ItemReader<'_>) -> Result<Metrics, ItemError> {
    let mut counts = [0; TaskStatus::ALL.len()];
    for (count, status) in counts.iter_mut().zip(TaskStatus::ALL) {
        *count = item.optional_number(counter(*status))?.unwrap_or(0);
    }
    let count = |wanted| {
        let known = counts.iter().zip(TaskStatus::ALL);
        let mut found = known.filter(|(_, status)| **status == wanted);
        found.next().map_or(0, |(count, _)| *count)
    };
    // DynamoDB's numbers are larger than ours, so the sum may exceed an `i64`.
    let sum: i128 = item.optional_number(DURATION_SUM_MS)?.unwrap_or(0);
    let sum = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
    Ok(Metrics::from_counts(count, sum))
}

/// The text of an item's `project_id`, for errors.
pub(crate) fn id_of(item: &Item) -> String {
    let id = item.get(PROJECT_ID).and_then(|id| id.as_s().ok());
    id.cloned().unwrap_or_default()
}
