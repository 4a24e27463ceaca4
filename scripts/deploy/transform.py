"""What CloudFormation gets of template.yaml, made by the translator that AWS itself runs."""

import logging
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"

# boto3 wants a region and credentials, even for what never leaves this machine.
for name, value in {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}.items():
    os.environ[name] = value

logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it says which of AWS's own switches it has not

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402


def transformed(path=ROOT / "template.yaml"):
    """The template without SAM. Code that is not uploaded yet gets an address that does not exist."""
    template = yaml_parse(path.read_text())
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if not str(properties.get("CodeUri", "s3://")).startswith("s3://"):
            properties["CodeUri"] = "s3://not-uploaded/code.zip"
    return Translator({}, Parser()).translate(template, parameter_values={})
