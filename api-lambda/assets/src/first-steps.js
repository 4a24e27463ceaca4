// What the page shows before there is any task: three ways to get the first run in, with the address of this server.

import { KeyedList, byId, cloneTemplate, setText } from "./dom.js";
import { announce } from "./shell.js";

/** How long the result of "Copy" is shown. */
const COPIED_MS = 3000;

let list = null;

/** Shows the ways for the API at the URL `root`, or hides them. `hasToken`: the API needs tokens. */
export function showFirstSteps(isShown, root, hasToken) {
    byId("first-steps").hidden = !isShown;
    if (!isShown) return;
    list ??= new KeyedList(byId("ways"), () => new Way());
    list.show(ways(root.href.replace(/\/$/, ""), hasToken), ({ title }) => title);
}

function ways(url, hasToken) {
    const token = hasToken ? " PROGRESS_TOKEN=<token>" : "";
    const header = hasToken ? ` -H "authorization: Bearer $PROGRESS_TOKEN"` : "";
    return [
        {
            title: "Put it in front of a command",
            about: "On your machine, in CI or in a container. The command behaves as before.",
            text: `PROGRESS_URL=${url}${token} progress run -- npx cdk deploy --progress events`,
        },
        {
            title: "Send lines with curl",
            about: "From anything that can send HTTP. Counters, percentages and JSON reports are read.",
            text: `printf '[1/3] one\\n[2/3] two\\n' | curl -s "${url}/api/logs?stream=hello"${header} -H "content-type: text/plain" --data-binary @-`,
        },
        {
            title: "Report from a program",
            about: "A task of your own: create it once, then change it.",
            text: `curl -s ${url}/api/tasks${header} -H "content-type: application/json" -d '{"task_id":"my-task","task_name":"My task","task_type":"other","status":"running","progress":{"current":1,"total":3}}'`,
        },
    ];
}

/** A way: what it is for, and a command to copy. */
class Way {
    constructor() {
        Object.assign(this, cloneTemplate("way"));
        this.refs.copy.addEventListener("click", () => this.copy());
    }

    update({ title, about, text }) {
        const { refs } = this;
        this.text = text;
        setText(refs.title, title);
        setText(refs.about, about);
        setText(refs.text, text);
        setText(refs.what, `: ${title}`);
        refs.command.setAttribute("aria-label", title);
    }

    async copy() {
        const { label, text } = this.refs;
        try {
            await navigator.clipboard.writeText(this.text);
            setText(label, "Copied");
            announce("Copied.");
        } catch {
            // Browsers allow the clipboard only over HTTPS and on localhost.
            getSelection().selectAllChildren(text);
            setText(label, "Selected");
        }
        clearTimeout(this.timer);
        this.timer = setTimeout(() => setText(label, "Copy"), COPIED_MS);
    }
}
