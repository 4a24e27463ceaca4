"""Checks that each log group of a list in LogGroups has one subscription that may start the collector, and may be read; and
that a list of another form is refused."""

import re
import sys

from transform import Stack, report, transformed

# Lists, and the log groups in them; None for one that is refused.
CASES = [
    ("", []),
    ("/a", ["/a"]),
    ("/a=cdk,/b", ["/a", "/b"]),
    ("/a,/a=cdk,/b=agent,/b,/a", ["/a", "/b"]),
    ("/a,/b,/c,/d,/e=cdk", ["/a", "/b", "/c", "/d", "/e"]),
    ("/a,/b,/c,/d,/e,/f", None),
    ("/a,", None),
    ("=cdk", None),
    ("/a=", None),
    ("/a=jenkins", None),
]
OWN = ["CdkLogGroup", "AgentLogGroup"]


def groups_in(arns):
    return sorted(re.fullmatch(r"arn:aws:logs:[^:]+:[^:]+:log-group:(.+):\*", arn)[1] for arn in arns)


def reading(stack, role, sid):
    """The ARNs of a statement of a policy."""
    for policy in stack.properties(role)["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Sid"] == sid:
                return statement["Resource"]


def faults(template):
    pattern = template["Parameters"]["LogGroups"]["AllowedPattern"]
    for text, groups in CASES:
        if (re.match(pattern, text) is not None) != (groups is not None):
            yield f"LogGroups={text} is {'refused' if groups else 'accepted'}"
        if groups is None:
            continue
        stack = Stack(template, {"LogGroups": text, "CacheMode": "node", "VpcEgress": "endpoints"})
        of_type = lambda kind: [n for n, r in template["Resources"].items() if r["Type"] == kind and stack.exists(n)]  # noqa: B023, E731
        filters = [stack.properties(name)["LogGroupName"] for name in of_type("AWS::Logs::SubscriptionFilter")]
        permissions = [stack.properties(name) for name in of_type("AWS::Lambda::Permission")]
        of_logs = [p["SourceArn"] for p in permissions if p["Principal"] == "logs.amazonaws.com"]
        (endpoint,) = stack.properties("LogsEndpoint")["PolicyDocument"]["Statement"]
        for what, found in {
            "subscriptions of": sorted(filters),
            "permissions for": groups_in(of_logs),
            "a role of the collector for": groups_in(reading(stack, "CollectorRole", "ReadLogs")),
            "a role of the API for": groups_in(reading(stack, "ApiRole", "ReadEndsOfLogs")),
            "an endpoint that lets through": groups_in(endpoint["Resource"]),
        }.items():
            if found != sorted(OWN + groups):
                yield f"LogGroups={text} makes {what} {found}"


def main():
    claim = f"{len(CASES)} lists of log groups are refused, or subscribed and read"
    return report("template.yaml", faults(transformed()), claim)


if __name__ == "__main__":
    sys.exit(main())
