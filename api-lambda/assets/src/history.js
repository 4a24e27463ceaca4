// The history of a run, oldest entry first. A refresh loads only what was added since the last one.

const PAGE_SIZE = 200;
/** The most pages that one refresh loads. */
const MAX_PAGES = 20;

export class History {
    constructor(api, runId) {
        this.api = api;
        this.runId = runId;
        this.path = `api/tasks/${encodeURIComponent(runId)}/history`;
        this.entries = [];
        this.cursor = null;
        this.revision = null;
    }

    /** Loads new entries, unless the run still has the revision of the last refresh. */
    async refresh(revision, signal) {
        if (revision === this.revision) return;
        const from = this.entries.at(-1)?.timestamp;
        let cursor = this.cursor;
        for (let page = 0; page < MAX_PAGES; page++) {
            const params = { limit: PAGE_SIZE, ...(cursor ? { cursor, from: this.cursorFrom } : { from }) };
            const { value } = await this.api.get(this.path, params, signal);
            // A cursor is valid only together with the `from` of its first page.
            if (!cursor) this.cursorFrom = from;
            const newest = this.entries.at(-1)?.timestamp ?? "";
            this.entries.push(...value.history.filter((entry) => entry.timestamp > newest));
            cursor = value.next_cursor;
            this.cursor = cursor;
            if (!cursor) break;
        }
        this.revision = revision;
    }

    get hasMore() {
        return Boolean(this.cursor);
    }

    /** Makes the next refresh load more pages. */
    loadMore() {
        this.revision = null;
    }
}
