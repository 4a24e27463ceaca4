// A table of runs. Only the rows in view, and some around them, are in the document.

import { KeyedList, cloneTemplate, setAttribute, setBar, setIcon, setText } from "./dom.js";
import { idOf, taskSearch } from "./search-params.js";
import { ACTIVE, counter, humanize, oneLine, percent, reason, stateOf, toneOf, typeName } from "./text.js";
import { ago, duration, fullTime, now, shortTime, timeLeft } from "./time.js";

/** Tables with fewer rows are whole in the document. */
const MOST_WHOLE = 60;
/** Rows that are in the document above and below those in view. */
const AROUND = 12;

export class Table {
    /** `onSort(column)` is called when a column's heading is clicked. */
    constructor(element, { onSort, projectName }) {
        this.element = element;
        this.body = element.querySelector(".table-body");
        this.heads = [...element.querySelectorAll("[data-sort]")];
        this.rows = new KeyedList(this.body, () => new Row(projectName));
        this.tasks = [];
        for (const button of this.heads) button.addEventListener("click", () => onSort(button.dataset.sort));
        addEventListener("scroll", () => this.drawLater(), { passive: true });
        addEventListener("resize", () => this.drawLater());
    }

    /** Shows `tasks`, and by which column they are sorted. */
    show(tasks, column, isDescending) {
        this.tasks = tasks;
        this.element.hidden = tasks.length === 0;
        setAttribute(this.element, "aria-rowcount", tasks.length + 1);
        for (const button of this.heads) {
            const isSorted = button.dataset.sort === column;
            setAttribute(button.parentElement, "aria-sort", isSorted ? (isDescending ? "descending" : "ascending") : null);
        }
        this.draw();
    }

    drawLater() {
        this.frame ??= requestAnimationFrame(() => {
            this.frame = null;
            this.draw();
        });
    }

    /** Puts the rows in view into the document. */
    draw() {
        const { tasks, body } = this;
        if (this.element.hidden || this.element.closest("[hidden]")) {
            if (tasks.length === 0) this.rows.show([], ({ task }) => task.run_id);
            return;
        }
        let first = 0;
        let last = tasks.length;
        if (tasks.length > MOST_WHOLE) {
            const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
            const height = Number.parseFloat(getComputedStyle(body).getPropertyValue("--row-height")) * rem;
            const { top } = body.getBoundingClientRect();
            first = Math.max(Math.floor(-top / height) - AROUND, 0);
            last = Math.ceil((innerHeight - top) / height) + AROUND;
        }
        const focused = body.contains(document.activeElement) ? document.activeElement.dataset.task : null;
        const items = [];
        tasks.forEach((task, index) => {
            const isNear = index >= first && index < last;
            if (isNear || (focused && idOf(task) === focused)) items.push({ task, index });
        });
        const height = `calc(var(--row-height) * ${tasks.length})`;
        if (body.style.height !== height) body.style.height = height;
        this.rows.show(items, ({ task }) => task.run_id);
    }
}

/** A run. */
class Row {
    constructor(projectName) {
        this.projectName = projectName;
        Object.assign(this, cloneTemplate("row"));
    }

    update({ task, index }) {
        const { node, refs } = this;
        if (this.index !== index) {
            this.index = index;
            node.style.top = `calc(var(--row-height) * ${index})`;
            setAttribute(node, "aria-rowindex", index + 2);
        }
        const second = Math.floor(now() / 1000);
        const project = this.projectName(task);
        if (task === this.task && second === this.second && project === this.project) return;
        Object.assign(this, { task, second, project });
        const tone = toneOf(task);
        const isActive = ACTIVE.includes(task.status);
        setAttribute(node, "data-tone", tone);
        setIcon(refs.icon, tone);
        const name = oneLine(task.task_name) || task.task_id;
        setText(refs.name, name);
        setAttribute(refs.name, "href", taskSearch(idOf(task)));
        setAttribute(refs.name, "data-task", idOf(task));
        setText(refs.earlier, task.earlier ? "earlier run" : "");
        setText(refs.state, stateText(task));
        refs.bar.hidden = !isActive;
        if (isActive) {
            setAttribute(refs.bar, "aria-label", `Progress of ${name}`);
            setBar(refs.bar, task.progress, tone, counter(task.progress));
        }
        const counted = counter(task.progress);
        setText(refs.percentage, isActive ? percent(task.progress) || counted || "–" : "");
        const message = task.status === "completed" ? "" : reason(task);
        setText(refs.message, message);
        setAttribute(refs.message, "title", message || null);
        setAttribute(refs.name, "title", message || null);
        setText(refs.project, project);
        setText(refs.type, typeName(task.task_type));
        const took = tookOf(task);
        setText(refs.took, took == null ? "" : duration(took));
        const left = task.status === "running" && !task.stale ? timeLeft(task) : "";
        setText(refs.eta, left);
        setAttribute(refs.eta, "title", left ? `Expected to end ${fullTime(Date.parse(task.eta))}` : null);
        const start = startOf(task);
        setText(refs.when, now() - start < 3_600_000 ? ago(start) : shortTime(start));
        setAttribute(refs.when, "datetime", new Date(start).toISOString());
        setAttribute(refs.when, "title", `Started ${fullTime(start)}`);
    }
}

/** The state of a run in a few words: the step of one that runs, how one has ended. */
function stateText(task) {
    if (task.stale) return "no update";
    if (task.status === "running") return humanize(task.current_step || task.phase || "running");
    if (ACTIVE.includes(task.status)) return stateOf(task);
    return humanize(task.phase && task.status !== "completed" ? task.phase : task.status);
}

/** When a run has started, in milliseconds since 1970. */
export function startOf(task) {
    return Date.parse(task.started_at ?? task.created_at);
}

/** How long a run has taken so far; null if it has not started. */
export function tookOf(task) {
    if (task.status === "running" || task.status === "blocked") {
        return task.started_at ? Math.max(now() - Date.parse(task.started_at), 0) : null;
    }
    return task.duration_ms ?? null;
}

const STATUS_RANK = ["blocked", "failed", "running", "pending", "ended", "cancelled", "completed"];

/** Compares two runs by a column, the smaller one first. Runs that are the same there are ordered by their start. */
export function compareBy(column) {
    const byStart = (one, other) => Date.parse(one.run) - Date.parse(other.run) || one.run_id.localeCompare(other.run_id);
    const compare = {
        start: () => 0,
        duration: (one, other) => (tookOf(one) ?? -1) - (tookOf(other) ?? -1),
        name: (one, other) => one.task_name.localeCompare(other.task_name, "en", { numeric: true, sensitivity: "base" }),
        status: (one, other) => STATUS_RANK.indexOf(one.status) - STATUS_RANK.indexOf(other.status),
    }[column];
    return (one, other) => compare(one, other) || byStart(one, other);
}
