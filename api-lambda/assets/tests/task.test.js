import assert from "node:assert/strict";
import { appendFile, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkAccessibility, close, open, texts, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";
import { TestProxy } from "./support/proxy.js";

after(close);

/** `local` with an agent that has reported `steps` steps. `step(n)` reports one more. */
async function startWithSteps(t, steps) {
    const folder = await mkdtemp(join(tmpdir(), "miyabi-"));
    const log = join(folder, "coder.log");
    await writeFile(log, "");
    const program = await Program.start(t, { logs: ["--agents", log] });
    const step = async (current, status = "running") => {
        const line = { message: `Step ${current}`, phase: "coding", status, progress: { current, total: 8 } };
        await appendFile(log, `${JSON.stringify(line)}\n`);
        await waitUntil(async () => {
            const { tasks } = await program.call("GET", "api/tasks");
            const task = tasks.find(({ task_id }) => task_id === "agent:coder");
            return task?.progress.current === current && task.status === status;
        }, `step ${current} is collected`);
    };
    for (let current = 1; current <= steps; current++) await step(current);
    return { program, step };
}

test("the history of a task is a chart, usable with the keyboard, and a table", { timeout: 60_000 }, async (t) => {
    const { program, step } = await startWithSteps(t, 4);
    const page = await open(t, `${program.url}/?task=agent:coder`);
    const chart = page.getByRole("slider", { name: "Progress over time" });
    await chart.waitFor();
    assert.equal(await chart.getAttribute("aria-valuemax"), "3");
    assert.match(await chart.getAttribute("aria-valuetext"), /50 % · 4 of 8 · coding$/);
    await chart.focus();
    await page.keyboard.press("Home");
    assert.match(await page.locator("#readout").innerText(), /12 % · 1 of 8 · coding · Step 1$/);
    await page.keyboard.press("ArrowRight");
    assert.match(await chart.getAttribute("aria-valuetext"), /25 % · 2 of 8/);
    const marker = page.locator(".u-cursor-pt");
    assert.ok(await marker.isVisible(), "the chart marks the entry");
    await page.keyboard.press("End");
    await page.keyboard.press("Escape");

    // The canvas has pixels in the colour of the line.
    const pixels = await page.locator("#chart canvas").evaluate((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let offset = 0; offset < data.length; offset += 4) {
            const [red, , blue, alpha] = data.subarray(offset, offset + 4);
            if (alpha > 200 && Math.abs(red - 0x33) < 12 && Math.abs(blue - 0x9c) < 12) count++;
        }
        return count;
    });
    assert.ok(pixels > 300, `${pixels} pixels`);

    await page.getByText("History as a table").click();
    // The rows are created shortly after the table opens.
    await page.locator("#history-rows td").first().waitFor();
    assert.deepEqual(await texts(page, "#history-rows td:nth-child(2)"), ["50 %, 4 of 8", "37 %, 3 of 8", "25 %, 2 of 8", "12 %, 1 of 8"]);
    await step(5);
    await waitUntil(async () => (await texts(page, "#history-rows td:nth-child(2)"))[0] === "62 %, 5 of 8", "the table has the new entry");
    assert.equal(await chart.getAttribute("aria-valuemax"), "4");
    assert.match(await page.title(), /^62 % · coder · Miyabi Progress$/);
    await page.getByText("Raw JSON").click();
    await checkAccessibility(page, "a running task with everything open");
});

test("an earlier run stays in the list, and has a page of its own", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    const run = { task_id: "nightly", task_name: "Nightly build" };
    const { run_id } = await program.createTask({ ...run, status: "failed", message: "2 of 90 tests failed" });
    await program.createTask({ ...run, status: "completed" });
    const page = await open(t, program.url);
    await waitUntil(async () => (await page.locator(".row").count()) === 2, "both runs are listed");
    assert.deepEqual(await texts(page, ".row .earlier"), ["", "earlier run"]);
    await checkAccessibility(page, "a list with an earlier run");
    await page.locator(".row a").first().click();
    await page.locator("#run-rows tr").first().waitFor();
    assert.equal(new URL(page.url()).search, "?task=nightly");
    assert.equal(await page.locator("#earlier-note").isVisible(), false);
    assert.deepEqual(await texts(page, "#run-rows .outcome span"), ["failed"]);
    await checkAccessibility(page, "a task with an earlier run");

    await page.locator("#run-rows a").click();
    await page.getByText("This is an earlier run.").waitFor();
    assert.equal(new URL(page.url()).search, `?task=${run_id}`);
    assert.equal(await page.locator("#cause").innerText(), "2 of 90 tests failed");
    assert.equal(await page.locator("#runs-section").isVisible(), false);
    await checkAccessibility(page, "an earlier run");
    await page.getByRole("link", { name: "Show the newest run" }).click();
    await page.locator("#run-rows tr").first().waitFor();
    assert.equal(new URL(page.url()).search, "?task=nightly");
});

/** Writes `lines` to the file `name` in a new folder, and returns its path. */
async function logOf(name, lines) {
    const log = join(await mkdtemp(join(tmpdir(), "miyabi-")), name);
    await writeFile(log, lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""));
    return log;
}

test("a failed deploy shows its cause in the list, and first of all on its page", { timeout: 60_000 }, async (t) => {
    const row = (stack, state, rest) => `${stack} | 1/4 | 10:00:00 | ${state} | ${rest}`;
    const log = await logOf("deploy.log", [
        "Api: deploying... [1/2]",
        row("Api", "CREATE_COMPLETE", "AWS::SNS::Topic | News (News1A2B) "),
        "✅  Api",
        "Web: deploying... [2/2]",
        row("Web", "CREATE_IN_PROGRESS", "AWS::SQS::Queue | Jobs (Jobs1A2B) "),
        row("Web", "CREATE_FAILED", `AWS::SQS::Queue | Jobs (Jobs1A2B) <b>no</b> ${"third ".repeat(30)}queue`),
        row("Web", "ROLLBACK_IN_PROGRESS", "AWS::CloudFormation::Stack | Web The following resource(s) failed to create: [Jobs1A2B]."),
        row("Web", "DELETE_COMPLETE", "AWS::SQS::Queue | Jobs (Jobs1A2B) "),
        row("Web", "ROLLBACK_COMPLETE", "AWS::CloudFormation::Stack | Web "),
        "❌  Web failed: the stack named Web failed to deploy",
    ]);
    const program = await Program.start(t, { logs: ["--cdk", log] });
    const cause = `Jobs1A2B: <b>no</b> ${"third ".repeat(30)}queue`;
    for (const [width, colorScheme] of [[1280, "light"], [320, "dark"]]) {
        const page = await open(t, program.url, { viewport: { width, height: 800 }, colorScheme });
        const message = page.locator(".row .message");
        await message.waitFor();
        assert.equal(await message.innerText(), `Web: ${cause}`);
        assert.equal(await message.getAttribute("title"), `Web: ${cause}`);
        assert.ok((await message.boundingBox()).height < 30, "one line");
        await checkAccessibility(page, `a list with a cause, ${width} px, ${colorScheme}`);
        await page.locator(".row a").click();
        const section = page.getByRole("region", { name: "Cause of the failure" });
        await section.waitFor();
        assert.equal(await section.locator("#cause").innerText(), cause);
        assert.deepEqual((await texts(page, "#failure dd")).slice(0, 3), ["Jobs1A2B", "AWS::SQS::Queue", "Web"]);
        const context = await section.locator("#context").innerText();
        assert.match(context, /CREATE_IN_PROGRESS \| AWS::SQS::Queue/);
        assert.equal(context.split("\n").length, 5);
        assert.equal(await page.locator("#task-message").innerText(), "", "it does not repeat the cause");
        const [first, second] = await Promise.all(["#cause", "#chart"].map((id) => page.locator(id).boundingBox()));
        assert.ok(first.y < second.y, "the failure comes first");
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no overflow at ${width}`);
        assert.equal(await page.locator("main b:not(.figure b)").count(), 0, "text stays text");
        await checkAccessibility(page, `a failed deploy, ${width} px, ${colorScheme}`);
    }
});

test("a task shows its agent, and what the agent waits for", { timeout: 60_000 }, async (t) => {
    const question = "May I cut <i>the silk</i>?";
    const log = await logOf("tailor.log", [
        { type: "assistant", message: { content: [{ type: "tool_use", id: "l", name: "TodoWrite", input: { todos: [{ content: "cut <b>silk</b>", status: "completed" }, { content: "sew", status: "in_progress" }, { content: "iron", status: "pending" }] } }] } },
        { model: "needle-2", tool: "sew", num_turns: 1204, total_cost_usd: 0.4251, usage: { input_tokens: 120_345, output_tokens: 678, cached_tokens: 90_000 } },
        { type: "assistant", message: { content: [{ type: "tool_use", id: "t", name: "AskUserQuestion", input: { questions: [{ question }] } }] } },
    ]);
    const program = await Program.start(t, { logs: ["--agents", log] });
    for (const [width, colorScheme] of [[1280, "light"], [320, "dark"]]) {
        const page = await open(t, `${program.url}/?task=agent:tailor`, { viewport: { width, height: 800 }, colorScheme });
        const section = page.getByRole("region", { name: "Agent", exact: true });
        await section.waitFor();
        const facts = Object.fromEntries(await section.locator("dl > div").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))));
        const expected = ["Waits for", question, "Tool", "sew", "Model", "needle-2", "Turns", "1,204", "Tokens read", "120,345", "Tokens written", "678", "Tokens from the cache", "90,000", "Cost", "$0.4251"];
        assert.deepEqual(Object.entries(facts).flat(), expected);
        const todos = page.getByRole("list", { name: "To-do list" }).getByRole("listitem");
        assert.deepEqual(await todos.allTextContents(), ["cut <b>silk</b>", "sew", "iron"]);
        assert.deepEqual(await todos.evaluateAll((items) => items.map((item) => item.dataset.tone)), ["completed", "running", "pending"]);
        assert.equal(await todos.nth(1).getAttribute("aria-current"), "step");
        assert.equal(await page.locator("#failure-section").isVisible(), false);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no overflow at ${width}`);
        await checkAccessibility(page, `a task with an agent, ${width} px, ${colorScheme}`);
    }
});

test("a failure in CloudWatch Logs has a link to its log", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    await program.createTask({ task_id: "a", task_name: "Build", status: "failed", message: "boom" });
    let url = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/g/log-events/s";
    const proxy = await TestProxy.start(t, program.url, async ({ path }) => {
        if (path !== "/api/tasks/a") return undefined;
        const task = { ...(await program.call("GET", path)), source: { region: "eu-west-1", url } };
        return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(task) };
    });
    const page = await open(t, `${proxy.url}/?task=a`);
    const link = page.getByRole("link", { name: "Open log" });
    assert.equal(await link.getAttribute("href"), url);
    assert.equal(await link.getAttribute("rel"), "noopener noreferrer");
    await checkAccessibility(page, "a failure with a link to its log");
    url = "javascript:alert(1)";
    await page.reload();
    await page.locator("#cause").waitFor();
    assert.equal(await link.isVisible(), false, "only addresses of the web are links");
});

test("a task's page shows every field, and Copy link copies its URL", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t);
    await program.createTask({
        task_id: "build-7",
        task_name: "Nightly build",
        status: "failed",
        priority: "P1",
        message: "2 of 90 tests failed",
        metadata: { issue: 142, pull_request: "https://example.com/pr/9", script: "javascript:alert(1)" },
    });
    const page = await open(t, program.url, { permissions: ["clipboard-read", "clipboard-write"] });
    await page.getByRole("link", { name: "Nightly build" }).first().click();
    await page.getByRole("heading", { level: 1, name: "Nightly build" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "task-title");
    assert.match(await page.title(), /^failed · Nightly build/);
    assert.equal(await page.locator("#task-state").innerText(), "Failed");
    assert.equal(await page.locator("#cause").innerText(), "2 of 90 tests failed");
    const details = await page.locator("#details").innerText();
    for (const value of ["build-7", "Build", "P1"]) assert.ok(details.includes(value), value);
    const metadata = page.locator("#metadata");
    assert.deepEqual(await texts(page, "#metadata dd"), ["142", "https://example.com/pr/9", "javascript:alert(1)"]);
    assert.equal(await metadata.getByRole("link").count(), 1, "only http and https URLs are links");
    assert.equal(await metadata.getByRole("link").getAttribute("rel"), "noopener noreferrer");
    await page.getByText("Raw JSON").click();
    const raw = JSON.parse(await page.locator("#raw").innerText());
    assert.deepEqual(raw, await program.call("GET", "api/tasks/build-7"));

    await page.getByRole("button", { name: "Copy link" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(link, `${program.url}/?task=build-7`);
    const other = await open(t, link);
    await other.getByRole("heading", { level: 1, name: "Nightly build" }).waitFor();
});

test("going back restores filters, scroll position and focus", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    for (let number = 1; number <= 40; number++) {
        await program.createTask({ task_id: `t-${number}`, task_name: `Task ${number}`, status: number % 2 ? "completed" : "failed" });
    }
    const page = await open(t, `${program.url}/?status=failed`, { viewport: { width: 900, height: 500 } });
    const link = page.getByRole("link", { name: "Task 6", exact: true });
    await link.scrollIntoViewIfNeeded();
    const before = await page.evaluate(() => scrollY);
    assert.ok(before > 200, `scrolled to ${before}`);
    for (const goBack of [() => page.getByRole("link", { name: "All tasks" }).click(), () => page.goBack()]) {
        await link.focus();
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { level: 1, name: "Task 6" }).waitFor();
        assert.equal(await page.evaluate(() => scrollY), 0);
        await goBack();
        await link.waitFor();
        assert.equal(new URL(page.url()).search, "?status=failed");
        assert.equal(await page.evaluate(() => scrollY), before);
        assert.equal(await page.evaluate(() => document.activeElement.textContent), "Task 6");
    }
});

test("a rollback is striped, keeps its first cause and has no expected end", { timeout: 60_000 }, async (t) => {
    const row = (state, rest) => `Web | 2/4 | 10:00:00 | ${state} | ${rest}`;
    const log = await logOf("web.log", [
        "Web: deploying... [1/1]",
        row("CREATE_IN_PROGRESS", "AWS::SQS::Queue | Jobs (Jobs1A2B) "),
        row("CREATE_COMPLETE", "AWS::SNS::Topic | News (News1A2B) "),
        row("CREATE_FAILED", "AWS::SQS::Queue | Jobs (Jobs1A2B) no third queue"),
        row("ROLLBACK_IN_PROGRESS", "AWS::CloudFormation::Stack | Web The following resource(s) failed to create: [Jobs1A2B]."),
        row("DELETE_COMPLETE", "AWS::SNS::Topic | News (News1A2B) "),
    ]);
    const program = await Program.start(t, { logs: ["--cdk", log] });
    const page = await open(t, program.url);
    const card = page.locator(".card");
    await card.getByText("rolling back").waitFor();
    assert.match(await card.innerText(), /no third queue/);
    const stripes = (bar) => bar.locator("i").evaluate((fill) => getComputedStyle(fill).backgroundImage);
    assert.match(await stripes(card.getByRole("progressbar")), /repeating-linear-gradient/);
    await page.locator(".card a").click();
    await page.locator("#task-state").getByText("rolling back", { exact: false }).waitFor();
    assert.match(await stripes(page.locator("#task-bar")), /repeating-linear-gradient/);
    assert.equal(await page.locator("#task-eta").innerText(), "");
    assert.equal(await page.locator("#cause").innerText(), "Jobs1A2B: no third queue");
    await checkAccessibility(page, "a rollback");
});

test("a task shows its usual duration, its earlier runs as bars, and where it was started", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    const context = { actor: "aki", repository: "shop/website", commit: "0a1b2c3d", branch: "main", pull_request: "https://example.com/pull/9", ci_url: "javascript:alert(1)" };
    const post = async (records, stream = "nightly") => {
        const body = records.map((record) => `${JSON.stringify(record)}\n`).join("");
        const headers = { "content-type": "application/x-ndjson" };
        const query = new URLSearchParams({ stream, session: crypto.randomUUID(), sequence: "0" });
        const response = await fetch(`${program.url}/api/logs?${query}`, { method: "POST", headers, body });
        assert.equal(response.status, 202, await response.text());
    };
    const at = (minute) => new Date(Date.UTC(2026, 0, 1, 10, minute)).toISOString();
    for (const [from, minutes, exit_code] of [[0, 4, 0], [10, 2, 1], [20, 5, 0]]) {
        await post([{ message: "[1/2] <b>one</b>", timestamp: at(from) }, { message: "[2/2] two", timestamp: at(from + minutes) }, { exit_code, timestamp: at(from + minutes) }]);
    }
    await post([{ context }, { message: "[1/2] <b>one</b>" }]);
    const page = await open(t, `${program.url}/?task=run:nightly`);
    await page.locator("#log").getByText("[1/2] <b>one</b>").waitFor();
    assert.match(await page.locator("#task-took").innerText(), /^for \d+ s, usually \d+ min( \d+ s)?$/);
    const bars = page.locator("#run-bars a");
    const labels = await bars.evaluateAll((links) => links.map((link) => link.getAttribute("aria-label")));
    assert.deepEqual(labels.map((label) => label.replace(/^.*: /, "").replace(/\d+ s$/, "… s")), ["completed, 4 min", "failed, 2 min", "completed, 5 min", "running, … s"]);
    const heights = await bars.locator("i").evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().height));
    assert.ok(heights[2] > heights[0] && heights[0] > heights[1] * 1.8, `${heights}`);
    const origin = page.getByRole("region", { name: "Started from" });
    assert.deepEqual(await origin.locator("dd").allTextContents(), Object.values(context));
    assert.deepEqual(await origin.getByRole("link").allTextContents(), [context.pull_request], "only addresses of the web are links");
    await checkAccessibility(page, "a task with earlier runs and a log");
    await bars.nth(1).click();
    await page.locator("#cause").waitFor();
    await page.getByRole("link", { name: "Open log" }).click();
    assert.equal(await page.evaluate(() => document.activeElement.id), "log-title");
    assert.match(await page.locator("#log").innerText(), /two$/);
});

test("the waterfall of a run marks its critical path, and cuts idle stretches short", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    await program.createTask({ task_id: "d", task_name: "Deploy", task_type: "cdk_deploy", status: "running" });
    const at = (minute) => new Date(Date.now() - 60_000 * (60 - minute)).toISOString();
    const part = (from, to) => ({ current: 1, total: 1, percentage: 100, status: to ? "completed" : "running", started_at: at(from), ...(to && { completed_at: at(to) }) });
    // Nothing ran from minute 10 to minute 50.
    const parts = { Network: part(0, 6), Data: part(0, 3), Api: part(6, 10), Web: part(50, null) };
    const proxy = await TestProxy.start(t, program.url, async ({ path }) => {
        if (path !== "/api/tasks/d") return undefined;
        return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify({ ...(await program.call("GET", path)), parts }) };
    });
    for (const width of [1440, 320]) {
        const page = await open(t, `${proxy.url}/?task=d`, { viewport: { width, height: 900 } });
        await page.locator("#part-rows tr").first().waitFor();
        assert.deepEqual(await texts(page, "#part-rows th > span:first-child"), ["Web", "Data", "Network", "Api"], "what runs is on top");
        const critical = async (name) => page.locator("#part-rows tr", { hasText: name }).locator(".critical").isVisible();
        assert.deepEqual([await critical("Web"), await critical("Data")], [true, false]);
        const boxes = Object.fromEntries(await page.locator("#part-rows tr").evaluateAll((rows) => rows.map((row) => [row.querySelector("th span").textContent, row.querySelector("[data-ref=span]").getBoundingClientRect().toJSON()])));
        const track = await page.locator(".track").first().boundingBox();
        assert.ok(boxes.Web.width > track.width * 0.35, `ten of twenty busy minutes: ${boxes.Web.width} of ${track.width}`);
        assert.ok(Math.abs(boxes.Api.left - boxes.Network.right) < 4, "one begins where the other ends");
        assert.ok(boxes.Web.left - boxes.Api.right < track.width * 0.06, "the idle stretch is short");
        assert.equal(await page.locator(".track").first().locator(".idle i").getAttribute("title"), "Nothing ran for 40 min");
        assert.match(await page.locator("#parts-note").innerText(), /critical path.*nothing ran/s);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no overflow at ${width}`);
        await checkAccessibility(page, `a waterfall at ${width} px`);
    }
    parts.Web = part(50, 55);
    parts.Late = part(55, 60);
    const page = await open(t, `${proxy.url}/?task=d`);
    await page.locator("#part-rows tr").nth(4).waitFor();
    const marked = await page.locator("#part-rows tr:has(.critical:not([hidden])) th span:first-child").allTextContents();
    assert.deepEqual(marked, ["Web", "Late"], "the chain ends where nothing ran");
});

test("an unknown task is reported", async (t) => {
    const program = await Program.start(t);
    const page = await open(t, `${program.url}/?task=no-such`, { expected: /404/ });
    await page.getByText("There is no task no-such. It was deleted").waitFor();
    await checkAccessibility(page, "an unknown task");
    await page.getByRole("link", { name: "All tasks" }).click();
    await page.locator(".card").first().waitFor();
});
