"""Deploys template.yaml to an emulator of AWS with the real `sam deploy`, and uses, changes and deletes the stack.

    whole_stack.py --ministack PYTHON (--programs FOLDER | --built FOLDER) [--runner COMMAND] [--write-tables]

PYTHON has ministack. --programs has both built programs, --built is what `sam build` made. --runner "qemu-aarch64 -L
/usr/aarch64-linux-gnu" runs programs of another processor. --write-tables writes shared/test_data/tables.json. A step that fails says what it expected. The folder with all logs
is then kept.
"""

import argparse
import contextlib
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

import account
import push_conformance as conformance
import push_use as push
import rights
import rollouts
import stack_use as use
import tables
from account import wait_for
from common import ROOT, Failure, check

NAME = "progress"
BEGAN = time.monotonic()


@contextlib.contextmanager
def step(name):
    print(f"-- {name} ({time.monotonic() - BEGAN:.0f}s)", flush=True)
    try:
        yield
    except Failure as failure:
        raise Failure(f"step {name!r} failed\nexpected: {str(failure).removeprefix('not so: ')}") from failure
    except Exception as error:
        raise Failure(f"step {name!r} failed\nexpected: no {type(error).__name__}: {error}") from error


def everything(aws):
    """What is in the account, by service."""
    kinds = {
        "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "tables": ("dynamodb", "list_tables", "TableNames", None),
        "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
        "event source mappings": ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
        "roles": ("iam", "list_roles", "Roles", "RoleName"),
        "schedules": ("scheduler", "list_schedules", "Schedules", "Name"),
        "APIs": ("apigatewayv2", "get_apis", "Items", "ApiId"),
        "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        "queues": ("sqs", "list_queues", "QueueUrls", None),
        "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
        "applications": ("appconfig", "list_applications", "Items", "Id"),
        "event APIs": ("appsync", "list_apis", "apis", "apiId"),
        "caches": ("elasticache", "describe_replication_groups", "ReplicationGroups", "ReplicationGroupId"),
        "users of caches": ("elasticache", "describe_users", "Users", "UserId"),
        "groups of users": ("elasticache", "describe_user_groups", "UserGroups", "UserGroupId"),
        "subnets of caches": ("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups", "CacheSubnetGroupName"),
        "VPCs": ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
        "subnets": ("ec2", "describe_subnets", "Subnets", "SubnetId"),
        "security groups": ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
        "endpoints": ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
        "gateways": ("ec2", "describe_egress_only_internet_gateways", "EgressOnlyInternetGateways", "EgressOnlyInternetGatewayId"),
        "route tables": ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    }
    for kind, (service, operation, key, name) in kinds.items():
        for item in getattr(aws.client(service), operation)().get(key, []):
            yield kind, item[name] if name else item


def check_nothing_left(aws, before):
    left = set(everything(aws)) - before
    check("nothing is left of the stack", not left, left)
    check("no cache is left", wait_for(lambda: not list(caches_of(aws))), list(caches_of(aws)))


def caches_of(aws):
    """The servers of caches that run, by their folder: each names itself otherwise than it was started."""
    for folder in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        try:
            if aws.folder in folder.readlink().parents and "redis-server" in (folder.parent / "comm").read_text():
                yield folder.parent.name
        except OSError:
            pass  # it has ended


def check_change(stack, before, **values):
    """The aliases serve new versions, which have the parameters' values."""
    for function, version in stack.versions.items():
        old = before.versions[function]
        check(f"{function}: the alias serves a later version than {old}", version > old, version)
        variables = stack.live(function)["Environment"]["Variables"]
        for name, value in values.items():
            # The publishers have no cache.
            if name in variables or function in ("Api", "Collector"):
                check(f"{function}: {name} is {value}", variables.get(name) == value, variables)


def check_docs():
    """docs/deploy.md names the types of CloudFormation that the emulator has only by its mends."""
    source = (ROOT / "scripts" / "emulator" / "cloudformation.py").read_text()
    mended = set(re.findall(r'absent\(types, "(AWS::\w+::\w+)"\)', source))
    named = set(re.findall(r"`(AWS::\w+::\w+)`", (ROOT / "docs" / "deploy.md").read_text()))
    check("docs/deploy.md names the types that are mended", mended and mended == named, mended ^ named)


def prove(aws, secret_of_tokens, hooks, write_tables):
    arn, version, secret = secret_of_tokens
    base = {"Stage": "dev", "AuthSecretArn": arn, "AuthSecretVersion": version, "EventBusName": "default"}
    base |= {"ReportQueue": "standard", "LogBucketName": use.BUCKET}
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=use.BUCKET)
    # Reading a version is a right of its own.
    s3.put_bucket_versioning(Bucket=use.BUCKET, VersioningConfiguration={"Status": "Enabled"})
    to_eventbridge = {"EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(Bucket=use.BUCKET, NotificationConfiguration=to_eventbridge)
    base["LogGroups"] = use.create_log_groups(aws)
    before = set(everything(aws))
    with step("deploy: CacheMode=none"):
        stack = aws.deploy(NAME, base | {"CacheMode": "none"})
        check(f"the stack is complete: {len(stack.resources)} resources", stack.status == "CREATE_COMPLETE", stack.status)
        tables.check_tables(stack, write_tables)
    user = use.User(stack, secret)
    bus = use.Bus(aws)
    with step("routes through API Gateway"):
        use.routes(user)
        use.ready(user, "disabled")
    with step("an agent's log"):
        use.agent_log(user)
    with step("log groups that were there before"):
        use.named_log_groups(user)
    # It sweeps, so that it would find the next step's line before the schedule does.
    with step("the hook of a rollout"):
        hooks.check_hook(user, "Succeeded")
    with step("a log group without its subscription"):
        subscribe_again = use.unsubscribe(user, "Agent", "unpushed")
    with step("a CDK log: subscription, stream, event bus"):
        use.cdk_log(user, bus)
        use.latency(user)
    with step("messages of a queue"):
        use.reports(user)
    with step("an object of a bucket"):
        use.objects(user)
    with step("requests that write"):
        use.writes(user, bus)
    with step("a run expires"):
        use.expiry(user)
    with step("live push: the protocol of AppSync Events"):
        conformance.conform(push.DeployedPush(user))
    with step("live push: changes reach a subscriber"):
        push.changes(user)
    with step("a window of a log group, read again"):
        use.window(user)
    with step("rights taken away: of the API"):
        rights.check_none_denied(aws)
        rights.without_calls_of_api(user)
    with step("metrics of Monitoring=basic"):
        use.basic_metrics(user)
    with step("parameters changed: CacheMode=node, VpcEgress=endpoints, LogLevel=debug"):
        changed = aws.deploy(NAME, base | {"CacheMode": "node", "VpcEgress": "endpoints", "LogLevel": "debug"})
        check_change(changed, stack, RUST_LOG="debug", REDIS_CLUSTER="false")
        user.stack = changed
        use.ready(user, "ok")
        use.with_cache(user, "node")
        rights.check_endpoints(aws, changed, "dynamodb", "logs", "s3")
    with step("parameters changed: CacheMode=serverless, VpcEgress=ipv6, Monitoring=full, LogLevel=info"):
        values = {"CacheMode": "serverless", "VpcEgress": "ipv6", "Monitoring": "full", "LogLevel": "info"}
        stack, changed = changed, aws.deploy(NAME, base | values)
        check_change(changed, stack, RUST_LOG="info", REDIS_CLUSTER="true")
        user.stack = changed
        use.ready(user, "ok")
        use.with_cache(user, "serverless")
    with step("the schedule: a sweep finds what no subscription delivered"):
        task = user.task("agent:unpushed", seconds=90)
        check("the line is a task", use.is_task(task), task)
        subscribe_again()
    with step("logs and metrics"):
        use.logs_and_metrics(user)
    with step("rights taken away: of the collector"):
        rights.check_none_denied(aws, "ApiRole")
        rights.without_calls_of_collector(user, hooks)
    with step("rights taken away: of the publishers"):
        rights.check_none_denied(aws, "ApiRole", "CollectorRole")
        rights.without_calls_of_bus_publisher(user, bus)
        rights.without_calls_of_push_publisher(user)
    with step("roles and endpoints allow what was used, and nothing else"):
        rights.check_used(aws, changed)
        rights.check_endpoints(aws, changed, "dynamodb", "s3")
    with step("parameters changed: CacheMode=none, tokens of Cognito checked by API Gateway"):
        cognito = use.Cognito(aws)
        keep = {key: value for key, value in base.items() if not key.startswith("Auth")}
        empty = {"AuthSecretArn": "", "AuthSecretVersion": ""}
        stack, changed = changed, aws.deploy(NAME, keep | empty | cognito.parameters() | {"CacheMode": "none"})
        check_change(changed, stack, REDIS_ENDPOINT="")
        cognito.use(changed)
        cognito.remove()
    with step("sam delete"):
        bus.remove()
        aws.delete(NAME)
        check_nothing_left(aws, before)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ministack", type=pathlib.Path, required=True)
    source = arguments.add_mutually_exclusive_group(required=True)
    source.add_argument("--programs", type=pathlib.Path)
    source.add_argument("--built", type=pathlib.Path)
    arguments.add_argument("--runner", default="")
    arguments.add_argument("--write-tables", action="store_true")
    arguments = arguments.parse_args()

    # A signal that ends this program ends the emulator, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="deploy-proof-"))
    if arguments.built:
        shutil.copytree(arguments.built, folder / "build")
    else:
        account.prepare(arguments.programs, folder / "build")
    aws = None
    try:
        with step("the emulator starts"):
            hooks = rollouts.Rollouts()
            aws = account.Account(arguments.ministack, folder, arguments.runner, hooks.endpoints)
            secret = aws.create_secret()
        prove(aws, secret, hooks, arguments.write_tables)
        with step("what is mended is documented"):
            check_docs()
    except Failure as failure:
        print(f"deploy-proof: {failure}\nall logs: {folder}", file=sys.stderr)
        return 1
    finally:
        if aws:
            aws.stop()
    shutil.rmtree(folder)
    print(f"   the whole stack took {time.monotonic() - BEGAN:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
