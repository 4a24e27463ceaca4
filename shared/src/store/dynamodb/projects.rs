//! Projects in DynamoDB.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::error::{corrupt, store_error};
use super::read::get_batch;
use crate::config::StoreConfig;
use crate::model::{Metrics, Project, ProjectId};
use crate::store::dynamodb_item::project::{self, StoredProjects};
use crate::store::dynamodb_item::{Item, ItemUpdate};
use crate::store::{ProjectStore, StoreError};

/// The projects table.
#[derive(Debug, Clone)]
pub struct DynamoDbProjectStore {
    client: Client,
    table: String,
}

impl DynamoDbProjectStore {
    /// Creates the store in the projects table of `config`. It connects at the first call.
    pub fn new(client: Client, config: &StoreConfig) -> Self {
        Self {
            client,
            table: config.projects_table.clone(),
        }
    }
}

impl DynamoDbProjectStore {
    /// Reads the items with these keys, strongly consistent.
    async fn read(&self, keys: Vec<Item>) -> Result<StoredProjects, StoreError> {
        let items = get_batch(&self.client, &self.table, keys, "reading a project").await?;
        stored(&items)
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

fn stored(items: &[Item]) -> Result<StoredProjects, StoreError> {
    let mut stored = StoredProjects::default();
    for item in items {
        let added = stored.add(item);
        added.map_err(|error| corrupt(format!("project {}", project::id_of(item)), error))?;
    }
    Ok(stored)
}

#[async_trait]
impl ProjectStore for DynamoDbProjectStore {
    async fn fetch(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let counters = project::counters_keys(Some(project_id));
        let keys = [project::key(project_id)].into_iter().chain(counters);
        let stored = self.read(keys.collect()).await?;
        Ok(stored.into_projects().pop())
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
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.table)
                .set_exclusive_start_key(start);
            let response = request.send().await;
            let page = response.map_err(|error| store_error("listing projects", error))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(stored(&items)?.into_projects());
            }
        }
    }

    async fn totals(&self) -> Result<Metrics, StoreError> {
        let keys = project::counters_keys(None).collect();
        Ok(self.read(keys).await?.totals())
    }
}
