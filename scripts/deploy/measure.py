"""Measures what an invocation costs and writes docs/measurements.json, from which scripts/cost.py makes docs/cost.md.

    scripts/lib/python scripts/deploy/measure.py --api PROGRAM --collector PROGRAM --local PROGRAM --invoke PROGRAM

The programs are release builds for this machine; `invoke` is in dev/lab. The results do not depend on the machine's
load: processor time, requests to DynamoDB, and the capacity units that DynamoDB counts.
"""

import argparse
import base64
import datetime
import gzip
import json
import os
import pathlib
import platform
import re
import tempfile
import time

from common import ROOT, event
from services import Services

INVOCATIONS = 400
TASKS = 60  # a little more than one page
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    """The processor time of a process so far."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def push(group, stream, lines, start_ms):
    """The event of a subscription."""
    events = [{"id": f"{stream}-{i}", "timestamp": start_ms + i, "message": line} for i, line in enumerate(lines)]
    data = {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": ["progress"],
        "logEvents": events,
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()}}


def rows(first, last, total):
    row = "Shop | %2d/%d | 10:00:03 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Queue%d (Queue%d1A2B) "
    return [row % (n, total, n, n) for n in range(first, last + 1)]


def get(name, path=None, query=""):
    made = event(f"api/http-v2/{name}")
    if path:
        made["rawPath"] = made["requestContext"]["http"]["path"] = path
    parameters = dict(pair.split("=") for pair in query.split("&") if pair)
    return made | {"rawQueryString": query, "queryStringParameters": parameters}


def measure(function, make):
    """What the invocations of a function cost on average."""
    for i in range(20):
        function.invoke(make(i))
    recorder = function.recorder
    recorder.counts = True
    recorder.calls, recorder.read_units, recorder.write_units = 0, 0.0, 0.0
    before = cpu_seconds(function.process)
    logged = os.path.getsize(function.log.name)
    seconds = []
    size = 0
    for i in range(20, 20 + INVOCATIONS):
        answer, took = function.invoke(make(i))
        seconds.append(took)
        size += len(answer["body"]) if "body" in answer else 0
    cpu = cpu_seconds(function.process) - before
    return {
        "cpu_ms": round(cpu * 1000 / INVOCATIONS, 3),
        "median_ms": round(sorted(seconds)[INVOCATIONS // 2] * 1000, 2),
        "dynamodb_calls": round(recorder.calls / INVOCATIONS, 2),
        "read_units": round(recorder.read_units / INVOCATIONS, 2),
        "write_units": round(recorder.write_units / INVOCATIONS, 2),
        "answer_bytes": size // INVOCATIONS,
        "log_bytes": (os.path.getsize(function.log.name) - logged) // INVOCATIONS,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--api", "--collector", "--local", "--invoke"):
        arguments.add_argument(name, type=pathlib.Path, required=True)
    arguments = arguments.parse_args()

    results, cold = {}, {}
    for cache in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            services = Services(arguments.local, arguments.invoke, pathlib.Path(folder))
            services.environment["INDEX_SHARDS"] = "4"  # as in template.yaml
            if not cache:
                services.environment.pop("REDIS_ENDPOINT")
            group = services.environment["LOG_GROUPS"].split("=")[0]
            now = int(time.time() * 1000) - 3_600_000
            try:
                collector = services.start("progress-collector", arguments.collector)
                cold["collector"] = round(collector.init_seconds * 1000, 1)
                api = services.start("api-lambda", arguments.api)
                cold["api"] = round(api.init_seconds * 1000, 1)
                for i in range(TASKS):
                    collector.invoke(push(group, f"deploy-{i}", rows(0, 20, 29), now))

                def lines(i, group=group, now=now):
                    return push(group, f"run-{i % 40}", rows(i, i + 9, 999), now + i * 100)

                kinds = {
                    # Nothing new in either log group: an idle stack does this every minute.
                    "sweep": (collector, lambda i: event("collector/scheduler")),
                    # Ten lines of a deploy that is under way.
                    "push": (collector, lines),
                    "list": (api, lambda i: get("list-tasks", query="limit=50")),
                    "list_running": (api, lambda i: get("list-tasks", query="status=running&limit=50")),
                    "get": (api, lambda i: get("get-task", path="/api/tasks/cdk:deploy-7")),
                }
                for kind, (function, make) in kinds.items():
                    key = f"{kind}, {'cache' if cache else 'no cache'}"
                    results[key] = measure(function, make)
                    print(key, results[key])
            finally:
                services.stop()
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    written = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {cpu[1] if cpu else 'unknown'}",
        "tasks": TASKS,
        "invocations": INVOCATIONS,
        "init_ms": cold,
        "kinds": results,
    }
    (ROOT / "docs" / "measurements.json").write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
