import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccessibility, close, open, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

const HASH = "com.example.shop.orders.ReconciliationJob" + "0123456789abcdef".repeat(12);
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

test("on a phone tasks come first, and filters are behind one button", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    await program.call("POST", "api/projects", { project_id: "shop", project_name: "Shop" });
    for (let number = 1; number <= 5; number++) {
        await program.createTask({ task_name: `Job ${number}`, status: "running", project_id: "shop", progress: { current: number, total: 9 } });
    }
    const page = await open(t, program.url, PHONE);
    const first = page.locator(".card").first();
    await first.waitFor();
    assert.ok((await first.boundingBox()).y < 200, "the first task is on top of the screen");
    assert.equal(await page.getByRole("searchbox").isVisible(), false);
    const filter = page.getByRole("button", { name: "Filter" });
    const box = await filter.boundingBox();
    assert.ok(box.y > 700 && box.height >= 44, "within reach of a thumb");
    await filter.click();
    await page.getByRole("searchbox").waitFor();
    await checkAccessibility(page, "the filters on a phone");
    await page.getByRole("button", { name: /Shop.*5 tasks/ }).click();
    await page.getByRole("searchbox").fill("Job 3");
    await page.getByRole("button", { name: "Show tasks" }).click();
    await waitUntil(async () => (await page.locator(".card").count()) === 1, "the filters apply");
    assert.equal(await page.getByRole("searchbox").isVisible(), false);
    assert.equal(await filter.innerText(), "Filter (2)");
});

test("no name makes a phone scroll sideways", { timeout: 90_000 }, async (t) => {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    await program.call("POST", "api/projects", { project_id: "p", project_name: HASH });
    for (const status of ["running", "blocked", "failed", "completed"]) {
        const names = { task_name: HASH, message: HASH, phase: HASH, current_step: HASH, project_id: "p", metadata: { [HASH]: HASH } };
        await program.createTask({ task_id: status, status, ...names });
    }
    const page = await open(t, program.url, { viewport: { width: 320, height: 700 }, hasTouch: true, isMobile: true });
    for (const path of ["/", "/?view=table", "/?task=failed", "/?task=running"]) {
        await page.goto(program.url + path);
        await page.locator(path.includes("task") ? "#task-hero" : ".alert").first().waitFor();
        await page.waitForTimeout(300);
        const width = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, visualViewport.width));
        assert.ok(width <= 320, `${path}: ${width} px`);
    }
});

for (const [width, height] of [[390, 844], [1440, 900]]) {
    test(`the cause of a failure is in full view at ${width}×${height}`, { timeout: 60_000 }, async (t) => {
        const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
        const cause = `Resource handler returned message: ${"a reason of many words ".repeat(20)}end`;
        for (let number = 1; number <= 30; number++) await program.createTask({ task_name: `Job ${number}`, status: "running" });
        await program.createTask({ task_id: "bad", task_name: "ShopApi", status: "failed", message: cause });
        const page = await open(t, program.url, { viewport: { width, height } });
        const isInView = async (selector) => {
            const box = await page.locator(selector).boundingBox();
            const text = await page.locator(selector).innerText();
            const clipped = await page.locator(selector).evaluate((element) => element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1);
            assert.equal(text, cause);
            assert.ok(!clipped && box.y >= 0 && box.y + box.height <= height, `${selector} at ${JSON.stringify(box)}`);
        };
        await page.locator(".alert").waitFor();
        await isInView(".alert .cause");
        await page.locator(".alert a").click();
        await page.locator("#cause").waitFor();
        await isInView("#cause");
    });
}
