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
/// The width of all columns but the names, the bars and the durations: mark, percentage, counter,
/// state, gaps.
const OTHER_COLUMNS: usize = 3 + 6 + 10 + 14;
/// The width of the column of durations, with its gap.
const DURATION_COLUMN: usize = 2 + 11;
/// A narrower table has no durations.
const LEAST_WIDTH_WITH_DURATIONS: usize = 70;

/// The format of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The greatest width, in columns.
    pub(crate) width: usize,
    /// Whether to use colours.
    pub(crate) has_colour: bool,
    /// Whether reasons are shown in full, with the lines before the failure, or on one line.
    pub(crate) has_full_reasons: bool,
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
            has_full_reasons: false,
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
    duration: String,
    note: Option<String>,
    /// The lines before the failure.
    context: Vec<String>,
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
        .flat_map(|task| rows_of(task, is_stale(task), look))
        .collect();
    let has_durations =
        look.width >= LEAST_WIDTH_WITH_DURATIONS && rows.iter().any(|row| !row.duration.is_empty());
    let durations = if has_durations { DURATION_COLUMN } else { 0 };
    let bar_width = if look.width >= 90 { 20 } else { 10 };
    let room = look
        .width
        .saturating_sub(OTHER_COLUMNS + durations + bar_width);
    let widest = rows.iter().map(|row| row.indent + row.name.width()).max();
    let name_width = widest.unwrap_or(0).min(room).min(MOST_NAME_WIDTH);
    for mut row in rows {
        if !has_durations {
            row.duration.clear();
        }
        write_row(&row, (name_width, bar_width), look, output)?;
    }
    Ok(())
}

/// The rows of a task and of its parts.
fn rows_of(task: &Task, is_stale: bool, look: Look) -> Vec<Row> {
    let cause = task.failure.as_ref().map(|failure| failure.cause.as_str());
    let cause = cause.or_else(|| reason(task.status, task.message.as_deref()));
    let parts = task.parts.iter();
    let mut rows: Vec<_> = parts.map(|(name, part)| row_of_part(name, part)).collect();
    // What a failed part says is not repeated at the task. Messages of parts are shorter.
    let is_about_cause = |part: &Part| {
        let shown = reason(part.status, part.message.as_deref());
        shown
            .zip(cause)
            .is_some_and(|(shown, cause)| cause.starts_with(shown))
    };
    let place = task.parts.values().position(is_about_cause);
    rows.insert(0, row_of_task(task, is_stale));
    let place = place.map_or(0, |part| part + 1);
    if let Some(row) = rows.get_mut(place)
        && (place == 0 || look.has_full_reasons)
    {
        row.note = note(cause);
        let context = task.failure.iter().flat_map(|failure| &failure.context);
        row.context = context.map(|line| plain(line)).collect();
    }
    rows
}

fn row_of_task(task: &Task, is_stale: bool) -> Row {
    Row {
        indent: 0,
        name: plain(&task.task_name),
        progress: task.progress,
        status: task.status,
        state: state(task.status, task.phase.as_deref(), is_stale),
        duration: duration(task.duration_ms),
        note: None,
        context: Vec::new(),
    }
}

fn row_of_part(name: &str, part: &Part) -> Row {
    let took = part.started_at.zip(part.completed_at);
    let took = took.map(|(start, end)| end.millis_since(start));
    Row {
        indent: 2,
        name: plain(name),
        progress: part.progress,
        status: part.status,
        state: state(part.status, part.phase.as_deref(), false),
        duration: duration(took),
        note: note(reason(part.status, part.message.as_deref())),
        context: Vec::new(),
    }
}

/// A duration in words. It is empty for none: the lines of many logs have no times.
fn duration(millis: Option<u64>) -> String {
    let Some(millis) = millis.filter(|millis| *millis > 0) else {
        return String::new();
    };
    let seconds = millis.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
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
    let state = match row.duration.is_empty() {
        true => row.state.clone(),
        false => format!("{:<12}  {}", row.state, row.duration),
    };
    let line = format!(
        "{indent}{} {name} {} {percentage:>5} {counter:>9}  {}",
        paint(mark),
        paint(&bar),
        paint(&state)
    );
    writeln!(output, "{}", line.trim_end())?;
    let indent = row.indent + 2;
    let room = look.width.saturating_sub(indent);
    let indent = " ".repeat(indent);
    if !look.has_full_reasons {
        let note = row.note.as_ref().map(|note| cut(note, room));
        return note.map_or(Ok(()), |note| writeln!(output, "{indent}{}", paint(&note)));
    }
    for line in row.note.iter().flat_map(|note| wrapped(note, room)) {
        writeln!(output, "{indent}{}", paint(&line))?;
    }
    let context = row.context.iter();
    for line in context.flat_map(|line| wrapped(line, room.saturating_sub(2))) {
        writeln!(output, "{indent}│ {line}")?;
    }
    Ok(())
}

/// The text in lines of at most `width` columns, divided between words where that is possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && line.width() + word.trim_end().width() > width {
            lines.push(std::mem::take(&mut line));
        }
        for char in word.chars() {
            if char != ' ' && line.width() + char.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(char);
        }
    }
    lines.push(line);
    lines
        .into_iter()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
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
        let look = Look {
            width,
            has_colour,
            has_full_reasons: false,
        };
        write_table(tasks, |_| false, look, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    /// The table with reasons in full, `width` columns wide.
    fn full_table(tasks: &[Task], width: usize) -> String {
        let mut output = Vec::new();
        let look = Look {
            width,
            has_colour: false,
            has_full_reasons: true,
        };
        write_table(tasks, |_| false, look, &mut output).unwrap();
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
    fn a_reason_in_full_is_wrapped_at_80_columns_and_followed_by_the_lines_before() {
        let cause = "Resource handler returned message: \"The runtime parameter of nodejs14.x is \
                     no longer supported for creating or updating AWS Lambda functions.\"";
        let mut task = failed_deploy("Shop", cause);
        task.duration_ms = Some(62_000);
        let mut failure = Failure::new(format!("{cause} (Service: Lambda)"), task.run);
        failure.context = vec!["npm warn deprecated".to_owned(), "x".repeat(90)];
        task.failure = Some(Box::new(failure));
        if let Some(part) = task.parts.get_mut("Db") {
            part.started_at = Some(task.run);
            part.completed_at = Some(task.run.after(std::time::Duration::from_millis(3_600_500)));
        }
        let expected = "\
✖ Shop  █████░░░░░  58 %      7/12  failed        1 min 2 s
  ✔ Api ██████████ 100 %       5/5  completed
  ✖ Db  ██░░░░░░░░  28 %       2/7  rolled back   1 h 0 min
    Resource handler returned message: \"The runtime parameter of nodejs14.x is
    no longer supported for creating or updating AWS Lambda functions.\"
    (Service: Lambda)
    │ npm warn deprecated
    │ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    │ xxxxxxxxxxxxxxxx
";
        assert_eq!(full_table(&[task], 80), expected);
    }

    #[test]
    fn durations_are_in_words() {
        let durations = [
            (0, ""),
            (400, "1 s"),
            (59_000, "59 s"),
            (60_000, "1 min 0 s"),
            (3_599_999, "1 h 0 min"),
            (90_000_000, "25 h 0 min"),
        ];
        for (millis, expected) in durations {
            assert_eq!(duration(Some(millis)), expected);
        }
        assert_eq!(duration(None), "");
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
        let mut long = failed_deploy(&"長い名前".repeat(40), &"reason ".repeat(80));
        long.duration_ms = Some(3_599_000);
        let wide = failed_deploy(&"長い名前".repeat(40), &"長い理由".repeat(80));
        let tasks = [long, wide];
        for width in [50, 80, 100, 200] {
            for shown in [table(&tasks, width, false), full_table(&tasks, width)] {
                assert!(
                    shown.lines().all(|line| line.width() <= width),
                    "{width}:\n{shown}"
                );
            }
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
