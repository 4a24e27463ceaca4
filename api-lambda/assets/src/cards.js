// The cards of runs in progress, with their parts.

import { KeyedList, cloneTemplate, setAttribute, setBar, setIcon, setText } from "./dom.js";
import { idOf, taskSearch } from "./search-params.js";
import { count, counter, humanize, oneLine, percent, reason, stateOf, toneOf, typeName } from "./text.js";
import { ago, duration, eta, fullTime, now } from "./time.js";

/** How many parts a card shows. */
const MAX_PARTS = 4;

/** An active task. */
export class Card {
    /** `projectName(task)` names a project, `partsOf(task)` gives the parts of a run as far as they are known. */
    constructor({ projectName, partsOf }) {
        Object.assign(this, { projectName, partsOf });
        Object.assign(this, cloneTemplate("card"));
        this.parts = new KeyedList(this.refs.parts, () => new PartBar());
    }

    update(task) {
        const { node, refs } = this;
        const tone = toneOf(task);
        setAttribute(node, "data-tone", tone);
        setAttribute(node, "data-type", task.task_type);
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
        const isRollingBack = tone === "rolling";
        setText(refs.state, staleText || (isRollingBack ? "rolling back" : isRunning ? "" : stateOf(task)));
        const step = task.current_step || task.phase || (isRunning && !staleText ? "running" : "");
        setText(refs.phase, isRollingBack ? "" : humanize(step));
        const parts = this.partsOf(task);
        setText(refs.counter, counted || partsDone(parts));
        setText(refs.eta, task.status === "running" && !task.stale ? eta(task) : "");
        setText(refs.ago, staleText ? "" : ago(Date.parse(task.updated_at)));
        setAttribute(refs.ago, "title", `Last update ${fullTime(Date.parse(task.updated_at))}`);
        const message = reason(task);
        setText(refs.message, message);
        setAttribute(refs.message, "title", message || null);
        setAttribute(refs.name, "title", message || null);
        this.showParts(parts);
        setText(refs.type, typeName(task.task_type));
        setText(refs.earlier, task.earlier ? "earlier run" : "");
        setText(refs.project, this.projectName(task));
    }

    showParts(named) {
        // The room for parts is kept free, so that cards do not grow when the parts become known.
        const all = Object.entries(named);
        // The bar of a single part would repeat the task's own bar.
        const parts = all.length > 1 ? all : [];
        const urgency = (part) => ["failed", "running", "blocked", "pending"].indexOf(part.status) >>> 0;
        const urgent = parts.toSorted(([, one], [, other]) => urgency(one) - urgency(other)).slice(0, MAX_PARTS);
        const first = parts.filter((part) => urgent.includes(part));
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
