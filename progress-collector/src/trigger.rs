//! What every trigger provides.

use std::fmt::Debug;

use async_trait::async_trait;
use serde_json::Value;
use shared::error::Source;

use crate::collector::{CollectError, Collector};
use crate::invocation::Invocation;
use crate::summary::Summary;

/// One kind of event that invokes the collector, with its parsed payload.
///
/// The futures need not be `Send`: an instance of the function handles one event at a time, on one
/// thread.
#[async_trait(?Send)]
pub trait Trigger: Debug + Send + Sync {
    /// The events of this kind, in words. The error for an unknown event lists them.
    fn expected() -> &'static str
    where
        Self: Sized;

    /// Parses an event of this kind. `Ok(None)` means that the event is of another kind.
    ///
    /// # Errors
    ///
    /// [`InvalidTrigger`] if the event is of this kind, and its payload is invalid.
    fn matches(lambda_event: &Value) -> Result<Option<Self>, InvalidTrigger>
    where
        Self: Sized;

    /// Does what the event asks for.
    ///
    /// # Errors
    ///
    /// [`CollectError`] if invoking the collector again may help.
    async fn handle(
        &self,
        collector: &Collector,
        invocation: Invocation,
    ) -> Result<Summary, CollectError>;
}

/// An event that no trigger accepts. Invoking the collector with it again will not help.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTrigger {
    /// No trigger matches the event.
    #[error("the event is not a trigger: expected {expected}")]
    Unknown {
        /// The events that the triggers accept.
        expected: String,
    },
    /// A field is missing or has an invalid value.
    #[error("{field} must be {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// The values that it accepts.
        expected: &'static str,
    },
    /// A field with a payload can't be unpacked.
    #[error("{field} can't be unpacked")]
    Payload {
        /// The field.
        field: &'static str,
        /// Why.
        source: Source,
    },
}
