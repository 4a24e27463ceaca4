// Words for people. What comes from logs may be anything: it leaves here without what only a terminal understands.

/** Terminal sequences: colours and cursor moves, titles and links, two-character escapes. */
const TERMINAL =
    /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]{0,4096}(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-~]/g;
/** Control characters but tab and line feed, and those that turn the direction of the text around them. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** `text` without terminal sequences and control characters; lines stay. */
export function clean(text) {
    return String(text ?? "")
        .replace(TERMINAL, "")
        .replace(/\r\n?/g, "\n")
        .replace(CONTROL, "");
}

/** `text`, cleaned, on one line. */
export function oneLine(text) {
    return clean(text).replace(/\s+/g, " ").trim();
}

/** `rolling_back` as people write it. */
export function words(name) {
    return oneLine(name).replaceAll("_", " ");
}

const TYPES = { cdk_deploy: "CDK", agent_execution: "Agent", build: "Build", other: "Other" };

/** What kind of task it is. */
export function typeName(type) {
    return TYPES[type] ?? words(type);
}

export const ACTIVE = ["running", "blocked", "pending"];
export const ENDED = ["failed", "completed", "cancelled"];

/**
 * The tone of a task or a part: its status, or what is worse than that: `stale`, `rolling`. It names an icon and a
 * colour.
 */
export function tone({ status, stale, phase }) {
    if (stale) return "stale";
    if (status === "running" && phase === "rolling_back") return "rolling";
    return ACTIVE.includes(status) || ENDED.includes(status) ? status : "pending";
}

const NUMBER = new Intl.NumberFormat("en");

/** A number with its thousands apart. */
export function number(value) {
    return NUMBER.format(value);
}

/** `54 %`, or nothing while it is not known. */
export function percent(progress) {
    return progress?.percentage == null ? "" : `${progress.percentage} %`;
}

/** `14 of 26`, as far as it is known. */
export function counter(progress) {
    const { current, total } = progress ?? {};
    if (current == null) return total == null ? "" : `${number(total)} steps`;
    return total == null ? `${number(current)} done` : `${number(current)} of ${number(total)}`;
}

/** `1 task`, `2 tasks`. */
export function count(value, one, many = `${one}s`) {
    return `${number(value)} ${value === 1 ? one : many}`;
}
