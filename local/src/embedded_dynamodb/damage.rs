//! Whether the file of the database is damaged.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tracing::error;

/// What SQLite says of a damaged file (<https://www.sqlite.org/rescode.html#corrupt>).
const SIGNS: [&str; 2] = ["malformed", "file is not a database"];

/// Whether the file of the database is damaged. What is damaged may be anything, so the rest can still be used.
#[derive(Debug)]
pub struct Damage {
    /// `None`: the database is in memory.
    file: Option<PathBuf>,
    found: OnceLock<String>,
    /// The last error of the engine, so that each is logged once.
    last_error: Mutex<String>,
}

impl Damage {
    pub(super) fn of(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Path::to_owned),
            found: OnceLock::new(),
            last_error: Mutex::default(),
        }
    }

    /// The damage and what to do about it; `None` if no damage is known.
    pub fn detail(&self) -> Option<String> {
        let reason = self.found.get()?;
        let file = self.file.as_deref()?.display();
        Some(format!(
            "the database {file} is damaged ({reason}): stop the program, and restore a copy of \
             the file, or move it away to begin anew"
        ))
    }

    /// Checks the whole file. Blocks: about a second for each gigabyte.
    pub fn check(&self) {
        let Some(file) = &self.file else {
            return;
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let checked = Connection::open_with_flags(file, flags).and_then(|connection| {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        });
        match checked {
            Ok(outcome) if outcome == "ok" => {}
            Ok(outcome) => {
                let words: Vec<_> = outcome.split_whitespace().collect();
                self.found(&words.join(" "));
            }
            Err(error) => self.note(&error.to_string()),
        }
    }

    /// Notes an error of the engine.
    pub(super) fn note(&self, failure: &str) {
        let last_error = self.last_error.lock();
        let mut last_error = last_error.unwrap_or_else(PoisonError::into_inner);
        if *last_error == failure {
            return;
        }
        failure.clone_into(&mut last_error);
        if SIGNS.iter().any(|sign| failure.contains(sign)) {
            self.found(failure);
        } else {
            let database = self.file.as_deref().map(Path::display);
            let database = database.map_or_else(|| "in memory".to_owned(), |it| it.to_string());
            error!(database, error = failure, "the database fails");
        }
    }

    fn found(&self, reason: &str) {
        let is_new = self.found.set(reason.to_owned()).is_ok();
        if let Some(detail) = self.detail().filter(|_| is_new) {
            error!("{detail}");
        }
    }
}
