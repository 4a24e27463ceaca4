"""Checks that docs/operations.md has a section for each alarm of the template, with what to do, and no other. The log
messages that it names must be those of the code."""

import re
import sys

from common import ROOT
from transform import report, transformed

RUNBOOK = ROOT / "docs" / "operations.md"


def faults(alarms, runbook):
    """What is wrong with the runbook."""
    sections = dict(re.findall(r"^### (\w+Alarm)\n(.*?)(?=^##|\Z)", runbook, re.MULTILINE | re.DOTALL))
    for alarm in sorted(alarms - sections.keys()):
        yield f"{alarm} has no section"
    for alarm in sorted(sections.keys() - alarms):
        yield f"{alarm} is not an alarm of the template"
    for alarm, section in sections.items():
        for part in ["Means", "Look", "Do"]:
            if not re.search(rf"^- \*\*{part}\*\*(?: \(`Monitoring=full`\))?: \S", section, re.MULTILINE):
                yield f"{alarm} does not say: {part}"


def level_faults(resources, runbook):
    """Alarms of which the runbook does not say rightly whether they need Monitoring=full."""
    for name, resource in resources.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            needs_full = resource.get("Condition") == "HasFullMonitoring"
            if (f"### {name}\n\n- **Means** (`Monitoring=full`): " in runbook) != needs_full:
                yield f"{name} {'is' if needs_full else 'is not'} an alarm of Monitoring=full alone"


def unknown_messages(runbook):
    """Log messages that the runbook names and no source has."""
    source = "".join(path.read_text() for path in ROOT.glob("*/src/**/*.rs"))
    for message in re.findall(r'message `([^`]+)`|\$\.message = "([^"]+)"', runbook):
        message = "".join(message)
        if f'"{message}' not in source:
            yield f"no source has the message: {message}"


def main():
    resources = transformed()["Resources"]
    alarms = {name for name, resource in resources.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    runbook = RUNBOOK.read_text()
    # The check must be able to fail.
    assert list(faults(alarms | {"OtherAlarm"}, runbook)), "a missing section is not found"
    found = [*faults(alarms, runbook), *level_faults(resources, runbook), *unknown_messages(runbook)]
    return report("docs/operations.md", found, f"{len(alarms)} alarms have a section")


if __name__ == "__main__":
    sys.exit(main())
