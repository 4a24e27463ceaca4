import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { TestProxy } from "./support/proxy.js";
import { close, open } from "./support/page.js";
import { Program } from "./support/program.js";

/** The largest total size of page, style sheet and script, compressed. */
const BUDGET_BYTES = 75 * 1024;

after(close);

test("the first paint takes three small files: page, style sheet and script", async (t) => {
    const program = await Program.start(t);
    const page = await open(t, "about:blank");
    const responses = [];
    page.on("response", (response) => responses.push(response));
    await page.goto(program.url);
    await page.locator("#list-view").waitFor();

    const files = responses.filter((response) => !new URL(response.url()).pathname.startsWith("/api/"));
    assert.deepEqual(files.map((response) => response.request().resourceType()).sort(), ["document", "script", "stylesheet"]);
    let total = 0;
    for (const file of files) {
        assert.equal(file.status(), 200);
        const { responseBodySize } = await file.request().sizes();
        const isPage = file.request().resourceType() === "document";
        total += isPage ? gzipSync(await file.body()).length : responseBodySize;
        const headers = await file.allHeaders();
        if (isPage) {
            assert.equal(headers["cache-control"], "no-cache");
            assert.match(headers.etag, /^(W\/)?"[0-9a-f]+"$/);
        } else {
            assert.equal(headers["content-encoding"], "gzip");
            assert.equal(headers["cache-control"], "public, max-age=31536000, immutable");
            assert.match(file.url(), /\/assets\/dashboard\.[0-9a-f]{16}\.(css|js)$/);
        }
    }
    t.diagnostic(`page, style sheet and script: ${total} bytes compressed`);
    assert.ok(total <= BUDGET_BYTES, `${total} bytes`);
    const apiPaths = responses.map((response) => new URL(response.url()).pathname).filter((path) => path.startsWith("/api/"));
    // Live push begins after the first refresh.
    const first = apiPaths.slice(0, (apiPaths.indexOf("/api/push") + 1 || Infinity) - 1);
    assert.ok(first.length > 0 && first.length <= 3, `first refresh: ${apiPaths}`);
});

test("a second visit loads only the page", async (t) => {
    const program = await Program.start(t);
    const proxy = await TestProxy.start(t, program.url);
    const page = await open(t, proxy.url);
    await page.locator("#list-view").waitFor();
    proxy.requests.length = 0;
    await page.goto(`${proxy.url}/?status=running`);
    await page.locator("#list-view").waitFor();
    const files = proxy.requests.map(({ path }) => path).filter((path) => !path.startsWith("/api/"));
    assert.deepEqual(files, ["/?status=running"]);
});

test("the page works below a path prefix", async (t) => {
    const program = await Program.start(t);
    await program.createTask({ task_name: "Nightly build", task_id: "n" });
    const proxy = await TestProxy.start(t, program.url, ({ path }) => (path.startsWith("/prod/") ? undefined : { status: 404 }));
    proxy.rewrite = (path) => path.replace(/^\/prod/, "");
    const page = await open(t, `${proxy.url}/prod/`);
    await page.getByRole("link", { name: "Nightly build" }).click();
    await page.getByRole("heading", { name: "Nightly build" }).waitFor();
    assert.equal(page.url(), `${proxy.url}/prod/?task=n`);
    await page.getByRole("link", { name: "All tasks" }).click();
    assert.equal(page.url(), `${proxy.url}/prod/`);
});

test("the content security policy allows only the page's own files", async (t) => {
    const program = await Program.start(t);
    const response = await fetch(program.url);
    const policy = response.headers.get("content-security-policy");
    assert.match(policy, /^default-src 'none';/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    for (const part of ["script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
        assert.ok(policy.includes(part), part);
    }
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");

    // The browser enforces it: injected scripts do not run.
    const page = await open(t, program.url, { expected: /policy|Content Security Policy|TrustedHTML|TrustedScript/i });
    await page.locator("#list-view").waitFor();
    const ran = await page.evaluate(async () => {
        const script = document.createElement("script");
        try {
            script.textContent = "globalThis.ran = true";
        } catch {
            // Trusted Types reject it.
        }
        script.setAttribute("data-x", "");
        document.body.append(script);
        try {
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='globalThis.ran = true'>");
        } catch {
            // Trusted Types reject it.
        }
        await new Promise((resolve) => setTimeout(resolve, 300));
        return globalThis.ran === true;
    });
    assert.equal(ran, false);
});
