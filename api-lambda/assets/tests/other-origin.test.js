// What other web pages, and other programs on this machine, can do to `local`: nothing.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { forgedHeaders, post, signedHeaders } from "./support/dynamodb.js";
import { onTestEnd } from "./support/cleanup.js";
import { send } from "./support/http.js";
import { close, open } from "./support/page.js";
import { Program, Services } from "./support/program.js";
import { listeningPorts } from "./support/sockets.js";
import { SECRET, signToken } from "./support/token.js";

after(close);

const LOGS = ["--agents", "/dev/null"];
/** Chromium logs each request that it or the server blocks. */
const BLOCKED = /CORS|ERR_|status of 4\d\d/;
const JSON_BODY = { "content-type": "application/json" };
const NEW_TASK = JSON.stringify({ task_id: "planted", task_name: "Planted", task_type: "build" });

/** `local` with one task whose name must not leak. */
async function startWithSecret(t, options = {}) {
    const program = await Program.start(t, { logs: LOGS, ...options });
    if (options.env?.AUTH_MODE === "jwt") program.token = signToken("progress:read progress:write");
    await program.createTask({ task_id: "a", task_name: "Secret build", status: "running" });
    program.before = await program.call("GET", "api/tasks");
    return program;
}

/** The tasks are the same as before the attack. */
async function assertUnchanged(program) {
    assert.deepEqual(await program.call("GET", "api/tasks"), program.before);
}

/** A page of another origin, open in Chromium. */
async function openOtherOrigin(t) {
    const server = createServer((_, response) => {
        response.writeHead(200, { "content-type": "text/html" });
        response.end("<!doctype html><title>Another site</title><p>Another site</p>");
    }).listen(0, "127.0.0.1");
    onTestEnd(t, async () => {
        server.closeAllConnections();
        server.close();
    });
    await once(server, "listening");
    const page = await open(t, "about:blank", { expected: BLOCKED });
    page.origin = `http://localhost:${server.address().port}`;
    await page.goto(page.origin);
    return page;
}

/** Sends requests from the script of `page`. Gives what the script sees of each response. */
function sendFrom(page, requests) {
    return page.evaluate(
        (requests) =>
            Promise.all(
                requests.map(async ([url, { untyped, ...options }]) => {
                    // The body of a Blob without a type is sent without a Content-Type.
                    const body = untyped ? new Blob([untyped]) : options.body;
                    try {
                        const response = await fetch(url, { ...options, body, signal: AbortSignal.timeout(4000) });
                        return { type: response.type, status: response.status, text: await response.text() };
                    } catch (error) {
                        return { error: String(error) };
                    }
                }),
            ),
        requests,
    );
}

/** The script that sent `requests` could read none of the responses. */
function assertUnreadable(requests, results) {
    results.forEach((result, index) => {
        const isUnreadable = "error" in result || (result.type === "opaque" && result.text === "");
        assert.ok(isUnreadable, `${JSON.stringify(requests[index])}: ${JSON.stringify(result)}`);
    });
}

/** The server refused the request, and the response says nothing about tasks or tables. */
function assertRefused({ status, headers, text }, what) {
    assert.ok(status >= 400 && status < 500, `${what}: ${status} ${text}`);
    assert.doesNotMatch(text, /Secret build|TableNames|miyabi-/, what);
    assert.equal(headers["access-control-allow-origin"], undefined, what);
}

/** The API refused the request with a problem document. */
function assertForbidden({ status, headers, text }, what) {
    assert.equal(status, 403, `${what}: ${text}`);
    assert.match(headers["content-type"], /^application\/problem\+json/, what);
    assert.equal(JSON.parse(text).status, 403, what);
    assert.doesNotMatch(text, /Secret build/, what);
}

test("a page of another origin can neither read nor change tasks", async (t) => {
    const program = await startWithSecret(t);
    const page = await openOtherOrigin(t);
    const bases = [program.url, program.url.replace("127.0.0.1", "localhost")];
    const requests = bases.flatMap((base) => [
        [`${base}/api/tasks`, { mode: "cors" }],
        [`${base}/api/tasks`, { mode: "no-cors" }],
        [`${base}/api/tasks`, { mode: "no-cors", method: "POST", headers: { "content-type": "text/plain" }, body: NEW_TASK }],
        [`${base}/api/tasks`, { mode: "no-cors", method: "POST", untyped: NEW_TASK }],
        [`${base}/api/tasks`, { mode: "cors", method: "POST", headers: JSON_BODY, body: NEW_TASK }],
        [`${base}/api/tasks/a`, { mode: "cors", method: "PATCH", headers: JSON_BODY, body: '{"status":"failed"}' }],
        [`${base}/api/tasks/a`, { mode: "cors", method: "DELETE" }],
        [`${base}/api/tasks/a`, { mode: "no-cors", method: "DELETE" }],
    ]);
    assertUnreadable(requests, await sendFrom(page, requests));
    await assertUnchanged(program);
});

test("the API answers a foreign Origin with 403, whatever the method", async (t) => {
    const program = await startWithSecret(t);
    const foreign = ["https://example.com", "http://localhost:1", `http://127.0.0.1:${program.port + 1}`, "null"];
    const requests = [
        ["GET", "/api/tasks"],
        ["POST", "/api/tasks", NEW_TASK],
        ["PATCH", "/api/tasks/a", '{"status":"failed"}'],
        ["DELETE", "/api/tasks/a"],
        ["OPTIONS", "/api/tasks"],
    ];
    for (const origin of foreign) {
        for (const [method, path, body] of requests) {
            const response = await send(program.url + path, { method, body, headers: { ...JSON_BODY, origin } });
            assertForbidden(response, `${method} from ${origin}`);
        }
    }
    await assertUnchanged(program);

    const own = await send(`${program.url}/api/tasks`, { method: "POST", body: NEW_TASK, headers: { ...JSON_BODY, origin: program.url } });
    assert.equal(own.status, 201, "the API's own pages may write");
});

test("an origin that CORS_ALLOWED_ORIGINS names can read tasks", async (t) => {
    const page = await openOtherOrigin(t);
    const program = await startWithSecret(t, { env: { CORS_ALLOWED_ORIGINS: page.origin } });
    const [result] = await sendFrom(page, [[`${program.url}/api/tasks`, { mode: "cors" }]]);
    assert.equal(result.status, 200, JSON.stringify(result));
    assert.match(result.text, /Secret build/);
});

test("the API answers a foreign Host with 403, unless --allow-host names it", async (t) => {
    const program = await startWithSecret(t);
    const paths = ["/api/tasks", "/api/tasks/a", "/", "/docs"];
    const foreign = ["example.test", `example.test:${program.port}`, "localhost.example.test", "127.0.0.1.example.test", "169.254.169.254"];
    for (const host of foreign) {
        for (const path of paths) {
            assertForbidden(await send(program.url + path, { headers: { host } }), `${path} at ${host}`);
        }
    }
    for (const name of ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"]) {
        for (const host of [name, `${name}:${program.port}`]) {
            const { status } = await send(`${program.url}/api/tasks`, { headers: { host } });
            assert.equal(status, 200, host);
        }
    }

    const allowing = await startWithSecret(t, { options: ["--allow-host", "example.test"] });
    for (const host of ["example.test", `example.test:${allowing.port}`, `localhost:${allowing.port}`]) {
        const { status } = await send(`${allowing.url}/api/tasks`, { headers: { host } });
        assert.equal(status, 200, host);
    }
    assertForbidden(await send(`${allowing.url}/api/tasks`, { headers: { host: "other.test" } }), "another host");
});

test("a page whose name is rebound to this machine reads nothing, unless --allow-host names it", async (t) => {
    // Chromium resolves rebound.test to 127.0.0.1: see support/page.js.
    const program = await startWithSecret(t);
    const page = await open(t, "about:blank", { expected: BLOCKED });
    const response = await page.goto(`http://rebound.test:${program.port}/`);
    assert.equal(response.status(), 403);
    const requests = [
        ["/api/tasks", {}],
        ["/api/tasks", { method: "POST", headers: JSON_BODY, body: NEW_TASK }],
        ["/api/tasks/a", { method: "DELETE" }],
    ];
    for (const result of await sendFrom(page, requests)) {
        assert.equal(result.status, 403, JSON.stringify(result));
        assert.doesNotMatch(result.text, /Secret build/);
    }
    await assertUnchanged(program);

    const allowing = await startWithSecret(t, { options: ["--allow-host", "rebound.test"] });
    // Chromium ignores this header on http, except on localhost, and logs that.
    const expected = /Cross-Origin-Opener-Policy/;
    const allowed = await open(t, `http://rebound.test:${allowing.port}/`, { expected });
    await allowed.getByRole("link", { name: "Secret build" }).waitFor();
    const [made] = await sendFrom(allowed, [requests[1]]);
    assert.equal(made.status, 201, "the page has its own origin");
});

test("the embedded DynamoDB answers no page and no other program", async (t) => {
    const env = { AUTH_MODE: "jwt", AUTH_HS256_SECRET: SECRET };
    const program = await startWithSecret(t, { env });
    const page = await openOtherOrigin(t);
    const ports = listeningPorts(program.child.pid).filter((port) => port !== program.port);
    t.diagnostic(`ports beside the API's: ${ports.join(", ") || "none"}`);
    for (const port of ports) await attackDynamoDb(page, `http://127.0.0.1:${port}/`);
    await assertUnchanged(program);
});

test("the DynamoDB of `local services` takes only the credentials in its environment file", async (t) => {
    const { environment } = await Services.start(t);
    const endpoint = environment.AWS_ENDPOINT_URL_DYNAMODB;
    const credentials = { accessKey: environment.AWS_ACCESS_KEY_ID, secretKey: environment.AWS_SECRET_ACCESS_KEY };
    const list = (headers) => post(endpoint, "{}", headers);
    const signed = (credentials) => signedHeaders(endpoint, "ListTables", "{}", credentials);

    const listed = await list(signed(credentials));
    assert.equal(listed.status, 200, listed.text);
    assert.ok(JSON.parse(listed.text).TableNames.includes(environment.TASKS_TABLE_NAME));

    const other = (await Services.start(t)).environment;
    const others = { accessKey: other.AWS_ACCESS_KEY_ID, secretKey: other.AWS_SECRET_ACCESS_KEY };
    assertRefused(await list(signed(others)), "the credentials of another process");
    assertRefused(await list(signed({ ...credentials, accessKey: "local" })), "a wrong access key");
    assertRefused(await list(forgedHeaders("ListTables")), "a forged signature");
    for (const origin of ["https://example.com", "http://localhost:9000", new URL(endpoint).origin, "null"]) {
        assertRefused(await list({ ...signed(credentials), origin }), `a signed request from ${origin}`);
    }
    await attackDynamoDb(await openOtherOrigin(t), new URL(endpoint).href);
    assert.equal((await list(signed(credentials))).text, listed.text, "all tables are still there");
});

/** Attacks DynamoDB at `endpoint` from a page and from this process, without its credentials. */
async function attackDynamoDb(page, endpoint) {
    const operations = [
        ["ListTables", {}],
        ["Scan", { TableName: "miyabi-task-runs" }],
        ["DeleteTable", { TableName: "miyabi-task-runs" }],
    ].map(([operation, input]) => [operation, JSON.stringify(input)]);
    const requests = operations.flatMap(([operation, body]) => [
        [endpoint, { mode: "cors", method: "POST", headers: forgedHeaders(operation), body }],
        [endpoint, { mode: "no-cors", method: "POST", headers: { "content-type": "text/plain" }, body }],
    ]);
    requests.push([endpoint, { mode: "cors" }], [endpoint, { mode: "no-cors" }]);
    assertUnreadable(requests, await sendFrom(page, requests));

    for (const [operation, body] of operations) {
        assertRefused(await post(endpoint, body, forgedHeaders(operation)), `${operation} from another program`);
        const fromPage = { ...forgedHeaders(operation), origin: page.origin };
        assertRefused(await post(endpoint, body, fromPage), `${operation} from another origin`);
    }
    const preflight = { origin: page.origin, "access-control-request-method": "POST", "access-control-request-headers": "x-amz-target" };
    const { headers } = await send(endpoint, { method: "OPTIONS", headers: preflight });
    assert.equal(headers["access-control-allow-origin"], undefined, "a preflight");
}
