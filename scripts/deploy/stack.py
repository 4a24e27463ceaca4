"""Makes the stack in moto's CloudFormation, as far as moto knows its types, and compares the result with the code.

    scripts/lib/python scripts/deploy/stack.py [--template FILE] [--write-tables]

Without --write-tables, shared/test_data/tables.json must be what DynamoDB says about the stack's tables: the tests of
the store run on tables that are made from that file.
"""

import argparse
import ipaddress
import json
import pathlib
import re
import sys

import transform  # first: it sets what boto3 needs
from common import ROOT, Failure, check

import boto3
import moto
from moto.cloudformation import parsing  # noqa: F401 - it loads all types that moto knows
from moto.core.common_models import CloudFormationModel

TABLES = ROOT / "shared" / "test_data" / "tables.json"
DOCS = ROOT / "docs" / "deploy.md"
# As much of the stack as needs no reference to a type that moto lacks.
PARAMETERS = {"Stage": "prod", "AuthMode": "none", "EventBusName": "default"}


def known_types():
    """The types of resources that moto can make."""

    def below(cls):
        for subclass in cls.__subclasses__():
            yield subclass
            yield from below(subclass)

    types = set()
    for model in below(CloudFormationModel):
        try:
            types.add(model.cloudformation_type())
        except NotImplementedError:
            continue
    return types - {None}


def without(template, cut):
    """The template without the resources `cut`. References to one become its name, or the ARN of its function if it is
    an alias."""

    def instead(name):
        resource = template["Resources"][name]
        if resource["Type"] == "AWS::Lambda::Alias":
            return {"Fn::GetAtt": [resource["Properties"]["FunctionName"]["Ref"], "Arn"]}
        return name

    def walk(node):
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref" and argument in cut:
                return instead(argument)
            if function == "Fn::GetAtt":
                parts = argument if isinstance(argument, list) else argument.split(".", 1)
                if parts[0] in cut:
                    return f"arn:aws:cut:::{parts[0]}"
            if function == "Fn::Select" and "Fn::Cidr" in argument[1]:
                # moto can't divide addresses.
                vpc = ipaddress.ip_network(template["Parameters"]["VpcCidr"]["Default"])
                return str(list(vpc.subnets(new_prefix=32 - argument[1]["Fn::Cidr"][2]))[argument[0]])
            if function == "Fn::Sub" and isinstance(argument, str):
                names = "|".join(map(re.escape, cut)) or "$^"
                return {"Fn::Sub": re.sub(r"\$\{(%s)(\.[A-Za-z.]+)?\}" % names, r"\1", argument)}
        return {key: walk(value) for key, value in node.items()}

    rest = {name: resource for name, resource in template["Resources"].items() if name not in cut}
    for resource in rest.values():
        needs = resource.get("DependsOn", [])
        needs = [needs] if isinstance(needs, str) else needs
        resource.pop("DependsOn", None)
        if kept := [name for name in needs if name not in cut]:
            resource["DependsOn"] = kept
    outputs = {
        name: output
        for name, output in template["Outputs"].items()
        if not any(f'"{name}"' in json.dumps(output) or f"${{{name}" in json.dumps(output) for name in cut)
    }
    return walk({**template, "Resources": rest, "Outputs": outputs})


def definition(table, resource):
    """The table's definition, in the words of CreateTable. TTL is the template's: moto ignores it."""
    life = resource["Properties"].get("TimeToLiveSpecification")
    by_name = lambda items, name: sorted(items, key=lambda item: item[name])  # noqa: E731
    made = {
        "KeySchema": table["KeySchema"],
        "AttributeDefinitions": by_name(table["AttributeDefinitions"], "AttributeName"),
        "BillingMode": table["BillingModeSummary"]["BillingMode"],
    }
    if indexes := table.get("GlobalSecondaryIndexes"):
        keep = ("IndexName", "KeySchema", "Projection")
        made["GlobalSecondaryIndexes"] = by_name([{key: index[key] for key in keep} for index in indexes], "IndexName")
    if stream := table.get("StreamSpecification"):
        made["StreamSpecification"] = stream
    if life:
        made["TimeToLiveSpecification"] = life
    return made


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--template", type=pathlib.Path, default=ROOT / "template.yaml")
    arguments.add_argument("--write-tables", action="store_true")
    arguments = arguments.parse_args()

    template = transform.transformed(arguments.template)
    resources = template["Resources"]
    known = known_types()
    cut = {name for name, resource in resources.items() if resource["Type"] not in known}
    unknown = sorted({resources[name]["Type"] for name in cut})

    code = next(r["Properties"]["Code"] for r in resources.values() if r["Type"] == "AWS::Lambda::Function")
    s3, cloudformation = boto3.client("s3"), boto3.client("cloudformation")
    if code["S3Bucket"] == "not-uploaded":
        s3.create_bucket(Bucket=code["S3Bucket"])
        s3.put_object(Bucket=code["S3Bucket"], Key=code["S3Key"], Body=b"PK\x05\x06" + bytes(18))  # an empty zip

    # moto's CloudFormation can't make the secret.
    boto3.client("secretsmanager").create_secret(Name="CacheSecret", SecretString="not-a-secret")

    def make(stack, parameters):
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=json.dumps(without(template, cut)),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        made = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        # A resource that a condition leaves out is listed without a name.
        return {
            part["LogicalResourceId"]: part.get("PhysicalResourceId") for part in made if "LogicalResourceId" in part
        }

    for parameters in (PARAMETERS | {"CacheMode": "serverless"}, PARAMETERS | {"CacheMode": "node"}, PARAMETERS):
        stack = f"progress-{parameters.get('CacheMode', 'none')}"
        made = make(stack, parameters)
        status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        wanted = {n for n, r in resources.items() if n not in cut and not is_off(template, r, parameters)}
        check(
            f"moto {moto.__version__} makes {stack}: the {len(made)} resources of types that it knows",
            status == "CREATE_COMPLETE" and set(made) == wanted,
            (status, set(made) ^ wanted),
        )

    dynamodb, functions, logs = boto3.client("dynamodb"), boto3.client("lambda"), boto3.client("logs")
    tables = {}
    # The tables, and what the tests of the store call them.
    names = {"TaskRunsTable": "tasks", "ProjectsTable": "projects", "CheckpointsTable": "checkpoints"}
    for name, called in names.items():
        table = dynamodb.describe_table(TableName=made[name])["Table"]
        check(f"{name}: on demand, and protected from deletion in prod", table["DeletionProtectionEnabled"])
        # moto ignores these.
        properties = resources[name]["Properties"]
        check(
            f"{name}: point-in-time recovery, and a key of the account in prod",
            properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
            and properties["SSESpecification"]["Fn::If"][:2] == ["IsProd", {"SSEEnabled": True}],
        )
        tables[called] = definition(table, resources[name])

    environments = {}
    for name in ("CollectorFunction", "ApiFunction"):
        function = functions.get_function(FunctionName=made[name])["Configuration"]
        properties = resources[name]["Properties"]  # moto ignores some of them
        check(
            f"{name}: bootstrap on provided.al2023 and arm64, traced",
            (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap")
            and properties["Architectures"] == ["arm64"]
            and properties["TracingConfig"] == {"Mode": "Active"},
        )
        environments[name] = function["Environment"]["Variables"]
        check(
            f"{name}: it gets the stack's tables",
            environments[name]["TASKS_TABLE_NAME"] == made["TaskRunsTable"]
            and environments[name]["PROJECTS_TABLE_NAME"] == made["ProjectsTable"],
        )
    collector = environments["CollectorFunction"]
    check(
        "CollectorFunction: it gets the stack's table of checkpoints",
        collector["CHECKPOINTS_TABLE_NAME"] == made["CheckpointsTable"],
    )
    groups = {group["logGroupName"]: group.get("retentionInDays") for group in logs.describe_log_groups()["logGroups"]}
    check(
        "CollectorFunction: it gets the stack's log groups",
        {collector["CDK_LOG_GROUP_NAME"], collector["AGENT_LOG_GROUP_NAME"]} <= set(groups),
    )
    check(f"{len(groups)} log groups keep their events for 30 days", set(groups.values()) == {30})

    # moto can't make the serverless cache.
    limits = resources["CacheServerless"]["Properties"]["CacheUsageLimits"]
    check(
        "CacheServerless: its size and its requests have upper bounds",
        all("Maximum" in limits.get(limit, {}) for limit in ("DataStorage", "ECPUPerSecond")),
        limits,
    )

    text = json.dumps(tables, indent=2) + "\n"
    if arguments.write_tables:
        TABLES.write_text(text)
    check(f"{TABLES.name} is what DynamoDB says about the tables", TABLES.exists() and TABLES.read_text() == text)

    docs = DOCS.read_text()
    parameters = {name for name in template["Parameters"] if f"`{name}`" not in docs}
    check(f"{DOCS.name} names every parameter", not parameters, parameters)
    documented = set(re.findall(r"`(AWS::\w+::\w+)`", docs))
    print(f"moto does not know these types, which only cfn-lint has checked: {', '.join(unknown)}")
    check(
        f"{DOCS.name} names these {len(unknown)} types and no other",
        set(unknown) == documented,
        documented ^ set(unknown),
    )


def is_off(template, resource, parameters):
    """Whether the parameters leave the resource out."""
    values = {name: str(p.get("Default")) for name, p in template["Parameters"].items()} | parameters
    def holds(condition):
        ((function, argument),) = condition.items()
        match function:
            case "Condition":
                return holds(template["Conditions"][argument])
            case "Fn::Not":
                return not holds(argument[0])
            case "Fn::And":
                return all(map(holds, argument))
            case "Fn::Equals":
                return value(argument[0]) == value(argument[1])
        raise ValueError(function)

    def value(node):
        if isinstance(node, dict):
            return values[node.get("Ref") or node["Fn::Join"][1]["Ref"]]
        return str(node)

    name = resource.get("Condition")
    return name is not None and not holds({"Condition": name})


if __name__ == "__main__":
    try:
        with moto.mock_aws():
            main()
    except Failure as failure:
        sys.exit(str(failure))
