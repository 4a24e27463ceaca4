//! What the system tells about changed files, so that nobody has to look for them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tracing::warn;

use super::log_file::FileId;

/// The paths that have changed since somebody asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    changed: Mutex<Changed>,
    arrival: Notify,
}

/// The files that have changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) paths: HashSet<PathBuf>,
    /// Whether there is more that nobody knows.
    pub(super) is_incomplete: bool,
}

impl Changes {
    /// Notes that `paths` have changed.
    pub(crate) fn add(&self, paths: impl IntoIterator<Item = PathBuf>) {
        self.change(|changed| changed.paths.extend(paths));
    }

    /// Waits until something has changed since the last [`Self::take`].
    pub(crate) async fn wait(&self) {
        self.0.arrival.notified().await;
    }

    pub(super) fn take(&self) -> Changed {
        self.change_quietly(std::mem::take)
    }

    fn change(&self, change: impl FnOnce(&mut Changed)) {
        self.change_quietly(change);
        self.0.arrival.notify_one();
    }

    fn change_quietly<T>(&self, change: impl FnOnce(&mut Changed) -> T) -> T {
        let changed = self.0.changed.lock();
        change(&mut changed.unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what the system tells.
    fn note(&self, event: notify::Result<notify::Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.change(|changed| changed.is_incomplete = true),
            // Readers are no news, and each reading of ours is one.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) => self.add(event.paths),
            Err(_) => self.change(|changed| changed.is_incomplete = true),
        }
    }
}

/// The directories whose files the system tells about.
pub(super) struct Watcher {
    watcher: Option<RecommendedWatcher>,
    watched: HashMap<PathBuf, FileId>,
    has_warned: bool,
}

impl Watcher {
    /// A watcher that tells `changes`. If the system has none, that is logged.
    pub(super) fn new(changes: Changes) -> Self {
        let mut new = Self {
            watcher: None,
            watched: HashMap::new(),
            has_warned: false,
        };
        match notify::recommended_watcher(move |event| changes.note(event)) {
            Ok(watcher) => new.watcher = Some(watcher),
            Err(error) => new.warn(&error),
        }
        new
    }

    /// Watches the files in `directory`, but not those below. A directory that was replaced by another one of its name
    /// is watched anew. If the system refuses that, it is logged once.
    pub(super) fn watch(&mut self, directory: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let Ok(metadata) = directory.metadata() else {
            return; // there is nothing to watch any more
        };
        let id = FileId::of(&metadata);
        match self.watched.get(directory) {
            Some(watched) if *watched == id => return,
            Some(_) => drop(watcher.unwatch(directory)), // fails if it ended with the directory
            None => {}
        }
        let watched = watcher.watch(directory, RecursiveMode::NonRecursive);
        // Not tried again and again if it fails.
        self.watched.insert(directory.to_owned(), id);
        if let Err(error) = watched {
            self.warn(&error);
        }
    }

    fn warn(&mut self, error: &notify::Error) {
        if std::mem::replace(&mut self.has_warned, true) {
            return;
        }
        let advice = match error.kind {
            ErrorKind::MaxFilesWatch => "; on Linux, raise fs.inotify.max_user_watches",
            _ => "",
        };
        warn!(
            %error,
            "the system can't tell about all changed files: some are looked at only every second or so{advice}"
        );
    }
}
