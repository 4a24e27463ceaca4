import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccessibility, close, open, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

const WIDTHS = [320, 360, 768, 1440, 3840];
const LONG = "A task with a name that is longer than any screen is wide, as names from machines can be ".repeat(2).trim();

/** `local` with the sample runs, and a task with a long name in each status. */
async function startWithLongNames(t) {
    const program = await Program.start(t);
    await program.call("POST", "api/projects", { project_id: "long", project_name: LONG, description: "Long names" });
    const statuses = ["running", "blocked", "pending", "completed", "failed", "cancelled"];
    for (const status of statuses) {
        await program.createTask({ task_id: status, task_name: `${LONG} ${status}`.slice(-250), status, project_id: "long", message: LONG, phase: LONG.slice(0, 200), metadata: { [LONG]: LONG.replaceAll(" ", "") } });
    }
    return program;
}

test("every page fits and is accessible, from 360 to 3840 px wide, in light and dark", { timeout: 120_000 }, async (t) => {
    const program = await startWithLongNames(t);
    for (const colorScheme of ["light", "dark"]) {
        const page = await open(t, program.url, { colorScheme });
        for (const path of ["/", "/?task=running", "/?task=failed"]) {
            await page.goto(program.url + path);
            const ready = path === "/" ? ".part" : "#task-hero";
            await page.locator(ready).first().waitFor();
            for (const width of WIDTHS) {
                await page.setViewportSize({ width, height: Math.round(width * 0.6) + 300 });
                const what = `${path} at ${width} px, ${colorScheme}`;
                const overflow = () => page.evaluate(findOverflow);
                await waitUntil(async () => (await overflow()).length === 0, `no overflow at ${what}`, 2000).catch(async () => assert.fail(`${what}: ${await overflow()}`));
                await checkAccessibility(page, what);
            }
        }
    }
});

/** The elements that are wider than the window, or than the box parent them. */
function findOverflow() {
    const wide = document.documentElement.scrollWidth > innerWidth ? ["page"] : [];
    for (const box of document.querySelectorAll(".alert, .card, .row, .tile, .hero, .timeline, .facts")) {
        const edge = box.getBoundingClientRect().right + 0.5;
        for (const part of box.querySelectorAll("*")) {
            const { right, width } = part.getBoundingClientRect();
            let parent = part.parentElement;
            while (parent !== box && getComputedStyle(parent).overflowX === "visible") parent = parent.parentElement;
            // An element does not overflow if its parent clips it. The fill of a bar is wider than the bar by design.
            const isClipped = parent !== box && parent.getBoundingClientRect().right <= edge;
            if (right > edge && width > 0 && !isClipped && !part.closest(".bar, .shares, svg")) wide.push(part.outerHTML.slice(0, 120));
        }
    }
    return wide;
}

test("the page follows the system's colour scheme at once", async (t) => {
    const program = await startWithLongNames(t);
    const page = await open(t, program.url, { colorScheme: "dark" });
    await page.locator(".card").first().waitFor();
    const brightness = (selector, name) =>
        page.locator(selector).first().evaluate((element, name) => {
            const [red, green, blue] = getComputedStyle(element)[name].match(/[\d.]+/g).map(Number);
            return (red + green + blue) / 3;
        }, name);
    assert.ok((await brightness("body", "backgroundColor")) < 40);
    assert.ok((await brightness(".card h3", "color")) > 200);
    await page.emulateMedia({ colorScheme: "light" });
    assert.ok((await brightness("body", "backgroundColor")) > 230);
    assert.ok((await brightness(".card h3", "color")) < 60);
});

test("nothing is animated if the user prefers reduced motion", async (t) => {
    const program = await startWithLongNames(t);
    const page = await open(t, program.url, { reducedMotion: "reduce" });
    await page.locator(".card").first().waitFor();
    await page.waitForTimeout(1500);
    assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
});

test("the layout does not shift while the page loads", async (t) => {
    const program = await startWithLongNames(t);
    const page = await open(t, "about:blank");
    await page.addInitScript(() => {
        globalThis.shifts = [];
        new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries().map(({ value }) => value))).observe({ type: "layout-shift", buffered: true });
    });
    await page.goto(program.url);
    await page.locator(".card").first().waitFor();
    const shift = await page.evaluate(() => globalThis.shifts.reduce((sum, value) => sum + value, 0));
    assert.ok(shift < 0.02, `cumulative layout shift ${shift}`);
});

test("Tab reaches every control in reading order, and the focus is visible", async (t) => {
    const program = await startWithLongNames(t);
    const page = await open(t, program.url);
    await page.locator(".row").first().waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to tasks");
    const reached = [];
    for (let step = 0; step < 90; step++) {
        await page.keyboard.press("Tab");
        const focused = await page.evaluate(() => {
            const element = document.activeElement;
            // The outline of a link that is a whole box is around the box.
            const { outlineStyle, outlineWidth } = getComputedStyle(element, element.dataset.task ? "::after" : null);
            return { id: element.id, name: element.tagName + (element.dataset.task ?? element.dataset.status ?? element.id), outline: outlineStyle !== "none" && outlineWidth !== "0px" };
        });
        if (focused.name.startsWith("BODY")) break;
        assert.ok(focused.outline, `${focused.name} has an outline`);
        reached.push(focused.name);
    }
    const order = ["Ahome", "Ablocked", "Afailed", "INPUTname-filter", "BUTTONrunning", "SELECTtype-filter", "SELECTtime-filter", "BUTTON", "Apending", "Ablocked", "Arunning", "BUTTON", "Acancelled", "Afailed", "Acompleted"];
    let from = 0;
    for (const name of order) {
        const index = reached.indexOf(name, from);
        assert.ok(index >= 0, `${name} after ${order[order.indexOf(name) - 1]}: ${reached}`);
        from = index + 1;
    }
});
