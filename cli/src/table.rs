//! Prints tasks as a table with bars.

use std::env;
use std::io::{self, Write};

use progress_core::model::{Part, Progress, Task, TaskStatus};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::plain_text::plain;

/// The width of the table if that of the terminal is unknown, in columns.
const DEFAULT_WIDTH: usize = 100;
/// The smallest width of the table, in columns.
const LEAST_WIDTH: usize = 50;
/// The greatest width of names, in columns.
const MOST_NAME_WIDTH: usize = 60;
/// The width of all columns but the names and the bars: mark, percentage, counter, state, gaps.
const OTHER_COLUMNS: usize = 2 + 6 + 10 + 14;

/// The format of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The greatest width, in columns.
    pub(crate) width: usize,
    /// Whether to use colours.
    pub(crate) has_colour: bool,
}

impl Look {
    /// The format for standard output, which may be a terminal.
    pub(crate) fn of_terminal(is_terminal: bool) -> Self {
        let from_environment = || env::var("COLUMNS").ok()?.parse().ok();
        let from_terminal = || {
            let (width, _) = terminal_size::terminal_size()?;
            Some(usize::from(width.0))
        };
        let width = is_terminal.then(from_terminal).flatten();
        let width = width.or_else(from_environment).unwrap_or(DEFAULT_WIDTH);
        let is_plain = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: width.max(LEAST_WIDTH),
            has_colour: is_terminal && !is_plain("NO_COLOR") && !is_dumb,
        }
    }
}

/// A row of the table.
struct Row {
    indent: usize,
    name: String,
    progress: Progress,
    status: TaskStatus,
    state: String,
    note: Option<String>,
}

/// Writes a table of `tasks`. The parts of a task follow it.
pub(crate) fn write_table(
    tasks: &[Task],
    is_stale: impl Fn(&Task) -> bool,
    look: Look,
    output: &mut dyn Write,
) -> io::Result<()> {
    if tasks.is_empty() {
        return writeln!(
            output,
            "No tasks: the logs are empty, or have only lines that AWS Lambda writes."
        );
    }
    let rows: Vec<_> = tasks
        .iter()
        .flat_map(|task| {
            let parts = task
                .parts
                .iter()
                .map(|(name, part)| row_of_part(name, part));
            std::iter::once(row_of_task(task, is_stale(task))).chain(parts)
        })
        .collect();
    let bar_width = if look.width >= 90 { 20 } else { 10 };
    let room = look.width.saturating_sub(OTHER_COLUMNS + bar_width);
    let widest = rows.iter().map(|row| row.indent + row.name.width()).max();
    let name_width = widest.unwrap_or(0).min(room).min(MOST_NAME_WIDTH);
    for row in &rows {
        write_row(row, (name_width, bar_width), look, output)?;
    }
    Ok(())
}

fn row_of_task(task: &Task, is_stale: bool) -> Row {
    let cause = task.failure.as_ref().map(|failure| failure.cause.as_str());
    let cause = cause.or_else(|| reason(task.status, task.message.as_deref()));
    // What a failed part says is not repeated at the task. Messages of parts are shorter.
    let mut parts = task.parts.values();
    let is_shown_below = parts.any(|part| {
        let shown = reason(part.status, part.message.as_deref());
        shown
            .zip(cause)
            .is_some_and(|(shown, cause)| cause.starts_with(shown))
    });
    Row {
        indent: 0,
        name: plain(&task.task_name),
        progress: task.progress,
        status: task.status,
        state: state(task.status, task.phase.as_deref(), is_stale),
        note: note(cause).filter(|_| !is_shown_below),
    }
}

fn row_of_part(name: &str, part: &Part) -> Row {
    Row {
        indent: 2,
        name: plain(name),
        progress: part.progress,
        status: part.status,
        state: state(part.status, part.phase.as_deref(), false),
        note: note(reason(part.status, part.message.as_deref())),
    }
}

/// The status in words.
fn state(status: TaskStatus, phase: Option<&str>, is_stale: bool) -> String {
    match (status, phase) {
        (TaskStatus::Failed, Some("rolled_back")) => "rolled back".to_owned(),
        (TaskStatus::Running, Some("rolling_back")) => "rolling back".to_owned(),
        (TaskStatus::Running, _) if is_stale => "silent".to_owned(),
        _ => status.to_string(),
    }
}

/// The message, if it is the reason of a failure.
fn reason(status: TaskStatus, message: Option<&str>) -> Option<&str> {
    message.filter(|message| status == TaskStatus::Failed && !message.is_empty())
}

/// The line below a row that shows `reason`.
fn note(reason: Option<&str>) -> Option<String> {
    Some(plain(reason?)).filter(|reason| !reason.is_empty())
}

fn write_row(
    row: &Row,
    (name_width, bar_width): (usize, usize),
    look: Look,
    output: &mut dyn Write,
) -> io::Result<()> {
    let (mark, colour) = match row.status {
        TaskStatus::Completed => ("✔", "32"),
        TaskStatus::Failed => ("✖", "31"),
        TaskStatus::Running => ("▸", "36"),
        TaskStatus::Blocked => ("‖", "33"),
        TaskStatus::Pending => ("·", "2"),
        TaskStatus::Cancelled => ("–", "2"),
        TaskStatus::Ended => ("?", "2"),
    };
    let paint = |text: &str| match look.has_colour {
        true => format!("\x1b[{colour}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let indent = " ".repeat(row.indent);
    let name = fitted(&row.name, name_width.saturating_sub(row.indent));
    let bar = bar(row.progress, bar_width);
    let percentage = row.progress.percentage;
    let percentage = percentage.map_or_else(|| "–".to_owned(), |percent| format!("{percent} %"));
    let counter = match (row.progress.current, row.progress.total) {
        (Some(current), Some(total)) => format!("{current}/{total}"),
        (Some(current), None) => current.to_string(),
        (None, _) => String::new(),
    };
    let line = format!(
        "{indent}{} {name} {} {percentage:>5} {counter:>9}  {}",
        paint(mark),
        paint(&bar),
        paint(&row.state)
    );
    writeln!(output, "{}", line.trim_end())?;
    let Some(note) = &row.note else {
        return Ok(());
    };
    let indent = row.indent + 2;
    let note = cut(note, look.width.saturating_sub(indent));
    writeln!(output, "{}{}", " ".repeat(indent), paint(&note))
}

/// A bar of `width` columns, or dots if the percentage is unknown.
fn bar(progress: Progress, width: usize) -> String {
    let Some(percentage) = progress.percentage else {
        return "·".repeat(width);
    };
    let filled = (usize::from(percentage) * width / 100).min(width);
    "█".repeat(filled) + &"░".repeat(width - filled)
}

/// Pads or cuts `text` to exactly `width` columns.
fn fitted(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    let missing = width.saturating_sub(text.width());
    text.push_str(&" ".repeat(missing));
    text
}

/// Cuts `text` to at most `width` columns. A cut text ends with `…`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1; // the `…`
    let fits = |char: &char| {
        used += char.width().unwrap_or(0);
        used <= width
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use progress_core::model::Failure;
    use serde_json::json;

    fn table(tasks: &[Task], width: usize, has_colour: bool) -> String {
        let mut output = Vec::new();
        write_table(tasks, |_| false, Look { width, has_colour }, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn failed_deploy(name: &str, message: &str) -> Task {
        let task = json!({
            "task_id": "cdk:deploy", "task_name": name, "task_type": "cdk_deploy",
            "status": "failed", "run": "2026-01-01T00:00:00.000Z", "revision": 1,
            "progress": {"current": 7, "total": 12, "percentage": 58},
            "message": message,
            "parts": {
                "Api": {"current": 5, "total": 5, "percentage": 100, "status": "completed"},
                "Db": {"current": 2, "total": 7, "percentage": 28, "status": "failed",
                       "phase": "rolled_back", "message": message},
            },
            "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z",
        });
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn parts_follow_their_task_and_a_failure_shows_its_reason() {
        let expected = "\
✖ CDK   ███████████░░░░░░░░░  58 %      7/12  failed
  ✔ Api ████████████████████ 100 %       5/5  completed
  ✖ Db  █████░░░░░░░░░░░░░░░  28 %       2/7  rolled back
    Queue: name taken
";
        assert_eq!(
            table(&[failed_deploy("CDK", "Queue: name taken")], 100, false),
            expected
        );
    }

    #[test]
    fn the_cause_is_shown_once_also_while_a_task_rolls_back() {
        let with_cause = |status, cause: &str| {
            let mut task = failed_deploy("CDK", "Queue: name taken");
            task.status = status;
            task.failure = Some(Box::new(Failure::new(cause.to_owned(), task.run)));
            table(&[task], 100, false)
        };
        let lines = |shown: String| shown.lines().count();
        let longer = "Queue: name taken by somebody else";
        assert_eq!(lines(with_cause(TaskStatus::Failed, longer)), 4);
        let shown = with_cause(TaskStatus::Running, "exit code 3");
        assert_eq!(shown.lines().nth(1), Some("  exit code 3"), "{shown}");
        assert_eq!(lines(shown), 5);
    }

    #[test]
    fn hostile_text_is_shown_on_one_line_without_control_characters() {
        let shown = table(
            &[failed_deploy("\x1b[2Ja\r\nb\u{202E}c", "x\ny\x07")],
            100,
            false,
        );
        assert!(
            !shown.chars().any(|char| char.is_control() && char != '\n'),
            "{shown}"
        );
        assert!(!shown.contains('\u{202E}'));
        assert_eq!(shown.lines().count(), 4, "{shown}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let tasks = [failed_deploy(&"長い名前".repeat(40), &"reason ".repeat(80))];
        for width in [50, 80, 100, 200] {
            let shown = table(&tasks, width, false);
            assert!(
                shown.lines().all(|line| line.width() <= width),
                "{width}:\n{shown}"
            );
        }
    }

    #[test]
    fn colours_are_used_only_on_request() {
        let tasks = [failed_deploy("CDK", "")];
        assert!(table(&tasks, 100, true).contains("\x1b[31m"));
        assert!(!table(&tasks, 100, false).contains('\x1b'));
        assert!(table(&[], 100, true).starts_with("No tasks"));
    }
}
