// GET requests to the API, with ETags, a bearer token and a timeout.

import { sentence } from "./text.js";
import { syncClock } from "./time.js";

const TIMEOUT_MS = 10_000;
/** How many responses are kept for conditional requests. */
const CACHE_SIZE = 100;

/**
 * A request that failed. `kind` is `offline`, `server`, `unauthenticated`, `forbidden`, `not_found` or `rejected`. `scope`
 * is what a token must have.
 */
export class ApiError extends Error {
    constructor(kind, message, { retryAfterMs = 0, scope = "", cause } = {}) {
        super(message, { cause });
        this.kind = kind;
        this.retryAfterMs = retryAfterMs;
        this.scope = scope;
    }
}

export class Api {
    /** A client of the API below the URL `root`; `session` holds the access token, if any. */
    constructor(root, session) {
        this.root = root;
        this.session = session;
        this.cache = new Map();
    }

    /** Gets `path` with these query parameters. `changed` is false if the last response had the same value. */
    async get(path, params, signal) {
        const url = new URL(path, this.root);
        for (const [name, value] of Object.entries(params ?? {})) {
            if (value) url.searchParams.set(name, value);
        }
        const cached = this.cache.get(url.href);
        const headers = { accept: "application/json" };
        if (cached?.etag) headers["if-none-match"] = cached.etag;
        const token = this.session.token;
        if (token) headers.authorization = `Bearer ${token}`;
        const { response, text } = await this.fetch(url, headers, signal);
        if (response.status === 304 && cached) return { value: cached.value, changed: false };
        if (!response.ok) throw toError(response, text, token);
        if (cached?.text === text) return { value: cached.value, changed: false };
        const value = parseJson(text);
        this.store(url.href, { etag: response.headers.get("etag"), text, value });
        return { value, changed: true };
    }

    async fetch(url, headers, signal) {
        const timeout = AbortSignal.timeout(TIMEOUT_MS);
        const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
        try {
            // This class is the only cache: the browser's own would store tasks on disk.
            const response = await fetch(url, { headers, signal: either, cache: "no-store" });
            syncClock(response.headers.get("date"));
            return { response, text: await response.text() };
        } catch (error) {
            if (signal?.aborted) throw signal.reason;
            const reason = timeout.aborted ? "The API did not respond in time." : "The API can't be reached.";
            throw new ApiError("offline", reason, { cause: error });
        }
    }

    store(href, entry) {
        this.cache.delete(href);
        this.cache.set(href, entry);
        while (this.cache.size > CACHE_SIZE) this.cache.delete(this.cache.keys().next().value);
    }
}

/** The error that a response with a 4xx or 5xx status stands for. */
function toError(response, text, token) {
    const { status, headers } = response;
    const problem = parseProblem(text);
    const fieldErrors = (problem.errors ?? []).map(({ field, detail }) => `${field} ${detail}`);
    const detail = fieldErrors.join("; ") || sentence(problem.detail ?? "") || `The API responded with HTTP ${status}.`;
    const challenge = headers.get("www-authenticate") ?? "";
    if (status === 401) {
        const reason = challengeParam(challenge, "error_description") || problem.detail || "the API rejected the token";
        return new ApiError("unauthenticated", token ? sentence(reason) : "");
    }
    if (status === 403) {
        const scope = challengeParam(challenge, "scope") || "progress:read";
        return new ApiError("forbidden", `This token does not have the scope ${scope}.`, { scope });
    }
    if (status === 404) return new ApiError("not_found", detail);
    if (status === 429 || status >= 500) {
        const seconds = Number(headers.get("retry-after"));
        return new ApiError("server", detail, { retryAfterMs: seconds > 0 ? seconds * 1000 : 0 });
    }
    return new ApiError("rejected", detail);
}

function parseJson(text) {
    try {
        return JSON.parse(text);
    } catch {
        // For example the login page of a hotel's Wi-Fi.
        throw new ApiError("offline", "Another server answered in place of the API.");
    }
}

function parseProblem(text) {
    try {
        return JSON.parse(text) ?? {};
    } catch {
        return {};
    }
}

/** The parameter `name` of a `WWW-Authenticate` header. */
function challengeParam(challenge, name) {
    return new RegExp(`(?:^|[\\s,])${name}="([^"]*)"`).exec(challenge)?.[1] ?? "";
}
