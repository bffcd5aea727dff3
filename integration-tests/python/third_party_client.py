"""Another department's program: it knows the address and a token, and learns the rest by reflection.

It registers an elder, imports a workbook, asks for what it wrote, and reads the details of refusals. Its last line says
`done` when everything was as it should be.
"""

import os
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

ADDRESS = os.environ["ELDERCARE_ADDRESS"]
TOKEN = os.environ["ELDERCARE_TOKEN"]
ID_NUMBER = os.environ["ELDERCARE_ID_NUMBER"]
VILLAGE = os.environ["ELDERCARE_VILLAGE"]
TOWN = os.environ["ELDERCARE_TOWN"]
WORKBOOK = os.environ["ELDERCARE_WORKBOOK"]

REGISTRY = "eldercare.registry.v1.RegistryService"
TIERING = "eldercare.tiering.v1.TieringService"


class Service:
    """The methods of a service, as reflection describes them."""

    def __init__(self, channel, pool, name):
        self.channel = channel
        self.service = pool.FindServiceByName(name)

    def request(self, method, **fields):
        kind = self.service.methods_by_name[method].input_type
        return message_factory.GetMessageClass(kind)(**fields)

    def call(self, method, argument, token=TOKEN):
        described = self.service.methods_by_name[method]
        answer = message_factory.GetMessageClass(described.output_type)
        shape = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, True): self.channel.stream_stream,
        }[(described.client_streaming, described.server_streaming)]
        made = shape(
            f"/{self.service.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        metadata = [("eldercare-purpose", "joint survey")]
        if token:
            metadata.append(("authorization", f"Bearer {token}"))
        return made(argument, metadata=metadata, timeout=60)


def details(error):
    """The typed details of a refusal."""
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(packed)
    assert status.code == error.code().value[0], "the details are about another status"
    found = {"locales": {}}
    for detail in status.details:
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.LocalizedMessage,
            error_details_pb2.ResourceInfo,
        ):
            if detail.Is(kind.DESCRIPTOR):
                message = kind()
                detail.Unpack(message)
                if kind is error_details_pb2.LocalizedMessage:
                    found["locales"][message.locale] = message.message
                else:
                    found[kind.DESCRIPTOR.name] = message
    return found


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call was not refused")


def check(what, holds):
    if not holds:
        sys.exit(f"failed: {what}")
    print(what)


def main():
    channel = grpc.insecure_channel(ADDRESS)
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    check("services are found by reflection", {REGISTRY, TIERING, "grpc.health.v1.Health"} <= services)
    pool = descriptor_pool.DescriptorPool(database)
    registry = Service(channel, pool, REGISTRY)
    tiering = Service(channel, pool, TIERING)

    # An elder, registered and read back.
    request = registry.request(
        "RegisterElder",
        request_id=str(uuid.uuid4()),
        name="林月娥",
        id_number=ID_NUMBER,
        division_code=VILLAGE,
        categories=["CATEGORY_EMPTY_NEST"],
        contacts=[{"name": "林海", "relation": "子", "phone": "13800138000", "supporter": True}],
    )
    registered = registry.call("RegisterElder", request)
    position = registered.committed.position
    check("an elder is registered", registered.elder_id and position.startswith("REGISTRY:"))
    again = registry.call("RegisterElder", request)
    check("a retry gets the first answer", again == registered)
    found = registry.call(
        "SearchElders", registry.request("SearchElders", id_number=ID_NUMBER.lower(), min_position=position)
    )
    check(
        "the elder is found by ID number",
        [(elder.elder_id, elder.name, elder.contacts[0].phone) for elder in found.elders]
        == [(registered.elder_id, "林月娥", "13800138000")],
    )
    tier = tiering.call("GetTier", tiering.request("GetTier", elder_id=registered.elder_id, min_position=position))
    check("the elder has a tier", tier.tier.assignment.tier == "GENERAL")

    # A workbook, sent by pieces.
    with open(WORKBOOK, "rb") as file:
        book = file.read()

    def pieces():
        options = {"import_id": str(uuid.uuid4()), "town_code": TOWN}
        yield registry.request("ImportSurvey", options=options)
        for start in range(0, len(book), 10_000):
            yield registry.request("ImportSurvey", chunk=book[start : start + 10_000])

    rows, summary = [], None
    for answer in registry.call("ImportSurvey", pieces()):
        part = answer.WhichOneof("part")
        if part == "row":
            rows.append(answer.row)
        elif part == "summary":
            summary = answer.summary
    check("every row of the workbook has its outcome", summary is not None and len(rows) == summary.rows > 0)
    accepted = [row.elder_id for row in rows if row.elder_id and row.outcome == 1]
    check("rows were accepted", len(accepted) == summary.accepted > 0)
    statistics = registry.call(
        "GetStatistics",
        registry.request("GetStatistics", division_code=TOWN, min_position=summary.position),
    )
    check("the statistics count them", statistics.elders == summary.accepted)

    # Refusals, with their details.
    error = refused(
        lambda: registry.call(
            "RegisterElder",
            registry.request(
                "RegisterElder",
                request_id="no uuid",
                id_number=ID_NUMBER[:-1],
                division_code=VILLAGE,
                contacts=[{"name": "林海", "phone": "12"}],
            ),
        )
    )
    told = details(error)
    check("a malformed request is an invalid argument", error.code() == grpc.StatusCode.INVALID_ARGUMENT)
    check("its reason is told", (told["ErrorInfo"].domain, told["ErrorInfo"].reason) == ("eldercare", "INVALID_REQUEST"))
    fields = {violation.field: violation.reason for violation in told["BadRequest"].field_violations}
    check(
        "each wrong field is named",
        fields
        == {
            "request_id": "UUID_INVALID",
            "name": "REQUIRED",
            "id_number": "ID_LENGTH",
            "contacts[0].phone": "PHONE_INVALID",
        },
    )
    check("people are told in Chinese and English", set(told["locales"]) == {"zh-CN", "en"})

    error = refused(
        lambda: registry.call(
            "RegisterElder",
            registry.request(
                "RegisterElder",
                request_id=str(uuid.uuid4()),
                name="林别人",
                id_number=ID_NUMBER,
                division_code=VILLAGE,
            ),
        )
    )
    told = details(error)
    check("a number that is taken is refused", error.code() == grpc.StatusCode.ALREADY_EXISTS)
    check("with its reason", told["ErrorInfo"].reason == "ID_NUMBER_REGISTERED")
    check("and without personal data", ID_NUMBER not in repr(error) and "林月娥" not in repr(error))

    error = refused(lambda: registry.call("GetElder", registry.request("GetElder", elder_id=str(uuid.uuid4()))))
    check("an unknown elder is not found", error.code() == grpc.StatusCode.NOT_FOUND)
    error = refused(lambda: registry.call("ListDivisions", registry.request("ListDivisions"), token=None))
    check("without a token nobody is let in", error.code() == grpc.StatusCode.UNAUTHENTICATED)
    check("and is told so", details(error)["ErrorInfo"].reason == "TOKEN_MISSING")
    print("done")


if __name__ == "__main__":
    main()
