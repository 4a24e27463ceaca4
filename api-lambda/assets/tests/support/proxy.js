// A proxy before the API that does what a test wants of the way: refuse, delay, cut off, count.

import { once } from "node:events";
import { createServer, request } from "node:http";
import { atEnd } from "./end.js";

export class Gate {
    /** A gate before `url`, closed with the test `t`. `decide(request)` answers a response, or nothing to let through. */
    static async before(t, url, decide = () => undefined) {
        const gate = new Gate();
        gate.decide = decide;
        gate.seen = [];
        gate.target = new URL(url);
        const server = createServer((incoming, outgoing) => gate.handle(incoming, outgoing)).listen(0, "127.0.0.1");
        atEnd(t, async () => {
            server.closeAllConnections();
            server.close();
        });
        await once(server, "listening");
        gate.url = `http://127.0.0.1:${server.address().port}`;
        return gate;
    }

    async handle(incoming, outgoing) {
        const seen = { method: incoming.method, path: incoming.url, headers: incoming.headers, at: Date.now() };
        this.seen.push(seen);
        const answer = await this.decide(seen);
        if (answer === "cut") return incoming.socket.destroy();
        if (answer) {
            outgoing.writeHead(answer.status, answer.headers ?? {});
            return outgoing.end(answer.body ?? "");
        }
        const options = { host: this.target.hostname, port: this.target.port, method: incoming.method, path: this.rewrite?.(incoming.url) ?? incoming.url, headers: incoming.headers };
        const forward = request(options, (response) => {
            seen.status = response.statusCode;
            outgoing.writeHead(response.statusCode, response.headers);
            response.pipe(outgoing);
        });
        forward.on("error", () => incoming.socket.destroy());
        incoming.pipe(forward);
        return undefined;
    }
}
