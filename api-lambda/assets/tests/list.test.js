import assert from "node:assert/strict";
import { after, test } from "node:test";
import { mkdtemp, writeFile, appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestProxy } from "./support/proxy.js";
import { checkAccessibility, close, open, showNews, texts, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

/** `local` without samples. `program.write` appends a line to an agent's log that it follows. */
async function startEmpty(t) {
    const folder = await mkdtemp(join(tmpdir(), "miyabi-"));
    const log = join(folder, "agent.log");
    await writeFile(log, "");
    const program = await Program.start(t, { logs: ["--agents", log] });
    program.write = (line) => appendFile(log, `${JSON.stringify(line)}\n`);
    return program;
}

const names = (page) => texts(page, ".row:visible h3, .card:visible h3");
const showsOnly = (page, expected) =>
    waitUntil(async () => JSON.stringify((await names(page)).sort()) === JSON.stringify(expected.toSorted()), `the page shows only ${expected}`);

test("filters select tasks and are part of the URL", { timeout: 90_000 }, async (t) => {
    const program = await startEmpty(t);
    await program.call("POST", "api/projects", { project_id: "shop", project_name: "The shop" });
    await program.call("POST", "api/projects", { project_id: "docs", project_name: "The handbook" });
    await program.createTask({ task_name: "Alpha build", status: "running", project_id: "shop", progress: { current: 3, total: 9 } });
    await program.createTask({ task_name: "Alpine tests", status: "failed", project_id: "shop", message: "3 tests failed" });
    await program.createTask({ task_name: "Beta build", status: "completed", project_id: "docs" });
    await program.createTask({ task_name: "Beta deploy", status: "blocked", project_id: "docs", task_type: "cdk_deploy" });
    await program.createTask({ task_name: "Gamma notes", status: "cancelled", task_type: "agent_execution" });
    const all = ["Alpha build", "Alpine tests", "Beta build", "Beta deploy", "Gamma notes"];
    const page = await open(t, program.url);
    await showsOnly(page, all);
    const search = () => new URL(page.url()).search;
    const status = (name) => page.getByRole("group", { name: "Status" }).getByRole("button", { name });

    await t.test("the status filter takes one status or several", async () => {
        await status("Failed").click();
        await showsOnly(page, ["Alpine tests"]);
        assert.equal(search(), "?status=failed");
        assert.equal(await page.locator("#active-section").isVisible(), false);
        await status("Running").click();
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        assert.equal(search(), "?status=failed,running");
        assert.equal(await status("Running").getAttribute("aria-pressed"), "true");
    });

    await t.test("filters survive a reload and the back button", async () => {
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
        assert.equal(search(), "");
    });

    await t.test("a project's tile shows its metrics and filters by the project", async () => {
        const tile = page.getByRole("button", { name: /The shop/ });
        assert.match(await tile.innerText(), /2 tasks · 1 running · 1 failed\s+1 finished/);
        await tile.click();
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        assert.equal(search(), "?project_id=shop");
        assert.equal(await tile.getAttribute("aria-pressed"), "true");
        await tile.click();
        await showsOnly(page, all);
    });

    await t.test("type and name filters work with the keyboard alone", async () => {
        await page.getByRole("combobox", { name: "Type" }).focus();
        await page.keyboard.press("b");
        await showsOnly(page, ["Alpha build", "Alpine tests", "Beta build"]);
        await page.keyboard.press("Escape");
        await page.keyboard.press("/");
        await page.keyboard.type("Alp");
        await showsOnly(page, ["Alpha build", "Alpine tests"]);
        await page.keyboard.type("ha");
        await showsOnly(page, ["Alpha build"]);
        assert.equal(search(), "?task_type=build&q=Alpha");
        assert.equal(await page.evaluate(() => document.activeElement.id), "name-filter");
        await page.reload();
        await showsOnly(page, ["Alpha build"]);
        assert.equal(await page.getByRole("searchbox").inputValue(), "Alpha");
    });

    await t.test("a filter without matches says so", async () => {
        await page.goto(`${program.url}/?q=Zeta`);
        await page.getByText("No tasks match the filters.").first().waitFor();
        await checkAccessibility(page, "an empty list");
    });

    await t.test("unknown values in the URL are ignored", async () => {
        await page.goto(`${program.url}/?status=sleeping,&x=%00&task=`);
        await showsOnly(page, all);
        assert.match(await page.locator(".row", { hasText: "Alpine" }).innerText(), /failed\s+3 tests failed/);
    });
});

test("a value that the API rejects is reported, and the page stays online", async (t) => {
    const program = await startEmpty(t);
    const page = await open(t, `${program.url}/?project_id=${encodeURIComponent("no spaces!")}`, { expected: /400/ });
    await page.getByText(/project_id/).first().waitFor();
    assert.equal(await page.locator("#connection-text").innerText(), "Every 5 s");
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByText("No task yet").waitFor();
    assert.equal(await page.locator("#list-problem").isVisible(), false);
});

test("Load more adds a page, and loaded tasks stay up to date", { timeout: 60_000 }, async (t) => {
    const program = await startEmpty(t);
    for (let number = 1; number <= 120; number++) {
        await program.createTask({ task_id: `t-${number}`, task_name: `Task ${number}`, status: "completed" });
    }
    const page = await open(t, program.url);
    const count = async () => Number(await page.locator("#ended-table").getAttribute("aria-rowcount")) - 1;
    await waitUntil(async () => (await count()) === 50, "one page is shown");
    assert.equal(await page.locator("#ended-count").innerText(), "120", "the count is of all tasks");
    const more = page.getByRole("button", { name: "Load more", exact: true });
    await more.click();
    await waitUntil(async () => (await count()) === 100, "two pages are shown");
    await more.click();
    await waitUntil(async () => (await count()) === 120, "all tasks are shown");
    assert.equal(await more.isVisible(), false);
    const expected = Array.from({ length: 120 }, (_, index) => `Task ${120 - index}`);
    await page.evaluate(() => scrollTo(0, 0));
    const shown = async () => (await texts(page, ".row:visible h3")).slice(0, 20);
    await waitUntil(async () => (await shown())[0] === "Task 120", "the first rows are in the document");
    assert.deepEqual(await shown(), expected.slice(0, 20));

    await program.createTask({ task_id: "new", task_name: "New task", status: "failed", message: "at once" });
    await page.locator("#news", { hasText: "New task failed · 1 new" }).waitFor({ timeout: 20_000 });
    assert.deepEqual(await shown(), expected.slice(0, 20), "nothing moves");
    await showNews(page);
    await waitUntil(async () => (await count()) === 121, "the new task is shown");
    assert.deepEqual(await shown(), ["New task", ...expected.slice(0, 19)]);
    assert.equal(await page.locator("#news").isVisible(), false);
});

test("rows stand still while tasks change, begin and end, also on later pages", { timeout: 90_000 }, async (t) => {
    const program = await startEmpty(t);
    for (let number = 1; number <= 60; number++) {
        const progress = { current: 1, total: 9 };
        await program.createTask({ task_id: `t${number}`, task_name: `Task ${number}`, status: "running", progress });
    }
    const page = await open(t, program.url, { viewport: { width: 1280, height: 2600 } });
    const count = () => page.locator(".row").count();
    await waitUntil(async () => (await count()) === 50, "one page is shown, as a table");
    await page.getByRole("button", { name: "Load more tasks in progress" }).click();
    await waitUntil(async () => (await count()) === 60, "all tasks are shown");
    const places = () => page.locator(".row").evaluateAll((rows) => rows.map((row) => [row.querySelector("h3").textContent, row.getBoundingClientRect().top]));
    const before = await places();
    assert.equal(before.at(-1)[0], "Task 1");
    await page.getByText("Live", { exact: true }).waitFor();
    const change = (id, body) => program.call("PATCH", `api/tasks/${id}`, body);
    await change("t1", { progress: { current: 5 } });
    await change("t30", { progress: { current: 6 } });
    await change("t40", { status: "completed" });
    await change("t41", { status: "failed", message: "no room" });
    for (const name of ["A", "B", "C"]) await program.createTask({ task_id: name, task_name: name, status: "running" });
    const row = (name) => page.locator(".row", { has: page.getByText(name, { exact: true }) });
    await row("Task 30").getByText("66 %").waitFor();
    await row("Task 1").getByText("55 %").waitFor();
    await row("Task 40").getByText("completed").waitFor();
    await row("Task 41").getByText("no room").waitFor();
    await page.locator("#news", { hasText: "Task 41 failed · 3 new · 2 finished" }).waitFor();
    await page.waitForTimeout(6000);
    assert.deepEqual(await places(), before);
    // Each click opens the task that it aims at.
    for (const name of ["Task 33", "Task 7"]) {
        const box = await row(name).boundingBox();
        await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
        await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
        await page.keyboard.press("Escape");
        await row(name).waitFor();
    }
    assert.deepEqual(await places(), before, "and the list stays as it was");
    await showNews(page);
    await waitUntil(async () => (await places())[0][0] === "C", "the new tasks are on top");
    assert.equal(await page.locator(".alert .cause").innerText(), "no room");
    assert.deepEqual(await texts(page, "#ended-table .row h3"), ["Task 41", "Task 40"]);
});

test("a wall display shows what is new by itself", { timeout: 60_000 }, async (t) => {
    const program = await startEmpty(t);
    await program.createTask({ task_name: "Old", status: "running" });
    const page = await open(t, program.url);
    await page.locator(".card", { hasText: "Old" }).waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await program.createTask({ task_name: "New", status: "running" });
    await page.locator("#news", { hasText: "1 new" }).waitFor();
    // As if a minute had passed without any input.
    await page.evaluate(() => {
        const real = performance.now.bind(performance);
        performance.now = () => real() + 61_000;
    });
    await page.locator(".card", { hasText: "New" }).waitFor({ timeout: 3000 });
    assert.equal(await page.locator("#news").isVisible(), false);
});

test("stale, blocked and indeterminate tasks look different from running ones", { timeout: 60_000 }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "miyabi-"));
    const log = join(folder, "agent.log");
    await writeFile(log, `${JSON.stringify({ timestamp: new Date().toISOString(), message: "Thinking", status: "running", progress: { current: 4 } })}\n`);
    const program = await Program.start(t, { logs: ["--agents", log], env: { STALE_AFTER_SECONDS: "4" } });
    await program.createTask({ task_name: "Waits for a person", status: "blocked", message: "needs approval" });
    // Nothing is pushed when a task becomes stale: without live push, the page asks in time.
    const proxy = await TestProxy.start(t, program.url);
    const page = await open(t, proxy.url);
    const thinking = page.locator(".card", { hasText: "Thinking" });
    await thinking.waitFor();
    const bar = thinking.getByRole("progressbar");
    assert.equal(await bar.getAttribute("aria-valuenow"), null, "the percentage is unknown");
    assert.equal(await bar.getAttribute("aria-valuetext"), "4 done");
    await waitUntil(async () => (await thinking.getAttribute("data-tone")) === "stale", "the task is stale", 20_000);
    assert.match(await thinking.innerText(), /no update for \d+ s/);
    assert.match(await page.locator("#summary").innerText(), /1 running\s*1 waiting\s*1 silent/);
    const blocked = page.locator(".card", { hasText: "Waits for a person" });
    assert.match(await blocked.innerText(), /blocked/);
    assert.deepEqual(await texts(page, ".card h3"), ["Waits for a person", "agent"], "the newest run is first");
    await showNews(page, "agent is silent");
    assert.deepEqual(await texts(page, ".alert h3"), ["Waits for a person", "agent"]);
    await checkAccessibility(page, "a list with stale and blocked tasks");
});

test("only a task with an ETA shows one", { timeout: 60_000 }, async (t) => {
    const program = await startEmpty(t);
    await program.createTask({ task_id: "known", task_name: "Known", status: "running" });
    await program.createTask({ task_id: "unknown", task_name: "Unknown", status: "running" });
    const eta = new Date(Date.now() + 125_000);
    const proxy = await TestProxy.start(t, program.url, async ({ path }) => {
        if (!path.startsWith("/api/tasks?status=running")) return undefined;
        const page = await program.call("GET", path);
        for (const task of page.tasks) if (task.task_id === "known") task.eta = eta.toISOString();
        return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(page) };
    });
    const page = await open(t, proxy.url);
    const clock = `${eta.getHours()}`.padStart(2, "0") + ":" + `${eta.getMinutes()}`.padStart(2, "0");
    await page.getByText(new RegExp(`ETA ${clock}, in 2 min`)).waitFor();
    assert.deepEqual((await texts(page, ".card [data-ref=eta]")).filter(Boolean).length, 1);
});

test("the page polls every second while a task runs, seldom when idle, and not while hidden", { timeout: 60_000 }, async (t) => {
    const program = await startEmpty(t);
    const proxy = await TestProxy.start(t, program.url); // without live push
    const page = await open(t, proxy.url);
    const polls = [];
    page.on("request", (request) => request.url().includes("/api/tasks?") && polls.push(Date.now()));
    await page.getByText("No task yet").waitFor();
    await page.waitForTimeout(4000);
    assert.ok(polls.length <= 6, `idle: ${polls.length} requests in 4 s`);
    await program.write({ message: "One", progress: { current: 1, total: 9 }, status: "running" });
    await page.locator(".card").waitFor();
    polls.length = 0;
    await page.waitForTimeout(4000);
    assert.ok(polls.length >= 3, `running: ${polls.length} requests in 4 s`);
    // The tab is in the background.
    await page.evaluate(() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForTimeout(1500);
    polls.length = 0;
    await page.waitForTimeout(4000);
    assert.equal(polls.length, 0, "hidden");
    await page.evaluate(() => {
        delete document.hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    });
    await waitUntil(() => polls.length > 0, "the page polls at once when it is visible again", 1000);
});

test("an unchanged list is answered with 304", { timeout: 60_000 }, async (t) => {
    const program = await startEmpty(t);
    await program.createTask({ task_id: "a", task_name: "Long build", status: "running" });
    const proxy = await TestProxy.start(t, program.url);
    const page = await open(t, proxy.url);
    await page.locator(".card").waitFor();
    const first = proxy.requests.filter(({ path }) => path.startsWith("/api/")).length;
    await page.waitForTimeout(6500);
    const later = proxy.requests.filter(({ path }) => path.startsWith("/api/")).slice(first).filter(({ path }) => !path.startsWith("/api/push"));
    assert.ok(later.length >= 5, `${later.length} requests`);
    assert.deepEqual([...new Set(later.map(({ status }) => status))], [304]);
    assert.equal(await page.locator(".card").count(), 1);
});

test("a task that ends never disappears, although the index of ended tasks lags behind", { timeout: 60_000 }, async (t) => {
    const program = await startEmpty(t);
    await program.write({ message: "One", progress: { current: 1, total: 2 }, status: "running" });
    const proxy = await TestProxy.start(t, program.url);
    const page = await open(t, proxy.url);
    await page.locator(".card").waitFor();
    // The index of ended tasks lags behind.
    const empty = { status: 200, headers: { "content-type": "application/json" }, body: '{"tasks":[],"next_cursor":null}' };
    proxy.intercept = ({ path }) => (path.includes("status=failed%2Ccompleted") ? empty : undefined);
    await page.evaluate(() => {
        globalThis.gone = 0;
        const watch = () => {
            if (!document.querySelector(".card, .row")) globalThis.gone++;
            requestAnimationFrame(watch);
        };
        watch();
    });
    await program.write({ message: "Two", progress: { current: 2, total: 2 }, status: "completed" });
    await page.locator(".card", { hasText: "completed" }).waitFor();
    await page.waitForTimeout(2500);
    proxy.intercept = () => undefined;
    await page.waitForTimeout(6000);
    await showNews(page, "1 finished");
    assert.equal(await page.locator(".row").count(), 1);
    assert.equal(await page.locator(".card").count(), 0);
    assert.equal(await page.evaluate(() => globalThis.gone), 0, "frames without the task");
});
