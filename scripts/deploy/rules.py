"""Checks that the rules of template.yaml refuse parameters that make no stack, or one that does not work, and no others."""

import sys

from transform import Stack, report, transformed

KEY = {"AuthJwks": '{"keys":[]}'}
GATEWAY = {"AuthAtGateway": "true", "AuthIssuer": "https://issuer.example.com", "AuthAudience": "progress"}
SECRET = {"AuthSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:a"}
# Parameters, and the rule that refuses them.
CASES = [
    (KEY, None),
    (GATEWAY, None),
    (SECRET | {"AuthSecretVersion": "1"}, None),
    ({"AuthMode": "none"}, None),
    ({}, "TokensCanBeChecked"),
    (SECRET, "SecretHasItsVersion"),
    (GATEWAY | {"AuthAudience": ""}, "GatewayKnowsTheIssuer"),
]


def refusals(template, values):
    """The rules that refuse these parameters."""
    stack = Stack(template, values)
    for name, rule in template["Rules"].items():
        if stack.holds(rule["RuleCondition"]) and not all(stack.holds(a["Assert"]) for a in rule["Assertions"]):
            yield name


def faults(template):
    for values, rule in CASES:
        found = list(refusals(template, values))
        if found != [rule] * (rule is not None):
            yield f"the rules {found} refuse {values}, not {rule}"
    for name in template["Rules"].keys() - {rule for _, rule in CASES}:
        yield f"no case of {__file__} is refused by {name}"


def main():
    claim = f"{len(CASES)} sets of parameters are accepted, or refused by the right rule"
    return report("template.yaml", faults(transformed()), claim)


if __name__ == "__main__":
    sys.exit(main())
