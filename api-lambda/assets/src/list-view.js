// The list of tasks: projects, filters, tasks in progress, and finished tasks.

import { KeyedList, byId, cloneTemplate, setAttribute, setBar, setIcon, setText } from "./dom.js";
import { PAGE_SIZE, PagedTasks } from "./paged-tasks.js";
import { RecentChanges } from "./recent-changes.js";
import { idOf, listSearch, taskSearch } from "./search-params.js";
import { announce, showCounts } from "./shell.js";
import { ACTIVE, ENDED, count, counter, humanize, oneLine, percent, reason, stateOf, toneOf, typeName } from "./text.js";
import { ago, duration, eta, fullTime, now, shortTime } from "./time.js";

/** How often projects and finished tasks are loaded. They change seldom. */
const SLOW_REFRESH_MS = 5000;
/** The header counts tasks that failed within this time. */
const RECENT_MS = 86_400_000;
/** How many projects are shown at first. */
const MAX_TILES = 8;
/** How many parts a card shows. */
const MAX_PARTS = 6;
/** The most tasks that one refresh loads by their ids, because they are in no list. */
const MAX_MISSING = 10;
/** The most deploys whose parts one refresh loads. */
const MAX_DEPLOYS = 10;
/** A page asks within these times for parts that a message left out, and for counts after a task has begun or ended. */
const ASK_PARTS_MS = 1000;
const ASK_COUNTS_MS = [2000, 5000];
/** The pause in typing after which the name filter applies. */
const TYPING_MS = 250;

export class ListView {
    /** `navigate(filters, replace)` changes the URL to these filters. */
    constructor(api, navigate) {
        this.api = api;
        this.navigate = navigate;
        this.filters = null;
        this.projects = [];
        this.names = new Map();
        this.statuses = new Map();
        this.deploys = new Map();
        this.recent = new RecentChanges();
        this.showsAllProjects = false;
        this.cards = new KeyedList(byId("active-list"), () => new Card(this));
        this.rows = new KeyedList(byId("ended-list"), () => new Row(this));
        this.tiles = new KeyedList(byId("tiles"), () => new Tile(this));
        this.listen();
    }

    listen() {
        byId("status-chips").addEventListener("click", ({ target }) => {
            const { status } = target.dataset;
            if (!status) return;
            const selected = this.filters.status;
            const others = selected.filter((other) => other !== status);
            this.changeFilters({ status: others.length < selected.length ? others : [...selected, status] });
        });
        byId("type-filter").addEventListener("change", ({ target }) => this.changeFilters({ task_type: target.value }));
        byId("name-filter").addEventListener("input", ({ target }) => {
            clearTimeout(this.typing);
            this.typing = setTimeout(() => this.changeFilters({ q: target.value.trim() }, true), TYPING_MS);
        });
        byId("filters").addEventListener("submit", (event) => event.preventDefault());
        byId("clear-filters").addEventListener("click", () => {
            this.changeFilters({ status: [], project_id: "", task_type: "", q: "" });
            byId("name-filter").focus();
        });
        byId("active-more").addEventListener("click", () => this.loadMore(this.active));
        byId("ended-more").addEventListener("click", () => this.loadMore(this.ended));
        byId("all-projects").addEventListener("click", () => {
            this.showsAllProjects = !this.showsAllProjects;
            this.showProjects();
        });
    }

    changeFilters(changes, replace = false) {
        clearTimeout(this.typing);
        this.navigate({ ...this.filters, ...changes }, replace);
    }

    loadMore(list) {
        list.loadMore();
        this.isForced = true;
        this.navigate(this.filters, true);
    }

    /** Applies filters. The old tasks stay visible until the new ones are loaded. */
    open(filters) {
        const { status, ...others } = filters;
        const isNew = JSON.stringify(filters) !== JSON.stringify(this.filters);
        this.filters = filters;
        this.showFilters();
        if (!isNew) return;
        const selected = (group) => status.filter((one) => group.includes(one));
        const tasksIn = (statuses) => new PagedTasks(this.api, { ...others, status: statuses.join(",") });
        const active = selected(ACTIVE);
        const ended = selected(ENDED);
        this.hidesActive = status.length > 0 && active.length === 0;
        this.hidesEnded = status.length > 0 && ended.length === 0;
        // Active tasks are loaded even if they are hidden, because the header and the title count them.
        this.active = tasksIn(active.length ? active : ACTIVE);
        this.ended = tasksIn(ended.length ? ended : ENDED);
        this.missing = new Map();
        this.statuses.clear();
        this.lastSlowRefresh = 0;
    }

    /** Loads and shows the lists. Resolves to true if a task is running. */
    async refresh(signal) {
        const { active, ended } = this;
        const before = active.tasks;
        await Promise.all([active.refresh(signal), this.loadDeploys(before, signal)]);
        const left = before.filter((task) => !active.tasks.some(({ run_id }) => run_id === task.run_id));
        const isSlow = now() - this.lastSlowRefresh >= SLOW_REFRESH_MS || left.length > 0 || this.isForced;
        if (isSlow) {
            const { project_id, task_type, q } = this.filters;
            const failed = { project_id, task_type, q, status: "failed", limit: PAGE_SIZE };
            const [projects, failures] = await Promise.all([
                this.api.get("api/projects", {}, signal),
                this.api.get("api/tasks", failed, signal),
                this.hidesEnded || ended.refresh(signal),
            ]);
            // The filters may have changed meanwhile.
            if (active !== this.active) return true;
            this.projects = projects.value.projects;
            this.failed = countRecent(failures.value);
            this.lastSlowRefresh = now();
            this.isForced = false;
            await this.loadMissing(left, signal);
        }
        if (active !== this.active) return true;
        for (const change of this.recent) this.apply(change);
        this.show();
        return active.tasks.some((task) => task.status === "running");
    }

    /**
     * Shows changes that live push tells. `isShown` tells whether any was news, and `asksWithinMs` within which time the
     * page must ask the API for more, if at all.
     */
    receive(changes) {
        if (!this.active?.isLoaded) return { isShown: false, asksWithinMs: null };
        const news = changes.filter((change) => this.recent.add(change));
        const asks = news.map((change) => this.apply(change));
        if (news.length) this.show();
        return { isShown: news.length > 0, asksWithinMs: asks.some(Number.isFinite) ? Math.min(...asks) : null };
    }

    /** Applies a change to the lists. Returns within which time to ask the API for more; `Infinity`: never. */
    apply(change) {
        const { task, run_id } = change;
        const { active, ended } = this;
        const before = [...active.tasks, ...ended.tasks].find((one) => one.run_id === run_id);
        const isSelected = (list) => task !== null && this.selects(task) && list.params.status.includes(task.status);
        for (const list of [active, ended]) list.apply(change, isSelected(list));
        if (before && before.revision >= change.revision) return Infinity;
        if (before?.status !== task?.status) {
            this.isForced = true;
            const [least, most] = ASK_COUNTS_MS;
            // Not all pages at the same moment.
            return least + (most - least) * Math.random();
        }
        if (task?.task_type !== "cdk_deploy") return Infinity;
        if (change.isTrimmed) return ASK_PARTS_MS;
        this.deploys.set(run_id, task);
        return Infinity;
    }

    /** Whether the filters select a task, whatever its status. */
    selects({ project_id, task_type, task_name, task_id }) {
        const { filters } = this;
        const text = `${task_name}\n${task_id}`.toLowerCase();
        return (
            (!filters.project_id || filters.project_id === project_id) &&
            (!filters.task_type || filters.task_type === task_type) &&
            text.includes(filters.q.toLowerCase())
        );
    }

    /** Loads deploys that have changed, because lists have no parts. They were shown already, without the change. */
    async loadDeploys(tasks, signal) {
        const deploys = tasks.filter((task) => task.task_type === "cdk_deploy").slice(0, MAX_DEPLOYS);
        const loaded = await Promise.all(
            deploys.map(async (task) => {
                const known = this.deploys.get(task.run_id);
                if (known?.revision >= task.revision) return [task.run_id, known];
                return [task.run_id, (await this.loadRun(task, signal)) ?? known];
            }),
        );
        this.deploys = new Map(loaded);
    }

    /** Loads the present state of a listed run; null if that fails. */
    async loadRun(task, signal) {
        const get = (id) => this.api.get(`api/tasks/${encodeURIComponent(id)}`, {}, signal).catch(() => null);
        // The API's cache has the newest run under the id of the task. Meanwhile that may be another run.
        const found = await get(idOf(task));
        const run = found?.value.run_id === task.run_id ? found : await get(task.run_id);
        return run?.value ?? null;
    }

    /**
     * Loads by id those tasks that have left the active list but are not yet among the ended ones. The index behind
     * the lists is eventually consistent, so a task may be in neither for a time.
     */
    async loadMissing(left, signal) {
        const listed = new Set(this.ended.tasks.map((task) => task.run_id));
        const missing = left.filter((task) => !listed.has(task.run_id)).slice(0, MAX_MISSING);
        await Promise.all(
            missing.map(async (task) => {
                const found = await this.loadRun(task, signal);
                if (found) this.missing.set(task.run_id, found);
            }),
        );
    }

    /** Shows what is loaded. */
    show() {
        const { active, ended } = this;
        if (!active?.isLoaded) return;
        this.isReady = true;
        this.names = new Map(this.projects.map((project) => [project.project_id, oneLine(project.project_name)]));
        const [activeTasks, endedTasks] = this.sortedTasks();
        const focused = document.activeElement?.closest?.("#active-list, #ended-list") && document.activeElement;
        const focusedId = focused?.dataset.task;
        this.showProjects();
        byId("active-section").hidden = this.hidesActive;
        byId("ended-section").hidden = this.hidesEnded;
        if (!this.hidesActive) this.showSection("active", this.cards, activeTasks, active);
        if (!this.hidesEnded) this.showSection("ended", this.rows, endedTasks, ended);
        // If a card with the focus has become a row, the row gets the focus.
        if (focusedId && !focused.isConnected) {
            document.querySelector(`a[data-task="${CSS.escape(focusedId)}"]`)?.focus({ preventScroll: true });
        }
        const running = active.tasks.filter((task) => task.status === "running");
        const stale = running.filter((task) => task.stale).length;
        this.counts = { running: `${running.length}${active.hasMore ? "+" : ""}`, failed: this.failed, stale };
        this.announceChanges([...active.tasks, ...endedTasks]);
    }

    /** Shows the counts of this list in the header, the title and the icon. */
    showSummary() {
        if (this.counts) showCounts(this.counts);
    }

    /** Active tasks by status, and ended tasks, each newest first. */
    sortedTasks() {
        const { active, ended, missing } = this;
        const rank = (task) => ACTIVE.indexOf(task.status);
        // The sort is stable: within a status, the order is that of the list.
        const activeTasks = active.tasks.toSorted((one, other) => rank(one) - rank(other));
        const activeIds = new Set(activeTasks.map((task) => task.run_id));
        const endedTasks = ended.tasks.filter((task) => !activeIds.has(task.run_id));
        const endedIds = new Set(endedTasks.map((task) => task.run_id));
        for (const [id, task] of missing) {
            const isSelected = ended.params.status.includes(task.status);
            if (endedIds.has(id) || activeIds.has(id) || !isSelected) missing.delete(id);
            else endedTasks.push(task);
        }
        if (missing.size) endedTasks.sort((one, other) => Date.parse(other.run) - Date.parse(one.run));
        return [activeTasks, endedTasks];
    }

    showSection(name, views, tasks, list) {
        views.show(tasks, (task) => task.run_id);
        setText(byId(`${name}-count`), tasks.length ? list.count : "");
        byId(`${name}-empty`).hidden = tasks.length > 0;
        byId(`${name}-more`).hidden = !list.hasMore;
        if (tasks.length) return;
        const isFiltered = listSearch(this.filters) !== "?";
        const empty = { active: "Nothing is in progress.", ended: "Nothing has finished yet." };
        setText(byId(`${name}-empty`), isFiltered ? "No tasks match the filters." : empty[name]);
    }

    showProjects() {
        const activity = ({ metrics }) => metrics.running * 1e6 + metrics.failed * 1e3 + metrics.total_tasks;
        const selected = this.filters.project_id;
        const all = this.projects.filter((project) => project.status !== "archived" || project.project_id === selected);
        const mostActive = all
            .toSorted((one, other) => activity(other) - activity(one))
            .filter((project, index) => index < MAX_TILES || project.project_id === selected);
        const shown = this.showsAllProjects ? all : mostActive;
        // Sorted by name, because a tile must not move when a task ends.
        shown.sort((one, other) => one.project_name.localeCompare(other.project_name));
        // Tasks may name a project that was never created.
        if (selected && !all.some((project) => project.project_id === selected)) {
            shown.push({ project_id: selected, project_name: selected, metrics: null });
        }
        byId("projects").hidden = shown.length === 0;
        this.tiles.show(shown, (project) => project.project_id);
        const button = byId("all-projects");
        button.hidden = all.length <= mostActive.length;
        setAttribute(button, "aria-expanded", this.showsAllProjects);
        setText(button, this.showsAllProjects ? "Show fewer projects" : `Show all ${all.length} projects`);
    }

    showFilters() {
        const { status, project_id, task_type, q } = this.filters;
        for (const chip of byId("status-chips").children) {
            setAttribute(chip, "aria-pressed", status.includes(chip.dataset.status));
        }
        for (const tile of this.tiles.views.values()) tile.showPressed();
        byId("type-filter").value = task_type;
        const name = byId("name-filter");
        if (document.activeElement !== name || !name.value.trim().startsWith(q)) name.value = q;
        byId("clear-filters").disabled = !(status.length || project_id || task_type || q);
    }

    projectName(task) {
        return this.names.get(task.project_id) ?? oneLine(task.project_id ?? "");
    }

    /** Announces the tasks that have started or ended since the last refresh. */
    announceChanges(tasks) {
        const isFirst = this.statuses.size === 0;
        for (const task of tasks) {
            const before = this.statuses.get(task.run_id);
            if (before === task.status) continue;
            this.statuses.set(task.run_id, task.status);
            if (isFirst || (before === undefined && task.status !== "running")) continue;
            const name = oneLine(task.task_name);
            const why = task.status === "failed" ? reason(task) : "";
            announce(`${name} ${task.status === "running" ? "started" : humanize(task.status)}${why && `: ${why}`}.`);
        }
    }
}

/** How many tasks of the first page are recent; `50+` if all of them are and there are more. */
function countRecent({ tasks, next_cursor }) {
    const recent = tasks.filter((task) => now() - Date.parse(task.completed_at ?? task.updated_at) < RECENT_MS);
    return `${recent.length}${next_cursor && recent.length === tasks.length ? "+" : ""}`;
}

/** An active task. */
class Card {
    constructor(list) {
        this.list = list;
        Object.assign(this, cloneTemplate("card"));
        this.parts = new KeyedList(this.refs.parts, () => new PartBar());
    }

    update(task) {
        const { node, refs } = this;
        const tone = toneOf(task);
        setAttribute(node, "data-tone", tone);
        setIcon(refs.icon, tone);
        const name = oneLine(task.task_name) || task.task_id;
        setText(refs.name, name);
        setAttribute(refs.name, "href", taskSearch(idOf(task)));
        setAttribute(refs.name, "data-task", idOf(task));
        const counted = counter(task.progress);
        setText(refs.percentage, percent(task.progress) || (counted ? "" : "–"));
        setAttribute(refs.bar, "aria-label", `Progress of ${name}`);
        setBar(refs.bar, task.progress, tone, counted);
        const staleText = tone === "stale" ? `no update for ${duration(now() - Date.parse(task.updated_at))}` : "";
        const isRunning = task.status === "running";
        setText(refs.state, staleText || (isRunning ? "" : stateOf(task)));
        setText(refs.phase, humanize(task.current_step || task.phase || (isRunning && !staleText ? "running" : "")));
        const parts = this.list.deploys.get(task.run_id)?.parts ?? {};
        setText(refs.counter, counted || partsDone(parts));
        setText(refs.eta, task.status === "running" && !task.stale ? eta(task) : "");
        setText(refs.ago, staleText ? "" : ago(Date.parse(task.updated_at)));
        setAttribute(refs.ago, "title", `Last update ${fullTime(Date.parse(task.updated_at))}`);
        const message = reason(task);
        setText(refs.message, message);
        setAttribute(refs.message, "title", message || null);
        this.showParts(parts);
        setText(refs.type, typeName(task.task_type));
        setText(refs.earlier, task.earlier ? "earlier run" : "");
        setText(refs.project, this.list.projectName(task));
    }

    showParts(named) {
        const all = Object.entries(named);
        // The bar of a single part would repeat the task's own bar.
        const parts = all.length > 1 ? all : [];
        const urgency = (part) => ["failed", "running", "blocked", "pending"].indexOf(part.status) >>> 0;
        const first =
            parts.length > MAX_PARTS
                ? parts.toSorted(([, one], [, other]) => urgency(one) - urgency(other)).slice(0, MAX_PARTS)
                : parts;
        this.parts.show(first, ([name]) => name);
        const more = parts.length - first.length;
        setText(this.refs.more, more > 0 ? count(more, "more part") : "");
    }
}

/** `2 parts done`, for a task without a counter of its own. */
function partsDone(parts) {
    const done = Object.values(parts).filter((part) => part.status === "completed").length;
    return done ? `${count(done, "part")} done` : "";
}

/** A part of a task, such as one stack of a deploy. */
class PartBar {
    constructor() {
        Object.assign(this, cloneTemplate("part"));
    }

    update([name, part]) {
        const { node, refs } = this;
        const tone = toneOf(part);
        const shown = oneLine(name);
        setAttribute(node, "data-tone", tone);
        setIcon(refs.icon, tone);
        setText(refs.name, shown);
        setAttribute(refs.name, "title", shown);
        setAttribute(refs.bar, "aria-label", `${shown}, ${humanize(part.phase || part.status)}`);
        setBar(refs.bar, part, tone, counter(part));
        setText(refs.percentage, percent(part) || counter(part));
    }
}

/** An ended task. */
class Row {
    constructor(list) {
        this.list = list;
        Object.assign(this, cloneTemplate("row"));
    }

    update(task) {
        const { node, refs } = this;
        const tone = toneOf(task);
        setAttribute(node, "data-tone", tone);
        setIcon(refs.icon, tone);
        setText(refs.name, oneLine(task.task_name) || task.task_id);
        setAttribute(refs.name, "href", taskSearch(idOf(task)));
        setAttribute(refs.name, "data-task", idOf(task));
        setText(refs.earlier, task.earlier ? "earlier run" : "");
        setText(refs.state, humanize(task.phase && task.status !== "completed" ? task.phase : task.status));
        const message = task.status === "completed" ? "" : reason(task);
        setText(refs.message, message);
        setAttribute(refs.message, "title", message || null);
        setText(refs.project, this.list.projectName(task));
        setText(refs.type, typeName(task.task_type));
        setText(refs.took, task.duration_ms == null ? "" : duration(task.duration_ms));
        const time = Date.parse(task.completed_at ?? task.updated_at);
        const isRecent = now() - time < 3_600_000;
        setText(refs.when, isRecent ? ago(time) : shortTime(time));
        setAttribute(refs.when, "datetime", new Date(time).toISOString());
        setAttribute(refs.when, "title", fullTime(time));
    }
}

/** A project and its metrics. A click filters the list by this project. */
class Tile {
    constructor(list) {
        this.list = list;
        Object.assign(this, cloneTemplate("tile"));
        this.refs.button.addEventListener("click", () => {
            const { project_id } = this.project;
            const isSelected = list.filters.project_id === project_id;
            list.changeFilters({ project_id: isSelected ? "" : project_id });
        });
    }

    showPressed() {
        const isSelected = this.list.filters.project_id === this.project.project_id;
        setAttribute(this.refs.button, "aria-pressed", isSelected);
    }

    update(project) {
        this.project = project;
        const { refs } = this;
        this.showPressed();
        setText(refs.name, oneLine(project.project_name));
        setAttribute(refs.name, "title", oneLine(project.description ?? "") || null);
        const metrics = project.metrics;
        const ended = metrics ? metrics.completed + metrics.failed + metrics.cancelled + metrics.ended : 0;
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
        if (metrics.success_rate != null) rates.push(`${Math.floor(metrics.success_rate * 100)} % succeeded`);
        if (metrics.avg_duration_ms != null) rates.push(`${duration(metrics.avg_duration_ms)} on average`);
        setText(refs.rates, rates.join(" · ") || (ended ? "" : "Nothing finished yet"));
    }
}
