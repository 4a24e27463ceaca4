"""What a schema can't say: values that only make sense where the API has given them, or that may be used once.

Requests that are meant to be good are given such values, so that all checks stay as strict as they are. Requests that
are meant to be bad are left alone.
"""

import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    headers = case.headers or {}
    # A key is bound to the first body that comes with it.
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = str(uuid.uuid4())
    # Someone else's state: the change must not be made, whatever it is.
    if "If-Match" in headers:
        headers["If-Match"] = "*"
    # A cursor is bound to its list and its filters. Those of this API are JSON in base64.
    query = case.query or {}
    if "cursor" in query and not str(query["cursor"]).startswith("eyJ2Ijox"):
        del query["cursor"]
    # A page of history must not end before it begins.
    if "from" in query and "to" in query:
        query["to"] = query["from"]
