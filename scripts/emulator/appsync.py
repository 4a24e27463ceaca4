"""AppSync Events.

- AppSync checks a publisher as the API's configuration says: with AWS_IAM, by the rights of the role that signed. (ministack asks
  the Lambda authorizer for every operation, if there is one.)
- A channel namespace without modes of its own has those of its API. (ministack: those for publishing also for subscribing.)
- AppSync may invoke the authorizer only if the function's policy allows it.
"""

import json

from invocations import may_invoke
from mend import lacking
from ministack.core import iam_actions
from ministack.services import appsync_events

# ---------------------------------------------------------------------------------------------------------- modes
authorize = lacking(appsync_events, "_authorize_event_op", '"AWS_LAMBDA"')


async def authorize_by_modes(api, channel, operation, auth, *more):
    modes = appsync_events._operation_auth_modes(api, channel, operation)
    if "AWS_LAMBDA" in modes:
        return await authorize(api, channel, operation, auth, *more)
    return appsync_events._modes_accept(api, modes, auth)


appsync_events._authorize_event_op = authorize_by_modes

create_namespace = lacking(appsync_events, "_create_channel_namespace", "defaultSubscribeAuthModes")


def create_namespace_with_modes(api, body):
    if api in appsync_events._apis:
        modes = appsync_events._apis[api]["eventConfig"]["defaultSubscribeAuthModes"]
        body = json.dumps({"subscribeAuthModes": modes} | json.loads(body)).encode()
    return create_namespace(api, body)


appsync_events._create_channel_namespace = create_namespace_with_modes

# ------------------------------------------------------------------------------------------------------ authorizer
invoke = lacking(appsync_events, "_events_authorizer_invoke", "appsync.amazonaws.com")


def invoke_if_allowed(arn, api, *event):
    if not may_invoke(arn, "appsync.amazonaws.com", appsync_events._api_arn(api)):
        return False, None
    return invoke(arn, api, *event)


appsync_events._events_authorizer_invoke = invoke_if_allowed

# ------------------------------------------------------------------------------------------------------------- IAM
action_of = lacking(iam_actions, "extract_iam_action", "EventPublish")
arn_of = lacking(iam_actions, "extract_resource_arn", "channelNamespace")


def is_publication(service, method, path, headers):
    signed = headers.get("authorization", "").startswith("AWS4-")
    return service == "appsync-events" and method == "POST" and path == "/event" and signed


def action_with_publishing(service, method, path, headers, *more):
    if is_publication(service, method, path, headers):
        return "appsync:EventPublish"
    return action_of(service, method, path, headers, *more)


def arn_of_channels(service, method, path, headers, body, *more):
    if is_publication(service, method, path, headers):
        api = headers.get("host", "").split(".")[0]
        namespace = appsync_events._channel_namespace_for(json.loads(body).get("channel", ""))
        return appsync_events._channel_namespace_arn(api, namespace)
    return arn_of(service, method, path, headers, body, *more)


iam_actions.extract_iam_action = action_with_publishing
iam_actions.extract_resource_arn = arn_of_channels
