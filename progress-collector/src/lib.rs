//! The collector: turns log lines into stored tasks. With `PUBLISH`, the same program is the
//! publisher, which tells others what changes.
//!
//! Each event that invokes it is of one kind of [trigger](triggers). A sweep, a backfill and a push
//! read log events, and `shared::ingest` parses them, folds them into tasks and saves the tasks. It
//! writes to DynamoDB first, then to Redis, then the checkpoint, so a crash between any two writes
//! only repeats work. Records of the tasks table's stream invoke the publisher: it sends each
//! transition of a task to an event bus, or each change to those who watch. Each invocation writes its metrics to standard output and returns a
//! summary.

mod collector;
mod config;
mod handler;
mod invocation;
mod late_lines;
mod metrics;
mod publisher;
mod response;
mod summary;
mod trigger;
pub mod triggers;
mod window;
pub mod wiring;

pub use collector::{CollectError, Collector, Parts};
pub use config::{CollectorConfig, LogGroup};
pub use handler::{Handler, InvokeError, invoke};
pub use invocation::Invocation;
pub use metrics::{MetricsLevel, write_metrics};
pub use publisher::Publisher;
pub use response::{BatchItemFailure, FunctionResponse};
pub use summary::{GroupSummary, PublishSummary, PublishTarget, Summary};
pub use trigger::{InvalidTrigger, Trigger};
pub use triggers::backfill::Backfill;
pub use triggers::parse_trigger;
pub use triggers::push::Push;
pub use triggers::stream::StreamRecords;
pub use triggers::sweep::Sweep;
