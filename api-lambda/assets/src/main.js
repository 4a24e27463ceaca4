// The dashboard: shows the view that the URL names, and keeps it up to date.

import "./style/main.css";
import { Api } from "./api.js";
import { byId, setText } from "./dom.js";
import { listenToKeys } from "./keyboard.js";
import { ListView } from "./list-view.js";
import { Poller } from "./poller.js";
import { Push } from "./push.js";
import { changeOf } from "./recent-changes.js";
import { listSearch, parseSearch } from "./search-params.js";
import { Session } from "./session.js";
import { showOffline, showOnline, showSignedOut } from "./shell.js";
import { TaskView } from "./task-view.js";

// This script is in `assets/`, beside the API's paths. A stage or a proxy may put a path before both.
const root = new URL("../", import.meta.url);
const session = new Session();
const api = new Api(root, session);
const list = new ListView(api, (filters, replace) => navigate(listSearch(filters), replace));
const task = new TaskView(api, () => poller.refreshNow());
const push = new Push(api, session, { onMessage, onChange: onLiveChange });
const poller = new Poller(refresh, onError, () => push.isLive);
/** A page asks for what a message has left out after this time, and not more often. */
const ASK_MS = 1000;
/** The latest moment at which a page polls after live push has ended. */
const LATEST_FALLBACK_MS = 2000;
/** What live push has told since the last frame. */
const changes = [];

/** The current view. */
let view = list;
/** The list's state when the user left it: its URL, its scroll position, and the task that was opened. */
let listState = { search: "?", scroll: 0, task: null };

async function refresh(signal) {
    const refreshed = view;
    const isRunning = await refreshed.refresh(signal);
    if (refreshed !== view) return true;
    byId("list-problem").hidden = true;
    showView();
    showOnline(push.isLive, isRunning);
    view.showSummary();
    push.watch(view === task ? task.id : "");
    return isRunning;
}

/** Collects what live push tells until the browser draws the next frame. */
function onMessage(message) {
    const change = changeOf(message);
    if (!change) poller.refreshWithin(ASK_MS);
    else if (changes.push(change) === 1) requestAnimationFrame(showChanges);
}

function showChanges() {
    const { isShown, asksWithinMs } = view.receive(changes.splice(0));
    if (isShown) {
        showOnline(push.isLive, true);
        view.showSummary();
    }
    if (asksWithinMs != null) poller.refreshWithin(asksWithinMs);
}

/** Asks at once when live push begins. When it ends, all pages may do so at the same moment, and wait a little. */
function onLiveChange() {
    if (push.isLive) poller.refreshNow();
    else if (!document.hidden) poller.refreshWithin(LATEST_FALLBACK_MS * Math.random());
}

function onError(error, retryMs) {
    const { kind, message } = error;
    if (kind === "unauthenticated" || (kind === "forbidden" && session.token)) {
        showSignedOut();
        push.stop();
        return session.requestToken(message, error.scope);
    }
    if (kind === "not_found" || kind === "rejected" || kind === "forbidden") {
        showOnline(push.isLive, false);
        if (view === task) return task.showProblem(kind === "not_found" ? `There is no task ${task.id}. It was deleted, or it has expired, or the address is not whole.` : message);
        list.isReady = true;
        showView();
        byId("list-problem").hidden = false;
        setText(byId("list-problem"), message);
        return undefined;
    }
    if (!(kind === "offline" || kind === "server")) console.error(error);
    showOffline(error, retryMs);
    view.showSummary();
    return undefined;
}

/** Opens the view that the URL names. */
function open({ isBack = false } = {}) {
    const { task: id, ...filters } = parseSearch(location.search);
    const wasTask = view === task;
    view = id ? task : list;
    if (id) {
        if (!wasTask) listState = { ...listState, scroll: scrollY };
        task.open(id);
    } else {
        list.open(filters);
        listState = { ...listState, search: location.search || "?" };
    }
    byId("back").href = listState.search;
    view.show();
    showView();
    push.stop();
    if (view === list && wasTask) {
        scrollTo(0, listState.scroll);
        const opened = listState.task && document.querySelector(`a[data-task="${CSS.escape(listState.task)}"]`);
        (opened ?? byId("main")).focus({ preventScroll: true });
    } else if (view === task) {
        listState.task = id;
        if (!isBack) scrollTo(0, 0);
        byId("task-title").focus({ preventScroll: true });
    }
    poller.refreshNow();
}

/** Makes the current view visible as soon as it has content. */
function showView() {
    byId("list-view").hidden = view !== list || !list.isReady;
    byId("task-view").hidden = view !== task;
    byId("main").ariaBusy = String(view === list && !list.isReady);
    if (view === list) list.draw();
}

/** Changes the URL and opens its view. */
function navigate(search, replace = false) {
    const method = replace ? "replaceState" : "pushState";
    const url = search === "?" ? location.pathname : search;
    if (search !== location.search) history[method](null, "", url);
    open();
}

listenToKeys({
    isList: () => view === list,
    step: (offset) => list.step(offset),
    back: () => navigate(listState.search),
    openFilters: () => list.bar.focusSearch(),
});
history.scrollRestoration = "manual";
addEventListener("popstate", () => open({ isBack: true }));
document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".alert, .card, .row");
    const inBox = box && !event.target.closest("a") ? box.querySelector("a[data-task]") : null;
    // With the keys that the user holds, so that a browser opens another tab if they say so.
    if (inBox) return inBox.dispatchEvent(new MouseEvent("click", event));
    const link = event.target.closest?.('a[href^="?"]');
    const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !isPlain || event.defaultPrevented) return;
    event.preventDefault();
    navigate(link.getAttribute("href"));
});
// Relative times ("3 s ago") change even when no response arrives.
setInterval(() => document.hidden || view.show(), 1000);
open();
