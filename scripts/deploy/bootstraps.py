"""Runs both built functions as Lambda does, on local services, and lets each answer.

    bootstraps.py DIR [--emulator COMMAND] [--local PROGRAM]

DIR has a folder for each function with its bootstrap. With --emulator "qemu-aarch64 -L /usr/aarch64-linux-gnu" they may
be of another architecture than this machine. --local is the built program `local`, whose `services` they use. What they
ask of DynamoDB is compared with what was found in the source, as roles allow no more than that (iam.py).
"""

import argparse
import contextlib
import json
import logging
import pathlib
import re
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time

import iam
import transform

import boto3
from moto.server import ThreadedMotoServer
from runtime import Failure, Function, Recorder

logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server says every request

ROOT = transform.ROOT
EVENTS = ROOT / "events"
# Amazon Linux 2023 has this version of glibc.
NEWEST_GLIBC = (2, 34)


def event(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


def check(claim, holds, otherwise=""):
    if not holds:
        raise Failure(f"not so: {claim} {otherwise}")
    print(f"  {claim}")


class Services:
    """DynamoDB and Redis of `local services`, and moto for CloudWatch Logs."""

    def __init__(self, local, folder):
        settings = folder / "local.env"
        command = [local, "services", "--env-file", settings, "--dynamodb-port", "0", "--redis-port", "0"]
        self.log = open(folder / "services.log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(200):
            if settings.exists() and settings.read_text().count("\n") > 5:
                break
            time.sleep(0.1)
        else:
            raise Failure(f"the services did not start: {open(self.log.name).read()}")
        lines = settings.read_text().splitlines()
        self.environment = dict(line.split("=", 1) for line in lines)
        self.recorder = Recorder(self.environment["AWS_ENDPOINT_URL_DYNAMODB"])
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.recorder.endpoint_url

        self.restrict_redis()

        self.moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.moto.start()
        url = "http://%s:%d" % self.moto.get_host_and_port()
        self.environment["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = url
        self.logs = boto3.client("logs", endpoint_url=url)
        for name in ("CDK_LOG_GROUP_NAME", "AGENT_LOG_GROUP_NAME"):
            # moto keeps what it has as long as this process lives.
            with contextlib.suppress(self.logs.exceptions.ResourceAlreadyExistsException):
                self.logs.create_log_group(logGroupName=self.environment[name])

    def restrict_redis(self):
        """Gives Redis the password and the rights that the template gives Valkey serverless."""
        rights = transform.transformed()["Resources"]["CacheUser"]["Properties"]["AccessString"]
        password = secrets.token_hex(16)
        words = ["ACL", "SETUSER", "default", "reset", f">{password}", *rights.split()]
        host, port = self.environment["REDIS_ENDPOINT"].rsplit(":", 1)
        with socket.create_connection((host, int(port))) as connection:
            parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{parts}".encode())
            answer = connection.recv(1024)
        if answer != b"+OK\r\n":
            raise Failure(f"Redis does not take the template's access string: {answer}")
        self.environment["REDIS_AUTH_TOKEN"] = password

    def put_log(self, group, stream, lines):
        """Writes lines that were just printed."""
        group = self.environment[group]
        self.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        now = int(time.time() * 1000) - 60_000
        events = [{"timestamp": now + i, "message": line} for i, line in enumerate(lines)]
        self.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.recorder.proxy.stop()
        self.moto.stop()


def start(services, name, bootstrap, emulator, folder):
    environment = {
        **services.environment,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }
    return Function([*emulator, bootstrap], environment, folder / f"{name}.log")


def glibc_needed(program):
    """The newest version of glibc that a program asks for."""
    versions = subprocess.check_output(["readelf", "--version-info", "--wide", program], text=True)
    return max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", versions))


def machine(program):
    header = subprocess.check_output(["readelf", "--file-header", program], text=True)
    return re.search(r"Machine: +(.*)", header)[1]


def run_collector(function, services):
    check(f"it asks for events after {function.init_seconds():.2f} s", True)
    cache_errors = []
    for name in ("push-cdk", "push-cdk-end", "push-agent"):
        summary, seconds = function.invoke(event(f"collector/{name}"))
        group = summary["groups"][0]
        check(
            f"{name}: {group['tasks_changed']} task changed by {group['lines_parsed']} lines, {seconds * 1000:.0f} ms",
            summary["trigger"] == "push" and group["complete"] and group["tasks_changed"] > 0,
            summary,
        )
        cache_errors.append(group["cache_errors"])
    # The first connection may take an emulator longer than a write waits.
    check("the cache takes what is written, with the rights that the template gives", 0 in cache_errors, cache_errors)
    services.put_log("AGENT_LOG_GROUP_NAME", "night-shift", ["[1/4] reading", "[2/4] writing"])
    summary, seconds = function.invoke(event("collector/scheduler"))
    agents = next(g for g in summary["groups"] if g["log_group"] == services.environment["AGENT_LOG_GROUP_NAME"])
    check(
        f"scheduler: both log groups swept, {seconds * 1000:.0f} ms",
        summary["trigger"] == "sweep"
        and all(g["complete"] for g in summary["groups"])
        and agents["tasks_changed"] == 1,
        summary,
    )
    # A log group that is gone is an empty one; one that can't be read makes the collector fall back on the store.
    reachable = services.environment["AGENT_LOG_GROUP_NAME"]
    window = {"log_group": reachable, "start_time": 0, "end_time": int(time.time() * 1000)}
    summary, seconds = function.invoke(window)
    check(
        f"backfill: nothing changes when it is read again, {seconds * 1000:.0f} ms",
        summary["groups"][0]["tasks_changed"] == 0,
        summary,
    )


def run_api(function):
    check(f"it asks for events after {function.init_seconds():.2f} s", True)
    answer, seconds = function.invoke(event("api/http-v2/health"))
    check(f"health: {answer['statusCode']}, {seconds * 1000:.0f} ms", answer["statusCode"] == 200, answer)
    for _ in range(20):  # Redis has 50 ms to answer, which an emulator may need for the first connection
        answer, seconds = function.invoke(event("api/http-v2/ready"))
        checks = json.loads(answer["body"])
        said = ", ".join(f"{name} {part['status']}" for name, part in checks.items() if isinstance(part, dict))
        if "redis ok" in said:
            break
    check(f"ready: {said}, {seconds * 1000:.0f} ms", answer["statusCode"] == 200 and "redis ok" in said, answer)
    listing = event("api/http-v2/list-tasks") | {"rawQueryString": "", "queryStringParameters": {}}
    answer, seconds = function.invoke(listing)
    tasks = {task["task_id"]: task for task in json.loads(answer["body"])["tasks"]}
    check(
        f"list-tasks: what the collector has saved is served, {seconds * 1000:.0f} ms",
        tasks["cdk:deploy-42"]["status"] == "completed" and tasks["agent:night-shift"]["progress"]["percentage"] == 50,
        answer,
    )
    statuses = {}
    for path in sorted((EVENTS / "api" / "http-v2").glob("*.json")):
        answer, _ = function.invoke(json.loads(path.read_text()))
        statuses[path.stem] = answer["statusCode"]
    said = ", ".join(f"{name} {status}" for name, status in statuses.items())
    check(f"every event of HTTP APIs: {said}", all(status < 500 for status in statuses.values()))


def compare_calls(services, role, seen, wanted):
    """Whether each call that was seen is one of those that the role allows."""
    tables = {services.environment[f"{name.upper()}_TABLE_NAME"]: name for name in ("tasks", "projects", "checkpoints")}
    made = {(f"dynamodb:{action}", tables[table] + ("/index" if index else "")) for action, table, index in seen}
    missing = made - wanted
    check(f"{role} allows the {len(made)} kinds of calls that were made", not missing, missing)
    for action, on in sorted(pair for pair in wanted - made if pair[0].startswith("dynamodb:")):
        print(f"  (not called here: {action} on {on})")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=pathlib.Path)
    arguments.add_argument("--emulator", type=shlex.split, default=[])
    arguments.add_argument("--local", type=pathlib.Path, required=True)
    arguments = arguments.parse_args()

    wanted = iam.needed(iam.calls_of_roles())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        services = Services(arguments.local, folder)
        try:
            for role in ("CollectorRole", "ApiRole"):  # in this order: the API shows what the collector has saved
                crate = iam.FUNCTIONS[role][0]
                bootstrap = iam.bootstrap_of(arguments.directory, role)
                newest = glibc_needed(bootstrap)
                print(f"{crate}: {machine(bootstrap)}, {bootstrap.stat().st_size / 1e6:.1f} MB")
                check(f"it needs glibc {'.'.join(map(str, newest))} at most", newest <= NEWEST_GLIBC)
                services.recorder.seen.clear()
                function = start(services, crate, bootstrap, arguments.emulator, folder)
                try:
                    run_collector(function, services) if role == "CollectorRole" else run_api(function)
                finally:
                    function.stop()
                compare_calls(services, role, services.recorder.seen, wanted[role])
        finally:
            services.stop()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
