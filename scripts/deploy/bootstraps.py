"""Runs both built functions as Lambda does, on local services, and compares their requests to AWS with their roles.

    bootstraps.py DIR --local PROGRAM --invoke PROGRAM [--emulator COMMAND]

DIR has a folder for each function with its bootstrap, as `sam build` leaves it. --local and --invoke are the built
programs `local` and `invoke`. With --emulator "qemu-aarch64 -L /usr/aarch64-linux-gnu" the bootstraps may be of another
architecture than this machine.
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import boto3

import iam
from common import EVENTS, Failure, check, event
from functions import SERVICES
from services import Services

# Amazon Linux 2023 has this version of glibc.
NEWEST_GLIBC = (2, 34)


def bootstrap_of(directory, role):
    """The program of a function, in the folder that `sam build` names by the function."""
    return directory / f"{role.removesuffix('Role')}Function" / "bootstrap"


def check_program(name, program):
    """Whether a program starts on Amazon Linux 2023."""
    header = subprocess.check_output(["readelf", "--file-header", program], text=True)
    machine = re.search(r"Machine: +(.*)", header)[1]
    print(f"{name}: {machine}, {program.stat().st_size / 1e6:.1f} MB")
    text = subprocess.check_output(["readelf", "--version-info", "--wide", program], text=True)
    newest = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", text))
    check(f"it needs glibc {'.'.join(map(str, newest))} at most", newest <= NEWEST_GLIBC)


def operations(program):
    """The operations of AWS that a program holds: operations that nothing calls are not linked."""
    content = program.read_bytes()
    for target, service in SERVICES.items():
        names = sorted(boto3.client(service).meta.service_model.operation_names, key=len, reverse=True)
        for name in set(re.findall(rf"{target}\.({'|'.join(names)})".encode(), content)):
            yield f"{service}:{name.decode()}"


def run_collector(collector, services):
    cache_errors = []
    for name in ("push-cdk", "push-cdk-end", "push-agent"):
        summary, seconds = collector.invoke(event(f"collector/{name}"))
        group = summary["groups"][0]
        check(
            f"{name}: {group['tasks_changed']} task changed by {group['lines_parsed']} lines, {seconds * 1000:.0f} ms",
            summary["trigger"] == "push" and group["complete"] and group["tasks_changed"] > 0,
            summary,
        )
        cache_errors.append(group["cache_errors"])
    # Under an emulator, the first connection may take longer than a write waits.
    check("the cache takes writes, with the rights that the template gives", 0 in cache_errors, cache_errors)
    services.put_log("AGENT_LOG_GROUP_NAME", "night-shift", ["[1/4] reading", "[2/4] writing"])
    summary, seconds = collector.invoke(event("collector/scheduler"))
    agents = next(g for g in summary["groups"] if g["log_group"] == services.environment["AGENT_LOG_GROUP_NAME"])
    check(
        f"scheduler: both log groups are read, {seconds * 1000:.0f} ms",
        summary["trigger"] == "sweep"
        and all(g["complete"] for g in summary["groups"])
        and agents["tasks_changed"] == 1,
        summary,
    )
    window = {
        "log_group": services.environment["AGENT_LOG_GROUP_NAME"],
        "start_time": 0,
        "end_time": int(time.time() * 1000),
    }
    summary, seconds = collector.invoke(window)
    check(
        f"backfill: reading again changes nothing, {seconds * 1000:.0f} ms",
        summary["groups"][0]["tasks_changed"] == 0,
        summary,
    )
    collector.recorder.denied = {"FilterLogEvents"}
    summary, seconds = collector.invoke(event("collector/scheduler"))
    collector.recorder.denied = set()
    check(
        f"scheduler: log groups that can't be read are no error, {seconds * 1000:.0f} ms",
        not any(g["complete"] for g in summary["groups"]),
        summary,
    )
    answer, seconds = collector.invoke(event("collector/stream"))
    check(f"stream: events are sent to the bus, {seconds * 1000:.0f} ms", answer == {"batchItemFailures": []}, answer)


def create_project(api):
    """Makes a project that takes the tasks of the sample deploys: the collector then counts them in its metrics."""
    body = json.dumps({"project_id": "shop", "project_name": "Shop", "match": ["Shop", "deploy"]})
    request = event("api/http-v2/create-project") | {"body": body, "isBase64Encoded": False}
    answer, seconds = api.invoke(request)
    check(f"create-project: {answer['statusCode']}, {seconds * 1000:.0f} ms", answer["statusCode"] == 201, answer)


def run_api(api):
    answer, seconds = api.invoke(event("api/http-v2/health"))
    check(f"health: {answer['statusCode']}, {seconds * 1000:.0f} ms", answer["statusCode"] == 200, answer)
    for _ in range(20):  # Redis has 50 ms to respond; an emulator may need longer for the first connection
        answer, seconds = api.invoke(event("api/http-v2/ready"))
        parts = json.loads(answer["body"])
        states = ", ".join(f"{name} {part['status']}" for name, part in parts.items() if isinstance(part, dict))
        if "redis ok" in states:
            break
    check(f"ready: {states}, {seconds * 1000:.0f} ms", answer["statusCode"] == 200 and "redis ok" in states, answer)
    listing = event("api/http-v2/list-tasks") | {"rawQueryString": "", "queryStringParameters": {}}
    answer, seconds = api.invoke(listing)
    tasks = {task["task_id"]: task for task in json.loads(answer["body"])["tasks"]}
    check(
        f"list-tasks: it serves what the collector has saved, {seconds * 1000:.0f} ms",
        tasks["cdk:deploy-42"]["status"] == "completed" and tasks["agent:night-shift"]["progress"]["percentage"] == 50,
        answer,
    )
    statuses = {}
    for path in sorted((EVENTS / "api" / "http-v2").glob("*.json")):
        answer, _ = api.invoke(json.loads(path.read_text()))
        statuses[path.stem] = answer["statusCode"]
    listed = ", ".join(f"{name} {status}" for name, status in statuses.items())
    check(f"every event of HTTP APIs: {listed}", all(status < 500 for status in statuses.values()))


def observed(services, function):
    """The requests of a function, by the short names of resources."""
    names = {services.environment[f"{name.upper()}_TABLE_NAME"]: name for name in ("tasks", "projects", "checkpoints")}
    names |= {f"{table}/index": f"{name}/index" for table, name in names.items()}
    names |= {services.environment[name]: "logs" for name in services.log_group_variables()}
    names["default"] = "bus"
    return {(action, names[on]) for action, on in function.recorder.seen}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=pathlib.Path)
    arguments.add_argument("--emulator", type=shlex.split, default=[])
    arguments.add_argument("--local", type=pathlib.Path, required=True)
    arguments.add_argument("--invoke", type=pathlib.Path, required=True)
    arguments = arguments.parse_args()

    faults = []
    with tempfile.TemporaryDirectory() as folder:
        services = Services(arguments.local, arguments.invoke, pathlib.Path(folder))
        try:
            functions = {}
            for role, name in iam.FUNCTIONS.items():
                program = bootstrap_of(arguments.directory, role)
                check_program(name, program)
                settings = {"EVENT_BUS_NAME": "default"}
                functions[role] = services.start(name, program, arguments.emulator, settings)
                check(f"it asks for events after {functions[role].init_seconds:.2f} s", True)
            create_project(functions["ApiRole"])
            run_collector(functions["CollectorRole"], services)
            run_api(functions["ApiRole"])
            for role, function in functions.items():
                calls = observed(services, function)
                program = bootstrap_of(arguments.directory, role)
                faults += iam.faults_of_calls(role, calls, set(operations(program)))
                print(f"  {role}: {len(calls)} kinds of requests were observed, {len(iam.calls(role))} are allowed")
                for (action, on), reason in iam.UNOBSERVED[role].items():
                    print(f"    (not observed: {action} on {on}: {reason})")
        finally:
            services.stop()
    if faults:
        raise Failure("\n".join(faults))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
