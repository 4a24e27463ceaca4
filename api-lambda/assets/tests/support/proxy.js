// An HTTP proxy in front of the API. A test uses it to answer, delay, drop or record requests.

import { once } from "node:events";
import { createServer, request } from "node:http";
import { onTestEnd } from "./cleanup.js";

export class TestProxy {
    /**
     * Starts a proxy in front of `url`; the test `t` stops it. `intercept(request)` returns a response, or `"drop"` to
     * close the connection, or nothing to forward the request.
     */
    static async start(t, url, intercept = () => undefined) {
        const proxy = new TestProxy();
        proxy.intercept = intercept;
        proxy.requests = [];
        proxy.target = new URL(url);
        const server = createServer((incoming, outgoing) => proxy.handle(incoming, outgoing)).listen(0, "127.0.0.1");
        onTestEnd(t, async () => {
            server.closeAllConnections();
            server.close();
        });
        await once(server, "listening");
        proxy.url = `http://127.0.0.1:${server.address().port}`;
        return proxy;
    }

    async handle(incoming, outgoing) {
        const recorded = { method: incoming.method, path: incoming.url, headers: incoming.headers, at: Date.now() };
        this.requests.push(recorded);
        const response = await this.intercept(recorded);
        if (response === "drop") return incoming.socket.destroy();
        if (response) {
            outgoing.writeHead(response.status, response.headers ?? {});
            return outgoing.end(response.body ?? "");
        }
        const options = { host: this.target.hostname, port: this.target.port, method: incoming.method, path: this.rewrite?.(incoming.url) ?? incoming.url, headers: incoming.headers };
        const forwarded = request(options, (response) => {
            recorded.status = response.statusCode;
            outgoing.writeHead(response.statusCode, response.headers);
            response.pipe(outgoing);
        });
        forwarded.on("error", () => incoming.socket.destroy());
        incoming.pipe(forwarded);
        return undefined;
    }
}
