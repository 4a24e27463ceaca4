//! Projects in DynamoDB.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::error::{corrupt, store_error};
use crate::config::StoreConfig;
use crate::model::{Project, ProjectId};
use crate::store::dynamodb_item::project::{self, PROJECT_NAME};
use crate::store::dynamodb_item::{Item, ItemUpdate, alias};
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

fn read(item: &Item) -> Result<Option<Project>, StoreError> {
    project::read(item).map_err(|error| corrupt(format!("project {}", project::id_of(item)), error))
}

#[async_trait]
impl ProjectStore for DynamoDbProjectStore {
    async fn fetch(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(project::key(project_id)))
            .consistent_read(true);
        let response = request.send().await;
        let response = response.map_err(|error| store_error("reading a project", error))?;
        response.item.as_ref().map_or(Ok(None), read)
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
        let (placeholder, name) = alias(PROJECT_NAME);
        let mut projects = Vec::new();
        let mut start = None;
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.table)
                .filter_expression(format!("attribute_exists({placeholder})"))
                .expression_attribute_names(&placeholder, &name)
                .set_exclusive_start_key(start);
            let response = request.send().await;
            let page = response.map_err(|error| store_error("listing projects", error))?;
            for item in page.items.unwrap_or_default() {
                projects.extend(read(&item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        projects.sort_unstable_by(|one, other| one.project_id.cmp(&other.project_id));
        Ok(projects)
    }
}
