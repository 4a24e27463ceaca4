#!/usr/bin/env python3
"""Calculates what a stack costs per month, from prices, loads and measurements.

    scripts/lib/python scripts/cost.py           writes the tables into docs/cost.md
    scripts/lib/python scripts/cost.py --check   fails if the tables there differ

The measurements are in docs/measurements.json, which scripts/deploy/measure.py writes. All other inputs are in this file.
"""

import json
import sys

from common import ROOT
from transform import Stack, transformed

PAGE = ROOT / "docs" / "cost.md"
BEGIN, END = "<!-- made by scripts/cost.py -->\n", "<!-- end -->\n"

# US dollars in us-east-1, without free tiers, from AWS's public price pages as of 2026-11.
PRICES_DATE, REGION = "2026-11", "us-east-1"
HOURS = 730
PRICES = {
    "lambda GB-second, arm64": 0.0000133334,
    "lambda request": 0.20e-6,
    "http api request": 1.00e-6,
    "dynamodb read unit": 0.125e-6,
    "dynamodb write unit": 0.625e-6,
    "dynamodb GB-month": 0.25 + 0.20,  # stored, and again for point-in-time recovery
    "logs GB ingested": 0.50,
    "logs GB-month": 0.03,
    "metric-month": 0.30,
    "alarm metric-month": 0.10,
    "dashboard-month": 3.00,
    "trace": 5.00e-6,
    "scheduler invocation": 1.00e-6,
    "GB to the internet": 0.09,
    "cache.t4g.micro hour, Valkey": 0.0128,
    "valkey serverless GB-hour": 0.084,
    "valkey serverless ECPU": 0.0023e-6,
    "interface endpoint hour": 0.01,
    "secret-month": 0.40,
    "appsync event operation": 1.00e-6,  # a message that is published or delivered, up to 5 KB; a connection; a subscription
    "appsync connection minute": 0.08e-6,
}

# A team has 40 deploys and 100 agent runs a day on 22 days. On each of them, ten people watch for two hours.
DAYS, WORK_SECONDS = 22, 8 * 3600
DEPLOYS, LINES_OF_DEPLOY = 40 * DAYS, 150
AGENT_RUNS, LINES_OF_AGENT = 100 * DAYS, 40
LINES_OF_PUSH = 10  # as measured
WATCHERS, WATCHING_SECONDS, POLL_SECONDS = 10, 2 * 3600, 2
# With live push, a page asks every half a minute, and at each change of a status: a run begins and ends.
LIVE_ASK_SECONDS, STATUS_CHANGES = 30, 2 * (DEPLOYS + AGENT_RUNS)
VIEWERS = (1, 100, 100_000)
LINE_BYTES = 300
TASK_BYTES = 6_000  # head, detail, facts, history, and the head again in each index
# A chatty stream never ends: it prints two lines a second that say nothing of progress. Its last lines are saved once a
# minute.
CHATTY_LINES_A_SECOND, CHATTY_SAVES = 2, HOURS * 60
# Teams and chatty streams.
LOADS = {"idle": (0, 0), "1 team": (1, 0), "100 teams": (100, 0), "200 chatty streams": (0, 200)}
MODES = ("none", "node", "serverless")
DEFAULTS = {"Monitoring": "basic", "VpcEgress": "ipv6"}
# Parameters that change what an idle stack costs.
CHOICES = (
    DEFAULTS,
    {"Monitoring": "full", "VpcEgress": "ipv6"},
    {"Monitoring": "basic", "VpcEgress": "endpoints"},
    {"Monitoring": "full", "VpcEgress": "endpoints"},
)
# Once an hour, a sweep reads the last six hours of each log group again, by a request an hour.
LOOK_HOURS = 6
# Metrics that the collector writes. Without log events there is no lag; failures are counted as none.
BASIC_METRICS = ("CollectorLagMs",)
FULL_METRICS, LOG_GROUPS = 8, 2  # as a whole, and for each log group

MEMORY_MB = {"api": 256, "collector": 512, "publisher": 256}
# Lambda gives a whole processor at 1,769 MB and a proportional share below.
WHOLE_CPU_MB = 1769
# Milliseconds of a round trip within a region: assumed, because nothing here runs on AWS.
DYNAMODB_MS, REDIS_MS, LOGS_MS = 5, 1, 40
# Consecutive round trips; parallel requests count once.
ROUNDS = {
    "sweep": {"dynamodb": 3, "redis": 0, "logs": 1},
    "push": {"dynamodb": 3, "redis": 1, "logs": 0},
    "list, cache": {"dynamodb": 0, "redis": 1, "logs": 0},
    "list, no cache": {"dynamodb": 2, "redis": 0, "logs": 0},
}
# Of an invocation of the publisher of live push, for one task: it reads the run, and publishes on two channels. Assumed.
PUBLISHER_MS, PUBLISHER_READ_UNITS, CHANNELS = 50, 2, 2
# Of a decision about a connection or a subscription: it checks a signature. Assumed.
AUTHORIZER_MS, DECISIONS = 5, 2
# START, END and REPORT, as JSON.
PLATFORM_LOG_BYTES, ACCESS_LOG_BYTES = 900, 450


def billed_ms(kind, rounds, cpu_ms, function):
    """The time that Lambda bills: the measured work on a share of a processor, and the waiting time."""
    work = cpu_ms * max(1, WHOLE_CPU_MB / MEMORY_MB[function])
    waiting = rounds["dynamodb"] * DYNAMODB_MS + rounds["redis"] * REDIS_MS + rounds["logs"] * LOGS_MS
    return work + waiting


def monitoring(template, mode, choice, lines):
    """The cost of metrics, alarms and the dashboard of a stack with these parameters."""
    stack = Stack(template, {"CacheMode": mode} | choice)
    existing = {name: r for name, r in template["Resources"].items() if stack.exists(name)}
    alarms = [stack.properties(name) for name, r in existing.items() if r["Type"] == "AWS::CloudWatch::Alarm"]
    # Each metric of an expression counts.
    watched = sum(sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1 for alarm in alarms)
    dashboards = sum(r["Type"] == "AWS::CloudWatch::Dashboard" for r in existing.values())
    metrics = len(BASIC_METRICS) if lines else 0
    if choice["Monitoring"] == "full":
        metrics = FULL_METRICS * (1 + LOG_GROUPS)
    p = PRICES
    return metrics * p["metric-month"] + watched * p["alarm metric-month"] + dashboards * p["dashboard-month"]


def traced(invocations, seconds):
    """How many of the invocations in this time X-Ray traces: the first one of each second, and five of a hundred others."""
    return min(invocations, seconds + 0.05 * max(0, invocations - seconds))


def month(load, mode, kinds, template, choice):
    """The cost of each service."""
    teams, streams = load
    cached = mode != "none"
    suffix = "cache" if cached else "no cache"
    push, sweep = kinds[f"push, {suffix}"], kinds[f"sweep, {suffix}"]
    lists = {name: kinds[f"list, {name}"] for name in ("cache", "no cache")}

    lines = teams * (DEPLOYS * LINES_OF_DEPLOY + AGENT_RUNS * LINES_OF_AGENT)
    chatty = streams * CHATTY_LINES_A_SECOND * HOURS * 3600
    saves = lines / LINES_OF_PUSH + streams * CHATTY_SAVES
    lines += chatty
    pushes, sweeps = lines / LINES_OF_PUSH, HOURS * 60
    requests = teams * WATCHERS * WATCHING_SECONDS / POLL_SECONDS * DAYS
    # The cache keeps a list until the next write of any task. Reads and writes happen in working hours.
    reads = WATCHERS / POLL_SECONDS
    writes = pushes / (DAYS * WORK_SECONDS)
    hits = reads / (reads + writes) if cached and teams else 0.0
    hit, missed = requests * hits, requests * (1 - hits)

    ms = {
        "push": billed_ms(
            "push", ROUNDS["push"] if cached else ROUNDS["push"] | {"redis": 0}, push["cpu_ms"], "collector"
        ),
        "sweep": billed_ms("sweep", ROUNDS["sweep"], sweep["cpu_ms"], "collector"),
        "hit": billed_ms("list", ROUNDS["list, cache"], lists["cache"]["cpu_ms"], "api"),
        "miss": billed_ms("list", ROUNDS["list, no cache"], lists["no cache"]["cpu_ms"], "api"),
    }
    looks = HOURS * LOG_GROUPS * LOOK_HOURS
    gb_seconds = (
        (
            (pushes * ms["push"] + sweeps * ms["sweep"] + looks * LOGS_MS) * MEMORY_MB["collector"]
            + (hit * ms["hit"] + missed * ms["miss"]) * MEMORY_MB["api"]
        )
        / 1024
        / 1000
    )
    invocations = pushes + sweeps + requests
    read_units = pushes * push["read_units"] + sweeps * sweep["read_units"] + missed * lists["no cache"]["read_units"]
    read_units += (teams * (DEPLOYS + AGENT_RUNS) * LOOK_HOURS + streams * HOURS) * push["read_units"]
    write_units = saves * push["write_units"] + sweeps * sweep["write_units"]
    logged = (
        pushes * (push["log_bytes"] + PLATFORM_LOG_BYTES)
        + sweeps * (sweep["log_bytes"] + PLATFORM_LOG_BYTES)
        + requests * (lists[suffix]["log_bytes"] + PLATFORM_LOG_BYTES + ACCESS_LOG_BYTES)
        + lines * LINE_BYTES
    ) / 1e9
    stored = teams * 3 * (DEPLOYS + AGENT_RUNS) * TASK_BYTES / 1e9  # items live for 90 days
    working = DAYS * WORK_SECONDS
    traces = sweeps + traced(pushes, HOURS * 3600 if streams else working) + traced(requests, working)

    p = PRICES
    cost = {
        "Lambda": gb_seconds * p["lambda GB-second, arm64"] + invocations * p["lambda request"],
        "API Gateway": requests * p["http api request"],
        "DynamoDB": read_units * p["dynamodb read unit"]
        + write_units * p["dynamodb write unit"]
        + stored * p["dynamodb GB-month"],
        "Logs": logged * (p["logs GB ingested"] + p["logs GB-month"]),
        "Metrics, alarms, dashboard": monitoring(template, mode, choice, lines),
        "X-Ray": traces * p["trace"],
        "Scheduler": sweeps * p["scheduler invocation"],
        "Data to browsers": requests * lists[suffix]["answer_bytes"] / 1e9 * p["GB to the internet"],
        "Cache": 0.0,
        "Network": 0.0,
    }
    if cached:
        if choice["VpcEgress"] == "endpoints":
            # An endpoint of CloudWatch Logs in each of two subnets.
            cost["Network"] = 2 * HOURS * p["interface endpoint hour"]
        cost["Cache"] = p["secret-month"]
    if mode == "node":
        cost["Cache"] += HOURS * p["cache.t4g.micro hour, Valkey"]
    if mode == "serverless":
        kilobytes = requests * max(1, lists["cache"]["answer_bytes"] / 1000) + pushes * 10
        cost["Cache"] += 0.1 * HOURS * p["valkey serverless GB-hour"] + kilobytes * p["valkey serverless ECPU"]
    return cost, ms, hits, requests, pushes


def request_cost(kinds, cache):
    """The cost of a request for the list of tasks."""
    kind, p = kinds[f"list, {cache}"], PRICES
    ms = billed_ms("list", ROUNDS[f"list, {cache}"], kind["cpu_ms"], "api")
    logged = (kind["log_bytes"] + PLATFORM_LOG_BYTES + ACCESS_LOG_BYTES) / 1e9
    return (
        ms / 1000 * MEMORY_MB["api"] / 1024 * p["lambda GB-second, arm64"]
        + p["lambda request"]
        + p["http api request"]
        + kind["read_units"] * p["dynamodb read unit"]
        + logged * (p["logs GB ingested"] + p["logs GB-month"])
        + 0.05 * p["trace"]
        + kind["answer_bytes"] / 1e9 * p["GB to the internet"]
    )


def invocation_cost(ms, memory):
    """The cost of an invocation that is logged and in five of a hundred cases traced, without its requests."""
    p = PRICES
    logged = PLATFORM_LOG_BYTES / 1e9 * (p["logs GB ingested"] + p["logs GB-month"])
    lambda_cost = ms / 1000 * MEMORY_MB[memory] / 1024 * p["lambda GB-second, arm64"] + p["lambda request"]
    return lambda_cost + logged + 0.05 * p["trace"]


def live_push(viewers, kinds, cache):
    """What it costs that pages learn of one team's changes: with live push, and by asking."""
    p = PRICES
    # Each change is a push of the team's logs. A viewer is there for a part of the working hours.
    changes = (DEPLOYS * LINES_OF_DEPLOY + AGENT_RUNS * LINES_OF_AGENT) / LINES_OF_PUSH
    seen = WATCHING_SECONDS / WORK_SECONDS
    watched = viewers * DAYS * WATCHING_SECONDS
    published = changes * (
        CHANNELS * p["appsync event operation"]
        + invocation_cost(PUBLISHER_MS, "publisher")
        + PUBLISHER_READ_UNITS * p["dynamodb read unit"]
    )
    delivered = viewers * changes * seen
    message = p["appsync event operation"] + kinds[f"get, {cache}"]["answer_bytes"] / 1e9 * p["GB to the internet"]
    opened = viewers * DAYS * DECISIONS * (p["appsync event operation"] + invocation_cost(AUTHORIZER_MS, "api"))
    asked = watched / LIVE_ASK_SECONDS + viewers * STATUS_CHANGES * seen
    request = request_cost(kinds, cache)
    pushed = published + delivered * message + opened + watched / 60 * p["appsync connection minute"] + asked * request
    return pushed, watched / POLL_SECONDS * request


def page():
    measured = json.loads((ROOT / "docs" / "measurements.json").read_text())
    kinds = measured["kinds"]
    template = transformed()
    lines = [f"US dollars per month in {REGION}, at prices of {PRICES_DATE}, without free tiers.\n"]
    results = {
        (name, mode): month(load, mode, kinds, template, DEFAULTS) for name, load in LOADS.items() for mode in MODES
    }

    lines.append("\n| | " + " | ".join(f"`CacheMode={mode}`" for mode in MODES) + " |\n")
    lines.append("| --- |" + " ---: |" * len(MODES) + "\n")
    for load in LOADS:
        totals = (sum(results[load, mode][0].values()) for mode in MODES)
        lines.append(f"| **{load}** | " + " | ".join(f"**{total:,.2f}**" for total in totals) + " |\n")
    lines.append("\n### An idle stack, by its parameters\n\n| | " + " | ".join(MODES))
    lines.append(" |\n| --- |" + " ---: |" * len(MODES) + "\n")
    for choice in CHOICES:
        totals = (sum(month(LOADS["idle"], mode, kinds, template, choice)[0].values()) for mode in MODES)
        row = ", ".join(f"`{name}={value}`" for name, value in choice.items())
        lines.append(f"| {row} | " + " | ".join(f"{total:,.2f}" for total in totals) + " |\n")
    for load, (teams, _) in LOADS.items():
        _, _, _, requests, pushes = results[load, "none"]
        lines.append(f"\n### {load[0].upper()}{load[1:]}\n\n")
        lines.append(f"{requests:,.0f} requests, {pushes:,.0f} pushes and {HOURS * 60:,} sweeps a month")
        if teams:
            lines.append(f"; with a cache, {100 * results[load, 'node'][2]:.0f} % of lists come from it")
        lines.append(".\n\n| | " + " | ".join(MODES) + " |\n| --- |" + " ---: |" * len(MODES) + "\n")
        for service in results[load, "none"][0]:
            row = [results[load, mode][0][service] for mode in MODES]
            if any(row):
                lines.append(f"| {service} | " + " | ".join(f"{cost:,.2f}" for cost in row) + " |\n")
    lines.append("\n### Live push and polling\n\n")
    lines.append("What pages cost that are open for two hours a day and show the tasks of one team:\n\n")
    lines.append("| viewers | `Push=appsync` | `Push=none` | with a cache: `Push=appsync` | `Push=none` |\n")
    lines.append("| ---: | ---: | ---: | ---: | ---: |\n")
    for viewers in VIEWERS:
        costs = [*live_push(viewers, kinds, "no cache"), *live_push(viewers, kinds, "cache")]
        lines.append(f"| {viewers:,} | " + " | ".join(f"{cost:,.2f}" for cost in costs) + " |\n")
    lines.append("\n### What an invocation is billed for\n\n")
    lines.append("| | processor time, measured | DynamoDB requests | read units | write units | billed |\n")
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |\n")
    billed = {"none": results["1 team", "none"][1], "node": results["1 team", "node"][1]}
    for label, kind, ms in (
        ("sweep, nothing new", "sweep, no cache", billed["none"]["sweep"]),
        ("push of 10 lines", "push, no cache", billed["none"]["push"]),
        ("push of 10 lines, with a cache", "push, cache", billed["node"]["push"]),
        ("list, from the cache", "list, cache", billed["node"]["hit"]),
        ("list, from DynamoDB", "list, no cache", billed["none"]["miss"]),
    ):
        k = kinds[kind]
        lines.append(
            f"| {label} | {k['cpu_ms']:.2f} ms | {k['dynamodb_calls']:.1f} | {k['read_units']:.1f} "
            f"| {k['write_units']:.1f} | {ms:.0f} ms |\n"
        )
    lines.append(
        f"\nMeasured on {measured['date']} over {measured['invocations']} invocations each, with {measured['tasks']} "
        f"tasks, with release builds for {measured['machine']}. From its start to its first event, the API needed "
        f"{measured['init_ms']['api']:.0f} ms and the collector {measured['init_ms']['collector']:.0f} ms.\n"
    )
    return "".join(lines)


def main():
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    new = page()
    if sys.argv[1:] == ["--check"]:
        if old != new:
            sys.exit(f"{PAGE} differs from what scripts/cost.py makes: run it")
        print(f"  {PAGE.name} has the costs that prices, loads and measurements give")
    else:
        PAGE.write_text(before + BEGIN + new + END + after)


if __name__ == "__main__":
    main()
