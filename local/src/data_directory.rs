//! The directory that keeps data between runs.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A data directory. No other process can use it at the same time.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Creates the directory `path`, if it does not exist, and locks it.
    pub(crate) fn lock(path: &Path) -> Result<Self, Failure> {
        let lock = create_private(path).and_then(|()| {
            let lock = File::create(path.join("lock"))?;
            match lock.try_lock() {
                Ok(()) => Ok(lock),
                Err(TryLockError::WouldBlock) => Err(io::Error::other(
                    "another process uses it: stop that process first, or choose another directory",
                )),
                Err(TryLockError::Error(error)) => Err(error),
            }
        });
        let lock = lock.map_err(|source| Failure::Data {
            directory: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The directory of the files that say when log lines were first seen. It is created.
    pub(crate) fn first_seen(&self) -> Result<PathBuf, Failure> {
        let directory = self.path.join("first-seen");
        match create_private(&directory) {
            Ok(()) => Ok(directory),
            Err(source) => Err(Failure::Data { directory, source }),
        }
    }

    /// The database of the embedded DynamoDB.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("dynamodb.sqlite")
    }
}

/// Creates a directory that only its owner may use: it holds all tasks. The rights of an existing directory stay.
fn create_private(path: &Path) -> io::Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(io::Error::other(
            "it is not a directory: choose another path",
        ));
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
