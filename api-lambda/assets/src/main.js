// The page: what is in the address is shown, and kept up to date.

import "./style/main.css";
import * as address from "./address.js";
import { Api } from "./api.js";
import { byId, setText } from "./dom.js";
import * as frame from "./frame.js";
import { List } from "./list.js";
import { Poller } from "./poller.js";
import { Session } from "./session.js";
import { TaskView } from "./task.js";

// This file is in `assets/`; the API is beside that, whatever stands before it (a stage, a proxy's path).
const root = new URL("../", import.meta.url);
const session = new Session();
const api = new Api(root, session);
const list = new List(api, (filters, replace) => visit(address.ofList(filters), replace));
const task = new TaskView(api, () => poller.again());
const poller = new Poller(look, failed);

/** The view that is shown. */
let view = list;
/** Where the list was left: its address, how far it was scrolled, and which task was opened. */
let left = { search: "?", scroll: 0, task: null };

async function look(signal) {
    const looking = view;
    const isRunning = await looking.look(signal);
    if (looking !== view) return true;
    byId("list-problem").hidden = true;
    showView();
    frame.online();
    view.showCounts();
    return isRunning;
}

function failed(error, retryMs) {
    if (error.kind === "token") {
        frame.waiting();
        return session.ask(error.message);
    }
    if (error.kind === "scope" && session.token) {
        frame.waiting();
        return session.ask(error.message);
    }
    if (error.kind === "absent" || error.kind === "refused" || error.kind === "scope") {
        frame.online();
        if (view === task) return task.problem(error.kind === "absent" ? `There is no task ${task.id}.` : error.message);
        list.isReady = true;
        showView();
        byId("list-problem").hidden = false;
        setText(byId("list-problem"), error.message);
        return undefined;
    }
    if (!(error.kind === "offline" || error.kind === "server")) console.error(error);
    frame.offline(error, retryMs);
    view.showCounts();
    return undefined;
}

/** Shows what the address says. */
function open({ isBack = false } = {}) {
    const { task: id, ...filters } = address.read(location.search);
    const wasTask = view === task;
    view = id ? task : list;
    if (id) {
        if (!wasTask) left = { ...left, scroll: scrollY };
        task.open(id);
    } else {
        list.open(filters);
        left = { ...left, search: location.search || "?" };
    }
    byId("back").href = left.search;
    view.show();
    showView();
    if (view === list && wasTask) {
        scrollTo(0, left.scroll);
        const opened = left.task && document.querySelector(`a[data-task="${CSS.escape(left.task)}"]`);
        (opened ?? byId("main")).focus({ preventScroll: true });
    } else if (view === task) {
        left.task = id;
        if (!isBack) scrollTo(0, 0);
        byId("task-title").focus({ preventScroll: true });
    }
    poller.again();
}

/** Shows the view that is chosen, once it has something to show. */
function showView() {
    byId("list-view").hidden = view !== list || !list.isReady;
    byId("task-view").hidden = view !== task;
    byId("main").ariaBusy = String(view === list && !list.isReady);
}

/** Goes to another address of this page. */
function visit(search, replace = false) {
    const method = replace ? "replaceState" : "pushState";
    const url = search === "?" ? location.pathname : search;
    if (search !== location.search) history[method](null, "", url);
    open();
}

history.scrollRestoration = "manual";
addEventListener("popstate", () => open({ isBack: true }));
document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="?"]');
    const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !isPlain || event.defaultPrevented) return;
    event.preventDefault();
    visit(link.getAttribute("href"));
});
// What is said of time ("3 s ago") goes on, answer or none.
setInterval(() => document.hidden || view.show(), 1000);
open();
