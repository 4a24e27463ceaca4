//! The tables of `template.yaml`. The store keeps its contract on them, and the code creates the
//! same tables where no template does.
//!
//! `test_data/tables.json` is what CloudFormation's emulator makes of the template.
//! `scripts/deploy-proof` compares the two.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, Projection,
    ProjectionType, StreamSpecification, StreamViewType, TableDescription, TimeToLiveSpecification,
};
use serde_json::Value;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::embedded_dynamodb::Stores;

const TABLES: &str = include_str!("../../test_data/tables.json");

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn key_schema(table: &Value) -> Vec<KeySchemaElement> {
    let element = |key: &Value| {
        KeySchemaElement::builder()
            .attribute_name(text(&key["AttributeName"]))
            .key_type(text(&key["KeyType"]).into())
            .build()
            .unwrap()
    };
    list(table, "KeySchema").map(element).collect()
}

fn index(index: &Value) -> GlobalSecondaryIndex {
    let projection = ProjectionType::from(text(&index["Projection"]["ProjectionType"]));
    GlobalSecondaryIndex::builder()
        .index_name(text(&index["IndexName"]))
        .set_key_schema(Some(key_schema(index)))
        .projection(Projection::builder().projection_type(projection).build())
        .build()
        .unwrap()
}

/// Creates a table as CloudFormation would.
async fn create(client: &Client, name: &str, table: &Value) {
    let attribute = |attribute: &Value| {
        AttributeDefinition::builder()
            .attribute_name(text(&attribute["AttributeName"]))
            .attribute_type(text(&attribute["AttributeType"]).into())
            .build()
            .unwrap()
    };
    let indexes: Vec<_> = list(table, "GlobalSecondaryIndexes").map(index).collect();
    let mut request = client
        .create_table()
        .table_name(name)
        .set_key_schema(Some(key_schema(table)))
        .set_attribute_definitions(Some(
            list(table, "AttributeDefinitions").map(attribute).collect(),
        ))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
        .billing_mode(BillingMode::from(text(&table["BillingMode"])));
    if let Some(stream) = table.get("StreamSpecification") {
        let view = StreamViewType::from(text(&stream["StreamViewType"]));
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(view);
        request = request.stream_specification(stream.build().unwrap());
    }
    request.send().await.unwrap();
    if let Some(life) = table.get("TimeToLiveSpecification") {
        let life = TimeToLiveSpecification::builder()
            .attribute_name(text(&life["AttributeName"]))
            .enabled(life["Enabled"] == true);
        client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(life.build().unwrap())
            .send()
            .await
            .unwrap();
    }
}

async fn of_the_template() -> EmbeddedDynamoDb {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let tables: BTreeMap<String, Value> = serde_json::from_str(TABLES).unwrap();
    assert_eq!(tables.len(), 3);
    for (name, table) in &tables {
        let made_by_code = embedded.client.delete_table().table_name(name);
        made_by_code.send().await.unwrap();
        create(&embedded.client, name, table).await;
    }
    embedded
}

async fn in_tables_of_the_template() -> (Stores, EmbeddedDynamoDb) {
    let embedded = of_the_template().await;
    (embedded.stores(), embedded)
}

mod conformance {
    testkit::store_conformance!(super::in_tables_of_the_template);
}

/// Keys, sorted indexes and attributes, and the attribute of the time to live.
async fn shape(client: &Client, table: &str) -> impl PartialEq + std::fmt::Debug + use<> {
    let response = client.describe_table().table_name(table).send().await;
    let table: TableDescription = response.unwrap().table.unwrap();
    let name = table.table_name().unwrap();
    let life = client.describe_time_to_live().table_name(name).send().await;
    let life = life.unwrap().time_to_live_description.unwrap();
    let mut attributes = table.attribute_definitions().to_vec();
    attributes.sort_by(|one, other| one.attribute_name.cmp(&other.attribute_name));
    let mut indexes: Vec<_> = table
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            (
                index.index_name().map(str::to_owned),
                index.key_schema().to_vec(),
                index.projection().cloned(),
            )
        })
        .collect();
    indexes.sort_by(|one, other| one.0.cmp(&other.0));
    let billing_mode = table
        .billing_mode_summary()
        .and_then(|mode| mode.billing_mode().cloned());
    (
        table.key_schema().to_vec(),
        attributes,
        indexes,
        billing_mode,
        life.attribute_name,
        life.time_to_live_status,
    )
}

#[tokio::test]
async fn the_code_creates_the_tables_of_the_template() {
    let template = of_the_template().await;
    let code = EmbeddedDynamoDb::start().await.unwrap();
    for table in ["tasks", "projects", "checkpoints"] {
        assert_eq!(
            shape(&template.client, table).await,
            shape(&code.client, table).await,
            "{table}"
        );
    }
}

#[tokio::test]
async fn the_tasks_table_has_a_stream_of_both_images() {
    let template = of_the_template().await;
    let table = template.client.describe_table().table_name("tasks").send();
    let table = table.await.unwrap().table.unwrap();
    let stream = table.stream_specification().unwrap();
    assert!(stream.stream_enabled);
    assert_eq!(
        stream.stream_view_type,
        Some(StreamViewType::NewAndOldImages)
    );
}
