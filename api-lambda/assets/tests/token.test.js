import assert from "node:assert/strict";
import { after, test } from "node:test";
import { TestProxy } from "./support/proxy.js";
import { checkAccessibility, close, open, texts, waitUntil } from "./support/page.js";
import { Program } from "./support/program.js";
import { SECRET, signToken } from "./support/token.js";

after(close);

/** Chromium logs each response with an error status. */
const REFUSED = /status of 40[13]/;

/** A proxy in front of an API that requires tokens. */
async function startWithTokens(t) {
    const env = { AUTH_MODE: "jwt", AUTH_HS256_SECRET: SECRET, AUTH_LEEWAY_SECONDS: "0" };
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"], env });
    program.token = signToken("progress:read progress:write");
    await program.createTask({ task_id: "a", task_name: "Secret build", status: "running" });
    return TestProxy.start(t, program.url);
}

test("the user enters a token once, and only the tab keeps it", { timeout: 60_000 }, async (t) => {
    const proxy = await startWithTokens(t);
    const page = await open(t, proxy.url, { expected: REFUSED });
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "token");
    assert.equal(await page.locator("#token").getAttribute("type"), "password");
    await checkAccessibility(page, "the sign-in dialog");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    assert.ok(await dialog.isVisible(), "Escape does not close the dialog");
    const sent = proxy.requests.length;
    await page.waitForTimeout(2500);
    assert.equal(proxy.requests.length, sent, "no requests without a token");

    const enter = async (token) => {
        await page.getByLabel("Access token").fill(token);
        await page.keyboard.press("Enter");
    };
    await enter("no token at all");
    await page.getByText(/^The .*token/).waitFor();
    await enter(signToken("progress:read", -60));
    await page.getByText(/expired/).waitFor();
    await enter(signToken("openid"));
    await page.getByText("This token does not have the scope progress:read.").waitFor();
    assert.equal(await page.locator("#token-command").innerText(), "scripts/token progress:read");
    assert.equal(await dialog.getByRole("link", { name: "About the API" }).getAttribute("href"), "docs");
    await checkAccessibility(page, "the sign-in dialog after a refusal");
    const good = signToken("openid progress:read");
    await enter(`Bearer ${good} `);
    await page.getByRole("link", { name: "Secret build" }).waitFor();
    assert.equal(await dialog.isVisible(), false);
    const kept = await page.evaluate(() => ({ local: localStorage.length, cookie: document.cookie, url: location.href, session: Object.values(sessionStorage) }));
    assert.deepEqual(kept, { local: 0, cookie: "", url: `${proxy.url}/`, session: [good] });
    assert.ok(proxy.requests.every(({ path }) => !path.includes(good)), "no URL contains the token");

    await page.reload();
    await page.getByRole("link", { name: "Secret build" }).waitFor();
    assert.deepEqual(await texts(page, "dialog:visible"), [], "the dialog stays closed");
    await page.getByRole("button", { name: "Sign out" }).click();
    await dialog.waitFor();
    assert.deepEqual(await page.evaluate(() => Object.values(sessionStorage)), []);
});

test("without the scope for logs, a task is shown, and how to see its last lines", { timeout: 60_000 }, async (t) => {
    const proxy = await startWithTokens(t);
    const page = await open(t, `${proxy.url}/?task=a`, { expected: REFUSED });
    await page.getByLabel("Access token").fill(signToken("progress:read"));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText(/does not have the scope progress:logs\. With it, this page shows.*scripts\/token progress:read progress:logs\./).waitFor();
    assert.ok(await page.getByRole("heading", { level: 1, name: "Secret build" }).isVisible());
    assert.equal(await page.getByRole("dialog").isVisible(), false);
    await page.waitForTimeout(4000);
    const asked = proxy.requests.filter(({ path }) => path.endsWith("/log"));
    assert.equal(asked.length, 1, "it asks once");
    await checkAccessibility(page, "a task without its log");
});

test("when the token expires, the page asks for a new one and keeps what it shows", { timeout: 60_000 }, async (t) => {
    const proxy = await startWithTokens(t);
    const page = await open(t, `${proxy.url}/?task=a`, { expected: REFUSED });
    await page.getByLabel("Access token").fill(signToken("progress:read", 5));
    await page.getByRole("button", { name: "Sign in" }).click();
    const title = page.getByRole("heading", { level: 1, name: "Secret build" });
    await title.waitFor();
    await page.getByText(/expired/).waitFor();
    assert.equal(await page.locator("#connection-text").innerText(), "Not signed in");
    await page.getByLabel("Access token").fill(signToken("progress:read"));
    await page.keyboard.press("Enter");
    await waitUntil(async () => /^Every/.test(await page.locator("#connection-text").innerText()), "the page is up to date again");
    assert.ok(await title.isVisible());
});
