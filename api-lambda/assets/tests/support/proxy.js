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
        proxy.sockets = new Set();
        proxy.hasPush = false;
        proxy.target = new URL(url);
        const server = createServer((incoming, outgoing) => proxy.handle(incoming, outgoing)).listen(0, "127.0.0.1");
        server.on("upgrade", (incoming, socket, head) => proxy.upgrade(incoming, socket, head));
        onTestEnd(t, async () => {
            proxy.cutSockets();
            server.closeAllConnections();
            server.close();
        });
        await once(server, "listening");
        proxy.url = `http://127.0.0.1:${server.address().port}`;
        return proxy;
    }

    /** What an API without live push responds. Set `hasPush` to forward WebSockets instead. */
    withoutPush(path) {
        if (this.hasPush || !/\/api\/push(\?|$)/.test(path)) return undefined;
        return { status: 200, body: JSON.stringify({ url: null, host: null, tasks: "/progress/tasks", task: null }) };
    }

    /** Forwards a WebSocket. */
    upgrade(incoming, socket, head) {
        this.requests.push({ method: "WEBSOCKET", path: incoming.url, headers: incoming.headers, at: Date.now() });
        if (this.isCut) return socket.destroy();
        const options = { host: this.target.hostname, port: this.target.port, path: incoming.url, headers: incoming.headers };
        const forwarded = request(options);
        forwarded.on("error", () => socket.destroy());
        forwarded.on("upgrade", (response, upstream, first) => {
            const lines = Object.entries(response.headers).map(([name, value]) => `${name}: ${value}\r\n`);
            socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
            socket.write(first);
            upstream.write(head);
            upstream.pipe(socket).pipe(upstream);
            this.sockets.add(socket);
            for (const one of [socket, upstream]) {
                one.on("error", () => one.destroy());
                one.on("close", () => {
                    this.sockets.delete(socket);
                    socket.destroy();
                    upstream.destroy();
                });
            }
        });
        forwarded.end();
        return undefined;
    }

    /** Cuts all WebSockets, and refuses new ones until `isCut` is false. */
    cutSockets() {
        this.isCut = true;
        for (const socket of this.sockets) socket.destroy();
    }

    async handle(incoming, outgoing) {
        const recorded = { method: incoming.method, path: incoming.url, headers: incoming.headers, at: Date.now() };
        this.requests.push(recorded);
        const response = (await this.intercept(recorded)) ?? this.withoutPush(incoming.url);
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
