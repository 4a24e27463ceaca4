// The token of who is asking: asked for once, kept by this tab alone, and only until it is closed.

import { byId, setText } from "./dom.js";

const KEY = "miyabi-progress-token";

export class Session {
    constructor() {
        this.dialog = byId("token-dialog");
        this.input = byId("token");
        this.waiting = null;
        byId("token-form").addEventListener("submit", (event) => {
            event.preventDefault();
            // People paste the whole header, or a line end with it.
            const token = this.input.value.trim().replace(/^bearer\s+/i, "");
            if (!token) return;
            this.token = token;
            this.input.value = "";
            const { waiting } = this;
            this.waiting = null;
            this.dialog.close();
            waiting?.resolve();
        });
        // Nothing can be seen without a token: there is nothing to go back to. A browser closes a dialog at the second
        // cancel, whatever is said to that.
        this.dialog.addEventListener("keydown", (event) => event.key === "Escape" && event.preventDefault());
        this.dialog.addEventListener("cancel", (event) => event.preventDefault());
        this.dialog.addEventListener("close", () => this.waiting && this.dialog.showModal());
        byId("forget-token").addEventListener("click", () => {
            this.token = null;
            location.reload();
        });
        this.show();
    }

    get token() {
        try {
            return sessionStorage.getItem(KEY) ?? this.inMemory ?? null;
        } catch {
            return this.inMemory ?? null;
        }
    }

    set token(token) {
        this.inMemory = token;
        try {
            if (token) sessionStorage.setItem(KEY, token);
            else sessionStorage.removeItem(KEY);
        } catch {
            // Storage may be switched off: memory does until the page is left.
        }
        this.show();
    }

    /** Asks for a token, saying why; done once there is one. Asked twice, it asks once. */
    ask(reason) {
        setText(byId("token-reason"), reason || "This API wants to know.");
        this.input.toggleAttribute("data-refused", Boolean(reason));
        if (!this.waiting) {
            this.waiting = Promise.withResolvers?.() ?? deferred();
            this.dialog.showModal();
            this.input.focus();
        }
        return this.waiting.promise;
    }

    show() {
        byId("session").hidden = !this.token;
    }
}

function deferred() {
    const parts = {};
    parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
}
