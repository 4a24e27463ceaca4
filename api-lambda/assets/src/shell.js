// Everything around the views: the tab's title and icon, the header's counts, the connection status, announcements.

import { byId, setText } from "./dom.js";
import { number } from "./text.js";
import { clock, duration, now } from "./time.js";

const NAME = "Miyabi Progress";
/** The icon's colours, which suit light and dark browsers. */
const COLOURS = { failed: "#b3372f", running: "#335f9c", offline: "#6b7280" };

/** Shows in the header, the title and the icon how many tasks run, wait, and have failed recently. */
export function showCounts(counts) {
    byId("summary").hidden = false;
    const texts = [];
    for (const [name, value] of Object.entries(counts)) {
        setText(byId(`count-${name}`), number(value));
        byId(`summary-${name}`).hidden = value === 0 && name !== "running" && name !== "failed";
        byId(`summary-${name}`).toggleAttribute("data-none", value === 0);
        if (value && (name === "running" || name === "failed")) texts.push(`${number(value)} ${name}`);
    }
    setTitle(texts.length ? `${texts.join(", ")} · ${NAME}` : NAME);
    const { running, failed } = counts;
    drawFavicon(running || failed ? String(running || failed) : "", failed ? "failed" : "running");
}

/** Shows the progress of one task in the title and the icon. */
export function showTask(name, percentage, status) {
    byId("summary").hidden = true;
    const isKnown = status === "running" && percentage != null;
    setTitle(`${isKnown ? `${percentage} %` : status} · ${name} · ${NAME}`);
    drawFavicon(isKnown ? String(percentage) : "", status === "failed" ? "failed" : "running");
}

function setTitle(text) {
    if (document.title !== text) document.title = text;
}

let shownFavicon = "";

/** Draws the tab's icon: up to three characters on a colour, or the logo if `text` is empty. */
function drawFavicon(text, colour) {
    const fill = COLOURS[document.documentElement.dataset.offline === undefined ? colour : "offline"];
    const favicon = `${text}|${fill}`;
    if (favicon === shownFavicon) return;
    shownFavicon = favicon;
    const short = text.length > 3 ? "99+" : text;
    const size = short.length > 2 ? 14 : 19;
    const content = short
        ? `<text x="16" y="${16 + size * 0.36}" font-family="system-ui,sans-serif" font-weight="700" font-size="${size}" text-anchor="middle" fill="#fff">${short}</text>`
        : '<path d="M7 22.5h18M7 16h11M7 9.5h15" stroke="#fff" stroke-width="3" stroke-linecap="round"/>';
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="${fill}"/>${content}</svg>`;
    byId("favicon").href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

let lastSuccess = null;

/** Shows that the page is up to date, and how it stays so. */
export function showOnline(isLive, isRunning) {
    lastSuccess = Date.now();
    const root = document.documentElement;
    if (root.dataset.offline !== undefined) {
        delete root.dataset.offline;
        setText(byId("offline-text"), "");
        announce("Back online.");
    }
    byId("connection").dataset.state = "live";
    setText(byId("connection-text"), isLive ? "Live" : isRunning ? "Every second" : "Every 5 s");
    setText(byId("updated-at"), `Updated at ${clock(now())}`);
}

/** Shows why the page is out of date, and since when. */
export function showOffline(error, retryMs) {
    const root = document.documentElement;
    const status = error.kind === "server" ? "API error" : "Offline";
    const age = lastSuccess ? ` Showing what was loaded at ${clock(lastSuccess)}.` : "";
    root.dataset.offline = "";
    // This text stays the same between attempts, because a screen reader reads each change aloud.
    setText(byId("offline-text"), `${status}. ${error.message}${age}`);
    byId("connection").dataset.state = "offline";
    setText(byId("connection-text"), `${status}. Next try in ${duration(Math.max(retryMs, 1000))}`);
}

/** Shows that the page waits for the user to sign in. */
export function showSignedOut() {
    byId("connection").dataset.state = "signed-out";
    setText(byId("connection-text"), "Not signed in");
}

/** Announcements are collected this long, so that a screen reader reads them together. */
const ANNOUNCE_MS = 2000;
const queue = [];
let announcing = null;

/** Makes a screen reader read `text` aloud. */
export function announce(text) {
    queue.push(text);
    announcing ??= setTimeout(() => {
        const texts = queue.splice(0);
        const more = texts.length > 3 ? ` And ${texts.length - 3} more.` : "";
        byId("announcer").textContent = texts.slice(0, 3).join(" ") + more;
        announcing = null;
    }, ANNOUNCE_MS);
}
