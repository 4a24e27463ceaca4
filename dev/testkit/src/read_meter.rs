//! Counts what queries of DynamoDB read.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::query::QueryOutput;

/// What queries have read, with the items that their filters have dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReadCount {
    /// The number of queries.
    pub queries: usize,
    /// The number of items.
    pub items: usize,
    /// The number of read units.
    pub units: f64,
}

/// Counts what the queries of a client read.
#[derive(Clone, Default)]
pub struct ReadMeter(Arc<Mutex<ReadCount>>);

impl fmt::Debug for ReadMeter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReadMeter")
    }
}

impl ReadMeter {
    /// A client like `client`, and the meter of its queries.
    pub fn attach(client: &Client) -> (Client, Self) {
        let meter = Self::default();
        let config = client.config().to_builder().interceptor(meter.clone());
        (Client::from_conf(config.build()), meter)
    }

    /// What was read since the last call.
    pub fn take(&self) -> ReadCount {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for ReadMeter {
    fn name(&self) -> &'static str {
        "ReadMeter"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let output = context.output_or_error().ok();
        if let Some(page) = output.and_then(|output| output.downcast_ref::<QueryOutput>()) {
            let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let consumed = page.consumed_capacity.as_ref();
            count.queries += 1;
            count.items += usize::try_from(page.scanned_count)?;
            count.units += consumed.and_then(|it| it.capacity_units).unwrap_or(0.0);
        }
        Ok(())
    }
}
