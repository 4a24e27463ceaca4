//! `services`: DynamoDB and Redis for the two functions under `cargo lambda watch`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use shared::error::error_chain;
use shared::log_parser::LogFormat;
use tempfile::NamedTempFile;

use crate::args::ServicesArgs;
use crate::banner::Banner;
use crate::data_directory::DataDirectory;
use crate::dynamodb::{self, CHECKPOINTS_TABLE};
use crate::embedded_dynamodb::EmbeddedDynamoDb;
use crate::failure::Failure;
use crate::redis_process::{RedisError, RedisProcess};
use crate::shutdown::ShutdownSignals;

/// Runs the services until the user stops them.
pub(crate) async fn services(args: &ServicesArgs) -> Result<ExitCode, Failure> {
    let mut shutdown = ShutdownSignals::listen().map_err(Failure::Signals)?;
    let data = args.data.as_deref().map(DataDirectory::lock).transpose()?;
    let dynamodb = dynamodb::start(args.dynamodb_port, data.as_ref()).await?;
    let redis = RedisProcess::start_with_password(args.redis_port).await;
    let environment = environment(&dynamodb, redis.as_ref().ok());
    let written = write_private(&args.env_file, &environment);
    let written = written.map_err(|source| Failure::EnvFile {
        path: args.env_file.clone(),
        source,
    });
    let outcome = match written.and_then(|()| print_banner(args, &dynamodb, &redis)) {
        Ok(()) => shutdown.wait().await.map_err(Failure::Signals),
        Err(failure) => Err(failure),
    };
    if let Ok(redis) = redis {
        redis.stop().await;
    }
    outcome.map(|_| ExitCode::SUCCESS)
}

/// The environment of the functions, in the form that `cargo lambda watch --env-file` reads.
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
    // cargo-lambda takes a value with `=` in it only in quotes.
    variables.push(("LOG_GROUPS", format!("'{}'", log_groups())));
    variables.extend(redis.map(|redis| ("REDIS_ENDPOINT", redis.endpoint())));
    let lines = variables.into_iter();
    lines
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

/// A log group of each format, with its hint, and one without a hint.
fn log_groups() -> String {
    let hinted = LogFormat::ALL.map(|format| format!("{}={}", format.file_log_group, format.id));
    format!("{},{}", hinted.join(","), LogFormat::ANY.file_log_group)
}

/// Writes a file that only its owner may read, because it holds the access key id of DynamoDB and the password of
/// Redis.
///
/// A regular file is replaced, because a process that has the old file open could read the new text. A link, a device
/// or a pipe, such as /dev/stdout, is written to.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let is_special = path
        .symlink_metadata()
        .is_ok_and(|metadata| !metadata.is_file());
    if is_special {
        return write_through(path, text);
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(io::Error::other("its directory does not exist: create it"));
    }
    let mut file = NamedTempFile::new_in(directory)?; // readable by its owner alone
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Writes to an existing file. Takes the rights of others first, if it is a regular file.
fn write_through(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    if file.metadata()?.is_file() {
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        file.set_len(0)?;
    }
    file.write_all(text.as_bytes())
}

/// Prints the addresses of the services and how to use them.
fn print_banner(
    args: &ServicesArgs,
    dynamodb: &EmbeddedDynamoDb,
    redis: &Result<RedisProcess, RedisError>,
) -> Result<(), Failure> {
    let storage = match &args.data {
        Some(directory) => format!("kept in {}", directory.display()),
        None => "in memory".to_owned(),
    };
    let redis = match redis {
        Ok(redis) => redis.address.to_string(),
        Err(error) => format!("none: {}", error_chain(error)),
    };
    let (endpoint_url, env_file) = (&dynamodb.endpoint_url, args.env_file.display());
    let mut banner = Banner::with_names_of(8);
    banner.row("DynamoDB", &format!("{endpoint_url} ({storage})"));
    banner.row("Redis", &redis);
    let secret = format!("{env_file}, which only you can read: it holds secrets");
    banner.row("Settings", &secret);
    let how_to_use = format!(
        "\nIn another terminal:\n  \
           cargo lambda watch --env-file {env_file}\n  \
           curl http://127.0.0.1:9000/api/tasks\n\n\
         Ctrl-C stops the services.\n"
    );
    let text = format!("{}{how_to_use}", banner.text());
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    written
        .and_then(|()| output.flush())
        .map_err(Failure::Print)
}
