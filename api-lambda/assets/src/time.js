// Moments and durations. The server's clock is the one that counts: the laptop's may be wrong.

let offset = 0;

/** Learns from an answer's `Date` how far the clock here is off; a second or two are the way it took. */
export function learnClock(date) {
    const ahead = Date.parse(date) - Date.now();
    if (Number.isFinite(ahead)) offset = Math.abs(ahead) > 3000 ? ahead : 0;
}

/** Now, in milliseconds, by the server's clock. */
export function now() {
    return Date.now() + offset;
}

/** `3 s`, `4 min`, `1 h 4 min`, `2 d 3 h`: two units at most, none below a second. */
export function duration(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 10) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    const days = Math.floor(hours / 24);
    return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** How long ago, in one unit: `now`, `12 s ago`, `3 h ago`. */
export function ago(moment) {
    const seconds = Math.round((now() - moment) / 1000);
    if (seconds < 2) return "now";
    if (seconds < 60) return `${seconds} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86_400)} d ago`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT_CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

/** `14:32:05`, in the reader's own time zone. */
export function clock(moment) {
    return CLOCK.format(moment);
}

/** `14:32:05`, or `3 Nov, 14:32` if that is not today. */
export function day(moment) {
    const isToday = new Date(moment).toDateString() === new Date(now()).toDateString();
    return isToday ? clock(moment) : `${DAY.format(moment)}, ${SHORT_CLOCK.format(moment)}`;
}

/** All of a moment, with its time zone. */
export function full(moment) {
    return FULL.format(moment);
}

/** `ETA 14:32, in 2 min`; empty where there is none. */
export function eta(task) {
    const moment = Date.parse(task.eta);
    if (!Number.isFinite(moment)) return "";
    const left = moment - now();
    const when = left < 86_400_000 ? SHORT_CLOCK.format(moment) : day(moment);
    return left < 1500 ? "any moment now" : `ETA ${when}, in ${duration(left)}`;
}
