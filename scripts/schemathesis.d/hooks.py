"""Rules that a schema can't express: values that are valid only if the API has issued them, or only once.

Positive requests get such values, so that all checks stay as strict as they are. Negative requests are left alone.
"""

import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    headers = case.headers or {}
    # A key is bound to the body of its first request.
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = str(uuid.uuid4())
    # With the ETag of another state, every change is rejected.
    if "If-Match" in headers:
        headers["If-Match"] = "*"
    # A cursor is bound to its list and filters. This API's cursors are JSON in base64.
    query = case.query = case.query or {}
    if "cursor" in query and not str(query["cursor"]).startswith("eyJ2Ij"):
        del query["cursor"]
    # The period of a history must not end before it begins.
    if "from" in query and "to" in query:
        query["to"] = query["from"]
    if case.operation.path == "/api/logs":
        # The lines are of a stream or of a task, and a session counts its requests.
        if not {"stream", "task_id"} & query.keys():
            query["stream"] = "nightly-build"
        if len({"session", "sequence"} & query.keys()) == 1:
            query.update(session=str(uuid.uuid4()), sequence=0)
