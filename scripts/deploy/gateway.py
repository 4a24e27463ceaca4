"""Checks the API of template.yaml: each line of its access log is JSON, and preflights need no token."""

import json
import re
import sys

from transform import Stack, report, transformed

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


def routes(template, values):
    """How each route of a stack with these parameters is authorized."""
    stack = Stack(template, values)
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::ApiGatewayV2::Route" and stack.exists(name):
            route = stack.properties(name)
            yield route["RouteKey"], route["AuthorizationType"]


def preflight_faults(template):
    """Paths whose preflights go to the authorizer: API Gateway answers them only where a route without one takes them.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
    """
    found = dict(routes(template, {"AuthAtGateway": "true", "CorsAllowedOrigins": "https://example.com"}))
    guarded = [key.removeprefix("ANY ") for key, authorization in found.items() if authorization == "JWT"]
    if not guarded:
        yield "AuthAtGateway=true guards no route"
    for path in guarded:
        if found.get(f"OPTIONS {path}") != "NONE":
            yield f"with AuthAtGateway, preflights of {path} need a token"


def main():
    template = transformed()
    found = [*log_faults(template["Resources"]), *preflight_faults(template)]
    return report("template.yaml", found, "each line of the access log is JSON, and preflights need no token")


if __name__ == "__main__":
    sys.exit(main())
