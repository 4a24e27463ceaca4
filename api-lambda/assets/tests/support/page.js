// A real Chromium, and what every page in it has to keep to.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { atEnd } from "./end.js";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The name of a page that an attacker rebinds to this machine.
    "--host-resolver-rules=MAP rebound.test 127.0.0.1",
];

let browser;

/** The browser of this process: with a profile of its own that is empty, and gone at the end. */
async function launch() {
    browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
    return browser;
}

/** Closes the browser, for `after` of a file. */
export async function close() {
    await browser?.close();
    browser = undefined;
}

/**
 * A page in a context of its own. At the end of the test nothing may have gone wrong in it: no error, no dialog, no
 * breach of its policy, no request to another host. `expected` names errors that belong to the test.
 */
export async function open(t, url, { expected = /$^/, ...options } = {}) {
    const context = await (await launch()).newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const wrongs = [];
    page.on("pageerror", (error) => wrongs.push(`error: ${error.stack}`));
    page.on("dialog", (dialog) => {
        wrongs.push(`dialog: ${dialog.message()}`);
        return dialog.dismiss();
    });
    page.on("console", (message) => {
        const text = `${message.type()}: ${message.text()} ${message.location().url}`;
        if (["error", "warning"].includes(message.type()) && !expected.test(text)) wrongs.push(text);
    });
    page.on("request", (request) => {
        const asked = new URL(request.url());
        if (asked.protocol !== "data:" && url !== "about:blank" && asked.origin !== new URL(url).origin) wrongs.push(`request: ${asked}`);
    });
    await page.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => {
            console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
        });
    });
    atEnd(t, async () => {
        await context.close();
        assert.deepEqual(wrongs, [], "nothing went wrong in the page");
    });
    await page.goto(url);
    return page;
}

/** Checks the page for what axe knows of the Web Content Accessibility Guidelines and of good practice. */
export async function checkAccess(page, what) {
    await page.evaluate(AXE);
    const { violations, passes } = await page.evaluate(() =>
        globalThis.axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }),
    );
    assert.ok(passes.length > 15, `${what}: axe looked at something`);
    const told = violations.map(({ id, help, nodes }) => {
        const places = nodes.map((node) => `${node.target.join(" ")} ${node.failureSummary}`);
        return `${id}: ${help}\n  ${places.join("\n  ")}`;
    });
    assert.deepEqual(told, [], what);
}

/** Takes a picture, for the documentation if it is to be renewed. */
export async function picture(page, name) {
    const folder = process.env.PICTURES;
    const path = folder && `${folder}/${name}.png`;
    const image = await page.screenshot({ path });
    assert.ok(image.length > 10_000, `${name} shows something`);
}

/** The texts of all elements that fit `selector`. */
export function texts(page, selector) {
    return page.locator(selector).allTextContents();
}

/** Waits until `check()` holds, which may be asynchronous. */
export async function until(check, what, limitMs = 15_000) {
    const end = Date.now() + limitMs;
    for (;;) {
        if (await check()) return;
        if (Date.now() > end) assert.fail(`waited ${limitMs} ms in vain until ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
