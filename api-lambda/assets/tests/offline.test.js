import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Gate } from "./support/gate.js";
import { checkAccess, close, open, until } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

const CUT = /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|status of 50[03]/;
const logs = ["--agents", "/dev/null"];

test("the page says since when it is offline, keeps what it knew, and comes back by itself", { timeout: 90_000 }, async (t) => {
    const data = await mkdtemp(join(tmpdir(), "miyabi-"));
    const program = await Program.start(t, { data, logs });
    await program.make({ task_id: "a", task_name: "Long build", status: "running", progress: { current: 1, total: 9 } });
    const page = await open(t, program.url, { expected: CUT });
    await page.getByRole("link", { name: "Long build" }).waitFor();
    assert.equal(await page.locator("#live-text").innerText(), "Live");
    assert.equal(await page.locator("#offline-text").isVisible(), false);

    await program.kill();
    const died = Date.now();
    await page.getByText(/^Offline since/).waitFor({ timeout: 5000 });
    const said = await page.locator("#offline-text").innerText();
    const [, hours, minutes, seconds] = /since (\d\d):(\d\d):(\d\d)\. The API can't be reached/.exec(said);
    const since = new Date(died).setHours(hours, minutes, seconds);
    assert.ok(Math.abs(since - died) < 3000, `${said} at ${new Date(died)}`);
    assert.ok(await page.getByRole("link", { name: "Long build" }).isVisible(), "what was known stays");
    assert.match(await page.locator("#live-text").innerText(), /^Offline, next try in \d+ s$/);
    await checkAccess(page, "offline");
    // "Since" does not move on.
    await page.waitForTimeout(2500);
    assert.equal(await page.locator("#offline-text").innerText(), said);

    const again = await Program.start(t, { data, logs, port: program.port });
    await again.make({ task_id: "b", task_name: "Made meanwhile", status: "running" });
    await page.getByRole("link", { name: "Made meanwhile" }).waitFor({ timeout: 40_000 });
    assert.equal(await page.locator("#live-text").innerText(), "Live");
    assert.equal(await page.locator("#offline-text").isVisible(), false);
});

test("in trouble the page asks less and less often, and as late as it is told to", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const gate = await Gate.before(t, program.url);
    const page = await open(t, gate.url, { expected: CUT });
    await page.getByText("Nothing is running.").waitFor();
    const asked = () => gate.seen.filter(({ path }) => path.startsWith("/api/tasks?status=running")).map(({ at }) => at);
    gate.decide = ({ path }) => (path.startsWith("/api/") ? "cut" : undefined);
    await page.getByText(/^Offline since/).waitFor();
    gate.seen.length = 0;
    await until(() => asked().length >= 3, "it has asked three times", 30_000);
    const [first, second, third] = asked();
    assert.ok(third - second > (second - first) * 1.3, `${second - first} ms, then ${third - second} ms`);

    // A server that is up and says when to come back.
    const body = JSON.stringify({ detail: "a part that the API needs does not answer" });
    gate.decide = ({ path }) => (path.startsWith("/api/") ? { status: 503, headers: { "retry-after": "20", "content-type": "application/problem+json" }, body } : undefined);
    await page.getByText(/^In trouble since \d\d:\d\d:\d\d. a part that the API needs does not answer/).waitFor({ timeout: 20_000 });
    assert.match(await page.locator("#live-text").innerText(), /next try in (20|2\d|30) s/);

    // Whoever comes back to the page sees at once how it is.
    gate.decide = () => undefined;
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 3000 });
});

test("an answer that does not come is given up", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const gate = await Gate.before(t, program.url);
    const page = await open(t, gate.url, { expected: /ERR_/ });
    await page.getByText("Nothing is running.").waitFor();
    gate.decide = ({ path }) => (path.startsWith("/api/") ? new Promise(() => {}) : undefined);
    await page.getByText(/^Offline since .* The API does not answer/).waitFor({ timeout: 25_000 });
});

test("a page from elsewhere under our address is not taken for an answer", async (t) => {
    const program = await Program.start(t, { logs });
    const portal = { status: 200, headers: { "content-type": "text/html" }, body: "<h1>Please log in to the hotel</h1>" };
    const gate = await Gate.before(t, program.url, ({ path }) => (path.startsWith("/api/") ? portal : undefined));
    const page = await open(t, gate.url);
    await page.getByText("Offline. What answers is not the API.").waitFor();
});
