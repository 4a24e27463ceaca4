"""Runs a function's program as Lambda does, and counts the requests that it makes to DynamoDB."""

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
    """A proxy before each AWS service, for one function. With `counts`, it counts the requests to DynamoDB and their
    capacity units."""

    def __init__(self, endpoints):
        """`endpoints` are the services' addresses, by the name of the setting that holds each."""
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
                counted = recorder.counts and service.startswith("DynamoDB")
                if counted:
                    body = json.dumps(json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}).encode()
                if not hasattr(local, "connection"):
                    local.connection = http.client.HTTPConnection(upstream)
                own = ("host", "connection", "content-length")
                headers = {k: v for k, v in self.headers.items() if k.lower() not in own}
                local.connection.request("POST", self.path, body, headers)
                response = local.connection.getresponse()
                content = response.read()
                if counted:
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

