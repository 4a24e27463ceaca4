//! Helpers to print errors.

use std::error::Error;
use std::iter;

/// The cause of an error, of any library.
pub type Source = Box<dyn Error + Send + Sync>;

/// Joins an error and all its sources with `: `, for one log line.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
