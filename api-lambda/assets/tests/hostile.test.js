import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkAccessibility, close, open, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";

const MARKUP = "<img src=x onerror=alert(1)>";

after(close);

test("markup in names and messages is shown as text", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    await program.call("POST", "api/projects", { project_id: "p", project_name: MARKUP, description: '"><script>alert(2)</script>' });
    const task = { project_id: "p", message: `<svg onload=alert(3)> ${MARKUP}`, phase: MARKUP, metadata: { [MARKUP]: MARKUP, "__proto__": "x" } };
    await program.createTask({ ...task, task_id: "runs", task_name: MARKUP, status: "running", current_step: MARKUP, progress: { current: 1, total: 3 } });
    await program.createTask({ ...task, task_id: "failed", task_name: MARKUP, status: "failed" });
    // If the markup were parsed, the page would request the image `x`.
    const page = await open(t, program.url);
    const images = [];
    page.on("request", (request) => request.resourceType() === "image" && images.push(request.url()));
    const names = page.getByRole("link", { name: MARKUP, exact: true });
    await waitUntil(async () => (await names.count()) === 3, "both tasks are shown with their names, one also above the list");
    assert.equal(await page.locator(".alert .cause").innerText(), task.message);
    assert.equal(await page.locator(".tile .name").innerText(), MARKUP);
    assert.equal(await page.locator(".row .message").innerText(), task.message);
    await page.locator(".card a").click();
    await page.getByRole("heading", { level: 1, name: MARKUP }).waitFor();
    assert.equal(await page.locator("#task-message").innerText(), task.message);
    await page.getByText("Raw JSON").click();
    await page.getByText("History as a table").click();
    assert.equal(await page.locator("main img, main svg [onload], main script").count(), 0);
    assert.equal(await page.locator("[onerror], [onload]").count(), 0);
    assert.ok((await page.title()).includes(MARKUP));
    await checkAccessibility(page, "a hostile task");
    assert.deepEqual(images.filter((url) => !url.startsWith("data:")), []);
});

test("terminal sequences and control characters are not shown", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    const message =
        "\u001b[31;1mred\u001b[0m \u001b]8;;https://example.com\u0007link\u001b]8;;\u0007 " +
        "\u001b]0;title\u001b\\plain\u0000\u0008\u0007 \u009b2Jcleared \u202etxet\u202c\r\nsecond\tline \u001b[?25l\u001bM✅";
    await program.createTask({ task_id: "ansi", task_name: "Noisy", status: "failed", message });
    const page = await open(t, program.url);
    const shown = page.locator(".row .message");
    await shown.waitFor();
    assert.equal(await shown.textContent(), "red link plain cleared txet second line ✅");
    await page.getByRole("link", { name: "Noisy" }).first().click();
    await page.locator("#cause").waitFor();
    assert.equal(await page.locator("#cause").textContent(), "red link plain cleared txet\nsecond\tline ✅");
});

test("extreme log lines do not break the layout", { timeout: 60_000 }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "miyabi-"));
    const log = join(folder, "agent.log");
    const long = "A".repeat(5000);
    const lines = [
        { message: `${"\u001b[".repeat(400)}${long}`, status: "running", progress: { current: 1, total: 4 } },
        { message: `${"\u001b]".repeat(400)} \u2028\u2029 ${"🏳️‍🌈".repeat(200)}`, phase: long, status: "running", progress: { current: 2, total: 18446744073709551615n } },
    ];
    const json = (line) => JSON.stringify(line, (_, value) => (typeof value === "bigint" ? Number(value) : value));
    await writeFile(log, lines.map((line) => `${json(line)}\n`).join(""));
    const program = await Program.start(t, { logs: ["--agents", log] });
    for (const width of [360, 1440]) {
        const page = await open(t, program.url, { viewport: { width, height: 700 } });
        await page.locator(".card").waitFor();
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no overflow at ${width}`);
        await page.locator(".card a").click();
        await page.locator("#task-hero").waitFor();
        await waitUntil(() => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no overflow at ${width}, in the task`, 3000);
    }
});
