//! Parses event rows: a stack, a counter, the time, and what happened to which resource.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::name::{is_cfn_name, last_cfn_name};
use super::status::{self, Status};
use crate::log_parser::line::{strip_column_prefixes, strip_prefixes};
use crate::log_parser::observation::{
    CdkObservation, Counter, ParseError, Resource, RowSubject, StackState,
};
use crate::log_parser::text::{clip, clip_some, head, printable};

/// The type of a stack.
pub(super) const STACK_TYPE: &str = "AWS::CloudFormation::Stack";
static WAITING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("Currently in progress:"));

/// The most columns that are split: those of a row, and those of two other programs in front. A
/// reason may contain any number of bars.
const MAX_COLUMNS: usize = 8;

/// The first columns of a line.
struct Columns<'a> {
    cells: [&'a str; MAX_COLUMNS],
    /// The text after each column.
    tails: [&'a str; MAX_COLUMNS],
    count: usize,
}

impl<'a> Columns<'a> {
    fn of(line: &'a str) -> Self {
        let mut columns = Self {
            cells: [""; MAX_COLUMNS],
            tails: [""; MAX_COLUMNS],
            count: 0,
        };
        let mut rest = Some(line);
        for (cell, tail) in columns.cells.iter_mut().zip(&mut columns.tails) {
            let Some(line) = rest else { break };
            let end = memchr::memchr(b'|', line.as_bytes());
            *cell = end.map_or(line, |end| line.get(..end).unwrap_or_default());
            rest = end.and_then(|end| line.get(end + 1..));
            *tail = rest.unwrap_or_default();
            columns.count += 1;
        }
        columns
    }

    /// The column `back` columns before `index`.
    fn before(&self, index: usize, back: usize) -> Option<&'a str> {
        self.cells.get(index.checked_sub(back)?).copied()
    }

    fn is_last(&self, index: usize) -> bool {
        index + 1 >= self.count
    }

    fn status(&self) -> Option<(usize, Status)> {
        let cells = self.cells.iter().take(self.count).enumerate().skip(1);
        cells
            .filter_map(|(index, cell)| {
                Some((index, status::parse(cell.trim(), self.is_last(index))?))
            })
            .next()
    }
}

/// Parses a row of any printer.
pub(super) fn parse(line: &str) -> Result<Option<CdkObservation>, ParseError> {
    if memchr::memchr(b'|', line.as_bytes()).is_none() {
        return Ok(None);
    }
    let columns = Columns::of(line);
    let Some((status_at, status)) = columns.status() else {
        return parse_cut(&columns, line);
    };
    let resource_type = columns
        .cells
        .get(status_at + 1)
        .map_or("", |cell| cell.trim());
    if !is_resource_type(resource_type, columns.is_last(status_at + 1)) {
        return Ok(None);
    }
    let counter = match columns.before(status_at, 2) {
        Some(cell) => parse_counter(cell)?,
        None => None,
    };
    let time = columns.before(status_at, 1).unwrap_or_default();
    let mut is_repeated = false;
    let stack = if counter.is_some() {
        let index = status_at.checked_sub(3);
        index.and_then(|index| stack_column(columns.cells.get(index)?, index == 0))
    } else if is_time(strip_column_prefixes(time)) {
        is_repeated = true;
        columns.before(status_at, 2).and_then(last_cfn_name)
    } else {
        // Without time and counter, the row must have a stack.
        let Some(stack) = last_cfn_name(time) else {
            return Ok(None);
        };
        Some(stack)
    };
    let rest = columns
        .tails
        .get(status_at + 1)
        .copied()
        .unwrap_or_default();
    let row = Row {
        stack,
        counter,
        is_repeated,
        status,
    };
    Ok(Some(row.observation(resource_type, rest.trim())))
}

/// The row of a tool that prints neither stack nor counter. `rest` is the text after the type.
pub(super) fn without_counter(status: Status, resource_type: &str, rest: &str) -> CdkObservation {
    let row = Row {
        stack: None,
        counter: None,
        is_repeated: false,
        status,
    };
    row.observation(resource_type, rest)
}

/// The columns of a row before the type of its resource.
struct Row<'a> {
    stack: Option<&'a str>,
    counter: Option<Counter>,
    /// Whether the row has a time but no counter: it only repeats an earlier one.
    is_repeated: bool,
    status: Status,
}

impl Row<'_> {
    fn observation(&self, resource_type: &str, rest: &str) -> CdkObservation {
        let status = self.status;
        let column = ResourceColumn::of(rest);
        let (own, own_name) = self.own(resource_type, rest);
        let resource = Resource {
            status: status.name.to_owned(),
            resource_type: head(resource_type, 256).to_owned(),
            name: printable(head(column.name, 512)),
            logical_id: (column.id != column.name).then(|| column.id.to_owned()),
        };
        CdkObservation::Row {
            stack: self.stack.map(str::to_owned),
            counter: self.counter,
            own,
            own_name: own_name.map(str::to_owned),
            failure: status.is_failure().then(|| column.failure()).flatten(),
            subject: RowSubject::Resource(resource),
        }
    }

    /// Returns the state of the stack as a whole, and the name of that stack if the row has no stack
    /// column.
    fn own<'a>(&self, resource_type: &str, rest: &'a str) -> (Option<StackState>, Option<&'a str>) {
        if resource_type != STACK_TYPE {
            return (None, None);
        }
        let (name, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if !is_cfn_name(name) || logical_id(after.trim_start()).is_some() {
            return (None, None);
        }
        match self.stack {
            Some(stack) if !self.is_repeated && stack == name => (self.status.stack_state, None),
            Some(_) => (None, None),
            None => (self.status.stack_state, Some(name)),
        }
    }
}

/// Parses `3/7 Currently in progress: Prod-Api, Jobs1A2B3C4D`.
pub(super) fn parse_waiting(line: &str) -> Result<Option<CdkObservation>, ParseError> {
    let Some(at) = WAITING.find(line.as_bytes()) else {
        return Ok(None);
    };
    let before = line.get(..at).unwrap_or_default();
    let ids = line.get(at + WAITING.needle().len()..).unwrap_or_default();
    let Some(counter) = parse_counter(before)? else {
        return Ok(None);
    };
    let first_id = ids.split(',').next().unwrap_or_default();
    Ok(Some(CdkObservation::CurrentlyInProgress {
        counter,
        first_id: clip(first_id),
    }))
}

/// Parses a row that was cut off after its time column: it still has a counter.
fn parse_cut(columns: &Columns<'_>, line: &str) -> Result<Option<CdkObservation>, ParseError> {
    if !(3..=4).contains(&columns.count) || line.len() < 60 {
        return Ok(None);
    }
    let [stack, counter, time, cut] = [0, 1, 2, 3].map(|index| columns.cells[index]);
    if !cut.trim().is_empty() || !is_time(time) || !counter.contains('/') {
        return Ok(None);
    }
    let (Some(stack), Some(counter)) = (last_cfn_name(stack), parse_counter(counter)?) else {
        return Ok(None);
    };
    Ok(Some(CdkObservation::Row {
        stack: Some(stack.to_owned()),
        counter: Some(counter),
        own: None,
        own_name: None,
        failure: None,
        subject: RowSubject::CutOff { line: clip(line) },
    }))
}

/// The last column of a row.
struct ResourceColumn<'a> {
    name: &'a str,
    id: &'a str,
    reason: &'a str,
}

impl<'a> ResourceColumn<'a> {
    fn of(rest: &'a str) -> Self {
        // If the name contains spaces, a logical id follows it. Names are not longer than this
        // window.
        let window = head(rest, 1024);
        let opens = memchr::memchr_iter(b'(', window.as_bytes());
        for at in opens
            .filter(|at| {
                window
                    .get(..*at)
                    .is_some_and(|before| before.ends_with(' '))
            })
            .take(8)
        {
            let after = rest.get(at..).unwrap_or_default();
            if let Some((id, reason)) = logical_id(after) {
                return Self {
                    name: rest.get(..at).unwrap_or_default().trim(),
                    id,
                    reason: reason.trim(),
                };
            }
        }
        let (name, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        Self {
            name,
            id: name,
            reason: reason.trim(),
        }
    }

    /// The reason of the failure; `None` if it only repeats the failure of another resource.
    fn failure(&self) -> Option<String> {
        let is_echo = self.reason.is_empty()
            || self.reason.ends_with("cancelled") && self.reason.starts_with("Resource ")
            || self.reason.starts_with("Operation cancelled")
            || self
                .reason
                .starts_with("The following resource(s) failed to ")
            || self.reason.starts_with("Embedded stack ")
                && self.reason.contains("The following resource(s) failed");
        if is_echo {
            return None;
        }
        clip_some(&format!(
            "{}: {}",
            head(self.id, 256),
            head(self.reason, 4096)
        ))
    }
}

/// Splits `(Jobs1A2B3C4D) reason` into logical id and reason.
fn logical_id(text: &str) -> Option<(&str, &str)> {
    let (id, after) = text.strip_prefix('(')?.split_once(')')?;
    let ends = after.is_empty() || after.starts_with(' ');
    let is_id =
        (2..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (ends && is_id).then_some((id, after))
}

/// The stack in a column; `None` if the column is the prefix of Docker Compose, which is padded
/// with spaces.
fn stack_column(cell: &str, is_first: bool) -> Option<&str> {
    if is_first && cell.ends_with("  ") && strip_prefixes(cell) == cell.trim() {
        return None;
    }
    last_cfn_name(cell)
}

/// Parses the counter at the end of a column. Other text may precede it.
fn parse_counter(cell: &str) -> Result<Option<Counter>, ParseError> {
    const OUT_OF_RANGE: ParseError = ParseError("the counter of a row is out of range");
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse().map_err(|_| OUT_OF_RANGE);
    let Some(last) = cell.split_whitespace().next_back() else {
        return Ok(None);
    };
    let (current, total) = match last.split_once('/') {
        Some((current, total)) if is_number(current) && is_number(total) => {
            (number(current)?, Some(number(total)?))
        }
        None if is_number(last) && strip_prefixes(cell) == last => (number(last)?, None),
        _ => return Ok(None),
    };
    Ok(Some(Counter {
        current: Some(current),
        total,
        percentage: None,
    }))
}

/// Whether a column contains a time of day in some locale: digits, a separator, digits; or numbers
/// with units: `8 h 07 min 44 s`, `14時15分02秒`.
fn is_time(cell: &str) -> bool {
    cell.len() <= 64
        && (cell.as_bytes().windows(3).any(|window| {
            matches!(window, [hour, b':' | b'.', minute] if hour.is_ascii_digit() && minute.is_ascii_digit())
        }) || has_units(cell))
}

/// Whether a column is two or three numbers of at most two digits, each with letters after it.
fn has_units(cell: &str) -> bool {
    let cell = cell.trim();
    let starts_well = cell.starts_with(|first: char| first.is_ascii_digit() || !first.is_ascii());
    let mut numbers = 0;
    let mut rest = cell;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let from = rest.get(start..).unwrap_or_default();
        let after = from.trim_start_matches(|character: char| character.is_ascii_digit());
        let has_unit = after.trim_start().starts_with(char::is_alphabetic);
        if from.len() - after.len() > 2 || !has_unit {
            return false;
        }
        numbers += 1;
        rest = after;
    }
    starts_well && (2..=3).contains(&numbers)
}

/// Whether a column is a resource type: `AWS::SQS::Queue`, `Custom::Thing`, or the start of one if
/// the line ends there.
fn is_resource_type(cell: &str, is_last: bool) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":_@-".contains(&byte);
    cell.bytes().all(allowed) && (is_last || cell.contains("::"))
}
