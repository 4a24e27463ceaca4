import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, test } from "node:test";
import { Gate } from "./support/gate.js";
import { checkAccess, close, open, texts, until } from "./support/page.js";
import { Program } from "./support/program.js";

after(close);

const REFUSED = /status of 40[13]/;
const SECRET = "a secret of tests that is long enough for HS256";

/** A token as an issuer signs it, good for `seconds`. */
function token(scope, seconds = 3600) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "tests", scope, exp })}`;
    return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** The API that asks who one is, behind a gate that sees what is sent to it. */
async function guarded(t) {
    const env = { AUTH_MODE: "jwt", AUTH_HS256_SECRET: SECRET, AUTH_LEEWAY_SECONDS: "0" };
    const program = await Program.start(t, { logs: ["--agents", "/dev/null"], env });
    program.token = token("progress:read progress:write");
    await program.make({ task_id: "a", task_name: "Secret build", status: "running" });
    return Gate.before(t, program.url);
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
    await give("no token at all");
    await page.getByText(/the token .*can't be read|the token is not/).waitFor();
    await give(token("progress:read", -60));
    await page.getByText(/expired/).waitFor();
    await give(token("openid"));
    await page.getByText("This token lacks the scope progress:read.").waitFor();
    const good = token("openid progress:read");
    await give(`Bearer ${good} `);
    await page.getByRole("link", { name: "Secret build" }).waitFor();
    assert.equal(await dialog.isVisible(), false);
    const kept = await page.evaluate(() => ({ local: localStorage.length, cookie: document.cookie, address: location.href, session: Object.values(sessionStorage) }));
    assert.deepEqual(kept, { local: 0, cookie: "", address: `${gate.url}/`, session: [good] });
    assert.ok(gate.seen.every(({ path }) => !path.includes(good)), "no address has the token");

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
    await page.getByLabel("Access token").fill(token("progress:read", 5));
    await page.getByRole("button", { name: "Use token" }).click();
    const title = page.getByRole("heading", { level: 1, name: "Secret build" });
    await title.waitFor();
    await page.getByText(/expired/).waitFor();
    assert.equal(await page.locator("#live-text").innerText(), "Waiting for a token");
    await page.getByLabel("Access token").fill(token("progress:read"));
    await page.keyboard.press("Enter");
    await until(async () => (await page.locator("#live-text").innerText()) === "Live", "it goes on");
    assert.ok(await title.isVisible());
});
