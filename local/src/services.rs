//! `services`: what the two functions need around them, for `cargo lambda watch`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use shared::log_parser::LogFormat;

use crate::args::ServicesArgs;
use crate::data_directory::{self, CHECKPOINTS_TABLE, DataDirectory};
use crate::embedded_dynamodb::EmbeddedDynamoDb;
use crate::failure::Failure;
use crate::redis_process::{RedisError, RedisProcess};
use crate::shutdown::Shutdown;

/// Runs the services until the user ends them.
pub(crate) async fn services(args: &ServicesArgs) -> Result<(), Failure> {
    let mut shutdown = Shutdown::new().map_err(Failure::Signals)?;
    let data = args.data.as_deref().map(DataDirectory::take).transpose()?;
    let dynamodb = data_directory::start_dynamodb(args.dynamodb_port, data.as_ref()).await?;
    let redis = RedisProcess::start(args.redis_port).await;
    let environment = environment(&dynamodb, redis.as_ref().ok());
    let written = write_private(&args.env_file, &environment).map_err(|source| Failure::Write {
        path: args.env_file.clone(),
        source,
    });
    let outcome = match written.and_then(|()| announce(args, &dynamodb, &redis)) {
        Ok(()) => shutdown.asked().await.map_err(Failure::Signals),
        Err(failure) => Err(failure),
    };
    if let Ok(redis) = redis {
        redis.stop().await;
    }
    outcome
}

/// The functions' environment, as `cargo lambda watch --env-file` reads it.
fn environment(dynamodb: &EmbeddedDynamoDb, redis: Option<&RedisProcess>) -> String {
    let config = &dynamodb.config;
    let mut variables = dynamodb.environment().to_vec();
    variables.extend([
        ("TASKS_TABLE_NAME", config.tasks_table.clone()),
        ("PROJECTS_TABLE_NAME", config.projects_table.clone()),
        ("CHECKPOINTS_TABLE_NAME", CHECKPOINTS_TABLE.to_owned()),
        ("INDEX_SHARDS", config.index_shards.to_string()),
        ("AUTH_MODE", "none".to_owned()),
    ]);
    variables.extend(LogFormat::ALL.map(|format| {
        let log_group = format.file_log_group.to_owned();
        (format.environment_variable, log_group)
    }));
    variables.extend(redis.map(|redis| ("REDIS_ENDPOINT", redis.address.to_string())));
    let lines = variables.into_iter();
    lines
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

/// Writes a file that only its owner may read: it holds the key to the embedded DynamoDB.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn announce(
    args: &ServicesArgs,
    dynamodb: &EmbeddedDynamoDb,
    redis: &Result<RedisProcess, RedisError>,
) -> Result<(), Failure> {
    let kept = match &args.data {
        Some(directory) => format!("kept in {}", directory.display()),
        None => "in memory".to_owned(),
    };
    let redis = match redis {
        Ok(redis) => redis.address.to_string(),
        Err(error) => format!("none: {}", shared::error::error_chain(error)),
    };
    let env_file: &Path = &args.env_file;
    let (endpoint_url, env_file) = (&dynamodb.endpoint_url, env_file.display());
    let text = format!(
        "  DynamoDB  {endpoint_url} ({kept})\n  \
           Redis     {redis}\n  \
           Settings  {env_file}\n\n\
         In another terminal:\n  \
           cargo lambda watch --env-file {env_file}\n  \
           curl http://127.0.0.1:9000/api/tasks\n\n\
         Ctrl-C ends it.\n"
    );
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    written
        .and_then(|()| output.flush())
        .map_err(Failure::Print)
}
