// The filters of the list: a search, and behind one button on phones all others.

import { byId, setAttribute, setText } from "./dom.js";
import { NO_FILTERS, isFiltered } from "./search-params.js";

/** The pause in typing after which the search applies. */
const TYPING_MS = 250;
const CUSTOM = "custom";

export class FilterBar {
    /** `onChange(changes, replace)` is called with the filters that the user changes. */
    constructor(onChange) {
        this.filters = null;
        const panel = byId("filter-panel");
        byId("status-chips").addEventListener("click", ({ target }) => {
            const { status } = target.dataset;
            if (!status) return;
            const selected = this.filters.status;
            const others = selected.filter((other) => other !== status);
            onChange({ status: others.length < selected.length ? others : [...selected, status] });
        });
        byId("type-filter").addEventListener("change", ({ target }) => onChange({ task_type: target.value }));
        byId("time-filter").addEventListener("change", ({ target }) => {
            this.isCustom = target.value === CUSTOM;
            byId("custom-range").hidden = !this.isCustom;
            if (this.isCustom) byId("from-filter").focus();
            else onChange({ since: target.value, from: "", to: "" });
        });
        for (const name of ["from", "to"]) {
            byId(`${name}-filter`).addEventListener("change", ({ target }) => {
                const time = target.value ? new Date(target.value) : null;
                onChange({ since: "", [name]: time && Number.isFinite(time.getTime()) ? time.toISOString() : "" });
            });
        }
        byId("name-filter").addEventListener("input", ({ target }) => {
            clearTimeout(this.typing);
            this.typing = setTimeout(() => onChange({ q: target.value.trim() }, true), TYPING_MS);
        });
        byId("filters").addEventListener("submit", (event) => event.preventDefault());
        byId("clear-filters").addEventListener("click", () => {
            this.isCustom = false;
            onChange(NO_FILTERS);
            byId("name-filter").focus();
        });
        byId("filter-toggle").addEventListener("click", () => this.toggle());
        byId("filter-close").addEventListener("click", () => this.toggle(false));
        panel.addEventListener("keydown", (event) => {
            if (event.key !== "Escape" || !this.isOpen) return;
            event.stopPropagation();
            this.toggle(false);
        });
    }

    get isOpen() {
        return byId("filters").dataset.open !== undefined;
    }

    /** Opens or closes the filters on a phone. */
    toggle(isOpen = !this.isOpen) {
        byId("filters").toggleAttribute("data-open", isOpen);
        setAttribute(byId("filter-toggle"), "aria-expanded", isOpen);
        (isOpen ? byId("name-filter") : byId("filter-toggle")).focus({ preventScroll: true });
    }

    /** Puts the focus into the search. */
    focusSearch() {
        if (byId("filter-toggle").offsetParent) this.toggle(true);
        byId("name-filter").focus();
    }

    /** Forgets a search that is typed but does not apply yet. */
    forgetTyping() {
        clearTimeout(this.typing);
    }

    /** Shows these filters. */
    show(filters) {
        this.filters = filters;
        const { status, task_type, q, since, from, to } = filters;
        for (const chip of byId("status-chips").children) {
            setAttribute(chip, "aria-pressed", status.includes(chip.dataset.status));
        }
        byId("type-filter").value = task_type;
        this.isCustom = Boolean(from || to) || (this.isCustom && !since);
        byId("time-filter").value = this.isCustom ? CUSTOM : since;
        byId("custom-range").hidden = !this.isCustom;
        byId("from-filter").value = localTime(from);
        byId("to-filter").value = localTime(to);
        const name = byId("name-filter");
        if (document.activeElement !== name || !name.value.trim().startsWith(q)) name.value = q;
        byId("clear-filters").disabled = !isFiltered(filters);
        const used = [status.length, task_type, q, filters.project_id, since || from || to].filter(Boolean).length;
        setText(byId("filter-count"), used ? ` (${used})` : "");
    }
}

/** A time as an input of the type `datetime-local` has it. */
function localTime(text) {
    if (!text) return "";
    const time = new Date(text);
    return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
