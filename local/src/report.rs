//! `report`: reads logs once, in the same way as the collector, and prints the tasks in them.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use progress_collector::{Collector, CollectorConfig, Parts, Trigger};
use shared::checkpoint::memory::InMemoryCheckpointStore;
use shared::config::{Settings, stale_after};
use shared::log_source::{FileLogSource, Reading};
use shared::model::{Task, Timestamp};
use shared::store::memory::InMemoryStore;
use shared::store::{StoreError, TaskQuery, TaskStore};
use shared::task_reader::{MAX_PAGE_LIMIT, Renderer};

use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::inputs;
use crate::table::{Look, write_table};

/// Reads the logs and prints the tasks in them.
pub(crate) async fn report(args: &ReportArgs) -> Result<(), Failure> {
    let source = inputs::open(&args.logs, Reading::Whole, None)?;
    let lookup = |name: &str| std::env::var(name).ok();
    let stale_after = stale_after(&Settings::new(&lookup))?;
    let now = Timestamp::now();
    let tasks = collect(source, now).await?;
    let mut output = io::stdout().lock();
    let renderer = Renderer::new(stale_after);
    let written = if args.json {
        let mut page = renderer.page(&tasks, None, now);
        page.push(b'\n');
        output.write_all(&page)
    } else {
        let look = Look::of_terminal(output.is_terminal());
        let is_stale = |task: &Task| renderer.view(task, now).stale;
        write_table(&tasks, is_stale, look, &mut output)
    };
    written
        .and_then(|()| output.flush())
        .map_err(Failure::Print)
}

/// The tasks in the logs, newest first.
async fn collect(source: FileLogSource, now: Timestamp) -> Result<Vec<Task>, Failure> {
    let store = Arc::new(InMemoryStore::new());
    let parts = Parts {
        tasks: store.clone(),
        projects: store.clone(),
        checkpoints: Arc::new(InMemoryCheckpointStore::new()),
        cache: None,
        logs: Arc::new(source.clone()),
    };
    let config = CollectorConfig {
        groups: inputs::log_groups(),
        whole_logs: true,
        ..CollectorConfig::default()
    };
    let collector = Collector::new(parts, config);
    for found in source.poll(now) {
        let backfill = Trigger::Backfill {
            log_group: found.log_group,
            start: found.earliest,
            end: found.latest,
        };
        let summary = collector.handle(backfill, now, None).await?;
        let unread = summary.groups.into_iter().find_map(|group| {
            let reason = group.error?;
            Some(Failure::Unread {
                log_group: group.log_group,
                reason,
            })
        });
        unread.map_or(Ok(()), Err)?;
    }
    list_all(store.as_ref()).await.map_err(Failure::ReadBack)
}

async fn list_all(store: &dyn TaskStore) -> Result<Vec<Task>, StoreError> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut after = None;
    loop {
        let query = TaskQuery::default();
        let page = store.list(&query, after.as_ref(), MAX_PAGE_LIMIT).await?;
        tasks.extend(page.tasks);
        if page.next.is_none() {
            return Ok(tasks);
        }
        after = page.next;
    }
}
