// A list of tasks, newest first, of which the first pages are loaded.

import { now } from "./time.js";

/** The size of the first page, and how many tasks "Load more" adds. */
export const PAGE_SIZE = 50;
/** The API's largest page. */
const MAX_PAGE_SIZE = 200;
/** The most requests for one refresh. A page may be short or empty although more pages follow. */
const MAX_REQUESTS = 30;
/** The most tasks that are loaded. */
const MAX_TASKS = 2000;
/** How long later pages are shown as they are while the first one has not changed. */
const LATER_PAGES_MS = 5000;

export class PagedTasks {
    constructor(api, params) {
        this.api = api;
        this.params = params;
        this.tasks = [];
        this.index = new Map();
        this.target = PAGE_SIZE;
        this.hasMore = false;
        this.isLoaded = false;
        this.isComplete = false;
        this.loadedAt = 0;
    }

    /** Loads the list again: always its first page, and the later ones if that has changed, or after a time. */
    async refresh(signal) {
        // A time range that ends now moves.
        const { from } = this.params;
        const params = { ...this.params, from: typeof from === "function" ? from() : from };
        const get = (page) => this.api.get("api/tasks", { ...params, ...page }, signal);
        let { value, changed } = await get({ limit: PAGE_SIZE });
        if (!changed && this.isComplete && now() - this.loadedAt < LATER_PAGES_MS) return;
        this.isComplete = false;
        const byId = new Map();
        const target = this.target;
        for (let request = 1; ; request++) {
            for (const task of value.tasks) {
                // A task whose status changes between two requests may be on two pages. The first one is newer.
                if (!byId.has(task.run_id)) byId.set(task.run_id, task);
            }
            const cursor = value.next_cursor;
            this.hasMore = Boolean(cursor);
            if (!cursor || byId.size >= target || request === MAX_REQUESTS) break;
            ({ value } = await get({ limit: Math.min(target - byId.size, MAX_PAGE_SIZE), cursor }));
        }
        this.set([...byId.values()]);
        this.isLoaded = true;
        this.isComplete = target === this.target;
        this.loadedAt = now();
    }

    set(tasks) {
        this.tasks = tasks;
        this.index = new Map(tasks.map(({ run_id }, index) => [run_id, index]));
    }

    /** The loaded run with this id. */
    find(runId) {
        return this.tasks[this.index.get(runId)];
    }

    /** Applies a change to what is loaded. `isSelected` tells whether the changed task belongs to this list. */
    apply({ run_id, revision, task }, isSelected) {
        if (!this.isLoaded) return;
        const known = this.find(run_id);
        if (known && known.revision >= revision) return;
        if (known && isSelected) {
            this.tasks[this.index.get(run_id)] = task;
        } else if (known) {
            this.set(this.tasks.filter((one) => one !== known));
        } else if (isSelected) {
            const index = this.tasks.findIndex((one) => isBefore(task, one));
            // It may be on a later page.
            if (index < 0 && this.hasMore) return;
            this.set(this.tasks.toSpliced(index < 0 ? this.tasks.length : index, 0, task));
        }
    }

    /** Makes the next refresh load so many tasks more. */
    loadMore(step = PAGE_SIZE) {
        this.loadAtLeast(Math.max(this.target, this.tasks.length) + step);
    }

    /** Makes the next refresh load this many tasks. */
    loadAtLeast(target) {
        this.target = Math.min(target, MAX_TASKS);
        this.isComplete = false;
    }

    /** Whether no more tasks are loaded, although there may be more. */
    get isFull() {
        return this.tasks.length >= MAX_TASKS;
    }
}

/** Whether a list has `one` before `other`: the newest run is first, then the greatest id. */
function isBefore(one, other) {
    return one.run === other.run ? one.task_id > other.task_id : one.run > other.run;
}
