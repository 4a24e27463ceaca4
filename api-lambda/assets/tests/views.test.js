import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccessibility, close, open, texts, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";
import { TestProxy } from "./support/proxy.js";

after(close);

const logs = ["--agents", "/dev/null"];
const HASH = "0123456789abcdef".repeat(8);

/** `count` tasks that run, and some that need attention. */
async function startMany(t, count) {
    const program = await Program.start(t, { logs });
    for (let number = 1; number <= count; number++) {
        await program.createTask({ task_id: `job-${number}`, task_name: `Job ${number}`, status: "running", message: HASH, progress: { current: number % 9, total: 9 } });
    }
    return program;
}

test("few tasks are cards, many a table, and the choice is kept", { timeout: 90_000 }, async (t) => {
    const program = await startMany(t, 12);
    const page = await open(t, program.url);
    const button = (name) => page.getByRole("group", { name: "Layout" }).getByRole("button", { name });
    await waitUntil(async () => (await page.locator(".card:visible").count()) === 12, "twelve cards are shown");
    assert.equal(await page.locator("#active-table").isVisible(), false);
    await program.createTask({ task_name: "Job 13", status: "running" });
    await page.reload();
    await waitUntil(async () => (await page.locator("#active-table .row").count()) === 13, "thirteen tasks are a table");
    assert.equal(await button("Table").getAttribute("aria-pressed"), "true");
    await checkAccessibility(page, "a table");
    await button("Cards").click();
    await waitUntil(async () => (await page.locator(".card:visible").count()) === 13, "all are cards");
    assert.equal(new URL(page.url()).search, "?view=cards");
    await page.goto(program.url);
    await waitUntil(async () => (await page.locator(".card:visible").count()) === 13, "the choice is kept");
    await page.goto(`${program.url}/?view=table`);
    await waitUntil(async () => (await page.locator("#active-table .row").count()) === 13, "the address comes first");
});

test("columns sort the tasks, and the order is part of the address", { timeout: 90_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    for (const [task_name, status] of [["beta", "completed"], ["Alpha 10", "failed"], ["alpha 9", "completed"], ["gamma", "cancelled"]]) {
        await program.createTask({ task_name, status });
    }
    const page = await open(t, program.url);
    const names = () => texts(page, "#ended-table .row h3");
    const shows = (expected) => waitUntil(async () => JSON.stringify(await names()) === JSON.stringify(expected), `the order ${expected}`);
    const head = (name) => page.locator("#ended-table").getByRole("button", { name });
    await shows(["gamma", "alpha 9", "Alpha 10", "beta"]);
    await head("Name").click();
    await shows(["alpha 9", "Alpha 10", "beta", "gamma"]);
    assert.equal(new URL(page.url()).search, "?sort=name");
    assert.equal(await page.locator("#ended-table").getByRole("columnheader", { name: "Name" }).getAttribute("aria-sort"), "ascending");
    await head("Name").click();
    await shows(["gamma", "beta", "Alpha 10", "alpha 9"]);
    await head("Status").click();
    await shows(["Alpha 10", "gamma", "beta", "alpha 9"]);
    await page.reload();
    await shows(["Alpha 10", "gamma", "beta", "alpha 9"]);
    await head("Start").click();
    await shows(["gamma", "alpha 9", "Alpha 10", "beta"]);
    assert.equal(new URL(page.url()).search, "");
    await page.goto(`${program.url}/?sort=-duration&status=completed`);
    await waitUntil(async () => (await names()).length === 2, "filter and order go together");
});

test("a time range selects tasks, and is part of the address", { timeout: 60_000 }, async (t) => {
    const program = await startMany(t, 2);
    const proxy = await TestProxy.start(t, program.url);
    const page = await open(t, proxy.url);
    await page.locator(".card").first().waitFor();
    await page.getByRole("combobox", { name: "Started" }).selectOption("Last hour");
    await waitUntil(() => proxy.requests.some(({ path }) => /from=20/.test(path)), "the page asks for the last hour");
    assert.equal(new URL(page.url()).search, "?since=1h");
    const from = new URL(proxy.requests.find(({ path }) => path.includes("from=")).path, proxy.url).searchParams.get("from");
    const minutes = (Date.now() - Date.parse(from)) / 60_000;
    assert.ok(minutes >= 59 && minutes < 62, `${minutes} min`);
    assert.equal(await page.locator(".card").count(), 2);
    await page.goto(`${proxy.url}/?to=2020-01-01T00:00:00.000Z`);
    await page.getByText("No tasks match the filters.").waitFor();
    assert.match(await page.locator("#to-filter").inputValue(), /^20(19|20)-/);
    await page.locator("#to-filter").fill("2090-01-01T00:00");
    await waitUntil(async () => (await page.locator(".card").count()) === 2, "a later end shows them");
    await checkAccessibility(page, "a list with a time range of its own");
    await page.getByRole("button", { name: "Clear" }).click();
    await waitUntil(async () => (await page.locator("#custom-range").isVisible()) === false, "the range is gone");
});

test("the list and the tasks can be used by keys alone", { timeout: 60_000 }, async (t) => {
    const program = await startMany(t, 3);
    await program.createTask({ task_id: "bad", task_name: "Bad", status: "failed", message: "boom" });
    const page = await open(t, program.url);
    await page.locator(".card").first().waitFor();
    const focused = () => page.evaluate(() => [document.activeElement.dataset.task ?? document.activeElement.id, document.activeElement.closest("[class=alert], .card, .row")?.className ?? ""]);
    const press = async (key, expected) => {
        await page.keyboard.press(key);
        await waitUntil(async () => JSON.stringify(await focused()) === JSON.stringify(expected), `${key}: ${expected}`, 3000);
    };
    await press("j", ["bad", "alert"]);
    await press("j", ["job-3", "card"]);
    await press("j", ["job-2", "card"]);
    await press("k", ["job-3", "card"]);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Job 3" }).waitFor();
    await press("Escape", ["job-3", "card"]);
    await press("/", ["name-filter", ""]);
    await page.keyboard.type("ob 2");
    await waitUntil(async () => (await page.locator(".card").count()) === 1, "a substring finds");
    await page.keyboard.press("Escape");
    await press("j", ["job-2", "card"]);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await checkAccessibility(page, "the keys");
    await page.keyboard.press("Escape");
    assert.equal(await page.getByRole("dialog").isVisible(), false);
});

test("counts are of all tasks, whatever the filters", { timeout: 90_000 }, async (t) => {
    const program = await startMany(t, 80);
    await program.call("POST", "api/projects", { project_id: "shop", project_name: "Shop" });
    for (const status of ["failed", "failed", "failed", "failed", "completed"]) await program.createTask({ task_name: "Deploy", status, project_id: "shop" });
    const page = await open(t, `${program.url}/?q=job-7`);
    await waitUntil(async () => (await page.locator(".card").count()) === 11, "eleven tasks match");
    const summary = async () => (await page.locator("#summary").innerText()).replace(/\s+/g, " ");
    assert.match(await summary(), /80 running 4 failed/);
    assert.equal(await page.locator("#active-count").innerText(), "11");
    assert.match(await page.locator("#attention-outside").innerText(), /^4 outside the filters/);
    assert.match(await page.locator(".tile").innerText(), /5 tasks · 4 failed\s+20 % succeeded/, "five runs are enough for a rate");
    await page.locator("#attention-outside").click();
    await waitUntil(async () => (await page.locator(".alert").count()) === 4, "all that needs attention is shown");
    assert.equal(await page.locator("#active-count").innerText(), "80");
    assert.match(await page.title(), /^80 running, 4 failed/);
});

test("the whole of a row or a card is a link", { timeout: 60_000 }, async (t) => {
    const program = await startMany(t, 1);
    await program.createTask({ task_name: "Bad", status: "failed", message: "boom" });
    const page = await open(t, program.url);
    for (const [box, name] of [[".card", "Job 1"], ["#ended-table .row", "Bad"], [".alert", "Bad"]]) {
        const { x, y, width, height } = await page.locator(box).boundingBox();
        await page.mouse.click(x + width - 6, y + height - 6);
        await page.getByRole("heading", { level: 1, name }).waitFor();
        await page.getByRole("link", { name: "All tasks" }).click();
        await page.locator(box).waitFor();
    }
});

test("times tell their zone, and are part of the link", { timeout: 60_000 }, async (t) => {
    const program = await startMany(t, 1);
    await program.createTask({ task_name: "Bad", status: "failed", message: "boom" });
    const page = await open(t, program.url, { timezoneId: "Asia/Tokyo" });
    for (const [box, time, name] of [[".card", ".ago", "Job 1"], ["#ended-table .row", "time", "Bad"], [".alert", ".state", "Bad"]]) {
        const element = page.locator(box).locator(time);
        assert.match(await element.getAttribute("title"), /\d\d:\d\d:\d\d (GMT\+9|JST)$/);
        const { x, y, width, height } = await element.boundingBox();
        const isOnTop = await page.evaluate(([box, time, x, y]) => document.elementFromPoint(x, y) === document.querySelector(box).querySelector(time), [box, time, x + width / 2, y + height / 2]);
        assert.ok(isOnTop, `the pointer finds ${time} in ${box}`);
        await element.click();
        await page.getByRole("heading", { level: 1, name }).waitFor();
        await page.getByRole("link", { name: "All tasks" }).click();
        await page.locator(box).waitFor();
    }
});

test("a table tells when a task ends", { timeout: 60_000 }, async (t) => {
    const program = await startMany(t, 2);
    const eta = new Date(Date.now() + 125_000).toISOString();
    const proxy = await TestProxy.start(t, program.url, async ({ path }) => {
        if (!path.startsWith("/api/tasks?status=running")) return undefined;
        const page = await program.call("GET", path);
        page.tasks[0].eta = eta;
        return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(page) };
    });
    for (const width of [1440, 390]) {
        const page = await open(t, `${proxy.url}/?view=table`, { viewport: { width, height: 800 } });
        await page.locator("#active-table .row").first().getByText(/^in [12] min/).waitFor();
        const [first, second] = await texts(page, "#active-table .row .ends");
        assert.match(first, /^in [12] min( \d+ s)?$/);
        assert.equal(second, "");
    }
});

test("the list and the page of the API link to each other", { timeout: 60_000 }, async (t) => {
    const program = await startMany(t, 1);
    const page = await open(t, program.url);
    await page.getByRole("link", { name: "API" }).click();
    await page.getByRole("heading", { name: "Miyabi Progress: API" }).waitFor();
    await page.getByRole("link", { name: "Dashboard" }).click();
    await page.locator(".card").waitFor();
    assert.equal(page.url(), `${program.url}/`);
});

test("of many rows only those in view are in the document", { timeout: 90_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const made = Array.from({ length: 500 }, (_, number) => ({ task_id: `t${number}`, task_name: `Task ${number}`, task_type: "build", status: "running", run: new Date(Date.UTC(2026, 0, 1) + number * 1000).toISOString() }));
    const tasks = made.toReversed().map((task) => ({ ...task, run_id: `${task.task_id}@1`, revision: 1, stale: false, progress: { current: 1, total: 2, percentage: 50 }, created_at: task.run, started_at: task.run, updated_at: new Date().toISOString() }));
    const json = (body) => ({ status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const proxy = await TestProxy.start(t, program.url, ({ path }) => {
        const params = new URL(path, program.url).searchParams;
        if (!path.startsWith("/api/tasks?status=running")) return undefined;
        const from = Number(params.get("cursor") ?? 0);
        const to = from + Number(params.get("limit"));
        return json({ tasks: tasks.slice(from, to), next_cursor: to < tasks.length ? String(to) : null });
    });
    for (const [width, height] of [[1440, 900], [390, 844]]) {
        const page = await open(t, proxy.url, { viewport: { width, height } });
        await page.locator("#active-table .row").first().waitFor();
        for (let step = 0; step < 3; step++) {
            const rows = Number(await page.locator("#active-table").getAttribute("aria-rowcount"));
            await page.locator("#active-more").click();
            await waitUntil(async () => Number(await page.locator("#active-table").getAttribute("aria-rowcount")) > rows, "more rows");
        }
        assert.equal(await page.locator("#active-table").getAttribute("aria-rowcount"), "501");
        assert.ok((await page.locator(".row").count()) < 80, "the others are not in the document");
        await page.evaluate(() => scrollTo(0, document.body.scrollHeight / 2));
        const inView = () => page.locator(".row").evaluateAll((rows) => rows.filter((row) => row.getBoundingClientRect().top < innerHeight && row.getBoundingClientRect().bottom > 0).map((row) => row.getAttribute("aria-rowindex")));
        await waitUntil(async () => (await inView()).length * 35 > height * 0.5, "the screen is full of rows");
        assert.ok((await page.locator(".row").count()) < 80);
        await checkAccessibility(page, `a long table at ${width} px`);
    }
});
