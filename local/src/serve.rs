//! `serve`: follows logs and runs the API, in one process.

use std::future::pending;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::Arc;

use api_lambda::auth::AuthConfigError;
use api_lambda::{ApiState, Auth, Cors, PushEndpoint, router};
use cli::plain_text::plain;
use cli::report::write_tasks;
use shared::config::{Settings, stale_after};
use shared::ingest::Ingest;
use shared::log_parser::LogFormat;
use shared::model::{Task, TaskStatus};
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};
use shared::store::{ProjectStore, TaskStore};
use shared::task_reader::WriteThrough;
use shared::view::Renderer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::debug;

use crate::args::ServeArgs;
use crate::banner::Banner;
use crate::cache::LocalCache;
use crate::data_directory::DataDirectory;
use crate::dynamodb;
use crate::failure::Failure;
use crate::follow::{EndedPipe, Follower};
use crate::followed_files::FollowedFiles;
use crate::http_server;
use crate::inputs::{self, Inputs, is_standard_input};
use crate::live_push::LivePush;
use crate::loopback_guard::LoopbackGuard;
use crate::readiness::Readiness;
use crate::replay::{create_project, replay};
use crate::shutdown::{ShutdownSignals, Signal};

/// The most log streams of a format whose names are printed.
const MOST_NAMES: usize = 5;

/// The exit code if nobody knows how the run of standard input has ended.
const UNKNOWN: u8 = 2;

/// Serves until the user stops it, or until standard input ends. Returns the exit code.
///
/// If that fails, standard input is passed on all the same: the command in front of the pipe goes on, and is seen.
pub(crate) async fn serve(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let outcome = try_serve(args).await;
    let is_piped = reads_standard_input(args) && !io::stdin().is_terminal();
    match outcome {
        Err(failure) if is_piped && !matches!(failure, Failure::Print(_)) => {
            failure.report();
            eprintln!("the input is passed on; nothing else happens with it");
            let shutdown = ShutdownSignals::listen().map_err(Failure::Signals)?;
            inputs::pass_on(shutdown).await.map_err(Failure::Signals)?;
            Ok(ExitCode::from(UNKNOWN))
        }
        outcome => outcome,
    }
}

async fn try_serve(args: &ServeArgs) -> Result<ExitCode, Failure> {
    #[cfg(unix)]
    raise_file_limit();
    let shutdown = ShutdownSignals::listen().map_err(Failure::Signals)?;
    let mut address = SocketAddr::from((args.host, args.port));
    let listener = match listen(address).await {
        Ok((bound, listener)) => {
            address = bound;
            Some(listener)
        }
        Err(failure) if reads_standard_input(args) => {
            failure.report();
            eprintln!("the input is read and passed on without the API and the dashboard");
            None
        }
        Err(failure) => return Err(failure),
    };
    let data = args.data.as_deref().map(DataDirectory::lock).transpose()?;
    let first_seen = data.as_ref().map(DataDirectory::first_seen).transpose()?;
    let inputs = inputs::open(args, first_seen)?;
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
        Arc::new(DynamoDbProjectStore::new(client, &dynamodb.config));
    let push = LivePush::new(auth.clone(), stale_after, dynamodb.access_key_id());
    let write_through = WriteThrough::new(cache.task_cache(), Renderer::new(stale_after));
    let ingest = Ingest::new(
        tasks.clone(),
        projects.clone(),
        write_through.with_listener(Arc::new(push.clone())),
    );
    let needs_token = !auth.is_none();
    let state = ApiState::new(
        tasks.clone(),
        projects.clone(),
        cache.task_cache(),
        stale_after,
    );
    let state = state
        .with_listener(Arc::new(push.clone()))
        .with_log_tails(Arc::new(inputs.files.tails()));
    let state = match auth.checks_tokens() {
        true => state.with_push(PushEndpoint::beside_api()),
        false => state,
    };
    let api = push.beside(router(state, auth, cors));
    let api = Readiness::new(dynamodb.damage().clone()).tell(api);
    let guard = LoopbackGuard::new(address.ip(), &args.allow_host, &settings);
    let api = guard.protect(api);
    let banner = banner(args, address, &cache, &inputs.files, needs_token);
    let is_reading = inputs.standard_input.is_some();
    if listener.is_some()
        && let Err(failure) = print(&banner, is_reading)
    {
        cache.stop().await;
        return Err(failure);
    }
    let (ended, ended_pipes) = mpsc::unbounded_channel();
    let Inputs {
        files,
        standard_input,
    } = inputs;
    let has_samples = has_samples(args);
    // A task of its own, because it may block for some milliseconds.
    let mut collecting = tokio::spawn(async move {
        if has_samples {
            create_project(projects.as_ref()).await;
            replay(&ingest).await;
        } else {
            let follower = Follower {
                ingest,
                tasks,
                files,
                stale_after,
                ended,
            };
            follower.follow().await;
        }
    });
    let end = End {
        shutdown,
        ended_pipes,
        standard_input,
        keeps: args.keep && listener.is_some(),
    };
    let serving = async {
        match listener {
            Some(listener) => http_server::serve(listener, api).await,
            None => pending().await,
        }
    };
    let outcome = tokio::select! {
        () = serving => Ok(ExitCode::SUCCESS),
        outcome = end.wait() => outcome,
        collected = &mut collecting => match collected {
            Ok(()) => Ok(ExitCode::SUCCESS), // it never returns
            Err(error) => resume_unwind(error.into_panic()),
        },
    };
    // It may be blocking, and must not go on while the runtime ends.
    if !collecting.is_finished() {
        collecting.abort();
        drop(collecting.await);
    }
    cache.stop().await;
    outcome
}

/// Listens on an address. Returns it with the port that was taken.
async fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), Failure> {
    let refused = |source| Failure::listen("the API", address, "--port", source);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((bound, listener))
}

fn reads_standard_input(args: &ServeArgs) -> bool {
    let mut logs = args.logs.logs.iter();
    logs.any(|(_, path)| is_standard_input(path))
}

/// Allows as many open files as the system does, because each viewer needs one.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        debug!(%error, "the limit of open files stays as it is");
    }
}

/// What ends the program.
struct End {
    shutdown: ShutdownSignals,
    ended_pipes: mpsc::UnboundedReceiver<EndedPipe>,
    /// The log stream of standard input, until that has ended.
    standard_input: Option<String>,
    /// Whether the program goes on when standard input has ended.
    keeps: bool,
}

impl End {
    /// Waits for the end. Returns the exit code.
    async fn wait(mut self) -> Result<ExitCode, Failure> {
        let mut is_interrupted = false;
        loop {
            tokio::select! {
                signal = self.shutdown.wait() => {
                    let signal = signal.map_err(Failure::Signals)?;
                    let is_first = !std::mem::replace(&mut is_interrupted, true);
                    if signal == Signal::Terminate || !is_first || self.standard_input.is_none() {
                        return Ok(ExitCode::SUCCESS);
                    }
                    // The command in front of the pipe got it too, and may have something to say.
                    eprintln!("waiting for the end of the input; Ctrl-C again ends at once");
                }
                Some(ended) = self.ended_pipes.recv() => {
                    if self.standard_input.as_ref() != Some(&ended.log_stream) {
                        continue;
                    }
                    self.standard_input = None;
                    print_end(&ended, self.keeps && !is_interrupted).map_err(Failure::Print)?;
                    if !self.keeps || is_interrupted {
                        return Ok(exit_code(&ended.tasks));
                    }
                }
            }
        }
    }
}

/// Says how the runs of standard input have ended. Not on standard output, which has what was passed on.
fn print_end(ended: &EndedPipe, goes_on: bool) -> io::Result<()> {
    let mut output = io::stderr().lock();
    let next = match goes_on {
        true => "; Ctrl-C ends the server",
        false => "",
    };
    let name = plain(&ended.log_stream);
    if ended.tasks.is_empty() {
        return writeln!(output, "\n{name} has ended without a line{next}");
    }
    writeln!(output, "\n{name} has ended{next}:")?;
    let is_terminal = output.is_terminal();
    write_tasks(&ended.tasks, is_terminal, &mut output)
}

/// As that of `progress watch`: 0 if all runs are completed, 1 if one has failed or was cancelled, else 2.
fn exit_code(tasks: &[Task]) -> ExitCode {
    let is_bad = |task: &Task| matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled);
    let is_good = |task: &Task| task.status == TaskStatus::Completed;
    if tasks.iter().any(is_bad) {
        ExitCode::FAILURE
    } else if !tasks.is_empty() && tasks.iter().all(is_good) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNKNOWN)
    }
}

/// No authentication, unless AUTH_MODE is set: this is for a laptop.
fn auth(settings: &Settings<'_>) -> Result<Auth, AuthConfigError> {
    match settings.optional("AUTH_MODE") {
        None => Ok(Auth::none()),
        Some(_) => Auth::from_settings(settings),
    }
}

/// Whether the bundled samples are replayed: not beside logs, and not into data that is kept.
fn has_samples(args: &ServeArgs) -> bool {
    args.logs.logs.is_empty() && args.data.is_none()
}

/// The addresses, the logs and the settings in use.
fn banner(
    args: &ServeArgs,
    address: SocketAddr,
    cache: &LocalCache,
    files: &FollowedFiles,
    needs_token: bool,
) -> Banner {
    let mut banner = Banner::with_names_of(5);
    banner.line(&format!("Miyabi Progress is on http://{address}"));
    // Names of files may hold control characters.
    let mut add = |name: &str, value: &str| banner.row(name, &plain(value));
    for format in LogFormat::OF_FILES {
        let mut names = files.log_streams(format);
        let shown: Vec<_> = names.by_ref().take(MOST_NAMES).collect();
        let more = match names.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if !shown.is_empty() {
            add(
                "Logs",
                &format!("{}: {}{more}", format.option, shown.join(", ")),
            );
        }
    }
    for (_, path) in &args.logs.logs {
        if path.is_dir() {
            add("Logs", &format!("new files in {}", path.display()));
        } else if !is_standard_input(path) && !path.exists() {
            add(
                "Logs",
                &format!("{} does not exist yet: waiting for it", path.display()),
            );
        }
    }
    let options = LogFormat::OF_FILES.map(|format| format!("--{} FILE", format.option));
    let options = options.join(", ");
    if has_samples(args) {
        add(
            "Logs",
            &format!("bundled samples, replayed again and again; {options} follow your own"),
        );
    } else if args.logs.logs.is_empty() {
        add(
            "Logs",
            &format!("none; {options} follow some, and `progress run` and the API send some"),
        );
    }
    add("Redis", &cache.to_string());
    match &args.data {
        Some(directory) => add("Data", &directory.display().to_string()),
        None => add("Data", "in memory, lost at the end; --data DIR keeps it"),
    }
    if needs_token {
        add("Auth", "requests need a token: AUTH_MODE is jwt");
        add("Try", &format!("curl -s http://{address}/api/tasks \\"));
        add("", r#"-H "Authorization: Bearer $TOKEN""#);
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
    let end = match (args.keep, reads_standard_input(args)) {
        (false, true) => "when the input ends, or Ctrl-C; --keep goes on",
        _ => "Ctrl-C",
    };
    add("End", end);
    banner
}

/// Prints the banner: to standard error if standard output has what is passed on from standard input.
fn print(banner: &Banner, is_reading: bool) -> Result<(), Failure> {
    let mut output: Box<dyn Write> = match is_reading {
        true => Box::new(io::stderr().lock()),
        false => Box::new(io::stdout().lock()),
    };
    let written = output.write_all(banner.text().as_bytes());
    written
        .and_then(|()| output.flush())
        .map_err(Failure::Print)
}
