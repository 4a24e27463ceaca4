//! The CloudFormation statuses in rows: complete, or cut to the width of their column.

use crate::log_parser::observation::StackState;

/// A status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// The name in CloudFormation.
    pub(super) name: &'static str,
    /// The state of a stack with this status; `None` for statuses that only resources have.
    pub(super) stack_state: Option<StackState>,
}

impl Status {
    /// Whether it is the status of a failure.
    pub(super) fn is_failure(self) -> bool {
        self.name.ends_with("_FAILED")
    }
}

const fn status(name: &'static str, stack_state: StackState) -> Status {
    Status {
        name,
        stack_state: Some(stack_state),
    }
}

/// All statuses. A cut status stands for the first one here that starts with it.
const ALL: [Status; 26] = [
    status("CREATE_IN_PROGRESS", StackState::InProgress),
    status("CREATE_COMPLETE", StackState::Complete),
    status("CREATE_FAILED", StackState::Failed),
    status("UPDATE_IN_PROGRESS", StackState::InProgress),
    status("UPDATE_COMPLETE", StackState::Complete),
    status(
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        StackState::CleaningUp,
    ),
    status("UPDATE_FAILED", StackState::Failed),
    status("DELETE_IN_PROGRESS", StackState::Deleting),
    status("DELETE_COMPLETE", StackState::Deleted),
    status("DELETE_FAILED", StackState::Failed),
    // Only for resources: kept on purpose.
    Status {
        name: "DELETE_SKIPPED",
        stack_state: None,
    },
    status("IMPORT_IN_PROGRESS", StackState::InProgress),
    status("IMPORT_COMPLETE", StackState::Complete),
    status("IMPORT_FAILED", StackState::Failed),
    status("REVIEW_IN_PROGRESS", StackState::InProgress),
    status("ROLLBACK_IN_PROGRESS", StackState::RollingBack),
    status("ROLLBACK_COMPLETE", StackState::RolledBack),
    status("ROLLBACK_FAILED", StackState::Failed),
    status("UPDATE_ROLLBACK_IN_PROGRESS", StackState::RollingBack),
    status("UPDATE_ROLLBACK_COMPLETE", StackState::RolledBack),
    status(
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        StackState::RolledBack,
    ),
    status("UPDATE_ROLLBACK_FAILED", StackState::Failed),
    status("IMPORT_ROLLBACK_IN_PROGRESS", StackState::RollingBack),
    status("IMPORT_ROLLBACK_COMPLETE", StackState::RolledBack),
    status("IMPORT_ROLLBACK_FAILED", StackState::Failed),
    // Only for resources: CloudFormation skips the delete and goes on with the update.
    Status {
        name: "DELETE_FAILED (skipped)",
        stack_state: None,
    },
];

/// The widths of the status column: before release 2.1126, and since.
const WIDTHS: [usize; 2] = [20, 23];

/// The shortest cut status. Shorter texts may be other words.
const MIN_CUT: usize = 6;

/// Parses a complete or cut status. If `is_last`, the line ends here and may have been cut
/// anywhere.
pub(super) fn parse(text: &str, is_last: bool) -> Option<Status> {
    if let Some(whole) = ALL.iter().find(|status| status.name == text) {
        return Some(*whole);
    }
    let may_be_cut = WIDTHS.contains(&text.len()) || is_last && text.len() >= MIN_CUT;
    may_be_cut.then(|| parse_cut(text)).flatten()
}

/// Parses a status that was cut to a column of unknown width.
pub(super) fn parse_cut(text: &str) -> Option<Status> {
    let mut all = ALL.iter().filter(|_| text.len() >= MIN_CUT);
    all.find(|status| status.name.starts_with(text)).copied()
}
