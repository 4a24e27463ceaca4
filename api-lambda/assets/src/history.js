// The history of a run, oldest entry first. A refresh loads only what was added since the last one.

const PAGE_SIZE = 200;
/** The most pages that one refresh loads. */
const MAX_PAGES = 20;

export class History {
    constructor(api, runId) {
        this.api = api;
        this.runId = runId;
        this.path = `api/tasks/${encodeURIComponent(runId)}/history`;
        this.loaded = [];
        this.told = [];
        this.cursor = null;
        this.revision = null;
    }

    /** Loads new entries, unless the run still has the revision of the last refresh. */
    async refresh(revision, signal) {
        if (revision === this.revision) return;
        const from = this.loaded.at(-1)?.timestamp;
        let cursor = this.cursor;
        for (let page = 0; page < MAX_PAGES; page++) {
            const params = { limit: PAGE_SIZE, ...(cursor ? { cursor, from: this.cursorFrom } : { from }) };
            const { value } = await this.api.get(this.path, params, signal);
            // A cursor is valid only together with the `from` of its first page.
            if (!cursor) this.cursorFrom = from;
            const newest = this.loaded.at(-1)?.timestamp ?? "";
            this.loaded.push(...value.history.filter((entry) => entry.timestamp > newest));
            cursor = value.next_cursor;
            this.cursor = cursor;
            if (!cursor) break;
        }
        this.revision = revision;
    }

    /** What is loaded, and after that what live push has told. */
    get entries() {
        const newest = this.loaded.at(-1)?.timestamp ?? "";
        this.told = this.hasMore ? [] : this.told.filter(({ timestamp }) => timestamp > newest);
        return this.told.length ? [...this.loaded, ...this.told] : this.loaded;
    }

    /** Adds a state that live push has told, if the history will have it. The next refresh replaces it. */
    add({ updated_at, status, progress, phase, message }) {
        const entry = { timestamp: updated_at, status, progress, phase, message };
        const shown = (one) => JSON.stringify([one?.status, one?.progress, one?.phase]);
        if (shown(entry) !== shown(this.entries.at(-1))) this.told.push(entry);
    }

    get hasMore() {
        return Boolean(this.cursor);
    }

    /** Makes the next refresh load more pages. */
    loadMore() {
        this.revision = null;
    }
}
