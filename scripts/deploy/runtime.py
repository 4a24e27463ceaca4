"""Lambda's side of a function: its Runtime API (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), and a
DynamoDB endpoint that passes everything on and remembers what was asked."""

import http.client
import http.server
import json
import os
import queue
import subprocess
import threading
import time
import urllib.parse
import uuid

DEADLINE_SECONDS = 60


class Server:
    """An HTTP server on a free port of the loopback address."""

    def __init__(self, handler):
        handler.log_message = lambda *_: None
        handler.protocol_version = "HTTP/1.1"
        handler.disable_nagle_algorithm = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        # A function that is ended leaves connections behind.
        self.server.handle_error = lambda *_: None
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Failure(Exception):
    """What a function answered where it should not."""


class Function:
    """A bootstrap, run as Lambda runs it."""

    def __init__(self, command, environment, log):
        self.events, self.answers = queue.Queue(), queue.Queue()
        function = self

        class RuntimeApi(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if function.ready is None:
                    function.ready = time.perf_counter()
                    function.is_ready.set()
                event = function.events.get()
                if event is None:
                    return
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
                deadline = (time.time() + DEADLINE_SECONDS) * 1000
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(deadline)))
                arn = "arn:aws:lambda:us-east-1:123456789012:function:" + environment["AWS_LAMBDA_FUNCTION_NAME"]
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                function.taken = time.perf_counter()
                self.wfile.write(body)

            def do_POST(self):
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answered = time.perf_counter()
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                function.answers.put((self.path.rsplit("/", 1)[1], body, answered))

        self.ready, self.taken, self.is_ready = None, None, threading.Event()
        self.api = Server(RuntimeApi)
        self.log = open(log, "wb")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": self.api.address, "PATH": os.environ["PATH"]},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def init_seconds(self, patience=120):
        """How long it took until it asked for its first event."""
        limit = time.monotonic() + patience
        while not self.is_ready.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > limit:
                raise Failure(f"the function did not start: {open(self.log.name).read()[-2000:]}")
        return self.ready - self.started

    def invoke(self, event, patience=120):
        """The answer to `event`, and how long it took in seconds."""
        self.events.put(event)
        try:
            kind, body, answered = self.answers.get(timeout=patience)
        except queue.Empty:
            raise Failure(f"no answer: {open(self.log.name).read()[-2000:]}") from None
        if kind != "response":
            raise Failure(body.decode())
        return json.loads(body), answered - self.taken

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.events.put(None)
        self.log.close()
        self.api.stop()


class Recorder:
    """Passes requests on to a DynamoDB, and keeps the (action, table, index) triples they were for. If it `counts`, it
    also asks for the units that each used."""

    def __init__(self, endpoint):
        self.seen = set()
        self.counts, self.lock = False, threading.Lock()
        self.calls, self.read_units, self.write_units = 0, 0.0, 0.0
        recorder = self
        upstream = urllib.parse.urlsplit(endpoint).netloc
        local = threading.local()

        class Proxy(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = json.loads(body)
                recorder.remember(self.headers["X-Amz-Target"], request)
                if recorder.counts:
                    body = json.dumps(request | {"ReturnConsumedCapacity": "TOTAL"}).encode()
                if not hasattr(local, "connection"):
                    local.connection = http.client.HTTPConnection(upstream)
                own = ("host", "connection", "content-length")
                headers = {k: v for k, v in self.headers.items() if k.lower() not in own}
                local.connection.request("POST", self.path, body, headers)
                answer = local.connection.getresponse()
                content = answer.read()
                if recorder.counts:
                    recorder.count(self.headers["X-Amz-Target"], json.loads(content))
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.proxy = Server(Proxy)
        self.endpoint_url = f"http://{self.proxy.address}"

    def count(self, target, answer):
        used = answer.get("ConsumedCapacity", [])
        units = sum(part["CapacityUnits"] for part in (used if isinstance(used, list) else [used]))
        writes = any(word in target for word in ("Put", "Update", "Delete", "Write"))
        with self.lock:
            self.calls += 1
            if writes:
                self.write_units += units
            else:
                self.read_units += units

    def remember(self, target, body):
        action = target.split(".")[1]
        if action == "TransactWriteItems":
            for item in body["TransactItems"]:
                ((kind, part),) = item.items()
                names = {"Update": "UpdateItem", "Put": "PutItem", "Delete": "DeleteItem"}
                self.seen.add((names.get(kind, "ConditionCheckItem"), part["TableName"], False))
        elif action in ("BatchGetItem", "BatchWriteItem"):
            self.seen |= {(action, table, False) for table in body["RequestItems"]}
        else:
            self.seen.add((action, body["TableName"], "IndexName" in body))
