//! Reads numbers in the fields of objects.

use serde_json::value::RawValue;

use crate::log_parser::json::{self, Object};
use crate::log_parser::observation::{Counter, ParseError};

/// Converts a number to a percentage. With a decimal point it is a fraction of 1, if it is not
/// above 1.
pub(super) fn share(raw: &str, number: f64) -> Result<u8, ParseError> {
    if raw.contains('.') && (0.0..=1.0).contains(&number) {
        // Adds a billionth of a percent against rounding errors.
        return to_percent((number * 100.0 + 1e-9).min(100.0));
    }
    to_percent(number)
}

/// Parses a share: a percentage, a fraction of 1, or a string with a percentage.
pub(super) fn parse_share(value: &RawValue) -> Option<Counter> {
    let number = number(value).ok()??;
    percent_counter(share(value.get(), number).ok()?)
}

/// A counter of `current` steps of `total`. Numbers with a fraction are only a share.
pub(super) fn of_numbers(current: f64, total: Option<f64>) -> Option<Counter> {
    let whole = |number: f64| whole(number).filter(|_| number.fract() == 0.0);
    match total {
        Some(total) if whole(current).is_none() || total <= 1.0 => {
            let percent = current / total * 100.0 + 1e-9;
            percent_counter(to_percent(percent.min(100.0)).ok()?)
        }
        total => Some(Counter {
            current: Some(whole(current)?),
            total: total.and_then(whole),
            percentage: None,
        }),
    }
}

pub(super) fn percent_counter(percentage: u8) -> Option<Counter> {
    Some(Counter {
        current: None,
        total: None,
        percentage: Some(percentage),
    })
}

/// Parses a number or a string with a number; `None` for null and for an empty string.
pub(super) fn number(value: &RawValue) -> Result<Option<f64>, ParseError> {
    const NO_NUMBER: ParseError = ParseError("a number in a report is not valid");
    let text = json::string(value);
    let text = text.as_deref().unwrap_or(value.get()).trim();
    if text.is_empty() || text == "null" {
        return Ok(None);
    }
    text.trim_end_matches('%')
        .trim_end()
        .parse()
        .map(Some)
        .map_err(|_| NO_NUMBER)
}

pub(super) fn count(value: Option<&RawValue>) -> Result<Option<u64>, ParseError> {
    let Some(value) = value else { return Ok(None) };
    if let Ok(exact) = value.get().parse() {
        return Ok(Some(exact));
    }
    let Some(number) = number(value)? else {
        return Ok(None);
    };
    match whole(number) {
        None => Err(ParseError("a counter of a report is out of range")),
        count => Ok(count),
    }
}

/// Drops the fraction; `None` if the number is out of range.
fn whole(number: f64) -> Option<u64> {
    /// Above 2^53, a float cannot represent every integer.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    // It is in range, so the cast only drops the fraction.
    (0.0..=LARGEST).contains(&number).then_some(number as u64)
}

pub(super) fn percentage(value: &RawValue) -> Result<Option<u8>, ParseError> {
    number(value)?.map(to_percent).transpose()
}

pub(super) fn to_percent(percent: f64) -> Result<u8, ParseError> {
    if (0.0..=100.0).contains(&percent) {
        // It is in range, so the cast only drops the fraction.
        Ok(percent as u8)
    } else {
        Err(ParseError(
            "the percentage of a report is not between 0 and 100",
        ))
    }
}

/// The number in the first of these fields that is there. A value that is not valid is ignored.
pub(super) fn number_of(object: &Object<'_>, names: &[&str]) -> Option<u64> {
    count(object.first(names)).ok().flatten()
}
