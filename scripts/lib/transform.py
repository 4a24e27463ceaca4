"""template.yaml as CloudFormation sees it, transformed by the translator that AWS itself runs; its values for a set of
parameters; and the report of a check.
"""

import copy
import functools
import hashlib
import json
import logging
import os
import re
import sys

from common import ROOT

REGION = "us-east-1"

# boto3 needs a region and credentials, even for requests that never leave this machine.
for name, value in {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}.items():
    os.environ[name] = value

logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of switches that only AWS has

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402


def transformed():
    """The template without SAM, which the caller may change. Code that is not uploaded gets an address that does not exist."""
    return copy.deepcopy(_transformed())


@functools.cache
def _transformed():
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if not str(properties.get("CodeUri", "s3://")).startswith("s3://"):
            properties["CodeUri"] = "s3://not-uploaded/code.zip"
    return Translator({}, Parser()).translate(template, parameter_values={})


# CloudFormation makes another resource, with another number, when the content of these changes.
IMMUTABLE = {"AWS::AppConfig::HostedConfigurationVersion"}
PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": "123456789012", "AWS::Partition": "aws"}


class Stack:
    """The transformed template, evaluated with the values of its parameters."""

    def __init__(self, template, values, replaced=None):
        self.template = template
        self.values = {name: p.get("Default") for name, p in template["Parameters"].items()} | values
        self.replaced = replaced
        self.referred = set()

    def resource(self, name):
        """What stands for a resource where another one refers to it."""
        self.referred.add(name)
        if self.template["Resources"][name]["Type"] in IMMUTABLE:
            content = json.dumps(self.properties(name)["Content"])
            return f"{name}:{hashlib.sha256(content.encode()).hexdigest()}"
        return f"{name}:replaced" if name == self.replaced else name

    def properties(self, name):
        return self.value(self.template["Resources"][name].get("Properties", {}))

    def holds(self, condition):
        ((function, argument),) = condition.items()
        match function:
            case "Condition":
                return self.holds(self.template["Conditions"][argument])
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::And":
                return all(map(self.holds, argument))
            case "Fn::Or":
                return any(map(self.holds, argument))
            case "Fn::Equals":
                return str(self.value(argument[0])) == str(self.value(argument[1]))
        raise ValueError(function)

    def named(self, name, attribute=""):
        if name in self.values:
            return self.values[name]
        if name.startswith("AWS::"):
            return PSEUDO.get(name, name)
        return self.resource(name) + attribute

    def value(self, node):
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [value for value in values if value != "AWS::NoValue"]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            match function:
                case "Ref":
                    return self.named(argument)
                case "Fn::GetAtt":
                    name, _, attribute = (argument if isinstance(argument, str) else ".".join(argument)).partition(".")
                    return self.named(name, "." + attribute)
                case "Fn::If":
                    return self.value(argument[1 if self.holds({"Condition": argument[0]}) else 2])
                case "Fn::Join":
                    parts = self.value(argument[1])
                    return argument[0].join(map(str, parts if isinstance(parts, list) else [parts]))
                case "Fn::Split":
                    return str(self.value(argument[1])).split(argument[0])
                case "Fn::Select" if isinstance(chosen := self.value(argument[1]), list):
                    return chosen[int(argument[0])]
                case "Fn::Sub":
                    text, given = (argument, {}) if isinstance(argument, str) else argument
                    given = self.value(given)

                    def replaced(match):
                        name, _, attribute = match[1].partition(".")
                        return str(given.get(match[1]) or self.named(name, attribute and "." + attribute))

                    return re.sub(r"\$\{([A-Za-z0-9.:]+)\}", replaced, text)
                case _ if function.startswith("Fn::"):  # of which only its arguments matter here
                    return f"{function}({json.dumps(self.value(argument))})"
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value != "AWS::NoValue"}

    def exists(self, name):
        """Whether the stack has a resource."""
        condition = self.template["Resources"][name].get("Condition")
        return condition is None or self.holds({"Condition": condition})


def report(where, faults, *claims):
    """Prints what is wrong there, or what holds. The exit code of the check."""
    faults = list(faults)
    for fault in faults:
        print(f"{where}: {fault}", file=sys.stderr)
    for claim in claims if not faults else ():
        print(f"  {claim}")
    return 1 if faults else 0
