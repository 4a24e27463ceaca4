//! DynamoDB embedded, over loopback HTTP, behind the client of production.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use progress_collector::Parts;
use serde_json::Value;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::StoreConfig;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};
use shared::store::tables::create_tables;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A DynamoDB with the three tables, which ends when it is dropped.
pub(crate) struct Embedded {
    endpoint_url: String,
    client: aws_sdk_dynamodb::Client,
    config: StoreConfig,
    database: Database,
    server: JoinHandle<()>,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
        let database = Database::memory().unwrap();
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let client = shared::aws::local_dynamodb(&endpoint_url);
        let config = StoreConfig {
            tasks_table: "tasks".to_owned(),
            projects_table: "projects".to_owned(),
            checkpoints_table: Some("checkpoints".to_owned()),
            index_shards: 2,
        };
        create_tables(&client, &config).await.unwrap();
        Self {
            endpoint_url,
            client,
            config,
            database,
            server,
        }
    }

    pub(crate) fn tasks(&self) -> DynamoDbTaskStore {
        DynamoDbTaskStore::new(self.client.clone(), &self.config)
    }

    /// `parts`, but with stores on this DynamoDB.
    pub(crate) fn parts(&self, parts: Parts) -> Parts {
        let client = || self.client.clone();
        Parts {
            tasks: Arc::new(self.tasks()),
            projects: Arc::new(DynamoDbProjectStore::new(client(), &self.config)),
            checkpoints: Arc::new(DynamoDbCheckpointStore::new(client(), "checkpoints")),
            ..parts
        }
    }

    /// From now on the tasks table has a stream, as the template asks for.
    pub(crate) async fn enable_stream(&self) {
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build()
            .unwrap();
        let call = self.client.update_table().table_name("tasks");
        call.stream_specification(stream).send().await.unwrap();
    }

    /// All records of the stream, as Lambda hands them over.
    pub(crate) fn stream_records(&self) -> Vec<Value> {
        let request = ListStreamsRequest {
            table_name: Some("tasks".to_owned()),
            ..ListStreamsRequest::default()
        };
        let stream_arn = self.database.list_streams(request).unwrap();
        let stream_arn = stream_arn.streams[0].stream_arn.clone();
        let request = DescribeStreamRequest {
            stream_arn: stream_arn.clone(),
            ..DescribeStreamRequest::default()
        };
        let stream = self.database.describe_stream(request).unwrap();
        let request = GetShardIteratorRequest {
            stream_arn,
            shard_id: stream.stream_description.shards[0].shard_id.clone(),
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            sequence_number: None,
        };
        let mut iterator = self.database.get_shard_iterator(request).unwrap();
        let mut records = Vec::new();
        while let Some(shard_iterator) = iterator.shard_iterator {
            let request = GetRecordsRequest {
                shard_iterator,
                limit: None,
            };
            let page = self.database.get_records(request).unwrap();
            if page.records.is_empty() {
                break; // the shard is open: it has another page for ever
            }
            iterator.shard_iterator = page.next_shard_iterator;
            let page = page.records.iter();
            records.extend(page.map(|record| serde_json::to_value(record).unwrap()));
        }
        records
    }

    /// Where it listens.
    pub(crate) fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }
}
