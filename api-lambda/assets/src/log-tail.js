// The last lines of a run's log. They are asked for when the run has changed, and not more often than every few seconds.

import { byId, setText } from "./dom.js";
import { clean, number, sentence } from "./text.js";
import { now } from "./time.js";

const LEAST_MS = 5000;

export class LogTail {
    /** `onChange()` is called when there are other lines. */
    constructor(api, onChange) {
        this.api = api;
        this.onChange = onChange;
        this.open(null);
    }

    /** Begins with a run, or with none. */
    open(runId) {
        this.runId = runId;
        this.revision = null;
        this.askedAt = 0;
        this.hasLines = false;
        byId("log-section").hidden = true;
    }

    /** Loads the lines of a run if it has changed since. */
    async refresh({ run_id, revision }) {
        if (run_id !== this.runId) this.open(run_id);
        if (revision === this.revision || this.isDenied || now() - this.askedAt < LEAST_MS) return;
        this.askedAt = now();
        try {
            const { value } = await this.api.get(`api/tasks/${encodeURIComponent(run_id)}/log`);
            if (run_id !== this.runId) return;
            this.revision = revision;
            this.show(value.lines, sentence(value.note ?? ""));
        } catch (error) {
            if (run_id !== this.runId) return;
            // Other errors are those of the whole page, which tells them.
            if (error.kind === "not_found") this.revision = revision;
            if (error.kind !== "forbidden") return;
            this.isDenied = true;
            const how = `Sign in with a token that has it, such as one of scripts/token progress:read ${error.scope}.`;
            this.show([], `${error.message} With it, this page shows the last lines of the log. ${how}`);
        }
    }

    show(lines, note = "") {
        this.hasLines = lines.length > 0;
        byId("log-section").hidden = !this.hasLines && !note;
        byId("log-note").hidden = !note;
        setText(byId("log-note"), note);
        setText(byId("log-count"), this.hasLines ? number(lines.length) : "");
        const log = byId("log");
        log.hidden = !this.hasLines;
        const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
        setText(log, lines.map(({ text }) => clean(text)).join("\n"));
        if (isAtEnd) log.scrollTop = log.scrollHeight;
        this.onChange();
    }
}
