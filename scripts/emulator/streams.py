"""How Lambda reads streams of DynamoDB, for mappings with ReportBatchItemFailures.

The function's response says from which record on it failed. Lambda goes on there, and gives a record up after
MaximumRetryAttempts, to the failure destination if there is one. It needs the rights of the function's role. (ministack takes each batch
for done.)
"""

import logging
import time

from mend import lacking
from ministack.core import responses
from ministack.services import dynamodb, lambda_svc
from rights import role_may

log = logging.getLogger("mended")
poll_others = lacking(lambda_svc, "_poll_dynamodb_streams", "batchItemFailures")
RETRY_SECONDS = 0.2
attempts, positions, not_before = {}, {}, {}


def reports_failures(mapping):
    return "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", [])


def failed_record(batch, result):
    """The index of the first record that the function did not handle."""
    if result.get("error"):
        return 0
    failures = (result.get("body") or {}).get("batchItemFailures") or []
    failed = {failure["itemIdentifier"] for failure in failures}
    numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
    return next((i for i, number in enumerate(numbers) if number in failed), len(batch))


def read(mapping):
    """Invokes a mapping's function with the next batch. Whether there was one."""
    name, arn, stream = mapping["UUID"], mapping["FunctionArn"], mapping["EventSourceArn"]
    table = stream.split("/stream/")[0].rsplit("/", 1)[-1]
    if name not in positions:
        positions[name] = lambda_svc._dynamodb_stream_positions.get(name, dynamodb.stream_end_position(table))
    position = positions[name]
    records = dynamodb.stream_records_since(table, position, mapping.get("BatchSize", 100))
    if not records or not_before.get(name, 0) > time.monotonic():
        return False
    function, config = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    # A mapping may be read while its stack is being deleted.
    if function is None:
        return False
    role = config["Role"]
    for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"):
        if not role_may(role, f"dynamodb:{action}", stream):
            mapping["LastProcessingResult"] = "PROBLEM: Lambda failed to assume your function execution role."
            return False
    batch = lambda_svc._apply_filter_criteria(list(records), mapping)
    if not batch:
        positions[name] = position + len(records)
        return True
    result = lambda_svc._execute_function(function, {"Records": batch})
    failed = failed_record(batch, result)
    if failed == len(batch):
        positions[name] = position + len(records)
        attempts.pop(name, None)
        mapping["LastProcessingResult"] = "OK"
        return True
    positions[name] = position + records.index(batch[failed])
    attempts[name] = 1 if failed else attempts.get(name, 0) + 1
    mapping["LastProcessingResult"] = "FAILED"
    not_before[name] = time.monotonic() + RETRY_SECONDS
    if 0 <= mapping.get("MaximumRetryAttempts", -1) < attempts[name]:
        destination = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        if destination and role_may(role, "sqs:SendMessage", destination):
            lambda_svc._send_ddb_stream_failure_record(
                mapping, function, batch[failed:], stream, result, "RetryAttemptsExhausted"
            )
        positions[name] = position + len(records)
        attempts.pop(name)
    return False


def poll():
    busy = False
    for account, region, mapping in list(lambda_svc._iter_all_esms()):
        if not reports_failures(mapping) or ":dynamodb:" not in mapping.get("EventSourceArn", ""):
            continue
        responses.set_request_account_id(account)
        responses.set_request_region(region)
        if mapping.get("Enabled", True):
            try:
                busy = read(mapping) or busy
            except Exception:
                log.exception("reading %s failed", mapping["EventSourceArn"])
    return busy


def poll_all():
    """ministack's own reading sees only mappings without ReportBatchItemFailures."""
    all_mappings = lambda_svc._iter_all_esms
    lambda_svc._iter_all_esms = lambda: (m for m in all_mappings() if not reports_failures(m[2]))
    try:
        busy = poll_others()
    finally:
        lambda_svc._iter_all_esms = all_mappings
    return poll() or busy


lambda_svc._poll_dynamodb_streams = poll_all
