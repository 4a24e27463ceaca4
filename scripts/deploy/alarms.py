"""Checks that CollectorStoppedAlarm fits to each rate of sweeps, and does not go off on the first deployment; that
CollectorLagAlarm is quiet while the collector is up to date; and that RolloutAlarms turns the alarms and the hook of
rollouts off and on."""

import re
import sys

from transform import Stack, report, transformed

SECONDS = {"minute": 60, "hour": 3600}


def seconds(rate):
    """The time between two sweeps."""
    number, unit = re.fullmatch(r"rate\((\d+) (minute|hour)s?\)", rate).groups()
    return int(number) * SECONDS[unit]


def stopped_faults(template):
    for rate in template["Parameters"]["SweepRate"]["AllowedValues"]:
        alarm = Stack(template, {"SweepRate": rate, "AlarmTopicArn": "arn"}).properties("CollectorStoppedAlarm")
        waits, between = alarm["Period"] * alarm["EvaluationPeriods"], seconds(rate)
        if not max(900, 3 * between) <= waits <= max(900, 4 * between):
            yield f"with SweepRate={rate}, CollectorStoppedAlarm waits for {waits} seconds"
        # A new alarm has the state INSUFFICIENT_DATA. It must change from there only when there is data.
        if alarm["TreatMissingData"] != "missing" or alarm.get("InsufficientDataActions") != ["arn"]:
            yield "CollectorStoppedAlarm goes off before the first sweep, or notifies nobody when sweeps stop"


def lag_faults(template):
    """A sweep of a quiet log group reads what is as old as the overlap."""
    least = template["Parameters"]["LagAlarmSeconds"]["MinValue"]
    for overlap in (0, 300, template["Parameters"]["OverlapSeconds"]["MaxValue"]):
        alarm = Stack(template, {"OverlapSeconds": overlap, "LagAlarmSeconds": least}).properties("CollectorLagAlarm")
        expression = alarm["Metrics"][-1]["Expression"]
        for lag, raised in ((overlap, False), (overlap + least + 1, True)):
            if (eval(expression, {"lag": lag * 1000}) > alarm["Threshold"]) != raised:
                yield f"with OverlapSeconds={overlap}, CollectorLagAlarm is wrong for a lag of {lag} seconds"


def rollout_faults(template):
    groups = [n for n, r in template["Resources"].items() if r["Type"] == "AWS::CodeDeploy::DeploymentGroup"]
    for group in groups:
        for setting in ("on", "off"):
            properties = Stack(template, {"RolloutAlarms": setting}).properties(group)
            if bool(properties["AlarmConfiguration"].get("Enabled")) != (setting == "on"):
                yield f"with RolloutAlarms={setting}, {group} has {properties['AlarmConfiguration']}"
    for setting, hook in (("on", "RolloutHook"), ("off", None)):
        policy = Stack(template, {"RolloutAlarms": setting}).value(template["Resources"]["CollectorFunctionAliaslive"]["UpdatePolicy"])
        if policy["CodeDeployLambdaAliasUpdate"].get("BeforeAllowTrafficHook") != hook:
            yield f"with RolloutAlarms={setting}, the hook of the collector's rollout is not {hook}"


def main():
    template = transformed()
    return report(
        "template.yaml",
        [*stopped_faults(template), *lag_faults(template), *rollout_faults(template)],
        "CollectorStoppedAlarm waits for three sweeps, and is quiet on the first deployment",
        "CollectorLagAlarm is quiet while the collector is up to date",
        "RolloutAlarms turns the alarms and the hook of rollouts off and on",
    )


if __name__ == "__main__":
    sys.exit(main())
