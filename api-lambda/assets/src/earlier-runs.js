// The earlier runs of a task, newest first. They seldom change, so each page is loaded once.

const PAGE_SIZE = 20;

export class EarlierRuns {
    /** The runs of a task that are earlier than its newest run. */
    constructor(api, newest) {
        this.api = api;
        this.newestId = newest.run_id;
        this.path = `api/tasks/${encodeURIComponent(newest.task_id)}/runs`;
        this.runs = [];
        this.cursor = null;
        this.isDue = true;
    }

    /** Loads the next page if it is due. */
    async refresh(signal) {
        if (!this.isDue) return;
        const { value } = await this.api.get(this.path, { limit: PAGE_SIZE, cursor: this.cursor }, signal);
        this.runs.push(...value.runs.filter((run) => run.earlier));
        this.cursor = value.next_cursor;
        this.isDue = false;
    }

    get hasMore() {
        return Boolean(this.cursor);
    }

    /** Makes the next refresh load one page more. */
    loadMore() {
        this.isDue = true;
    }
}
