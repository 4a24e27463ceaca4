"""Checks the API of template.yaml: each line of its access log is JSON."""

import json
import re
import sys

import transform

# Texts of API Gateway that are not escaped, or that have no quotes where they are missing:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
MESSAGES = {"authorizer.error", "error.message", "error.messageString"}


def log_faults(resources):
    """What can make a line of the access log something else than JSON."""
    form = resources["HttpApiStage"]["Properties"]["AccessLogSettings"]["Format"]
    variable = r"\$context\.([A-Za-z.]+)"
    for name in sorted(MESSAGES.intersection(re.findall(variable, form))):
        yield f"the access log has $context.{name}, which is not escaped"
    try:
        json.loads(re.sub(variable, "-", form))
    except ValueError as error:
        yield f"a line of the access log is not JSON where values are missing: {error}"


def main():
    resources = transform.transformed()["Resources"]
    found = list(log_faults(resources))
    for fault in found:
        print(f"template.yaml: {fault}", file=sys.stderr)
    print("  each line of the access log is JSON")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
