// Plain HTTP requests whose headers, `Host` among them, are all the test's own.

import { once } from "node:events";
import { request } from "node:http";

/** Sends a request, and gives the status, the headers and the text of the response. */
export async function send(url, { method = "GET", headers = {}, body = "" } = {}) {
    const outgoing = request(url, { method, headers, agent: false });
    outgoing.end(body);
    const [response] = await once(outgoing, "response");
    let text = "";
    response.setEncoding("utf8");
    for await (const chunk of response) text += chunk;
    return { status: response.statusCode, headers: response.headers, text };
}
