// Keys: `/` searches, `j` and `k` go through the tasks, Enter opens one, Escape goes back, `?` shows them all.

import { byId } from "./dom.js";

/** `step(offset)` moves through the list, `back()` leaves a task; `isList()` tells whether the list is shown. */
export function listenToKeys({ step, back, openFilters, isList }) {
    const help = byId("keys-dialog");
    byId("keys").addEventListener("click", () => help.showModal());
    const keys = {
        "/": () => isList() && openFilters(),
        j: () => isList() && step(1),
        k: () => isList() && step(-1),
        "?": () => help.showModal(),
        Escape: () => {
            if (!isList()) back();
            else document.activeElement.blur();
        },
    };
    document.addEventListener("keydown", (event) => {
        const { key, target } = event;
        if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
        if (document.querySelector("dialog[open]")) return;
        const isTyping = target.closest?.("input, select, textarea");
        // The chart has keys of its own.
        if ((isTyping && key !== "Escape") || target.closest?.("[role=slider]")) return;
        if (!Object.hasOwn(keys, key)) return;
        if (isTyping || key !== "Escape") event.preventDefault();
        if (isTyping) target.blur();
        else keys[key]();
    });
}
