// When to look again: each second while something runs and is watched, slower otherwise, slower still in trouble.

const RUNNING_MS = 1000;
const IDLE_MS = 5000;
const HIDDEN_MS = 30_000;
const FIRST_BACKOFF_MS = 1000;
const LAST_BACKOFF_MS = 30_000;

export class Poller {
    /**
     * `look(signal)` looks, and answers whether something runs; `failed(error, ms)` hears what went wrong and when
     * the next look is, and answers a promise if that must wait for something.
     */
    constructor(look, failed) {
        this.look = look;
        this.failed = failed;
        this.failures = 0;
        this.again = this.again.bind(this);
        addEventListener("online", this.again);
        addEventListener("pageshow", (event) => event.persisted && this.again());
        document.addEventListener("visibilitychange", () => document.hidden || this.again());
    }

    /** Looks at once. What is under way is for what was shown before: it is dropped. */
    again() {
        clearTimeout(this.timer);
        this.abort?.abort();
        this.run();
    }

    async run() {
        const abort = new AbortController();
        this.abort = abort;
        let delay;
        let wait;
        try {
            const isRunning = await this.look(abort.signal);
            if (this.abort !== abort) return;
            this.failures = 0;
            delay = document.hidden ? HIDDEN_MS : isRunning ? RUNNING_MS : IDLE_MS;
        } catch (error) {
            if (this.abort !== abort) return;
            this.failures += 1;
            // Spread, so that not all who were cut off come back at one moment.
            const backoff = FIRST_BACKOFF_MS * 2 ** Math.min(this.failures - 1, 10) * (0.8 + 0.4 * Math.random());
            delay = Math.max(Math.min(backoff, LAST_BACKOFF_MS), error.retryAfterMs ?? 0);
            wait = this.failed(error, delay);
        }
        if (wait) {
            await wait;
            if (this.abort !== abort) return;
            delay = 0;
        }
        this.timer = setTimeout(() => this.run(), delay);
    }
}
