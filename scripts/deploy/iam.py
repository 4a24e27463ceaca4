"""Compares what the code calls with what the roles in template.yaml allow: each must be the other, exactly.

    iam.py [--bootstraps DIR]

Calls are found in the source: the operations of the AWS SDK's own list, the functions of `shared` that they stand in,
and the roles' methods (`tasks.save`, `projects.list`) through which each Lambda function reaches them. With
--bootstraps, the built programs must hold each operation that was found; what is not linked is not called.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

import transform

ROOT = transform.ROOT
# What a store's field stands for in the template.
TABLES = {"tasks_table": "tasks", "projects_table": "projects"}
TABLE_OF = {"DynamoDbProjectStore": "projects", "DynamoDbCheckpointStore": "checkpoints"}
# The fields through which a function uses a role, and the trait of each.
ROLES = {
    "tasks": "TaskStore",
    "projects": "ProjectStore",
    "checkpoints": "CheckpointStore",
    "logs": "LogSource",
    "events": "EventSink",
    "sink": "EventSink",
}
# The crates that are Lambda functions, and the parts of `shared` that use roles in their name.
FUNCTIONS = {
    "ApiRole": ("api-lambda", ["task_reader"]),
    "CollectorRole": ("progress-collector", []),
}
# An item of a transaction needs the right to do the same by itself.
TRANSACTED = {"update": "UpdateItem", "put": "PutItem", "delete": "DeleteItem", "condition_check": "ConditionCheckItem"}
SERVICES = {"dynamodb": "dynamodb", "cloudwatchlogs": "logs", "eventbridge": "events"}
TARGETS = {"dynamodb": "DynamoDB_20120810", "cloudwatchlogs": "Logs_20140328", "eventbridge": "AWSEvents"}
# Makes tables where no template makes them: nothing of it runs on AWS.
OFF_AWS = ROOT / "shared/src/store/tables.rs"

# What Lambda, X-Ray, CodeDeploy and the Scheduler do in a role's name; no code of ours says so.
NETWORK = {
    ("ec2:AssignPrivateIpAddresses", "network"),
    ("ec2:CreateNetworkInterface", "network"),
    ("ec2:DeleteNetworkInterface", "network"),
    ("ec2:DescribeNetworkInterfaces", "*"),
    ("ec2:DescribeSubnets", "*"),
    ("ec2:UnassignPrivateIpAddresses", "network"),
}
TRACES = {("xray:PutTelemetryRecords", "*"), ("xray:PutTraceSegments", "*")}


def own_log(group):
    return {("logs:CreateLogStream", group), ("logs:PutLogEvents", group)}


PLATFORM = {
    "ApiRole": NETWORK | TRACES | own_log("ApiLogGroup"),
    "CollectorRole": NETWORK
    | TRACES
    | own_log("CollectorLogGroup")
    | {("sqs:SendMessage", "failures")}
    | {
        (f"dynamodb:{name}", "tasks/stream")
        for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
    },
    "SweepRole": {("lambda:InvokeFunction", "collector"), ("sqs:SendMessage", "failures")},
    "RolloutRole": {
        (f"lambda:{name}", function)
        for name in ("GetAlias", "GetProvisionedConcurrencyConfig", "UpdateAlias")
        for function in ("functions",)
    }
    | {("cloudwatch:DescribeAlarms", "alarms")},
}
# For which AWS takes no ARN:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
NO_ARN = {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}

LOG_GROUP = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${Name}:*"
# The template's ways to name a resource.
NAMES = {
    "TasksTable.Arn": "tasks",
    "${TasksTable.Arn}/index/*": "tasks/index",
    "${TasksTable.Arn}/stream/*": "tasks/stream",
    "ProjectsTable.Arn": "projects",
    "CheckpointsTable.Arn": "checkpoints",
    "FailureQueue.Arn": "failures",
    "ApiLogGroup.Arn": "ApiLogGroup",
    "CollectorLogGroup.Arn": "CollectorLogGroup",
    "CollectorFunctionAliaslive": "collector",
    LOG_GROUP: "logs",
    "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${EventBusName}": "bus",
    "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:*/*": "network",
    "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*": "alarms",
    **{
        "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${%s}%s" % (name, versions): "functions"
        for name in ("ApiFunction", "CollectorFunction")
        for versions in ("", ":*")
    },
    "*": "*",
}


# ---------------------------------------------------------------------------------------------------- the source


def operations():
    """The fluent calls of each SDK crate that the workspace uses, as `service -> {snake_case: Operation}`."""
    command = "cargo metadata --format-version 1 --locked --filter-platform aarch64-unknown-linux-gnu"
    metadata = json.loads(subprocess.check_output(command.split(), cwd=ROOT))
    ours = set(metadata["workspace_members"])
    used = {d["name"] for p in metadata["packages"] if p["id"] in ours for d in p["dependencies"] if d["kind"] is None}
    found = {}
    for package in metadata["packages"]:
        name = package["name"]
        if not name.startswith("aws-sdk-") or name not in used:
            continue
        service = name.removeprefix("aws-sdk-")
        folder = pathlib.Path(package["manifest_path"]).parent / "src" / "operation"
        names = [path.stem for path in folder.glob("*.rs")]
        found[service] = {name: "".join(map(str.capitalize, name.split("_"))) for name in names}
        if not names or service not in SERVICES:
            sys.exit(f"{name}: teach {__file__} this service")
    return found


def without_tests(text):
    """The text up to its tests, without comments, and with nothing in its literals."""
    text = re.sub(r"(?m)^\s*//.*$", "", text)
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', text)
    text = re.sub(r"(?m)//.*$", "", re.sub(r"'[{}]'", "' '", text))
    return text.split("#[cfg(test)]\nmod tests", 1)[0]


def block(text, start):
    """The text from the brace at or after `start` to the one that closes it."""
    start = text.index("{", start)
    depth = 0
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start : end + 1]
    sys.exit("a brace is not closed")


Function = collections.namedtuple("Function", "path trait type name body")


def functions(path):
    text = without_tests(path.read_text())
    owners = []
    for match in re.finditer(r"\nimpl(?:<[^>]*>)? (?:(\w+)(?:<[^>]*>)? for )?(\w+)", text):
        owners.append((match.start(), match.start() + len(block(text, match.end())), match[1], match[2]))
    for match in re.finditer(r"\bfn (\w+)", text):
        body_at, semicolon = text.find("{", match.end()), text.find(";", match.end())
        if 0 <= semicolon < body_at:
            continue  # only declared
        trait, owner = next(((t, o) for s, e, t, o in owners if s <= match.start() <= e), (None, None))
        yield Function(path, trait, owner, match[1], block(text, match.end()))


def calls_of_roles():
    """For each method of a role, as it is on AWS, the (action, resource) pairs that it needs."""
    known = operations()
    paths = [path for path in sorted((ROOT / "shared/src").rglob("*.rs")) if "aws_sdk_" in path.read_text()]
    all_functions = [function for path in paths for function in functions(path)]
    direct, transacted = {}, {}
    for function in all_functions:
        pairs = set()
        for service, names in known.items():
            for name, operation in names.items():
                if re.search(r"\.\s*%s\(\)" % name, function.body) and "client" in function.body:
                    pairs.add((service, operation, resource(function)))
        direct[function] = pairs
        if kind := re.search(r"TransactWriteItem::builder\(\)\s*\.(\w+)\(", function.body):
            transacted[function.name] = TRANSACTED[kind[1]]

    def reached(function, seen):
        if function in seen:
            return set()
        seen.add(function)
        pairs = set(direct[function])
        for helper, operation in transacted.items():
            for argument in re.findall(r"(?<!\.)\b%s\(\s*([^,]*)," % helper, function.body):
                table = table_of(function, argument.strip())
                pairs.add(("dynamodb", operation, table))
        for other in all_functions:
            same_folder = other.path.parent in (function.path.parent, function.path.with_suffix(""))
            if other.trait is None and same_folder and re.search(r"\b%s\(" % other.name, function.body):
                if other.type is None or re.search(r"self\s*\.\s*%s\(" % other.name, function.body):
                    pairs |= reached(other, seen)
        return pairs

    for crate, _ in FUNCTIONS.values():
        for path in (ROOT / crate / "src").rglob("*.rs"):
            if "aws_sdk_" in without_tests(path.read_text()):
                sys.exit(f"{path} calls AWS by itself; calls are looked for in shared")
    methods = collections.defaultdict(set)
    for function in all_functions:
        if function.trait in ROLES.values():
            pairs = reached(function, set())
            # The transaction as such; its items were found where they are made.
            pairs = {pair for pair in pairs if pair[1] != "TransactWriteItems"}
            methods[function.trait, function.name] |= pairs
    covered = {pair[:2] for pairs in methods.values() for pair in pairs}
    for function, pairs in direct.items():
        for service, operation, _ in pairs:
            if (service, operation) not in covered | {("dynamodb", "TransactWriteItems")}:
                if function.path != OFF_AWS:
                    sys.exit(f"{function.path}: {operation} in {function.name}, which no role's method reaches")
    return methods


def table_of(function, argument):
    """The table that an argument names: a field, or a variable that stands for one."""
    if bound := re.search(r"let [^=;]*\b%s\b[^=;]*=([^;]*);" % re.escape(argument), function.body):
        fields = re.findall(r"&self\.\w*table\b", bound[1])
        argument = fields[0] if len(fields) == 1 else argument
    field = re.fullmatch(r"&self\.(\w+)", argument)
    table = field and (TABLES.get(field[1]) or TABLE_OF.get(function.type))
    if not table:
        sys.exit(f"{function.path}: {function.name}: which table is {argument}?")
    return table


def resource(function):
    """What a call in `function` is for."""
    body = function.body
    if "filter_log_events()" in re.sub(r"\s", "", body):
        return "logs"
    if "put_events()" in re.sub(r"\s", "", body):
        return "bus"
    argument = re.search(r"(?:table_name|request_items)\(\s*([&\w.]+)", body)
    if not argument or function.type is None or function.path == OFF_AWS:
        return None  # made for whoever names the table
    table = table_of(function, argument[1])
    return f"{table}/index" if "index_name(" in body else table


def used_methods(crate, parts):
    """The methods of roles that a Lambda function uses."""
    paths = [path for path in (ROOT / crate / "src").rglob("*.rs")]
    for part in parts:
        paths += [ROOT / f"shared/src/{part}.rs", *(ROOT / f"shared/src/{part}").rglob("*.rs")]
    fields = "|".join(ROLES)
    for path in paths:
        if path.name != "tests.rs":
            for field, method in re.findall(r"\b(%s)\s*\.\s*(\w+)\(" % fields, without_tests(path.read_text())):
                yield ROLES[field], method


def needed(methods):
    """For each role, the pairs that its function needs."""
    roles = {}
    for role, (crate, parts) in FUNCTIONS.items():
        pairs = set()
        for trait, method in set(used_methods(crate, parts)):
            pairs |= methods.get((trait, method), set())
        roles[role] = {(f"{SERVICES[service]}:{operation}", on) for service, operation, on in pairs}
    return roles


# -------------------------------------------------------------------------------------------------- the template


def as_list(node):
    return node if isinstance(node, list) else [node]


def statements(document):
    for statement in document["Statement"]:
        if "Fn::If" in statement:
            statement = statement["Fn::If"][1]
        yield statement


def named(node):
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
    pairs = set()
    for statement in statements(document):
        if statement["Effect"] != "Allow" or set(statement) & {"NotAction", "NotResource"}:
            sys.exit(f"template.yaml: {statement.get('Sid')}: only what is allowed can be compared")
        for action in as_list(statement["Action"]):
            for on in as_list(statement["Resource"]):
                if "*" in action:
                    sys.exit(f"template.yaml: {action} allows more than one action")
                if named(on) == "*" and action not in NO_ARN:
                    sys.exit(f"template.yaml: {action} is allowed on everything")
                pairs.add((action, named(on)))
    return pairs


def compare(what, allowed_pairs, wanted):
    for action, on in sorted(wanted - allowed_pairs):
        print(f"{what} must allow {action} on {on}")
    for action, on in sorted(allowed_pairs - wanted):
        print(f"{what} allows {action} on {on}, which nothing calls")
    return allowed_pairs == wanted


# --------------------------------------------------------------------------------------------------- the programs


def linked(bootstrap, known):
    """The operations that a program holds."""
    text = bootstrap.read_bytes()
    found = set()
    for service, names in known.items():
        for operation in names.values():
            if f"{TARGETS[service]}.{operation}".encode() in text:
                found.add((service, operation))
    return found


def bootstrap_of(directory, role):
    """A function's program, in a folder of the function's or the crate's name."""
    names = (role.removesuffix("Role") + "Function", FUNCTIONS[role][0])
    for path in (directory / name / "bootstrap" for name in names):
        if path.exists():
            return path
    sys.exit(f"{directory} has no bootstrap of {' or '.join(names)}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bootstraps", type=pathlib.Path)
    arguments = arguments.parse_args()

    methods = calls_of_roles()
    roles = needed(methods)
    resources = transform.transformed()["Resources"]
    good = True
    for role, resource_ in resources.items():
        if resource_["Type"] != "AWS::IAM::Role":
            continue
        if "ManagedPolicyArns" in resource_["Properties"] or role not in PLATFORM:
            sys.exit(f"template.yaml: {role} has rights that are not compared")
        policies = {p["PolicyName"]: allowed(p["PolicyDocument"]) for p in resource_["Properties"]["Policies"]}
        calls = policies.pop("calls", set())
        good &= compare(role, calls, roles.get(role, set()))
        good &= compare(f"{role} (platform)", set().union(*policies.values()), PLATFORM[role])
        print(f"  {role}: {len(calls)} rights for calls, {len(PLATFORM[role])} for the platform")

    everything = set().union(*roles.values())
    for endpoint, service in {
        "DynamoDbEndpoint": "dynamodb",
        "LogsEndpoint": "logs",
        "EventsEndpoint": "events",
    }.items():
        pairs = allowed(resources[endpoint]["Properties"]["PolicyDocument"])
        wanted = {pair for pair in everything if pair[0].startswith(f"{service}:")}
        # An endpoint's policy has one list of actions and one of resources; roles say which goes with which.
        for index, what in enumerate(("actions", "resources")):
            good &= compare(f"{endpoint} ({what})", {(p[index], "") for p in pairs}, {(p[index], "") for p in wanted})

    if arguments.bootstraps:
        known = operations()
        for role, (crate, parts) in FUNCTIONS.items():
            program = linked(bootstrap_of(arguments.bootstraps, role), known)
            called = set()
            for trait, method in set(used_methods(crate, parts)):
                called |= {pair[:2] for pair in methods.get((trait, method), set())}
            called -= {("dynamodb", "PutItem"), ("dynamodb", "DeleteItem"), ("dynamodb", "ConditionCheckItem")}
            print(f"  {crate} holds {', '.join(sorted(operation for _, operation in program))}")
            for _, operation in sorted(called - program):
                print(f"{crate} should hold {operation}, and does not: is this script mistaken?")
                good = False
            reachable = {pair[:2] for pairs in methods.values() for pair in pairs} | {
                ("dynamodb", "TransactWriteItems")
            }
            for _, operation in sorted(program - reachable):
                print(f"{crate} holds {operation}, which no role's method reaches")
                good = False
    if not good:
        sys.exit("roles and code differ")
    for role, pairs in roles.items():
        for action, on in sorted(pairs):
            print(f"  {role}: {action} on {on}")


if __name__ == "__main__":
    main()
