import assert from "node:assert/strict";
import { after, test } from "node:test";
import { mkdtemp, writeFile, appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gate } from "./support/gate.js";
import { checkAccess, close, open, texts, until } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

/** A system with no samples, on an agent's log that a test can write to. */
async function quiet(t) {
    const folder = await mkdtemp(join(tmpdir(), "miyabi-"));
    const log = join(folder, "agent.log");
    await writeFile(log, "");
    const program = await Program.start(t, { logs: ["--agents", log] });
    program.write = (line) => appendFile(log, `${JSON.stringify(line)}\n`);
    return program;
}

const rows = (page) => texts(page, ".row:visible h3, .card:visible h3");
const showsOnly = (page, names) =>
    until(async () => JSON.stringify((await rows(page)).sort()) === JSON.stringify(names.toSorted()), `only ${names} are shown`);

test("filters choose what is shown, and are in the address", { timeout: 90_000 }, async (t) => {
    const program = await quiet(t);
    await program.call("POST", "api/projects", { project_id: "shop", project_name: "The shop" });
    await program.call("POST", "api/projects", { project_id: "docs", project_name: "The handbook" });
    await program.make({ task_name: "Alpha build", status: "running", project_id: "shop", progress: { current: 3, total: 9 } });
    await program.make({ task_name: "Alpine tests", status: "failed", project_id: "shop", message: "3 tests failed" });
    await program.make({ task_name: "Beta build", status: "completed", project_id: "docs" });
    await program.make({ task_name: "Beta deploy", status: "blocked", project_id: "docs", task_type: "cdk_deploy" });
    await program.make({ task_name: "Gamma notes", status: "cancelled", task_type: "agent_execution" });
    const all = ["Alpha build", "Alpine tests", "Beta build", "Beta deploy", "Gamma notes"];
    const page = await open(t, program.url);
    await showsOnly(page, all);
    const query = () => new URL(page.url()).search;
    const status = (name) => page.getByRole("group", { name: "Status" }).getByRole("button", { name });

    await t.test("by status, one or several", async () => {
        await status("Failed").click();
        await showsOnly(page, ["Alpine tests"]);
        assert.equal(query(), "?status=failed");
        assert.equal(await page.locator("#active-section").isVisible(), false);
        await status("Running").click();
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        assert.equal(query(), "?status=failed,running");
        assert.equal(await status("Running").getAttribute("aria-pressed"), "true");
    });

    await t.test("and come back with the page, and with the browser's own back", async () => {
        await page.reload();
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        assert.equal(await status("Failed").getAttribute("aria-pressed"), "true");
        await status("Running").click();
        await showsOnly(page, ["Alpine tests"]);
        await page.goBack();
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        assert.equal(await status("Running").getAttribute("aria-pressed"), "true");
        await page.getByRole("button", { name: "Clear" }).click();
        await showsOnly(page, all);
        assert.equal(query(), "");
    });

    await t.test("by project, whose tile has its metrics", async () => {
        const tile = page.getByRole("button", { name: /The shop/ });
        assert.match(await tile.innerText(), /2 tasks · 1 running · 1 failed\s+0 % succeed/);
        await tile.click();
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        assert.equal(query(), "?project_id=shop");
        assert.equal(await tile.getAttribute("aria-pressed"), "true");
        await tile.click();
        await showsOnly(page, all);
    });

    await t.test("by type and by how the name begins, with the keyboard alone", async () => {
        await page.getByRole("combobox", { name: "Type" }).focus();
        await page.keyboard.press("b");
        await showsOnly(page, ["Alpha build", "Alpine tests", "Beta build"]);
        await page.keyboard.press("Tab");
        await page.keyboard.type("Alp");
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        await page.keyboard.type("ha");
        await showsOnly(page, ["Alpha build"]);
        assert.equal(query(), "?task_type=build&q=Alpha");
        assert.equal(await page.evaluate(() => document.activeElement.id), "name-filter");
        await page.reload();
        await showsOnly(page, ["Alpha build"]);
        assert.equal(await page.getByRole("searchbox").inputValue(), "Alpha");
    });

    await t.test("what fits nothing is said", async () => {
        await page.goto(`${program.url}/?q=Zeta`);
        await page.getByText("Nothing here fits the filters.").first().waitFor();
        await checkAccess(page, "an empty list");
    });

    await t.test("nonsense in the address is no trouble", async () => {
        await page.goto(`${program.url}/?status=sleeping,&x=%00&task=`);
        await showsOnly(page, all);
        assert.match(await page.locator(".row", { hasText: "Alpine" }).innerText(), /failed\s+3 tests failed/);
    });
});

test("a value that the API refuses is said, and does not look like being offline", async (t) => {
    const program = await quiet(t);
    const page = await open(t, `${program.url}/?project_id=${encodeURIComponent("no spaces!")}`, { expected: /400/ });
    await page.getByText(/project_id/).first().waitFor();
    assert.equal(await page.locator("#live-text").innerText(), "Live");
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByText("Nothing is running.").waitFor();
    assert.equal(await page.locator("#list-problem").isVisible(), false);
});

test("more is loaded page by page, and what is loaded stays up to date", { timeout: 60_000 }, async (t) => {
    const program = await quiet(t);
    for (let number = 1; number <= 120; number++) {
        await program.make({ task_id: `t-${number}`, task_name: `Task ${number}`, status: "completed" });
    }
    const page = await open(t, program.url);
    const count = () => page.locator(".row").count();
    await until(async () => (await count()) === 50, "a page is shown");
    assert.equal(await page.locator("#ended-count").innerText(), "50+");
    const first = await page.locator(".row").first().elementHandle();
    const more = page.getByRole("button", { name: "Load more", exact: true });
    await more.click();
    await until(async () => (await count()) === 100, "two pages are shown");
    await more.click();
    await until(async () => (await count()) === 120, "all are shown");
    assert.equal(await more.isVisible(), false);
    assert.equal(await page.locator("#ended-count").innerText(), "120");
    const expected = Array.from({ length: 120 }, (_, place) => `Task ${120 - place}`);
    assert.deepEqual(await texts(page, ".row:visible h3"), expected);

    await program.make({ task_id: "new", task_name: "Newcomer", status: "failed", message: "at once" });
    await until(async () => (await count()) === 121, "the newcomer is there", 20_000);
    assert.deepEqual(await texts(page, ".row:visible h3"), ["Newcomer", ...expected]);
    assert.equal(await first.evaluate((row) => row.isConnected && row.querySelector("h3").textContent), "Task 120");
});

test("what is stuck looks so: stale, blocked, and of unknown length", { timeout: 60_000 }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "miyabi-"));
    const log = join(folder, "agent.log");
    await writeFile(log, `${JSON.stringify({ timestamp: new Date().toISOString(), message: "Thinking", status: "running", progress: { current: 4 } })}\n`);
    const program = await Program.start(t, { logs: ["--agents", log], env: { STALE_AFTER_SECONDS: "4" } });
    await program.make({ task_name: "Waits for a person", status: "blocked", message: "needs approval" });
    const page = await open(t, program.url);
    const thinking = page.locator(".card", { hasText: "Thinking" });
    await thinking.waitFor();
    const bar = thinking.getByRole("progressbar");
    assert.equal(await bar.getAttribute("aria-valuenow"), null, "nobody knows how far it is");
    assert.equal(await bar.getAttribute("aria-valuetext"), "4 done");
    await until(async () => (await thinking.getAttribute("data-tone")) === "stale", "it is stale", 20_000);
    assert.match(await thinking.innerText(), /silent for \d+ s/);
    assert.match(await page.locator("#summary").innerText(), /1 running\s*1 stale/);
    const blocked = page.locator(".card", { hasText: "Waits for a person" });
    assert.match(await blocked.innerText(), /blocked/);
    assert.deepEqual(await texts(page, ".card h3"), ["Agent · agent", "Waits for a person"]);
    await checkAccess(page, "a list of stuck tasks");
});

test("when it will be done is said where that is known, and there alone", { timeout: 60_000 }, async (t) => {
    const program = await quiet(t);
    await program.make({ task_id: "known", task_name: "Known", status: "running" });
    await program.make({ task_id: "unknown", task_name: "Unknown", status: "running" });
    const eta = new Date(Date.now() + 125_000);
    const gate = await Gate.before(t, program.url, async ({ path }) => {
        if (!path.startsWith("/api/tasks?status=running")) return undefined;
        const page = await program.call("GET", path);
        for (const task of page.tasks) if (task.task_id === "known") task.eta = eta.toISOString();
        return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(page) };
    });
    const page = await open(t, gate.url);
    const clock = `${eta.getHours()}`.padStart(2, "0") + ":" + `${eta.getMinutes()}`.padStart(2, "0");
    await page.getByText(new RegExp(`ETA ${clock}, in 2 min`)).waitFor();
    assert.deepEqual((await texts(page, ".card [data-ref=eta]")).filter(Boolean).length, 1);
});

test("looks are as rare as they may be", { timeout: 60_000 }, async (t) => {
    const program = await quiet(t);
    const page = await open(t, program.url);
    const asked = [];
    page.on("request", (request) => request.url().includes("/api/tasks?") && asked.push(Date.now()));
    await page.getByText("Nothing is running.").waitFor();
    await page.waitForTimeout(4000);
    assert.ok(asked.length <= 6, `idle: ${asked.length} requests in 4 s`);
    await program.write({ message: "One", progress: { current: 1, total: 9 }, status: "running" });
    await page.locator(".card").waitFor();
    asked.length = 0;
    await page.waitForTimeout(4000);
    assert.ok(asked.length >= 3, `running: ${asked.length} requests in 4 s`);
    // Nobody watches.
    await page.evaluate(() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForTimeout(1500);
    asked.length = 0;
    await page.waitForTimeout(4000);
    assert.equal(asked.length, 0, "hidden");
    await page.evaluate(() => {
        delete document.hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    });
    await until(() => asked.length > 0, "it looks again at once", 1000);
});

test("what has not changed is not sent again", { timeout: 60_000 }, async (t) => {
    const program = await quiet(t);
    await program.make({ task_id: "a", task_name: "Long build", status: "running" });
    const gate = await Gate.before(t, program.url);
    const page = await open(t, gate.url);
    await page.locator(".card").waitFor();
    const first = gate.seen.filter(({ path }) => path.startsWith("/api/")).length;
    await page.waitForTimeout(6500);
    const later = gate.seen.filter(({ path }) => path.startsWith("/api/")).slice(first);
    assert.ok(later.length >= 5, `${later.length} looks`);
    assert.deepEqual([...new Set(later.map(({ status }) => status))], [304]);
    assert.equal(await page.locator(".card").count(), 1);
});

test("a task that has left one list and is not yet in the other does not vanish", { timeout: 60_000 }, async (t) => {
    const program = await quiet(t);
    await program.write({ message: "One", progress: { current: 1, total: 2 }, status: "running" });
    const gate = await Gate.before(t, program.url);
    const page = await open(t, gate.url);
    await page.locator(".card").waitFor();
    // The index of what has ended lags behind.
    const empty = { status: 200, headers: { "content-type": "application/json" }, body: '{"tasks":[],"next_cursor":null}' };
    gate.decide = ({ path }) => (path.includes("status=failed%2Ccompleted") ? empty : undefined);
    await page.evaluate(() => {
        globalThis.gone = 0;
        const watch = () => {
            if (!document.querySelector(".card, .row")) globalThis.gone++;
            requestAnimationFrame(watch);
        };
        watch();
    });
    await program.write({ message: "Two", progress: { current: 2, total: 2 }, status: "completed" });
    await page.locator(".row", { hasText: "completed" }).waitFor();
    await page.waitForTimeout(2500);
    gate.decide = () => undefined;
    await page.waitForTimeout(6000);
    assert.equal(await page.locator(".row").count(), 1);
    assert.equal(await page.evaluate(() => globalThis.gone), 0, "frames without the task");
});
