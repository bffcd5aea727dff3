"""The import of a town's survey: a workbook goes in by pieces, and each of its rows comes back with what became of it."""

import collections
import time

import grpc
from eldercare.registry.v1 import registry_service_pb2 as registry

from refusals import Refusal

PIECE = 256 * 1024
TRIES = 5


def imported(stub, workbook, town, import_id):
    """How many rows had which outcome, and the summary.

    No gRPC library calls a stream again by itself. The same workbook with the same `import_id` may be sent as often as it
    takes: what was done stays done, and every row is told again.
    """
    for attempt in range(TRIES):
        try:
            return _once(stub, workbook, town, import_id)
        except grpc.RpcError as error:
            refusal = Refusal(error)
            passing = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED)
            if refusal.code not in passing or attempt + 1 == TRIES:
                raise
            # Too many workbooks are on their way, say: the system says when there will be room.
            time.sleep(refusal.wait or 2.0**attempt)
    raise AssertionError("the last try has returned or raised")


def _once(stub, workbook, town, import_id):
    outcomes, summary = collections.Counter(), None
    for answer in stub.ImportSurvey(_pieces(workbook, town, import_id)):
        part = answer.WhichOneof("part")
        if part == "row":
            name = registry.SurveyOutcome.Name(answer.row.outcome)
            outcomes[name.removeprefix("SURVEY_OUTCOME_")] += 1
        elif part == "summary":
            summary = answer.summary
    return outcomes, summary


def _pieces(workbook, town, import_id):
    options = registry.ImportSurveyOptions(import_id=import_id, town_code=town)
    yield registry.ImportSurveyRequest(options=options)
    with open(workbook, "rb") as file:
        while piece := file.read(PIECE):
            yield registry.ImportSurveyRequest(chunk=piece)
