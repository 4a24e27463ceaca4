// The page's state in its URL: the list's filters, or the task that is shown.

import { ACTIVE, ENDED } from "./text.js";

const STATUSES = [...ACTIVE, ...ENDED];

/** The state in a URL's query. Unknown statuses and parameters are ignored. */
export function parseSearch(search) {
    const params = new URLSearchParams(search);
    const statuses = params.getAll("status").flatMap((text) => text.split(","));
    return {
        task: params.get("task") || null,
        status: STATUSES.filter((status) => statuses.includes(status)),
        project_id: params.get("project_id") ?? "",
        task_type: params.get("task_type") ?? "",
        q: params.get("q") ?? "",
    };
}

/** The query of the list with these filters. */
export function listSearch({ status, project_id, task_type, q }) {
    const params = new URLSearchParams();
    if (status.length) params.set("status", status.join(","));
    for (const [name, value] of Object.entries({ project_id, task_type, q })) {
        if (value) params.set(name, value);
    }
    // Commas and colons need no escape, and the URL is easier to read without.
    return `?${params}`.replaceAll("%2C", ",").replaceAll("%3A", ":");
}

/** The id by which a run is found: the task's for its newest run, or the run's own. */
export function idOf(task) {
    return task.earlier ? task.run_id : task.task_id;
}

/** The query of the page of a task or of one run. */
export function taskSearch(id) {
    return `?task=${encodeURIComponent(id).replaceAll("%3A", ":").replaceAll("%40", "@")}`;
}
