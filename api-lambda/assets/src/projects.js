// The projects: tiles with counts. A click filters the list by a project.

import { KeyedList, byId, cloneTemplate, setAttribute, setText } from "./dom.js";
import { count, number, oneLine } from "./text.js";
import { duration } from "./time.js";

/** How many projects are shown at first. */
const MAX_TILES = 8;
/** A rate of fewer runs says little. */
const LEAST_FOR_RATE = 5;

export class Projects {
    /** `onSelect(id)` is called when a project is selected, or with an empty text when none is any more. */
    constructor(onSelect) {
        this.onSelect = onSelect;
        this.all = [];
        this.names = new Map();
        this.selected = "";
        this.showsAll = false;
        this.tiles = new KeyedList(byId("tiles"), () => new Tile(this));
        byId("all-projects").addEventListener("click", () => {
            this.showsAll = !this.showsAll;
            this.show();
        });
    }

    /** Takes the projects that the API has listed. */
    set(projects) {
        this.all = projects;
        this.names = new Map(projects.map((project) => [project.project_id, oneLine(project.project_name)]));
    }

    /** Marks the selected project. */
    select(id) {
        this.selected = id;
        for (const tile of this.tiles.views.values()) tile.showPressed();
    }

    /** The name of the project of a task, or its id; empty if it has none. */
    nameOf(task) {
        return this.names.get(task.project_id) ?? oneLine(task.project_id ?? "");
    }

    show() {
        const activity = ({ metrics }) => metrics.running * 1e6 + metrics.failed * 1e3 + metrics.total_tasks;
        const { selected } = this;
        const all = this.all.filter((project) => project.status !== "archived" || project.project_id === selected);
        const mostActive = all
            .toSorted((one, other) => activity(other) - activity(one))
            .filter((project, index) => index < MAX_TILES || project.project_id === selected);
        const shown = this.showsAll ? all : mostActive;
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
        setAttribute(button, "aria-expanded", this.showsAll);
        setText(button, this.showsAll ? "Show fewer projects" : `Show all ${all.length} projects`);
    }
}

/** A project and its metrics. A click filters the list by this project. */
class Tile {
    constructor(projects) {
        this.projects = projects;
        Object.assign(this, cloneTemplate("tile"));
        this.refs.button.addEventListener("click", () => {
            const { project_id } = this.project;
            projects.onSelect(projects.selected === project_id ? "" : project_id);
        });
    }

    showPressed() {
        setAttribute(this.refs.button, "aria-pressed", this.projects.selected === this.project.project_id);
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
        const isKnown = metrics.completed + metrics.failed >= LEAST_FOR_RATE;
        if (isKnown && metrics.success_rate != null) rates.push(`${Math.floor(metrics.success_rate * 100)} % succeeded`);
        if (metrics.avg_duration_ms != null) rates.push(`${duration(metrics.avg_duration_ms)} on average`);
        setText(refs.rates, rates.join(" · ") || (ended ? `${number(ended)} finished` : "Nothing finished yet"));
    }
}
