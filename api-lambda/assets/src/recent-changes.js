// What live push has told lately. Lists of the API may be some seconds older, so this is applied to them again.

import { now } from "./time.js";

/** How long a change is kept: longer than a list is out of date (5 s) after a request took its longest (10 s). */
const KEPT_MS = 20_000;
const MOST_KEPT = 2000;

export class RecentChanges {
    constructor() {
        this.changes = new Map();
    }

    /**
     * Adds a change: `{ run_id, revision, task }`, where `task` is null if the run was removed. False if a newer one
     * is known.
     */
    add(change) {
        const known = this.changes.get(change.run_id);
        if (known && known.revision >= change.revision) return false;
        this.changes.delete(change.run_id);
        this.changes.set(change.run_id, { ...change, at: now() });
        // The oldest change is the first one.
        for (const [id, { at }] of this.changes) {
            if (this.changes.size <= MOST_KEPT && now() - at < KEPT_MS) break;
            this.changes.delete(id);
        }
        return true;
    }

    /** The change of this run that is kept. */
    find(runId) {
        return this.changes.get(runId);
    }

    /** All that are kept, the oldest first. */
    [Symbol.iterator]() {
        return this.changes.values();
    }
}

/** The change that a message of live push tells; null if the page has to ask for it. */
export function changeOf({ task, removed, trimmed }) {
    if (removed) return { run_id: removed.run_id, task_id: removed.task_id, revision: removed.revision, task: null };
    if (task) return { run_id: task.run_id, task_id: task.task_id, revision: task.revision, task, isTrimmed: trimmed === true };
    return null;
}
