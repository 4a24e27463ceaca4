//! Logs: JSON where Lambda asks for it, text elsewhere.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, registry};

/// Sends logs to standard error: one JSON object a line if `json`, text otherwise. What is shown is set by
/// `filter` (as `RUST_LOG` has it: `warn`, `info,hyper=debug`), `info` by default. A second call changes nothing.
pub fn init(json: bool, filter: Option<&str>) {
    let filter = filter.and_then(|filter| filter.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let filter = without_events(without_spans(filter));
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = if json {
        logs.json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    } else {
        logs.with_target(false).boxed()
    };
    let outcome = registry().with(logs.with_filter(filter)).try_init();
    drop(outcome); // a subscriber that is already there stays
}

/// `filter` without the span that the Lambda runtime puts around each invocation: no line shows it, and to write down
/// what is in it would be work of each. Who asks for more than `info` has it.
fn without_spans(filter: Targets) -> Targets {
    if filter.default_level() > Some(LevelFilter::INFO) {
        return filter;
    }
    filter.with_target("lambda_runtime", LevelFilter::WARN)
}

/// `filter` without the lines in which the Lambda runtime writes each event down as it came, with the tokens and cookies
/// that are in it: not even who asks for all has these.
fn without_events(filter: Targets) -> Targets {
    const EVENTS: &str = "lambda_runtime::layers::api_response";
    if filter.would_enable(EVENTS, &Level::TRACE) {
        return filter.with_target(EVENTS, LevelFilter::DEBUG);
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_never_written_down() {
        const EVENTS: &str = "lambda_runtime::layers::api_response";
        for filter in [
            "trace",
            "lambda_runtime=trace",
            "info,lambda_runtime::layers::api_response=trace",
            "info,lambda_runtime::layers=trace",
        ] {
            let filter = without_events(filter.parse().unwrap());
            assert!(!filter.would_enable(EVENTS, &Level::TRACE), "{filter}");
            assert!(filter.would_enable(EVENTS, &Level::DEBUG), "{filter}");
        }
        let filter = without_events("warn".parse().unwrap());
        assert!(!filter.would_enable(EVENTS, &Level::INFO), "{filter}");
    }
}
