// Live push: changes of tasks over a WebSocket, by the protocol of AppSync Events. Messages may be lost, late or doubled,
// so the page also asks the API: at once after each connection, and now and then.

import { now } from "./time.js";

const SUBPROTOCOL = "aws-appsync-event-ws";
/** How long a connection may take until its subscription. Until then, the page polls. */
const CONNECT_MS = 5000;
/** The longest silence of a connection. The server gives a sign of life every minute. */
const MAX_SILENCE_MS = 90_000;
const FIRST_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 60_000;
/** The longest time that a timer of a browser takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** AppSync refuses an empty token. */
const NO_TOKEN = "none";

export class Push {
    /**
     * `onMessage(message)` gets each message of the channel. `onChange()` is called when the connection begins or ends
     * to be live.
     */
    constructor(api, session, { onMessage, onChange }) {
        Object.assign(this, { api, session, onMessage, onChange });
        this.isLive = false;
        this.failures = 0;
        document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.reconnect()));
        addEventListener("online", () => this.reconnect());
        addEventListener("pagehide", () => this.close());
        addEventListener("pageshow", (event) => event.persisted && this.reconnect());
    }

    /** Watches all tasks, or the runs of the task `id`. */
    watch(id) {
        if (this.isWatching && id === this.id) return;
        Object.assign(this, { id, isWatching: true });
        this.reconnect();
    }

    /** Watches nothing any more. */
    stop() {
        this.isWatching = false;
        this.close();
    }

    /** Connects again at once. */
    reconnect() {
        this.failures = 0;
        this.close();
        if (this.isWatching && !document.hidden) this.connect();
    }

    /** Closes the connection, and makes no other one. */
    close() {
        clearTimeout(this.retry);
        clearTimeout(this.watchdog);
        clearTimeout(this.expiry);
        this.abort?.abort();
        this.abort = null;
        if (this.socket) end(this.socket);
        this.socket = null;
        this.setLive(false);
    }

    async connect() {
        const abort = new AbortController();
        this.abort = abort;
        let place;
        try {
            ({ value: place } = await this.api.get("api/push", { task_id: this.id }, abort.signal));
        } catch (error) {
            // A reader without a valid token is asked for one by the poller, an old API has no push.
            if (this.abort === abort && (error.kind === "offline" || error.kind === "server")) this.connectLater();
            return;
        }
        if (this.abort !== abort || !place.url) return;
        this.open(place);
    }

    open({ url, host, tasks, task }) {
        const address = new URL(url, this.api.root);
        address.protocol = address.protocol.replace("http", "ws");
        const authorization = { host: host ?? location.host, Authorization: this.session.token ?? NO_TOKEN };
        const socket = new WebSocket(address, [SUBPROTOCOL, `header-${base64Url(JSON.stringify(authorization))}`]);
        this.socket = socket;
        this.expectWithin(CONNECT_MS);
        // AppSync lets a connection go on when its token has expired.
        const leftMs = expiryOf(this.session.token) - now();
        this.expiry = setTimeout(() => this.lost(), Math.min(leftMs, MAX_TIMER_MS));
        const send = (message) => socket.send(JSON.stringify(message));
        socket.onopen = () => send({ type: "connection_init" });
        socket.onclose = () => this.lost();
        socket.onmessage = ({ data }) => {
            const message = parse(data);
            if (this.isLive || message.type === "subscribe_success") this.expectWithin(MAX_SILENCE_MS);
            if (message.type === "connection_ack") {
                send({ type: "subscribe", id: "1", channel: task ?? tasks, authorization });
            } else if (message.type === "subscribe_success") {
                this.failures = 0;
                this.setLive(true);
            } else if (message.type === "data") {
                // AppSync sends one event as a text; a list of them is its older form.
                for (const event of [message.event].flat()) this.onMessage(parse(event));
            } else if (/error$/.test(message.type)) {
                this.lost();
            }
        };
    }

    /** Takes the connection for lost if nothing is heard of it for this long. */
    expectWithin(ms) {
        clearTimeout(this.watchdog);
        this.watchdog = setTimeout(() => this.lost(), ms);
    }

    lost() {
        this.close();
        this.connectLater();
    }

    connectLater() {
        this.failures += 1;
        const backoff = Math.min(FIRST_BACKOFF_MS * 2 ** (this.failures - 1), MAX_BACKOFF_MS);
        // So that not all pages come back at the same moment.
        this.retry = setTimeout(() => document.hidden || this.connect(), backoff * (0.5 + Math.random()));
    }

    setLive(isLive) {
        if (isLive === this.isLive) return;
        this.isLive = isLive;
        this.onChange();
    }
}

/** Closes a socket. One that still connects is closed afterwards, because browsers log it as a failure otherwise. */
function end(socket) {
    socket.onmessage = null;
    socket.onclose = null;
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
}

/** When a token expires, in milliseconds since 1970; `Infinity` if it does not say so. */
function expiryOf(token) {
    const { exp } = parse(decodeBase64Url(token?.split(".")[1] ?? ""));
    return Number.isFinite(exp) ? exp * 1000 : Infinity;
}

function decodeBase64Url(text) {
    try {
        return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    } catch {
        return "";
    }
}

/** The value of a JSON text, or an empty object. */
function parse(text) {
    try {
        return JSON.parse(text) ?? {};
    } catch {
        return {};
    }
}

/** The text in base64url without padding. A token is ASCII. */
function base64Url(text) {
    return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
