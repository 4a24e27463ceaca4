//! Projects in DynamoDB.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use futures::{StreamExt, TryStreamExt, future, stream};
use tracing::warn;

use super::error::{corrupt, store_error};
use super::read::get_batch;
use crate::config::StoreConfig;
use crate::model::{Metrics, Project, ProjectId};
use crate::store::dynamodb_item::task::TASK_ID;
use crate::store::dynamodb_item::{Item, ItemUpdate, alias, counters, project, text};
use crate::store::{MOST_LISTED_PROJECTS, ProjectStore, StoreError};

/// The number of projects whose counters are read at the same time.
const CONCURRENCY: usize = 16;

/// The projects table, and the counters in the tasks table.
#[derive(Debug, Clone)]
pub struct DynamoDbProjectStore {
    client: Client,
    table: String,
    tasks_table: String,
}

impl DynamoDbProjectStore {
    /// Creates the store in the projects table of `config`. It connects at the first call.
    pub fn new(client: Client, config: &StoreConfig) -> Self {
        Self {
            client,
            table: config.projects_table.clone(),
            tasks_table: config.tasks_table.clone(),
        }
    }
}

impl DynamoDbProjectStore {
    /// Reads the fields of a project, strongly consistent.
    async fn read(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(project::key(project_id)))
            .consistent_read(true);
        let response = request.send().await;
        let response = response.map_err(|error| store_error("reading a project", error))?;
        response.item.as_ref().map(read_project).transpose()
    }

    /// Reads the metrics of a project.
    async fn metrics(
        &self,
        project_id: &ProjectId,
        is_consistent: bool,
    ) -> Result<Metrics, StoreError> {
        let (placeholder, name) = alias(TASK_ID);
        let request = self
            .client
            .query()
            .table_name(&self.tasks_table)
            .consistent_read(is_consistent)
            .key_condition_expression(format!("{placeholder} = :counters"))
            .expression_attribute_names(placeholder, name)
            .expression_attribute_values(":counters", text(counters::partition_of(project_id)));
        let response = request.send().await;
        let page = response.map_err(|error| store_error("reading metrics", error))?;
        let metrics = counters::metrics(&page.items.unwrap_or_default());
        metrics.map_err(|error| corrupt(format!("the metrics of project {project_id}"), error))
    }

    async fn write(
        &self,
        project_id: &ProjectId,
        update: ItemUpdate,
        operation: &'static str,
    ) -> Result<(), StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(project::key(project_id)))
            .update_expression(update.expression)
            .set_condition_expression(update.condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values));
        // A retry could take the write of its own first attempt for a conflict.
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let outcome = request.customize().config_override(once).send().await;
        outcome.map(drop).map_err(|error| {
            if matches!(
                error.as_service_error(),
                Some(UpdateItemError::ConditionalCheckFailedException(_))
            ) {
                StoreError::Conflict(format!("project {project_id}"))
            } else {
                store_error(operation, error)
            }
        })
    }
}

fn read_project(item: &Item) -> Result<Project, StoreError> {
    let corrupt = |error| corrupt(format!("project {}", project::id_of(item)), error);
    project::read(item).map_err(corrupt)
}

#[async_trait]
impl ProjectStore for DynamoDbProjectStore {
    async fn fetch(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let metrics = self.metrics(project_id, true);
        let (project, metrics) = future::try_join(self.read(project_id), metrics).await?;
        Ok(project.map(|project| Project { metrics, ..project }))
    }

    async fn create(&self, project: &Project) -> Result<(), StoreError> {
        let creation = project::creation(project);
        self.write(&project.project_id, creation, "creating a project")
            .await
    }

    async fn update(&self, previous: &Project, next: &Project) -> Result<(), StoreError> {
        let change = project::change(previous, next);
        self.write(&next.project_id, change, "changing a project")
            .await
    }

    async fn list(&self) -> Result<Vec<Project>, StoreError> {
        let projects = self.list_without_metrics().await?;
        let measured = projects.into_iter().map(|project| async move {
            let metrics = self.metrics(&project.project_id, false).await?;
            Ok(Project { metrics, ..project })
        });
        stream::iter(measured)
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// Reads at most 1 MB of items, whatever is stored
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html>).
    async fn list_without_metrics(&self) -> Result<Vec<Project>, StoreError> {
        let filter = project::is_project();
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .limit(i32::try_from(MOST_LISTED_PROJECTS).unwrap_or(i32::MAX))
            .filter_expression(filter.expression)
            .set_expression_attribute_names(Some(filter.names));
        let response = request.send().await;
        let page = response.map_err(|error| store_error("listing projects", error))?;
        if page.last_evaluated_key.is_some() {
            warn!("there may be more projects than a list has");
        }
        let items = page.items.unwrap_or_default();
        let projects: Result<Vec<Project>, StoreError> = items.iter().map(read_project).collect();
        let mut projects = projects?;
        projects.sort_unstable_by(|one, other| one.project_id.cmp(&other.project_id));
        Ok(projects)
    }

    async fn totals(&self) -> Result<Metrics, StoreError> {
        let keys = counters::total_keys().collect();
        let items = get_batch(&self.client, &self.tasks_table, keys, "reading metrics").await?;
        let metrics = counters::metrics(&items);
        metrics.map_err(|error| corrupt("the metrics of all tasks".to_owned(), error))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // The item need not exist.
        let key = text("ping");
        let request = self.client.get_item().table_name(&self.table);
        let response = request.key(project::PROJECT_ID, key).send().await;
        response.map_err(|error| store_error("a ping", error))?;
        Ok(())
    }
}
