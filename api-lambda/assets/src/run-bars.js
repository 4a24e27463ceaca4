// The durations of the last runs of a task, as bars.

import { KeyedList, byId, cloneTemplate, setAttribute } from "./dom.js";
import { idOf, taskSearch } from "./search-params.js";
import { tookOf, startOf } from "./table.js";
import { stateOf, toneOf } from "./text.js";
import { duration, shortTime } from "./time.js";

const MOST_BARS = 11;

let bars = null;

/** Shows the durations of `task` and of the runs before it, which are listed newest first. */
export function showRunBars(task, earlier) {
    bars ??= new KeyedList(byId("run-bars"), () => new RunBar());
    const runs = [task, ...earlier.slice(0, MOST_BARS - 1)].toReversed();
    const longest = Math.max(...runs.map((run) => tookOf(run) ?? 0), 1);
    bars.show(earlier.length ? runs.map((run) => ({ run, longest, isThis: run === task })) : [], ({ run }) => run.run_id);
}

/** A run: its height tells how long it took. */
class RunBar {
    constructor() {
        Object.assign(this, cloneTemplate("run-bar"));
    }

    update({ run, longest, isThis }) {
        const { node, refs } = this;
        const took = tookOf(run) ?? 0;
        setAttribute(node, "data-tone", toneOf(run));
        const height = `${Math.max((took / longest) * 100, 3)}%`;
        if (refs.bar.style.height !== height) refs.bar.style.height = height;
        const text = `${shortTime(startOf(run))}: ${stateOf(run)}, ${duration(took)}`;
        setAttribute(refs.link, "title", text);
        setAttribute(refs.link, "aria-label", text);
        setAttribute(refs.link, "aria-current", isThis ? "true" : null);
        setAttribute(refs.link, "href", taskSearch(idOf(run)));
    }
}
