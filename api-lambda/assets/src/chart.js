// The chart of progress over time, drawn by uPlot. It works with a pointer, with the arrow keys and with a screen reader.

import uPlot from "uplot";
import { byId, setAttribute, setText } from "./dom.js";
import { counter, humanize, oneLine, percent } from "./text.js";
import { clock, now, shortTime } from "./time.js";

/** Sizes in rem, because the page's font size grows with the screen. */
const HEIGHT_REM = 14;
const FONT_REM = 0.75;

/** `value` rem in pixels. */
function rem(value) {
    return Math.round(value * Number.parseFloat(getComputedStyle(document.documentElement).fontSize));
}

export class Chart {
    constructor() {
        this.element = byId("chart");
        this.readout = byId("readout");
        this.entries = [];
        this.selected = null;
        this.plot = null;
        new ResizeObserver(() => this.resize()).observe(this.element);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plot?.redraw());
        this.element.addEventListener("keydown", (event) => this.onKey(event));
        this.element.addEventListener("blur", () => this.select(null));
        this.element.addEventListener("pointermove", () => (this.isByKey = false), { capture: true });
    }

    /** Draws `entries`. If the run is open, the line goes on from the last entry until now. */
    show(entries, tone, isOpen) {
        const state = [entries[0].timestamp, entries.at(-1).timestamp, entries.length, tone, isOpen].join();
        if (state === this.shown && !isOpen) return;
        this.shown = state;
        this.entries = entries;
        setAttribute(this.element, "data-tone", tone);
        const isPercent = entries.some(({ progress }) => progress.percentage != null);
        const value = ({ progress }) => (isPercent ? progress.percentage : progress.current);
        this.isEmpty = !entries.some((entry) => value(entry) != null);
        this.element.hidden = this.isEmpty;
        if (this.isEmpty) {
            setText(this.readout, "This run has reported no progress.");
            return;
        }
        const data = [[], []];
        /** The index of the entry of each point. */
        this.points = [];
        const addPoint = (time, number, index) => {
            data[0].push(time / 1000);
            data[1].push(number ?? null);
            this.points.push(index);
        };
        entries.forEach((entry, index) => {
            addPoint(Date.parse(entry.timestamp), value(entry), index);
        });
        const last = entries.length - 1;
        if (isOpen) addPoint(Math.max(now(), Date.parse(entries[last].timestamp) + 1), value(entries[last]), last);
        if (this.plot && this.isPercent === isPercent) {
            this.plot.setData(data);
            if (this.isByKey) this.select(this.selected);
        } else {
            this.plot?.destroy();
            this.isPercent = isPercent;
            this.plot = this.createPlot(data);
        }
        this.showReadout();
    }

    createPlot(data) {
        const colour = (name) => () => this.colour(name);
        const axis = {
            stroke: colour("--muted"),
            grid: { stroke: colour("--line"), width: 1 },
            ticks: { show: false },
            font: `${rem(FONT_REM)}px system-ui, sans-serif`,
        };
        const options = {
            width: Math.max(this.element.clientWidth, 100),
            height: rem(HEIGHT_REM),
            // Room for half of the last label of the time axis.
            padding: [12, rem(2.6), 0, 0],
            legend: { show: false },
            cursor: { y: false, drag: { x: false, y: false }, points: { size: 9, width: 2, fill: colour("--card"), stroke: colour("--tone") } },
            scales: { y: { range: this.isPercent ? [0, 100] : (_, __, max) => [0, Math.max(max * 1.1, 1)] } },
            axes: [
                { ...axis, size: rem(1.9), values: (plot, splits) => splits.map((seconds) => this.axisLabel(plot, seconds)), space: rem(5.6) },
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
                        // An entry selected by key stays selected until the pointer moves.
                        if (this.isByKey) return;
                        const point = plot.cursor.idx;
                        this.selected = point == null ? null : this.points[point];
                        this.showReadout();
                    },
                ],
            },
        };
        const plot = new uPlot(options, data, this.element);
        for (const canvas of this.element.querySelectorAll("canvas")) canvas.setAttribute("aria-hidden", "true");
        return plot;
    }

    /** A label of the time axis: with the date if the axis spans days, without seconds if it spans hours. */
    axisLabel(plot, seconds) {
        const { min, max } = plot.scales.x;
        return max - min > 86_400 ? shortTime(seconds * 1000) : max - min > 7200 ? clock(seconds * 1000).slice(0, 5) : clock(seconds * 1000);
    }

    /** The colour of a custom property in the current theme. */
    colour(name) {
        this.probe ??= this.element.appendChild(document.createElement("i"));
        this.probe.style.color = `var(${name})`;
        return getComputedStyle(this.probe).color;
    }

    resize() {
        const width = this.element.clientWidth;
        if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: rem(HEIGHT_REM) });
    }

    onKey(event) {
        const last = this.entries.length - 1;
        const from = this.selected ?? last;
        const targets = { ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1, PageDown: from - 10, PageUp: from + 10, Home: 0, End: last };
        if (event.key === "Escape" && this.selected != null) return this.select(null);
        const to = targets[event.key];
        if (to === undefined || this.isEmpty) return;
        event.preventDefault();
        this.select(Math.min(Math.max(to, 0), last));
    }

    /** Moves the cursor to the entry at `index`, or hides it if that is null. */
    select(index) {
        this.selected = index;
        this.isByKey = index != null;
        if (this.plot && !this.isEmpty) {
            const [times, values] = this.plot.data;
            const point = this.points.findIndex((entry, point) => entry === index && values[point] != null);
            const left = point < 0 ? -10 : this.plot.valToPos(times[point], "x");
            this.plot.setCursor({ left, top: point < 0 ? -10 : this.plot.valToPos(values[point], "y") });
        }
        this.showReadout();
    }

    /** Shows the selected entry as text, or the last one if none is selected. */
    showReadout() {
        const last = this.entries.length - 1;
        const index = Math.min(this.selected ?? last, last);
        const entry = this.entries[index];
        const values = [shortTime(Date.parse(entry.timestamp)), percent(entry.progress), counter(entry.progress), humanize(entry.phase ?? entry.status)];
        const text = values.filter(Boolean).join(" · ");
        const message = this.selected == null ? "" : oneLine(entry.message ?? "");
        setText(this.readout, message ? `${text} · ${message}` : text);
        setAttribute(this.element, "aria-valuemax", last);
        setAttribute(this.element, "aria-valuenow", index);
        setAttribute(this.element, "aria-valuetext", text);
    }
}
