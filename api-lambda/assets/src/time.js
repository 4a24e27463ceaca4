// Times and durations. They are relative to the server's clock, because the clock of this machine may be wrong.

/** How far the server's clock may differ from the local one before it is used, in milliseconds. */
const TOLERANCE_MS = 3000;

let offset = 0;

/** Compares the local clock with a response's `Date`, which is a second or two old when it arrives. */
export function syncClock(date) {
    const difference = Date.parse(date) - Date.now();
    if (Number.isFinite(difference)) offset = Math.abs(difference) > TOLERANCE_MS ? difference : 0;
}

/** The time now by the server's clock, in milliseconds. */
export function now() {
    return Date.now() + offset;
}

/** `3 s`, `4 min`, `1 h 4 min`, `2 d 3 h`: at most two units. */
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

/** `now`, `12 s ago`, `3 h ago`: one unit. */
export function ago(time) {
    const seconds = Math.round((now() - time) / 1000);
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

/** `14:32:05` in the local time zone. */
export function clock(time) {
    return CLOCK.format(time);
}

/** `14:32:05` if that is today, otherwise `3 Nov, 14:32`. */
export function shortTime(time) {
    const isToday = new Date(time).toDateString() === new Date(now()).toDateString();
    return isToday ? clock(time) : `${DAY.format(time)}, ${SHORT_CLOCK.format(time)}`;
}

/** Date, time and time zone. */
export function fullTime(time) {
    return FULL.format(time);
}

/** `in 2 min`, or nothing if the task has no ETA. */
export function timeLeft(task) {
    const left = Date.parse(task.eta) - now();
    return Number.isFinite(left) ? (left < 1500 ? "any moment" : `in ${duration(left)}`) : "";
}

/** `ETA 14:32, in 2 min`, or nothing if the task has no ETA. */
export function eta(task) {
    const time = Date.parse(task.eta);
    if (!Number.isFinite(time)) return "";
    const left = time - now();
    const when = left < 86_400_000 ? SHORT_CLOCK.format(time) : shortTime(time);
    return left < 1500 ? "any moment now" : `ETA ${when}, in ${duration(left)}`;
}
