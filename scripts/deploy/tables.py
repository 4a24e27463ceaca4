"""The tables of a deployed stack, as shared/test_data/tables.json has them: the tests of the store run on tables that are
made from that file."""

import json

import transform
from common import ROOT, check

FILE = ROOT / "shared" / "test_data" / "tables.json"
# The tables, and what the tests of the store call them.
NAMES = {"TaskRunsTable": "tasks", "ProjectsTable": "projects", "CheckpointsTable": "checkpoints"}


def by(name, items):
    return sorted(items, key=lambda item: item[name])


def definition(table, properties):
    """The table in the words of CreateTable. Its time to live is the template's: the emulator ignores it."""
    made = {
        "KeySchema": table["KeySchema"],
        "AttributeDefinitions": by("AttributeName", table["AttributeDefinitions"]),
        "BillingMode": table["BillingModeSummary"]["BillingMode"],
    }
    if indexes := table.get("GlobalSecondaryIndexes"):
        keep = ("IndexName", "KeySchema", "Projection")
        made["GlobalSecondaryIndexes"] = by("IndexName", [{key: index[key] for key in keep} for index in indexes])
    if stream := table.get("StreamSpecification"):
        made["StreamSpecification"] = stream
    if life := properties.get("TimeToLiveSpecification"):
        made["TimeToLiveSpecification"] = life
    return made


def check_tables(stack, write):
    resources, dynamodb = transform.transformed()["Resources"], stack.account.client("dynamodb")
    tables = {}
    for name, called in NAMES.items():
        table = dynamodb.describe_table(TableName=stack.resources[name])["Table"]
        tables[called] = definition(table, resources[name]["Properties"])
    text = json.dumps(tables, indent=2) + "\n"
    if write:
        FILE.write_text(text)
    check(f"{FILE.name} is what DynamoDB says about the tables (--write-tables makes it)", FILE.read_text() == text, text)
