import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccessibility, close, open, screenshot, showNews, texts, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

test("the sample runs progress live and end as expected", { timeout: 150_000 }, async (t) => {
    const program = await Program.start(t);
    const page = await open(t, program.url, { viewport: { width: 1440, height: 900 } });
    const digest = page.locator(".card", { hasText: "nightly-digest" });
    await digest.waitFor();

    await t.test("bars advance in place", async () => {
        const bar = digest.getByRole("progressbar");
        const card = await digest.elementHandle();
        const fill = () => bar.locator("i").evaluate((fill) => fill.getBoundingClientRect().right);
        const before = { value: Number(await bar.getAttribute("aria-valuenow")), end: await fill() };
        await waitUntil(async () => Number(await bar.getAttribute("aria-valuenow")) >= before.value + 16, "the digest is two steps further", 20_000);
        // The bar is animated: it arrives shortly after the number.
        await waitUntil(async () => (await fill()) > before.end + 20, "the bar is longer");
        assert.equal(await digest.evaluate((now, then) => now === then, card), true, "the card is the same element");
        assert.match(await digest.innerText(), /Step \d+\/12/);
        assert.match(await page.title(), /^[2-5] running · Miyabi Progress$/);
    });

    await t.test("each stack of a deploy has its own bar", async () => {
        const shop = page.locator(".card", { hasText: "ShopNetwork" });
        const parts = shop.locator(".part");
        await waitUntil(async () => (await parts.count()) >= 2, "two stacks are shown");
        assert.deepEqual((await texts(shop, ".part .name")).slice(0, 2), ["ShopData", "ShopNetwork"]);
        assert.match(await parts.first().getByRole("progressbar").getAttribute("aria-label"), /^ShopData, /);
    });

    await t.test("scroll position and focus stay", async () => {
        await page.setViewportSize({ width: 800, height: 500 });
        await digest.getByRole("link").focus();
        await page.evaluate(() => scrollTo(0, 260));
        const before = await page.evaluate(() => scrollY);
        assert.ok(before > 100, `scrolled to ${before}`);
        const step = await digest.locator(".message").innerText();
        await waitUntil(async () => (await digest.locator(".message").innerText()) !== step, "the digest is one step further", 20_000);
        assert.equal(await page.evaluate(() => scrollY), before);
        assert.match(await page.evaluate(() => document.activeElement.textContent), /nightly-digest/);
        await page.setViewportSize({ width: 1440, height: 900 });
    });

    await t.test("a list with running tasks is accessible", async () => {
        await checkAccessibility(page, "the list");
    });

    await t.test("a failed deploy shows the reason and keeps the focus", async () => {
        const link = page.getByRole("link", { name: "ShopWorkers" }).first();
        const news = page.locator("#news");
        await waitUntil(async () => {
            if (await news.isVisible()) await news.click();
            return (await link.count()) > 0;
        }, "the deploy has begun", 30_000);
        await link.focus();
        const card = page.locator(".card", { hasText: "ShopWorkers" });
        await card.getByText("failed", { exact: true }).waitFor({ timeout: 60_000 });
        assert.match(await page.evaluate(() => document.activeElement.textContent), /ShopWorkers/);
        await showNews(page, "ShopWorkers failed");
        const alert = page.locator(".alert", { hasText: "ShopWorkers" });
        assert.match(await alert.locator(".cause").innerText(), /runtime parameter of nodejs14\.x is no longer supported.*RequestToken.*\)$/s);
        assert.match(await alert.innerText(), /AWS::Lambda::Function Worker62EFB9EC · Sample shop/);
        const row = page.locator(".row", { hasText: "ShopWorkers" });
        assert.equal(await row.locator(".state").innerText(), "rolled back");
        assert.match(await row.locator(".message").innerText(), /runtime parameter of nodejs14\.x is no longer supported/);
        await waitUntil(async () => (await page.title()).includes("1 failed"), "the title shows the failure");
        assert.match(decodeURIComponent(await page.locator("#favicon").getAttribute("href")), /<text/);
        await waitUntil(async () => /ShopWorkers failed: .*nodejs14/.test(await page.locator("#announcer").innerText()), "the failure is announced");
        await page.evaluate(() => document.activeElement.blur());
        await page.locator("#news", { hasText: "1 finished" }).click({ timeout: 30_000 });
        await animationsEnd(page);
        await screenshot(page, "dashboard");
        await page.emulateMedia({ colorScheme: "dark" });
        await screenshot(page, "dashboard-dark");
        await page.emulateMedia({ colorScheme: "light" });
        const { metrics } = (await program.call("GET", "api/projects")).projects[0];
        await waitUntil(async () => (await page.locator(".tile").innerText()).includes(`${metrics.failed} failed`), "the project counts the failure");
    });

    await t.test("the page of a task updates live", async () => {
        await page.getByRole("link", { name: /ShopNetwork/ }).first().click();
        await page.getByRole("heading", { level: 1, name: /ShopNetwork/ }).waitFor();
        const rows = page.locator("#part-rows tr");
        await waitUntil(async () => (await rows.count()) === 3, "all three stacks are shown", 30_000);
        await waitUntil(async () => (await page.locator("#task-state").innerText()).toLowerCase() === "completed", "the deploy has ended", 60_000);
        await waitUntil(async () => (await page.locator("#chart").getAttribute("aria-valuetext")).includes("100 %"), "the chart shows the end");
        const spans = await page.locator("#part-rows .track i").evaluateAll((all) => all.map((span) => span.getBoundingClientRect()));
        assert.equal(spans.length, 3);
        // The third stack starts after the other two.
        assert.ok(spans[2].left >= spans[0].right - 1 && spans[2].left >= spans[1].right - 1, JSON.stringify(spans));
        assert.deepEqual(await texts(page, "#part-rows .outcome span"), ["deployed", "deployed", "deployed"]);
        await page.setViewportSize({ width: 1440, height: 980 });
        await animationsEnd(page);
        await screenshot(page, "task");
        await checkAccessibility(page, "an ended task");
        await page.setViewportSize({ width: 390, height: 844 });
        await page.emulateMedia({ colorScheme: "dark" });
        await waitUntil(async () => (await page.locator("#chart canvas").evaluate((canvas) => canvas.clientWidth)) < 390, "the chart fits");
        await screenshot(page, "phone");
    });
});

/** Waits until no animation is running. */
const animationsEnd = (page) => waitUntil(() => page.evaluate(() => document.getAnimations().length === 0), "all animations have ended", 5000);
