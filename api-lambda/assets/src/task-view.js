// One task: how far it is, how it got there, what it consists of, and all that is known of it.

import { Chart } from "./chart.js";
import { Keyed, byId, setAttribute, setBar, setIcon, setText, stamp } from "./dom.js";
import { announce, showTask } from "./frame.js";
import { History } from "./history.js";
import { clean, counter, number, oneLine, percent, tone, typeName, words } from "./text.js";
import { ago, day, duration, eta, full, now } from "./time.js";

export class TaskView {
    /** `again()` looks at once. */
    constructor(api, again) {
        this.api = api;
        this.again = again;
        this.chart = new Chart();
        this.historyRows = new Keyed(byId("history-rows"), () => new HistoryRow());
        this.partRows = new Keyed(byId("part-rows"), () => new PartRow());
        this.facts = new Keyed(byId("facts"), () => new Fact());
        this.metadata = new Keyed(byId("metadata"), () => new Fact());
        const show = (all) => () => {
            this.showsAll = all;
            this.history = null;
            again();
        };
        byId("this-run").addEventListener("click", show(false));
        byId("all-runs").addEventListener("click", show(true));
        byId("history-more").addEventListener("click", () => {
            this.history?.more();
            again();
        });
        byId("history-details").addEventListener("toggle", () => this.showTable());
        byId("copy-link").addEventListener("click", () => this.copyLink());
    }

    open(id) {
        this.id = id;
        this.task = null;
        this.history = null;
        this.showsAll = false;
        this.project = null;
        setText(byId("task-title"), id);
        byId("task-body").hidden = true;
        byId("task-problem").hidden = true;
        setText(byId("copy-link"), "Copy link");
    }

    /** Looks, and shows. Answers whether the task runs. */
    async look(signal) {
        const { id } = this;
        const before = this.task;
        const { value: task } = await this.api.get(`api/tasks/${encodeURIComponent(id)}`, {}, signal);
        if (!this.history || (this.history.run !== task.run && !this.showsAll)) {
            this.history = new History(this.api, id, this.showsAll ? null : task.run);
            this.history.run = task.run;
        }
        const { history } = this;
        await history.refresh(task.revision, signal);
        if (id !== this.id || history !== this.history) return true;
        this.task = task;
        this.show();
        if (before && before.status !== task.status) announce(`${words(task.status)}.`);
        return task.status === "running";
    }

    /** Shows what is known, as of now. */
    show() {
        const { task } = this;
        if (!task) return;
        const kind = tone(task);
        const name = oneLine(task.task_name) || task.task_id;
        byId("task-problem").hidden = true;
        byId("task-body").hidden = false;
        setText(byId("task-title"), name);
        setAttribute(byId("task-body"), "data-tone", kind);
        setIcon(document.querySelector("#task-hero use"), kind);
        const silent = duration(now() - Date.parse(task.updated_at));
        setText(byId("task-state"), kind === "stale" ? `Stale: silent for ${silent}` : words(task.status));
        const doing = words(task.current_step || task.phase || "");
        setText(byId("task-phase"), doing === task.status ? "" : doing);
        setText(byId("task-eta"), task.status === "running" && !task.stale ? eta(task) : "");
        const counted = counter(task.progress);
        const percentage = percent(task.progress);
        setText(byId("task-percentage"), percentage || counted || "–");
        setText(byId("task-counter"), percentage ? counted : "");
        setBar(byId("task-bar"), task.progress, kind, counted);
        const message = clean(task.message ?? "").trim();
        setText(byId("task-message"), message);
        this.showHistory(kind);
        this.showParts();
        this.showFacts();
        const raw = byId("raw");
        if (this.rawOf !== task) setText(raw, clean(JSON.stringify(task, null, 2)));
        this.rawOf = task;
    }

    /** What the tab says of this task. */
    showCounts() {
        const { task } = this;
        if (task) showTask(oneLine(task.task_name), task.progress.percentage, task.status);
    }

    showHistory(kind) {
        const { hasMore } = this.history;
        const entries = this.entries();
        byId("chart-section").hidden = entries.length === 0;
        byId("history-more").hidden = !hasMore;
        setAttribute(byId("this-run"), "aria-pressed", !this.showsAll);
        setAttribute(byId("all-runs"), "aria-pressed", this.showsAll);
        if (entries.length === 0) return;
        const isOpen = this.task.status === "running" && !hasMore;
        this.chart.show(entries, kind, isOpen);
        this.showTable();
    }

    showTable() {
        if (byId("history-details").open) {
            this.historyRows.show(this.entries().reverse(), (entry) => entry.timestamp);
        }
    }

    /** What the history has of the runs that are shown. */
    entries() {
        const entries = this.history?.entries ?? [];
        return entries.filter((entry) => this.showsAll || entry.run === this.task.run);
    }

    showParts() {
        const { task } = this;
        const parts = Object.entries(task.parts ?? {}).map(([name, part]) => {
            const start = Date.parse(part.started_at);
            const end = part.status === "running" ? Math.max(now(), start) : Date.parse(part.completed_at);
            return { name, part, start, end };
        });
        byId("parts-section").hidden = parts.length === 0;
        const runStart = Date.parse(task.started_at);
        // Stacks of earlier runs are listed, but would stretch the time line over days.
        const present = parts.filter(({ start }) => start >= runStart);
        const from = Math.min(...present.map(({ start }) => start));
        const to = Math.max(...present.map(({ end }) => end).filter(Number.isFinite));
        const isScaled = Number.isFinite(from) && Number.isFinite(to);
        setText(byId("lane-start"), isScaled ? day(from) : "");
        setText(byId("lane-end"), isScaled ? (task.status === "running" ? "now" : day(to)) : "");
        const rank = ({ start }) => (start >= runStart ? start : Infinity);
        parts.sort((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name));
        const rows = parts.map((row) => ({ ...row, from, to: Math.max(to, from + 1), isPresent: isScaled && row.start >= runStart }));
        this.partRows.show(rows, ({ name }) => name);
    }

    showFacts() {
        const { task } = this;
        const moment = (text) => (text ? `${day(Date.parse(text))} (${ago(Date.parse(text))})` : "");
        const title = (text) => (text ? full(Date.parse(text)) : "");
        const took = task.status === "running" ? now() - Date.parse(task.started_at) : task.duration_ms;
        const facts = [
            ["Id", task.task_id],
            ["Type", typeName(task.task_type)],
            ["Priority", task.priority],
            ["Project", task.project_id],
            ["Phase", words(task.phase ?? "")],
            ["Step", oneLine(task.current_step ?? "")],
            ["Last event", moment(task.updated_at), title(task.updated_at)],
            ["Started", moment(task.started_at), title(task.started_at)],
            ["Ended", moment(task.completed_at), title(task.completed_at)],
            ["Took", Number.isFinite(took) ? duration(took) : ""],
            ["Expected end", task.eta ? moment(task.eta).replace(/ \(.*/, "") : "", title(task.eta)],
            ["Created", moment(task.created_at), title(task.created_at)],
            ["Log group", task.log_group],
            ["Log stream", task.log_stream],
            ["Revision", number(task.revision)],
        ];
        this.facts.show(
            facts.filter(([, value]) => value).map(([label, value, hint]) => ({ label, value: oneLine(value), hint })),
            ({ label }) => label,
        );
        const metadata = Object.entries(task.metadata ?? {});
        byId("metadata-section").hidden = metadata.length === 0;
        const shown = ([label, value]) => ({ label: oneLine(label), value: typeof value === "string" ? clean(value) : JSON.stringify(value), isMeta: true });
        this.metadata.show(metadata.map(shown), ({ label }) => label);
    }

    /** The task is not there, or may not be seen. */
    problem(text) {
        byId("task-body").hidden = true;
        const place = byId("task-problem");
        place.hidden = false;
        setText(place, text);
    }

    async copyLink() {
        const button = byId("copy-link");
        try {
            await navigator.clipboard.writeText(location.href);
            setText(button, "Copied");
            announce("Link copied.");
        } catch {
            // The clipboard may be out of bounds; the address bar is not.
            setText(button, "Copy it from the address bar");
        }
        clearTimeout(this.copied);
        this.copied = setTimeout(() => setText(button, "Copy link"), 3000);
    }
}

/** A change of progress. */
class HistoryRow {
    constructor() {
        Object.assign(this, stamp("history-row"));
    }

    update(entry) {
        if (entry === this.entry) return;
        this.entry = entry;
        const { refs } = this;
        const moment = Date.parse(entry.timestamp);
        setText(refs.time, day(moment));
        setAttribute(refs.time, "datetime", entry.timestamp);
        setAttribute(refs.time, "title", full(moment));
        setText(refs.progress, [percent(entry.progress), counter(entry.progress)].filter(Boolean).join(", "));
        setText(refs.status, words(entry.status));
        setText(refs.phase, words(entry.phase ?? ""));
        setText(refs.message, oneLine(entry.message ?? ""));
    }
}

/** A part, and where it lies in the time of the run. */
class PartRow {
    constructor() {
        Object.assign(this, stamp("part-row"));
    }

    update({ name, part, start, end, from, to, isPresent }) {
        const { node, refs } = this;
        const kind = tone(part);
        setAttribute(node, "data-tone", kind);
        setIcon(refs.icon, kind);
        setText(refs.name, oneLine(name));
        const far = part.status === "running" ? percent(part) || counter(part) : "";
        setText(refs.outcome, [words(part.phase || part.status), far].filter(Boolean).join(" "));
        setText(refs.start, Number.isFinite(start) ? day(start) : "–");
        setText(refs.took, Number.isFinite(end - start) ? duration(end - start) : "–");
        refs.span.hidden = !isPresent || !Number.isFinite(end);
        if (!refs.span.hidden) {
            const share = (moment) => Math.min(Math.max((moment - from) / (to - from), 0), 1) * 100;
            refs.span.style.left = `${share(start)}%`;
            refs.span.style.width = `${share(end) - share(start)}%`;
        }
        setText(refs.message, part.status === "failed" ? oneLine(part.message ?? "") : "");
    }
}

/** A name and a value. */
class Fact {
    constructor() {
        this.node = document.createElement("div");
        this.term = this.node.appendChild(document.createElement("dt"));
        this.value = this.node.appendChild(document.createElement("dd"));
    }

    update({ label, value, hint, isMeta }) {
        setText(this.term, label);
        setAttribute(this.value, "title", hint || null);
        // What the caller wrote may be a link; nothing but the web is linked to.
        if (isMeta && /^https?:\/\/[^\s]+$/i.test(value)) {
            if (this.link?.textContent === value) return;
            this.link = document.createElement("a");
            Object.assign(this.link, { href: value, rel: "noopener noreferrer", target: "_blank" });
            this.link.textContent = value;
            this.value.replaceChildren(this.link);
        } else {
            this.link = null;
            setText(this.value, value);
        }
    }
}
