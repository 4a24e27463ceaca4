// An API with many running tasks, of which each changes every second. The test makes its answers and its live push, so
// that only the browser works.

import { TestProxy } from "./proxy.js";

const json = (body) => ({ status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export class ManyTasks {
    /** Starts it in front of the API at `url`, with `count` tasks. */
    static async start(t, url, count) {
        const many = new ManyTasks();
        const began = Date.now() - 3_600_000;
        many.tasks = Array.from({ length: count }, (_, number) => {
            const run = new Date(began - number * 1000).toISOString();
            const names = { task_id: `import-${number}`, task_name: `Import of batch ${number}`, task_type: "other", message: "copying rows" };
            const times = { run, created_at: run, started_at: run, updated_at: new Date().toISOString() };
            return { ...names, ...times, run_id: `import-${number}@1`, status: "running", revision: 1, stale: false, progress: { current: 0, total: 100_000, percentage: 0 } };
        });
        many.proxy = await TestProxy.start(t, url, ({ path }) => many.respond(path));
        many.proxy.hasPush = true;
        return many;
    }

    get url() {
        return this.proxy.url;
    }

    respond(path) {
        const { pathname, searchParams } = new URL(path, "http://localhost");
        if (pathname === "/api/overview") {
            const none = { pending: 0, blocked: 0, completed: 0, failed: 0, cancelled: 0, ended: 0 };
            return json({ attention: [], counts: { ...none, total_tasks: this.tasks.length, running: this.tasks.length }, projects: [] });
        }
        if (pathname !== "/api/tasks" || !searchParams.get("status").includes("running")) return undefined;
        const from = Number(searchParams.get("cursor") ?? 0);
        const to = from + Number(searchParams.get("limit"));
        return json({ tasks: this.tasks.slice(from, to), next_cursor: to < this.tasks.length ? String(to) : null });
    }

    /** Plays the server of live push for `page`. */
    async push(page) {
        await page.routeWebSocket(/event\/realtime/, (socket) => {
            const send = (message) => socket.send(JSON.stringify(message));
            socket.onMessage((text) => {
                const { type } = JSON.parse(text);
                if (type === "connection_init") send({ type: "connection_ack", connectionTimeoutMs: 300_000 });
                if (type === "subscribe") {
                    send({ type: "subscribe_success", id: "1" });
                    this.tell = (tasks) => send({ type: "data", id: "1", event: tasks.map((task) => JSON.stringify({ task })) });
                }
            });
        });
    }

    /** Changes each task once per second for `seconds`. Resolves to the number of changes. */
    async change(seconds) {
        const steps = 25;
        const begun = performance.now();
        let told = 0;
        for (let step = 0; step < seconds * steps; step++) {
            const changed = [];
            for (let number = step % steps; number < this.tasks.length; number += steps) {
                const task = this.tasks[number];
                const current = task.progress.current + 1;
                const progress = { current, total: 100_000, percentage: Math.floor(current / 1000) };
                this.tasks[number] = { ...task, revision: task.revision + 1, updated_at: new Date().toISOString(), message: `copying rows of ${current}`, progress };
                changed.push(this.tasks[number]);
            }
            this.tell(changed);
            told += changed.length;
            await new Promise((resolve) => setTimeout(resolve, begun + ((step + 1) * 1000) / steps - performance.now()));
        }
        return told;
    }
}
