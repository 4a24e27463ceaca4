"""Runs `local serve` under mixed load and fails if its memory or its open files grow, or if a request fails.

    soak.py PROGRAM SECONDS
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
TASKS = 40
# The share of the run in which caches, pools and the allocator's arenas fill: it is not measured.
WARM_UP = 0.4
# Bytes that memory may grow after the warm-up. The measured noise is a third of this; a leak of 100 bytes a request
# exceeds it within half an hour.
MOST_GROWTH = 12 * 1024 * 1024
# Open files that may be added: connections that are about to be closed.
MOST_FILES = 4


def call(url, method="GET", body=None):
    request = urllib.request.Request(url, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def growth(values):
    """How much the regression line through the values rises from the first to the last."""
    count = len(values)
    mean_x, mean_y = (count - 1) / 2, sum(values) / count
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values))
    slope /= sum((x - mean_x) ** 2 for x in range(count)) or 1
    return slope * (count - 1)


def start(program, work):
    """Starts `local serve`, which reads an agent's log from a file. The process, its address, and the file."""
    log = work / "agent.log"
    log.touch()
    output = open(work / "local.log", "wb")
    command = [program, "serve", "--port", "0", "--data", work / "data", "--agents", log]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True)
    address = process.stdout.readline().split()[-1]
    if not address.startswith("http://"):
        raise RuntimeError(f"local does not start: {address}")
    return process, address, log


def main(program, seconds):
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        process, address, log = start(program, work)
        try:
            return soak(process, address, log, seconds)
        finally:
            process.terminate()
            process.wait(timeout=20)


def soak(process, address, log, seconds):
    for number in range(1, TASKS + 1):
        task = {"task_id": f"soak-{number}", "task_name": f"Soak {number}", "task_type": "build", "status": "running"}
        call(f"{address}/api/tasks", "POST", task)
    command = ["wrk", "--threads", "1", "--connections", "8", "--duration", f"{seconds}s", "--timeout", "10s",
               "--script", HERE / "mix.lua", address]
    load = subprocess.Popen(["nice", *command], stdout=subprocess.PIPE, text=True)
    memory, files = [], []
    begun = time.monotonic()
    line = 0
    while load.poll() is None:
        line += 1
        with log.open("a") as agent:
            report = {"task_id": "soak-agent", "message": f"step {line}", "progress": {"current": line, "total": 10**6}}
            agent.write(json.dumps(report) + "\n")
        memory.append(resident(process.pid))
        files.append(open_files(process.pid))
        time.sleep(1)
    last = load.stdout.read().strip().splitlines()[-1]
    result = json.loads(last)
    warm = int(len(memory) * WARM_UP)
    grown, opened = growth(memory[warm:]), growth(files[warm:])
    shown = call(f"{address}/api/tasks/soak-agent")["progress"]["current"]
    mib = 1024 * 1024
    print(f"{time.monotonic() - begun:.0f} s, {result['requests']} requests, p50 {result['p50_ms']} ms, "
          f"p99 {result['p99_ms']} ms; memory {memory[warm] / mib:.1f} MiB after the warm-up, "
          f"{memory[-1] / mib:.1f} MiB at the end ({grown / mib:+.1f} by its slope); "
          f"files {files[warm]} and {files[-1]} ({opened:+.1f}); {line} lines")
    wrong = []
    failures = {name: result[name] for name in ("refused", "connect", "read", "write", "timeout") if result[name]}
    if failures:
        wrong.append(f"requests failed: {failures}")
    if grown > MOST_GROWTH:
        wrong.append("memory grows")
    if opened > MOST_FILES:
        wrong.append("open files grow")
    if shown < line - 3:
        wrong.append(f"the agent wrote {line} lines, and its task shows {shown}")
    for what in wrong:
        print(what, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
