// Measures the time from a written log line until the dashboard shows it, in Chromium on `local`, while other tasks log
// too. Run it by scripts/bench-page.

import { appendFile, mkdtemp, open, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Program } from "./tests/support/program.js";

/** How many other tasks log a line each second. */
const OTHERS = Number(process.env.OTHERS ?? 200);
const LINES = Number(process.env.LINES ?? 200);

const cleanups = [];
const t = { after: (action) => cleanups.push(action) };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function measure() {
    const folder = await mkdtemp(join(tmpdir(), "miyabi-"));
    const others = Array.from({ length: OTHERS }, (_, number) => join(folder, `other-${number}.log`));
    for (const file of others) await writeFile(file, "Step 1/100000: begin\n");
    const program = await Program.start(t, { logs: ["--agents", folder] });
    let step = 1;
    const logging = setInterval(() => {
        step += 1;
        const line = `Step ${step}/100000: working\n`;
        others.forEach((file, number) => setTimeout(() => appendFile(file, line), (number * 1000) / OTHERS));
    }, 1000);
    t.after(() => clearInterval(logging));
    await wait(5000);

    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
    t.after(() => browser.close());
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const file = await open(join(folder, "measured.log"), "a");
    await file.write("Step 1/10000: begin\n");
    await page.goto(`${program.url}/?view=cards`);
    const card = page.locator(".card", { hasText: "measured" });
    await card.waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await page.evaluate(() => {
        globalThis.seen = new Map();
        const look = () => {
            for (const card of document.querySelectorAll(".card")) {
                if (!card.textContent.includes("measured")) continue;
                const step = /([\d,]+) of 10,000/.exec(card.textContent)?.[1].replaceAll(",", "");
                if (step && !globalThis.seen.has(step)) globalThis.seen.set(step, Date.now());
            }
        };
        new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    const written = new Map();
    for (let number = 2; number < LINES + 2; number++) {
        written.set(String(number), Date.now());
        await file.write(`Step ${number}/10000: measured\n`);
        await wait(80 + ((number * 37) % 90));
    }
    let seen = new Map();
    for (let tries = 0; !seen.has(String(LINES + 1)); tries++) {
        if (tries === 30) throw new Error("the last line is not shown after 30 s");
        await wait(1000);
        seen = new Map(await page.evaluate(() => [...globalThis.seen]));
    }
    // A line that the next one has overtaken was shown with that.
    const times = [...written].map(([number, at]) => {
        const shown = [...seen].filter(([one]) => Number(one) >= Number(number)).map(([, time]) => time);
        return Math.min(...shown) - at;
    });
    times.sort((one, other) => one - other);
    const percentile = (percent) => times[Math.min(times.length - 1, Math.floor((times.length * percent) / 100))];
    return [50, 95, 99].map((percent) => `p${percent} ${percentile(percent)} ms`).join(", ");
}

try {
    console.log(`from a line to the page, beside ${OTHERS} lines a second: ${await measure()}`);
} finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
}
