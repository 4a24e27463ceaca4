//! Parses the `progress` of reports.

use super::number::{count, percent_counter, percentage, share, to_percent};
use super::{logger, parse_text};
use crate::log_parser::json::{self, Object};
use crate::log_parser::line::clean;
use crate::log_parser::observation::{Counter, ParseError};

/// Parses the `progress` of a report.
pub(super) fn progress(object: &Object<'_>) -> Result<Option<Counter>, ParseError> {
    const CONTRADICTION: ParseError = ParseError("the progress of a report is not valid");
    let Some(progress) = object.get("progress") else {
        return Ok(None);
    };
    let raw = progress.get();
    if let Some(fields) = json::object(progress) {
        let current = fields.first(&["current", "completed", "done"]);
        let percent = fields.first(&["percentage", "percent", "pct"]);
        let counter = Counter {
            current: count(current)?,
            total: count(fields.get("total"))?,
            percentage: percent.map(percentage).transpose()?.flatten(),
        };
        let is_empty = counter.current.is_none() && counter.percentage.is_none();
        let counter = Some(counter).filter(|_| !is_empty);
        return Ok(counter.or_else(|| logger::counter(&fields)));
    }
    if let Some(text) = json::string(progress) {
        return Ok(text_counter(&text)?.or_else(|| {
            let plain = parse_text(&clean(&text))?;
            plain.counters.last().map(|(_, counter)| *counter)
        }));
    }
    match raw.parse::<f64>() {
        // With a decimal point it is a fraction of 1, else a percentage.
        Ok(number) => Ok(percent_counter(share(raw, number)?)),
        Err(_) => Err(CONTRADICTION),
    }
}

/// Parses `"45%"`, `"45"` or `"3/10"`. Other words are not a counter, but also not an error.
fn text_counter(text: &str) -> Result<Option<Counter>, ParseError> {
    let text = text.trim();
    if let Ok(percent) = text.trim_end_matches('%').trim_end().parse::<f64>() {
        return Ok(percent_counter(to_percent(percent)?));
    }
    let Some((current, total)) = text.split_once('/') else {
        return Ok(None);
    };
    let (Ok(current), Ok(total)) = (current.trim().parse(), total.trim().parse()) else {
        return Ok(None);
    };
    Ok(Some(Counter {
        current: Some(current),
        total: Some(total),
        percentage: None,
    }))
}
