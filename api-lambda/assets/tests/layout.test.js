import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccess, close, open, until } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

const WIDTHS = [360, 768, 1440, 3840];
const LONG = "A task with a name that goes on and on, over more than any screen is wide, as names from machines do ".repeat(2).trim();

/** A system with tasks of every kind, with long names. */
async function full(t) {
    const program = await Program.start(t);
    await program.call("POST", "api/projects", { project_id: "long", project_name: LONG, description: "Long names" });
    const statuses = ["running", "blocked", "pending", "completed", "failed", "cancelled"];
    for (const status of statuses) {
        await program.make({ task_id: status, task_name: `${LONG} ${status}`.slice(-250), status, project_id: "long", message: LONG, phase: LONG.slice(0, 200), metadata: { [LONG]: LONG.replaceAll(" ", "") } });
    }
    return program;
}

test("everything fits, from a phone to a wall, in light and dark, and is accessible", { timeout: 120_000 }, async (t) => {
    const program = await full(t);
    for (const colorScheme of ["light", "dark"]) {
        const page = await open(t, program.url, { colorScheme });
        for (const path of ["/", "/?task=running", "/?task=failed"]) {
            await page.goto(program.url + path);
            const ready = path === "/" ? ".part" : "#task-hero";
            await page.locator(ready).first().waitFor();
            for (const width of WIDTHS) {
                await page.setViewportSize({ width, height: Math.round(width * 0.6) + 300 });
                const what = `${path} at ${width} px, ${colorScheme}`;
                const wide = () => page.evaluate(overflowing);
                await until(async () => (await wide()).length === 0, `nothing sticks out of ${what}: ${await wide()}`, 2000).catch(async () => assert.fail(`${what}: ${await wide()}`));
                await checkAccess(page, what);
            }
        }
    }
});

/** What is wider than the window, or than the box that holds it. */
function overflowing() {
    const wide = document.documentElement.scrollWidth > innerWidth ? ["page"] : [];
    for (const box of document.querySelectorAll(".card, .row, .tile, .hero, .timeline, .facts")) {
        const edge = box.getBoundingClientRect().right + 0.5;
        for (const part of box.querySelectorAll("*")) {
            const { right, width } = part.getBoundingClientRect();
            let around = part.parentElement;
            while (around !== box && getComputedStyle(around).overflowX === "visible") around = around.parentElement;
            // What is cut off by what is around it does not stick out; fills of bars are wider than what they show.
            const isCut = around !== box && around.getBoundingClientRect().right <= edge;
            if (right > edge && width > 0 && !isCut && !part.closest(".bar, .shares, svg")) wide.push(part.outerHTML.slice(0, 120));
        }
    }
    return wide;
}

test("dark is dark and light is light, as the system has it, at once", async (t) => {
    const program = await full(t);
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

test("nothing moves for those who want it so", async (t) => {
    const program = await full(t);
    const page = await open(t, program.url, { reducedMotion: "reduce" });
    await page.locator(".card").first().waitFor();
    await page.waitForTimeout(1500);
    assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
});

test("nothing jumps while the page fills", async (t) => {
    const program = await full(t);
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

test("everything can be reached with the keyboard, in the order it is read, and is seen to have the focus", async (t) => {
    const program = await full(t);
    const page = await open(t, program.url);
    await page.locator(".row").first().waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the tasks");
    const seen = [];
    for (let step = 0; step < 60; step++) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
            const element = document.activeElement;
            const { outlineStyle, outlineWidth } = getComputedStyle(element);
            return { id: element.id, name: element.tagName + (element.dataset.task ?? element.dataset.status ?? element.id), outline: outlineStyle !== "none" && outlineWidth !== "0px" };
        });
        if (at.name.startsWith("BODY")) break;
        assert.ok(at.outline, `${at.name} is outlined`);
        seen.push(at.name);
    }
    const order = ["Ahome", "BUTTON", "BUTTONrunning", "SELECTtype-filter", "INPUTname-filter", "Arunning", "Ablocked", "Apending", "Acancelled", "Afailed", "Acompleted"];
    let from = 0;
    for (const name of order) {
        const place = seen.indexOf(name, from);
        assert.ok(place >= 0, `${name} after ${order[order.indexOf(name) - 1]}: ${seen}`);
        from = place;
    }
});
