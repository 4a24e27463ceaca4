// What is around the views: the title, the icon, the counts, and how the page stands with the API.

import { byId, setText } from "./dom.js";
import { clock, duration, now } from "./time.js";

const NAME = "Miyabi Progress";
/** Which colours the icon has, in light and dark browsers alike. */
const COLOURS = { calm: "#335f9c", failed: "#b3372f", running: "#335f9c", offline: "#6b7280" };

/** Says in the tab's title and icon how many tasks run, and how many failed lately. */
export function showCounts({ running, failed, stale }) {
    byId("summary").hidden = false;
    setText(byId("count-running"), running);
    setText(byId("count-failed"), failed);
    setText(byId("count-stale"), String(stale));
    byId("summary-stale").hidden = !stale;
    byId("summary-failed").toggleAttribute("data-none", failed === "0");
    const counts = [];
    if (running !== "0") counts.push(`${running} running`);
    if (failed !== "0") counts.push(`${failed} failed`);
    title(counts.length ? `${counts.join(", ")} · ${NAME}` : NAME);
    const colour = failed === "0" ? "running" : "failed";
    icon(running === "0" ? (failed === "0" ? "" : failed) : running, colour);
}

/** Says in the tab's title and icon how a single task stands. */
export function showTask(name, percentage, status) {
    byId("summary").hidden = true;
    const known = status === "running" && percentage != null;
    title(`${known ? `${percentage} %` : status} · ${name} · ${NAME}`);
    icon(known ? String(percentage) : "", status === "failed" ? "failed" : "running");
}

function title(text) {
    if (document.title !== text) document.title = text;
}

let shownIcon = "";

/** Draws the icon: a few characters on a colour, or the mark. */
function icon(text, colour) {
    const fill = COLOURS[document.documentElement.dataset.offline === undefined ? colour : "offline"];
    const wanted = `${text}|${fill}`;
    if (wanted === shownIcon) return;
    shownIcon = wanted;
    const short = text.length > 3 ? "99+" : text;
    const size = short.length > 2 ? 14 : 19;
    const inside = short
        ? `<text x="16" y="${16 + size * 0.36}" font-family="system-ui,sans-serif" font-weight="700" font-size="${size}" text-anchor="middle" fill="#fff">${short}</text>`
        : '<path d="M7 22.5h18M7 16h11M7 9.5h15" stroke="#fff" stroke-width="3" stroke-linecap="round"/>';
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="${fill}"/>${inside}</svg>`;
    byId("favicon").href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

let lastGood = null;

/** All is well: what is shown is what is. */
export function online() {
    lastGood = Date.now();
    const root = document.documentElement;
    if (root.dataset.offline !== undefined) {
        delete root.dataset.offline;
        setText(byId("offline-text"), "");
        announce("Connected again.");
    }
    byId("live").dataset.state = "live";
    setText(byId("live-text"), "Live");
    setText(byId("as-of"), `As of ${clock(now())}`);
}

/** No answer came: what is shown is what was known last. */
export function offline(error, retryMs) {
    const root = document.documentElement;
    const since = lastGood ? ` since ${clock(lastGood)}` : "";
    const is = error.kind === "server" ? "In trouble" : "Offline";
    const shown = lastGood ? " What is shown was true then." : "";
    root.dataset.offline = "";
    // Said once: a countdown would be read out at each step.
    setText(byId("offline-text"), `${is}${since}. ${error.message}${shown}`);
    byId("live").dataset.state = "offline";
    setText(byId("live-text"), `${is}, next try in ${duration(Math.max(retryMs, 1000))}`);
}

/** Nothing is asked until there is a token. */
export function waiting() {
    byId("live").dataset.state = "waiting";
    setText(byId("live-text"), "Waiting for a token");
}

const queue = [];
let speaking = null;

/** Says something to who does not see the page, together with what else happens in these seconds. */
export function announce(text) {
    queue.push(text);
    speaking ??= setTimeout(() => {
        const said = queue.splice(0);
        const more = said.length > 3 ? ` And ${said.length - 3} more.` : "";
        byId("announcer").textContent = said.slice(0, 3).join(" ") + more;
        speaking = null;
    }, 2000);
}
