"""How other services invoke functions, and what Lambda does in the name of a function's role.

- CloudWatch Logs invokes the qualifier that a subscription names (ministack: $LATEST), if the function's policy allows
  it. It does so asynchronously: with the retries and the failure destination of that qualifier.
- API Gateway needs the function's permission, too.
- EventBridge and its Scheduler invoke functions asynchronously, too. The Scheduler needs the rights of the schedule's role.
- Logs, traces, failure destinations and network interfaces need the rights of the function's role.
- A bootstrap for another processor runs under the emulator that BOOTSTRAP_RUNNER names.
"""

import base64
import fnmatch
import gzip
import json
import logging
import os
import time

from mend import lacking
from ministack.core import responses
from ministack.services import apigateway, cloudwatch_logs, eventbridge, lambda_svc
from ministack.services.cloudformation import provisioners
from rights import role_may

log = logging.getLogger("mended")


# --------------------------------------------------------------------------------------- asynchronous invocations
def may_invoke(arn, service, source_arn):
    """Whether the function's policy for the qualifier in `arn` lets the service in."""
    name = arn.split(":function:")[1].split(":")[0]
    for statement in (lambda_svc._functions.get(name) or {}).get("policy", {}).get("Statement", []):
        condition = statement.get("Condition", {})
        source = condition.get("ArnLike", {}).get("AWS:SourceArn", "*")
        account = condition.get("StringEquals", {}).get("AWS:SourceAccount")
        if (
            statement["Effect"] == "Allow"
            and statement["Principal"] == {"Service": service}
            and statement["Resource"] == arn
            and fnmatch.fnmatchcase(source_arn, source)
            and account in (None, responses.get_account_id())
        ):
            return True
    return False


with_retry = lacking(lambda_svc, "invoke_async_with_retry", "qualifier")


def with_retry_as_configured(record, event):
    """With the configuration of the qualifier that was invoked. ministack takes $LATEST's."""
    arn = (record.get("config") or {}).get("FunctionArn", "")
    name, _, qualifier = arn.split(":function:")[-1].partition(":")
    configs = (lambda_svc._functions.get(name) or {}).get("event_invoke_configs") or {}
    with_retry(dict(record, event_invoke_config=configs.get(qualifier or "$LATEST")), event)


lambda_svc.invoke_async_with_retry = with_retry_as_configured


def invoke_async(arn, event):
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not function:
        log.warning("no function %s", name)
        return
    record = lambda_svc._execution_record_for_config(function, dict(config, FunctionArn=arn))
    lambda_svc.invoke_async_with_retry(record, event)


route_failure = lacking(lambda_svc, "_route_async_failure", "role")


def route_failure_if_allowed(target, name, event, result):
    role = lambda_svc._functions[name]["config"]["Role"]
    if role_may(role, "sqs:SendMessage", target):
        route_failure(target, name, event, result)


lambda_svc._route_async_failure = route_failure_if_allowed


# ----------------------------------------------------------------------------------------- subscriptions of logs
def log_group_arn(name):
    return f"arn:aws:logs:{responses.get_region()}:{responses.get_account_id()}:log-group:{name}:*"


put_filter = lacking(cloudwatch_logs, "_put_subscription_filter", "Could not execute the lambda function")


def put_filter_if_allowed(data):
    group, arn = data.get("logGroupName"), data.get("destinationArn", "")
    if ":function:" in arn and not may_invoke(arn, "logs.amazonaws.com", log_group_arn(group)):
        message = (
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute "
            "your function."
        )
        return responses.error_response_json("InvalidParameterException", message, 400)
    others = set(cloudwatch_logs._log_groups.get(group, {}).get("subscriptionFilters", {})) - {data.get("filterName")}
    if len(others) >= 2:
        return responses.error_response_json("LimitExceededException", "Resource limit exceeded.", 400)
    return put_filter(data)


cloudwatch_logs._put_subscription_filter = put_filter_if_allowed
lacking(cloudwatch_logs, "_fanout_to_subscription_filters", "invoke_async")


def deliver(group_name, stream_name, events):
    group = cloudwatch_logs._log_groups.get(group_name)
    for subscription in list(((group or {}).get("subscriptionFilters") or {}).values()):
        arn = subscription.get("destinationArn", "")
        name = arn.split(":function:")[-1].split(":")[0]
        if ":function:" not in arn or group_name == f"/aws/lambda/{name}":
            continue
        pattern = subscription.get("filterPattern", "")
        matched = [e for e in events if cloudwatch_logs._subscription_pattern_matches(pattern, e.get("message", ""))]
        if not matched or not may_invoke(arn, "logs.amazonaws.com", log_group_arn(group_name)):
            continue
        payload = {
            "messageType": "DATA_MESSAGE",
            "owner": responses.get_account_id(),
            "logGroup": group_name,
            "logStream": stream_name,
            "subscriptionFilters": [subscription.get("filterName", "")],
            "logEvents": [
                {"id": f"{time.time_ns():056d}", "timestamp": e.get("timestamp"), "message": e.get("message", "")}
                for e in matched
            ],
        }
        data = base64.b64encode(gzip.compress(json.dumps(payload).encode())).decode()
        invoke_async(arn, {"awslogs": {"data": data}})


cloudwatch_logs._fanout_to_subscription_filters = deliver

# ---------------------------------------------------------------------------------------------------- API Gateway
proxy = lacking(apigateway, "_invoke_lambda_proxy", "permission")


async def proxy_if_allowed(integration, api, stage, path, method, *args, **kwargs):
    source = f"arn:aws:execute-api:{responses.get_region()}:{responses.get_account_id()}:{api}/{stage}/{method}{path}"
    arn = apigateway._extract_lambda_ref_from_integration_uri(integration.get("integrationUri", ""))
    if not may_invoke(arn, "apigateway.amazonaws.com", source):
        return 500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'
    return await proxy(integration, api, stage, path, method, *args, **kwargs)


apigateway._invoke_lambda_proxy = proxy_if_allowed

# ---------------------------------------------------------------------------------------------------- EventBridge
invoke_target = lacking(eventbridge, "_invoke_target", "RoleArn")
lacking(eventbridge, "_dispatch_to_lambda", "invoke_async")


def invoke_target_if_allowed(target, event, rule, *view):
    arn, role = target.get("Arn", ""), target.get("RoleArn")
    if role and ":function:" in arn and not role_may(role, "lambda:InvokeFunction", arn):
        log.warning("%s may not invoke %s", role, arn)
        return
    invoke_target(target, event, rule, *view)


def dispatch_to_lambda(arn, payload):
    try:
        event = json.loads(payload)
    except (json.JSONDecodeError, TypeError):
        event = {"body": payload}
    invoke_async(arn, event)


eventbridge._invoke_target = invoke_target_if_allowed
eventbridge._dispatch_to_lambda = dispatch_to_lambda

# ------------------------------------------------------------------------------- in the name of a function's role
emit_logs = lacking(lambda_svc, "_emit_lambda_logs", "Role")


def emit_logs_if_allowed(function, *args, **kwargs):
    config = function.get("config") or function
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    actions = ("logs:CreateLogStream", "logs:PutLogEvents")
    if all(role_may(config["Role"], action, log_group_arn(group)) for action in actions):
        emit_logs(function, *args, **kwargs)
    if (config.get("TracingConfig") or {}).get("Mode") == "Active":
        for action in ("xray:PutTelemetryRecords", "xray:PutTraceSegments"):
            role_may(config["Role"], action, "*")


lambda_svc._emit_lambda_logs = emit_logs_if_allowed

# Lambda manages a function's network interfaces with its role.
NETWORK = ("CreateNetworkInterface", "DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
LOOK_UP = ("DescribeNetworkInterfaces", "DescribeSubnets")
vpc_config = lacking(lambda_svc, "_vpc_config_with_id", "Role")
types = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
create_function, update_function = types["create"], types["update"]


def need_network(props):
    if not (props.get("VpcConfig") or {}).get("SubnetIds"):
        return
    interface = f"arn:aws:ec2:{responses.get_region()}:{responses.get_account_id()}:network-interface/*"
    needs = [(name, interface) for name in NETWORK] + [(name, "*") for name in LOOK_UP]
    denied = [name for name, resource in needs if not role_may(props["Role"], f"ec2:{name}", resource)]
    if denied:
        raise ValueError(f"The provided execution role does not have permissions to call {', '.join(denied)} on EC2")


def create_in_network(logical_id, props, stack_name):
    need_network(props)
    return create_function(logical_id, props, stack_name)


def update_in_network(physical_id, old_props, new_props, *rest, **more):
    need_network(new_props)
    return update_function(physical_id, old_props, new_props, *rest, **more)


types.update(create=create_in_network, update=update_in_network)

# ------------------------------------------------------------------------------------------------------- programs
code_dir = lacking(lambda_svc, "_provided_runtime_code_dir", "Architectures")


def code_dir_for_this_machine(code_zip):
    """The folder of a function's code, whose bootstrap is started by BOOTSTRAP_RUNNER, if that is set."""
    folder = code_dir(code_zip)
    program, bootstrap = os.path.join(folder, "program"), os.path.join(folder, "bootstrap")
    if (runner := os.environ.get("BOOTSTRAP_RUNNER")) and not os.path.exists(program):
        os.rename(bootstrap, program)
        with open(bootstrap, "w") as script:
            script.write(f"#!/bin/sh\nexec {runner} {program}\n")
        os.chmod(bootstrap, 0o755)
    return folder


lambda_svc._provided_runtime_code_dir = code_dir_for_this_machine
