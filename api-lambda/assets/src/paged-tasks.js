// A list of tasks, newest first, as far as it has been asked for.

/** How many tasks the first page has, and each "load more" adds. */
export const PAGE = 50;
/** How many one request may ask for. */
const MOST = 200;
/** A page may be short, or empty, and yet not be the last. So many requests are made for one look. */
const MOST_REQUESTS = 30;

export class Feed {
    constructor(api, parameters) {
        this.api = api;
        this.parameters = parameters;
        this.tasks = [];
        this.wanted = PAGE;
        this.hasMore = false;
        this.isLoaded = false;
        this.isWhole = false;
    }

    /** Looks again. The first page tells whether anything is new: what changes comes first. */
    async refresh(signal) {
        const get = (more) => this.api.get("api/tasks", { ...this.parameters, ...more }, signal);
        let { value, changed } = await get({ limit: PAGE });
        if (!changed && this.isWhole) return;
        this.isWhole = false;
        const byId = new Map();
        const wanted = this.wanted;
        for (let request = 1; ; request++) {
            for (const task of value.tasks) {
                // A task that moved up while the pages were read is on two of them: the first is newer.
                if (!byId.has(task.task_id)) byId.set(task.task_id, task);
            }
            const cursor = value.next_cursor;
            this.hasMore = Boolean(cursor);
            if (!cursor || byId.size >= wanted || request === MOST_REQUESTS) break;
            ({ value } = await get({ limit: Math.min(wanted - byId.size, MOST), cursor }));
        }
        this.tasks = [...byId.values()];
        this.isLoaded = true;
        this.isWhole = wanted === this.wanted;
    }

    /** Wants one page more at the next look. */
    more() {
        this.wanted = Math.max(this.wanted, this.tasks.length) + PAGE;
        this.isWhole = false;
    }

    /** `50+` where there are more than are loaded. */
    get count() {
        return `${this.tasks.length}${this.hasMore ? "+" : ""}`;
    }
}
