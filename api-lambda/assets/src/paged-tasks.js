// A list of tasks, newest first, of which the first pages are loaded.

import { now } from "./time.js";

/** The size of the first page, and how many tasks "Load more" adds. */
export const PAGE_SIZE = 50;
/** The API's largest page. */
const MAX_PAGE_SIZE = 200;
/** The most requests for one refresh. A page may be short or empty although more pages follow. */
const MAX_REQUESTS = 30;
/** How long later pages are shown as they are while the first one has not changed. */
const LATER_PAGES_MS = 5000;

export class PagedTasks {
    constructor(api, params) {
        this.api = api;
        this.params = params;
        this.tasks = [];
        this.target = PAGE_SIZE;
        this.hasMore = false;
        this.isLoaded = false;
        this.isComplete = false;
        this.loadedAt = 0;
    }

    /** Loads the list again: always its first page, and the later ones if that has changed, or after a time. */
    async refresh(signal) {
        const get = (page) => this.api.get("api/tasks", { ...this.params, ...page }, signal);
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
        this.tasks = [...byId.values()];
        this.isLoaded = true;
        this.isComplete = target === this.target;
        this.loadedAt = now();
    }

    /** Makes the next refresh load one page more. */
    loadMore() {
        this.target = Math.max(this.target, this.tasks.length) + PAGE_SIZE;
        this.isComplete = false;
    }

    /** The number of loaded tasks; `50+` if there are more. */
    get count() {
        return `${this.tasks.length}${this.hasMore ? "+" : ""}`;
    }
}
