"""Refusals of the system: a code, a reason for programs, a text for people, and what to do about it."""

from google.rpc import error_details_pb2
from grpc_status import rpc_status

ERROR_INFO, BAD_REQUEST, LOCALISED, RETRY = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.LocalizedMessage,
    error_details_pb2.RetryInfo,
)


class Refusal:
    """What a failed call says.

    code: such as grpc.StatusCode.ABORTED
    reason: what a program goes by, in UPPER_SNAKE_CASE; empty where the call never reached the system
    fields: each field that is wrong, with its reason
    text: what an officer reads, in Chinese
    wait: in how many seconds it is worth trying again; None where the system does not say
    """

    def __init__(self, error):
        self.code = error.code()
        self.reason, self.fields, self.text, self.wait = "", {}, error.details(), None
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            if found := _unpacked(detail, ERROR_INFO):
                self.reason = found.reason
            elif found := _unpacked(detail, BAD_REQUEST):
                self.fields = {field.field: field.reason for field in found.field_violations}
            elif found := _unpacked(detail, LOCALISED):
                if found.locale == "zh-CN":
                    self.text = found.message
            elif found := _unpacked(detail, RETRY):
                self.wait = found.retry_delay.ToTimedelta().total_seconds()

    def __str__(self):
        return " ".join(filter(None, (self.code.name, self.reason, self.text)))


def _unpacked(detail, kind):
    """The detail if it is of this kind; None otherwise."""
    if not detail.Is(kind.DESCRIPTOR):
        return None
    message = kind()
    detail.Unpack(message)
    return message
