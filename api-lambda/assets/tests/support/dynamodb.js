// Requests to DynamoDB, with a signature that is right, wrong or made up.

import { createHash, createHmac } from "node:crypto";
import { send } from "./http.js";

const SCOPE = "us-east-1/dynamodb/aws4_request";

/** The headers of a request as somebody writes them who has no credentials. */
export function forgedHeaders(operation, accessKey = "local") {
    return {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": `DynamoDB_20120810.${operation}`,
        "x-amz-date": "20260101T000000Z",
        authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/20260101/${SCOPE}, SignedHeaders=host;x-amz-date;x-amz-target, Signature=${"0".repeat(64)}`,
    };
}

/** The headers of a request that is signed with `credentials` (AWS Signature Version 4). */
export function signedHeaders(endpoint, operation, body, { accessKey, secretKey }) {
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const date = time.slice(0, 8);
    const signed = {
        "content-type": "application/x-amz-json-1.0",
        host: new URL(endpoint).host,
        "x-amz-date": time,
        "x-amz-target": `DynamoDB_20120810.${operation}`,
    };
    const names = Object.keys(signed).join(";");
    const lines = Object.entries(signed).map(([name, value]) => `${name}:${value}\n`);
    const request = ["POST", "/", "", lines.join(""), names, sha256(body)].join("\n");
    const text = ["AWS4-HMAC-SHA256", time, `${date}/${SCOPE}`, sha256(request)].join("\n");
    const key = [date, ...SCOPE.split("/")].reduce((key, part) => hmac(key, part), `AWS4${secretKey}`);
    const signature = hmac(key, text).toString("hex");
    return { ...signed, authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${date}/${SCOPE}, SignedHeaders=${names}, Signature=${signature}` };
}

/** Sends `body` to `endpoint` with these headers. */
export function post(endpoint, body, headers) {
    return send(endpoint, { method: "POST", headers, body });
}

function sha256(text) {
    return createHash("sha256").update(text).digest("hex");
}

function hmac(key, text) {
    return createHmac("sha256", key).update(text).digest();
}
