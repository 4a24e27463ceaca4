// The list: projects, filters, what runs, and what has finished.

import * as address from "./address.js";
import { Keyed, byId, setAttribute, setBar, setIcon, setText, stamp } from "./dom.js";
import { PAGE, Feed } from "./feed.js";
import { announce, showCounts } from "./frame.js";
import { ACTIVE, ENDED, count, counter, oneLine, percent, tone, typeName, words } from "./text.js";
import { ago, day, duration, eta, full, now } from "./time.js";

/** How often what changes seldom is asked for. */
const SLOW_MS = 5000;
/** How long a failure counts as one of these days. */
const LATELY_MS = 86_400_000;
/** How many projects are shown before one asks for all. */
const MOST_TILES = 8;
/** How many parts a card shows. */
const MOST_PARTS = 6;
/** How long to wait for the next key before a name is looked for. */
const TYPING_MS = 250;

export class List {
    /** `go(filters, replace)` shows the list with other filters. */
    constructor(api, go) {
        this.api = api;
        this.go = go;
        this.filters = null;
        this.projects = [];
        this.names = new Map();
        this.statuses = new Map();
        this.showsAllProjects = false;
        const link = (id) => address.ofTask(id);
        this.cards = new Keyed(byId("active-list"), () => new Card(this, link));
        this.rows = new Keyed(byId("ended-list"), () => new Row(this, link));
        this.tiles = new Keyed(byId("tiles"), () => new Tile(this));
        this.listen();
    }

    listen() {
        byId("status-chips").addEventListener("click", ({ target }) => {
            const { status } = target.dataset;
            if (!status) return;
            const chosen = this.filters.status;
            const without = chosen.filter((one) => one !== status);
            this.change({ status: without.length < chosen.length ? without : [...chosen, status] });
        });
        byId("type-filter").addEventListener("change", ({ target }) => this.change({ task_type: target.value }));
        byId("name-filter").addEventListener("input", ({ target }) => {
            clearTimeout(this.typing);
            this.typing = setTimeout(() => this.change({ q: target.value.trim() }, true), TYPING_MS);
        });
        byId("filters").addEventListener("submit", (event) => event.preventDefault());
        byId("clear-filters").addEventListener("click", () => {
            this.change({ status: [], project_id: "", task_type: "", q: "" });
            byId("name-filter").focus();
        });
        byId("active-more").addEventListener("click", () => this.more(this.active));
        byId("ended-more").addEventListener("click", () => this.more(this.ended));
        byId("all-projects").addEventListener("click", () => {
            this.showsAllProjects = !this.showsAllProjects;
            this.showProjects();
        });
    }

    change(some, replace = false) {
        clearTimeout(this.typing);
        this.go({ ...this.filters, ...some }, replace);
    }

    more(feed) {
        feed.more();
        this.isForced = true;
        this.go(this.filters, true);
    }

    /** Turns to other filters. What was shown stays until what they show is known. */
    open(filters) {
        const { status, ...others } = filters;
        const isNew = JSON.stringify(filters) !== JSON.stringify(this.filters);
        this.filters = filters;
        this.showFilters();
        if (!isNew) return;
        const asked = (among) => status.filter((one) => among.includes(one));
        const listed = (statuses) => new Feed(this.api, { ...others, status: statuses.join(",") });
        const active = asked(ACTIVE);
        const ended = asked(ENDED);
        this.hidesActive = status.length > 0 && active.length === 0;
        this.hidesEnded = status.length > 0 && ended.length === 0;
        // What runs is counted in the title, shown or not.
        this.active = listed(active.length ? active : ACTIVE);
        this.ended = listed(ended.length ? ended : ENDED);
        this.recovered = new Map();
        this.statuses.clear();
        this.lastSlow = 0;
    }

    /** Looks at all that is shown, and shows it at once. Answers whether something runs. */
    async look(signal) {
        const { active, ended } = this;
        const before = active.tasks;
        await active.refresh(signal);
        const left = before.filter((task) => !active.tasks.some(({ task_id }) => task_id === task.task_id));
        const isSlow = now() - this.lastSlow >= SLOW_MS || left.length > 0 || this.isForced;
        if (isSlow) {
            const { project_id, task_type, q } = this.filters;
            const failed = { project_id, task_type, q, status: "failed", limit: PAGE };
            const [projects, failures] = await Promise.all([
                this.api.get("api/projects", {}, signal),
                this.api.get("api/tasks", failed, signal),
                this.hidesEnded || ended.refresh(signal),
            ]);
            // The filters may have changed meanwhile.
            if (active !== this.active) return true;
            this.projects = projects.value.projects;
            this.failed = lately(failures.value);
            this.lastSlow = now();
            this.isForced = false;
            await this.recover(left, signal);
        }
        if (active !== this.active) return true;
        this.show();
        return active.tasks.some((task) => task.status === "running");
    }

    /**
     * Lists are served by an index that may be a moment behind: a task that ran and is in no list now is asked for by
     * its id, so that it does not vanish for that moment.
     */
    async recover(left, signal) {
        const listed = new Set(this.ended.tasks.map((task) => task.task_id));
        const missing = left.filter((task) => !listed.has(task.task_id)).slice(0, 10);
        await Promise.all(
            missing.map(async ({ task_id }) => {
                const found = await this.api.get(`api/tasks/${encodeURIComponent(task_id)}`, {}, signal).catch(() => null);
                if (found) this.recovered.set(task_id, found.value);
            }),
        );
    }

    /** Shows what is known, as of now. */
    show() {
        const { active, ended } = this;
        if (!active?.isLoaded) return;
        this.isReady = true;
        this.names = new Map(this.projects.map((project) => [project.project_id, oneLine(project.project_name)]));
        const [running, finished] = this.sorted();
        const hadFocus = document.activeElement?.closest?.("#active-list, #ended-list") && document.activeElement;
        const focused = hadFocus?.dataset.task;
        this.showProjects();
        byId("active-section").hidden = this.hidesActive;
        byId("ended-section").hidden = this.hidesEnded;
        if (!this.hidesActive) this.showSection("active", this.cards, running, active);
        if (!this.hidesEnded) this.showSection("ended", this.rows, finished, ended);
        // A card with the focus has become a row: the focus goes along.
        if (focused && !hadFocus.isConnected) {
            document.querySelector(`a[data-task="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
        }
        const runs = active.tasks.filter((task) => task.status === "running");
        const stale = runs.filter((task) => task.stale).length;
        this.counts = { running: `${runs.length}${active.hasMore ? "+" : ""}`, failed: this.failed, stale };
        this.tell([...active.tasks, ...finished]);
    }

    /** What the tab says of this list. */
    showCounts() {
        if (this.counts) showCounts(this.counts);
    }

    /** What is active, in an order that stays; and what has ended, newest first. */
    sorted() {
        const { active, ended, recovered } = this;
        const rank = (task) => ACTIVE.indexOf(task.status);
        const start = (task) => Date.parse(task.started_at ?? task.created_at);
        const running = active.tasks.toSorted(
            (one, other) =>
                rank(one) - rank(other) || start(other) - start(one) || (one.task_id < other.task_id ? -1 : 1),
        );
        const isActive = new Set(running.map((task) => task.task_id));
        const finished = ended.tasks.filter((task) => !isActive.has(task.task_id));
        const listed = new Set(finished.map((task) => task.task_id));
        for (const [id, task] of recovered) {
            const isWanted = ended.parameters.status.includes(task.status);
            if (listed.has(id) || isActive.has(id) || !isWanted) recovered.delete(id);
            else finished.push(task);
        }
        if (recovered.size) finished.sort((one, other) => Date.parse(other.updated_at) - Date.parse(one.updated_at));
        return [running, finished];
    }

    showSection(name, keyed, tasks, feed) {
        keyed.show(tasks, (task) => task.task_id);
        setText(byId(`${name}-count`), tasks.length ? feed.count : "");
        byId(`${name}-empty`).hidden = tasks.length > 0;
        byId(`${name}-more`).hidden = !feed.hasMore;
        if (tasks.length) return;
        const isFiltered = address.ofList(this.filters) !== "?";
        const none = { active: "Nothing is running.", ended: "Nothing has finished yet." };
        setText(byId(`${name}-empty`), isFiltered ? "Nothing here fits the filters." : none[name]);
    }

    showProjects() {
        const liveliness = ({ metrics }) => metrics.running * 1e6 + metrics.failed * 1e3 + metrics.total_tasks;
        const chosen = this.filters.project_id;
        const known = this.projects.filter((project) => project.status !== "archived" || project.project_id === chosen);
        const few = known
            .toSorted((one, other) => liveliness(other) - liveliness(one))
            .filter((project, place) => place < MOST_TILES || project.project_id === chosen);
        const shown = this.showsAllProjects ? known : few;
        // By name: a project must not jump about because one of its tasks has ended.
        shown.sort((one, other) => one.project_name.localeCompare(other.project_name));
        // A project may be named by tasks alone.
        if (chosen && !known.some((project) => project.project_id === chosen)) {
            shown.push({ project_id: chosen, project_name: chosen, metrics: null });
        }
        byId("projects").hidden = shown.length === 0;
        this.tiles.show(shown, (project) => project.project_id);
        const all = byId("all-projects");
        all.hidden = known.length <= few.length;
        setAttribute(all, "aria-expanded", this.showsAllProjects);
        setText(all, this.showsAllProjects ? "Show fewer projects" : `Show all ${known.length} projects`);
    }

    showFilters() {
        const { status, project_id, task_type, q } = this.filters;
        for (const chip of byId("status-chips").children) {
            setAttribute(chip, "aria-pressed", status.includes(chip.dataset.status));
        }
        for (const tile of this.tiles.views.values()) tile.press();
        const type = byId("type-filter");
        type.value = task_type;
        const name = byId("name-filter");
        if (document.activeElement !== name || !name.value.trim().startsWith(q)) name.value = q;
        byId("clear-filters").disabled = !(status.length || project_id || task_type || q);
    }

    projectName(task) {
        return this.names.get(task.project_id) ?? oneLine(task.project_id ?? "");
    }

    /** Says aloud what has begun and ended since the last look. */
    tell(tasks) {
        const isFirst = this.statuses.size === 0;
        for (const task of tasks) {
            const before = this.statuses.get(task.task_id);
            if (before === task.status) continue;
            this.statuses.set(task.task_id, task.status);
            if (isFirst || (before === undefined && task.status !== "running")) continue;
            const name = oneLine(task.task_name);
            const reason = task.status === "failed" && task.message ? `: ${oneLine(task.message)}` : "";
            announce(`${name} ${task.status === "running" ? "started" : words(task.status)}${reason}.`);
        }
    }
}

/** How many tasks of a page, which is the newest, have ended within a day; `50+` if that is all of them. */
function lately({ tasks, next_cursor }) {
    const late = tasks.filter((task) => now() - Date.parse(task.completed_at ?? task.updated_at) < LATELY_MS);
    return `${late.length}${next_cursor && late.length === tasks.length ? "+" : ""}`;
}

/** A task that is not over yet. */
class Card {
    constructor(list, link) {
        this.list = list;
        this.link = link;
        const { node, refs } = stamp("card");
        this.node = node;
        this.refs = refs;
        this.parts = new Keyed(refs.parts, () => new PartBar());
    }

    update(task) {
        const { node, refs } = this;
        const kind = tone(task);
        setAttribute(node, "data-tone", kind);
        setIcon(refs.icon, kind);
        const name = oneLine(task.task_name) || task.task_id;
        setText(refs.name, name);
        setAttribute(refs.name, "href", this.link(task.task_id));
        setAttribute(refs.name, "data-task", task.task_id);
        const counted = counter(task.progress);
        setText(refs.percentage, percent(task.progress) || (counted ? "" : "–"));
        setAttribute(refs.bar, "aria-label", `Progress of ${name}`);
        setBar(refs.bar, task.progress, kind, counted);
        const silence = kind === "stale" ? `silent for ${duration(now() - Date.parse(task.updated_at))}` : "";
        const isRunning = task.status === "running";
        setText(refs.state, silence || (isRunning ? "" : task.status));
        setText(refs.phase, words(task.current_step || task.phase || (isRunning && !silence ? "running" : "")));
        setText(refs.counter, counted || partsDone(task));
        setText(refs.eta, task.status === "running" && !task.stale ? eta(task) : "");
        setText(refs.ago, silence ? "" : ago(Date.parse(task.updated_at)));
        setAttribute(refs.ago, "title", `Last event ${full(Date.parse(task.updated_at))}`);
        const message = oneLine(task.message ?? "");
        setText(refs.message, message);
        setAttribute(refs.message, "title", message || null);
        this.showParts(task);
        setText(refs.type, typeName(task.task_type));
        setText(refs.project, this.list.projectName(task));
    }

    showParts(task) {
        const all = Object.entries(task.parts ?? {});
        // One stack is the run itself: its bar would say the same twice.
        const parts = all.length > 1 ? all : [];
        const urgency = (part) => ["failed", "running", "blocked", "pending"].indexOf(part.status) >>> 0;
        const first =
            parts.length > MOST_PARTS
                ? parts.toSorted(([, one], [, other]) => urgency(one) - urgency(other)).slice(0, MOST_PARTS)
                : parts;
        this.parts.show(first, ([name]) => name);
        const more = parts.length - first.length;
        setText(this.refs.more, more > 0 ? count(more, "more part") : "");
    }
}

/** How many of a run's stacks are done, where their resources can't be counted. */
function partsDone(task) {
    const done = Object.values(task.parts ?? {}).filter((part) => part.status === "completed").length;
    return done ? `${count(done, "part")} done` : "";
}

/** One stack of a run. */
class PartBar {
    constructor() {
        Object.assign(this, stamp("part"));
    }

    update([name, part]) {
        const { node, refs } = this;
        const kind = tone(part);
        const shown = oneLine(name);
        setAttribute(node, "data-tone", kind);
        setIcon(refs.icon, kind);
        setText(refs.name, shown);
        setAttribute(refs.name, "title", shown);
        setAttribute(refs.bar, "aria-label", `${shown}, ${words(part.phase || part.status)}`);
        setBar(refs.bar, part, kind, counter(part));
        setText(refs.percentage, percent(part) || counter(part));
    }
}

/** A task that is over. */
class Row {
    constructor(list, link) {
        this.list = list;
        this.link = link;
        Object.assign(this, stamp("row"));
    }

    update(task) {
        const { node, refs } = this;
        const kind = tone(task);
        setAttribute(node, "data-tone", kind);
        setIcon(refs.icon, kind);
        setText(refs.name, oneLine(task.task_name) || task.task_id);
        setAttribute(refs.name, "href", this.link(task.task_id));
        setAttribute(refs.name, "data-task", task.task_id);
        setText(refs.state, words(task.phase && task.status !== "completed" ? task.phase : task.status));
        const message = task.status === "completed" ? "" : oneLine(task.message ?? "");
        setText(refs.message, message);
        setAttribute(refs.message, "title", message || null);
        setText(refs.project, this.list.projectName(task));
        setText(refs.type, typeName(task.task_type));
        setText(refs.took, task.duration_ms == null ? "" : duration(task.duration_ms));
        const moment = Date.parse(task.completed_at ?? task.updated_at);
        const isRecent = now() - moment < 3_600_000;
        setText(refs.when, isRecent ? ago(moment) : day(moment));
        setAttribute(refs.when, "datetime", new Date(moment).toISOString());
        setAttribute(refs.when, "title", full(moment));
    }
}

/** A project with its metrics; pressed, it is the filter. */
class Tile {
    constructor(list) {
        this.list = list;
        Object.assign(this, stamp("tile"));
        this.refs.button.addEventListener("click", () => {
            const { project_id } = this.project;
            const isChosen = list.filters.project_id === project_id;
            list.change({ project_id: isChosen ? "" : project_id });
        });
    }

    press() {
        const isChosen = this.list.filters.project_id === this.project.project_id;
        setAttribute(this.refs.button, "aria-pressed", isChosen);
    }

    update(project) {
        this.project = project;
        const { refs } = this;
        this.press();
        setText(refs.name, oneLine(project.project_name));
        setAttribute(refs.name, "title", oneLine(project.description ?? "") || null);
        const metrics = project.metrics;
        const ended = metrics ? metrics.completed + metrics.failed + metrics.cancelled : 0;
        const total = Math.max(metrics?.total_tasks ?? 0, 1);
        const shares = {
            completed: metrics?.completed ?? 0,
            failed: metrics?.failed ?? 0,
            running: metrics?.running ?? 0,
            rest: (metrics?.total_tasks ?? 0) - (metrics ? metrics.completed + metrics.failed + metrics.running : 0),
        };
        for (const [name, share] of Object.entries(shares)) {
            const width = `${(share / total) * 100}%`;
            if (refs[name].style.width !== width) refs[name].style.width = width;
        }
        if (!metrics) return;
        const numbers = [count(metrics.total_tasks, "task")];
        for (const status of ["running", "blocked", "failed"]) {
            if (metrics[status]) numbers.push(`${metrics[status]} ${status}`);
        }
        setText(refs.numbers, numbers.join(" · "));
        const rates = [];
        if (metrics.success_rate != null) rates.push(`${Math.floor(metrics.success_rate * 100)} % succeed`);
        if (metrics.avg_duration_ms != null) rates.push(`${duration(metrics.avg_duration_ms)} on average`);
        setText(refs.rates, rates.join(" · ") || (ended ? "" : "Nothing finished yet"));
    }
}
