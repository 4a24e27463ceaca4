//! Creates the three tables where no template does: in tests and on a laptop.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use tracing::debug;

use super::StoreError;
use super::dynamodb::store_error;
use super::dynamodb_item::task::{
    LIST_INDEX, LIST_KEY, LIST_SHARD, PROJECT_ID, PROJECT_INDEX, STATUS_INDEX, STATUS_SHARD,
    TASK_ID, TIMESTAMP,
};
use super::dynamodb_item::{TTL, checkpoint, project};
use crate::config::StoreConfig;

const OPERATION: &str = "creating a table";

/// Creates the missing tables of `config`.
///
/// # Errors
///
/// [`StoreError::Unavailable`] or [`StoreError::Refused`]. A failure to set the time to live is no
/// error, because reads skip expired items.
pub async fn create_tables(client: &Client, config: &StoreConfig) -> Result<(), StoreError> {
    let indexes = [
        (LIST_INDEX, LIST_SHARD),
        (PROJECT_INDEX, PROJECT_ID),
        (STATUS_INDEX, STATUS_SHARD),
    ];
    let table = Table {
        name: &config.tasks_table,
        partition_key: TASK_ID,
        sort_key: Some(TIMESTAMP),
        indexes: &indexes,
    };
    table.create(client).await?;
    expire_items(client, &config.tasks_table).await;
    let table = Table {
        name: &config.projects_table,
        partition_key: project::PROJECT_ID,
        sort_key: None,
        indexes: &[],
    };
    table.create(client).await?;
    let Some(name) = &config.checkpoints_table else {
        return Ok(());
    };
    let table = Table {
        name,
        partition_key: checkpoint::SOURCE,
        sort_key: None,
        indexes: &[],
    };
    table.create(client).await
}

/// A table to create.
#[derive(Debug)]
struct Table<'a> {
    name: &'a str,
    partition_key: &'a str,
    /// The name of the sort key, which is a number.
    sort_key: Option<&'a str>,
    /// The names and partition keys of the indexes. The sort key of each is [`LIST_KEY`].
    indexes: &'a [(&'a str, &'a str)],
}

impl Table<'_> {
    async fn create(&self, client: &Client) -> Result<(), StoreError> {
        let refused = |error: BuildError| StoreError::Refused {
            operation: OPERATION,
            source: Box::new(error),
        };
        let mut request = client
            .create_table()
            .table_name(self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(text(self.partition_key).map_err(refused)?)
            .key_schema(key(self.partition_key, KeyType::Hash).map_err(refused)?);
        if let Some(sort_key) = self.sort_key {
            let kind = ScalarAttributeType::N;
            request = request
                .attribute_definitions(attribute(sort_key, kind).map_err(refused)?)
                .key_schema(key(sort_key, KeyType::Range).map_err(refused)?);
        }
        for (name, partition_key) in self.indexes {
            request = request
                .attribute_definitions(text(partition_key).map_err(refused)?)
                .global_secondary_indexes(index(name, partition_key).map_err(refused)?);
        }
        if !self.indexes.is_empty() {
            request = request.attribute_definitions(text(LIST_KEY).map_err(refused)?);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(refusal))
                if matches!(refusal.err(), CreateTableError::ResourceInUseException(_)) =>
            {
                Ok(())
            }
            Err(error) => Err(store_error(OPERATION, error)),
        }
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, BuildError> {
    let attribute = AttributeDefinition::builder();
    attribute.attribute_name(name).attribute_type(kind).build()
}

fn text(name: &str) -> Result<AttributeDefinition, BuildError> {
    attribute(name, ScalarAttributeType::S)
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    let key = KeySchemaElement::builder();
    key.attribute_name(name).key_type(kind).build()
}

fn index(name: &str, partition_key: &str) -> Result<GlobalSecondaryIndex, BuildError> {
    let everything = Projection::builder().projection_type(ProjectionType::All);
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(partition_key, KeyType::Hash)?)
        .key_schema(key(LIST_KEY, KeyType::Range)?)
        .projection(everything.build())
        .build()
}

async fn expire_items(client: &Client, table: &str) {
    let specification = TimeToLiveSpecification::builder();
    let specification = specification.attribute_name(TTL).enabled(true).build();
    let Ok(specification) = specification else {
        return; // never: both parts are set
    };
    let request = client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(specification);
    if let Err(error) = request.send().await {
        let error = crate::error::error_chain(&error);
        debug!(table, error, "DynamoDB will not delete expired items");
    }
}
