"""IAM.

- Actions of CloudWatch Logs are checked against the ARN that ends with `:*`, as the service's reference has it.
- What AWS does in a role's name (Lambda, the Scheduler) needs the role's rights: see `role_may`.
- Each right that a role uses is written to the file RIGHTS_LOG: role, action, resource, allowed.
"""

import os
import threading

from mend import lacking
from ministack.core import iam_actions, iam_evaluator, responses

seen = set()
record = open(os.environ["RIGHTS_LOG"], "a", buffering=1)

# ------------------------------------------------------------------------------------------------ CloudWatch Logs
arn_of = lacking(iam_actions, "extract_resource_arn", ":log-group:{group}:*")


def arn_as_logs_has_it(*args, **kwargs):
    arn = arn_of(*args, **kwargs)
    group = isinstance(arn, str) and ":log-group:" in arn and ":log-stream:" not in arn and not arn.endswith(":*")
    return f"{arn}:*" if group else arn


iam_actions.extract_resource_arn = arn_as_logs_has_it

# --------------------------------------------------------------------------------------------------------- record
evaluate, evaluate_resource_policy = iam_evaluator.evaluate, iam_evaluator.evaluate_resource_policy
of_resource = threading.local()


def resource_policy_not_recorded(*args, **kwargs):
    """The policy of a resource need not allow what a role's policy allows."""
    of_resource.evaluated = True
    try:
        return evaluate_resource_policy(*args, **kwargs)
    finally:
        of_resource.evaluated = False


iam_evaluator.evaluate_resource_policy = resource_policy_not_recorded


def evaluate_and_record(ctx, policies, *limits):
    result = evaluate(ctx, policies, *limits)
    if ctx.principal_type == "AssumedRole" and not getattr(of_resource, "evaluated", False):
        role = iam_evaluator._role_name_from_assumed_arn(ctx.principal_arn)
        line = f"{role} {ctx.action} {ctx.resource_arn} {result.decision}\n"
        if line not in seen:
            seen.add(line)
            record.write(line)
    return result


iam_evaluator.evaluate = evaluate_and_record


# -------------------------------------------------------------------------------------------------- AWS's own use
def role_may(role_arn, action, resource):
    """Whether a role allows an action that AWS does in its name."""
    account, name = responses.get_account_id(), role_arn.rsplit("/", 1)[-1]
    ctx = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/aws",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=responses.get_region(),
    )
    policies = iam_evaluator._gather_role_policies(name, account)
    return evaluate_and_record(ctx, policies).decision == "Allow"
