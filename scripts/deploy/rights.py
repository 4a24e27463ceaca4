"""What roles allow: what happens without their rights, and whether each right is used.

IAM is enforced while the stack is used, so that a missing right fails a step. The emulator writes down each right that a
role uses. What a role or an endpoint allows beyond that is a finding, unless UNUSED has a reason.
"""

import contextlib
import fnmatch
import json
import re

import push_use as push
import stack_use as use
from account import PROGRAMS, bootstraps, wait_for
from common import check

# Rights that no step uses, by the role and the action.
ROLLOUT = "CodeDeploy moves the traffic of a rollout, and the emulator only records its deployment groups"
UNUSED = {
    ("BusPublisherRole", "sqs:SendMessage"): "reports records that fail for a day, for which no step waits",
    ("CollectorRole", "dynamodb:BatchWriteItem"): "deletes the history where a deletion meets a run that goes on: a race",
    ("RolloutHookRole", "codedeploy:PutLifecycleEventHookExecutionStatus"): "the emulator has no CodeDeploy to answer",
    ("RolloutRole", "*"): ROLLOUT,
    ("SweepRole", "sqs:SendMessage"): "reports a sweep that the Scheduler can't start, which no step causes",
}
# AWS takes no ARN for these:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
NO_ARN = {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}

# The first part of a request's X-Amz-Target, and its service in IAM.
TARGETS = {"DynamoDB_20120810": "dynamodb", "Logs_20140328": "logs", "AWSEvents": "events"}


def as_list(node):
    return node if isinstance(node, list) else [node]


def allowed(document):
    """The (action, resource) pairs that a policy allows."""
    for statement in document["Statement"]:
        check_is = statement["Effect"] == "Allow" and not set(statement) & {"NotAction", "NotResource"}
        if not check_is:
            raise ValueError(f"{statement}: only statements that allow can be compared")
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                yield action, resource


def policies(account, role):
    """The policies of a role, by name."""
    iam = account.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}


def check_none_denied(account, *but):
    """No role but those of these logical ids was denied a request so far."""
    denied = [right for right, is_allowed in account.rights_seen() if not is_allowed]
    denied = [right for right in denied if not any(f"-{role}-" in right[0] for role in but)]
    check(" ".join(["no request of a role was denied", *(f"(but of {role})" for role in but)]), not denied, denied)


@contextlib.contextmanager
def without(user, role, policy):
    """The role lacks a policy meanwhile."""
    iam, name = user.stack.account.client("iam"), user.stack.resources[role]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    iam.delete_role_policy(RoleName=name, PolicyName=policy)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


def without_calls_of_collector(user, rollouts):
    with without(user, "CollectorRole", "calls"):
        rollouts.check_hook(user, "Failed")
        user.push("Cdk", "denied", use.BEGUN)
        given_up = lambda: [m for m in user.stack.failures() if "awslogs" in m.get("requestPayload", {})]  # noqa: E731
        check("lines that could not be saved end in the failure queue", wait_for(given_up), user.stack.failures())
    summary = user.stack.invoke({"source": "aws.scheduler"})
    task = user.task("cdk:denied")
    check("with its rights back, the next sweep makes up for it", use.is_task(task), (task, summary))
    user.stack.account.client("sqs").purge_queue(QueueUrl=user.stack.outputs["FailureQueueUrl"])


def without_calls_of_bus_publisher(user, bus):
    body = {"task_id": "unheard", "task_name": "Unheard", "task_type": "build"}
    with without(user, "BusPublisherRole", "calls"):
        check("a task ends meanwhile", user.writer("POST", "/api/tasks", body).status == 201)
        ended = user.writer("PATCH", "/api/tasks/unheard", {"status": "failed"})
        check("and is saved", ended.status == 200, ended)
        failed = lambda: use.counted(user, "bus-publisher", "EventsFailed")  # noqa: E731
        check("its event is not sent", wait_for(failed) and not bus.count()["Task Failed", "unheard"], bus.count())
    bus.check_once("Task Failed", "unheard")


def without_calls_of_push_publisher(user):
    body = {"task_id": "unpushed-build", "task_name": "Unpushed", "task_type": "build"}
    check("a task is made", user.writer("POST", "/api/tasks", body).status == 201)
    with push.subscribed(user, "unpushed-build") as socket:
        socket.drain(2)  # what tells of its creation
        before = use.counted(user, "push-publisher", "PushesFailed")
        with without(user, "PushPublisherRole", "calls"):
            changed = user.writer("PATCH", "/api/tasks/unpushed-build", {"status": "running"})
            check("a change is saved", changed.status == 200, changed)
            failed = lambda: use.counted(user, "push-publisher", "PushesFailed") > before  # noqa: E731
            check("and is not pushed", wait_for(failed, pause=0.02))
        told = socket.data(until=lambda event: event["task"]["status"] == "running")
        check("with its rights back, the change is pushed", told, socket.heard)


def without_calls_of_api(user):
    with without(user, "ApiRole", "calls"):
        for path in ("/ready", "/api/tasks"):
            response = user.reader.get(path)
            check(f"GET {path}: 503", response.status == 503, response)
    response = user.reader.get("/api/tasks")
    check("with its rights back: 200", response.status == 200, response)


def unused(pairs, seen):
    """The pairs of action and resource that no seen one matches."""
    for action, resource in pairs:
        if not any(a == action and fnmatch.fnmatchcase(r, resource) for a, r in seen):
            yield action, resource


def operations(account, program):
    """The operations of AWS that a program holds: those that nothing calls are not linked."""
    content = program.read_bytes()
    for target, service in TARGETS.items():
        names = sorted(account.client(service).meta.service_model.operation_names, key=len, reverse=True)
        for name in set(re.findall(rf"{target}\.({'|'.join(names)})".encode(), content)):
            yield f"{service}:{name.decode()}"


def check_programs(account, stack, seen):
    """A request that a program could make, and no step makes, may lack its right."""
    for program, bootstrap in bootstraps(account.folder / "build").items():
        roles = {function.replace("Function", "Role") for function, made_of in PROGRAMS.items() if made_of == program}
        names = {stack.resources[role] for role in roles}
        used = {action for who, action, _ in seen if who in names}
        used |= {action for who, action in UNUSED if who in roles} | {"dynamodb:TransactWriteItems"}
        held = set(operations(account, bootstrap))
        check(f"{program}: a step makes each of its {len(held)} kinds of requests", held and held <= used, held - used)


def check_used(account, stack):
    seen = {right for right, is_allowed in account.rights_seen() if is_allowed}
    roles = {name: stack.resources[name] for name, kind in stack.types.items() if kind == "AWS::IAM::Role"}
    for name, role in sorted(roles.items()):
        used = {(action, resource) for who, action, resource in seen if who == role}
        documents = policies(account, role)
        pairs = {pair for document in documents.values() for pair in allowed(document)}
        wide = {(a, r) for a, r in pairs if "*" in a or (r == "*" and a not in NO_ARN)}
        check(f"{name}: each of {len(pairs)} rights is of one action, on what AWS lets name", not wide, wide)
        reasons = {action for who, action in UNUSED if who == name}
        left = {(a, r) for a, r in unused(pairs, used) if not reasons & {a, "*"}}
        check(f"{name}: each right was used, or has a reason", not left, left)
        needless = {a for a in reasons - {"*"} if any(action == a for action, _ in used)}
        check(f"{name}: no right with a reason was used", not needless, needless)
    check_programs(account, stack, seen)


def check_endpoints(account, stack, *services):
    """The VPC has endpoints of these services. Each lets through what roles allow for its service, and nothing else."""
    documents = [policies(account, stack.resources[role])["calls"] for role in ("ApiRole", "CollectorRole")]
    calls = {pair for document in documents for pair in allowed(document)}
    endpoints = account.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    found = sorted(endpoint["ServiceName"].rsplit(".", 1)[1] for endpoint in endpoints)
    check(f"the VPC has endpoints of {', '.join(services)}", found == sorted(services), found)
    for endpoint in endpoints:
        service = endpoint["ServiceName"].rsplit(".", 1)[1]
        document = endpoint["PolicyDocument"]
        through = set(allowed(json.loads(document) if isinstance(document, str) else document))
        wanted = {pair for pair in calls if pair[0].startswith(f"{service}:")}
        # An endpoint's policy has one list of actions and one of resources; the roles say which go together.
        for part, kind in enumerate(("actions", "resources")):
            has, needs = {pair[part] for pair in through}, {pair[part] for pair in wanted}
            check(f"the endpoint of {service} has the {kind} of roles", has == needs, has ^ needs)
