"""Compares the settings that the code reads with those that template.yaml sets and the README names, and sees to it that
tokens are asked for by default."""

import re
import sys

import transform
from iam import FUNCTIONS, ROOT

# Set by Lambda (LoggingConfig), or right as they are: ElastiCache's endpoint is a rediss:// URL, with a certificate of a
# public authority, and knows us by the default user.
NOT_OURS = {"AWS_LAMBDA_LOG_FORMAT", "REDIS_TLS", "REDIS_CA_CERT", "REDIS_USERNAME"}
# The SDK's own, which everybody knows, and some of which Lambda sets.
OF_AWS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
}
# For tests, and nothing to set on AWS.
OF_TESTS = {"FAULT_POINTS"}
# What `shared` reads for the other function alone.
OF_ONE = {"api-lambda": {"CHECKPOINTS_TABLE_NAME"}}
NAME = r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"'


def read_by(crate):
    """The settings that a function reads: where they are asked for by name."""
    names = set()
    for folder in (crate, "shared"):
        for path in (ROOT / folder / "src").rglob("*.rs"):
            text = re.sub(r"(?m)^\s*//.*$", "", path.read_text()).split("#[cfg(test)]", 1)[0]
            if "Settings" in text or path.name == "main.rs":
                names |= set(re.findall(NAME, text))
    return names - OF_AWS


def lets_everybody_in(template):
    """Where tokens are not asked for though nobody has said so for their own stack. `local` alone may be so."""
    parameter = template["Parameters"]["AuthMode"]
    if parameter["Default"] != "jwt":
        yield f"template.yaml: AuthMode is {parameter['Default']} where it is not set"
    mode = template["Resources"]["ApiFunction"]["Properties"]["Environment"]["Variables"]["AUTH_MODE"]
    if mode != {"Ref": "AuthMode"}:
        yield f"template.yaml: AUTH_MODE is {mode}, whatever AuthMode is"
    files = [ROOT / "samconfig.toml", *(ROOT / ".github").rglob("*.y*ml")]
    for path in files:
        if re.search(r"(?i)auth_?mode\W+none", path.read_text()):
            yield f"{path.relative_to(ROOT)}: AuthMode is none"
    # `Auth::none()` and the setting in services.rs are how `local` does it. What `properties` has is of tests.
    for path in ROOT.glob("*/src/**/*.rs"):
        if "properties" in path.parts:
            continue
        text = re.sub(r"(?m)^\s*//.*$", "", path.read_text()).split("#[cfg(test)]", 1)[0]
        if path.relative_to(ROOT).parts[0] != "local" and re.search(r'Auth::none\(\)|"AUTH_MODE",\s*"none', text):
            yield f"{path.relative_to(ROOT)}: tokens are not asked for"


def main():
    template = transform.transformed()
    resources = template["Resources"]
    readme = set(re.findall(r"(?m)^\| `([A-Z0-9_]+)` \|", (ROOT / "README.md").read_text()))
    good = True

    def differ(names, text):
        nonlocal good
        for name in sorted(names):
            print(f"{name} {text}")
            good = False

    used = set()
    for role, (crate, _) in FUNCTIONS.items():
        function = resources[role.removesuffix("Role") + "Function"]["Properties"]
        given = set(function["Environment"]["Variables"])
        read = read_by(crate)
        used |= read
        missing = read - given - NOT_OURS - OF_TESTS - OF_ONE.get(crate, set())
        differ(missing, f"is read by {crate}, and template.yaml does not set it")
        for name in sorted(given - read):
            print(f"  {name} is set for {crate}, which does not read it yet")
    differ(used - readme - OF_TESTS, "is read, and the README does not name it")
    for text in lets_everybody_in(template):
        print(text)
        good = False
    print(f"  {len(used)} settings are set by template.yaml and named in the README")
    if not good:
        sys.exit("settings differ")


if __name__ == "__main__":
    main()
