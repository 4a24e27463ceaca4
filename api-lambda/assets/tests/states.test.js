import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { checkAccessibility, close, open, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";
import { TestProxy } from "./support/proxy.js";

after(close);

const logs = ["--agents", "/dev/null"];

test("before the first task the page shows three ways to get one in, which work", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const page = await open(t, program.url, { permissions: ["clipboard-read", "clipboard-write"] });
    await page.getByText("No task yet").waitFor();
    const ways = page.locator(".way");
    assert.equal(await ways.count(), 3);
    for (let index = 0; index < 3; index++) {
        const command = await ways.nth(index).locator("code").innerText();
        assert.ok(command.includes(program.url), command);
        await ways.nth(index).getByRole("button").click();
        await waitUntil(async () => (await page.evaluate(() => navigator.clipboard.readText())) === command, "it is copied");
    }
    await checkAccessibility(page, "an empty page");
    // What a shell makes of them.
    for (const index of [1, 2]) execFileSync("bash", ["-c", await page.evaluate((index) => document.querySelectorAll(".way code")[index].textContent, index)], { stdio: "ignore" });
    await page.getByRole("link", { name: "hello" }).waitFor();
    await waitUntil(async () => (await page.locator("#first-steps").isVisible()) === false, "they are gone");
    const { tasks } = await program.call("GET", "api/tasks");
    assert.deepEqual(tasks.map(({ task_id }) => task_id).sort(), ["my-task", "run:hello"]);
});

test("where nothing is found, one click shows all tasks", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    await program.createTask({ task_name: "Build", status: "running" });
    const page = await open(t, `${program.url}/?q=zeta&since=1h&sort=name`);
    await page.getByText("No tasks match the filters.").waitFor();
    await checkAccessibility(page, "nothing found");
    await page.getByRole("button", { name: "Show all tasks" }).click();
    await page.locator(".card").waitFor();
    assert.equal(new URL(page.url()).search, "?sort=name");
});

test("beyond two thousand tasks the page says how to see others", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const run = new Date().toISOString();
    const task = (number) => ({ task_id: `t${number}`, task_name: `Task ${number}`, task_type: "build", status: "running", run, run_id: `t${number}@1`, revision: 1, stale: false, progress: {}, created_at: run, started_at: run, updated_at: run });
    const proxy = await TestProxy.start(t, program.url, ({ path }) => {
        if (!path.startsWith("/api/tasks?status=running")) return undefined;
        const params = new URL(path, program.url).searchParams;
        const from = Number(params.get("cursor") ?? 0);
        const tasks = Array.from({ length: Number(params.get("limit")) }, (_, index) => task(from + index));
        return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify({ tasks, next_cursor: String(from + tasks.length) }) };
    });
    const page = await open(t, proxy.url);
    const more = page.locator("#active-more");
    await more.waitFor();
    for (let step = 0; step < 10 && (await more.isVisible()); step++) {
        const rows = await page.locator("#active-table").getAttribute("aria-rowcount");
        await more.click();
        await waitUntil(async () => (await page.locator("#active-table").getAttribute("aria-rowcount")) !== rows, "more rows");
    }
    assert.equal(await page.locator("#active-part").innerText(), "The newest 2,000 are shown. For others, choose a time range, a project or a search.");
    assert.equal(await more.isVisible(), false);
});
