"""IAM.

- Actions of CloudWatch Logs are checked against the ARN that ends with `:*`, as the service's reference has it.
- What AWS does in a role's name (Lambda, the Scheduler) needs the role's rights: see `role_may`.
- Each right that a role uses is written to the file RIGHTS_LOG: role, action, resource, allowed.
"""

import os

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
evaluate = iam_evaluator.evaluate


def evaluate_and_record(ctx, policies, *limits):
    result = evaluate(ctx, policies, *limits)
    # A resource without a policy leaves the decision to the role's policies.
    if ctx.principal_type == "AssumedRole" and any(policies):
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
