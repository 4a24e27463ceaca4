//! The bundled sample runs: logs as CDK and agents write them, of a shop that does not exist.

use std::time::Duration;

use shared::log_parser::LogFormat;

/// A log and the pace it is played at.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The log stream it is played to.
    pub(crate) log_stream: &'static str,
    /// What wrote it.
    pub(crate) format: LogFormat,
    /// Its lines.
    pub(crate) text: &'static str,
    /// When its first line comes.
    pub(crate) starts_after: Duration,
    /// How long its lines take.
    pub(crate) lasts: Duration,
}

/// All samples.
pub(crate) const SAMPLES: &[Sample] = &[
    Sample {
        log_stream: "shop-deploy",
        format: LogFormat::CDK,
        text: include_str!("../samples/shop-deploy.log"),
        starts_after: Duration::ZERO,
        lasts: Duration::from_secs(58),
    },
    Sample {
        log_stream: "coder-142",
        format: LogFormat::AGENT,
        text: include_str!("../samples/coder-142.log"),
        starts_after: Duration::from_millis(500),
        lasts: Duration::from_secs(46),
    },
    Sample {
        log_stream: "workers-deploy",
        format: LogFormat::CDK,
        text: include_str!("../samples/workers-deploy.log"),
        starts_after: Duration::from_secs(4),
        lasts: Duration::from_secs(38),
    },
    Sample {
        log_stream: "nightly-digest",
        format: LogFormat::AGENT,
        text: include_str!("../samples/nightly-digest.log"),
        starts_after: Duration::from_millis(200),
        lasts: Duration::from_secs(60),
    },
    Sample {
        log_stream: "docs-deploy",
        format: LogFormat::CDK,
        text: include_str!("../samples/docs-deploy.log"),
        starts_after: Duration::from_secs(14),
        lasts: Duration::from_secs(56),
    },
];
