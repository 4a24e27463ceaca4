"""A function in a VPC without a way out reaches only services that have an endpoint there, and only what the endpoint's
policy allows. (ministack has no network between functions and services, and does not show the policy.)
"""

import json

from mend import lacking
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import ec2, lambda_svc

networks = {}  # the VPC of the function that has an access key

credentials = lacking(lambda_runtime, "execution_credentials", "Vpc")


def credentials_of_version(config):
    """Each version has credentials of its own: one may be in a VPC, and another not."""
    made = credentials(dict(config, FunctionArn=f"{config.get('FunctionArn')}:{config.get('Version')}"))
    networks[made["AWS_ACCESS_KEY_ID"]] = (config.get("VpcConfig") or {}).get("VpcId")
    return made


lambda_svc.execution_credentials = credentials_of_version

resolve = lacking(iam_evaluator, "resolve_principal", "endpoint")


def resolve_behind_endpoints(access_key, *args, **kwargs):
    principal = resolve(access_key, *args, **kwargs)
    if network := networks.get(access_key):
        policies = [e["PolicyDocument"] for e in ec2._vpc_endpoints.values() if e["VpcId"] == network]
        principal.limits = [*principal.limits, [iam_evaluator.parse_policy_document(policy) for policy in policies]]
    return principal


iam_evaluator.resolve_principal = resolve_behind_endpoints

fields = lacking(ec2, "_vpce_fields_xml", "olicyDocument")


def fields_with_policy(endpoint, tag="item"):
    policy = ec2._va_text("policyDocument", json.dumps(endpoint.get("PolicyDocument")))
    return fields(endpoint, tag).removesuffix(f"</{tag}>") + f"{policy}</{tag}>"


ec2._vpce_fields_xml = fields_with_policy
