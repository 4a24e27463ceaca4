// Requests to the API: with what is known already (ETag), who is asking (a token), and a limit of time.

import { learnClock } from "./time.js";

/** How long an answer may take. */
const TIMEOUT_MS = 10_000;
/** How many answers are kept to be asked for again. */
const MOST_KEPT = 100;

/** Why there is no answer. `kind`: `offline`, `server`, `token`, `scope`, `absent` or `refused`. */
export class ApiError extends Error {
    constructor(kind, message, { retryAfterMs = 0, cause } = {}) {
        super(message, { cause });
        this.kind = kind;
        this.retryAfterMs = retryAfterMs;
    }
}

export class Api {
    /** An API below the address `root`; `session` has the token, if there is one. */
    constructor(root, session) {
        this.root = root;
        this.session = session;
        this.kept = new Map();
    }

    /** Gets `path` with `parameters`. `changed` tells whether the answer is another one than last time. */
    async get(path, parameters, signal) {
        const url = new URL(path, this.root);
        for (const [name, value] of Object.entries(parameters ?? {})) {
            if (value) url.searchParams.set(name, value);
        }
        const kept = this.kept.get(url.href);
        const headers = { accept: "application/json" };
        if (kept?.tag) headers["if-none-match"] = kept.tag;
        const token = this.session.token;
        if (token) headers.authorization = `Bearer ${token}`;
        const { response, text } = await this.fetch(url, headers, signal);
        if (response.status === 304 && kept) return { value: kept.value, changed: false };
        if (!response.ok) throw await this.refusal(response, text, token);
        if (kept?.text === text) return { value: kept.value, changed: false };
        const value = parse(text);
        this.keep(url.href, { tag: response.headers.get("etag"), text, value });
        return { value, changed: true };
    }

    /** Forgets all answers. */
    forget() {
        this.kept.clear();
    }

    async fetch(url, headers, signal) {
        const limit = AbortSignal.timeout(TIMEOUT_MS);
        const either = signal ? AbortSignal.any([signal, limit]) : limit;
        try {
            // Nothing is left in the browser's own cache: what is known is known here.
            const response = await fetch(url, { headers, signal: either, cache: "no-store" });
            learnClock(response.headers.get("date"));
            return { response, text: await response.text() };
        } catch (error) {
            if (signal?.aborted) throw signal.reason;
            const reason = limit.aborted ? "The API does not answer." : "The API can't be reached.";
            throw new ApiError("offline", reason, { cause: error });
        }
    }

    async refusal(response, text, token) {
        const { status, headers } = response;
        const problem = parseProblem(text);
        const fields = (problem.errors ?? []).map(({ field, detail }) => `${field} ${detail}`);
        const detail = fields.join("; ") || problem.detail || `HTTP ${status}`;
        const challenge = headers.get("www-authenticate") ?? "";
        if (status === 401) {
            const refused = token && (named(challenge, "error_description") || problem.detail);
            return new ApiError("token", token ? refused || "The token was not accepted." : "");
        }
        if (status === 403) {
            const scope = named(challenge, "scope") || "progress:read";
            return new ApiError("scope", `This token lacks the scope ${scope}.`);
        }
        if (status === 404) return new ApiError("absent", detail);
        if (status === 429 || status >= 500) {
            const seconds = Number(headers.get("retry-after"));
            return new ApiError("server", detail, { retryAfterMs: seconds > 0 ? seconds * 1000 : 0 });
        }
        return new ApiError("refused", detail);
    }

    keep(href, answer) {
        this.kept.delete(href);
        this.kept.set(href, answer);
        while (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value);
    }
}

function parse(text) {
    try {
        return JSON.parse(text);
    } catch {
        // A captive portal's page, say: whatever answered is not the API.
        throw new ApiError("offline", "What answers is not the API.");
    }
}

function parseProblem(text) {
    try {
        return JSON.parse(text) ?? {};
    } catch {
        return {};
    }
}

/** The value of `name` in a `WWW-Authenticate` header. */
function named(challenge, name) {
    return new RegExp(`(?:^|[\\s,])${name}="([^"]*)"`).exec(challenge)?.[1] ?? "";
}
