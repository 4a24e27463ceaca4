//! The stream of the embedded DynamoDB's tasks table.

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use serde_json::Value;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;

/// Turns on the stream of the tasks table, with the settings of the template.
pub(crate) async fn enable_stream(dynamodb: &EmbeddedDynamoDb) {
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .unwrap();
    let call = dynamodb.client.update_table().table_name("tasks");
    call.stream_specification(stream).send().await.unwrap();
}

/// All records of the stream, as Lambda passes them.
pub(crate) fn stream_records(dynamodb: &EmbeddedDynamoDb) -> Vec<Value> {
    let database = dynamodb.database();
    let request = ListStreamsRequest {
        table_name: Some("tasks".to_owned()),
        ..ListStreamsRequest::default()
    };
    let stream_arn = database.list_streams(request).unwrap();
    let stream_arn = stream_arn.streams[0].stream_arn.clone();
    let request = DescribeStreamRequest {
        stream_arn: stream_arn.clone(),
        ..DescribeStreamRequest::default()
    };
    let stream = database.describe_stream(request).unwrap();
    let request = GetShardIteratorRequest {
        stream_arn,
        shard_id: stream.stream_description.shards[0].shard_id.clone(),
        shard_iterator_type: "TRIM_HORIZON".to_owned(),
        sequence_number: None,
    };
    let mut iterator = database.get_shard_iterator(request).unwrap();
    let mut records = Vec::new();
    while let Some(shard_iterator) = iterator.shard_iterator {
        let request = GetRecordsRequest {
            shard_iterator,
            limit: None,
        };
        let page = database.get_records(request).unwrap();
        if page.records.is_empty() {
            break; // an open shard always has a next page
        }
        iterator.shard_iterator = page.next_shard_iterator;
        let page = page.records.iter();
        records.extend(page.map(|record| serde_json::to_value(record).unwrap()));
    }
    records
}
