//! `serve`: the collector and the API in one process.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use api_lambda::auth::AuthConfigError;
use api_lambda::{ApiState, Auth, Cors, router};
use cli::plain_text::plain;
use progress_collector::{Collector, CollectorConfig, Parts};
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::{Settings, stale_after};
use shared::log_parser::LogFormat;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};
use shared::store::{ProjectStore, TaskStore};
use tokio::net::TcpListener;

use crate::args::ServeArgs;
use crate::cache::LocalCache;
use crate::data_directory::DataDirectory;
use crate::dynamodb::{self, CHECKPOINTS_TABLE};
use crate::failure::Failure;
use crate::file_log_source::FileLogSource;
use crate::follow::follow;
use crate::inputs;
use crate::loopback_guard::LoopbackGuard;
use crate::replay::{create_project, replay};
use crate::shutdown::ShutdownSignals;

/// Serves until the user stops it.
pub(crate) async fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let mut shutdown = ShutdownSignals::listen().map_err(Failure::Signals)?;
    let address = SocketAddr::from((args.host, args.port));
    let refused = |source| Failure::listen("the API", address, "--port", source);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let data = args.data.as_deref().map(DataDirectory::lock).transpose()?;
    let first_seen = data.as_ref().map(DataDirectory::first_seen);
    let source = inputs::open(&args.logs, first_seen)?;
    let lookup = |name: &str| std::env::var(name).ok();
    let settings = Settings::new(&lookup);
    let stale_after = stale_after(&settings)?;
    let auth = auth(&settings)?;
    let cors = Cors::from_settings(&settings)?;

    let dynamodb = dynamodb::start(0, data.as_ref()).await?;
    let cache = LocalCache::start(&settings, args.no_redis).await?;
    let client = dynamodb.client.clone();
    let tasks: Arc<dyn TaskStore> =
        Arc::new(DynamoDbTaskStore::new(client.clone(), &dynamodb.config));
    let projects: Arc<dyn ProjectStore> =
        Arc::new(DynamoDbProjectStore::new(client.clone(), &dynamodb.config));
    let parts = Parts {
        tasks: tasks.clone(),
        projects: projects.clone(),
        checkpoints: Arc::new(DynamoDbCheckpointStore::new(client, CHECKPOINTS_TABLE)),
        cache: cache.task_cache(),
        logs: Arc::new(source.clone()),
    };
    let config = CollectorConfig {
        groups: inputs::log_groups(),
        stale_after,
        ..CollectorConfig::default()
    };
    let collector = Collector::new(parts, config);
    let needs_token = !auth.is_none();
    let state = ApiState::new(tasks, projects.clone(), cache.task_cache(), stale_after);
    let guard = LoopbackGuard::new(address.ip(), &args.allow_host, &settings);
    let api = guard.protect(router(state, auth, cors));
    let outcome = match print_banner(args, address, &cache, &source, needs_token) {
        Ok(()) => tokio::select! {
            served = async { axum::serve(listener, api).await } => served.map_err(Failure::Api),
            received = shutdown.wait() => received.map_err(Failure::Signals),
            () = collect(&collector, projects.as_ref(), source, has_logs(args)) => Ok(()),
        },
        Err(failure) => Err(failure),
    };
    cache.stop().await;
    outcome
}

/// No authentication, unless AUTH_MODE is set: this is for a laptop.
fn auth(settings: &Settings<'_>) -> Result<Auth, AuthConfigError> {
    match settings.optional("AUTH_MODE") {
        None => Ok(Auth::none()),
        Some(_) => Auth::from_settings(settings),
    }
}

fn has_logs(args: &ServeArgs) -> bool {
    !args.logs.logs.is_empty()
}

/// Collects from the logs, or from the samples if there are none. Never returns.
async fn collect(
    collector: &Collector,
    projects: &dyn ProjectStore,
    source: FileLogSource,
    has_logs: bool,
) {
    if has_logs {
        follow(collector, source).await;
    } else {
        create_project(projects).await;
        replay(collector).await;
    }
}

/// Prints the addresses, the logs and the settings in use.
fn print_banner(
    args: &ServeArgs,
    address: SocketAddr,
    cache: &LocalCache,
    source: &FileLogSource,
    needs_token: bool,
) -> Result<(), Failure> {
    let mut text = format!("Miyabi Progress is on http://{address}\n");
    // Names of files may hold control characters.
    let mut add =
        |name: &str, value: &str| text.push_str(&format!("  {name:<6}{}\n", plain(value)));
    if has_logs(args) {
        for format in LogFormat::OF_FILES {
            let streams = source.log_streams(format.file_log_group).join(", ");
            if !streams.is_empty() {
                add("Logs", &format!("{}: {streams}", format.option));
            }
        }
        for (_, path) in &args.logs.logs {
            if path.is_dir() {
                add("Logs", &format!("new files in {}", path.display()));
            } else if path.as_os_str() != "-" && !path.exists() {
                add(
                    "Logs",
                    &format!("{} does not exist yet: waiting for it", path.display()),
                );
            }
        }
    } else {
        let options = LogFormat::OF_FILES.map(|format| format!("--{} FILE", format.option));
        let options = options.join(", ");
        add(
            "Logs",
            &format!("bundled samples, replayed again and again; {options} follow your own"),
        );
    }
    add("Redis", &cache.to_string());
    match &args.data {
        Some(directory) => add("Data", &directory.display().to_string()),
        None => add("Data", "in memory, lost at the end; --data DIR keeps it"),
    }
    if needs_token {
        add("Auth", "requests need a token: AUTH_MODE is jwt");
        let header = r#"-H "Authorization: Bearer $TOKEN""#;
        add(
            "Try",
            &format!("curl -s http://{address}/api/tasks {header}"),
        );
    } else {
        add("Try", &format!("curl -s http://{address}/api/tasks"));
    }
    if !needs_token && !args.host.is_loopback() {
        add(
            "Note",
            "everybody who can reach this address may read and write; AUTH_MODE=jwt asks for tokens",
        );
    }
    if !args.host.is_loopback() && args.allow_host.is_empty() {
        add(
            "Note",
            "requests by a host name are refused until --allow-host NAME allows the name",
        );
    }
    add("End", "Ctrl-C");
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    written
        .and_then(|()| output.flush())
        .map_err(Failure::Print)
}
