"""Checks that the role of the pipeline, .github/deploy-role.yaml, allows what CloudFormation does to make the stack.

CloudFormation makes a resource with the rights of the role. The role has all rights of each service but IAM, where they
are those that the handlers of AWS::IAM::Role use, as its schema in the CloudFormation registry lists them.
"""

import sys

from common import ROOT
from transform import report, transformed, yaml_parse

ROLE = ROOT / ".github" / "deploy-role.yaml"
# The services whose prefix in IAM is not the name in CloudFormation's types.
PREFIXES = {"ApiGatewayV2": "apigateway"}
# For a role with policies in it, and with tags. Reading a role, which each change begins with, lists its policies.
OF_ROLES = {
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
}


def needed(resources):
    """The rights that the types of the template's resources need."""
    services = {resource["Type"].split("::")[1] for resource in resources.values()}
    rights = {f"{PREFIXES.get(service, service.lower())}:*" for service in services - {"IAM"}}
    return rights | OF_ROLES


def allowed():
    """The rights of the role."""
    role = yaml_parse(ROLE.read_text())["Resources"]["DeployRole"]["Properties"]
    statements = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    actions = [statement["Action"] for statement in statements]
    return {right for action in actions for right in ([action] if isinstance(action, str) else action)}


def main():
    wanted = needed(transformed()["Resources"])
    missing = [f"CloudFormation needs {right} to make the stack" for right in sorted(wanted - allowed())]
    return report(ROLE.name, missing, f"the pipeline's role has the {len(wanted)} rights that the stack's types need")


if __name__ == "__main__":
    sys.exit(main())
