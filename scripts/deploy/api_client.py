"""Requests to an API, such as a deployed one through API Gateway."""

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request


def packed(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_token(secret, *scopes):
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": "proof", "scope": " ".join(scopes), "exp": int(time.time()) + 3600}]
    signed = ".".join(packed(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{packed(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:600].decode(errors='replace')}"


def base_of(stack):
    """Where the API of a stack is. By path, as the emulator itself answers /health of every host."""
    name = stack.outputs["ApiUrl"].split("//")[1].split(".")[0]
    return f"{stack.account.endpoint}/_aws/execute-api/{name}/$default"


class Api:
    def __init__(self, base, token=None):
        self.base, self.token = base, token

    def __call__(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            headers.setdefault("authorization", f"Bearer {self.token}")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Response(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Response(error.code, error.headers, error.read())

    def get(self, path, **headers):
        return self("GET", path, **headers)
