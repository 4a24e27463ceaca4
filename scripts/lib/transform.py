"""template.yaml as CloudFormation sees it, transformed by the translator that AWS itself runs."""

import logging
import os

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


def transformed(path=ROOT / "template.yaml"):
    """The template without SAM. Code that is not uploaded gets an address that does not exist."""
    template = yaml_parse(path.read_text())
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if not str(properties.get("CodeUri", "s3://")).startswith("s3://"):
            properties["CodeUri"] = "s3://not-uploaded/code.zip"
    return Translator({}, Parser()).translate(template, parameter_values={})
