// The whole system in one process (`local`), as a user runs it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { atEnd } from "./end.js";

const LOCAL = process.env.LOCAL_PROGRAM;

export class Program {
    /** Starts it on `port` (0: a free one); ended with the test `t`. Without logs it replays the sample runs. */
    static async start(t, { port = 0, logs = [], data, env = {} } = {}) {
        if (!LOCAL) throw new Error("LOCAL_PROGRAM must name the program: run scripts/browser-tests");
        const options = ["--port", String(port), "--no-redis", ...logs, ...(data ? ["--data", data] : [])];
        const program = new Program();
        const child = spawn(LOCAL, options, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
        program.child = child;
        atEnd(t, () => program.kill());
        const lines = createInterface({ input: child.stdout });
        const exited = once(child, "exit").then(([code]) => Promise.reject(new Error(`local ended with ${code}`)));
        exited.catch(() => {});
        program.url = await Promise.race([
            exited,
            new Promise((resolve) => {
                lines.on("line", (line) => {
                    const found = /http:\/\/[^ ]+/.exec(line);
                    if (line.startsWith("Miyabi Progress is on") && found) resolve(found[0]);
                });
            }),
        ]);
        program.port = Number(new URL(program.url).port);
        return program;
    }

    /** Ends it as a crash does, and waits until it is gone. */
    async kill() {
        if (this.child.exitCode != null || this.child.signalCode != null) return;
        const gone = once(this.child, "exit");
        this.child.kill("SIGKILL");
        await gone;
    }

    async call(method, path, body) {
        const response = await fetch(new URL(path, this.url), {
            method,
            headers: { "content-type": "application/json", ...(this.token && { authorization: `Bearer ${this.token}` }) },
            body: body && JSON.stringify(body),
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
        return text && JSON.parse(text);
    }

    make(task) {
        return this.call("POST", "api/tasks", { task_type: "build", ...task });
    }
}

/** A port that was free a moment ago. */
export async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
}
