// The list of tasks: what needs attention, filters, tasks in progress, and finished tasks.

import { Arrangement } from "./arrangement.js";
import { Attention, urgentTasks } from "./attention.js";
import { Card } from "./cards.js";
import { KeyedList, byId, setAttribute, setText } from "./dom.js";
import { FilterBar } from "./filter-bar.js";
import { showFirstSteps } from "./first-steps.js";
import { PAGE_SIZE, PagedTasks } from "./paged-tasks.js";
import { Projects } from "./projects.js";
import { RecentChanges } from "./recent-changes.js";
import { COLUMNS, NO_FILTERS, RANGES, idOf, isFiltered } from "./search-params.js";
import { announce, showCounts } from "./shell.js";
import { Table, compareBy } from "./table.js";
import { ACTIVE, ENDED, count, humanize, number, oneLine, reason } from "./text.js";
import { now } from "./time.js";

/** How often the overview and finished tasks are loaded. They change seldom. */
const SLOW_REFRESH_MS = 5000;
/** The start of a time range is a multiple of this, so that lists that are asked for soon after each other are the same. */
const RANGE_STEP_MS = 60_000;
/** More tasks in progress than this are a table, unless the reader chooses. */
const MOST_CARDS = 12;
/** How many tasks "Load more" adds to a table. */
const TABLE_STEP = 200;
/** How many of the newest tasks are sorted by something else than their start. */
const SORTED = 1000;
/** The most tasks that one refresh loads by their ids, because they are in no list. */
const MAX_MISSING = 10;
/** The most deploys whose parts one refresh loads. */
const MAX_DEPLOYS = 10;
/** A page asks within these times for parts that a message left out, and for counts after a task has begun or ended. */
const ASK_PARTS_MS = 1000;
const ASK_COUNTS_MS = [2000, 5000];

/** Where the chosen layout is kept. */
const LAYOUT_KEY = "miyabi-progress-layout";

export class ListView {
    /** `navigate(filters, replace)` changes the URL to these filters. */
    constructor(api, navigate) {
        this.api = api;
        this.navigate = navigate;
        this.filters = null;
        this.overview = null;
        /** Whether the list is arranged again once it is loaded. */
        this.isOutdated = false;
        this.statuses = new Map();
        this.deploys = new Map();
        this.recent = new RecentChanges();
        this.arrangement = new Arrangement();
        this.projects = new Projects((project_id) => this.changeFilters({ project_id }));
        this.bar = new FilterBar((changes, replace) => this.changeFilters(changes, replace));
        const showAll = () => this.changeFilters(NO_FILTERS);
        const projectName = (task) => this.projects.nameOf(task);
        const partsOf = (task) => this.deploys.get(task.run_id)?.parts ?? {};
        const onSort = (column) => this.sortBy(column);
        this.attention = new Attention(projectName, showAll);
        this.cards = new KeyedList(byId("active-list"), () => new Card({ projectName, partsOf }));
        this.tables = {
            active: new Table(byId("active-table"), { onSort, projectName }),
            ended: new Table(byId("ended-table"), { onSort, projectName }),
        };
        // A reader who comes back to the page has not yet begun to read.
        document.addEventListener("visibilitychange", () => (this.isOutdated ||= !document.hidden));
        byId("news").addEventListener("click", () => this.showNews());
        byId("clear-all").addEventListener("click", showAll);
        byId("layout").addEventListener("click", ({ target }) => this.chooseLayout(target.closest("button")?.dataset.view));
        byId("active-more").addEventListener("click", () => this.loadMore(this.active));
        byId("ended-more").addEventListener("click", () => this.loadMore(this.ended));
    }

    changeFilters(changes, replace = false) {
        this.bar.forgetTyping();
        this.navigate({ ...this.filters, ...changes }, replace);
    }

    loadMore(list) {
        list.loadMore(this.isTable ? TABLE_STEP : PAGE_SIZE);
        this.reload();
    }

    /** Loads and arranges everything again. */
    reload() {
        this.isForced = true;
        this.isOutdated = true;
        this.navigate(this.filters, true);
    }

    /** Shows what is new. The focus goes to the first task, because what had it may be elsewhere now. */
    showNews() {
        this.arrangement.renew();
        this.show();
        const first = document.querySelector("#list-view a[data-task]");
        first?.focus({ preventScroll: true });
        scrollTo(0, 0);
    }

    sortBy(column) {
        const [sorted, isDescending] = this.order;
        const isDown = sorted === column ? !isDescending : COLUMNS[column];
        const sort = column === "start" && isDown ? "" : `${isDown ? "-" : ""}${column}`;
        this.changeFilters({ sort });
    }

    /** The column by which the tasks are sorted, and whether the greatest comes first. */
    get order() {
        const { sort } = this.filters;
        return sort ? [sort.replace("-", ""), sort.startsWith("-")] : ["start", true];
    }

    chooseLayout(view) {
        if (!view) return;
        try {
            localStorage.setItem(LAYOUT_KEY, view);
        } catch {
            // Storage may be disabled. The URL has the choice too.
        }
        this.changeFilters({ view }, true);
    }

    /** The layout that the URL names, or that the reader has chosen before; null if neither. */
    get chosenLayout() {
        if (this.filters.view) return this.filters.view;
        try {
            return localStorage.getItem(LAYOUT_KEY);
        } catch {
            return null;
        }
    }

    /** Applies filters. The old tasks stay visible until the new ones are loaded. */
    open(filters) {
        const { status, sort, view, since, ...others } = filters;
        const isNew = JSON.stringify(filters) !== JSON.stringify(this.filters);
        const isSelection = JSON.stringify({ ...this.filters, view }) !== JSON.stringify(filters);
        this.filters = filters;
        this.projects.select(filters.project_id);
        this.bar.show(filters);
        // A reader who comes back from a task finds the list in its order.
        if (!isNew) return;
        if (!isSelection) return this.arrangement.renew();
        this.isOutdated = true;
        const selected = (group) => status.filter((one) => group.includes(one));
        const from = since && (() => new Date(this.rangeStart).toISOString());
        const tasksIn = (statuses) => {
            const tasks = new PagedTasks(this.api, { ...others, ...(from && { from }), status: statuses.join(",") });
            if (sort && sort !== "-start") tasks.loadAtLeast(SORTED);
            return tasks;
        };
        const active = selected(ACTIVE);
        const ended = selected(ENDED);
        this.hidesActive = status.length > 0 && active.length === 0;
        this.hidesEnded = status.length > 0 && ended.length === 0;
        this.active = tasksIn(active.length ? active : ACTIVE);
        this.ended = tasksIn(ended.length ? ended : ENDED);
        this.missing = new Map();
        this.statuses.clear();
        this.lastSlowRefresh = 0;
    }

    /** When the time range that ends now begins. */
    get rangeStart() {
        const step = RANGE_STEP_MS;
        return Math.floor((now() - RANGES[this.filters.since]) / step) * step;
    }

    /** Loads and shows the lists. Resolves to true if a task is running. */
    async refresh(signal) {
        const { active, ended } = this;
        const before = active.tasks;
        await Promise.all([active.refresh(signal), this.loadDeploys(before, signal)]);
        const left = before.filter(({ run_id }) => !active.find(run_id));
        const isSlow = now() - this.lastSlowRefresh >= SLOW_REFRESH_MS || left.length > 0 || this.isForced;
        if (isSlow) {
            const [overview] = await Promise.all([
                this.api.get("api/overview", {}, signal),
                this.hidesEnded || ended.refresh(signal),
            ]);
            // The filters may have changed meanwhile.
            if (active !== this.active) return true;
            this.overview = overview.value;
            this.projects.set(overview.value.projects);
            this.lastSlowRefresh = now();
            this.isForced = false;
            await this.loadMissing(left, signal);
        }
        if (active !== this.active) return true;
        for (const change of this.recent) this.apply(change);
        if (this.isOutdated) this.arrangement.renew();
        this.isOutdated = false;
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
        const before = active.find(run_id) ?? ended.find(run_id);
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
    selects({ project_id, task_type, task_name, task_id, run }) {
        const { filters } = this;
        const text = `${task_name}\n${task_id}`.toLowerCase();
        const from = filters.since ? this.rangeStart : Date.parse(filters.from || 0);
        return (
            (!filters.project_id || filters.project_id === project_id) &&
            (!filters.task_type || filters.task_type === task_type) &&
            Date.parse(run) >= from &&
            (!filters.to || Date.parse(run) < Date.parse(filters.to)) &&
            text.includes(filters.q.toLowerCase())
        );
    }

    /** Loads deploys that have changed, because lists have no parts. They were shown already, without the change. */
    async loadDeploys(tasks, signal) {
        if (this.isTable) return;
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

    /** Loads the present state of a listed run: null if it is gone, undefined if that cannot be told now. */
    async loadRun(task, signal) {
        const isGone = (error) => (error.kind === "not_found" ? null : undefined);
        const get = (id) => this.api.get(`api/tasks/${encodeURIComponent(id)}`, {}, signal).catch(isGone);
        // The API's cache has the newest run under the id of the task. Meanwhile that may be another run.
        const found = await get(idOf(task));
        const run = found?.value.run_id === task.run_id ? found : await get(task.run_id);
        return run && run.value;
    }

    /**
     * Loads by id those tasks that have left the active list but are not yet among the ended ones. The index behind
     * the lists is eventually consistent, so a task may be in neither for a time. Or the filters do not select it any
     * more: it stays in its place until the list is arranged again.
     */
    async loadMissing(left, signal) {
        const missing = left.filter((task) => !this.ended.find(task.run_id)).slice(0, MAX_MISSING);
        await Promise.all(
            missing.map(async (task) => {
                const found = await this.loadRun(task, signal);
                if (found !== undefined) this.missing.set(task.run_id, found);
            }),
        );
    }

    /** Shows what is loaded. */
    show() {
        const { active, ended } = this;
        if (!active?.isLoaded || !this.overview) return;
        this.isReady = true;
        const focused = document.activeElement?.closest?.("#list-view") && document.activeElement;
        const focusedId = focused?.dataset.task;
        const wanted = this.wantedTasks();
        if (this.arrangement.isDue || this.isTable === undefined) this.chooseTable(wanted.active.length);
        const shown = this.arrangement.apply(wanted, (id) => this.latestOf(id));
        this.projects.show();
        this.attention.show(shown.attention, wanted.outside);
        byId("active-section").hidden = this.hidesActive;
        byId("ended-section").hidden = this.hidesEnded;
        this.showActive(shown.active);
        this.tables.ended.show(this.hidesEnded ? [] : shown.ended, ...this.order);
        this.showSection("ended", shown.ended, ended, ENDED);
        this.showEmpty(shown);
        this.showNewsButton(shown.news);
        // If a card with the focus has become a row, the row gets the focus.
        if (focusedId && !focused.isConnected) {
            document.querySelector(`a[data-task="${CSS.escape(focusedId)}"]`)?.focus({ preventScroll: true });
        }
        this.announceChanges([...wanted.active, ...wanted.ended]);
    }

    /** The tasks of each section in the order of now. */
    wantedTasks() {
        const { active, ended, missing } = this;
        const [column, isDescending] = this.order;
        const compare = compareBy(column);
        const sorted = (tasks) => tasks.toSorted((one, other) => (isDescending ? compare(other, one) : compare(one, other)));
        const endedTasks = ended.tasks.filter(({ run_id }) => !active.find(run_id));
        for (const [id, task] of missing) {
            if (ended.find(id) || active.find(id)) missing.delete(id);
            else if (task && ended.params.status.includes(task.status)) endedTasks.push(task);
        }
        const { status } = this.filters;
        const attention = this.urgentTasks();
        const inside = attention.filter((task) => this.selects(task) && (!status.length || status.includes(task.status)));
        return {
            attention: inside,
            outside: attention.length - inside.length,
            active: this.hidesActive ? [] : sorted(active.tasks),
            ended: sorted(endedTasks),
        };
    }

    urgentTasks() {
        return urgentTasks(this.overview.attention, this.active.tasks, this.recent);
    }

    /** The latest state of a run that is in no list any more; null if it does not exist. */
    latestOf(id) {
        const told = this.recent.find(id);
        if (told) return told.task;
        return this.missing.has(id) ? this.missing.get(id) : (this.states?.get(id) ?? null);
    }

    /** Draws what depends on the place on the screen. */
    draw() {
        for (const table of Object.values(this.tables)) table.draw();
    }

    chooseTable(activeCount) {
        const chosen = this.chosenLayout;
        this.isTable = chosen ? chosen === "table" : Math.max(activeCount, this.active.tasks.length) > MOST_CARDS;
        for (const button of byId("layout").children) {
            setAttribute(button, "aria-pressed", (button.dataset.view === "table") === this.isTable);
        }
    }

    showActive(tasks) {
        const isTable = this.isTable && tasks.length > 0;
        byId("active-list").hidden = isTable;
        this.cards.show(isTable ? [] : tasks, (task) => task.run_id);
        this.tables.active.show(isTable ? tasks : [], ...this.order);
        this.showSection("active", tasks, this.active, ACTIVE);
        this.states = new Map(tasks.map((task) => [task.run_id, task]));
    }

    showSection(name, tasks, list, statuses) {
        const { counts } = this.overview;
        const all = statuses.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
        // Without filters the number of all tasks is known, also if only some are loaded.
        const isWhole = !list.hasMore || isFiltered(this.filters);
        const total = isWhole ? `${number(tasks.length)}${list.hasMore ? "+" : ""}` : number(Math.max(all, tasks.length));
        setText(byId(`${name}-count`), tasks.length ? total : "");
        byId(`${name}-empty`).hidden = tasks.length > 0;
        byId(`${name}-more`).hidden = !list.hasMore || list.isFull;
        const isPart = list.hasMore && (list.isFull || this.order[0] !== "start");
        const about = list.isFull ? " For others, choose a time range, a project or a search." : "";
        setText(byId(`${name}-part`), isPart ? `The newest ${number(list.tasks.length)} are shown.${about}` : "");
        if (tasks.length) return;
        const empty = { active: "Nothing is in progress.", ended: "Nothing has finished yet." };
        setText(byId(`${name}-empty`), isFiltered(this.filters) ? "None matches the filters." : empty[name]);
    }

    /** Says what to do if there is nothing to show. */
    showEmpty({ attention, active, ended }) {
        const isEmpty = active.length + ended.length + attention.length === 0;
        const isFirst = isEmpty && !isFiltered(this.filters) && this.overview.counts.total_tasks === 0;
        const isNothing = isEmpty && isFiltered(this.filters);
        byId("nothing").hidden = !isNothing;
        byId("list-sections").hidden = isFirst || isNothing;
        byId("search").hidden = isFirst && this.projects.all.length === 0;
        showFirstSteps(isFirst, this.api.root, Boolean(this.api.session.token));
    }

    showNewsButton(news) {
        const texts = [];
        const [first] = news?.urgent ?? [];
        if (first && news.urgent.length === 1) texts.push(`${oneLine(first.task_name)} ${first.stale ? "is silent" : first.status === "failed" ? "failed" : "waits"}`);
        else if (first) texts.push(`${news.urgent.length} need attention`);
        if (news?.started) texts.push(`${news.started} new`);
        if (news?.ended) texts.push(`${news.ended} finished`);
        const button = byId("news");
        button.hidden = texts.length === 0;
        setAttribute(button, "data-tone", first ? "failed" : "running");
        setText(button.firstElementChild, texts.join(" · "));
    }

    /** Shows the counts of all tasks in the header, the title and the icon. */
    showSummary() {
        if (!this.overview) return;
        const { counts } = this.overview;
        const urgent = this.urgentTasks();
        const isSome = (status) => urgent.filter((task) => task.status === status && (status !== "running" || task.stale)).length;
        showCounts({ running: counts.running, blocked: counts.blocked, failed: isSome("failed"), stale: isSome("running") });
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

    /** Moves the focus to the next task, or to the one before. */
    step(offset) {
        const links = [...document.querySelectorAll("#list-view a[data-task]")].filter((link) => link.offsetParent !== null);
        const index = links.indexOf(document.activeElement);
        const next = links[index < 0 ? (offset > 0 ? 0 : links.length - 1) : index + offset];
        if (!next) return;
        next.focus({ preventScroll: true });
        const box = next.closest(".card, .row, .alert") ?? next;
        box.scrollIntoView({ block: "nearest" });
        this.draw();
    }
}
