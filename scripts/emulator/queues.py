"""How Lambda reads queues: it needs the rights of the function's role. (ministack reads them without.)"""

from mend import lacking
from ministack.services import lambda_svc
from rights import role_may

invocations_at_once = lacking(lambda_svc, "_sqs_esm_concurrency", "iam_evaluator")


def allowed_at_once(mapping, function, config, queue):
    """None, if the role may not read the queue."""
    actions = ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
    allowed = [role_may(config["Role"], f"sqs:{action}", mapping["EventSourceArn"]) for action in actions]
    return invocations_at_once(mapping, function, config, queue) if all(allowed) else 0


lambda_svc._sqs_esm_concurrency = allowed_at_once
