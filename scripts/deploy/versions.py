"""Checks that a change of settings always publishes a new version of the functions.

The aliases serve published versions, so a setting that reaches only $LATEST has no effect. This changes each parameter
of template.yaml, under several sets of the others, and replaces each resource that a function refers to. It evaluates
the transformed template before and after. Where the properties of a function change, those of its AWS::Lambda::Version
must change, too.
"""

import itertools
import sys

from transform import IMMUTABLE, Stack, report, transformed

# Sets of parameters under which each other parameter is changed: each condition holds in one of them.
CACHES = ("none", "node", "serverless")
AUTHS = (
    {"AuthMode": "none"},
    {"AuthMode": "jwt", "AuthJwks": '{"keys":[]}'},
    {"AuthMode": "jwt", "AuthSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:a", "AuthSecretVersion": "1"},
)
BASES = [auth | {"CacheMode": cache} for cache, auth in itertools.product(CACHES, AUTHS)]
# Properties of AWS::Lambda::Function that a published version does not hold.
UNPUBLISHED = {"Description", "Tags", "ReservedConcurrentExecutions"}


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
    template = transformed()
    found, reached = faults(template)
    # The check must be able to fail: without AuthJwks in the list, a change of it is reported.
    content = template["Resources"]["SettingsVersion"]["Properties"]["Content"]["Fn::Join"][1]
    content.remove({"Ref": "AuthJwks"})
    assert any(fault.startswith("AuthJwks ") for fault in faults(template)[0]), "a missing setting is not found"
    parameters = reached & template["Parameters"].keys()
    number = f"{len(parameters)} parameters and {len(reached - parameters)} resources"
    return report("template.yaml", sorted(found), f"{number} are settings of a function; a change of any publishes new versions")


if __name__ == "__main__":
    sys.exit(main())
