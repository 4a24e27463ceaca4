// Pages in a real Chromium, and checks that every page must pass.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { onTestEnd } from "./cleanup.js";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // For tests of DNS rebinding: an attacker's host name that resolves to this machine.
    "--host-resolver-rules=MAP rebound.test 127.0.0.1",
];

let browser;

/** The browser of this process, with an empty profile. */
async function launch() {
    browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
    return browser;
}

/** Closes the browser. Each test file passes this to `after`. */
export async function close() {
    await browser?.close();
    browser = undefined;
}

/**
 * Opens a page in its own browser context. The test fails at its end if the page had an error, a dialog, a violation
 * of its content security policy, or a request to another origin. `expected` matches errors that the test provokes.
 */
export async function open(t, url, { expected = /$^/, ...options } = {}) {
    const context = await (await launch()).newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(`error: ${error.stack}`));
    page.on("dialog", (dialog) => {
        problems.push(`dialog: ${dialog.message()}`);
        return dialog.dismiss();
    });
    page.on("console", (message) => {
        const text = `${message.type()}: ${message.text()} ${message.location().url}`;
        if (["error", "warning"].includes(message.type()) && !expected.test(text)) problems.push(text);
    });
    page.on("request", (request) => {
        const requested = new URL(request.url());
        const isForeign = url !== "about:blank" && requested.origin !== new URL(url).origin;
        if (requested.protocol !== "data:" && isForeign) problems.push(`request: ${requested}`);
    });
    await page.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => {
            console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
        });
    });
    onTestEnd(t, async () => {
        await context.close();
        assert.deepEqual(problems, [], "the page has no problems");
    });
    await page.goto(url);
    return page;
}

/** Checks the page with axe: WCAG 2.2 AA, and best practices. */
export async function checkAccessibility(page, what) {
    await page.evaluate(AXE);
    const { violations, passes } = await page.evaluate(() =>
        globalThis.axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }),
    );
    assert.ok(passes.length > 15, `${what}: axe checked something`);
    const messages = violations.map(({ id, help, nodes }) => {
        const elements = nodes.map((node) => `${node.target.join(" ")} ${node.failureSummary}`);
        return `${id}: ${help}\n  ${elements.join("\n  ")}`;
    });
    assert.deepEqual(messages, [], what);
}

/** Takes a screenshot. PICTURES names the folder to save it in, such as `docs`. */
export async function screenshot(page, name) {
    const folder = process.env.PICTURES;
    const path = folder && `${folder}/${name}.png`;
    const image = await page.screenshot({ path });
    assert.ok(image.length > 10_000, `${name} is not empty`);
}

/** Clicks on what announces news, such as "1 new". */
export async function showNews(page, text = /./) {
    await page.locator("#news", { hasText: text }).click();
}

/** The texts of all elements that match `selector`. */
export function texts(page, selector) {
    return page.locator(selector).allTextContents();
}

/** Waits until `check()` is true. It may be asynchronous. */
export async function waitUntil(check, what, limitMs = 15_000) {
    const end = Date.now() + limitMs;
    for (;;) {
        if (await check()) return;
        if (Date.now() > end) assert.fail(`after ${limitMs} ms, still not: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
