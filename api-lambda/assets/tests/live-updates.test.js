import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccess, close, open, picture, texts, until } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

test("the sample runs move, in place, and end as they should", { timeout: 150_000 }, async (t) => {
    const program = await Program.start(t);
    const page = await open(t, program.url, { viewport: { width: 1440, height: 900 } });
    const digest = page.locator(".card", { hasText: "nightly-digest" });
    await digest.waitFor();

    await t.test("bars move while the page is watched, and nothing is built anew", async () => {
        const bar = digest.getByRole("progressbar");
        const card = await digest.elementHandle();
        const fill = () => bar.locator("i").evaluate((fill) => fill.getBoundingClientRect().right);
        const before = { value: Number(await bar.getAttribute("aria-valuenow")), end: await fill() };
        await until(async () => Number(await bar.getAttribute("aria-valuenow")) >= before.value + 16, "the digest is two steps on", 20_000);
        // The bar glides: it is there a moment after the number.
        await until(async () => (await fill()) > before.end + 20, "the bar is longer");
        assert.equal(await digest.evaluate((now, then) => now === then, card), true, "it is the same card");
        assert.match(await digest.innerText(), /Step \d+\/12/);
        assert.match(await page.title(), /^[2-5] running · Miyabi Progress$/);
    });

    await t.test("the stacks of a deploy are bars of their own", async () => {
        const shop = page.locator(".card", { hasText: "ShopNetwork" });
        const parts = shop.locator(".part");
        await until(async () => (await parts.count()) >= 2, "two stacks are shown");
        assert.deepEqual((await texts(shop, ".part .name")).slice(0, 2), ["ShopData", "ShopNetwork"]);
        assert.match(await parts.first().getByRole("progressbar").getAttribute("aria-label"), /^ShopData, /);
    });

    await t.test("the place in the page and the focus stay", async () => {
        await page.setViewportSize({ width: 800, height: 500 });
        await digest.getByRole("link").focus();
        await page.evaluate(() => scrollTo(0, 260));
        const before = await page.evaluate(() => scrollY);
        assert.ok(before > 100, `scrolled to ${before}`);
        const step = await digest.locator(".message").innerText();
        await until(async () => (await digest.locator(".message").innerText()) !== step, "the digest is one step on", 20_000);
        assert.equal(await page.evaluate(() => scrollY), before);
        assert.match(await page.evaluate(() => document.activeElement.textContent), /nightly-digest/);
        await page.setViewportSize({ width: 1440, height: 900 });
    });

    await t.test("a list that moves is accessible", async () => {
        await checkAccess(page, "the list");
    });

    await t.test("a deploy that fails says why, and takes the focus along", async () => {
        const link = page.getByRole("link", { name: "CDK Deploy · ShopWorkers" });
        await link.focus();
        const row = page.locator(".row", { hasText: "ShopWorkers" });
        await row.waitFor({ timeout: 60_000 });
        assert.equal(await row.locator(".state").innerText(), "rolled back");
        assert.match(await row.locator(".message").innerText(), /runtime parameter of nodejs14\.x is no longer supported/);
        assert.match(await page.evaluate(() => document.activeElement.textContent), /ShopWorkers/);
        await until(async () => (await page.title()).includes("1 failed"), "the title says so");
        assert.match(decodeURIComponent(await page.locator("#favicon").getAttribute("href")), /<text/);
        await until(async () => /ShopWorkers failed: .*nodejs14/.test(await page.locator("#announcer").innerText()), "it is said aloud");
        await page.evaluate(() => document.activeElement.blur());
        await until(async () => (await page.locator(".row").count()) >= 2, "another one has ended", 30_000);
        await settled(page);
        await picture(page, "dashboard");
        await page.emulateMedia({ colorScheme: "dark" });
        await picture(page, "dashboard-dark");
        await page.emulateMedia({ colorScheme: "light" });
        const { metrics } = (await program.call("GET", "api/projects")).projects[0];
        await until(async () => (await page.locator(".tile").innerText()).includes(`${metrics.failed} failed`), "the project counts it");
    });

    await t.test("a task has a view of its own that goes on moving", async () => {
        await page.getByRole("link", { name: /ShopNetwork/ }).click();
        await page.getByRole("heading", { level: 1, name: /ShopNetwork/ }).waitFor();
        const rows = page.locator("#part-rows tr");
        await until(async () => (await rows.count()) === 3, "all three stacks are there", 30_000);
        await until(async () => (await page.locator("#task-state").innerText()).toLowerCase() === "completed", "the deploy has ended", 60_000);
        await until(async () => (await page.locator("#chart").getAttribute("aria-valuetext")).includes("100 %"), "the chart has its end");
        const spans = await page.locator("#part-rows .track i").evaluateAll((all) => all.map((span) => span.getBoundingClientRect()));
        assert.equal(spans.length, 3);
        // Of the three stacks, the third waited for the other two.
        assert.ok(spans[2].left >= spans[0].right - 1 && spans[2].left >= spans[1].right - 1, JSON.stringify(spans));
        assert.deepEqual(await texts(page, "#part-rows .outcome span"), ["deployed", "deployed", "deployed"]);
        await page.setViewportSize({ width: 1440, height: 980 });
        await settled(page);
        await picture(page, "task");
        await checkAccess(page, "a task that has ended");
        await page.setViewportSize({ width: 390, height: 844 });
        await page.emulateMedia({ colorScheme: "dark" });
        await until(async () => (await page.locator("#chart canvas").evaluate((canvas) => canvas.clientWidth)) < 390, "the chart fits");
        await picture(page, "phone");
    });
});

/** Waits until no bar is on its way. */
const settled = (page) => until(() => page.evaluate(() => document.getAnimations().length === 0), "nothing glides", 5000);
