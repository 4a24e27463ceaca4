//! The words with which agents say where they stand.

use super::waiting;
use crate::log_parser::observation::{AgentObservation, Need};
use crate::model::TaskStatus;

/// The status in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) status: TaskStatus,
    /// Whether it means that the task starts.
    pub(super) is_start: bool,
    /// Whether the word is often used for other things.
    pub(super) is_vague: bool,
    /// What a person must give, if the word says it.
    pub(super) need: Option<Need>,
}

impl Status {
    /// What a line says that has this status.
    pub(super) fn observation(self, message: Option<String>) -> AgentObservation {
        if let Some(need) = self.need {
            return waiting(need, message);
        }
        AgentObservation {
            status: Some(self.status),
            is_start: self.is_start,
            message,
            ..AgentObservation::default()
        }
    }
}

/// Reads a word. Case does not matter, and `-`, `_` and a space are the same. A state may have the
/// name of its type in front: `AgentState.RUNNING`, `TASK_STATE_WORKING`.
pub(super) fn parse(word: &str) -> Option<Status> {
    const LONGEST: usize = 48;
    let word = word.trim();
    if word.len() > LONGEST {
        return None;
    }
    let word = word.rsplit_once('.').map_or(word, |(_, word)| word);
    let word = word.to_ascii_lowercase().replace(['-', ' '], "_");
    let word = word.strip_prefix("task_state_").unwrap_or(&word);
    let (status, is_start, is_vague) = match word {
        "pending" | "queued" | "created" | "scheduled" | "submitted" | "not_started" => {
            (TaskStatus::Pending, true, word == "created")
        }
        "started" | "starting" | "start" => (TaskStatus::Running, true, false),
        "running" | "in_progress" | "inprogress" | "working" | "processing" | "executing"
        | "active" | "progress" | "ongoing" | "resumed" | "retrying" => {
            (TaskStatus::Running, false, word == "active")
        }
        "blocked" | "waiting" | "paused" | "on_hold" | "suspended" => {
            (TaskStatus::Blocked, false, false)
        }
        _ if need(word).is_some() => (TaskStatus::Blocked, false, false),
        "completed" | "complete" | "finished" | "succeeded" => {
            (TaskStatus::Completed, false, false)
        }
        "success" | "successful" | "done" | "ok" | "passed" => (TaskStatus::Completed, false, true),
        "failed" | "failure" | "crashed" | "timed_out" | "timeout" | "aborted" | "rejected" => (
            TaskStatus::Failed,
            false,
            matches!(word, "timeout" | "rejected"),
        ),
        "error" | "errored" => (TaskStatus::Failed, false, true),
        "cancelled" | "canceled" | "stopped" | "skipped" | "terminated" | "killed" => {
            (TaskStatus::Cancelled, false, !word.starts_with("cancel"))
        }
        _ => return None,
    };
    Some(Status {
        status,
        is_start,
        is_vague,
        need: need(word),
    })
}

/// What a person must give, if `word` says that one is awaited: `awaiting_user_input`,
/// `auth-required`, `needs_approval`.
fn need(word: &str) -> Option<Need> {
    const WAITS: [&str; 8] = [
        "waiting", "awaiting", "awaits", "needs", "requires", "required", "needed", "await",
    ];
    const APPROVAL: [&str; 5] = [
        "approval",
        "confirmation",
        "permission",
        "review",
        "authorization",
    ];
    const INPUT: [&str; 7] = ["input", "auth", "user", "human", "answer", "reply", "login"];
    let has = |known: &[&str]| word.split('_').any(|word| known.contains(&word));
    match has(&WAITS) {
        true if has(&APPROVAL) => Some(Need::Approval),
        true if has(&INPUT) => Some(Need::Input),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_says_what_is_awaited_has_a_need() {
        for (word, expected) in [
            ("AgentState.AWAITING_USER_INPUT", Some(Need::Input)),
            ("auth-required", Some(Need::Input)),
            ("needs_input", Some(Need::Input)),
            ("awaiting_user_confirmation", Some(Need::Approval)),
            ("TASK_STATE_INPUT_REQUIRED", Some(Need::Input)),
            ("awaiting approval", Some(Need::Approval)),
            ("waiting", None),
            ("paused", None),
        ] {
            let status = parse(word).unwrap();
            assert_eq!(
                (status.status, status.need),
                (TaskStatus::Blocked, expected),
                "{word}"
            );
        }
        for word in ["input", "user_created", "required", "waiting_for_lock"] {
            assert_eq!(parse(word), None, "{word}");
        }
    }
}
