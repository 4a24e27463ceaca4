// The page's state in its URL: the list's filters, its order and layout, or the task that is shown.

import { ACTIVE, ENDED } from "./text.js";

const STATUSES = [...ACTIVE, ...ENDED];
/** The columns by which the list can be sorted, and whether each is descending at first. */
export const COLUMNS = { start: true, duration: true, name: false, status: false };
/** Time ranges that end now, in milliseconds. */
export const RANGES = { "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000 };
export const LAYOUTS = ["cards", "table"];
/** The list without filters. */
export const NO_FILTERS = { status: [], project_id: "", task_type: "", q: "", since: "", from: "", to: "" };

/** The state in a URL's query. Unknown values and parameters are ignored. */
export function parseSearch(search) {
    const params = new URLSearchParams(search);
    const statuses = params.getAll("status").flatMap((text) => text.split(","));
    const oneOf = (values, name) => (values.includes(params.get(name)) ? params.get(name) : "");
    const time = (name) => (Number.isFinite(Date.parse(params.get(name) ?? "")) ? params.get(name) : "");
    const orders = Object.keys(COLUMNS).flatMap((column) => [column, `-${column}`]);
    const since = oneOf(Object.keys(RANGES), "since");
    return {
        task: params.get("task") || null,
        status: STATUSES.filter((status) => statuses.includes(status)),
        project_id: params.get("project_id") ?? "",
        task_type: params.get("task_type") ?? "",
        q: params.get("q") ?? "",
        since,
        from: since ? "" : time("from"),
        to: since ? "" : time("to"),
        sort: oneOf(orders, "sort"),
        view: oneOf(LAYOUTS, "view"),
    };
}

/** The query of the list with these filters, this order and this layout. */
export function listSearch({ status, ...others }) {
    const params = new URLSearchParams();
    if (status.length) params.set("status", status.join(","));
    for (const name of ["project_id", "task_type", "q", "since", "from", "to", "sort", "view"]) {
        if (others[name]) params.set(name, others[name]);
    }
    // Commas and colons need no escape, and the URL is easier to read without.
    return `?${params}`.replaceAll("%2C", ",").replaceAll("%3A", ":");
}

/** Whether any filter hides tasks. */
export function isFiltered(filters) {
    return Object.keys(NO_FILTERS).some((name) => filters[name].length > 0);
}

/** The id by which a run is found: the task's for its newest run, or the run's own. */
export function idOf(task) {
    return task.earlier ? task.run_id : task.task_id;
}

/** The query of the page of a task or of one run. */
export function taskSearch(id) {
    return `?task=${encodeURIComponent(id).replaceAll("%3A", ":").replaceAll("%40", "@")}`;
}
