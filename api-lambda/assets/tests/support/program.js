// The program `local`, run as a user runs it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestEnd } from "./cleanup.js";

const LOCAL = process.env.LOCAL_PROGRAM;

/** A running process of `local`. */
class LocalProcess {
    /**
     * Starts `local` with `args`, and waits for the first line of its output in which `find(line)` finds something.
     * The process is killed at the end of the test `t`.
     */
    async spawn(t, args, env, find) {
        if (!LOCAL) throw new Error("set LOCAL_PROGRAM to the path of the program `local`, or run scripts/browser-tests");
        this.child = spawn(LOCAL, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
        onTestEnd(t, () => this.kill());
        const lines = createInterface({ input: this.child.stdout });
        const exited = once(this.child, "exit").then(([code]) => Promise.reject(new Error(`local exited with ${code}`)));
        exited.catch(() => {});
        const found = new Promise((resolve) => {
            lines.on("line", (line) => {
                const found = find(line);
                if (found) resolve(found);
            });
        });
        return Promise.race([exited, found]);
    }

    /** Kills the process, as a crash does, and waits until it is gone. */
    async kill() {
        if (this.child.exitCode != null || this.child.signalCode != null) return;
        const gone = once(this.child, "exit");
        this.child.kill("SIGKILL");
        await gone;
    }
}

/** `local serve`: the whole system in one process. */
export class Program extends LocalProcess {
    /** Starts it on `port` (0: a free one). Without `logs` it replays the sample runs. */
    static async start(t, { port = 0, logs = [], options = [], data, env = {} } = {}) {
        const program = new Program();
        const args = ["--port", String(port), "--no-redis", ...logs, ...options, ...(data ? ["--data", data] : [])];
        program.url = await program.spawn(t, args, env, (line) => line.startsWith("Miyabi Progress is on") && /http:\/\/[^ ]+/.exec(line)?.[0]);
        program.port = Number(new URL(program.url).port);
        return program;
    }

    /** Calls the API, and gives the JSON of its response. */
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

    /** Creates a task. */
    createTask(task) {
        return this.call("POST", "api/tasks", { task_type: "build", ...task });
    }
}

/** `local services`: DynamoDB and Redis for `cargo lambda watch`. */
export class Services extends LocalProcess {
    /** Starts them on free ports, and reads `environment`, which the functions would get. */
    static async start(t) {
        const services = new Services();
        const file = join(await mkdtemp(join(tmpdir(), "miyabi-")), "local.env");
        await services.spawn(t, ["services", "--dynamodb-port", "0", "--redis-port", "0", "--env-file", file], {}, (line) => line.includes("Ctrl-C"));
        const lines = (await readFile(file, "utf8")).split("\n").filter(Boolean);
        services.environment = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
        return services;
    }
}
