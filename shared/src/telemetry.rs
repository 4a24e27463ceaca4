//! Logs: JSON on Lambda, text elsewhere.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, registry};

/// Sends logs to standard error: a JSON object per line if `json` is set, else text. `filter` has
/// the syntax of `RUST_LOG` (`warn`, `info,hyper=debug`) and defaults to `info`. Text has colours only
/// on a terminal, and not if `NO_COLOR` is set. A second call does nothing.
pub fn init(json: bool, filter: Option<&str>) {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let has_colours = std::io::stderr().is_terminal() && !is_plain;
    // An installed subscriber stays.
    drop(subscriber(json, has_colours, filter, std::io::stderr).try_init());
}

fn subscriber<W>(
    json: bool,
    has_colours: bool,
    filter: Option<&str>,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = filter.and_then(|filter| filter.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let filter = without_lambda_events(without_spans(filter));
    let logs = tracing_subscriber::fmt::layer()
        .with_ansi(has_colours)
        .with_writer(writer);
    let logs = if json {
        logs.json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    } else {
        logs.with_target(false).boxed()
    };
    registry().with(logs.with_filter(filter))
}

/// Drops the Lambda runtime's span of each invocation. No log line shows it, and recording its
/// fields costs time. A filter above `info` keeps it.
fn without_spans(filter: Targets) -> Targets {
    if filter.default_level() > Some(LevelFilter::INFO) {
        return filter;
    }
    filter.with_target("lambda_runtime", LevelFilter::WARN)
}

/// Drops the lines in which the Lambda runtime logs whole events, because they include tokens and
/// cookies. No filter can turn them on.
fn without_lambda_events(filter: Targets) -> Targets {
    const EVENTS: &str = "lambda_runtime::layers::api_response";
    if filter.would_enable(EVENTS, &Level::TRACE) {
        return filter.with_target(EVENTS, LevelFilter::DEBUG);
    }
    filter
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Names of log groups and streams, and errors of other services, may be any text.
    #[test]
    fn hostile_text_stays_in_its_field_and_on_its_line() {
        let hostile = "a\r\nERROR all is lost\u{1b}[2J\u{1b}]0;x\u{7}\0\" level=\"ERROR";
        for json in [true, false] {
            let written = Written::default();
            let writer = written.clone();
            let subscriber = subscriber(json, true, None, move || writer.clone());
            tracing::subscriber::with_default(subscriber, || {
                let error = hostile.to_owned();
                tracing::warn!(log_group = hostile, error, "can't read");
            });
            let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(written.contains("all is lost"), "{written}");
            assert_eq!(written.lines().count(), 1, "{written}");
            for raw in ["\r", "\u{1b}[2J", "\u{1b}]0", "\u{7}", "\0"] {
                assert!(!written.contains(raw), "{raw:?} is in {written:?}");
            }
            if json {
                let line: serde_json::Value = serde_json::from_str(&written).unwrap();
                assert_eq!(line["level"], "WARN");
                assert_eq!(line["log_group"], hostile);
            }
        }
    }

    #[test]
    fn lambda_events_are_never_logged() {
        const EVENTS: &str = "lambda_runtime::layers::api_response";
        for filter in [
            "trace",
            "lambda_runtime=trace",
            "info,lambda_runtime::layers::api_response=trace",
            "info,lambda_runtime::layers=trace",
        ] {
            let filter = without_lambda_events(filter.parse().unwrap());
            assert!(!filter.would_enable(EVENTS, &Level::TRACE), "{filter}");
            assert!(filter.would_enable(EVENTS, &Level::DEBUG), "{filter}");
        }
        let filter = without_lambda_events("warn".parse().unwrap());
        assert!(!filter.would_enable(EVENTS, &Level::INFO), "{filter}");
    }
}
