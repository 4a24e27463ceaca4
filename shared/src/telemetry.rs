//! Logs: JSON where Lambda asks for it, text elsewhere.

use tracing_subscriber::EnvFilter;

/// Sends logs to standard error: one JSON object a line if `json`, text otherwise. What is shown is set by
/// `filter` (as `RUST_LOG` has it), `info` by default. A second call changes nothing.
pub fn init(json: bool, filter: Option<&str>) {
    let filter =
        EnvFilter::try_new(filter.unwrap_or("info")).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let outcome = if json {
        logs.json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    } else {
        logs.with_target(false).try_init()
    };
    drop(outcome); // a subscriber that is already there stays
}
