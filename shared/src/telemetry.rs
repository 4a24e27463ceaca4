//! Logs: JSON where Lambda asks for it, text elsewhere.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, registry};

/// Sends logs to standard error: one JSON object a line if `json`, text otherwise. What is shown is set by
/// `filter` (as `RUST_LOG` has it: `warn`, `info,hyper=debug`), `info` by default. A second call changes nothing.
pub fn init(json: bool, filter: Option<&str>) {
    // A subscriber that is already there stays.
    drop(subscriber(json, filter, std::io::stderr).try_init());
}

fn subscriber<W>(
    json: bool,
    filter: Option<&str>,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = filter.and_then(|filter| filter.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let filter = without_events(without_spans(filter));
    let logs = tracing_subscriber::fmt::layer().with_writer(writer);
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

    /// Names of log groups and streams, and what other services answer, may be anything.
    #[test]
    fn hostile_text_stays_in_its_field_and_on_its_line() {
        let hostile = "a\r\nERROR all is lost\u{1b}[2J\u{1b}]0;x\u{7}\0\" level=\"ERROR";
        for json in [true, false] {
            let written = Written::default();
            let writer = written.clone();
            let subscriber = subscriber(json, None, move || writer.clone());
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
