// What needs somebody: runs that wait for a person, have failed, or are silent. Each with its reason in full.

import { KeyedList, byId, cloneTemplate, setAttribute, setIcon, setText } from "./dom.js";
import { idOf, taskSearch } from "./search-params.js";
import { clean, oneLine, stateOf, toneOf } from "./text.js";
import { ago, duration, fullTime, now } from "./time.js";

/** How long a failure or a silence needs attention. */
const URGENT_MS = 86_400_000;
/** How many are shown at first. */
const SHOWN = 6;
const SHOWN_ON_PHONES = 3;

const RANK = { blocked: 0, failed: 1, running: 2, ended: 3 };

/** Whether a run needs attention by what its state alone tells. */
function isUrgent(task) {
    const last = Date.parse(task.completed_at ?? task.updated_at);
    return task.status === "blocked" || ((task.stale || task.status === "failed") && now() - last < URGENT_MS);
}

/**
 * The runs that need attention: those of the overview, and by their state those of `others` and what live push has told.
 */
export function urgentTasks(listed, others, recent) {
    const tasks = new Map(listed.map((task) => [task.run_id, task]));
    const about = others.filter((task) => tasks.has(task.run_id) || isUrgent(task));
    const states = about.map((task) => ({ run_id: task.run_id, revision: task.revision, task }));
    for (const { run_id, revision, task } of [...states, ...recent]) {
        const known = tasks.get(run_id);
        // A run becomes stale without a new revision.
        if (known && (known.revision > revision || (known.revision === revision && !task?.stale))) continue;
        if (task && isUrgent(task)) tasks.set(run_id, task);
        else if (known) tasks.delete(run_id);
    }
    const rank = ({ status }) => RANK[status] ?? RANK.ended;
    const start = (task) => Date.parse(task.run);
    return [...tasks.values()].sort((one, other) => rank(one) - rank(other) || start(other) - start(one));
}

export class Attention {
    /** `projectName(task)` names a project; `onOutside()` is called to see what the filters hide. */
    constructor(projectName, onOutside) {
        this.views = new KeyedList(byId("attention-list"), () => new Alert(projectName));
        this.showsAll = false;
        this.tasks = [];
        byId("attention-all").addEventListener("click", () => {
            this.showsAll = !this.showsAll;
            this.show(this.tasks, this.hidden);
        });
        byId("attention-outside").addEventListener("click", onOutside);
    }

    /** Shows `tasks`. `hidden` more are outside the filters. */
    show(tasks, hidden) {
        Object.assign(this, { tasks, hidden });
        const most = this.showsAll ? Infinity : matchMedia("(max-width: 40rem)").matches ? SHOWN_ON_PHONES : SHOWN;
        // One more takes no more room than the button that would hide it.
        const shown = tasks.length > most + 1 ? tasks.slice(0, most) : tasks;
        byId("attention-section").hidden = tasks.length + hidden === 0;
        setText(byId("attention-count"), String(tasks.length));
        this.views.show(shown, ({ run_id }) => run_id);
        const all = byId("attention-all");
        all.hidden = shown.length === tasks.length && !this.showsAll;
        setAttribute(all, "aria-expanded", this.showsAll);
        setText(all, this.showsAll ? "Show fewer" : `Show all ${tasks.length}`);
        const outside = byId("attention-outside");
        outside.hidden = hidden === 0;
        setText(outside, `${hidden} outside the filters: show all tasks`);
    }
}

/** A run that needs attention. */
class Alert {
    constructor(projectName) {
        this.projectName = projectName;
        Object.assign(this, cloneTemplate("alert"));
    }

    update(task) {
        const { node, refs } = this;
        const tone = toneOf(task);
        const { failure, agent } = task;
        setAttribute(node, "data-tone", tone);
        setIcon(refs.icon, tone);
        setText(refs.name, oneLine(task.task_name) || task.task_id);
        setAttribute(refs.name, "href", taskSearch(idOf(task)));
        setAttribute(refs.name, "data-task", idOf(task));
        const time = Date.parse((task.status === "failed" && task.completed_at) || task.updated_at);
        setText(refs.state, `${summary(task)} ${tone === "stale" ? "" : ago(time)}`.trim());
        setAttribute(refs.state, "title", fullTime(time));
        const waiting = task.status === "blocked" && agent?.waiting_for;
        setText(refs.cause, clean(waiting || failure?.cause || task.message || "").trim());
        const resource = [failure?.resource_type, failure?.resource].filter(Boolean).join(" ");
        const part = failure?.part && failure.part !== task.task_name ? `in ${failure.part}` : "";
        const facts = [[resource, part].filter(Boolean).join(" "), this.projectName(task), task.earlier ? "earlier run" : ""];
        setText(refs.facts, facts.map(oneLine).filter(Boolean).join(" · "));
    }
}

/** What is the matter, in a few words. */
function summary(task) {
    if (task.stale) return `no update for ${duration(now() - Date.parse(task.updated_at))}`;
    if (task.status !== "blocked") return stateOf(task);
    return task.phase === "approval_required" ? "waits for an approval" : task.phase === "input_required" ? "waits for an answer" : "blocked";
}
