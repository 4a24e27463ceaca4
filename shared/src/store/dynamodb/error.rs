//! Maps DynamoDB's errors to store errors.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tracing::error;

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

/// The codes of errors that are about credentials or permissions. An operator can correct them while
/// the function runs.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html>
const DENIED_CODES: [&str; 5] = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
];

/// DynamoDB denies a request.
#[derive(Debug, thiserror::Error)]
#[error("DynamoDB denies access ({code}): {message}")]
struct AccessDenied {
    code: String,
    /// DynamoDB's own text. It names the action and the resource.
    message: String,
}

impl AccessDenied {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Self> {
        let refusal = error.as_service_error()?;
        let code = refusal.code().filter(|code| DENIED_CODES.contains(code))?;
        Some(Self {
            code: code.to_owned(),
            message: refusal.message().unwrap_or("no reason given").to_owned(),
        })
    }
}

/// Whether another attempt at once may succeed.
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
    if let Some(denied) = AccessDenied::of(&error) {
        // The caller may answer from the cache and say nothing.
        error!(operation, reason = %denied, "the store can't be used");
        let source: Source = Box::new(denied);
        return StoreError::Unavailable { operation, source };
    }
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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::query::QueryError;

    use super::*;
    use crate::error::error_chain;

    fn error_of(code: &str, message: &str) -> StoreError {
        let metadata = ErrorMetadata::builder().code(code).message(message).build();
        let raw = HttpResponse::new(
            400.try_into().unwrap(),
            aws_smithy_types::body::SdkBody::empty(),
        );
        let error = SdkError::service_error(QueryError::generic(metadata), raw);
        store_error("listing tasks", error)
    }

    #[test]
    fn denied_access_is_unavailable_and_names_the_action() {
        let message = "User: arn:aws:sts::1:assumed-role/api is not authorized to perform: \
                       dynamodb:Query on resource: arn:aws:dynamodb:eu-west-1:1:table/runs";
        for code in DENIED_CODES {
            let error = error_of(code, message);
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            let chain = error_chain(&error);
            assert!(chain.contains("perform: dynamodb:Query on"), "{chain}");
        }
    }

    #[test]
    fn a_wrong_request_is_refused_and_a_throttled_one_is_not() {
        let refused = error_of("ValidationException", "wrong");
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
        for code in TRANSIENT_CODES {
            let error = error_of(code, "later");
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        }
    }
}
