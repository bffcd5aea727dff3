"""That `mesh.py` finds what it is there to find: one fault at a time is put into a mesh that has none.

    python3 .ci/mesh_finds_faults.py proto k8s/components/mesh
"""

import copy
import sys

from mesh import Mesh, accounts, contracts, inbound, outbound


def pick(mesh, kind, name):
    return next(one for one in mesh.resources if (one["kind"], one["metadata"]["name"]) == (kind, name))


def matches(mesh, route):
    return pick(mesh, "GRPCRoute", route)["spec"]["rules"][0]["matches"]


def annotations(mesh, route):
    return pick(mesh, "GRPCRoute", route)["metadata"]["annotations"]


def move(mesh, method, here, there):
    match = next(one for one in matches(mesh, here) if one["method"]["method"] == method)
    matches(mesh, here).remove(match)
    matches(mesh, there).append(match)


def let(mesh, policy, whom):
    pick(mesh, "AuthorizationPolicy", policy)["spec"]["requiredAuthenticationRefs"][0]["name"] = whom


def drop(mesh, kind, name):
    mesh.resources.remove(pick(mesh, kind, name))


# What is done to the mesh, and what is then to be said.
FAULTS = [
    (lambda m: matches(m, "visits-reads").pop(), "stands in 0 routes of those who call"),
    (lambda m: matches(m, "visits-commands").append(matches(m, "visits-reads")[0]), "stands in 2 routes of those who call"),
    (lambda m: move(m, "RecordVisit", "visits-commands", "visits-reads"), "VisitService/RecordVisit is asked again"),
    (lambda m: move(m, "GetPlan", "visits-reads", "visits-commands"), "VisitService/GetPlan is not asked again"),
    (lambda m: move(m, "WatchAlerts", "alerts-streams", "alerts-commands"), "AlertService/WatchAlerts is cut off"),
    (lambda m: annotations(m, "claims-commands").pop("timeout.linkerd.io/request"), "ClaimsService/DefineProgramme may take for ever"),
    (lambda m: matches(m, "tiering-reads")[0]["method"].update(method="GetTear"), "there is no eldercare.tiering.v1.TieringService/GetTear"),
    (lambda m: move(m, "GetTier", "tiering-reads", "visits-reads"), "visits does not serve"),
    (lambda m: pick(m, "GRPCRoute", "claims-reads")["spec"]["rules"][0]["backendRefs"][0].update(name="visits"), "leads elsewhere"),
    (lambda m: matches(m, "registry-reads").extend(matches(m, "registry-reads") * 7), "more than 64 methods"),
    (lambda m: drop(m, "GRPCRoute", "registry-keys"), "VaultService/GetKeys stands in 0 routes of registry"),
    (lambda m: let(m, "registry-keys", "callers"), "VaultService/GetKeys is open to ['callers']"),
    (lambda m: drop(m, "AuthorizationPolicy", "alerts-raise-visits"), "AlertService/RaiseAlert is open to ['callers']"),
    (lambda m: let(m, "visits-callers", "visits"), "VisitService/RegisterVisitor is open to ['visits']"),
    (lambda m: drop(m, "AuthorizationPolicy", "sharing-health"), "nodes can't ask how sharing is"),
    (lambda m: pick(m, "Server", "claims-grpc")["spec"].update(accessPolicy="all-unauthenticated"), "server claims-grpc is open"),
    (lambda m: pick(m, "AuthorizationPolicy", "visits-callers")["spec"]["targetRef"].update(kind="Server"), "is for no single route"),
    (lambda m: pick(m, "MeshTLSAuthentication", "services-with-keys")["spec"]["identityRefs"].append({"kind": "ServiceAccount", "name": "tiering"}),
     "services-with-keys are not just"),
    (lambda m: pick(m, "MeshTLSAuthentication", "callers")["spec"].update(identities=["*"]), "callers are of no single namespace"),
]


def main(proto, component):
    rpcs, whole = contracts(proto), Mesh(component)
    missed = 0
    for change, wanted in FAULTS:
        mesh = copy.deepcopy(whole)
        change(mesh)
        told = [*outbound(mesh, rpcs), *inbound(mesh, rpcs), *accounts(mesh)]
        if not any(wanted in fault for fault in told):
            missed += 1
            print(f"nobody says: {wanted}; but {told}", file=sys.stderr)
    print(f"{len(FAULTS) - missed} of {len(FAULTS)} faults are found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
