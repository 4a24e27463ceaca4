// The order in which the list shows runs. It stays while somebody reads: only their content changes. What is new is
// announced, and takes its place when the reader asks for it.

import { ENDED } from "./text.js";

/** Without any input for this long, nobody reads: a wall display shows what is new by itself. */
const IDLE_MS = 60_000;
const SECTIONS = ["attention", "active", "ended"];

export class Arrangement {
    constructor() {
        this.shown = null;
        this.isDue = true;
        this.lastInputAt = performance.now();
        const onInput = () => (this.lastInputAt = performance.now());
        for (const type of ["pointermove", "pointerdown", "keydown", "wheel", "scroll", "touchmove"]) {
            addEventListener(type, onInput, { passive: true, capture: true });
        }
    }

    /** Makes the next call of `apply` use the order that is wanted. */
    renew() {
        this.isDue = true;
    }

    /**
     * The tasks to show in each section: those of `wanted` in their present order, or if that is not due, the runs that
     * are shown already. `find(id)` gives the state of a run that is in no list, or null. `news` is what is not shown.
     */
    apply(wanted, find) {
        const isEmpty = !this.shown || SECTIONS.every((name) => this.shown[name].length === 0);
        const isIdle = performance.now() - this.lastInputAt > IDLE_MS;
        const shown = this.isDue || isEmpty || isIdle ? wanted : this.keep(wanted, find);
        this.isDue = false;
        this.shown = Object.fromEntries(SECTIONS.map((name) => [name, shown[name].map(({ run_id }) => run_id)]));
        return { ...shown, news: shown === wanted ? null : this.newsIn(wanted, shown) };
    }

    keep(wanted, find) {
        const states = new Map(SECTIONS.flatMap((name) => wanted[name]).map((task) => [task.run_id, task]));
        const stateOf = (id) => states.get(id) ?? find(id);
        return Object.fromEntries(SECTIONS.map((name) => [name, this.shown[name].map(stateOf).filter(Boolean)]));
    }

    newsIn(wanted, shown) {
        const known = new Set([...this.shown.active, ...this.shown.ended]);
        const urgent = new Set(this.shown.attention);
        return {
            urgent: wanted.attention.filter(({ run_id }) => !urgent.has(run_id)),
            started: [...wanted.active, ...wanted.ended].filter(({ run_id }) => !known.has(run_id)).length,
            ended: shown.active.filter(({ status }) => ENDED.includes(status)).length,
        };
    }
}
