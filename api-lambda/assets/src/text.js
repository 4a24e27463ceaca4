// Text for people. Log messages may contain anything, so all text is cleaned before it is shown.

/** Terminal sequences: colours and cursor moves, titles and links, two-character escapes. */
const TERMINAL =
    /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]{0,4096}(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-~]/g;
/** Control characters except tab and line feed, and characters that change the direction of text. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Removes terminal sequences and control characters, but keeps line ends. */
export function clean(text) {
    return String(text ?? "")
        .replace(TERMINAL, "")
        .replace(/\r\n?/g, "\n")
        .replace(CONTROL, "");
}

/** Cleans `text` and puts it on one line. */
export function oneLine(text) {
    return clean(text).replace(/\s+/g, " ").trim();
}

/** `rolling_back` becomes `rolling back`. */
export function humanize(name) {
    return oneLine(name).replaceAll("_", " ");
}

/** `text` on one line, with a capital letter and a full stop. */
export function sentence(text) {
    const line = oneLine(text);
    return line && line[0].toUpperCase() + line.slice(1) + (/[.!?…]$/.test(line) ? "" : ".");
}

const TYPES = { cdk_deploy: "CDK", agent_execution: "Agent", build: "Build", other: "Other" };

/** The name of a task type. */
export function typeName(type) {
    return TYPES[type] ?? humanize(type);
}

export const ACTIVE = ["running", "blocked", "pending"];
export const ENDED = ["failed", "completed", "cancelled", "ended"];

/** The status of a task. An end that is only assumed says so. */
export function stateOf({ status, assumed }) {
    if (status === "ended") return assumed ? "fell silent" : "ended without a word";
    return assumed ? `${status}, then silent` : status;
}

/**
 * The tone of a task or a part, which selects its icon and colour: its status, or `stale`, or `rolling` (back).
 */
export function toneOf({ status, stale, phase }) {
    if (stale) return "stale";
    if (status === "running" && phase === "rolling_back") return "rolling";
    return ACTIVE.includes(status) || ENDED.includes(status) ? status : "pending";
}

/** Why a task failed or rolls back, and in which part if its name does not say so; or else its message. On one line. */
export function reason({ failure, message, task_name }) {
    if (!failure) return oneLine(message ?? "");
    const part = failure.part && failure.part !== task_name ? `${failure.part}: ` : "";
    return oneLine(part + failure.cause);
}

const NUMBER = new Intl.NumberFormat("en");

/** A number with thousands separators. */
export function number(value) {
    return NUMBER.format(value);
}

/** A number of US dollars: `$1.20`, `$0.0042`. */
export function dollars(value) {
    const maximumFractionDigits = value < 1 ? 4 : 2;
    return new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumFractionDigits }).format(value);
}

/** `54 %`, or nothing if the percentage is unknown. */
export function percent(progress) {
    return progress?.percentage == null ? "" : `${progress.percentage} %`;
}

/** `14 of 26`, `14 done` or `26 steps`, depending on what is known. */
export function counter(progress) {
    const { current, total } = progress ?? {};
    if (current == null) return total == null ? "" : `${number(total)} steps`;
    return total == null ? `${number(current)} done` : `${number(current)} of ${number(total)}`;
}

/** `1 task`, `2 tasks`. */
export function count(value, one, many = `${one}s`) {
    return `${number(value)} ${value === 1 ? one : many}`;
}
