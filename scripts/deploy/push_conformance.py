"""What subscribers of live push rely on: the protocol of AppSync Events, and who may subscribe to what.

    push_conformance.py --local PROGRAM

runs it against `local`; whole_stack.py runs it against AppSync Events of the emulator.
https://docs.aws.amazon.com/appsync/latest/eventapi/event-api-websocket-protocol.html
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

from api_client import Api, signed_token
from common import Failure, check
from event_socket import SUBPROTOCOL, Closed, EventSocket

TASK = "conform:1"  # its id is no legal segment of a channel


class LocalPush:
    """`local`, which asks for tokens. Its publisher is the process itself."""

    publish = None

    def __init__(self, program, folder):
        secret = os.urandom(32).hex()
        environment = {"PATH": os.environ["PATH"], "AUTH_MODE": "jwt", "AUTH_HS256_SECRET": secret, "RUST_LOG": "error"}
        command = [program, "--port", "0", "--no-redis", "--data", folder / "data"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"http://([\d.]+):(\d+)", line):
                break
        else:
            raise Failure("`local` has not started")
        self.address = found[1], int(found[2])
        self.reader = Api(found[0], signed_token(secret, "progress:read"))
        self.writer = Api(found[0], signed_token(secret, "progress:read", "progress:write"))
        self.wrong_tokens = {
            "of another secret": signed_token("x" * 64, "progress:read"),
            "that may only write": signed_token(secret, "progress:write"),
        }

    def connect(self, place, token):
        host = f"{self.address[0]}:{self.address[1]}"
        path = urllib.parse.urljoin("/", place["url"])
        return EventSocket(self.address, host, place["host"] or host, token, path)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def is_error(answer, kind, name):
    """Whether an answer refuses the subscription `name`, with a reason."""
    errors = answer.get("errors") or [{}]
    return answer["type"] == kind and answer.get("id") == name and {"errorType", "message"} <= errors[0].keys()


def conform(target):
    body = {"task_id": TASK, "task_name": "Conformance", "task_type": "build"}
    made = target.writer("POST", "/api/tasks", body)
    check("a task is made", made.status == 201, made)
    place = target.reader.get(f"/api/push?task_id={TASK}").json()
    check("GET /api/push names a WebSocket and two channels", place["url"] and place["tasks"] and place["task"], place)
    handshakes(target, place)
    with target.connect(place, target.reader.token) as socket:
        socket.init()
        subscriptions(target, place, socket)
        refusals(target, place, socket)
    if target.publish:
        publications(target, place)


def handshakes(target, place):
    with target.connect(place, target.reader.token) as socket:
        chosen = socket.headers.get("sec-websocket-protocol")
        check(f"the handshake chooses {SUBPROTOCOL}", " 101 " in socket.status and chosen == SUBPROTOCOL, socket.status)
        answer = socket.init()
        ready = answer["type"] == "connection_ack" and answer["connectionTimeoutMs"] >= 60_000
        check("connection_init: connection_ack, with the longest silence", ready, answer)
    for which, token in target.wrong_tokens.items():
        with target.connect(place, token) as socket:
            answer = socket.init()
            check(f"a token {which} gets connection_error", is_error(answer, "connection_error", None), answer)
            check("and the connection ends", has_ended(socket))


def has_ended(socket):
    try:
        socket.drain(5)
    except (Closed, OSError):
        return True
    return False


def change(target, current):
    patch = {"status": "running", "progress": {"current": current, "total": 9}}
    changed = target.writer("PATCH", f"/api/tasks/{TASK}", patch)
    check(f"PATCH to {current} of 9", changed.status == 200, changed)
    return lambda event: event["task"]["task_id"] == TASK and event["task"]["progress"]["current"] == current


def subscriptions(target, place, socket):
    for name, channel in (("list", place["tasks"]), ("one", place["task"])):
        answer = socket.subscribe(name, channel)
        check(f"{channel}: subscribe_success", answer == {"type": "subscribe_success", "id": name}, answer)
    told = change(target, 1)
    first, second = socket.data(told), socket.data(told)
    names = {message and message["id"] for message in (first, second)}
    check("a change is one message for each subscription", names == {"list", "one"}, socket.heard[-3:])
    check("whose event is a text of JSON", isinstance(first["event"], str) and isinstance(second["event"], str), first)
    answer = socket.subscribe("one", place["tasks"])
    check("an id in use: subscribe_error", is_error(answer, "subscribe_error", "one"), answer)
    answer = socket.unsubscribe("list")
    check("unsubscribe_success", answer == {"type": "unsubscribe_success", "id": "list"}, answer)
    answer = socket.unsubscribe("list")
    check("a second time: unsubscribe_error", is_error(answer, "unsubscribe_error", "list"), answer)
    told = change(target, 2)
    message = socket.data(told)
    check("the next change is for the other one", message and message["id"] == "one", socket.heard[-2:])
    late = [json.loads(message["event"]) for message in socket.drain(1) if message["id"] == "list"]
    check("and for no other", not any(told(event) for event in late), late)
    answer = socket.subscribe("list", place["tasks"].removeprefix("/"))
    check("an id can be used again, and a channel needs no slash", answer["type"] == "subscribe_success", answer)


def refusals(target, place, socket):
    for channel in ("/progress/*", "/progress/task/*", "/*", "/progress/task/cdk:shop", "/progress/other", "/other/tasks"):
        answer = socket.subscribe("no", channel)
        check(f"{channel}: subscribe_error", is_error(answer, "subscribe_error", "no"), answer)
    for which, token in target.wrong_tokens.items():
        answer = socket.subscribe("no", place["tasks"], token)
        check(f"a token {which}: subscribe_error", is_error(answer, "subscribe_error", "no"), answer)
    answer = socket.subscribe("yes", place["tasks"])
    check("the connection goes on", answer["type"] == "subscribe_success", answer)


def publications(target, place):
    events = [json.dumps({"number": number}) for number in range(2)]
    with target.connect(place, target.reader.token) as socket:
        socket.init()
        socket.subscribe("1", place["task"])
        status, outcomes = target.publish(place, place["task"], events)
        right = status == 200 and [one["index"] for one in outcomes["successful"]] == [0, 1] and outcomes["failed"] == []
        check("a publication of two events: 200, both successful", right, (status, outcomes))
        heard = [socket.data(until=lambda event: "number" in event) for _ in events]
        heard = [message and message["event"] for message in heard]
        check("each is a message of its own, in order", heard == events, heard)
        status, outcomes = target.publish(place, place["task"], [events[0], 7])
        right = status == 200 and [[one["index"] for one in outcomes[key]] for key in ("successful", "failed")] == [[0], [1]]
        check("200 may hold a failure, with the index of its event", right, (status, outcomes))
        reason = {"code", "errorMessage", "identifier"} <= outcomes["failed"][0].keys()
        check("and its reason", reason, outcomes)
        status, answer = target.publish(place, place["task"], events * 3)
        check("six events: 400", status == 400, (status, answer))
        status, answer = target.publish(place, place["task"], events, token=target.writer.token)
        check("a token may not publish", status in (401, 403), (status, answer))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--local", type=pathlib.Path, required=True)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="push-conformance-") as folder:
        target = LocalPush(arguments.local, pathlib.Path(folder))
        try:
            conform(target)
        finally:
            target.stop()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
