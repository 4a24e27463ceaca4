//! The items of the projects table: the fields of each project. Its metrics are
//! [`counters`](super::counters).

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Item, ItemError, ItemReader, ItemUpdate, ItemWriter, alias, number, text};
use crate::model::{Metrics, Project, ProjectId, Revision};

/// The partition key.
pub(crate) const PROJECT_ID: &str = "project_id";

const PROJECT_NAME: &str = "project_name";
const DESCRIPTION: &str = "description";
const STATUS: &str = "status";
const OWNER: &str = "owner";
const MATCH: &str = "match";
const CREATED_AT: &str = "created_at";
const UPDATED_AT: &str = "updated_at";
const REVISION: &str = "revision";

/// The key of a project.
pub(crate) fn key(project_id: &ProjectId) -> Item {
    Item::from([(PROJECT_ID.to_owned(), text(project_id.as_str()))])
}

/// The condition that an item is a project.
pub(crate) fn is_project() -> Condition {
    Condition {
        expression: format!("attribute_exists(#{PROJECT_NAME})"),
        names: [alias(PROJECT_NAME)].into(),
        values: Item::new(),
    }
}

/// The update that creates a project.
pub(crate) fn creation(project: &Project) -> ItemUpdate {
    let mut update = fields_update(project);
    update.condition = Some(format!("attribute_not_exists(#{PROJECT_NAME})"));
    update
}

/// The update that writes the fields of `next`, if the stored project has the revision of
/// `previous`.
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

/// Reads a project, without its metrics.
pub(crate) fn read(item: &Item) -> Result<Project, ItemError> {
    let item = ItemReader::new(item)?;
    Ok(Project {
        project_id: item.parsed(PROJECT_ID)?,
        project_name: item.text(PROJECT_NAME)?.to_owned(),
        description: item.optional_text(DESCRIPTION)?.map(str::to_owned),
        status: item.parsed(STATUS)?,
        owner: item.optional_text(OWNER)?.map(str::to_owned),
        match_prefixes: item.texts(MATCH)?,
        revision: Revision(item.number(REVISION)?),
        metrics: Metrics::default(),
        created_at: item.parsed(CREATED_AT)?,
        updated_at: item.parsed(UPDATED_AT)?,
    })
}

/// The text of an item's `project_id`, for errors.
pub(crate) fn id_of(item: &Item) -> String {
    let id = item.get(PROJECT_ID).and_then(|id| id.as_s().ok());
    id.cloned().unwrap_or_default()
}
