"""Runs a function's program as Lambda does, and records the requests that it makes to AWS."""

import http.client
import http.server
import json
import os
import select
import subprocess
import threading
import time
import urllib.parse

from common import Failure

# The service that a request is for, by the first part of its X-Amz-Target, with the prefix of its actions in IAM.
SERVICES = {"DynamoDB_20120810": "dynamodb", "Logs_20140328": "logs", "AWSEvents": "events"}
# An item of a transaction needs the right to do the same by itself.
TRANSACTED = {"Update": "UpdateItem", "Put": "PutItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


class Function:
    """A bootstrap, run as Lambda runs it. `invoke` is the program of that name in dev/lab, which is Lambda's side."""

    def __init__(self, invoke, command, environment, log):
        self.lambda_side = subprocess.Popen([invoke], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        address = self.lambda_side.stdout.readline().strip()
        self.log = open(log, "wb")
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": address, "PATH": os.environ["PATH"]},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._line()
        except Failure:
            self.stop()
            raise
        # From the start of the process until it asked for its first event.
        self.init_seconds = time.perf_counter() - started

    def _line(self, patience=120):
        """The next line of `invoke`, unless the function ends or does not respond."""
        limit = time.monotonic() + patience
        while not select.select([self.lambda_side.stdout], [], [], 0.1)[0]:
            if self.process.poll() is not None or time.monotonic() > limit:
                raise Failure(f"the function does not respond: {open(self.log.name).read()[-2000:]}")
        return self.lambda_side.stdout.readline()

    def invoke(self, event):
        """The response to `event`, and how long it took in seconds."""
        self.lambda_side.stdin.write(json.dumps(event) + "\n")
        self.lambda_side.stdin.flush()
        invocation = json.loads(self._line())
        if invocation["is_error"]:
            raise Failure(invocation["response"])
        return invocation["response"], invocation["took_ms"] / 1000

    def stop(self):
        for process in (self.process, self.lambda_side):
            process.kill()
            process.wait()
        self.log.close()


class Recorder:
    """A proxy before each AWS service, for one function. It records which actions on which resources were requested.

    With `counts`, it also asks DynamoDB for the capacity units of each request. Actions in `denied` are answered as IAM
    would answer them.
    """

    def __init__(self, endpoints):
        """`endpoints` are the services' addresses, by the name of the setting that holds each."""
        self.seen, self.denied = set(), set()
        self.counts, self.lock = False, threading.Lock()
        self.calls, self.read_units, self.write_units = 0, 0.0, 0.0
        self.servers = {name: self._proxy(endpoint) for name, endpoint in endpoints.items()}
        self.environment = {
            name: "http://127.0.0.1:%d" % server.server_address[1] for name, server in self.servers.items()
        }

    def _proxy(self, endpoint):
        recorder, upstream, local = self, urllib.parse.urlsplit(endpoint).netloc, threading.local()

        class Proxy(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service, action = self.headers["X-Amz-Target"].split(".")
                request = json.loads(body)
                recorder.seen |= {(f"{SERVICES[service]}:{name}", on) for name, on in requested(action, request)}
                if action in recorder.denied:
                    return self.respond(400, [], json.dumps({"__type": "AccessDeniedException"}).encode())
                if recorder.counts and SERVICES[service] == "dynamodb":
                    body = json.dumps(request | {"ReturnConsumedCapacity": "TOTAL"}).encode()
                if not hasattr(local, "connection"):
                    local.connection = http.client.HTTPConnection(upstream)
                own = ("host", "connection", "content-length")
                headers = {k: v for k, v in self.headers.items() if k.lower() not in own}
                local.connection.request("POST", self.path, body, headers)
                response = local.connection.getresponse()
                content = response.read()
                if recorder.counts and SERVICES[service] == "dynamodb":
                    recorder.count(action, json.loads(content))
                self.respond(response.status, response.getheaders(), content)

            def respond(self, status, headers, content):
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        # A function that is killed leaves broken connections.
        server.handle_error = lambda *_: None
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def count(self, action, response):
        used = response.get("ConsumedCapacity", [])
        units = sum(part["CapacityUnits"] for part in (used if isinstance(used, list) else [used]))
        with self.lock:
            self.calls += 1
            if any(word in action for word in ("Put", "Update", "Delete", "Write")):
                self.write_units += units
            else:
                self.read_units += units

    def stop(self):
        for server in self.servers.values():
            server.shutdown()
            server.server_close()


def requested(action, request):
    """The actions that a request needs, each with the name of its table, index, log group or bus."""
    if action == "TransactWriteItems":
        for item in request["TransactItems"]:
            ((kind, part),) = item.items()
            yield TRANSACTED[kind], part["TableName"]
    elif action in ("BatchGetItem", "BatchWriteItem"):
        for table in request["RequestItems"]:
            yield action, table
    elif action == "PutEvents":
        for entry in request["Entries"]:
            yield action, entry["EventBusName"]
    elif "TableName" in request:
        yield action, request["TableName"] + ("/index" if "IndexName" in request else "")
    else:
        yield action, request.get("logGroupIdentifier") or request["logGroupName"]
