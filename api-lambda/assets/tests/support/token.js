// Access tokens, as an issuer with the shared secret signs them.

import { createHmac } from "node:crypto";

/** The value of AUTH_HS256_SECRET in tests. */
export const SECRET = "a secret of tests that is long enough for HS256";

/** A token with this scope, valid for `seconds`. */
export function signToken(scope, seconds = 3600) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "tests", scope, exp })}`;
    return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}
