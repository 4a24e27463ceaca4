//! All parts of an experiment: services, the proxies in front of them, and the functions.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Client, Connection};
use rustix::process::{Pid, Signal, kill_process};
use shared::error::Source;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::redis_process::RedisProcess;
use tokio::runtime::Handle;

use super::dynamodb::DynamoDbProxy;
use super::proxy::FaultProxy;
use crate::function::Function;

/// The number of API processes: more than the requests that may hang without DynamoDB.
const APIS: usize = 4;
/// The time limit of the bench's own calls of Redis.
const PATIENCE: Duration = Duration::from_secs(5);

/// Services, proxies and functions.
pub struct Harness {
    /// DynamoDB itself, without the proxies.
    pub dynamodb: EmbeddedDynamoDb,
    /// The proxy of connections to DynamoDB.
    pub dynamodb_wire: FaultProxy,
    /// The proxy of requests to DynamoDB.
    pub dynamodb_proxy: DynamoDbProxy,
    /// The proxy of connections to Redis.
    pub redis_wire: FaultProxy,
    /// The API processes.
    pub apis: Vec<Mutex<Function>>,
    /// The collector process.
    pub collector: Mutex<Function>,
    redis: Mutex<Option<RedisProcess>>,
    redis_address: SocketAddr,
    handle: Handle,
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Harness").finish_non_exhaustive()
    }
}

impl Harness {
    /// Starts all parts.
    ///
    /// # Errors
    ///
    /// If one can't be started.
    pub fn start(handle: Handle, api: &Path, collector: &Path) -> Result<Self, Source> {
        let (dynamodb, redis) = handle.block_on(async {
            let dynamodb = EmbeddedDynamoDb::start().await?;
            Ok::<_, Source>((dynamodb, RedisProcess::start(0).await?))
        })?;
        let embedded = dynamodb
            .endpoint_url
            .trim_start_matches("http://")
            .parse()?;
        let redis_address = redis.address;
        let (dynamodb_proxy, dynamodb_wire, redis_wire) = handle.block_on(async {
            let proxy = DynamoDbProxy::start(embedded).await?;
            let wire = FaultProxy::start(proxy.address).await?;
            io::Result::Ok((proxy, wire, FaultProxy::start(redis_address).await?))
        })?;
        let environment = environment(&dynamodb, dynamodb_wire.address, redis_wire.address);
        let start = |program| Function::start(program, &environment, &[]).map(Mutex::new);
        let apis: io::Result<Vec<_>> = (0..APIS).map(|_| start(api)).collect();
        Ok(Self {
            apis: apis?,
            collector: start(collector)?,
            dynamodb,
            dynamodb_wire,
            dynamodb_proxy,
            redis_wire,
            redis: Mutex::new(Some(redis)),
            redis_address,
            handle,
        })
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    /// A connection to Redis itself.
    ///
    /// # Errors
    ///
    /// If Redis can't be reached.
    pub fn redis(&self) -> redis::RedisResult<Connection> {
        let client = Client::open(format!("redis://{}", self.redis_address))?;
        let connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// Kills Redis, without a shutdown.
    pub fn kill_redis(&self) {
        let _entered = self.handle.enter();
        drop(self.process().take());
    }

    /// Starts an empty Redis on the same port.
    ///
    /// # Errors
    ///
    /// If it can't be started.
    pub fn start_redis(&self) -> Result<(), Source> {
        let started = self
            .handle
            .block_on(RedisProcess::start(self.redis_address.port()))?;
        *self.process() = Some(started);
        Ok(())
    }

    /// Sends Redis a signal, to stop or continue it.
    ///
    /// # Errors
    ///
    /// If Redis is not running.
    pub fn signal_redis(&self, signal: Signal) -> Result<(), Source> {
        let process = self.process();
        let number = process.as_ref().and_then(RedisProcess::process_id);
        let number = number.map(i32::try_from).transpose()?;
        let number = number.and_then(Pid::from_raw).ok_or("Redis has ended")?;
        Ok(kill_process(number, signal)?)
    }

    fn process(&self) -> MutexGuard<'_, Option<RedisProcess>> {
        self.redis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn environment(
    dynamodb: &EmbeddedDynamoDb,
    dynamodb_at: SocketAddr,
    redis_at: SocketAddr,
) -> Vec<(String, String)> {
    let config = &dynamodb.config;
    let own = [
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{dynamodb_at}")),
        ("REDIS_ENDPOINT", redis_at.to_string()),
        ("TASKS_TABLE_NAME", config.tasks_table.clone()),
        ("PROJECTS_TABLE_NAME", config.projects_table.clone()),
        ("CHECKPOINTS_TABLE_NAME", "checkpoints".to_owned()),
        (
            "LOG_GROUPS",
            "/miyabi/cdk=cdk,/miyabi/agents=agent".to_owned(),
        ),
        ("INDEX_SHARDS", config.index_shards.to_string()),
        ("AUTH_MODE", "none".to_owned()),
    ];
    // Later entries win: the functions reach DynamoDB through the proxy.
    let all = dynamodb.environment().into_iter().chain(own);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}
