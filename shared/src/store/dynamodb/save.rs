//! The one transaction that writes a task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use tokio::time::timeout;
use tokio_retry::RetryIf;
use tokio_retry::strategy::{ExponentialBackoff, jitter};

use super::error::{is_transient, store_error};
use crate::aws::DYNAMODB_OPERATION_TIMEOUT;
use crate::error::Source;
use crate::model::Task;
use crate::store::StoreError;
use crate::store::dynamodb_item::task::read_head;
use crate::store::dynamodb_item::{Item, ItemUpdate};

const OPERATION: &str = "saving a task";
/// How often a transaction is tried again that met another one, or was throttled.
const RETRIES: usize = 6;

/// Why a transaction did not go through.
#[derive(Debug)]
enum Failure {
    /// The head is not of the revision that was read. It may be this, where DynamoDB tells.
    Changed(Option<Item>),
    /// Nothing was written: another transaction was faster, or there is too much to do.
    Busy(Source),
    /// Nobody knows whether it was written: the answer was lost.
    Unknown(Source),
    /// Trying again will not help.
    Refused(StoreError),
}

impl Failure {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unknown(_))
    }
}

/// The delays between attempts: up to 50, 100, 200 and then 400 ms.
pub(super) fn backoff(retries: usize) -> impl Iterator<Item = Duration> {
    ExponentialBackoff::from_millis(2)
        .factor(25)
        .max_delay(Duration::from_millis(400))
        .map(jitter)
        .take(retries)
}

/// Writes `items`, of which the first is the head of `next`, all or nothing, and once, however often
/// it has to be tried.
pub(super) async fn write_all(
    client: &Client,
    items: Vec<TransactWriteItem>,
    next: &Task,
) -> Result<(), StoreError> {
    let token = uuid::Uuid::new_v4().to_string();
    let answer_was_lost = AtomicBool::new(false);
    let attempt = || async {
        let outcome = write_once(client, items.clone(), &token).await;
        if matches!(outcome, Err(Failure::Unknown(_))) {
            answer_was_lost.store(true, Ordering::Relaxed);
        }
        outcome
    };
    let attempts = RetryIf::start(backoff(RETRIES), attempt, Failure::may_pass);
    let outcome = timeout(DYNAMODB_OPERATION_TIMEOUT, attempts).await;
    let unavailable = |source| StoreError::Unavailable {
        operation: OPERATION,
        source,
    };
    match outcome.map_err(|elapsed| unavailable(Box::new(elapsed)))? {
        Ok(()) => Ok(()),
        // The token makes a second attempt harmless for ten minutes; this covers a store without.
        Err(Failure::Changed(Some(stored)))
            if answer_was_lost.into_inner()
                && read_head(&stored).is_ok_and(|task| task == *next) =>
        {
            Ok(())
        }
        Err(Failure::Changed(_)) => Err(StoreError::Conflict(format!("task {}", next.task_id))),
        Err(Failure::Busy(source) | Failure::Unknown(source)) => Err(unavailable(source)),
        Err(Failure::Refused(error)) => Err(error),
    }
}

async fn write_once(
    client: &Client,
    items: Vec<TransactWriteItem>,
    token: &str,
) -> Result<(), Failure> {
    // The SDK's own attempts would hide that an answer was lost.
    let once = Config::builder().retry_config(RetryConfig::disabled());
    let request = client
        .transact_write_items()
        .set_transact_items(Some(items))
        .client_request_token(token);
    let outcome = request.customize().config_override(once).send().await;
    outcome.map(drop).map_err(classify)
}

fn classify(error: SdkError<TransactWriteItemsError, HttpResponse>) -> Failure {
    if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
        error.as_service_error()
    {
        return match Cancellation::of(canceled) {
            Cancellation::Changed(stored) => Failure::Changed(stored),
            Cancellation::Busy => Failure::Busy(Box::new(error)),
            Cancellation::Refused => Failure::Refused(store_error(OPERATION, error)),
        };
    }
    match &error {
        _ if !is_transient(&error) => Failure::Refused(store_error(OPERATION, error)),
        // Throttled: not begun. Anything else (500, a time-out, a broken connection) may have come late.
        SdkError::ServiceError(refusal) if refusal.raw().status().as_u16() < 500 => {
            Failure::Busy(Box::new(error))
        }
        _ => Failure::Unknown(Box::new(error)),
    }
}

/// Why DynamoDB did not make a transaction.
#[derive(Debug, PartialEq)]
enum Cancellation {
    Changed(Option<Item>),
    Busy,
    Refused,
}

impl Cancellation {
    /// There is a reason for each item, in order; the head alone has a condition.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
    fn of(canceled: &TransactionCanceledException) -> Self {
        let reasons = canceled.cancellation_reasons();
        let mut failed = reasons
            .iter()
            .filter(|reason| reason.code() == Some("ConditionalCheckFailed"));
        if let Some(reason) = failed.next() {
            return Self::Changed(reason.item().cloned());
        }
        let may_pass = |code: &str| {
            [
                "TransactionConflict",
                "ProvisionedThroughputExceeded",
                "ThrottlingError",
            ]
            .contains(&code)
        };
        let codes = reasons.iter().filter_map(|reason| reason.code());
        let mut codes = codes.filter(|code| *code != "None").peekable();
        if codes.peek().is_some() && codes.all(may_pass) {
            Self::Busy
        } else {
            Self::Refused
        }
    }
}

/// An [`ItemUpdate`] as a part of a transaction that tells what it found where its condition fails.
pub(super) fn update(
    table: &str,
    key: Item,
    update: ItemUpdate,
) -> Result<TransactWriteItem, StoreError> {
    use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
    let update = Update::builder()
        .table_name(table)
        .set_key(Some(key))
        .update_expression(update.expression)
        .set_condition_expression(update.condition)
        .set_expression_attribute_names(Some(update.names))
        .set_expression_attribute_values(Some(update.values))
        .return_values_on_condition_check_failure(AllOld)
        .build()
        .map_err(refused)?;
    Ok(TransactWriteItem::builder().update(update).build())
}

/// A new item as a part of a transaction.
pub(super) fn put(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = aws_sdk_dynamodb::types::Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .build()
        .map_err(refused)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// The error of a task that can't be written as it is.
pub(super) fn refused(error: impl Into<Source>) -> StoreError {
    StoreError::Refused {
        operation: OPERATION,
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::CancellationReason;

    use super::*;

    fn check(codes: &[&str], expect: &Cancellation) {
        let reasons = codes
            .iter()
            .map(|code| CancellationReason::builder().code(*code).build());
        let canceled = TransactionCanceledException::builder()
            .set_cancellation_reasons(Some(reasons.collect()))
            .build();
        assert_eq!(Cancellation::of(&canceled), *expect, "{codes:?}");
    }

    #[test]
    fn a_failed_condition_is_a_conflict_and_a_met_transaction_may_pass() {
        let changed = Cancellation::Changed(None);
        check(&["ConditionalCheckFailed", "None"], &changed);
        check(&["ConditionalCheckFailed", "TransactionConflict"], &changed);
        check(&["None", "TransactionConflict"], &Cancellation::Busy);
        check(&["ThrottlingError", "None"], &Cancellation::Busy);
        check(&["ProvisionedThroughputExceeded"], &Cancellation::Busy);
        check(&["None", "ValidationError"], &Cancellation::Refused);
        check(
            &["TransactionConflict", "ValidationError"],
            &Cancellation::Refused,
        );
        check(&[], &Cancellation::Refused);
    }
}
