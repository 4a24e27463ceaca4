// Refreshes the page every second while a task runs, less often when idle, live or hidden, with backoff after errors.

const RUNNING_MS = 1000;
const IDLE_MS = 5000;
/** While live push tells what changes. The first refresh after its start comes earlier: lists may be a little old. */
const LIVE_MS = 30_000;
const FIRST_LIVE_MS = 2000;
const HIDDEN_MS = 30_000;
const FIRST_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 30_000;

export class Poller {
    /**
     * `refresh(signal)` resolves to true if a task is running. `onError(error, delayMs)` is called after a failure,
     * with the time until the next attempt. If it returns a promise, the poller waits for that promise instead.
     * `isLive()` tells whether live push works.
     */
    constructor(refresh, onError, isLive) {
        this.refresh = refresh;
        this.onError = onError;
        this.isLive = isLive;
        this.isFirstLive = true;
        this.failures = 0;
        this.refreshNow = this.refreshNow.bind(this);
        addEventListener("online", this.refreshNow);
        addEventListener("pageshow", (event) => event.persisted && this.refreshNow());
        document.addEventListener("visibilitychange", () => document.hidden || this.refreshNow());
    }

    /** Refreshes at once. Aborts a refresh that is under way, because it may be for another view. */
    refreshNow() {
        clearTimeout(this.timer);
        this.abort?.abort();
        this.isFirstLive = true;
        this.run();
    }

    /** Refreshes within this time. A refresh that is under way is not enough. */
    refreshWithin(ms) {
        if (this.timer === null) this.wantedMs = Math.min(ms, this.wantedMs);
        else if (performance.now() + ms < this.dueAt) this.schedule(ms);
    }

    schedule(ms) {
        clearTimeout(this.timer);
        this.dueAt = performance.now() + ms;
        this.timer = setTimeout(() => this.run(), ms);
    }

    /** The time until the next refresh if all is well. */
    pause(isRunning) {
        if (document.hidden) return HIDDEN_MS;
        if (!this.isLive()) return isRunning ? RUNNING_MS : IDLE_MS;
        const isFirst = this.isFirstLive;
        this.isFirstLive = false;
        return isFirst ? FIRST_LIVE_MS : LIVE_MS;
    }

    async run() {
        const abort = new AbortController();
        this.abort = abort;
        this.timer = null;
        this.wantedMs = Infinity;
        let delay;
        let pending;
        try {
            const isRunning = await this.refresh(abort.signal);
            if (this.abort !== abort) return;
            this.failures = 0;
            delay = Math.min(this.pause(isRunning), this.wantedMs);
        } catch (error) {
            if (this.abort !== abort) return;
            this.failures += 1;
            // Jitter of 20 %, so that pages do not all come back at the same moment after an outage.
            const backoff = FIRST_BACKOFF_MS * 2 ** Math.min(this.failures - 1, 10) * (0.8 + 0.4 * Math.random());
            delay = Math.max(Math.min(backoff, MAX_BACKOFF_MS), error.retryAfterMs ?? 0);
            pending = this.onError(error, delay);
        }
        if (pending) {
            await pending;
            if (this.abort !== abort) return;
            delay = 0;
        }
        this.schedule(delay);
    }
}
