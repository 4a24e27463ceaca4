// The access token. The user enters it once; only this tab keeps it, until it is closed.

import { byId, setText } from "./dom.js";

const KEY = "miyabi-progress-token";
/** The scope that the page needs. */
const READ = "progress:read";

export class Session {
    constructor() {
        this.dialog = byId("token-dialog");
        this.input = byId("token");
        this.pending = null;
        byId("token-form").addEventListener("submit", (event) => {
            event.preventDefault();
            // People paste the whole header, or a line end with the token.
            const token = this.input.value.trim().replace(/^bearer\s+/i, "");
            if (!token) return;
            this.token = token;
            this.input.value = "";
            const { pending } = this;
            this.pending = null;
            this.dialog.close();
            pending?.resolve();
        });
        // Without a token there is nothing behind the dialog, so Escape does not close it. A browser closes it at the
        // second Escape all the same: then it is opened again.
        this.dialog.addEventListener("keydown", (event) => event.key === "Escape" && event.preventDefault());
        this.dialog.addEventListener("cancel", (event) => event.preventDefault());
        this.dialog.addEventListener("close", () => this.pending && this.dialog.showModal());
        byId("sign-out").addEventListener("click", () => {
            this.token = null;
            location.reload();
        });
        this.showSignOut();
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
            // Session storage may be disabled. The token is then kept in memory only.
        }
        this.showSignOut();
    }

    /**
     * Opens the sign-in dialog with this reason. `scope` is what the token lacks. The promise resolves when the user has
     * entered a token.
     */
    requestToken(reason, scope = "") {
        const scopes = [READ, ...(scope && scope !== READ ? [scope] : [])];
        setText(byId("token-scopes"), scopes.join(" "));
        setText(byId("token-command"), `scripts/token ${scopes.join(" ")}`);
        setText(byId("token-reason"), reason || "This API needs an access token.");
        this.input.toggleAttribute("data-refused", Boolean(reason));
        if (!this.pending) {
            this.pending = Promise.withResolvers?.() ?? deferred();
            this.dialog.showModal();
            this.input.focus();
        }
        return this.pending.promise;
    }

    showSignOut() {
        byId("session").hidden = !this.token;
    }
}

function deferred() {
    const parts = {};
    parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
}
