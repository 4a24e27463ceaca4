//! The collector: reads what deploys and agents log, and keeps the tasks that they report.
//!
//! One handler, several triggers, all ending in the same fold: a [`Trigger`] names the events to read, lines
//! become observations in a [`Batch`](batch::Batch), and [`save`] writes each task that they change. The
//! order of writes is DynamoDB, Redis, checkpoint: whatever is interrupted is read again, and reading
//! again is harmless.

mod batch;
mod collector;
mod fallback;
mod projects;
mod push;
mod save;
mod summary;
mod sweep;
mod trigger;
pub mod wiring;

pub use collector::{CollectError, Collector, CollectorConfig, LogGroup, Parts};
pub use summary::{GroupSummary, Summary};
pub use trigger::{InvalidTrigger, PushedEvents, Trigger, parse_trigger};
