// Where the parts of a run lie in time: the scale, the stretches in which nothing ran, and the critical path.

/** A stretch in which nothing ran is cut short if it is longer than this, and than this share of the whole. */
const LEAST_IDLE_MS = 30_000;
const LEAST_IDLE_SHARE = 0.08;
/** The share of the width that such a stretch still has. */
const IDLE_WIDTH = 0.03;
/** A part that begins so soon after another has ended may have waited for it. */
const HANDOVER_MS = 10_000;

/**
 * The layout of `spans`, each with `start` and `end` in milliseconds. `share(time)` is the place of a moment, from 0 to 1.
 * `idle` has the stretches that are cut short, `critical` the spans without which the run would have ended earlier.
 */
export function layout(spans) {
    const busy = busyStretches(spans);
    if (busy.length === 0) return null;
    const [from, to] = [busy[0].start, Math.max(busy.at(-1).end, busy[0].start + 1)];
    const gaps = busy.slice(1).map(({ start }, index) => ({ start: busy[index].end, end: start }));
    const isLong = ({ start, end }) => end - start > LEAST_IDLE_MS && end - start > (to - from) * LEAST_IDLE_SHARE;
    const idle = gaps.filter(isLong);
    const cut = idle.reduce((sum, { start, end }) => sum + end - start, 0);
    const perMs = (1 - idle.length * IDLE_WIDTH) / Math.max(to - from - cut, 1);
    const share = (time) => {
        let place = (Math.min(Math.max(time, from), to) - from) * perMs;
        for (const { start, end } of idle) {
            const inside = Math.min(Math.max(time - start, 0), end - start);
            place += inside * (IDLE_WIDTH / (end - start) - perMs);
        }
        return Math.min(Math.max(place, 0), 1);
    };
    return { from, to, share, idle, critical: criticalPath(spans) };
}

/** The stretches in which something ran, in their order. */
function busyStretches(spans) {
    const stretches = [];
    for (const { start, end } of spans.toSorted((one, other) => one.start - other.start)) {
        const last = stretches.at(-1);
        if (last && start <= last.end) last.end = Math.max(last.end, end);
        else stretches.push({ start, end });
    }
    return stretches;
}

/** From the last end back: each span, and the one that ended just before it began. */
function criticalPath(spans) {
    const byEnd = spans.toSorted((one, other) => other.end - one.end);
    const path = new Set();
    let next = byEnd[0];
    while (next) {
        path.add(next);
        const { start } = next;
        next = byEnd.find((span) => !path.has(span) && span.end <= start && start - span.end <= HANDOVER_MS);
    }
    return path;
}
