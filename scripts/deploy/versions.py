"""Checks that a change of settings always publishes a new version of the functions.

The aliases serve published versions, so a setting that reaches only $LATEST has no effect. This changes each parameter
of template.yaml, under several sets of the others, and replaces each resource that a function refers to. It evaluates
the transformed template before and after. Where the properties of a function change, those of its AWS::Lambda::Version
must change, too.
"""

import hashlib
import itertools
import json
import re
import sys

import transform

# Sets of parameters under which each other parameter is changed: each condition holds in one of them.
CACHES = ("none", "node", "serverless")
AUTHS = (
    {"AuthMode": "none"},
    {"AuthMode": "jwt", "AuthJwks": '{"keys":[]}'},
    {"AuthMode": "jwt", "AuthSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:a", "AuthSecretVersion": "1"},
)
BASES = [auth | {"CacheMode": cache} for cache, auth in itertools.product(CACHES, AUTHS)]
# CloudFormation makes another resource, with another number, when the content of these changes.
IMMUTABLE = {"AWS::AppConfig::HostedConfigurationVersion"}
# Properties of AWS::Lambda::Function that a published version does not hold.
UNPUBLISHED = {"Description", "Tags", "ReservedConcurrentExecutions"}
PSEUDO = {"AWS::Region": "us-east-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws"}


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


def other(parameter, value):
    """Another value than `value` that the parameter may have."""
    for allowed in parameter.get("AllowedValues", []):
        if str(allowed) != str(value):
            return allowed
    return int(value) + 1 if parameter["Type"] == "Number" else f"{value}-other"


def versions(template):
    """The function and the AWS::Lambda::Version of it, by their logical ids."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Version":
            yield resource["Properties"]["FunctionName"]["Ref"], name


def configuration(stack, function):
    """The properties of a function that a published version holds."""
    properties = stack.properties(function)
    return {name: value for name, value in properties.items() if name not in UNPUBLISHED}


def changes(template):
    """The stack before and after each change, and what changes."""
    functions = [function for function, _ in versions(template)]
    for base in BASES:
        before = Stack(template, base)
        for name, parameter in template["Parameters"].items():
            yield name, before, Stack(template, base | {name: other(parameter, before.values[name])})
        for function in functions:
            configuration(before, function)
        for name in sorted(before.referred):
            if template["Resources"][name]["Type"] not in IMMUTABLE:
                yield name, before, Stack(template, base, replaced=name)


def faults(template):
    """Changes that reach a function and publish nothing, or that publish without need; and what reaches a function."""
    found, reached = set(), set()
    for name, before, after in changes(template):
        changed = {f for f, _ in versions(template) if configuration(before, f) != configuration(after, f)}
        if changed:
            reached.add(name)
        for function, version in versions(template):
            # FunctionName is left out: a function that is replaced gets its first version.
            published = before.properties(version)["Description"] != after.properties(version)["Description"]
            if function in changed and not published:
                found.add(f"{name} changes {function}, which keeps its old version")
            if published and not changed:
                found.add(f"{name} changes no function, and {function} gets a new version")
    return found, reached


def main():
    template = transform.transformed()
    found, reached = faults(template)
    for fault in sorted(found):
        print(f"template.yaml: {fault}", file=sys.stderr)
    # The check must be able to fail: without AuthJwks in the list, a change of it is reported.
    content = template["Resources"]["SettingsVersion"]["Properties"]["Content"]["Fn::Join"][1]
    content.remove({"Ref": "AuthJwks"})
    assert any(fault.startswith("AuthJwks ") for fault in faults(template)[0]), "a missing setting is not found"
    parameters = reached & template["Parameters"].keys()
    print(
        f"  {len(parameters)} parameters and {len(reached - parameters)} resources are settings of a function; "
        "a change of any publishes new versions"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
