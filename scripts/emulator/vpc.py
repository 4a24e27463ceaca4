"""A function in a VPC reaches services that have an endpoint there, and only what the endpoint's policy allows; and over
IPv6, if there is a way out, services of which it uses a name with such addresses. (ministack has no network between
functions and services, and does not show the policy.)
"""

import json
import os
import urllib.parse

from mend import lacking
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import ec2, lambda_svc

networks = {}  # of the function that has an access key: its VPC, and the services that it reaches over IPv6
DUAL_STACK = ".api.aws"  # the end of a name with addresses of IPv4 and IPv6

credentials = lacking(lambda_runtime, "execution_credentials", "Vpc")


def credentials_of_version(config):
    """Each version has credentials of its own: one may be in a VPC, and another not."""
    made = credentials(dict(config, FunctionArn=f"{config.get('FunctionArn')}:{config.get('Version')}"))
    network = config.get("VpcConfig") or {}
    networks[made["AWS_ACCESS_KEY_ID"]] = (network.get("VpcId"), set(over_ipv6(config, network)))
    return made


lambda_svc.execution_credentials = credentials_of_version


def dual_stack(variables):
    """Variables that name a service by a name with addresses of IPv6, and the service."""
    for name, value in variables.items():
        host = urllib.parse.urlsplit(value).hostname if name.startswith("AWS_ENDPOINT_URL_") else None
        if host and host.endswith(DUAL_STACK):
            yield name, host.split(".")[0]


def over_ipv6(config, network):
    """The services that a function reaches over IPv6: it, its subnets and its security group let it out."""
    subnets, groups = (set(network.get(key) or ()) for key in ("SubnetIds", "SecurityGroupIds"))
    tables = [t for t in ec2._route_tables.values() if subnets & {a.get("SubnetId") for a in t["Associations"]}]
    routes = [route for table in tables for route in table["Routes"]]
    rules = [rule for group in groups for rule in ec2._security_groups[group]["IpPermissionsEgress"]]
    if (
        network.get("Ipv6AllowedForDualStack")
        and all(ec2._subnets[subnet].get("Ipv6CidrBlock") for subnet in subnets)
        and any(r.get("DestinationIpv6CidrBlock") == "::/0" and r.get("EgressOnlyInternetGatewayId") for r in routes)
        and any({"CidrIpv6": "::/0"}.items() <= r.items() for rule in rules for r in rule["Ipv6Ranges"])
    ):
        for _, service in dual_stack((config.get("Environment") or {}).get("Variables") or {}):
            yield service


environment = lacking(lambda_svc, "_provided_worker_env", "api.aws")


def environment_of_emulator(*args, **kwargs):
    """Names of AWS are the emulator here."""
    made = environment(*args, **kwargs)
    return made | {name: os.environ["AWS_ENDPOINT_URL"] for name, _ in dual_stack(made)}


lambda_svc._provided_worker_env = environment_of_emulator

resolve = lacking(iam_evaluator, "resolve_principal", "endpoint")


def resolve_behind_endpoints(access_key, *args, **kwargs):
    principal = resolve(access_key, *args, **kwargs)
    network, services = networks.get(access_key, (None, ()))
    if network:
        policies = [e["PolicyDocument"] for e in ec2._vpc_endpoints.values() if e["VpcId"] == network]
        policies += [{"Statement": [{"Effect": "Allow", "Action": f"{name}:*", "Resource": "*"}]} for name in services]
        principal.limits = [*principal.limits, [iam_evaluator.parse_policy_document(policy) for policy in policies]]
    return principal


iam_evaluator.resolve_principal = resolve_behind_endpoints

fields = lacking(ec2, "_vpce_fields_xml", "olicyDocument")


def fields_with_policy(endpoint, tag="item"):
    policy = ec2._va_text("policyDocument", json.dumps(endpoint.get("PolicyDocument")))
    return fields(endpoint, tag).removesuffix(f"</{tag}>") + f"{policy}</{tag}>"


ec2._vpce_fields_xml = fields_with_policy
