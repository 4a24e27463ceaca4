//! Errors as people read them.

use std::error::Error;
use std::iter;

/// The cause inside an error of this crate, whatever library it came from.
pub type Source = Box<dyn Error + Send + Sync>;

/// An error and all its sources, joined with `: `, for the one log line that reports it.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
