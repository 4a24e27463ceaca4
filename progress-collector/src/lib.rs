//! The collector: turns log lines into stored tasks.
//!
//! Each event that invokes it is of one kind of [trigger](triggers). A sweep, a backfill and a push
//! read log events, and `shared::ingest` parses them, folds them into tasks and saves the tasks. It
//! writes to DynamoDB first, then to Redis, then the checkpoint, so a crash between any two writes
//! only repeats work. Records of the tasks table's stream make the collector publish an event for
//! each transition of a task. Each invocation writes its metrics to standard output and returns a
//! summary.

mod collector;
mod config;
mod handler;
mod invocation;
mod metrics;
mod publish;
mod response;
mod summary;
mod trigger;
pub mod triggers;
mod window;
pub mod wiring;

pub use collector::{CollectError, Collector, Parts};
pub use config::{CollectorConfig, LogGroup};
pub use handler::{InvokeError, invoke};
pub use invocation::Invocation;
pub use metrics::write_metrics;
pub use response::{BatchItemFailure, FunctionResponse};
pub use summary::{GroupSummary, PublishSummary, Summary};
pub use trigger::{InvalidTrigger, Trigger};
pub use triggers::backfill::Backfill;
pub use triggers::parse_trigger;
pub use triggers::push::Push;
pub use triggers::stream::StreamRecords;
pub use triggers::sweep::Sweep;
