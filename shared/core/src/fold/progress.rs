//! Progress as a task may show it.

use crate::model::{Progress, TaskStatus};

/// Caps the percentage at 99, except for a completed task, which always shows 100.
pub(super) fn capped(progress: Progress, status: TaskStatus) -> Progress {
    let percentage = match status {
        TaskStatus::Completed => Some(100),
        _ => progress.percentage.map(|percentage| percentage.min(99)),
    };
    Progress {
        percentage,
        ..progress
    }
}

/// Returns `progress` with the percentage that a task of this status shows.
///
/// The percentage is computed from `current` and `total`. The given percentage is used only if one
/// of them is missing. A completed task shows 100; all others show at most 99.
pub fn shown_progress(progress: Progress, status: TaskStatus) -> Progress {
    let derived = progress
        .current
        .zip(progress.total)
        .and_then(|(current, total)| percentage_of(current, total));
    let percentage = derived.or(progress.percentage);
    capped(
        Progress {
            percentage,
            ..progress
        },
        status,
    )
}

/// Returns `current` of `total` in percent, 0 to 100, rounded down; `None` if `total` is 0.
pub fn percentage_of(current: u64, total: u64) -> Option<u8> {
    let percentage = (u128::from(current) * 100).checked_div(u128::from(total))?;
    Some(u8::try_from(percentage).unwrap_or(100).min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(current: u64, total: u64, status: TaskStatus, expected: Option<u8>) {
        let progress = Progress {
            current: Some(current),
            total: Some(total),
            percentage: None,
        };
        let shown = shown_progress(progress, status);
        assert_eq!(shown.percentage, expected, "{current} of {total}");
    }

    #[test]
    fn a_percentage_is_rounded_down_and_is_100_only_when_completed() {
        check(5, 29, TaskStatus::Running, Some(17));
        check(29, 29, TaskStatus::Running, Some(99));
        check(29, 29, TaskStatus::Failed, Some(99));
        check(28, 29, TaskStatus::Completed, Some(100));
        check(0, 0, TaskStatus::Running, None);
        check(u64::MAX, 1, TaskStatus::Running, Some(99));
        check(u64::MAX / 2, u64::MAX, TaskStatus::Running, Some(49));
    }

    #[test]
    fn a_given_percentage_is_used_where_none_can_be_computed() {
        let given = Progress {
            percentage: Some(100),
            ..Progress::default()
        };
        assert_eq!(
            shown_progress(given, TaskStatus::Running).percentage,
            Some(99)
        );
        let none = shown_progress(Progress::default(), TaskStatus::Pending);
        assert_eq!(none, Progress::default());
    }
}
