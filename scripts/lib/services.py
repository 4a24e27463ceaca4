"""The services that the functions need, on this machine."""

import contextlib
import logging
import secrets
import socket
import subprocess
import time
import urllib.parse

import transform
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
        self.restrict_redis()

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

    def restrict_redis(self):
        """Gives Redis a password and the rights that the template gives the user of Valkey serverless."""
        rights = transform.transformed()["Resources"]["CacheUser"]["Properties"]["AccessString"]
        password = secrets.token_hex(16)
        words = ["ACL", "SETUSER", "default", "reset", f">{password}", *rights.split()]
        endpoint = urllib.parse.urlsplit(self.environment["REDIS_ENDPOINT"])
        with socket.create_connection((endpoint.hostname, endpoint.port)) as connection:
            for command in (["AUTH", endpoint.password], words):
                parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in command)
                connection.sendall(f"*{len(command)}\r\n{parts}".encode())
                answer = connection.recv(1024)
                if answer != b"+OK\r\n":
                    raise Failure(f"Redis rejects {command[0]}: {answer}")
        self.environment["REDIS_ENDPOINT"] = f"{endpoint.hostname}:{endpoint.port}"
        self.environment["REDIS_AUTH_TOKEN"] = password

    def put_log(self, group, stream, lines):
        """Writes lines that were just printed."""
        group = self.environment[group]
        self.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        now = int(time.time() * 1000) - 60_000
        events = [{"timestamp": now + i, "message": line} for i, line in enumerate(lines)]
        self.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def start(self, name, bootstrap, emulator=(), settings=()):
        """Starts a function, whose requests to AWS go through a recorder of its own."""
        recorder = Recorder(self.endpoints)
        environment = {
            **self.environment,
            **recorder.environment,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            **dict(settings),
        }
        function = Function(self.invoke, [*emulator, bootstrap], environment, self.folder / f"{name}.log")
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
