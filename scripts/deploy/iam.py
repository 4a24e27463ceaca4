"""Checks what the roles and the endpoints of template.yaml allow.

A role's policy `calls` has what the function's program requests. bootstraps.py runs the programs and compares that
policy with the requests that it observes: each must be allowed, and each right must be used, or stand in UNOBSERVED
with a reason. The other policies have what AWS does in the role's name; they must be exactly PLATFORM. No policy allows
a wildcard where AWS takes a name.
"""

import sys

import transform

# The programs of the functions, by their roles.
FUNCTIONS = {"ApiRole": "api-lambda", "CollectorRole": "progress-collector"}
# Rights that bootstraps.py does not see in use, with the reason.
RACE = "deletes the history where a deletion meets a run that goes on: a race, which store tests produce"
UNOBSERVED = {
    "ApiRole": {},
    "CollectorRole": {("dynamodb:BatchWriteItem", "tasks"): RACE},
}

NETWORK = {
    ("ec2:AssignPrivateIpAddresses", "network"),
    ("ec2:CreateNetworkInterface", "network"),
    ("ec2:DeleteNetworkInterface", "network"),
    ("ec2:DescribeNetworkInterfaces", "*"),
    ("ec2:DescribeSubnets", "*"),
    ("ec2:UnassignPrivateIpAddresses", "network"),
}
TRACES = {("xray:PutTelemetryRecords", "*"), ("xray:PutTraceSegments", "*")}
STREAM = {
    (f"dynamodb:{action}", "tasks/stream")
    for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
}
ROLLOUT = {
    (f"lambda:{action}", "functions") for action in ("GetAlias", "GetProvisionedConcurrencyConfig", "UpdateAlias")
}


def own_log(group):
    return {("logs:CreateLogStream", group), ("logs:PutLogEvents", group)}


# What Lambda, X-Ray, CodeDeploy and the Scheduler do in a role's name.
PLATFORM = {
    "ApiRole": NETWORK | TRACES | own_log("ApiLogGroup"),
    "CollectorRole": NETWORK | TRACES | STREAM | own_log("CollectorLogGroup") | {("sqs:SendMessage", "failures")},
    "SweepRole": {("lambda:InvokeFunction", "collector"), ("sqs:SendMessage", "failures")},
    "RolloutRole": ROLLOUT | {("cloudwatch:DescribeAlarms", "alarms")},
}
# AWS takes no ARN for these:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
NO_ARN = {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# The template's ways to name a resource.
HERE = "${AWS::Region}:${AWS::AccountId}"
NAMES = {
    "TaskRunsTable.Arn": "tasks",
    "${TaskRunsTable.Arn}/index/*": "tasks/index",
    "${TaskRunsTable.Arn}/stream/*": "tasks/stream",
    "ProjectsTable.Arn": "projects",
    "CheckpointsTable.Arn": "checkpoints",
    "FailureQueue.Arn": "failures",
    "ApiLogGroup.Arn": "ApiLogGroup",
    "CollectorLogGroup.Arn": "CollectorLogGroup",
    "CollectorFunctionAliaslive": "collector",
    f"arn:${{AWS::Partition}}:logs:{HERE}:log-group:${{Name}}:*": "logs",
    f"arn:${{AWS::Partition}}:events:{HERE}:event-bus/${{EventBusName}}": "bus",
    f"arn:${{AWS::Partition}}:ec2:{HERE}:*/*": "network",
    f"arn:${{AWS::Partition}}:cloudwatch:{HERE}:alarm:*": "alarms",
    **{
        f"arn:${{AWS::Partition}}:lambda:{HERE}:function:${{{function}}}{versions}": "functions"
        for function in ("ApiFunction", "CollectorFunction")
        for versions in ("", ":*")
    },
    "*": "*",
}


def as_list(node):
    return node if isinstance(node, list) else [node]


def named(node):
    """The short name of a resource in a policy."""
    if isinstance(node, str):
        key = node
    elif "Fn::GetAtt" in node:
        key = ".".join(as_list(node["Fn::GetAtt"]))
    elif "Ref" in node:
        key = node["Ref"]
    else:
        key = as_list(node["Fn::Sub"])[0]
    if key not in NAMES:
        sys.exit(f"template.yaml: teach {__file__} the resource {key}")
    return NAMES[key]


def allowed(document):
    """The (action, resource) pairs that a policy allows."""
    pairs = set()
    for statement in document["Statement"]:
        if "Fn::If" in statement:
            statement = statement["Fn::If"][1]
        if statement["Effect"] != "Allow" or set(statement) & {"NotAction", "NotResource"}:
            sys.exit(f"template.yaml: {statement.get('Sid')}: only statements that allow can be compared")
        for action in as_list(statement["Action"]):
            for on in as_list(statement["Resource"]):
                if "*" in action:
                    sys.exit(f"template.yaml: {action} allows more than one action")
                if named(on) == "*" and action not in NO_ARN:
                    sys.exit(f"template.yaml: {action} is allowed on everything")
                pairs.add((action, named(on)))
    return pairs


def differences(what, pairs, wanted):
    for action, on in sorted(wanted - pairs):
        yield f"{what} must allow {action} on {on}"
    for action, on in sorted(pairs - wanted):
        yield f"{what} allows {action} on {on}, which nothing needs"


def policies(resources, role):
    """What each policy of a role allows, by its name."""
    properties = resources[role]["Properties"]
    if "ManagedPolicyArns" in properties:
        sys.exit(f"template.yaml: {role} has managed policies, which can't be compared")
    return {policy["PolicyName"]: allowed(policy["PolicyDocument"]) for policy in properties["Policies"]}


def calls(role):
    """The rights of a role for the requests of its function's program."""
    return policies(transform.transformed()["Resources"], role)["calls"]


def faults_of_calls(role, observed, operations):
    """Compares a role with the requests that its program made, and with the operations that the program holds."""
    rights, reasons = calls(role), UNOBSERVED[role]
    yield from differences(role, rights, observed | reasons.keys())
    for pair in sorted(observed & reasons.keys()):
        yield f"{role}: {' on '.join(pair)} was observed: it needs no reason in {__file__}"
    used = {action for action, _ in observed | reasons.keys()}
    for operation in sorted(operations - used - {"dynamodb:TransactWriteItems"}):
        yield f"{FUNCTIONS[role]} holds {operation}, which was not observed"


def faults(resources):
    """What is wrong with the rights of the platform, and with the endpoints of the VPC."""
    everything = set()
    for role in (name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"):
        rights = policies(resources, role)
        everything |= rights.pop("calls", set())
        yield from differences(role, set().union(*rights.values()), PLATFORM.get(role, set()))
    for endpoint, service in {"DynamoDbEndpoint": "dynamodb", "LogsEndpoint": "logs", "EventsEndpoint": "events"}.items():
        pairs = allowed(resources[endpoint]["Properties"]["PolicyDocument"])
        wanted = {pair for pair in everything if pair[0].startswith(f"{service}:")}
        # An endpoint's policy has one list of actions and one of resources; the roles say which go together.
        for part in (0, 1):
            yield from differences(endpoint, {(p[part], "") for p in pairs}, {(p[part], "") for p in wanted})


def main():
    found = list(faults(transform.transformed()["Resources"]))
    for fault in found:
        print(fault, file=sys.stderr)
    print(f"  {len(PLATFORM)} roles give AWS the rights that it needs, and endpoints let through what roles allow")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
