"""The services that the functions need, on this machine."""

import contextlib
import logging
import subprocess
import time

import transform  # noqa: F401 - first: it sets what boto3 needs
from common import Failure
from functions import Function, Recorder

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server logs every request


class Services:
    """DynamoDB and Redis of `local services`; CloudWatch Logs and EventBridge of moto."""

    def __init__(self, local, invoke, folder):
        self.invoke, self.folder, self.functions = invoke, folder, []
        settings = folder / "local.env"
        command = [local, "services", "--env-file", settings, "--dynamodb-port", "0", "--redis-port", "0"]
        self.log = open(folder / "services.log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(200):
            if settings.exists() and settings.read_text().count("\n") > 5:
                break
            time.sleep(0.1)
        else:
            raise Failure(f"the services did not start: {open(self.log.name).read()}")
        self.environment = dict(line.split("=", 1) for line in settings.read_text().splitlines())

        self.moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.moto.start()
        url = "http://%s:%d" % self.moto.get_host_and_port()
        self.endpoints = {
            "AWS_ENDPOINT_URL_DYNAMODB": self.environment["AWS_ENDPOINT_URL_DYNAMODB"],
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": url,
            "AWS_ENDPOINT_URL_EVENTBRIDGE": url,
        }
        self.logs = boto3.client("logs", endpoint_url=url)
        for name in self.log_group_variables():
            # moto keeps its state as long as this process lives.
            with contextlib.suppress(self.logs.exceptions.ResourceAlreadyExistsException):
                self.logs.create_log_group(logGroupName=self.environment[name])

    def log_group_variables(self):
        """The variables with the log group of each log format."""
        return [name for name in self.environment if name.endswith("_LOG_GROUP_NAME")]

    def start(self, name, bootstrap):
        """Starts a function, whose requests to AWS go through a recorder of its own."""
        recorder = Recorder(self.endpoints)
        environment = {
            **self.environment,
            **recorder.environment,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }
        function = Function(self.invoke, [bootstrap], environment, self.folder / f"{name}.log")
        function.recorder = recorder
        self.functions.append(function)
        return function

    def stop(self):
        for function in self.functions:
            function.stop()
            function.recorder.stop()
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.moto.stop()
