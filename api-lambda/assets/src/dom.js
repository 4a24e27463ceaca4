// Helpers that update the page in place: nodes are kept and changed, never rebuilt.

/** The element with this id. */
export function byId(id) {
    return document.getElementById(id);
}

/** A copy of the template `id`, and its elements with a `data-ref`, by that name. */
export function cloneTemplate(id) {
    const node = byId(id).content.firstElementChild.cloneNode(true);
    const refs = {};
    for (const element of node.querySelectorAll("[data-ref]")) refs[element.dataset.ref] = element;
    return { node, refs };
}

/** Sets an element's text if it differs. Text is never parsed as markup. */
export function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute if it differs, or removes it if `value` is null. */
export function setAttribute(element, name, value) {
    if (value == null) {
        if (element.hasAttribute(name)) element.removeAttribute(name);
    } else if (element.getAttribute(name) !== String(value)) {
        element.setAttribute(name, value);
    }
}

/** Makes a `<use>` show the icon of `tone`. */
export function setIcon(use, tone) {
    setAttribute(use, "href", `#icon-${tone}`);
}

/** Fills a progress bar. Without a percentage it is indeterminate, and a screen reader reads `text` instead. */
export function setBar(bar, progress, tone, text) {
    const percentage = progress?.percentage ?? null;
    setAttribute(bar, "aria-valuenow", percentage);
    setAttribute(bar, "aria-valuetext", text || null);
    setAttribute(bar, "data-tone", tone);
    setAttribute(bar, "data-unknown", percentage == null ? "" : null);
    const shift = percentage == null ? "" : `translateX(${percentage - 100}%)`;
    const fill = bar.firstElementChild;
    if (fill.style.transform !== shift) fill.style.transform = shift;
}

/** The children of an element, one for each item of a list. Each child stays with the key of its item. */
export class KeyedList {
    /** `make()` returns `{node, update}`. */
    constructor(parent, make) {
        this.parent = parent;
        this.make = make;
        this.views = new Map();
    }

    /** Shows `items` in their order; `key(item)` identifies an item. */
    show(items, key) {
        const kept = new Map();
        let next = this.parent.firstElementChild;
        for (const item of items) {
            const id = key(item);
            const view = this.views.get(id) ?? this.make(item);
            kept.set(id, view);
            view.update(item);
            if (view.node === next) next = next.nextElementSibling;
            else moveBefore(this.parent, view.node, next);
        }
        for (const [id, view] of this.views) {
            if (!kept.has(id)) view.node.remove();
        }
        this.views = kept;
    }
}

/** Moves a node, and keeps the focus if it is inside the node. */
function moveBefore(parent, node, next) {
    if (node.isConnected && parent.moveBefore) return parent.moveBefore(node, next);
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    parent.insertBefore(node, next);
    focused?.focus({ preventScroll: true });
}
