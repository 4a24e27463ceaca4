//! The items of the tasks table. A task has these, by sort key:
//!
//! | sort key | item |
//! | --- | --- |
//! | 0 | the [`head`] of the newest run: what lists show, and the keys of the indexes |
//! | -1 | the [`detail`] of the newest run: what lists do not show, if it has any |
//! | -2 | the base: all [`facts`] until a revision |
//! | -100 to -131 | segments: the new facts of one write each |
//! | -2 × start of an earlier run | its head |
//! | one less | its detail |
//! | > 0 | the [`history`]: one for each millisecond in which progress changed |
//!
//! Only heads are in the indexes. A head names the revisions of the items that belong to it, because
//! a query is no snapshot. Nothing that a head names expires before the head.
//!
//! `parts` and `metadata` are JSON texts, because DynamoDB's numbers can't hold every JSON number.

pub(crate) mod detail;
pub(crate) mod facts;
pub(crate) mod head;
pub(crate) mod history;

use super::{Item, ItemError, ItemReader, number, text};
use crate::model::{Progress, RunId, TaskId, TaskStatus, Timestamp};
use crate::record::{EARLIEST_RUN_MS, MOST_SEGMENTS};

pub(crate) use self::head::{HeadImage, read_image};

/// The partition key of the table.
pub(crate) const TASK_ID: &str = "task_id";
/// The sort key of the table.
pub(crate) const TIMESTAMP: &str = "timestamp";
/// The partition key of [`PROJECT_INDEX`].
pub(crate) const PROJECT_ID: &str = "project_id";
/// The partition key of [`STATUS_INDEX`]: `{status}#{shard}`.
pub(crate) const STATUS_SHARD: &str = "status_shard";
/// The partition key of [`LIST_INDEX`]: the shard of the task.
pub(crate) const LIST_SHARD: &str = "list_shard";
/// The sort key of the indexes: `{run}#{task_id}`. Only runs that exist have it. It never changes
/// during a run, so an update moves nothing in an index but a status.
pub(crate) const LIST_KEY: &str = "list_key";
/// The task's type.
pub(crate) const TASK_TYPE: &str = "task_type";
/// The task's status.
pub(crate) const STATUS: &str = "status";
/// The time of the last change.
pub(crate) const UPDATED_AT: &str = "updated_at";
/// The text that searches look into.
pub(crate) const SEARCH: &str = "search";
/// The run of a head or of a history entry.
pub(crate) const RUN: &str = "run";
/// The number of writes of the head that an item was written with.
pub(crate) const REVISION: &str = "revision";
/// See [`FactItems::life`](crate::record::FactItems::life).
pub(crate) const LIFE: &str = "life";
/// The kind of item: only heads have it.
pub(crate) const KIND: &str = "kind";

/// All heads, spread over shards.
pub(crate) const LIST_INDEX: &str = "ListIndex";
/// Heads by project.
pub(crate) const PROJECT_INDEX: &str = "ProjectIndex";
/// Heads by status, spread over shards.
pub(crate) const STATUS_INDEX: &str = "StatusIndex";

const PROGRESS_CURRENT: &str = "progress_current";
const PROGRESS_TOTAL: &str = "progress_total";
const PROGRESS_PERCENTAGE: &str = "progress_percentage";
const MESSAGE: &str = "message";
const PHASE: &str = "phase";
/// In the head, or in the detail if it is long.
const METADATA: &str = "metadata";

/// A day.
pub(crate) const DAY_SECONDS: i64 = 24 * 60 * 60;
/// How long heads and history live after their last write, in seconds: 90 days.
pub(crate) const LIFETIME_SECONDS: i64 = 90 * DAY_SECONDS;
/// How long details and facts live after their last write, in seconds: 120 days.
const NAMED_LIFETIME_SECONDS: i64 = 120 * DAY_SECONDS;

/// The sort key of the head of a newest run.
pub(crate) const HEAD_TIMESTAMP: i64 = 0;
/// The sort key of the detail of a newest run.
pub(crate) const DETAIL_TIMESTAMP: i64 = -1;
const BASE_TIMESTAMP: i64 = -2;
/// The sort key of the first segment. Later ones have lower keys.
const FIRST_SEGMENT_TIMESTAMP: i64 = -100;
/// The lowest sort key of the items that the head of a newest run may name.
pub(crate) const LOWEST_NAMED_TIMESTAMP: i64 = FIRST_SEGMENT_TIMESTAMP - MOST_SEGMENTS as i64 + 1;
/// The lowest sort key of history.
pub(crate) const FIRST_HISTORY_TIMESTAMP: i64 = 1;

/// The sort key of the head of an earlier run. Its detail has the key before. Both are below all
/// fixed keys, because no run has an earlier name than [`EARLIEST_RUN_MS`].
pub(crate) fn earlier_timestamp(run: Timestamp) -> i64 {
    -2 * run.as_millis().max(EARLIEST_RUN_MS)
}

/// The key of an item of a task.
pub(crate) fn key(task_id: &TaskId, timestamp: i64) -> Item {
    key_at(task_id.as_str(), timestamp)
}

/// A key of the table.
pub(crate) fn key_at(partition: impl Into<String>, timestamp: i64) -> Item {
    Item::from([
        (TASK_ID.to_owned(), text(partition)),
        (TIMESTAMP.to_owned(), number(timestamp)),
    ])
}

/// Whether an item or a key belongs to the head of a run.
pub(crate) fn is_head(item: &Item) -> bool {
    let timestamp = timestamp_of(item);
    let is_of_earlier_run = |key: i64| key <= -2 * EARLIEST_RUN_MS && key % 2 == 0;
    timestamp.is_some_and(|key| key == HEAD_TIMESTAMP || is_of_earlier_run(key))
}

/// The sort key of an item.
pub(crate) fn timestamp_of(item: &Item) -> Option<i64> {
    item.get(TIMESTAMP)?.as_n().ok()?.parse().ok()
}

/// The text of an item's `task_id`, for errors.
pub(crate) fn id_of(item: &Item) -> String {
    let id = item.get(TASK_ID).and_then(|id| id.as_s().ok());
    id.cloned().unwrap_or_default()
}

/// The shard of a task: FNV-1a of its id, modulo the number of shards. It must never change, because
/// a head moves to its new partition of an index only at its next write.
pub(crate) fn shard_of(task_id: &TaskId, shards: u32) -> u32 {
    let bytes = task_id.as_str().bytes();
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.checked_rem(shards).unwrap_or(0)
}

/// A partition of the status index.
pub(crate) fn status_shard(status: TaskStatus, shard: u32) -> String {
    format!("{status}#{shard}")
}

/// The key of a run in the indexes. Keys sort like ids of runs.
pub(crate) fn list_key(id: &RunId) -> String {
    format!("{}#{}", id.run, id.task_id)
}

/// Reads a key of the indexes.
pub(crate) fn read_list_key(text: &str) -> Result<RunId, ItemError> {
    let read = |text: &str| {
        let (run, task_id) = text.split_once('#')?;
        Some(RunId {
            run: run.parse().ok()?,
            task_id: task_id.parse().ok()?,
        })
    };
    read(text).ok_or(ItemError::Invalid(LIST_KEY))
}

fn read_progress(item: ItemReader<'_>) -> Result<Progress, ItemError> {
    Ok(Progress {
        current: item.optional_number(PROGRESS_CURRENT)?,
        total: item.optional_number(PROGRESS_TOTAL)?,
        percentage: item.optional_number(PROGRESS_PERCENTAGE)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_items_of_a_task_have_the_same_key() {
        let run = Timestamp::from_millis;
        let runs = [0, 999, 1000].map(run).map(earlier_timestamp);
        assert_eq!(runs, [-2000; 3], "no run begins before");
        let later = [1001, 1002, i64::MAX].map(run).map(earlier_timestamp);
        let heads = [HEAD_TIMESTAMP, -2000].into_iter().chain(later);
        let details = [DETAIL_TIMESTAMP, -2001]
            .into_iter()
            .chain(later.map(|head| head - 1));
        let segments = LOWEST_NAMED_TIMESTAMP..=FIRST_SEGMENT_TIMESTAMP;
        assert_eq!(segments.clone().count(), 32);
        let heads: Vec<i64> = heads.collect();
        let others = details.chain(segments).chain([BASE_TIMESTAMP, 1, 2]);
        let others: Vec<i64> = others.collect();
        let all: BTreeSet<i64> = heads.iter().chain(&others).copied().collect();
        assert_eq!(all.len(), heads.len() + others.len());
        let task_id: TaskId = "t".parse().unwrap();
        let found = all
            .iter()
            .filter(|timestamp| is_head(&key(&task_id, **timestamp)));
        assert_eq!(found.count(), heads.len());
    }

    #[test]
    fn keys_of_lists_sort_like_runs() {
        let run_id = |run: i64, id: &str| RunId {
            run: Timestamp::from_millis(run),
            task_id: id.parse().unwrap(),
        };
        let ordered = [
            run_id(1, "a"),
            run_id(1, "a-b"),
            run_id(1, "a.b"),
            run_id(1, "a:b"),
            run_id(1, "ab"),
            run_id(2, "a"),
            run_id(1_700_000_000_000, "A"),
        ];
        assert!(ordered.is_sorted());
        assert!(ordered.iter().map(list_key).is_sorted());
        for id in ordered {
            let key = list_key(&id);
            assert_eq!(read_list_key(&key), Ok(id), "{key}");
        }
    }
}
