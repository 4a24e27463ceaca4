"""Checks that CloudFormation can find an order in which it makes the resources: none depends on itself. It deletes in the
reverse order: the subnets, whose interfaces Lambda removes with the rights of roles, before these rights."""

import graphlib
import re
import sys

from transform import report, transformed


def references(node):
    """The names that a part of the template refers to."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            match key:
                case "Ref":
                    yield value
                case "Fn::GetAtt":
                    yield (value if isinstance(value, str) else value[0]).split(".")[0]
                case "Fn::Sub":
                    text, given = (value, {}) if isinstance(value, str) else value
                    yield from re.findall(r"\$\{([A-Za-z0-9]+)", text)
                    yield from references(given)
                case "DependsOn":
                    yield from [value] if isinstance(value, str) else value
                case _:
                    yield from references(value)


def cycle(resources):
    """Resources of which each depends on the next one; none if there is an order."""
    needs = {name: resources.keys() & set(references(resource)) for name, resource in resources.items()}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return error.args[1]


def main():
    resources = transformed()["Resources"]
    found = cycle(resources)
    # The check must be able to fail.
    names = list(resources)[:2]
    looped = {name: {"Properties": {"Other": {"Fn::Sub": f"a-${{{other}.Arn}}"}}} for name, other in zip(names, names[::-1])}
    assert cycle(resources | looped), "a cycle is not found"
    faults = [f"resources depend on each other: {', '.join(found)}"] if found else []
    subnets = [name for name, resource in resources.items() if resource["Type"] == "AWS::EC2::Subnet"]
    early = [name for name in subnets if "NetworkRights" not in references(resources[name])]
    faults += [f"{name} may be deleted after the rights to remove its interfaces" for name in early]
    claims = f"{len(resources)} resources can be made one after the other", f"{len(subnets)} subnets go before NetworkRights"
    return report("template.yaml", faults, *claims)


if __name__ == "__main__":
    sys.exit(main())
