//! Maps DynamoDB's errors to store errors.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::error::Source;
use crate::store::StoreError;

/// The codes of transient errors, besides every status from 500.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const TRANSIENT_CODES: [&str; 8] = [
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// Whether a later attempt may succeed.
pub(super) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(refusal) => {
            let code = refusal.err().code().unwrap_or_default();
            TRANSIENT_CODES.contains(&code) || refusal.raw().status().as_u16() >= 500
        }
        _ => true,
    }
}

/// The error of a failed operation.
pub(crate) fn store_error<E>(
    operation: &'static str,
    error: SdkError<E, HttpResponse>,
) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let is_transient = is_transient(&error);
    let source: Source = Box::new(error);
    if is_transient {
        StoreError::Unavailable { operation, source }
    } else {
        StoreError::Refused { operation, source }
    }
}

/// The error of an unreadable item.
pub(crate) fn corrupt(id: String, error: impl Into<Source>) -> StoreError {
    let source = error.into();
    StoreError::Corrupt { id, source }
}
