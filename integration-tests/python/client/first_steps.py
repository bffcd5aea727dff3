"""A first program against the system, from which to start your own: an elder's file from registration to a change of it, a
search page by page, a survey's import, and what a refusal says.

Where the system is, the environment says (connection.py). Beside what it prints, nothing of the elders is told: ids and
counts, no names.
"""

import argparse
import datetime
import random
import sys
import uuid

import grpc
from eldercare.registry.v1 import registry_service_pb2 as registry
from eldercare.registry.v1 import registry_service_pb2_grpc as services
from eldercare.type.v1 import elder_pb2 as elders
from google.protobuf import field_mask_pb2

import connection
from refusals import Refusal
from survey import imported

VILLAGE = "350524100001"


def main():
    arguments = options()
    # One channel for the whole program: calls share its connections.
    with connection.opened("first steps") as channel:
        stub = services.RegistryServiceStub(channel)
        # Nobody else has the name, so that a search finds what this run has registered.
        name = f"示例{uuid.uuid4().hex[:8]}"
        elder_id, position = registers(stub, name)
        reads(stub, elder_id, position)
        searches(stub, name)
        changes(stub, elder_id)
        imports(stub, arguments)
        is_refused(stub)
        runs_out_of_time(stub)
    print("done")


def registers(stub, name):
    """Three elders: the first one's id, and the last one's position."""
    first = an_elder(name)
    registered = stub.RegisterElder(first)
    print(f"registered: {registered.elder_id}, at {registered.committed.position}")
    # The id of the request makes a retry safe, however late it comes: it is made once, and kept until there is an answer.
    again = stub.RegisterElder(first)
    print(f"sent again: {'the same answer' if again == registered else 'ANOTHER ANSWER'}")
    for elder in (an_elder(name), an_elder(name)):
        position = stub.RegisterElder(elder).committed.position
    return registered.elder_id, position


def reads(stub, elder_id, position):
    """Queries are answered by read models, a moment behind the log: `min_position` waits for what was just written."""
    elder = stub.GetElder(registry.GetElderRequest(elder_id=elder_id, min_position=position)).elder
    status = elders.ElderStatus.Name(elder.status).removeprefix("ELDER_STATUS_")
    print(f"read: {status}, village {elder.division_code}, version {'given' if elder.etag else 'MISSING'}")


def searches(stub, name):
    """Pages: the same request with the token of the page before, until there is no token any more."""
    request = registry.SearchEldersRequest(name=name, division_code=VILLAGE, page_size=2)
    pages, found = 0, 0
    while True:
        page = stub.SearchElders(request)
        pages, found = pages + 1, found + len(page.elders)
        # A page may hold fewer than were asked for: its token says whether it was the last.
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    print(f"found: {found} elders on {pages} pages")


def changes(stub, elder_id):
    """Only what the mask names is changed, and only where nobody else has changed the file since it was read."""
    read = stub.GetElder(registry.GetElderRequest(elder_id=elder_id)).elder
    committed = sets_remarks(stub, read, "喜欢下棋")
    print(f"changed: {'a new version' if committed.etag != read.etag else 'THE SAME VERSION'}")
    try:
        # Another officer, say, who has the file as it was before.
        sets_remarks(stub, read, "喜欢种花")
    except grpc.RpcError as error:
        refusal = Refusal(error)
        print(f"stale: {refusal}")
        if refusal.code is not grpc.StatusCode.ABORTED:
            raise
        # Blindly sent again it would undo what the other one wrote: read, decide anew, then write.
        request = registry.GetElderRequest(elder_id=elder_id, min_position=committed.position)
        read = stub.GetElder(request).elder
        sets_remarks(stub, read, f"{read.remarks}，喜欢种花")
        print("changed: upon what the other one wrote")


def sets_remarks(stub, elder, remarks):
    request = registry.UpdateElderRequest(
        request_id=str(uuid.uuid4()),
        elder_id=elder.elder_id,
        etag=elder.etag,
        profile=registry.ElderProfile(remarks=remarks),
        update_mask=field_mask_pb2.FieldMask(paths=["remarks"]),
    )
    return stub.UpdateElder(request).committed


def imports(stub, arguments):
    """Each row has its own outcome: one that is wrong keeps no other out."""
    outcomes, summary = imported(stub, arguments.workbook, arguments.town, str(uuid.uuid4()))
    told = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    print(f"imported: {summary.rows} rows: {told}")


def is_refused(stub):
    """What is wrong with a request is told field by field, before anything is written."""
    request = registry.RegisterElderRequest(
        request_id=str(uuid.uuid4()),
        id_number="35052419500101",
        division_code=VILLAGE,
        contacts=[elders.Contact(name="示例", phone="12")],
    )
    try:
        stub.RegisterElder(request)
    except grpc.RpcError as error:
        refusal = Refusal(error)
        print(f"refused: {refusal}")
        for field, reason in sorted(refusal.fields.items()):
            print(f"  {field}: {reason}")


def runs_out_of_time(stub):
    """A call's own deadline, where the published one is too long: here for a position that the log has not reached."""
    request = registry.GetStatisticsRequest(division_code=VILLAGE, min_position="REGISTRY:1000000000000")
    try:
        stub.GetStatistics(request, timeout=0.5)
    except grpc.RpcError as error:
        print(f"too late: {error.code().name}")


def an_elder(name):
    """An elder who lives alone, with an id of the request."""
    return registry.RegisterElderRequest(
        request_id=str(uuid.uuid4()),
        name=name,
        id_number=an_id_number(),
        division_code=VILLAGE,
        categories=[elders.CATEGORY_LIVING_ALONE],
    )


def an_id_number():
    """An ID number that is well formed and most likely nobody's (GB 11643): place, birthday, serial, check character."""
    born = datetime.date(1935, 1, 1) + datetime.timedelta(days=random.randrange(7_000))
    digits = f"350524{born:%Y%m%d}{random.randrange(1_000):03}"
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workbook", required=True, help="a town's survey, annex 3 (.xlsx)")
    parser.add_argument("--town", required=True, help="the town's code, nine digits")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as failed:
        sys.exit(f"failed: {Refusal(failed)}")
