import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Gate } from "./support/gate.js";
import { checkAccess, close, open, texts, until } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

const REFUSED = /status of 40[13]/;

/** The API as it answers in `AUTH_MODE=jwt`, for the tokens `good` and `narrow`. */
async function guarded(t) {
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"] });
    await program.make({ task_id: "a", task_name: "Secret build", status: "running" });
    const problem = (status, challenge, detail) => ({
        status,
        headers: { "content-type": "application/problem+json", "www-authenticate": challenge },
        body: JSON.stringify({ status, detail }),
    });
    return Gate.before(t, program.url, ({ path, headers }) => {
        if (!path.startsWith("/api/")) return undefined;
        const token = headers.authorization?.replace(/^Bearer /, "");
        if (!token) return problem(401, "Bearer", "a bearer token is needed");
        if (token === "narrow") return problem(403, 'Bearer error="insufficient_scope", scope="progress:read"', "the token's scopes do not allow this");
        if (token !== "good") return problem(401, 'Bearer error="invalid_token", error_description="the token has expired"', "no");
        return undefined;
    });
}

test("who is asking is asked for once, and kept by the tab alone", { timeout: 60_000 }, async (t) => {
    const gate = await guarded(t);
    const page = await open(t, gate.url, { expected: REFUSED });
    const dialog = page.getByRole("dialog", { name: "Who is asking?" });
    await dialog.waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "token");
    assert.equal(await page.locator("#token").getAttribute("type"), "password");
    await checkAccess(page, "the question for a token");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    assert.ok(await dialog.isVisible(), "there is nothing to go back to");
    const asked = gate.seen.length;
    await page.waitForTimeout(2500);
    assert.equal(gate.seen.length, asked, "nothing is asked while a person is");

    const give = async (token) => {
        await page.getByLabel("Access token").fill(token);
        await page.keyboard.press("Enter");
    };
    await give("old");
    await page.getByText("the token has expired").waitFor();
    await give("narrow");
    await page.getByText("This token lacks the scope progress:read.").waitFor();
    await give("Bearer good ");
    await page.getByRole("link", { name: "Secret build" }).waitFor();
    assert.equal(await dialog.isVisible(), false);
    const kept = await page.evaluate(() => ({ local: localStorage.length, cookie: document.cookie, address: location.href, session: Object.values(sessionStorage) }));
    assert.deepEqual(kept, { local: 0, cookie: "", address: `${gate.url}/`, session: ["good"] });
    assert.ok(gate.seen.every(({ path }) => !path.includes("good")), "no address has the token");

    await page.reload();
    await page.getByRole("link", { name: "Secret build" }).waitFor();
    assert.deepEqual(await texts(page, "dialog:visible"), [], "it is not asked for again");
    await page.getByRole("button", { name: "Forget the token" }).click();
    await dialog.waitFor();
    assert.deepEqual(await page.evaluate(() => Object.values(sessionStorage)), []);
});

test("a token that ends while one watches is asked for again, and what was shown stays", { timeout: 60_000 }, async (t) => {
    const gate = await guarded(t);
    const page = await open(t, `${gate.url}/?task=a`, { expected: REFUSED });
    await page.getByLabel("Access token").fill("good");
    await page.getByRole("button", { name: "Use token" }).click();
    const title = page.getByRole("heading", { level: 1, name: "Secret build" });
    await title.waitFor();
    const decide = gate.decide;
    gate.decide = (request) => decide({ ...request, headers: { ...request.headers, authorization: request.headers.authorization?.replace("good", "old") } });
    await page.getByText("the token has expired").waitFor();
    assert.equal(await page.locator("#live-text").innerText(), "Waiting for a token");
    gate.decide = decide;
    await page.getByLabel("Access token").fill("good");
    await page.keyboard.press("Enter");
    await until(async () => (await page.locator("#live-text").innerText()) === "Live", "it goes on");
    assert.ok(await title.isVisible());
});
