import assert from "node:assert/strict";
import { after, test } from "node:test";
import { TestProxy } from "./support/proxy.js";
import { close, open, showNews, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";
import { SECRET, signToken } from "./support/token.js";

after(close);

const logs = ["--agents", "/dev/null"];
/** Chromium logs each WebSocket that fails, and each response with an error status. */
const FAILED = /WebSocket|status of 404/;

const task = (id, more) => ({ task_id: id, task_name: `Build ${id}`, status: "running", progress: { current: 1, total: 9 }, ...more });
const progress = (current) => ({ progress: { current, total: 9 } });
const counter = (page, name) => page.locator(".card", { hasText: name }).locator('[data-ref="counter"]');
const live = (page) => page.getByText("Live", { exact: true }).waitFor();

/** A page that is live, and the proxy behind it. */
async function startLive(t, { search = "", options, ...more } = {}) {
    const program = await Program.start(t, { logs, ...more });
    const proxy = await TestProxy.start(t, program.url);
    proxy.hasPush = true;
    await program.createTask(task("a"));
    const page = await open(t, `${proxy.url}/${search}`, { expected: FAILED, ...options });
    await live(page);
    // The first look after the connection.
    await page.waitForTimeout(2500);
    proxy.requests.length = 0;
    return { program, proxy, page };
}

test("the list shows changes without asking for them", { timeout: 60_000 }, async (t) => {
    const { program, proxy, page } = await startLive(t);
    await program.call("PATCH", "api/tasks/a", progress(4));
    await counter(page, "Build a").getByText("4 of 9").waitFor({ timeout: 1000 });
    assert.deepEqual(proxy.requests.map(({ path }) => path), [], "the page has not asked");
    await program.createTask(task("b"));
    await page.locator("#news", { hasText: "1 new" }).waitFor({ timeout: 1000 });
    await showNews(page);
    await page.locator(".card", { hasText: "Build b" }).waitFor({ timeout: 1000 });
    await program.call("PATCH", "api/tasks/a", { status: "failed", message: "out of memory" });
    await page.locator(".card", { hasText: "Build a" }).getByText("out of memory").waitFor({ timeout: 1000 });
    await showNews(page, "Build a failed");
    await page.locator(".row", { hasText: "Build a" }).getByText("out of memory").waitFor({ timeout: 1000 });
    assert.equal(await page.locator(".card", { hasText: "Build a" }).count(), 0, "it is in one list");
    await program.call("DELETE", "api/tasks/b");
    await waitUntil(async () => (await page.locator(".card").count()) === 0, "the deleted task is gone", 1000);
    await waitUntil(async () => (await page.title()).includes("1 failed"), "the counts follow", 8000);
});

test("only what the filters select is shown", { timeout: 60_000 }, async (t) => {
    const { program, page } = await startLive(t, { search: "?q=BUILD%20a&task_type=build" });
    await program.createTask(task("b"));
    await program.createTask(task("other", { task_name: "build anew", task_type: "other" }));
    await program.createTask(task("c", { task_name: "A new build again" }));
    await showNews(page, "1 new");
    await page.locator(".card", { hasText: "A new build again" }).waitFor({ timeout: 1000 });
    assert.equal(await page.locator(".card").count(), 2);
});

test("the page of a task shows its changes, and the next run", { timeout: 60_000 }, async (t) => {
    const { program, proxy, page } = await startLive(t, { search: "?task=a" });
    const points = () => page.locator("#chart").getAttribute("aria-valuemax");
    const before = Number(await points());
    await program.call("PATCH", "api/tasks/a", progress(5));
    await page.locator("#task-percentage").getByText("55").waitFor({ timeout: 1000 });
    assert.deepEqual(proxy.requests.map(({ path }) => path), [], "the page has not asked");
    assert.equal(Number(await points()), before + 1, "the chart has one point more");
    await program.call("PATCH", "api/tasks/a", { status: "completed" });
    await page.locator("#task-state").getByText("completed", { exact: false }).waitFor({ timeout: 2000 });
    await program.createTask(task("a"));
    await page.locator("#task-state").getByText("running", { exact: false }).waitFor({ timeout: 2000 });
    await waitUntil(async () => (await page.locator("#run-rows tr").count()) === 1, "the earlier run is listed", 5000);
    await program.call("DELETE", "api/tasks/a");
    await page.getByText("There is no task a. It was deleted").waitFor({ timeout: 2000 });
});

test("when the connection is cut, the page checks by itself and says so", { timeout: 60_000 }, async (t) => {
    const { program, proxy, page } = await startLive(t);
    proxy.cutSockets();
    const cut = Date.now();
    await page.getByText("Every second").waitFor({ timeout: 5000 });
    await program.call("PATCH", "api/tasks/a", progress(6));
    await counter(page, "Build a").getByText("6 of 9").waitFor({ timeout: 5000 });
    const first = proxy.requests.find(({ path }) => path.startsWith("/api/tasks?"));
    assert.ok(first.at - cut < 5000, `the first check came after ${first.at - cut} ms`);
    proxy.isCut = false;
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 30_000 });
});

test("a change while the page connects is not missed", { timeout: 60_000 }, async (t) => {
    const { program, proxy, page } = await startLive(t);
    for (let round = 1; round <= 3; round++) {
        proxy.cutSockets();
        await program.call("PATCH", "api/tasks/a", progress(1 + round));
        proxy.isCut = false;
        await page.evaluate(() => dispatchEvent(new Event("online")));
        await program.call("PATCH", "api/tasks/a", { message: `round ${round}` });
        await page.locator(".card", { hasText: `round ${round}` }).waitFor({ timeout: 5000 });
        await live(page);
    }
});

test("the socket is closed while the page is hidden", { timeout: 60_000 }, async (t) => {
    const { proxy, page } = await startLive(t);
    const hide = (hidden) =>
        page.evaluate((hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
    await waitUntil(() => proxy.sockets.size === 1, "there is one connection", 5000);
    await hide(true);
    await waitUntil(() => proxy.sockets.size === 0, "the socket is closed", 2000);
    await hide(false);
    await live(page);
    await waitUntil(() => proxy.sockets.size === 1, "there is one connection", 5000);
});

test("cut after any of its messages, the page shows what is stored and never goes back", { timeout: 120_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    const of = (current) => ({ progress: { current, total: 99 } });
    await program.createTask(task("a", of(1)));
    const page = await open(t, "about:blank", { expected: FAILED });
    let most = 0;
    const passed = [];
    await page.routeWebSocket(/event\/realtime/, (socket) => {
        const server = socket.connectToServer();
        const left = { messages: most };
        passed.push(left);
        server.onMessage((message) => {
            if (left.messages > 0) socket.send(message);
            else if (left.messages === 0) socket.close();
            left.messages -= 1;
        });
    });
    await page.goto(program.url);
    const shown = counter(page, "Build a");
    await shown.waitFor();
    await page.evaluate(() => {
        globalThis.counters = [];
        const look = () => globalThis.counters.push(document.querySelector('.card [data-ref="counter"]')?.textContent);
        new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    let current = 1;
    // Before the acknowledgement, before the subscription, and after each of the messages.
    for (; most <= 6; most++) {
        await page.evaluate(() => dispatchEvent(new Event("online")));
        for (let change = 0; change < 5; change++) {
            current += 1;
            await program.call("PATCH", "api/tasks/a", of(current));
        }
        await shown.getByText(`${current} of 99`).waitFor({ timeout: 10_000 });
    }
    assert.ok(passed.filter(({ messages }) => messages < 0).length >= 6, `connections were cut: ${JSON.stringify(passed)}`);
    const counters = (await page.evaluate(() => globalThis.counters)).map((text) => parseInt(text, 10)).filter(Number.isInteger);
    assert.deepEqual(counters, counters.toSorted((one, other) => one - other), "it never goes back");
});

test("late, doubled and lost messages never set the page back", { timeout: 60_000 }, async (t) => {
    const program = await Program.start(t, { logs });
    await program.createTask(task("a"));
    const page = await open(t, "about:blank");
    const held = [];
    let send;
    await page.routeWebSocket(/event\/realtime/, (socket) => {
        const server = socket.connectToServer();
        send = (message) => socket.send(message);
        server.onMessage((message) => (JSON.parse(message).type === "data" ? held.push(message) : socket.send(message)));
    });
    await page.goto(program.url);
    await live(page);
    for (const current of [2, 3, 4, 5]) await program.call("PATCH", "api/tasks/a", progress(current));
    await waitUntil(() => held.length === 4, "all messages are held back");
    const [second, third, fourth, fifth] = held;
    const shown = counter(page, "Build a");
    send(fourth);
    await shown.getByText("4 of 9").waitFor();
    for (const old of [third, second, fourth, third]) send(old);
    send("rubbish");
    send(JSON.stringify({ type: "data", id: "1", event: "[]" }));
    await page.waitForTimeout(300);
    assert.equal(await shown.innerText(), "4 of 9");
    send(fifth.replace(/"event":(".*")\}$/, '"event":[$1]}')); // the older form
    await shown.getByText("5 of 9").waitFor();
});

test("a token is in no URL, and ends the connection when it expires", { timeout: 60_000 }, async (t) => {
    const env = { AUTH_MODE: "jwt", AUTH_HS256_SECRET: SECRET, AUTH_LEEWAY_SECONDS: "0" };
    const program = await Program.start(t, { logs, env });
    program.token = signToken("progress:read progress:write");
    await program.createTask(task("a"));
    const proxy = await TestProxy.start(t, program.url);
    proxy.hasPush = true;
    const page = await open(t, proxy.url, { expected: /status of 401|WebSocket/ });
    const signIn = async (token) => {
        await page.getByLabel("Access token").fill(token);
        await page.getByRole("button", { name: "Sign in" }).click();
    };
    const short = signToken("progress:read", 6);
    await signIn(short);
    await live(page);
    await page.getByRole("dialog", { name: "Sign in" }).waitFor({ timeout: 15_000 });
    await waitUntil(() => proxy.sockets.size === 0, "the connection has ended", 2000);
    await signIn(signToken("progress:read"));
    await live(page);
    const urls = proxy.requests.map(({ path }) => path).join("\n");
    assert.ok(urls.includes("/event/realtime") && !urls.includes(short));
});
