// The page of one run of a task: its progress, its history, its parts, all its fields, and the earlier runs.

import { Chart } from "./chart.js";
import { KeyedList, byId, cloneTemplate, setAttribute, setBar, setIcon, setText } from "./dom.js";
import { EarlierRuns } from "./earlier-runs.js";
import { History } from "./history.js";
import { LogTail } from "./log-tail.js";
import { showRunBars } from "./run-bars.js";
import { RecentChanges } from "./recent-changes.js";
import { taskSearch } from "./search-params.js";
import { announce, showTask } from "./shell.js";
import { tookOf } from "./table.js";
import { ACTIVE, clean, count, counter, dollars, humanize, number, oneLine, percent, reason, stateOf, toneOf, typeName } from "./text.js";
import { ago, duration, eta, fullTime, now, shortTime } from "./time.js";
import { layout } from "./waterfall.js";

/** How long the result of "Copy link" is shown. */
const COPIED_MS = 3000;
/** The page asks the API within this time once the status has changed. */
const ASK_MS = 1000;

export class TaskView {
    /** `refreshNow()` makes the poller refresh at once. */
    constructor(api, refreshNow) {
        this.api = api;
        this.chart = new Chart();
        this.historyRows = new KeyedList(byId("history-rows"), () => new HistoryRow());
        this.partRows = new KeyedList(byId("part-rows"), () => new PartRow());
        this.runRows = new KeyedList(byId("run-rows"), () => new RunRow());
        this.failure = new KeyedList(byId("failure"), () => new Detail());
        this.agent = new KeyedList(byId("agent"), () => new Detail());
        this.todos = new KeyedList(byId("todos"), () => new Todo());
        this.origin = new KeyedList(byId("origin"), () => new Detail());
        this.details = new KeyedList(byId("details"), () => new Detail());
        this.log = new LogTail(api, () => this.showOpenLog());
        this.metadata = new KeyedList(byId("metadata"), () => new Detail());
        byId("history-more").addEventListener("click", () => {
            this.history?.loadMore();
            refreshNow();
        });
        byId("runs-more").addEventListener("click", () => {
            this.earlierRuns?.loadMore();
            refreshNow();
        });
        byId("history-details").addEventListener("toggle", () => this.showTable());
        byId("open-log-link").addEventListener("click", (event) => {
            if (!event.currentTarget.hash) return;
            event.preventDefault();
            byId("log-title").focus();
        });
        byId("copy-link").addEventListener("click", () => this.copyLink());
    }

    open(id) {
        this.id = id;
        this.task = null;
        this.recent = new RecentChanges();
        this.history = null;
        this.earlierRuns = null;
        this.log.open(null);
        setText(byId("task-title"), id);
        byId("task-body").hidden = true;
        byId("task-problem").hidden = true;
        setText(byId("copy-link"), "Copy link");
    }

    /** Loads and shows the task. Resolves to true if it is running. */
    async refresh(signal) {
        const { id } = this;
        const before = this.task;
        const { value } = await this.api.get(`api/tasks/${encodeURIComponent(id)}`, {}, signal);
        const told = [...this.recent].find(({ run_id }) => run_id === value.run_id)?.task;
        const task = told && told.revision > value.revision ? { ...told, source: value.source } : value;
        if (this.history?.runId !== task.run_id) this.history = new History(this.api, task.run_id);
        if (task.earlier) this.earlierRuns = null;
        else if (this.earlierRuns?.newestId !== task.run_id) this.earlierRuns = new EarlierRuns(this.api, task);
        const { history } = this;
        await Promise.all([history.refresh(task.revision, signal), this.earlierRuns?.refresh(signal)]);
        if (id !== this.id || history !== this.history) return true;
        this.task = task;
        this.show();
        this.log.refresh(task);
        if (before && before.status !== task.status) announce(`${humanize(task.status)}.`);
        return task.status === "running";
    }

    /** Shows changes that live push tells: see `ListView.receive`. */
    receive(changes) {
        const before = this.task;
        const isOfThis = ({ run_id, task }) => (task && !task.earlier && !this.id.includes("@")) || run_id === before.run_id;
        const news = before ? changes.filter(isOfThis).filter((change) => this.recent.add(change)) : [];
        const newest = news.at(-1);
        if (!newest || newest.revision <= before.revision) return { isShown: false, asksWithinMs: null };
        // Another run has begun, or there is none any more.
        if (newest.task?.run_id !== before.run_id) return { isShown: false, asksWithinMs: 0 };
        // Messages do not tell where the log is.
        this.task = { ...newest.task, source: newest.task.source ?? before.source };
        this.history?.add(newest.task);
        this.show();
        if (this.log.hasLines) this.log.refresh(this.task);
        const hasEnded = before.status !== this.task.status;
        if (hasEnded) announce(`${humanize(this.task.status)}.`);
        return { isShown: true, asksWithinMs: hasEnded ? ASK_MS : null };
    }

    /** Shows what is loaded. */
    show() {
        const { task } = this;
        if (!task) return;
        const tone = toneOf(task);
        const name = oneLine(task.task_name) || task.task_id;
        byId("task-problem").hidden = true;
        byId("task-body").hidden = false;
        setText(byId("task-title"), name);
        setAttribute(byId("task-body"), "data-tone", tone);
        setIcon(document.querySelector("#task-hero use"), tone);
        const silence = duration(now() - Date.parse(task.updated_at));
        const states = { stale: `no update for ${silence}`, rolling: "rolling back" };
        setText(byId("task-state"), states[tone] ?? humanize(stateOf(task)));
        const step = humanize(task.current_step || task.phase || "");
        setText(byId("task-phase"), step === task.status || tone === "rolling" ? "" : step);
        setText(byId("task-eta"), task.status === "running" && !task.stale ? eta(task) : "");
        setText(byId("task-took"), timing(task));
        const counted = counter(task.progress);
        const percentage = percent(task.progress);
        setText(byId("task-percentage"), percentage || counted || "–");
        setText(byId("task-counter"), percentage ? counted : "");
        setBar(byId("task-bar"), task.progress, tone, counted);
        this.showFailure();
        this.showAgent();
        this.showOrigin();
        this.showOpenLog();
        byId("earlier-note").hidden = !task.earlier;
        setAttribute(byId("newest-link"), "href", taskSearch(task.task_id));
        this.showHistory(tone);
        this.showParts();
        this.showRuns();
        this.showDetails();
        const raw = byId("raw");
        if (this.rawTask !== task) setText(raw, clean(JSON.stringify(task, null, 2)));
        this.rawTask = task;
    }

    /** Shows why the task failed, and its message unless it says the same. */
    showFailure() {
        const { failure, message } = this.task;
        byId("failure-section").hidden = !failure;
        const text = clean(message ?? "").trim();
        const cause = clean(failure?.cause ?? "").trim();
        setText(byId("task-message"), failure && text.endsWith(cause) ? "" : text);
        if (!failure) return;
        setText(byId("cause"), cause);
        const at = Date.parse(failure.at);
        this.failure.show(
            detailsOf([
                ["Resource", failure.resource],
                ["Type of the resource", failure.resource_type],
                ["Part", failure.part],
                ["Time", shortTime(at), fullTime(at)],
            ]),
            ({ label }) => label,
        );
        const context = failure.context ?? [];
        byId("context-section").hidden = context.length === 0;
        setText(byId("context"), context.map(clean).join("\n"));
    }

    /** Shows where the log is: at its source, or further down on this page. */
    showOpenLog() {
        const url = this.task?.source?.url ?? "";
        const isLink = isWebAddress(url);
        byId("open-log").hidden = !isLink && !this.log.hasLines;
        const link = byId("open-log-link");
        setAttribute(link, "href", isLink ? url : "#log-title");
        setAttribute(link, "rel", isLink ? "noopener noreferrer" : null);
        setAttribute(link, "target", isLink ? "_blank" : null);
    }

    /** Shows who started the run, and from what. */
    showOrigin() {
        const { context } = this.task;
        byId("origin-section").hidden = !context;
        const rows = [
            ["Who", context?.actor],
            ["Repository", context?.repository],
            ["Commit", context?.commit],
            ["Branch", context?.branch],
            ["Pull request", context?.pull_request],
            ["CI job", context?.ci_url],
        ];
        const details = detailsOf(rows).map((detail) => ({ ...detail, mayBeLink: true }));
        this.origin.show(details, ({ label }) => label);
    }

    /** Shows what the agent tells about itself. */
    showAgent() {
        const { agent } = this.task;
        byId("agent-section").hidden = !agent;
        if (!agent) return;
        const counted = (value) => (value == null ? "" : number(value));
        this.agent.show(
            detailsOf([
                ["Waits for", agent.waiting_for],
                ["Tool", agent.tool],
                ["Name", agent.name],
                ["Model", agent.model],
                ["Turns", counted(agent.turns)],
                ["Tokens read", counted(agent.input_tokens)],
                ["Tokens written", counted(agent.output_tokens)],
                ["Tokens from the cache", counted(agent.cached_tokens)],
                ["Cost", agent.cost_usd == null ? "" : dollars(agent.cost_usd)],
            ]),
            ({ label }) => label,
        );
        const todos = (agent.todos ?? []).map((todo, index) => ({ ...todo, index }));
        this.todos.show(todos, ({ index }) => index);
    }

    /** Shows this task in the title and the icon. */
    showSummary() {
        const { task } = this;
        if (task) showTask(oneLine(task.task_name), task.progress.percentage, task.status);
    }

    showHistory(tone) {
        const { entries, hasMore } = this.history;
        byId("chart-section").hidden = entries.length === 0;
        byId("history-more").hidden = !hasMore;
        if (entries.length === 0) return;
        const isOpen = this.task.status === "running" && !hasMore;
        this.chart.show(entries, tone, isOpen);
        this.showTable();
    }

    showTable() {
        if (byId("history-details").open) {
            const entries = this.history?.entries ?? [];
            this.historyRows.show(entries.toReversed(), (entry) => entry.timestamp);
        }
    }

    showRuns() {
        const { runs = [], hasMore = false } = this.earlierRuns ?? {};
        byId("runs-section").hidden = runs.length === 0;
        byId("runs-more").hidden = !hasMore;
        this.runRows.show(runs, ({ run_id }) => run_id);
        showRunBars(this.task, runs);
    }

    showParts() {
        const { task } = this;
        const parts = Object.entries(task.parts ?? {}).map(([name, part]) => {
            const start = Date.parse(part.started_at);
            const end = part.status === "running" ? Math.max(now(), start) : Date.parse(part.completed_at);
            return { name, part, start, end };
        });
        byId("parts-section").hidden = parts.length === 0;
        setText(byId("parts-title"), { cdk_deploy: "Stacks", agent_execution: "Sub-agents" }[task.task_type] ?? "Parts");
        const spans = parts.filter(({ start, end }) => Number.isFinite(end - start));
        const scale = layout(spans);
        const isRunning = ACTIVE.includes(task.status);
        setText(byId("lane-start"), scale ? shortTime(scale.from) : "");
        setText(byId("lane-end"), scale ? (isRunning ? "now" : shortTime(scale.to)) : "");
        // What runs is on top, in the order of the starts.
        const rank = ({ part, start }) => (part.status === "running" ? -1e15 : 0) + (Number.isFinite(start) ? start : Number.MAX_VALUE);
        parts.sort((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name));
        const isCritical = (row) => spans.length > 1 && scale.critical.has(row);
        this.partRows.show(parts.map((row) => ({ ...row, scale, isCritical: isCritical(row) })), ({ name }) => name);
        const notes = [];
        if (spans.length > 1) notes.push("Marked: the critical path, which decides when the run ends.");
        if (scale?.idle.length) notes.push("Dotted: nothing ran, cut short.");
        setText(byId("parts-note"), notes.join(" "));
    }

    showDetails() {
        const { task } = this;
        const time = (text) => (text ? `${shortTime(Date.parse(text))} (${ago(Date.parse(text))})` : "");
        const hint = (text) => (text ? fullTime(Date.parse(text)) : "");
        const took = task.status === "running" ? now() - Date.parse(task.started_at) : task.duration_ms;
        const details = [
            ["Task ID", task.task_id],
            ["Run", task.run_id],
            ["Type", typeName(task.task_type)],
            ["Priority", task.priority],
            ["Project", task.project_id],
            ["Phase", humanize(task.phase ?? "")],
            ["Current step", oneLine(task.current_step ?? "")],
            ["Last update", time(task.updated_at), hint(task.updated_at)],
            ["Started", time(task.started_at), hint(task.started_at)],
            ["Finished", time(task.completed_at), hint(task.completed_at)],
            ["Duration", Number.isFinite(took) ? duration(took) : ""],
            ["End corrected", task.corrections ? count(task.corrections, "time") : ""],
            ["Expected end", task.eta ? time(task.eta).replace(/ \(.*/, "") : "", hint(task.eta)],
            ["Created", time(task.created_at), hint(task.created_at)],
            ["Log group", task.log_group],
            ["Log stream", task.log_stream],
            ["Revision", number(task.revision)],
        ];
        this.details.show(detailsOf(details), ({ label }) => label);
        const metadata = Object.entries(task.metadata ?? {});
        byId("metadata-section").hidden = metadata.length === 0;
        const shown = ([label, value]) => ({ label: oneLine(label), value: typeof value === "string" ? clean(value) : JSON.stringify(value), mayBeLink: true });
        this.metadata.show(metadata.map(shown), ({ label }) => label);
    }

    /** Shows `text` in place of the task. */
    showProblem(text) {
        byId("task-body").hidden = true;
        const problem = byId("task-problem");
        problem.hidden = false;
        setText(problem, text);
    }

    async copyLink() {
        const button = byId("copy-link");
        try {
            await navigator.clipboard.writeText(location.href);
            setText(button, "Copied");
            announce("Link copied.");
        } catch {
            // Browsers allow the clipboard only over HTTPS and on localhost.
            setText(button, "Can't copy: use the address bar");
        }
        clearTimeout(this.copyTimer);
        this.copyTimer = setTimeout(() => setText(button, "Copy link"), COPIED_MS);
    }
}

/** How long the run takes, and how long earlier ones took: `2 min 5 s of usually 4 min 10 s`. */
function timing(task) {
    const took = tookOf(task);
    const texts = [];
    if (took != null) texts.push(`${ACTIVE.includes(task.status) ? "for" : "took"} ${duration(took)}`);
    if (task.usual_duration_ms != null) texts.push(`usually ${duration(task.usual_duration_ms)}`);
    return texts.join(", ");
}

/** Whether a text is an address that may become a link. */
function isWebAddress(text) {
    return /^https?:\/\/[^\s]+$/i.test(text);
}

/** What `Detail` shows of `[label, value, hint]`: those with a value, on one line. */
function detailsOf(rows) {
    const known = rows.filter(([, value]) => value);
    return known.map(([label, value, hint]) => ({ label, value: oneLine(value), hint }));
}

const TODO_ICONS = { done: "completed", in_progress: "running", pending: "pending" };

/** An item of an agent's to-do list. */
class Todo {
    constructor() {
        Object.assign(this, cloneTemplate("todo"));
    }

    update({ text, status }) {
        const { node, refs } = this;
        setAttribute(node, "data-tone", TODO_ICONS[status] ?? "pending");
        setAttribute(node, "aria-current", status === "in_progress" ? "step" : null);
        setIcon(refs.icon, TODO_ICONS[status] ?? "pending");
        setText(refs.text, oneLine(text));
    }
}

/** An entry of the history. */
class HistoryRow {
    constructor() {
        Object.assign(this, cloneTemplate("history-row"));
    }

    update(entry) {
        if (entry === this.entry) return;
        this.entry = entry;
        const { refs } = this;
        const time = Date.parse(entry.timestamp);
        setText(refs.time, shortTime(time));
        setAttribute(refs.time, "datetime", entry.timestamp);
        setAttribute(refs.time, "title", fullTime(time));
        setText(refs.progress, [percent(entry.progress), counter(entry.progress)].filter(Boolean).join(", "));
        setText(refs.status, humanize(entry.status));
        setText(refs.phase, humanize(entry.phase ?? ""));
        setText(refs.message, oneLine(entry.message ?? ""));
    }
}

/** An earlier run. */
class RunRow {
    constructor() {
        Object.assign(this, cloneTemplate("run-row"));
    }

    update(run) {
        const { node, refs } = this;
        const tone = toneOf(run);
        const start = Date.parse(run.started_at ?? run.created_at);
        setAttribute(node, "data-tone", tone);
        setIcon(refs.icon, tone);
        setText(refs.start, shortTime(start));
        setAttribute(refs.start, "title", fullTime(start));
        setAttribute(refs.start, "href", taskSearch(run.run_id));
        setText(refs.status, humanize(run.status));
        setText(refs.took, run.duration_ms == null ? "–" : duration(run.duration_ms));
        setText(refs.message, run.status === "completed" ? "" : reason(run));
    }
}

/** A part, and its place on the timeline of the run. */
class PartRow {
    constructor() {
        Object.assign(this, cloneTemplate("part-row"));
        this.idle = new KeyedList(this.refs.idle, () => new Idle());
    }

    update({ name, part, start, end, scale, isCritical }) {
        const { node, refs } = this;
        const tone = toneOf(part);
        setAttribute(node, "data-tone", tone);
        setIcon(refs.icon, tone);
        setText(refs.name, oneLine(name));
        const progress = part.status === "running" ? percent(part) || counter(part) : "";
        setText(refs.outcome, [humanize(part.phase || part.status), progress].filter(Boolean).join(" "));
        setText(refs.start, Number.isFinite(start) ? shortTime(start) : "–");
        setText(refs.took, Number.isFinite(end - start) ? duration(end - start) : "–");
        refs.critical.hidden = !isCritical;
        refs.span.hidden = !scale || !Number.isFinite(end - start);
        setAttribute(refs.span, "data-critical", isCritical ? "" : null);
        if (!refs.span.hidden) place(refs.span, scale, start, end);
        this.idle.show((scale?.idle ?? []).map((stretch) => ({ ...stretch, scale })), ({ start }) => start);
        setText(refs.message, part.status === "failed" ? oneLine(part.message ?? "") : "");
    }
}

/** A stretch of time in which no part ran. */
class Idle {
    constructor() {
        this.node = document.createElement("i");
    }

    update({ start, end, scale }) {
        place(this.node, scale, start, end);
        setAttribute(this.node, "title", `Nothing ran for ${duration(end - start)}`);
    }
}

/** Puts an element of a lane between two moments. */
function place(element, { share }, start, end) {
    const left = `${share(start) * 100}%`;
    const width = `${(share(end) - share(start)) * 100}%`;
    if (element.style.left !== left) element.style.left = left;
    if (element.style.width !== width) element.style.width = width;
}

/** A label and a value. */
class Detail {
    constructor() {
        this.node = document.createElement("div");
        this.term = this.node.appendChild(document.createElement("dt"));
        this.value = this.node.appendChild(document.createElement("dd"));
    }

    update({ label, value, hint, mayBeLink }) {
        setText(this.term, label);
        setAttribute(this.value, "title", hint || null);
        // It comes from callers: only http and https URLs become links.
        if (mayBeLink && isWebAddress(value)) {
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
