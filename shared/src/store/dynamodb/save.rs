//! Transactions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use tokio::time::timeout;
use tokio_retry::RetryIf;
use tokio_retry::strategy::{ExponentialBackoff, jitter};

use super::error::{is_transient, store_error};
use crate::aws::DYNAMODB_OPERATION_TIMEOUT;
use crate::error::Source;
use crate::model::TaskId;
use crate::store::StoreError;
use crate::store::dynamodb_item::{Condition, Item, ItemUpdate};

const OPERATION: &str = "saving a task";
/// How often to repeat a transaction that met another one or was throttled.
const RETRIES: usize = 6;

/// A condition of a transaction that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unmet {
    /// The index of the item with the condition.
    pub(super) index: usize,
    /// The stored item, if DynamoDB returned it.
    pub(super) stored: Option<Item>,
}

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// Conditions do not hold.
    Conditions(Vec<Unmet>),
    /// Another reason.
    Error(StoreError),
}

impl Unwritten {
    /// The error for a caller whose conditions detect other writers.
    pub(super) fn into_error(self, task_id: &TaskId) -> StoreError {
        match self {
            Self::Conditions(_) => StoreError::Conflict(format!("task {task_id}")),
            Self::Error(error) => error,
        }
    }
}

/// Why a transaction failed.
#[derive(Debug)]
enum Failure {
    /// Stored items do not meet their conditions.
    Changed(Vec<Unmet>),
    /// Nothing was written: another transaction was faster, or DynamoDB throttled.
    Busy(Source),
    /// The response was lost, so the outcome is unknown.
    Unknown(Source),
    /// Another attempt will not help.
    Refused(StoreError),
}

impl Failure {
    fn is_transient(&self) -> bool {
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

/// Writes `items`, all or nothing, and only once however many attempts it takes. If the first item
/// misses its condition, `is_written` decides whether the stored item is the result of this write.
pub(super) async fn write_all(
    client: &Client,
    items: Vec<TransactWriteItem>,
    is_written: impl Fn(Option<&Item>) -> bool,
) -> Result<(), Unwritten> {
    let token = uuid::Uuid::new_v4().to_string();
    let response_was_lost = AtomicBool::new(false);
    let attempt = || async {
        let outcome = write_once(client, items.clone(), &token).await;
        if matches!(outcome, Err(Failure::Unknown(_))) {
            response_was_lost.store(true, Ordering::Relaxed);
        }
        outcome
    };
    let attempts = RetryIf::start(backoff(RETRIES), attempt, Failure::is_transient);
    let outcome = timeout(DYNAMODB_OPERATION_TIMEOUT, attempts).await;
    let unavailable = |source| {
        Unwritten::Error(StoreError::Unavailable {
            operation: OPERATION,
            source,
        })
    };
    match outcome.map_err(|elapsed| unavailable(Box::new(elapsed)))? {
        Ok(()) => Ok(()),
        // DynamoDB's request token makes repetitions harmless for ten minutes. This check covers
        // stores without such tokens.
        Err(Failure::Changed(unmet)) => {
            let first = unmet.iter().find(|unmet| unmet.index == 0);
            let is_written = first.is_some_and(|first| is_written(first.stored.as_ref()));
            if response_was_lost.into_inner() && is_written {
                return Ok(());
            }
            Err(Unwritten::Conditions(unmet))
        }
        Err(Failure::Busy(source) | Failure::Unknown(source)) => Err(unavailable(source)),
        Err(Failure::Refused(error)) => Err(Unwritten::Error(error)),
    }
}

async fn write_once(
    client: &Client,
    items: Vec<TransactWriteItem>,
    token: &str,
) -> Result<(), Failure> {
    // The SDK's own retries would hide a lost response.
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
            Cancellation::Changed(unmet) => Failure::Changed(unmet),
            Cancellation::Busy => Failure::Busy(Box::new(error)),
            Cancellation::Refused => Failure::Refused(store_error(OPERATION, error)),
        };
    }
    match &error {
        _ if !is_transient(&error) => Failure::Refused(store_error(OPERATION, error)),
        // DynamoDB rejects throttled requests before it begins. After other failures (500, a
        // time-out, a broken connection) it may still write.
        SdkError::ServiceError(refusal) if refusal.raw().status().as_u16() < 500 => {
            Failure::Busy(Box::new(error))
        }
        _ => Failure::Unknown(Box::new(error)),
    }
}

/// Why DynamoDB cancelled a transaction.
#[derive(Debug, PartialEq)]
enum Cancellation {
    Changed(Vec<Unmet>),
    Busy,
    Refused,
}

impl Cancellation {
    /// DynamoDB returns one reason for each item, in order.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
    fn of(canceled: &TransactionCanceledException) -> Self {
        let reasons = canceled.cancellation_reasons();
        let unmet: Vec<Unmet> = reasons
            .iter()
            .enumerate()
            .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
            .map(|(index, reason)| Unmet {
                index,
                stored: reason.item().filter(|item| !item.is_empty()).cloned(),
            })
            .collect();
        if !unmet.is_empty() {
            return Self::Changed(unmet);
        }
        let is_transient = |code: &str| {
            [
                "TransactionConflict",
                "ProvisionedThroughputExceeded",
                "ThrottlingError",
            ]
            .contains(&code)
        };
        let codes = reasons.iter().filter_map(|reason| reason.code());
        let mut codes = codes.filter(|code| *code != "None").peekable();
        if codes.peek().is_some() && codes.all(is_transient) {
            Self::Busy
        } else {
            Self::Refused
        }
    }
}

/// An [`ItemUpdate`] in a transaction. If its condition fails, DynamoDB returns the stored item.
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

/// An unconditional put in a transaction.
pub(super) fn put(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item));
    let put = put.build().map_err(refused)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// A conditional put in a transaction. If the condition fails, DynamoDB returns the stored item.
pub(super) fn put_if(
    table: &str,
    item: Item,
    condition: Condition,
) -> Result<TransactWriteItem, StoreError> {
    use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression(condition.expression)
        .set_expression_attribute_names(Some(condition.names))
        .set_expression_attribute_values(Some(condition.values))
        .return_values_on_condition_check_failure(AllOld)
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
    fn a_failed_condition_is_a_conflict_and_a_busy_transaction_is_retried() {
        let changed = |indexes: &[usize]| {
            let unmet = indexes.iter().map(|&index| Unmet {
                index,
                stored: None,
            });
            Cancellation::Changed(unmet.collect())
        };
        let failed = "ConditionalCheckFailed";
        check(&[failed, "None"], &changed(&[0]));
        check(&[failed, "TransactionConflict"], &changed(&[0]));
        check(&["None", failed], &changed(&[1]));
        check(&[failed, failed], &changed(&[0, 1]));
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
