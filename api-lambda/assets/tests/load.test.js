import assert from "node:assert/strict";
import { after, test } from "node:test";
import { close, open, showNews, waitUntil } from "./support/page.js";
import { ManyTasks } from "./support/many-tasks.js";
import { Program } from "./support/program.js";

after(close);

const logs = ["--agents", "/dev/null"];
const SECONDS = 8;

for (const view of ["table", "cards"]) {
    test(`a thousand running tasks that change each second, as a ${view}`, { timeout: 120_000 }, async (t) => {
        const program = await Program.start(t, { logs });
        const many = await ManyTasks.start(t, program.url, 1000);
        const page = await open(t, "about:blank");
        await many.push(page);
        await page.goto(`${many.url}/?view=${view}`);
        await page.getByText("Live", { exact: true }).waitFor();
        const more = page.locator("#active-more");
        // A table holds them all. Cards are loaded as far as somebody scrolls.
        while (view === "table" && (await more.isVisible())) {
            const rows = await page.locator("#active-table").getAttribute("aria-rowcount");
            await more.click();
            await waitUntil(async () => (await page.locator("#active-table").getAttribute("aria-rowcount")) !== rows, "more rows");
        }
        await page.evaluate(() => scrollTo(0, 0));
        assert.equal(await page.locator("#active-count").innerText(), "1,000");
        const session = await page.context().newCDPSession(page);
        // The time of the processor, which does not depend on what else this machine does.
        await session.send("Performance.enable", { timeDomain: "threadTicks" });
        const busy = async () => (await session.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value;
        await page.evaluate(() => {
            globalThis.frames = [];
            const look = (time) => {
                globalThis.frames.push(time);
                requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        });
        const before = await busy();
        const begun = performance.now();
        const told = await many.change(SECONDS);
        const seconds = (performance.now() - begun) / 1000;
        const spent = (await busy()) - before;
        // The time per change: a busy machine may not manage all changes in time.
        const share = spent / (told / 1000);
        const gaps = await page.evaluate(() => globalThis.frames.slice(1).map((time, index) => time - globalThis.frames[index]));
        const long = gaps.filter((gap) => gap > 100);
        const longest = Math.round(Math.max(...gaps));
        t.diagnostic(`${told} changes in ${seconds.toFixed(1)} s: ${spent.toFixed(2)} s of a core; ${gaps.length} frames, ${long.length} above 100 ms, the longest ${longest} ms`);
        assert.ok(told >= SECONDS * 1000);
        assert.ok(share < 0.5, `${share} of a core`);
        // Other programs of this machine may hold up single frames.
        assert.ok(long.length <= gaps.length / 20 + 2, `${long.length} of ${gaps.length} frames took more than 100 ms, the longest ${longest} ms`);
        const box = view === "table" ? ".row" : ".card";
        const last = many.tasks[0].progress.current;
        await waitUntil(async () => (await page.locator(box).first().innerText()).includes(`copying rows of ${last}`), "the last change is shown", 5000);
    });
}

test("nothing shifts while tasks begin, change and end", { timeout: 90_000 }, async (t) => {
    for (const viewport of [{ width: 1440, height: 900 }, { width: 390, height: 844 }]) {
        const program = await Program.start(t, { logs });
        const row = (number) => ({ task_id: `t${number}`, task_name: `Task ${number}`, status: "running", progress: { current: 1, total: 9 } });
        for (let number = 1; number <= 9; number++) await program.createTask({ ...row(number), task_type: number % 2 ? "build" : "cdk_deploy" });
        await program.createTask({ task_name: "Old", status: "completed" });
        const page = await open(t, "about:blank", { viewport });
        await page.addInitScript(() => {
            globalThis.shifts = [];
            new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries().filter(({ hadRecentInput }) => !hadRecentInput).map(({ value }) => value))).observe({ type: "layout-shift", buffered: true });
        });
        await page.goto(program.url);
        await page.getByText("Live", { exact: true }).waitFor();
        for (let number = 1; number <= 9; number++) {
            await program.call("PATCH", `api/tasks/t${number}`, { progress: { current: 5 }, phase: `a phase with a long name ${number}`, message: "m".repeat(200 + number) });
        }
        await program.call("PATCH", "api/tasks/t3", { status: "completed" });
        await program.call("PATCH", "api/tasks/t6", { status: "failed", message: "no room ".repeat(30) });
        await program.call("PATCH", "api/tasks/t7", { status: "blocked" });
        await program.createTask({ task_name: "New", status: "running" });
        await page.locator("#news", { hasText: "1 new · 2 finished" }).waitFor();
        await page.waitForTimeout(6000);
        const shift = () => page.evaluate(() => globalThis.shifts.reduce((sum, value) => sum + value, 0));
        assert.ok((await shift()) < 0.02, `cumulative layout shift ${await shift()} at ${viewport.width} px`);
        await showNews(page);
        await page.locator(".alert", { hasText: "no room" }).waitFor();
        assert.ok((await shift()) < 0.02, "what follows a click is no shift");
    }
});
