// What the page shows is in its address: the filters, or one task.

import { ACTIVE, ENDED } from "./text.js";

const STATUSES = [...ACTIVE, ...ENDED];

/** What a query says is to be shown. What makes no sense in it is passed over. */
export function read(search) {
    const given = new URLSearchParams(search);
    const asked = given.getAll("status").flatMap((text) => text.split(","));
    return {
        task: given.get("task") || null,
        status: STATUSES.filter((status) => asked.includes(status)),
        project_id: given.get("project_id") ?? "",
        task_type: given.get("task_type") ?? "",
        q: given.get("q") ?? "",
    };
}

/** The query that shows the list with these filters. */
export function ofList({ status, project_id, task_type, q }) {
    const query = new URLSearchParams();
    if (status.length) query.set("status", status.join(","));
    for (const [name, value] of Object.entries({ project_id, task_type, q })) {
        if (value) query.set(name, value);
    }
    // A comma and a colon need no escape, and are easier to read without.
    return `?${query}`.replaceAll("%2C", ",").replaceAll("%3A", ":");
}

/** The query that shows one task. */
export function ofTask(id) {
    return `?task=${encodeURIComponent(id).replaceAll("%3A", ":")}`;
}
