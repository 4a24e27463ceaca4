import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { TestProxy } from "./support/proxy.js";
import { checkAccessibility, close, open, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

/** Chromium logs each failed request. */
const FAILED = /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|status of 50[03]|WebSocket/;
const logs = ["--agents", "/dev/null"];

test("the page says how old its data is while offline, and recovers by itself", { timeout: 90_000 }, async (t) => {
    const data = await mkdtemp(join(tmpdir(), "miyabi-"));
    const program = await Program.start(t, { data, logs });
    await program.createTask({ task_id: "a", task_name: "Long build", status: "running", progress: { current: 1, total: 9 } });
    const page = await open(t, program.url, { expected: FAILED });
    await page.getByRole("link", { name: "Long build" }).waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    assert.equal(await page.locator("#offline-text").isVisible(), false);

    await program.kill();
    const killed = Date.now();
    await page.getByText(/^Offline\. The API can't be reached/).waitFor({ timeout: 5000 });
    const text = await page.locator("#offline-text").innerText();
    const [, hours, minutes, seconds] = /^Offline\. The API can't be reached\. Showing what was loaded at (\d\d):(\d\d):(\d\d)\.$/.exec(text);
    const loaded = new Date(killed).setHours(hours, minutes, seconds);
    assert.ok(Math.abs(loaded - killed) < 3000, `${text} at ${new Date(killed)}`);
    assert.ok(await page.getByRole("link", { name: "Long build" }).isVisible(), "loaded tasks stay visible");
    assert.match(await page.locator("#connection-text").innerText(), /^Offline\. Next try in \d+ s$/);
    await checkAccessibility(page, "offline");
    // The time stays the same.
    await page.waitForTimeout(2500);
    assert.equal(await page.locator("#offline-text").innerText(), text);

    const again = await Program.start(t, { data, logs, port: program.port });
    await again.createTask({ task_id: "b", task_name: "Created meanwhile", status: "running" });
    await page.locator("#news", { hasText: "1 new" }).click({ timeout: 40_000 });
    await page.getByRole("link", { name: "Created meanwhile" }).waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    assert.equal(await page.locator("#offline-text").isVisible(), false);
});

test("after errors the page backs off, and honours Retry-After", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const proxy = await TestProxy.start(t, program.url);
    const page = await open(t, proxy.url, { expected: FAILED });
    await page.getByText("No task yet").waitFor();
    const attempts = () => proxy.requests.filter(({ path }) => path.startsWith("/api/tasks?status=running")).map(({ at }) => at);
    proxy.intercept = ({ path }) => (path.startsWith("/api/") ? "drop" : undefined);
    await page.getByText(/^Offline\. The API can't be reached/).waitFor();
    proxy.requests.length = 0;
    await waitUntil(() => attempts().length >= 3, "the page has tried three times", 30_000);
    const [first, second, third] = attempts();
    assert.ok(third - second > (second - first) * 1.3, `${second - first} ms, then ${third - second} ms`);

    // The server responds again, and says when to retry.
    const body = JSON.stringify({ detail: "the store is unavailable" });
    proxy.intercept = ({ path }) => (path.startsWith("/api/") ? { status: 503, headers: { "retry-after": "20", "content-type": "application/problem+json" }, body } : undefined);
    await page.getByText(/^API error\. The store is unavailable\. Showing what was loaded at \d\d:\d\d:\d\d\.$/).waitFor({ timeout: 20_000 });
    assert.match(await page.locator("#connection-text").innerText(), /Next try in (20|2\d|30) s/);

    // Once the network is back, the page refreshes at once.
    proxy.intercept = () => undefined;
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await page.getByText("Every 5 s", { exact: true }).waitFor({ timeout: 3000 });
});

test("a request without a response times out", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const proxy = await TestProxy.start(t, program.url);
    const page = await open(t, proxy.url, { expected: /ERR_/ });
    await page.getByText("No task yet").waitFor();
    proxy.intercept = ({ path }) => (path.startsWith("/api/") ? new Promise(() => {}) : undefined);
    await page.getByText(/^Offline\. The API did not respond in time\./).waitFor({ timeout: 25_000 });
});

test("the page of a captive portal counts as offline", async (t) => {
    const program = await Program.start(t, { logs });
    const portal = { status: 200, headers: { "content-type": "text/html" }, body: "<h1>Please log in to the hotel</h1>" };
    const proxy = await TestProxy.start(t, program.url, ({ path }) => (path.startsWith("/api/") ? portal : undefined));
    const page = await open(t, proxy.url);
    await page.getByText("Offline. Another server answered in place of the API.").waitFor();
});
