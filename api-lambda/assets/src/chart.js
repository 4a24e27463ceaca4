// Progress over time, drawn by uPlot; read with the pointer, the arrow keys or a screen reader.

import uPlot from "uplot";
import { byId, setAttribute, setText } from "./dom.js";
import { counter, oneLine, percent, words } from "./text.js";
import { clock, day, now } from "./time.js";

/** The chart's measures, in the page's own unit, which grows with the screen. */
const HEIGHT_REM = 14;
const FONT_REM = 0.75;

function rem(count) {
    return Math.round(count * Number.parseFloat(getComputedStyle(document.documentElement).fontSize));
}

export class Chart {
    constructor() {
        this.place = byId("chart");
        this.readout = byId("readout");
        this.entries = [];
        this.chosen = null;
        this.plot = null;
        new ResizeObserver(() => this.resize()).observe(this.place);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plot?.redraw());
        this.place.addEventListener("keydown", (event) => this.press(event));
        this.place.addEventListener("blur", () => this.choose(null));
        this.place.addEventListener("pointermove", () => (this.isByKey = false), { capture: true });
    }

    /** Draws `entries`; the last one lasts until now if the task is `open`. */
    show(entries, tone, isOpen) {
        const state = [entries[0].timestamp, entries.length, tone, isOpen].join();
        if (state === this.shown && !isOpen) return;
        this.shown = state;
        this.entries = entries;
        setAttribute(this.place, "data-tone", tone);
        const isPercent = entries.some(({ progress }) => progress.percentage != null);
        const value = ({ progress }) => (isPercent ? progress.percentage : progress.current);
        this.isEmpty = !entries.some((entry) => value(entry) != null);
        this.place.hidden = this.isEmpty;
        if (this.isEmpty) {
            setText(this.readout, "This run has not said how far it is.");
            return;
        }
        const data = [[], []];
        /** Which entry a point stands for. */
        this.points = [];
        const add = (time, number, entry) => {
            data[0].push(time / 1000);
            data[1].push(number ?? null);
            this.points.push(entry);
        };
        entries.forEach((entry, place) => {
            const isNewRun = place > 0 && entries[place - 1].run !== entry.run;
            // A gap, lest the line fall from the end of one run to the start of the next.
            if (isNewRun) add(Date.parse(entry.timestamp) - 1, null, place);
            add(Date.parse(entry.timestamp), value(entry), place);
        });
        const last = entries.length - 1;
        if (isOpen) add(Math.max(now(), Date.parse(entries[last].timestamp) + 1), value(entries[last]), last);
        if (this.plot && this.isPercent === isPercent) {
            this.plot.setData(data);
            if (this.isByKey) this.choose(this.chosen);
        } else {
            this.plot?.destroy();
            this.isPercent = isPercent;
            this.plot = this.make(data);
        }
        this.tell();
    }

    make(data) {
        const colour = (name) => () => this.colour(name);
        const axis = {
            stroke: colour("--muted"),
            grid: { stroke: colour("--line"), width: 1 },
            ticks: { show: false },
            font: `${rem(FONT_REM)}px system-ui, sans-serif`,
        };
        const options = {
            width: Math.max(this.place.clientWidth, 100),
            height: rem(HEIGHT_REM),
            padding: [12, 12, 0, 0],
            legend: { show: false },
            cursor: { y: false, drag: { x: false, y: false }, points: { size: 9, width: 2, fill: colour("--card"), stroke: colour("--tone") } },
            scales: { y: { range: this.isPercent ? [0, 100] : (_, __, most) => [0, Math.max(most * 1.1, 1)] } },
            axes: [
                { ...axis, size: rem(1.9), values: (plot, splits) => splits.map((seconds) => this.label(plot, seconds)), space: rem(5.6) },
                { ...axis, size: rem(3), values: (_, splits) => splits.map((value) => (this.isPercent ? `${value} %` : String(value))) },
            ],
            series: [
                {},
                {
                    stroke: colour("--tone"),
                    fill: colour("--tone-wash"),
                    width: 2,
                    paths: uPlot.paths.stepped({ align: 1 }),
                    points: { show: (plot) => plot.data[0].length < 3, size: 6, fill: colour("--tone") },
                },
            ],
            hooks: {
                setCursor: [
                    (plot) => {
                        // What was chosen by key stays until the pointer moves.
                        if (this.isByKey) return;
                        const place = plot.cursor.idx;
                        this.chosen = place == null ? null : this.points[place];
                        this.tell();
                    },
                ],
            },
        };
        const plot = new uPlot(options, data, this.place);
        for (const canvas of this.place.querySelectorAll("canvas")) canvas.setAttribute("aria-hidden", "true");
        return plot;
    }

    label(plot, seconds) {
        const { min, max } = plot.scales.x;
        return max - min > 86_400 ? day(seconds * 1000) : max - min > 7200 ? clock(seconds * 1000).slice(0, 5) : clock(seconds * 1000);
    }

    /** What a custom property is as a colour, in the theme of now. */
    colour(name) {
        this.probe ??= this.place.appendChild(document.createElement("i"));
        this.probe.style.color = `var(${name})`;
        return getComputedStyle(this.probe).color;
    }

    resize() {
        const width = this.place.clientWidth;
        if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: rem(HEIGHT_REM) });
    }

    press(event) {
        const last = this.entries.length - 1;
        const from = this.chosen ?? last;
        const steps = { ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1, PageDown: from - 10, PageUp: from + 10, Home: 0, End: last };
        if (event.key === "Escape" && this.chosen != null) return this.choose(null);
        const to = steps[event.key];
        if (to === undefined || this.isEmpty) return;
        event.preventDefault();
        this.choose(Math.min(Math.max(to, 0), last));
    }

    /** Puts the cursor on an entry, or takes it away. */
    choose(place) {
        this.chosen = place;
        this.isByKey = place != null;
        if (this.plot && !this.isEmpty) {
            const [times, values] = this.plot.data;
            const point = this.points.findIndex((entry, at) => entry === place && values[at] != null);
            const left = point < 0 ? -10 : this.plot.valToPos(times[point], "x");
            this.plot.setCursor({ left, top: point < 0 ? -10 : this.plot.valToPos(values[point], "y") });
        }
        this.tell();
    }

    /** Says what stands at the cursor, or else at the end. */
    tell() {
        const last = this.entries.length - 1;
        const place = Math.min(this.chosen ?? last, last);
        const entry = this.entries[place];
        const facts = [day(Date.parse(entry.timestamp)), percent(entry.progress), counter(entry.progress), words(entry.phase ?? entry.status)];
        const text = facts.filter(Boolean).join(" · ");
        const message = this.chosen == null ? "" : oneLine(entry.message ?? "");
        setText(this.readout, message ? `${text} · ${message}` : text);
        setAttribute(this.place, "aria-valuemax", last);
        setAttribute(this.place, "aria-valuenow", place);
        setAttribute(this.place, "aria-valuetext", text);
    }
}
