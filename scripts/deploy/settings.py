"""Compares the settings that the code reads with those that template.yaml sets and docs/configuration.md describes.
Also checks that a deployed API asks for tokens unless a stack says otherwise."""

import re
import sys

from common import ROOT
from transform import report, transformed

REDIS = {"REDIS_AUTH_TOKEN", "REDIS_CA_CERT", "REDIS_CLUSTER", "REDIS_ENDPOINT", "REDIS_TLS", "REDIS_USERNAME"}
PUSH = {"PUSH_HTTP_HOST", "PUSH_REALTIME_HOST"}
OF_COLLECTING = {"CHECKPOINTS_TABLE_NAME", "FIRST_SWEEP_SECONDS", "LOG_GROUPS", "OVERLAP_SECONDS"} | REDIS
DEPLOY_DOCS = ROOT / "docs" / "deploy.md"
DOCS = ROOT / "docs" / "configuration.md"
# Lambda sets the first (LoggingConfig). The others are right by default: ElastiCache's endpoint is a rediss:// URL with
# a certificate of a public authority, and the functions use its default user. AppSync's address is PUSH_HTTP_HOST.
NOT_SET = {"AWS_ENDPOINT_URL_APPSYNC", "AWS_LAMBDA_LOG_FORMAT", "REDIS_TLS", "REDIS_CA_CERT", "REDIS_USERNAME"}
# The SDK's own, some of which Lambda sets.
OF_AWS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
}
# Only tests set these.
OF_TESTS = {"FAULT_POINTS"}
NAME = r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PUBLISH)"'


def product_code(path):
    """The source of a file, without comments and tests."""
    return re.split(r"#\[cfg\(test\)\]\s*mod ", re.sub(r"(?m)^\s*//.*$", "", path.read_text()))[0]


# The crate of each function, and what other functions read that are made of it, by PUBLISH or by their events.
FUNCTIONS = {
    "ApiFunction": ("api-lambda", {"CHECKPOINTS_TABLE_NAME"}),
    "PushAuthorizerFunction": (
        "api-lambda",
        {"AUTH_GATEWAY_CLAIMS", "CHECKPOINTS_TABLE_NAME", "CORS_ALLOWED_ORIGINS", "KEEP_LOG_TAIL"} | PUSH | REDIS,
    ),
    "CollectorFunction": ("progress-collector", {"EVENT_BUS_NAME", "PUBLISH"} | PUSH),
    "BusPublisherFunction": ("progress-collector", OF_COLLECTING | PUSH),
    "PushPublisherFunction": ("progress-collector", OF_COLLECTING | {"EVENT_BUS_NAME"}),
}
# A value that leaves a variable out.
NO_VALUE = {"Ref": "AWS::NoValue"}


def read_by(crate):
    """The settings that a function reads."""
    names = set()
    for folder in (crate, "shared", "shared/core"):
        for path in (ROOT / folder / "src").rglob("*.rs"):
            text = product_code(path)
            if "Settings" in text or path.name == "main.rs":
                names |= set(re.findall(NAME, text))
    return names - OF_AWS


def opens_the_api():
    """The files of crates that turn authentication off by themselves."""
    for path in sorted(ROOT.glob("*/src/**/*.rs")):
        if re.search(r'Auth::none\(\)|"AUTH_MODE",\s*"none', product_code(path)):
            yield path.relative_to(ROOT)


def open_by_default(template):
    """Places that turn authentication off for a deployed API. Only `local` may do so, for itself."""
    parameter = template["Parameters"]["AuthMode"]
    if parameter["Default"] != "jwt":
        yield f"template.yaml: the default of AuthMode is {parameter['Default']}"
    mode = template["Resources"]["ApiFunction"]["Properties"]["Environment"]["Variables"]["AUTH_MODE"]
    if mode != {"Ref": "AuthMode"}:
        yield f"template.yaml: AUTH_MODE is {mode}, not AuthMode"
    for path in [ROOT / "samconfig.toml", *(ROOT / ".github").rglob("*.y*ml")]:
        if re.search(r"(?i)auth_?mode\W+none", path.read_text()):
            yield f"{path.relative_to(ROOT)}: AuthMode is none"
    files = list(opens_the_api())
    if not any(path.parts[0] == "local" for path in files):
        yield f"{__file__} no longer finds where `local` turns authentication off: teach it"
    for path in files:
        if path.parts[0] != "local":
            yield f"{path} turns authentication off"


def faults(template):
    described = set(re.findall(r"(?m)^\| `([A-Z0-9_]+)` \|", DOCS.read_text()))
    for function, (crate, of_others) in FUNCTIONS.items():
        variables = template["Resources"][function]["Properties"]["Environment"]["Variables"]
        given = {name for name, value in variables.items() if value != NO_VALUE} - OF_AWS
        read = read_by(crate) - OF_TESTS
        for name in sorted(read - of_others - given - NOT_SET):
            yield f"{function} reads {name}, and template.yaml does not set it"
        for name in sorted(given - (read - of_others)):
            yield f"template.yaml sets {name} for {function}, which does not read it"
        for name in sorted(read - described):
            yield f"{crate} reads {name}, and {DOCS.name} does not describe it"
    resources = template["Resources"].items()
    # A function whose code is in the template is none of the crates'.
    functions = {n for n, r in resources if r["Type"] == "AWS::Lambda::Function" and "ZipFile" not in r["Properties"]["Code"]}
    for function in sorted(functions ^ FUNCTIONS.keys()):
        yield f"{function} is not in both template.yaml and {__file__}"
    for name in template["Parameters"]:
        if f"`{name}`" not in DEPLOY_DOCS.read_text():
            yield f"{DEPLOY_DOCS.name} does not describe the parameter {name}"
    yield from open_by_default(template)


def main():
    claim = f"template.yaml sets and {DOCS.name} describes the settings that the functions read"
    return report("settings", faults(transformed()), claim)


if __name__ == "__main__":
    sys.exit(main())
