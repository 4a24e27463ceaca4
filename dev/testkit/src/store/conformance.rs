//! The conformance suite of stores: the contracts of the traits as checks, for every
//! implementation.
//!
//! [`store_conformance!`](crate::store_conformance) turns each check into a test. [`metrics_equal_a_recount`] is one more
//! check, which also needs a way to let runs expire.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check fails by panicking"
)]

mod changes;
mod checkpoints;
mod deletion;
mod facts;
mod history;
mod lists;
mod log_tail;
mod metrics;
mod named_ids;
mod projects;
mod runs;
mod tasks;
mod walk;

pub use changes::*;
pub use checkpoints::*;
pub use deletion::*;
pub use facts::*;
pub use history::*;
pub use lists::*;
pub use log_tail::*;
pub use metrics::*;
pub use named_ids::*;
pub use projects::*;
pub use runs::*;
pub use tasks::*;
pub use walk::*;

/// Makes a test of each check. `$make` is an async function that returns empty
/// [`Stores`](crate::embedded_dynamodb::Stores), and a value that keeps them alive.
#[macro_export]
macro_rules! store_conformance {
    ($make:path) => {
        $crate::store_conformance! { @checks $make:
            a_saved_task_is_read_as_it_was,
            missing_records_are_none,
            a_stale_revision_is_a_conflict_and_changes_nothing,
            one_of_many_concurrent_writers_wins,
            a_save_replaces_all_fields,
            text_is_never_parsed_as_an_expression,
            many_records_are_read_at_once,
            a_repeated_request_finds_the_idempotency_record,
            a_failed_creation_leaves_no_idempotency_record,
            the_duration_estimate_is_the_mean_of_completed_runs,
            stores_answer_a_ping,
            facts_are_those_that_were_written,
            the_ids_that_a_log_names_are_stored_for_each_stream,
            a_tail_has_the_latest_parts,
            concurrent_writers_lose_no_line,
            parts_are_of_one_run_alone,
            a_deletion_leaves_a_head_that_is_nowhere,
            a_new_life_goes_on_with_revisions,
            a_later_run_leaves_the_earlier_one,
            the_newest_run_has_two_ids,
            runs_are_listed_newest_first_in_pages,
            a_record_has_the_earlier_runs_that_can_change,
            an_earlier_run_is_deleted_alone,
            a_stale_earlier_run_is_a_conflict_and_changes_nothing,
            many_runs_are_saved_at_once,
            history_has_one_entry_per_change,
            history_is_read_in_pages,
            history_is_of_one_run,
            lists_are_newest_first_in_pages,
            lists_apply_all_filters,
            a_text_is_found_anywhere_in_the_name_or_the_id,
            long_metadata_is_in_no_list,
            a_walk_finds_each_run_once_while_tasks_change,
            lists_have_earlier_runs,
            a_task_is_listed_only_under_its_present_status_and_project,
            metrics_follow_every_write,
            metrics_count_tasks_that_are_older_than_the_project,
            metrics_count_each_run,
            an_expired_run_is_subtracted_once,
            a_project_is_created_once,
            a_stale_project_revision_is_a_conflict,
            projects_are_listed_by_id,
            a_list_has_at_most_a_thousand_projects,
            a_checkpoint_never_goes_back,
            a_resume_point_is_kept_until_its_window_is_finished,
        }
    };
    (@checks $make:path: $($check:ident,)+) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (stores, _alive) = $make().await;
                $crate::store::conformance::$check(stores).await;
            }
        )+
    };
}
