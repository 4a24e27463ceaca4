"""The hook of the collector's rollout. The emulator has no CodeDeploy, so this invokes the deployed hook as CodeDeploy does,
and takes its answer.

https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
"""

import http.server
import json
import threading

from common import check


class Rollouts:
    def __init__(self):
        answers = self.answers = []

        class CodeDeploy(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answers.append((self.headers["x-amz-target"], body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CodeDeploy)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoints = {"AWS_ENDPOINT_URL_CODEDEPLOY": f"http://127.0.0.1:{self.server.server_port}"}

    def check_hook(self, user, status):
        """What the hook answers before traffic moves."""
        self.answers.clear()
        event = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": f"hook-{status}"}
        client, name = user.stack.account.client("lambda"), user.stack.resources["RolloutHook"]
        version = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]["COLLECTOR_VERSION"]
        tried = int(version.rsplit(":", 1)[1])
        check("the hook of a rollout tries the version that is deployed", tried == user.stack.versions["Collector"], version)
        done = client.invoke(FunctionName=name, Payload=json.dumps(event))
        log = done["Payload"].read()
        answer = {
            "deploymentId": event["DeploymentId"],
            "lifecycleEventHookExecutionId": event["LifecycleEventHookExecutionId"],
            "status": status,
        }
        expected = [("CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus", answer)]
        check(f"and answers {status}", self.answers == expected, (self.answers, log))
