"""Compares the settings that the code reads with those that template.yaml sets and docs/configuration.md describes.
Also checks that a deployed API asks for tokens unless a stack says otherwise."""

import re
import sys

import transform
from common import ROOT

# The crates of the functions.
FUNCTIONS = {"ApiFunction": "api-lambda", "CollectorFunction": "progress-collector"}
DEPLOY_DOCS = ROOT / "docs" / "deploy.md"
DOCS = ROOT / "docs" / "configuration.md"
# Lambda sets the first (LoggingConfig). The others are right by default: ElastiCache's endpoint is a rediss:// URL with
# a certificate of a public authority, and the functions use its default user.
NOT_SET = {"AWS_LAMBDA_LOG_FORMAT", "REDIS_TLS", "REDIS_CA_CERT", "REDIS_USERNAME"}
# The SDK's own, some of which Lambda sets.
OF_AWS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
}
# Only tests set these.
OF_TESTS = {"FAULT_POINTS"}
# `shared` reads these for the other function.
OF_THE_OTHER = {"api-lambda": {"CHECKPOINTS_TABLE_NAME"}}
NAME = r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"'
FORMATS = ROOT / "shared" / "core" / "src" / "log_parser.rs"


def product_code(path):
    """The source of a file, without comments and tests."""
    return re.split(r"#\[cfg\(test\)\]\s*mod ", re.sub(r"(?m)^\s*//.*$", "", path.read_text()))[0]


def log_groups():
    """The settings that the table of log formats names: the collector's log group of each format."""
    return set(re.findall(f"environment_variable: {NAME}", FORMATS.read_text()))


def read_by(crate):
    """The settings that a function reads."""
    names = log_groups() if crate == "progress-collector" else set()
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
    for name, crate in FUNCTIONS.items():
        function = template["Resources"][name]["Properties"]
        given, read = set(function["Environment"]["Variables"]), read_by(crate) - OF_TESTS
        for name in sorted(read - given - NOT_SET - OF_THE_OTHER.get(crate, set())):
            yield f"{crate} reads {name}, and template.yaml does not set it"
        for name in sorted(given - read):
            yield f"template.yaml sets {name} for {crate}, which does not read it"
        for name in sorted(read - described):
            yield f"{crate} reads {name}, and {DOCS.name} does not describe it"
    for name in template["Parameters"]:
        if f"`{name}`" not in DEPLOY_DOCS.read_text():
            yield f"{DEPLOY_DOCS.name} does not describe the parameter {name}"
    yield from open_by_default(template)


def main():
    found = list(faults(transform.transformed()))
    for fault in found:
        print(fault, file=sys.stderr)
    print(f"  template.yaml sets and {DOCS.name} describes the settings that the functions read")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
