// A task's history, oldest first: read once, then only what was added.

const LIMIT = 200;
/** How many pages are read before one has to ask for more. */
const MOST_PAGES = 20;

export class History {
    /** The history of a task since `from`, or all of it. */
    constructor(api, taskId, from) {
        this.api = api;
        this.path = `api/tasks/${encodeURIComponent(taskId)}/history`;
        this.from = from;
        this.entries = [];
        this.cursor = null;
        this.revision = null;
    }

    /** Reads on, if the task has another revision than last time, or more was asked for. */
    async refresh(revision, signal) {
        if (revision === this.revision) return;
        const last = this.entries.at(-1);
        const from = last ? last.timestamp : this.from;
        let cursor = this.cursor;
        for (let page = 0; page < MOST_PAGES; page++) {
            const { value } = await this.api.get(this.path, { limit: LIMIT, ...(cursor ? { cursor, from: this.asked } : { from }) }, signal);
            // A cursor belongs to the list it was given for.
            if (!cursor) this.asked = from;
            const known = this.entries.at(-1)?.timestamp ?? "";
            this.entries.push(...value.history.filter((entry) => entry.timestamp > known));
            cursor = value.next_cursor;
            this.cursor = cursor;
            if (!cursor) break;
        }
        this.revision = revision;
    }

    get hasMore() {
        return Boolean(this.cursor);
    }

    /** Reads on at the next look. */
    more() {
        this.revision = null;
    }
}
