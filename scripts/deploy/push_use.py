"""Live push of a deployed stack: steps of whole_stack.py."""

import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import stack_use as use
import transform
from common import check
from event_socket import EventSocket

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class DeployedPush:
    """What push_conformance.py needs of a stack on the emulator, which finds an API of AppSync Events by `Host`."""

    def __init__(self, user):
        self.reader, self.writer = user.reader, user.writer
        self.wrong_tokens = {"of another secret": user.stranger.token, "that may only write": user.write_only.token}
        self.endpoint = urllib.parse.urlsplit(user.stack.account.endpoint)

    def connect(self, place, token):
        url = urllib.parse.urlsplit(place["url"])
        return EventSocket((self.endpoint.hostname, self.endpoint.port), url.hostname, place["host"], token, url.path)

    def publish(self, place, channel, events, token=None):
        """The status and the body of a publication, signed as a function does or with a token."""
        url = f"https://{place['host']}/event"
        headers = {"content-type": "application/json", "host": place["host"]}
        body = json.dumps({"channel": channel, "events": events}).encode()
        request = AWSRequest("POST", url, headers, body)
        if token:
            request.headers["authorization"] = token
        else:
            SigV4Auth(Credentials("test", "test"), "appsync", transform.REGION).add_auth(request)
        sent = urllib.request.Request(f"{self.endpoint.geturl()}/event", body, dict(request.headers))
        try:
            with urllib.request.urlopen(sent, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@contextlib.contextmanager
def subscribed(user, task_id):
    """A connection that has subscribed to the changes of a task, as GET /api/push says."""
    place = user.reader.get(f"/api/push?task_id={task_id}").json()
    with DeployedPush(user).connect(place, user.reader.token) as socket:
        socket.init()
        answer = socket.subscribe("1", place["task"])
        check(f"{place['task']}, of {task_id}, can be subscribed to", answer["type"] == "subscribe_success", answer)
        yield socket


def changes(user):
    """What a page learns, whoever writes."""
    place = user.reader.get("/api/push").json()
    host = urllib.parse.urlsplit(place["url"]).hostname
    policy = user.anyone.get("/").headers["content-security-policy"]
    check(f"the page may connect to {host}", f" wss://{host};" in policy, policy)
    with subscribed(user, "cdk:live-deploy") as socket:
        lines = (use.SAMPLES / "shop-deploy.log").read_text().splitlines()
        user.push("Cdk", "live-deploy", lines)
        message = socket.data(until=lambda event: event["task"]["status"] == "completed")
        check("the end of a deploy comes from its log", message, socket.heard[-2:])
        task = user.task("cdk:live-deploy")
        # Only the API tells where the log is: the page has that from its first look.
        shown = {name: value for name, value in task.items() if name != "source"}
        check("and is the task as the API shows it", json.loads(message["event"])["task"] == shown, (message, task))
        check("with its parts", task["parts"], task)
    body = {"task_id": "live", "task_name": "Live", "task_type": "build"}
    check("a task is made", user.writer("POST", "/api/tasks", body).status == 201)
    waits = []
    with subscribed(user, "live") as socket:
        for current in range(1, 6):
            began = time.monotonic()
            patch = {"status": "running", "progress": {"current": current, "total": 5}}
            check(f"PATCH to {current} of 5", user.writer("PATCH", "/api/tasks/live", patch).status == 200)
            told = socket.data(until=lambda event: event["task"]["progress"]["current"] == current)
            check("is pushed", told, socket.heard[-2:])
            waits.append(time.monotonic() - began)
        check("DELETE", user.writer("DELETE", "/api/tasks/live").status == 204)
        check("is pushed, too", socket.data(until=lambda event: "removed" in event), socket.heard[-2:])
    print(f"    {sorted(waits)[2] * 1000:.0f} ms from the request to the message on the emulator (median)")
