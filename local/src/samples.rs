//! The bundled sample runs: logs of CDK and of agents, about a shop that does not exist.

use std::time::Duration;

use shared::log_parser::LogFormat;

/// A log and how fast it is replayed.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The name of its log stream.
    pub(crate) log_stream: &'static str,
    /// Its log format.
    pub(crate) format: LogFormat,
    /// Its lines.
    pub(crate) text: &'static str,
    /// The time from the start of the replay to its first line.
    pub(crate) start: Duration,
    /// The time from its first line to its end.
    pub(crate) duration: Duration,
}

/// All sample runs.
pub(crate) const SAMPLES: &[Sample] = &[
    Sample {
        log_stream: "shop-deploy",
        format: LogFormat::CDK,
        text: include_str!("../samples/shop-deploy.log"),
        start: Duration::ZERO,
        duration: Duration::from_secs(58),
    },
    Sample {
        log_stream: "coder-142",
        format: LogFormat::AGENT,
        text: include_str!("../samples/coder-142.log"),
        start: Duration::from_millis(500),
        duration: Duration::from_secs(46),
    },
    Sample {
        log_stream: "workers-deploy",
        format: LogFormat::CDK,
        text: include_str!("../samples/workers-deploy.log"),
        start: Duration::from_secs(4),
        duration: Duration::from_secs(38),
    },
    Sample {
        log_stream: "nightly-digest",
        format: LogFormat::AGENT,
        text: include_str!("../samples/nightly-digest.log"),
        start: Duration::from_millis(200),
        duration: Duration::from_secs(60),
    },
    Sample {
        log_stream: "docs-deploy",
        format: LogFormat::CDK,
        text: include_str!("../samples/docs-deploy.log"),
        start: Duration::from_secs(14),
        duration: Duration::from_secs(56),
    },
];
