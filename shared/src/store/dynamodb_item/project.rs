//! The items of the projects table: the fields of projects, and the counters behind metrics.
//!
//! | key | item |
//! | --- | --- |
//! | the id | a project |
//! | `<id>#<shard>` | counters of its tasks in a shard. They may be older than the project |
//! | `~total#<shard>` | counters of all tasks in a shard |
//!
//! Tasks are spread over shards, because transactions on one item hinder each other.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::task::shard_of;
use super::{Item, ItemError, ItemReader, ItemUpdate, ItemWriter, alias, number, text};
use crate::model::{Metrics, MetricsDelta, Project, ProjectId, Revision, TaskId, TaskStatus};

/// The partition key.
pub(crate) const PROJECT_ID: &str = "project_id";

/// The number of shards of counters. It must never change: a counter would lose the tasks that move
/// to another shard.
const SHARDS: u32 = 8;
/// What the counters of all tasks have in place of an id. No id contains `~`.
const TOTAL: &str = "~total";

const PROJECT_NAME: &str = "project_name";
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

fn key_of(id: impl Into<String>) -> Item {
    Item::from([(PROJECT_ID.to_owned(), text(id))])
}

/// The key of a project.
pub(crate) fn key(project_id: &ProjectId) -> Item {
    key_of(project_id.as_str())
}

/// The key of the counters of a project, or of all tasks, in a shard. No id contains `#`.
fn counters_key(project_id: Option<&ProjectId>, shard: u32) -> Item {
    let id = project_id.map_or(TOTAL, ProjectId::as_str);
    key_of(format!("{id}#{shard}"))
}

/// The key of the counters that include the task.
pub(crate) fn counters_key_of(project_id: Option<&ProjectId>, task_id: &TaskId) -> Item {
    counters_key(project_id, shard_of(task_id, SHARDS))
}

/// The keys of all counters of a project, or of all tasks.
pub(crate) fn counters_keys(project_id: Option<&ProjectId>) -> impl Iterator<Item = Item> {
    (0..SHARDS).map(move |shard| counters_key(project_id, shard))
}

/// The update that adds `delta` to counters, whether or not they exist.
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

/// Counters of tasks.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    /// The tasks with each status, in the order of [`TaskStatus::ALL`].
    counts: [i64; TaskStatus::ALL.len()],
    /// DynamoDB's numbers are larger than an `i64`.
    duration_sum_ms: i128,
}

impl Counters {
    fn read(item: &Item) -> Result<Self, ItemError> {
        let item = ItemReader::new(item)?;
        let mut counters = Self::default();
        for (count, status) in counters.counts.iter_mut().zip(TaskStatus::ALL) {
            *count = item.optional_number(counter(*status))?.unwrap_or(0);
        }
        counters.duration_sum_ms = item.optional_number(DURATION_SUM_MS)?.unwrap_or(0);
        Ok(counters)
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.duration_sum_ms = self.duration_sum_ms.saturating_add(other.duration_sum_ms);
    }

    fn metrics(&self) -> Metrics {
        let count = |wanted| {
            let mut known = self.counts.iter().zip(TaskStatus::ALL);
            let known = known.find(|(_, status)| **status == wanted);
            known.map_or(0, |(count, _)| *count)
        };
        let sum = self.duration_sum_ms;
        let sum = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
        Metrics::from_counts(count, sum)
    }
}

/// What items of the table say.
#[derive(Debug, Default)]
pub(crate) struct StoredProjects {
    projects: Vec<Project>,
    /// By the id of the project, or [`TOTAL`].
    counters: HashMap<String, Counters>,
}

impl StoredProjects {
    /// Adds an item.
    pub(crate) fn add(&mut self, item: &Item) -> Result<(), ItemError> {
        match id_of(item).split_once('#') {
            Some((id, _)) => {
                let counters = self.counters.entry(id.to_owned()).or_default();
                counters.add(&Counters::read(item)?);
            }
            None => self.projects.push(read(item)?),
        }
        Ok(())
    }

    /// The metrics of all tasks.
    pub(crate) fn totals(&self) -> Metrics {
        self.metrics(TOTAL)
    }

    fn metrics(&self, id: &str) -> Metrics {
        let counters = self.counters.get(id);
        counters.map(Counters::metrics).unwrap_or_default()
    }

    /// The projects with their metrics, by id.
    pub(crate) fn into_projects(mut self) -> Vec<Project> {
        let mut projects = std::mem::take(&mut self.projects);
        for project in &mut projects {
            project.metrics = self.metrics(project.project_id.as_str());
        }
        projects.sort_unstable_by(|one, other| one.project_id.cmp(&other.project_id));
        projects
    }
}

/// Reads a project, without its metrics.
fn read(item: &Item) -> Result<Project, ItemError> {
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
