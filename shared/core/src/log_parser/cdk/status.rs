//! CloudFormation's statuses, as rows print them: whole, or cut to the width of their column.

use crate::log_parser::observation::StackState;

/// A status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// CloudFormation's name of it.
    pub(super) name: &'static str,
    /// What it says of a stack, if it is a stack's.
    pub(super) stack_state: Option<StackState>,
}

impl Status {
    /// Whether something failed.
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

/// All statuses; of those with a common start, the one that a cut stands for comes first.
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
    // Of resources alone: left behind on purpose.
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
    // A delete that CloudFormation gives up during an update, which goes on.
    Status {
        name: "DELETE_FAILED (skipped)",
        stack_state: None,
    },
];

/// The widths of the status column: of all releases before 2.1126, and since.
const WIDTHS: [usize; 2] = [20, 23];

/// Shorter starts of a status are a word of something else.
const MIN_CUT: usize = 6;

/// The status that `text` is, or is the start of. `is_last` says that the line ends here, and may have been cut
/// anywhere.
pub(super) fn parse(text: &str, is_last: bool) -> Option<Status> {
    if let Some(whole) = ALL.iter().find(|status| status.name == text) {
        return Some(*whole);
    }
    let may_be_cut = WIDTHS.contains(&text.len()) || is_last && text.len() >= MIN_CUT;
    if !may_be_cut {
        return None;
    }
    ALL.iter()
        .find(|status| status.name.starts_with(text))
        .copied()
}
