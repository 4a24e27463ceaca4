// Small means to keep the page in step with the data: nodes are kept and changed, never rebuilt.

/** The element with this id. */
export function byId(id) {
    return document.getElementById(id);
}

/** A copy of the template `id`: its node, and the elements named by `data-ref`. */
export function stamp(id) {
    const node = byId(id).content.firstElementChild.cloneNode(true);
    const refs = {};
    for (const element of node.querySelectorAll("[data-ref]")) refs[element.dataset.ref] = element;
    return { node, refs };
}

/** Sets an element's text, if it is another one. Never anything but text. */
export function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, or removes it where `value` is null, if that changes anything. */
export function setAttribute(element, name, value) {
    if (value == null) {
        if (element.hasAttribute(name)) element.removeAttribute(name);
    } else if (element.getAttribute(name) !== String(value)) {
        element.setAttribute(name, value);
    }
}

/** Shows the icon of `tone` in a `<use>`. */
export function setIcon(use, tone) {
    setAttribute(use, "href", `#icon-${tone}`);
}

/**
 * Fills a progress bar. Where the percentage is not known, it says only that something is under way; assistive
 * technology hears `text` then.
 */
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

/** The children of an element, by key: kept, moved, made and removed to follow a list. */
export class Keyed {
    /** `make()` gives `{node, update}`. */
    constructor(parent, make) {
        this.parent = parent;
        this.make = make;
        this.views = new Map();
    }

    /** Shows `items` in their order; `key` tells which is which. */
    show(items, key) {
        const kept = new Map();
        let place = this.parent.firstElementChild;
        for (const item of items) {
            const id = key(item);
            const view = this.views.get(id) ?? this.make(item);
            kept.set(id, view);
            view.update(item);
            if (view.node === place) place = place.nextElementSibling;
            else move(this.parent, view.node, place);
        }
        for (const [id, view] of this.views) {
            if (!kept.has(id)) view.node.remove();
        }
        this.views = kept;
    }
}

/** Moves a node without taking the focus from what is in it. */
function move(parent, node, before) {
    if (node.isConnected && parent.moveBefore) return parent.moveBefore(node, before);
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    parent.insertBefore(node, before);
    focused?.focus({ preventScroll: true });
}
