"""An account of AWS on this machine: the emulator in scripts/emulator, with IAM enforced, and what people do with it."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import transform
from common import ROOT, Failure

import boto3
from botocore.config import Config
from samcli.yamlhelper import yaml_dump, yaml_parse

PROGRAMS = {
    "ApiFunction": "api-lambda",
    "PushAuthorizerFunction": "api-lambda",
    "CollectorFunction": "progress-collector",
    "BusPublisherFunction": "progress-collector",
    "PushPublisherFunction": "progress-collector",
}
SECRET = "miyabi-progress/tokens"


def wait_for(what, seconds=30, pause=0.05):
    """The first true answer of `what`, or its last one."""
    limit = time.monotonic() + seconds
    while not (answer := what()) and time.monotonic() < limit:
        time.sleep(pause)
    return answer


def prepare(programs, build):
    """Leaves in `build` what `sam build` would: the template, and a folder with the bootstrap of each program."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for program in set(PROGRAMS.values()):
        (build / program).mkdir(parents=True)
        bootstrap = build / program / "bootstrap"
        shutil.copy(programs / program, bootstrap)
        # With their debug information, the programs are larger than Lambda takes.
        subprocess.run(["strip", bootstrap], check=True)
    for function, program in PROGRAMS.items():
        template["Resources"][function]["Properties"]["CodeUri"] = program
    (build / "template.yaml").write_text(yaml_dump(template))


def bootstraps(build):
    """The bootstrap of each program. `sam build` makes one folder for all functions of a program."""
    resources = yaml_parse((build / "template.yaml").read_text())["Resources"]
    return {
        program: build / resources[function]["Properties"]["CodeUri"] / "bootstrap" for function, program in PROGRAMS.items()
    }


class Account:
    def __init__(self, python, folder, runner="", endpoints=()):
        """`python` has ministack. `runner` starts programs of another processor, such as qemu. `endpoints` are those of
        services that functions request and ministack lacks, by the variable that names each."""
        self.folder, self.environment = folder, {}
        self.template = folder / "build" / "template.yaml"
        self.log, self.rights_log = folder / "emulator.log", folder / "rights.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        aws = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": transform.REGION,
        }
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.2", **aws}
        (folder / "tmp").mkdir()
        environment = {
            **self.environment,
            "TMPDIR": str(folder / "tmp"),
            "AUTH": "true",  # IAM is enforced, and signatures are checked
            "LAMBDA_EXECUTOR": "local",
            "LAMBDA_STRICT": "0",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
            # The hosts as AWS names them. The functions' requests go to the emulator in any case.
            "APPSYNC_EVENTS_HTTP_HOST_TEMPLATE": "{api_id}.appsync-api.{region}.amazonaws.com",
            "APPSYNC_EVENTS_REALTIME_HOST_TEMPLATE": "{api_id}.appsync-realtime-api.{region}.amazonaws.com",
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": transform.REGION,
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "RIGHTS_LOG": str(self.rights_log),
            "CACHE_FOLDER": str(folder / "caches"),
            "BOOTSTRAP_RUNNER": runner,
            # Functions inherit the rest.
            **dict(endpoints),
            "AWS_ENDPOINT_URL_APPSYNC": self.endpoint,
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "REDIS_CA_CERT": str(folder / "caches" / "authority.pem"),
        }
        with open(self.log, "wb") as log:
            command = [python, ROOT / "scripts" / "emulator"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.clients = {}
        if not wait_for(self._runs, 120):
            raise Failure(f"the emulator did not start: {self.log.read_text()[-2000:]}")

    def _runs(self):
        if self.process.poll() is not None:
            raise Failure(f"the emulator ended: {self.log.read_text()[-2000:]}")
        try:
            return urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def client(self, service):
        if service not in self.clients:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            config = Config(retries={"total_max_attempts": 1})
            self.clients[service] = boto3.client(service, endpoint_url=self.endpoint, config=config, **keys)
        return self.clients[service]

    def create_secret(self):
        """The secret of tokens, as docs/deploy.md makes it: its ARN, its version id and its text."""
        text = os.urandom(36).hex()
        made = self.client("secretsmanager").create_secret(Name=SECRET, SecretString=text)
        return made["ARN"], made["VersionId"], text

    def sam(self, *command):
        done = subprocess.run(["sam", *command], env=self.environment, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in self.log.read_text().splitlines() if " ERROR " in line]
            raise Failure("\n".join([f"sam {command[0]} succeeds. It printed:", done.stderr, *errors[-5:]]))
        return done.stdout

    def deploy(self, stack, parameters):
        self.sam(
            "deploy", "--template-file", self.template, "--stack-name", stack, "--resolve-s3",
            "--s3-prefix", stack, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar",
            "--parameter-overrides", *(f'{name}="{value}"' for name, value in parameters.items()),
        )  # fmt: skip
        # With the addresses of the uploaded programs, so that sam packs them only once.
        self.template = self.folder / "deployed.yaml"
        body = self.client("cloudformation").get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
        self.template.write_text(body if isinstance(body, str) else yaml_dump(body))
        return Stack(self, stack)

    def delete(self, stack):
        self.sam("delete", "--stack-name", stack, "--no-prompts", "--region", transform.REGION)

    def rights_seen(self):
        """What roles were checked for: (role, action, resource), and whether it was allowed."""
        for line in self.rights_log.read_text().splitlines():
            role, action, rest = line.split(" ", 2)
            resource, decision = rest.rsplit(" ", 1)
            yield (role, action, resource), decision == "Allow"


class Stack:
    """A deployed stack: its outputs, and its resources by their logical ids."""

    def __init__(self, account, name):
        self.account, self.name = account, name
        cloudformation = account.client("cloudformation")
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        self.status = described["StackStatus"]
        self.parameters = {p["ParameterKey"]: p["ParameterValue"] for p in described["Parameters"]}
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        summaries = [summary for page in pages for summary in page["StackResourceSummaries"]]
        self.resources = {s["LogicalResourceId"]: s.get("PhysicalResourceId") for s in summaries}
        self.types = {s["LogicalResourceId"]: s["ResourceType"] for s in summaries}
        functions = [name.removesuffix("Function") for name in PROGRAMS if name in self.resources]
        self.versions = {function: int(self.live(function)["Version"]) for function in functions}

    def live(self, function):
        """The configuration of the version that the alias serves."""
        name = self.resources[f"{function}Function"]
        return self.account.client("lambda").get_function_configuration(FunctionName=f"{name}:live")

    def invoke(self, event):
        """What the collector answers to an event."""
        name = f"{self.outputs['CollectorFunctionName']}:live"
        done = self.account.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        answer = json.loads(done["Payload"].read())
        if "FunctionError" in done:
            raise Failure(f"expected: the collector handles {event}. It answers {answer}")
        return answer

    def put_lines(self, group, stream, lines):
        """Writes lines that were just printed, as an agent of CloudWatch does."""
        logs = self.account.client("logs")
        try:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        except logs.exceptions.ResourceAlreadyExistsException:
            pass
        start = int(time.time() * 1000) - 1000 * len(lines)
        events = [{"timestamp": start + 1000 * i, "message": line} for i, line in enumerate(lines) if line]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def log_of(self, function):
        """The lines that a function has logged."""
        pages = self.account.client("logs").get_paginator("filter_log_events")
        group = f"/aws/lambda/{self.name}-{function}"
        return [event["message"] for page in pages.paginate(logGroupName=group) for event in page["events"]]

    def failures(self):
        """The messages of the failure queue."""
        sqs = self.account.client("sqs")
        answer = sqs.receive_message(QueueUrl=self.outputs["FailureQueueUrl"], MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]
