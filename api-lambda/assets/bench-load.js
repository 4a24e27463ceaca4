// Measures what the browser needs for a list of tasks that all change every second: processor time of all its processes,
// and the frames that took long. The API's answers are made by this program. Run it by scripts/bench-load.

import { readFileSync, readdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { ManyTasks } from "./tests/support/many-tasks.js";
import { Program } from "./tests/support/program.js";

const TASKS = Number(process.env.TASKS ?? 1000);
const SECONDS = Number(process.env.SECONDS ?? 20);
/** Ticks of the kernel's clock in a second, in which `/proc` counts. */
const TICKS = 100;

const cleanups = [];
const t = { after: (action) => cleanups.push(action) };

/** The processor time of a process and of all that it has started, in seconds. */
function processorTime(root) {
    const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((name) => {
        try {
            const fields = readFileSync(`/proc/${name}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
            return { id: Number(name), parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) / TICKS };
        } catch {
            // It has ended meanwhile.
            return { id: 0, parent: 0, seconds: 0 };
        }
    });
    const sum = (id) => processes.filter(({ parent }) => parent === id).reduce((total, child) => total + sum(child.id), processes.find((one) => one.id === id)?.seconds ?? 0);
    return sum(root);
}

async function measure(view) {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    const many = await ManyTasks.start(t, program.url, TASKS);
    const server = await chromium.launchServer({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
    t.after(() => server.close());
    const browser = await chromium.connect(server.wsEndpoint());
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await many.push(page);
    await page.goto(`${many.url}/?view=${view}`);
    await page.getByText("Live", { exact: true }).waitFor();
    for (let pages = 0; view === "table" && pages < 10 && (await page.locator("#active-more").isVisible()); pages++) {
        await page.locator("#active-more").click();
        await page.waitForTimeout(1000);
    }
    await page.evaluate(() => {
        scrollTo(0, 0);
        globalThis.frames = [];
        const look = (time) => {
            globalThis.frames.push(time);
            requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    });
    const [before, begun] = [processorTime(server.process().pid), performance.now()];
    const told = await many.change(SECONDS);
    const seconds = (performance.now() - begun) / 1000;
    const spent = processorTime(server.process().pid) - before;
    const gaps = await page.evaluate(() => globalThis.frames.slice(1).map((time, index) => time - globalThis.frames[index]));
    const rows = await page.locator(view === "table" ? ".row" : ".card").count();
    await browser.close();
    return `${view}: ${Math.round(told / seconds)} changes a second, ${(spent / seconds).toFixed(2)} of a core, ${gaps.length} frames, ${gaps.filter((gap) => gap > 100).length} above 100 ms, the longest ${Math.round(Math.max(...gaps))} ms, ${rows} boxes in the document`;
}

try {
    for (const view of ["table", "cards"]) console.log(await measure(view));
} finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
}
