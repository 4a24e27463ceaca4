"""What people do with a deployed stack. Each function is a step of whole_stack.py, and fails with what it expected."""

import collections
import gzip
import json
import time
import urllib.parse
import urllib.request

from account import wait_for
from api_client import Api, base_of, signed_token
from common import ROOT, check

# A bucket of the account, which sends events to EventBridge.
BUCKET = "stored-logs"
SAMPLES = ROOT / "local" / "samples"
# A deploy that has begun, and that no line ends.
BEGUN = ["Q: deploying... [1/1]", "Q | 3/9 | 10:00:03 AM | CREATE_COMPLETE | AWS::SQS::Queue | Jobs (Jobs1A2B)"]


class User:
    """Someone who knows the secret of tokens."""

    def __init__(self, stack, secret):
        self.stack, base = stack, base_of(stack)
        self.anyone = Api(base)
        self.stranger = Api(base, signed_token("x" * 64, "progress:read"))
        self.reader = Api(base, signed_token(secret, "progress:read"))
        self.write_only = Api(base, signed_token(secret, "progress:write"))
        self.writer = Api(base, signed_token(secret, "progress:read", "progress:write", "progress:logs"))

    def task(self, name, until=lambda task: True, seconds=30):
        """A task, when it is there and as `until` wants it; else what the API last said."""
        last = None

        def look():
            nonlocal last
            last = self.reader.get(f"/api/tasks/{name}")
            return last if last.status == 200 and until(last.json()) else None

        found = wait_for(look, seconds)
        return found.json() if found else f"after {seconds} s: {last}"

    def push(self, kind, stream, lines):
        self.stack.put_lines(self.stack.outputs[f"{kind}LogGroupName"], stream, lines)


def is_task(task):
    return isinstance(task, dict)


def routes(user):
    """Open and closed routes, through API Gateway."""
    health = wait_for(lambda: (r := user.anyone.get("/health")).status == 200 and r)
    check("GET /health needs no token", health, user.anyone.get("/health"))
    page = user.anyone.get("/", accept="text/html")
    check("GET / is the dashboard", page.status == 200 and b"<html" in page.body.lower(), page)
    text = page.body.decode()
    assets = [part.split('"')[0] for mark in ('src="', 'href="') for part in text.split(mark)[1:]]
    assets = [f"/{path}" for path in assets if path.startswith("assets/")]
    check("it names its files", assets, text[:300])
    for path in assets:
        check(f"GET {path}", user.anyone.get(path).status == 200, user.anyone.get(path))
    check("GET /openapi.json", user.anyone.get("/openapi.json").json()["openapi"].startswith("3.1"))
    for who, api in (("without a token", user.anyone), ("with a token of another secret", user.stranger)):
        response = api.get("/api/tasks")
        check(f"{who}: 401", response.status == 401, response)
    refused = user.reader("POST", "/api/tasks", {"task_id": "no", "task_name": "No", "task_type": "build"})
    check("a token to read may not write: 403", refused.status == 403, refused)


def ready(user, redis):
    """/ready, with the state of Redis."""
    last = None

    def look():
        nonlocal last
        last = user.reader.get("/ready")
        return last.status == 200 and last.json()["redis"]["status"] == redis

    check(f"GET /ready: DynamoDB is ok, Redis is {redis}", wait_for(look), last)


class Bus:
    """A queue behind a rule of EventBridge that takes the events of tasks."""

    def __init__(self, account):
        self.sqs, self.heard = account.client("sqs"), []
        self.queue = self.sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events = account.client("events")
        events.put_rule(Name="heard", EventPattern=json.dumps({"source": ["miyabi-progress"]}))
        events.put_targets(Rule="heard", Targets=[{"Id": "queue", "Arn": arn}])
        self.remove = lambda: (
            events.remove_targets(Rule="heard", Ids=["queue"]),
            events.delete_rule(Name="heard"),
            self.sqs.delete_queue(QueueUrl=self.queue),
        )

    def count(self):
        """How often each kind of event was heard of each task so far."""
        while messages := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.heard.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return collections.Counter((event["detail-type"], event["detail"]["task"]["task_id"]) for event in self.heard)

    def check_once(self, kind, task):
        wait_for(lambda: self.count()[kind, task])
        check(f"the bus gets {kind!r} of {task} once", self.count()[kind, task] == 1, self.count())
        ids = [event["detail"]["event_id"] for event in self.heard]
        check("each event has an id of its own", len(ids) == len(set(ids)), ids)


def cdk_log(user, bus):
    """Lines of a real CDK log: subscription, collector, DynamoDB, API, stream, event bus."""
    lines = (SAMPLES / "shop-deploy.log").read_text().splitlines()
    half = len(lines) // 2
    user.push("Cdk", "shop-deploy", lines[:half])
    task = user.task("cdk:shop-deploy")
    check("half of a log is a running task", is_task(task) and task["status"] == "running", task)
    user.push("Cdk", "shop-deploy", lines[half:])
    task = user.task("cdk:shop-deploy", lambda task: task["status"] != "running")
    check("the whole log is a completed task", is_task(task) and task["status"] == "completed", task)
    history = user.reader.get("/api/tasks/cdk:shop-deploy/history")
    check("it has a history", history.status == 200 and history.json()["history"], history)
    listed = user.reader.get("/api/tasks?status=completed").json()["tasks"]
    check("a list by status has it", "cdk:shop-deploy" in {task["task_id"] for task in listed}, listed)
    bus.check_once("Task Completed", "cdk:shop-deploy")
    check_end_of_log(user, "cdk:shop-deploy", lines)


def check_end_of_log(user, task, lines):
    """The API reads the last lines of a task from its log group."""
    last = [line for line in lines if line.strip()][-1]
    path = f"/api/tasks/{task}/log"
    refused = user.reader.get(path)
    check("the last lines need the scope progress:logs", refused.status == 403, refused)
    log = user.writer.get(path)
    texts = [one["text"] for one in log.json()["lines"]] if log.status == 200 else []
    check(f"the last lines of {task} are those of its log", last in texts, log)


def agent_log(user):
    lines = (SAMPLES / "coder-142.log").read_text().splitlines()
    user.push("Agent", "coder", lines)
    task = user.task("agent:coder", lambda task: task["status"] == "completed")
    check("an agent's log is a completed task", is_task(task) and task["task_type"] == "agent_execution", task)
    check_end_of_log(user, "agent:coder", lines)


def reports(user):
    """Messages of the queue, one of them twice and late."""
    sqs, queue = user.stack.account.client("sqs"), user.stack.outputs["ReportQueueUrl"]

    def send(current, **more):
        report = {"task_id": "queued", "status": "running", "progress": {"current": current, "total": 9}, **more}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(report))

    send(3)
    task = user.task("queued")
    check("a message of the queue is a task", is_task(task) and task["progress"]["current"] == 3, task)
    send(9, status="completed")
    task = user.task("queued", lambda task: task["status"] == "completed")
    check("and another one ends it", is_task(task) and task["progress"]["current"] == 9, task)
    attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = lambda: sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=attributes)["Attributes"]  # noqa: E731
    check("the queue is empty", wait_for(lambda: set(left().values()) == {"0"}), left())


def objects(user):
    """A log that is stored in the bucket, packed, under a name that is encoded in notifications."""
    lines = (SAMPLES / "shop-deploy.log").read_bytes()
    key = "builds/shop 7+1.log.gz"
    stored = user.stack.account.client("s3").put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(lines))
    stream = "builds/shop 7+1"

    def task():
        listed = user.reader.get("/api/tasks?limit=200").json()["tasks"]
        return next((one for one in listed if one.get("log_stream") == stream), None)

    found = wait_for(task)
    check("a stored log is a task", found and found["status"] == "completed", found)
    check("its log group is the bucket", found["log_group"] == f"s3://{BUCKET}", found)
    # The emulator's events name no version, as those of AWS do. This one does.
    named = {"key": urllib.parse.quote_plus(key), "size": len(lines), "versionId": stored["VersionId"]}
    notification = {"bucket": {"name": BUCKET}, "object": named}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": notification}
    again = user.stack.invoke({"Records": [record]})
    read = again["groups"][0]
    check("told of it again, the collector changes nothing", read["complete"] and not read["tasks_changed"], again)
    check("the task is as it was", task() == found, (task(), found))


def create_log_groups(account):
    """Log groups of others, and a list of them. One is in it twice."""
    for name in ("/theirs/ci", "/theirs/jobs"):
        account.client("logs").create_log_group(logGroupName=name)
    return "/theirs/ci=cdk,/theirs/jobs,/theirs/jobs=agent"


def named_log_groups(user):
    """Lines of log groups in LogGroups, with a hint and without."""
    for group, task_id in (("/theirs/ci", "cdk:named"), ("/theirs/jobs", "run:named")):
        user.stack.put_lines(group, "named", BEGUN)
        task = user.task(task_id)
        check(f"a line of {group} is the task {task_id}", is_task(task), task)
        check_end_of_log(user, task_id, BEGUN)
        filters = user.stack.account.client("logs").describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
        check(f"{group} has one subscription", len(filters) == 1, filters)


def latency(user):
    """How long it takes from a log line to the API's response."""
    waits = []
    for i in range(5):
        began = time.monotonic()
        user.push("Cdk", f"quick-{i}", BEGUN)
        task = user.task(f"cdk:quick-{i}")
        check(f"line {i}: from the log to the API", is_task(task), task)
        waits.append(time.monotonic() - began)
    print(f"    {sorted(waits)[len(waits) // 2] * 1000:.0f} ms on the emulator (median)")


def writes(user, bus):
    """POST, PATCH and DELETE of tasks and projects, and lines over HTTP."""
    body = {"task_id": "build-7", "task_name": "Nightly build", "task_type": "build"}
    made = user.writer("POST", "/api/tasks", body, idempotency_key="k-1")
    check("POST /api/tasks: 201", made.status == 201, made)
    again = user.writer("POST", "/api/tasks", body, idempotency_key="k-1")
    replayed = again.headers.get("idempotency-replayed") == "true"
    check("the same again: replayed", again.status == 201 and replayed, again)
    etag = user.reader.get("/api/tasks/build-7").headers["etag"]
    known = user.reader.get("/api/tasks/build-7", if_none_match=etag)
    check("GET with If-None-Match: 304", known.status == 304, known)
    patch = {"status": "running", "progress": {"current": 3, "total": 12}}
    changed = user.writer("PATCH", "/api/tasks/build-7", patch, if_match=etag)
    check("PATCH: 25 %", changed.status == 200 and changed.json()["progress"]["percentage"] == 25, changed)
    stale = user.writer("PATCH", "/api/tasks/build-7", {"status": "failed"}, if_match=etag)
    check("PATCH with a stale If-Match: 412", stale.status == 412, stale)
    failed = user.writer("PATCH", "/api/tasks/build-7", {"status": "failed", "message": "no disk"})
    check("PATCH to failed", failed.status == 200, failed)
    bus.check_once("Task Failed", "build-7")
    removed = user.writer("DELETE", "/api/tasks/build-7")
    check("DELETE: 204", removed.status == 204, removed)
    check("then GET: 404", user.reader.get("/api/tasks/build-7").status == 404, user.reader.get("/api/tasks/build-7"))
    project = {"project_id": "shop", "project_name": "Shop", "match": ["Shop", "Q"]}
    made = user.writer("POST", "/api/projects", project)
    check("POST /api/projects: 201", made.status == 201, made)
    seen = user.reader.get("/api/projects/shop")
    check("GET of the project", seen.status == 200, seen)
    overview = user.reader.get("/api/overview")
    check("GET /api/overview", overview.status == 200, overview)


def window(user):
    """A window of a log group, read again."""
    group = user.stack.outputs["CdkLogGroupName"]
    now = int(time.time() * 1000)
    summary = user.stack.invoke({"log_group": group, "start_time": now - 3_600_000, "end_time": now})
    read = summary["groups"][0]
    check(f"a window of {read['events']} events is read whole", read["complete"] and read["events"] > 100, summary)
    return read


def unsubscribe(user, kind, stream):
    """Removes a subscription and writes a line, which only a sweep can find. A function that puts it back."""
    logs, group = user.stack.account.client("logs"), user.stack.outputs[f"{kind}LogGroupName"]
    (found,) = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    check("the subscription invokes the alias", found["destinationArn"].endswith(":live"), found)
    logs.delete_subscription_filter(logGroupName=group, filterName=found["filterName"])
    user.push(kind, stream, BEGUN)
    kept = {key: found[key] for key in ("logGroupName", "filterName", "filterPattern", "destinationArn")}
    return lambda: logs.put_subscription_filter(**kept)


def expiry(user):
    """A run whose time is over: what DynamoDB removes is taken out of the metrics."""
    dynamodb, table = user.stack.account.client("dynamodb"), user.stack.outputs["TaskRunsTableName"]
    body = {"task_id": "old", "task_name": "Old", "task_type": "build", "project_id": "shop"}
    made = user.writer("POST", "/api/tasks", body)
    check("a task of the project is made", made.status == 201, made)
    total = lambda: user.reader.get("/api/projects/shop").json()["metrics"]["total_tasks"]  # noqa: E731
    before = total()
    keys = {"KeyConditionExpression": "task_id = :id", "ExpressionAttributeValues": {":id": {"S": "old"}}}
    for item in dynamodb.query(TableName=table, **keys)["Items"]:
        dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("task_id", "timestamp")})
    check("its items are removed, and it is not counted any more", wait_for(lambda: total() == before - 1), total())


def objects_of(user, function):
    """The JSON lines that a function has logged."""
    return [json.loads(line) for line in user.stack.log_of(function) if line.startswith("{")]


def counted(user, function, metric):
    """The sum of a metric that a function has logged."""
    return sum(line.get(metric, 0) for line in objects_of(user, function) if "_aws" in line)


def metrics_of(user, function):
    """The names of the metrics that a function has logged, and their dimensions."""
    directives = [d for line in objects_of(user, function) for d in line.get("_aws", {}).get("CloudWatchMetrics", [])]
    names = {metric["Name"] for directive in directives for metric in directive["Metrics"]}
    return names, {name for directive in directives for dimensions in directive["Dimensions"] for name in dimensions}


def basic_metrics(user):
    """With Monitoring=basic, there is one metric of all log groups together, while nothing fails."""
    for function, metrics in (("collector", {"CollectorLagMs"}), ("bus-publisher", set()), ("push-publisher", set())):
        found = metrics_of(user, function)
        expected = (metrics, {"Service"} if metrics else set())
        check(f"{function} writes the metrics {sorted(metrics)}", found == expected, found)


def logs_and_metrics(user):
    """The functions' logs are JSON, with metrics in them."""
    for function, metrics in (
        ("collector", {"EventsRead", "TasksUpdated"}),
        ("bus-publisher", {"EventsSent"}),
        ("push-publisher", {"MessagesPushed"}),
        ("push-authorizer", set()),
    ):
        lines = user.stack.log_of(function)
        other = [line for line in lines if not line.startswith(("{", "START ", "END ", "REPORT "))]
        check(f"the log of {function} has {len(lines)} lines, each JSON", lines and not other, other[:2])
        names, _ = metrics_of(user, function)
        check("metrics are in it", metrics <= names, names)
        problems = [line for line in lines if '"level":"ERROR"' in line or '"level":"WARN"' in line]
        # The stack names no issuer and no audience, of which the authorizer warns as the API does.
        problems = [line for line in problems if " is not set: tokens " not in line]
        check("no warnings are in it", not problems, problems[:3])
    check("nothing was given up", not user.stack.failures(), user.stack.failures())


def with_cache(user, kind):
    """A task through the cache, with the password and the rights that the template gives."""
    name = f"cached-{kind}"
    user.push("Cdk", name, BEGUN)
    task = user.task(f"cdk:{name}")
    check("a line is a task", is_task(task), task)
    check("the collector's writes reach the cache", window(user)["cache_errors"] == 0)
    check_end_of_log(user, f"cdk:{name}", BEGUN)
    timing = lambda: user.reader.get("/api/tasks").headers["server-timing"]  # noqa: E731
    from_cache = wait_for(lambda: "cache;" in (last := timing()) and "store" not in last, 10)
    check("a list comes from the cache", from_cache, timing())


class Cognito:
    """A user pool, whose tokens API Gateway checks: the first way of docs/deploy.md."""

    def __init__(self, account):
        self.account, self.idp = account, account.client("cognito-idp")
        self.pool = self.idp.create_user_pool(PoolName="progress")["UserPool"]["Id"]
        # Cognito puts the identifier before each scope.
        scopes = [{"ScopeName": f"progress:{name}", "ScopeDescription": name} for name in ("read", "write", "logs")]
        self.idp.create_resource_server(UserPoolId=self.pool, Identifier="miyabi", Name="miyabi", Scopes=scopes)
        self.idp.create_user_pool_domain(Domain="progress", UserPoolId=self.pool)
        self.app = self.idp.create_user_pool_client(
            UserPoolId=self.pool,
            ClientName="ci",
            GenerateSecret=True,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=["miyabi/progress:read", "miyabi/progress:write"],
        )["UserPoolClient"]

    def parameters(self):
        return {
            "AuthAtGateway": "true",
            "AuthIssuer": f"https://cognito-idp.us-east-1.amazonaws.com/{self.pool}",
            "AuthAudience": self.app["ClientId"],
            "AuthScopePrefix": "miyabi/",
            "CorsAllowedOrigins": "https://example.org",
        }

    def token(self, *scopes):
        form = {"grant_type": "client_credentials", "scope": " ".join(scopes), "client_id": self.app["ClientId"]}
        request = urllib.request.Request(
            f"{self.account.endpoint}/oauth2/token",
            urllib.parse.urlencode(form | {"client_secret": self.app["ClientSecret"]}).encode(),
            {"content-type": "application/x-www-form-urlencoded"},
        )
        return json.loads(urllib.request.urlopen(request, timeout=30).read())["access_token"]

    def use(self, stack):
        base = base_of(stack)
        anyone = Api(base)
        reader = Api(base, self.token("miyabi/progress:read"))
        writer = Api(base, self.token("miyabi/progress:read", "miyabi/progress:write"))
        check("the dashboard needs no token", anyone.get("/").status == 200, anyone.get("/"))
        check("without a token: 401", anyone.get("/api/tasks").status == 401, anyone.get("/api/tasks"))
        listed = wait_for(lambda: (r := reader.get("/api/tasks")).status == 200 and r)
        check("Cognito's token with miyabi/progress:read may read", listed, reader.get("/api/tasks"))
        body = {"task_id": "cognito", "task_name": "Cognito", "task_type": "build"}
        refused, made = reader("POST", "/api/tasks", body), writer("POST", "/api/tasks", body)
        check("and may not write: 403", refused.status == 403, refused)
        check("one with miyabi/progress:write may write", made.status == 201, made)
        # The function has no keys, so it can't check the tokens of subscribers.
        place = reader.get("/api/push")
        check("GET /api/push: there is no live push", place.status == 200 and place.json()["url"] is None, place)
        apis = self.account.client("appsync").list_apis()["apis"]
        check("and no API of AppSync Events", not apis, apis)

    def remove(self):
        self.idp.delete_user_pool_domain(Domain="progress", UserPoolId=self.pool)
        self.idp.delete_user_pool(UserPoolId=self.pool)
