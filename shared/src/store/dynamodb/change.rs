//! The items of a change: heads, details, facts, history, duration estimates and counters.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::DynamoDbTaskStore;
use super::save::{put, put_if, refused, update};
use crate::model::{MetricsDelta, Revision, TaskId};
use crate::record::{FactItems, FactsChange, HeadChange, HeadState, TaskChange};
use crate::store::dynamodb_item::task::{LIFETIME_SECONDS, detail, facts, head, history};
use crate::store::dynamodb_item::{Item, counters, duration_estimate};
use crate::store::{StoreError, duration_estimate_after, duration_estimate_key};

/// The most items in a transaction.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const MOST_ITEMS: usize = 100;

/// A change as a transaction.
pub(super) struct Transaction {
    /// All items. The first one is [`Self::first_head`].
    pub(super) items: Vec<TransactWriteItem>,
    /// The first head after the change. No other change writes the same item.
    pub(super) first_head: Item,
}

impl DynamoDbTaskStore {
    /// The transaction of `change`. `more` is written with it.
    pub(super) fn transaction_of(
        &self,
        change: &TaskChange,
        more: Option<TransactWriteItem>,
    ) -> Result<Transaction, StoreError> {
        let (table, now_seconds) = (&self.tasks_table, self.now_seconds());
        let mut heads = Vec::new();
        let mut items = Vec::new();
        for changed in &change.heads {
            let named = named_by(changed, &change.items);
            let (head, task) = (&changed.next, &changed.next.task);
            let ended_here = changed.has_ended_here();
            let item = head::item(head, &named, ended_here, self.index_shards, now_seconds);
            let item = item.map_err(refused)?;
            let life = (!task.is_earlier).then_some(change.items.life);
            let condition = head::is_previous(changed.previous.as_ref(), life, now_seconds);
            items.push(put_if(table, item.clone(), condition)?);
            heads.push(item);
            if named.detail_revision == Some(task.revision) {
                let detail = detail::item(task, named.life, now_seconds);
                items.push(put(table, detail.map_err(refused)?)?);
            }
        }
        // The condition of the first head tells whether the change is written.
        let Some(first_head) = heads.into_iter().next() else {
            return Err(refused("a change has no heads"));
        };
        items.extend(more);
        items.extend(self.item_of_facts(change, now_seconds)?);
        for entry in change.history() {
            let entry = history::item(&change.task_id, &entry, now_seconds);
            items.push(put(table, entry)?);
        }
        let mut deltas = change.metrics();
        deltas.extend(renewals(change, &deltas));
        items.extend(self.items_of_metrics(&change.task_id, &deltas)?);
        for estimate in duration_estimates_of(change, now_seconds) {
            items.push(put(table, estimate)?);
        }
        // Only duration estimates can be beyond the limit. They are not exact anyway.
        items.truncate(MOST_ITEMS);
        Ok(Transaction { items, first_head })
    }

    fn item_of_facts(
        &self,
        change: &TaskChange,
        now_seconds: i64,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        let TaskChange { task_id, items, .. } = change;
        let revision = change.heads.first().map(|head| head.next.task.revision);
        let item = match &change.facts {
            FactsChange::Keep => return Ok(None),
            FactsChange::Append(new) => {
                let revision = revision.unwrap_or_default();
                facts::segment(task_id, items, revision, new, now_seconds)
            }
            FactsChange::Replace(log) => facts::base(task_id, items, log, now_seconds),
        };
        put(&self.tasks_table, item.map_err(refused)?).map(Some)
    }

    /// The updates of the counters that include a task.
    pub(super) fn items_of_metrics(
        &self,
        task_id: &TaskId,
        deltas: &[MetricsDelta],
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let updates = deltas.iter().map(|delta| {
            let key = counters::key(delta.project_id.as_ref(), task_id);
            let delta = counters::update(delta, self.now_seconds());
            update(&self.tasks_table, key, delta)
        });
        updates.collect()
    }
}

/// Deltas that add nothing to counters beside those in `deltas`, so that no counters expire before
/// the tasks that they count. They come with each write that a later one may need to rely on: see
/// the lifetime of [`counters`].
fn renewals(change: &TaskChange, deltas: &[MetricsDelta]) -> Vec<MetricsDelta> {
    let is_first = change.items.base_revision == Revision::default() && change.items.segments <= 1;
    let renews_newest = is_first || matches!(change.facts, FactsChange::Replace(_));
    let live = change.heads.iter().filter_map(|head| head.next.live());
    let renewed = live.filter(|task| renews_newest || task.is_earlier);
    let mut renewals: Vec<MetricsDelta> = Vec::new();
    for project_id in renewed.filter_map(|task| task.project_id.as_ref()) {
        let mut written = deltas.iter().chain(&renewals);
        if !written.any(|delta| delta.project_id.as_ref() == Some(project_id)) {
            renewals.push(MetricsDelta {
                project_id: Some(project_id.clone()),
                counts: Vec::new(),
                duration_sum_ms: 0,
            });
        }
    }
    renewals
}

/// What a head names after the change. Earlier runs have no facts of their own, and change so seldom
/// that their details are always written.
fn named_by(changed: &HeadChange, items: &FactItems) -> FactItems {
    let task = &changed.next.task;
    match changed.next.state {
        _ if !task.is_earlier => *items,
        HeadState::Live if task.has_detail() => FactItems {
            life: items.life,
            detail_revision: Some(task.revision),
            ..FactItems::default()
        },
        _ => FactItems {
            life: items.life,
            ..FactItems::default()
        },
    }
}

/// The items of the duration estimates of runs that the change completes. Of two runs with the same
/// key, the later one counts.
fn duration_estimates_of(change: &TaskChange, now_seconds: i64) -> impl Iterator<Item = Item> {
    let ttl_seconds = now_seconds.saturating_add(LIFETIME_SECONDS);
    let mut heads: Vec<&HeadChange> = change.heads.iter().collect();
    heads.sort_by_key(|head| head.next.task.run);
    let mut by_key = BTreeMap::new();
    for head in heads {
        let usual_ms = |next| Some((next, duration_estimate_after(head.before.as_ref(), next)?));
        if let Some((next, usual_ms)) = head.next.live().and_then(usual_ms) {
            let item = duration_estimate::item(next, usual_ms, ttl_seconds);
            by_key.insert(duration_estimate_key(next), item);
        }
    }
    by_key.into_values()
}
