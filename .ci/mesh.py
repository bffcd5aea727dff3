"""That the mesh knows every RPC of the contracts, and does with each what may be done with it.

    python3 .ci/mesh.py proto k8s/components/mesh

Each RPC that a cluster serves stands in just one route of those who call; is asked again only if it reads and is no stream,
and has a limit of time only if it is no stream; and is open to those callers alone who are meant to call it.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import yaml

# For one machine alone: no cluster serves it.
LOCAL = {"eldercare.simulation.v1.SimulationService"}
# An RPC whose name begins so changes nothing; it leaves a record of who was told what, and a second one where it is repeated.
READS = {"Get", "BatchGet", "List", "Search", "Count", "Explain", "Find", "Query", "Export"}
# Who may call what, beside `callers`, from outside, who may call the rest.
KEYS = {f"eldercare.registry.v1.VaultService/{method}": {"services-with-keys"} for method in ("GetKeys", "CreateKeys")}
OPEN_TO = {**KEYS, "eldercare.alerts.v1.AlertService/RaiseAlert": {"visits", "callers"}}
HEALTH = "grpc.health.v1.Health"
ACCOUNTS = {"services-with-keys": {"visits", "alerts", "claims", "sharing"}, "visits": {"visits"}}
RETRY, TIMEOUT = "retry.linkerd.io/", "timeout.linkerd.io/"
# The API takes no more.
MOST_MATCHES = 64


def contracts(folder):
    """RPCs by their full names: whether one is a stream."""
    rpcs = {}
    for file in sorted(Path(folder).glob("eldercare/*/v1/*_service.proto")):
        text = re.sub(r"//.*", "", file.read_text())
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)[1]
        for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            for method, asks, answers in re.findall(r"rpc (\w+)\(\s*(stream )?[\w.]+\s*\)\s*returns\s*\(\s*(stream )?[\w.]+\s*\)", body):
                if f"{package}.{service}" not in LOCAL:
                    rpcs[f"{package}.{service}/{method}"] = bool(asks or answers)
    return rpcs


def reads(rpc):
    verb = re.match(r"BatchGet|[A-Z][a-z]+", rpc.partition("/")[2])
    return verb is not None and verb[0] in READS


class Mesh:
    """The resources of the component."""

    def __init__(self, folder):
        documents = (yaml.safe_load_all(file.read_text()) for file in sorted(Path(folder).glob("*.yaml")))
        self.resources = [one for some in documents for one in some if isinstance(one, dict) and "metadata" in one]

    def of(self, kind):
        return [one for one in self.resources if one["kind"] == kind]

    def routes(self, parent):
        """Routes whose parent is of this kind, with what they match: service and method, the latter perhaps any."""
        for route in self.of("GRPCRoute"):
            (only,) = route["spec"]["parentRefs"]
            if only["kind"] == parent:
                rules = route["spec"]["rules"]
                matches = [match["method"] for rule in rules for match in rule["matches"]]
                yield route, [(match["service"], match.get("method")) for match in matches]

    def allowed(self):
        """Whom policies let use a route, by its name; under no name, which policies are of another kind."""
        allowed = defaultdict(set)
        for policy in self.of("AuthorizationPolicy"):
            target, required = policy["spec"]["targetRef"], policy["spec"]["requiredAuthenticationRefs"]
            if (target["kind"], len(required)) == ("GRPCRoute", 1):
                allowed[target["name"]].add(required[0]["name"])
            else:
                allowed[None].add(f"policy {name(policy)} is for no single route, or asks for two things at once")
        return allowed


def name(one):
    return one["metadata"]["name"]


def served_by(rpc):
    """The service of the cluster that serves an RPC: its context."""
    return rpc.split(".")[1]


def outbound(mesh, rpcs):
    found = defaultdict(list)
    for route, matches in mesh.routes("Service"):
        annotations = route["metadata"].get("annotations", {})
        service = route["spec"]["parentRefs"][0]["name"]
        backends = {backend["name"] for rule in route["spec"]["rules"] for backend in rule["backendRefs"]}
        if backends != {service}:
            yield f"route {name(route)} leads elsewhere"
        if len(matches) > MOST_MATCHES:
            yield f"route {name(route)} matches more than {MOST_MATCHES} methods"
        for called, method in matches:
            rpc = f"{called}/{method}"
            found[rpc].append(name(route))
            if rpc not in rpcs:
                yield f"route {name(route)}: there is no {rpc}"
                continue
            if served_by(rpc) != service:
                yield f"route {name(route)}: {service} does not serve {rpc}"
            again = any(key.startswith(RETRY) for key in annotations)
            if again != (reads(rpc) and not rpcs[rpc]):
                yield f"{rpc} is {'asked again' if again else 'not asked again'}"
            if any(key.startswith(TIMEOUT) for key in annotations) == rpcs[rpc]:
                yield f"{rpc} {'is cut off' if rpcs[rpc] else 'may take for ever'}"
    for rpc in rpcs:
        if len(found[rpc]) != 1:
            yield f"{rpc} stands in {len(found[rpc])} routes of those who call: {', '.join(found[rpc]) or 'none'}"


def inbound(mesh, rpcs):
    allowed = mesh.allowed()
    yield from sorted(allowed.pop(None, set()))
    servers = {name(one): one["spec"] for one in mesh.of("Server")}
    by_match = defaultdict(list)
    for route, matches in mesh.routes("Server"):
        server = servers.get(route["spec"]["parentRefs"][0]["name"])
        if server is None:
            yield f"route {name(route)}: there is no such server"
            continue
        service = server["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for called, method in matches:
            by_match[service, called, method].append(name(route))
    for service, server in sorted(servers.items()):
        if (server["proxyProtocol"], server.get("accessPolicy", "deny"), server["port"]) != ("gRPC", "deny", "grpc"):
            yield f"server {service} is open, or is no gRPC"
    used = set()
    for rpc in rpcs:
        service, (called, _, method) = served_by(rpc), rpc.partition("/")
        # The more particular match prevails.
        routes = by_match[service, called, method] or by_match[service, called, None]
        used.update(routes)
        if len(routes) != 1:
            yield f"{rpc} stands in {len(routes)} routes of {service}"
            continue
        wanted = OPEN_TO.get(rpc, {"callers"})
        if allowed[routes[0]] != wanted:
            yield f"{rpc} is open to {sorted(allowed[routes[0]])}, and is for {sorted(wanted)}"
    for service in sorted({served_by(rpc) for rpc in rpcs}):
        routes = by_match[service, HEALTH, None]
        used.update(routes)
        if len(routes) != 1 or allowed[routes[0]] != {"nodes"}:
            yield f"nodes can't ask how {service} is"
    for route, _ in mesh.routes("Server"):
        if name(route) not in used:
            yield f"route {name(route)} is for nothing that is served"


def accounts(mesh):
    known = {name(one): one["spec"] for one in mesh.of("MeshTLSAuthentication")}
    for authentication, wanted in ACCOUNTS.items():
        refs = known.get(authentication, {}).get("identityRefs", [])
        if {ref["name"] for ref in refs if ref["kind"] == "ServiceAccount" and "namespace" not in ref} != wanted or len(refs) != len(wanted):
            yield f"{authentication} are not just {sorted(wanted)}"
    for identity in known.get("callers", {}).get("identities", ["*"]):
        if not re.fullmatch(r"(\*|[\w-]+)\.[a-z][\w-]*\.serviceaccount\.identity\.linkerd\.[\w.]+", identity):
            yield f"callers are of no single namespace: {identity}"


def main(proto, component):
    rpcs, mesh = contracts(proto), Mesh(component)
    faults = [*outbound(mesh, rpcs), *inbound(mesh, rpcs), *accounts(mesh)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if len(rpcs) < 100:
        print(f"only {len(rpcs)} RPCs were found in {proto}", file=sys.stderr)
        return 1
    print(f"{len(rpcs)} RPCs, each with its routes")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
