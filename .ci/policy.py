"""What we ask of manifests beyond their form: that nothing runs with more rights than it needs, that no node's end ends a
service, that whatever is named is there.

    python3 .ci/policy.py --secrets k8s/secrets.example/README.md [--trial OVERLAY]... FILE...

Each FILE is what an overlay becomes, and is judged as a whole. A fault is a line on standard error. A trial (FILE without its
ending) makes its own secrets, and needs no backups.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

import yaml

LONG_RUNNING = {"Deployment", "StatefulSet", "DaemonSet"}
WORKLOADS = LONG_RUNNING | {"Job", "CronJob"}
# Whoever installs the operator of the databases has it make this one.
MADE_BY_OPERATORS = {"eldercare-postgres-ca"}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class System:
    """All resources of an overlay."""

    def __init__(self, resources):
        self.resources = [one for one in resources if one]

    def of(self, *kinds):
        return [one for one in self.resources if one["kind"] in kinds]

    def workloads(self):
        for one in self.of(*WORKLOADS):
            template = run_by(one)["template"]
            yield one, template["metadata"].get("labels", {}), template["spec"]

    def replicas(self, workload):
        """How many there are at least."""
        for scaler in self.of("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) == (workload["kind"], name(workload)):
                return scaler["spec"].get("minReplicas", 1)
        return workload["spec"].get("replicas", 1)


def name(one):
    return one["metadata"]["name"]


def component(one):
    return one.get("metadata", {}).get("labels", {}).get("app.kubernetes.io/component")


def run_by(workload):
    """What has the template of pods: of a job by the clock, the job."""
    return workload["spec"]["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else workload["spec"]


def selects(selector, labels):
    """Whether a selector of the kind with `matchLabels` has these labels in mind."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(
        {"In": labels.get(one["key"]) in one.get("values", []), "Exists": one["key"] in labels}.get(one["operator"], False)
        for one in selector.get("matchExpressions") or []
    )


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def runs_on(container):
    """Whether it runs as long as the pod does."""
    return container.get("restartPolicy") == "Always"


def pods_have_few_rights(system):
    for one, _, pod in system.workloads():
        context = pod.get("securityContext", {})
        if pod.get("automountServiceAccountToken") is not False:
            yield one, "a token of the API server is mounted: automountServiceAccountToken is not false"
        if pod.get("serviceAccountName", "default") == "default":
            yield one, "it has no service account of its own"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield one, "seccompProfile is not RuntimeDefault"
        if any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
            yield one, "it shares the node's network, processes or memory"
        if any("hostPath" in volume for volume in pod.get("volumes", [])):
            yield one, "it mounts a path of the node"
        for container in containers(pod):
            own = {**{key: context[key] for key in ("runAsNonRoot", "runAsUser") if key in context},
                   **container.get("securityContext", {})}
            capabilities = own.get("capabilities", {})
            judged = [
                (own.get("runAsNonRoot") is True and own.get("runAsUser", 1) != 0, "may run as root"),
                (own.get("readOnlyRootFilesystem") is True, "may write to its root file system"),
                (own.get("allowPrivilegeEscalation") is False, "may gain privileges"),
                (not own.get("privileged"), "is privileged"),
                (capabilities.get("drop") == ["ALL"] and not capabilities.get("add"), "keeps capabilities"),
                (not any("hostPort" in port for port in container.get("ports", [])), "takes a port of the node"),
            ]
            for holds, fault in judged:
                if not holds:
                    yield one, f"container {container['name']} {fault}"


def containers_are_bounded(system):
    for one, _, pod in system.workloads():
        for container in containers(pod):
            resources = container.get("resources", {})
            for kind in ("requests", "limits"):
                for what in ("cpu", "memory"):
                    if what not in resources.get(kind, {}):
                        yield one, f"container {container['name']} has no {kind} of {what}"


def images_are_fixed(system):
    for one, _, pod in system.workloads():
        for container in containers(pod):
            image = container["image"]
            tag = image.rpartition("/")[2].partition(":")[2]
            if "@sha256:" not in image and tag in ("", "latest"):
                yield one, f"container {container['name']} runs whatever {image} is that day"


def probes_are_set(system):
    for one, _, pod in system.workloads():
        if one["kind"] not in LONG_RUNNING:
            continue
        stay = pod["containers"] + [c for c in pod.get("initContainers", []) if runs_on(c)]
        listening = [container for container in stay if container.get("ports")]
        if not listening:
            yield one, "no container says where it listens"
        for container in listening:
            for probe in ("livenessProbe", "readinessProbe"):
                if probe not in container:
                    yield one, f"container {container['name']} has no {probe}"
        for container in stay:
            ready, alive = (container.get(probe, {}).get("grpc") for probe in ("readinessProbe", "livenessProbe"))
            if ready is not None and ready == alive:
                yield one, f"container {container['name']} is killed where it is merely not ready: both probes ask the same"


def jobs_end(system):
    meshed = any(
        one["metadata"].get("annotations", {}).get("linkerd.io/inject") == "enabled" for one in system.of("Namespace")
    )
    for one in system.of("Job", "CronJob"):
        job = run_by(one)
        if "backoffLimit" not in job:
            yield one, "it does not say how often it is tried: backoffLimit"
        annotations = job["template"]["metadata"].get("annotations", {})
        if meshed and annotations.get("linkerd.io/inject") != "disabled":
            yield one, "the mesh puts a proxy beside it, which outlives it"
        if one["kind"] == "Job":
            continue
        judged = [
            (one["spec"].get("concurrencyPolicy") in ("Forbid", "Replace"), "may run beside itself: concurrencyPolicy"),
            ("timeZone" in one["spec"], "does not say whose hours its schedule means: timeZone"),
            ("startingDeadlineSeconds" in one["spec"],
             "is never started again once a hundred were missed: startingDeadlineSeconds"),
            ("activeDeadlineSeconds" in job, "may hang for ever, and no other is started: activeDeadlineSeconds"),
            (component(one["spec"]["jobTemplate"]) == component(one),
             "has jobs that are not found by its component: the jobTemplate's own labels"),
        ]
        for holds, fault in judged:
            if not holds:
                yield one, f"it {fault}"


def log_is_backed_up(system):
    """Nothing else gives it back."""
    commands = [
        container.get("args", [])
        for one, _, pod in system.workloads() if one["kind"] == "CronJob"
        for container in containers(pod)
    ]
    backups = [words for words in commands if words[:1] == ["backup"]]
    if not any("--erasures-only" not in words for words in backups):
        yield None, "no CronJob backs the log up"
    if not any("--erasures-only" in words for words in backups):
        yield None, "no CronJob notes who was erased since a backup"


def volumes_are_there(system):
    claims = {name(one) for one in system.of("PersistentVolumeClaim")}
    for one, _, pod in system.workloads():
        for volume in pod.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim is not None and claim not in claims:
                yield one, f"volume claim {claim} is not there"


def nodes_may_go(system):
    for one, labels, pod in system.workloads():
        if one["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        if one["kind"] == "Deployment":
            update = one["spec"].get("strategy", {}).get("rollingUpdate", {})
            if system.replicas(one) > 1 and update.get("maxUnavailable") != 0:
                yield one, "an update takes replicas away before new ones serve: maxUnavailable is not 0"
        if system.replicas(one) < 2:
            continue
        if not any(selects(budget["spec"].get("selector"), labels) for budget in system.of("PodDisruptionBudget")):
            yield one, "no PodDisruptionBudget keeps some of it while nodes are drained"
        spread = {
            constraint["topologyKey"]
            for constraint in pod.get("topologySpreadConstraints", [])
            if selects(constraint.get("labelSelector"), labels) and constraint["labelSelector"].get("matchLabels")
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone"):
            if key not in spread:
                yield one, f"its replicas are not spread over {key}"


def autoscalers_alone_decide(system):
    known = {(one["kind"], name(one)): one for one in system.of(*WORKLOADS)}
    for scaler in system.of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        workload = known.get((target["kind"], target["name"]))
        if workload is None:
            yield scaler, "it scales what is not there"
        elif "replicas" in workload["spec"]:
            yield workload, "it says how many replicas there are, and so does its autoscaler"


def budgets_and_services_find_their_pods(system):
    pods = [(labels, pod) for _, labels, pod in system.workloads()]
    clusters = [{"cnpg.io/cluster": name(one)} for one in system.of("Cluster")]
    for budget in system.of("PodDisruptionBudget"):
        selector = budget["spec"].get("selector") or {}
        if not (selector.get("matchLabels") or selector.get("matchExpressions")):
            yield budget, "it selects every pod there is"
        elif not any(selects(selector, labels) for labels in [labels for labels, _ in pods] + clusters):
            yield budget, "it selects no pod"
    for service in system.of("Service"):
        selector = service["spec"].get("selector")
        if not selector:
            yield service, "it selects no pod"
            continue
        found = [pod for labels, pod in pods if selects({"matchLabels": selector}, labels)]
        if not found and not any("cnpg.io/cluster" in key for key in selector):
            yield service, "it selects no pod"
        offered = {
            port[field]
            for pod in found
            for container in containers(pod)
            for port in container.get("ports", [])
            for field in ("name", "containerPort")
            if field in port
        }
        for port in service["spec"]["ports"]:
            if found and port.get("targetPort", port["port"]) not in offered:
                yield service, f"no container listens on {port.get('targetPort', port['port'])}"


def network_is_closed(system):
    policies = system.of("NetworkPolicy")
    places = {one["metadata"].get("namespace") for one, _, _ in system.workloads()}
    for place in sorted(places, key=str):
        for direction in ("Ingress", "Egress"):
            if not any(
                policy["metadata"].get("namespace") == place
                and not policy["spec"]["podSelector"]
                and direction in policy["spec"]["policyTypes"]
                and not policy["spec"].get(direction.lower())
                for policy in policies
            ):
                yield None, f"namespace {place}: {direction} is open where no policy says otherwise: there is no default-deny"
    for policy in policies:
        for direction, whom in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                if not rule.get(whom) or any(peer == {} or peer.get("namespaceSelector") == {} for peer in rule[whom]):
                    yield policy, f"{direction} is open to everybody"
                if not rule.get("ports"):
                    yield policy, f"{direction} is open on every port"
        if not any(policy["spec"].get(direction) for direction in ("ingress", "egress")) and policy["spec"]["podSelector"]:
            yield policy, "it opens nothing"


def opened(system, direction, labels):
    """The peers and the port of each rule by which pods with these labels reach others (egress), or are reached (ingress)."""
    for policy in system.of("NetworkPolicy"):
        if selects(policy["spec"]["podSelector"], labels):
            for rule in policy["spec"].get(direction, []):
                peers = rule.get("to" if direction == "egress" else "from", [])
                yield from ((peers, port["port"]) for port in rule.get("ports", []))


def way_is_open(system, direction, labels, port, others):
    return any(
        open_port == port and any(selects(peer.get("podSelector"), others) for peer in peers)
        for peers, open_port in opened(system, direction, labels)
    )


def who_has_a_user_reaches_the_log(system):
    log = next((labels for one, labels, _ in system.workloads() if name(one) == "nats"), {})
    for one, labels, pod in system.workloads():
        known = {entry["name"] for container in containers(pod) for entry in container.get("env", [])}
        if "ELDERCARE_NATS__USER" not in known:
            continue
        there = way_is_open(system, "egress", labels, 4222, log)
        if not (there and way_is_open(system, "ingress", log, 4222, labels)):
            yield one, "it has a user of the log's servers, and no policy opens the way there"


def who_has_a_password_reaches_the_databases(system):
    clusters = [{"cnpg.io/cluster": name(one)} for one in system.of("Cluster")]
    for one, labels, pod in system.workloads():
        known = {entry["name"] for container in containers(pod) for entry in container.get("env", [])}
        if not any(variable.endswith("PGPASSWORD") for variable in known):
            continue
        for cluster in clusters:
            there = way_is_open(system, "egress", labels, 5432, cluster)
            if not (there and way_is_open(system, "ingress", cluster, 5432, labels)):
                yield one, f"it has a password of {cluster['cnpg.io/cluster']}, and no policy opens the way there"


def by_hand_alone(system):
    """What is here to make jobs from by hand does not begin by itself."""
    for one in system.of("CronJob"):
        if component(one) == "maintenance" and not one["spec"].get("suspend"):
            yield one, "it begins by itself: it is not suspended"


def who_comes_from_outside_is_known(system):
    for service in system.of("Service"):
        if service["spec"].get("type") not in ("LoadBalancer", "NodePort"):
            continue
        if service["spec"].get("externalTrafficPolicy") != "Local":
            yield service, "policies see a node's address, not the caller's: externalTrafficPolicy is not Local"
        for _, labels, pod in system.workloads():
            if not selects({"matchLabels": service["spec"]["selector"]}, labels):
                continue
            numbers = {port.get("name"): port["containerPort"] for one in containers(pod) for port in one.get("ports", [])}
            reached = {
                port for peers, port in opened(system, "ingress", labels) if any("ipBlock" in peer for peer in peers)
            }
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                if numbers.get(target, target) not in reached:
                    yield service, f"no policy lets addresses outside the cluster reach {target}"


def namespaces_are_restricted(system):
    namespaces = {name(one): one["metadata"].get("labels", {}) for one in system.of("Namespace")}
    for one in system.resources:
        place = one["metadata"].get("namespace")
        if place is not None and place not in namespaces:
            yield one, f"namespace {place} is not there"
    for place, labels in namespaces.items():
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield None, f"namespace {place} takes pods that are not `restricted`"


def accounts_are_there(system):
    accounts = {name(one): one for one in system.of("ServiceAccount")}
    for account in accounts.values():
        if account.get("automountServiceAccountToken") is not False:
            yield account, "its token is mounted wherever nobody says otherwise"
    for one, _, pod in system.workloads():
        if pod.get("serviceAccountName") not in accounts:
            yield one, f"service account {pod.get('serviceAccountName')} is not there"


def referred_to(pod, kind):
    """The names of secrets or config maps that a pod needs."""
    at, ref, key = ("secret", "secretRef", "secretKeyRef") if kind == "Secret" else ("configMap", "configMapRef", "configMapKeyRef")
    for volume in pod.get("volumes", []):
        sources = [volume] + volume.get("projected", {}).get("sources", [])
        for source in sources:
            if at in source:
                yield source[at].get("secretName") or source[at].get("name")
    for container in containers(pod):
        yield from (one[ref]["name"] for one in container.get("envFrom", []) if ref in one)
        yield from (one["valueFrom"][key]["name"] for one in container.get("env", []) if key in one.get("valueFrom", {}))


def what_is_referred_to_is_there(system, documented, trial):
    made = {kind: {name(one) for one in system.of(kind)} for kind in ("Secret", "ConfigMap")}
    if not trial:
        for secret in system.of("Secret"):
            yield secret, "a secret stands in the manifests"
    for one, _, pod in system.workloads():
        for wanted in sorted(set(referred_to(pod, "Secret"))):
            there = wanted in made["Secret"] or wanted in MADE_BY_OPERATORS if trial else wanted in documented
            if not there:
                yield one, f"secret {wanted} is nobody's: " + ("no generator makes it" if trial else "no page says how to make it")
        for wanted in sorted(set(referred_to(pod, "ConfigMap"))):
            if wanted not in made["ConfigMap"] and (trial or wanted not in documented):
                yield one, f"config map {wanted} is not there"


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", text).groups()
    return int(number) * UNITS[unit]


def services_have_time_to_go(system):
    files = [one["data"]["eldercare.toml"] for one in system.of("ConfigMap") if "eldercare.toml" in one.get("data", {})]
    if not files:
        yield None, "no config map holds eldercare.toml"
        return
    shutdown = tomllib.loads(files[0])["shutdown"]
    needed = seconds(shutdown["delay"]) + 2 * seconds(shutdown["grace"])
    for one, labels, pod in system.workloads():
        if labels.get("app.kubernetes.io/component") != "service":
            continue
        given = pod.get("terminationGracePeriodSeconds", 30)
        if given < needed + 10:
            yield one, f"it is killed after {given} s, while it may take {needed:.0f} s to go, and some for its last words"


def faults(system, documented, trial):
    rules = [
        pods_have_few_rights, containers_are_bounded, images_are_fixed, probes_are_set, nodes_may_go, autoscalers_alone_decide,
        budgets_and_services_find_their_pods, network_is_closed, namespaces_are_restricted, accounts_are_there,
        services_have_time_to_go, jobs_end, volumes_are_there, who_has_a_user_reaches_the_log, who_comes_from_outside_is_known,
        who_has_a_password_reaches_the_databases, by_hand_alone,
    ]
    if not trial:
        rules.append(log_is_backed_up)
    for rule in rules:
        yield from rule(system)
    yield from what_is_referred_to_is_there(system, documented, trial)


def told(system, documented, trial=False):
    for one, fault in faults(system, documented, trial):
        yield f"{one['kind']} {name(one)}: {fault}" if one else fault


def documented_in(page):
    """Whatever a page names as `name`."""
    return set(re.findall(r"`([a-z0-9-]+)`", Path(page).read_text()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", required=True, help="the page that says which secrets an operator makes")
    parser.add_argument("--trial", action="append", default=[], help="an overlay that makes its own secrets, and needs no backups")
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    found = 0
    for file in arguments.files:
        system = System(yaml.safe_load_all(Path(file).read_text()))
        for line in told(system, documented_in(arguments.secrets), Path(file).stem in arguments.trial):
            found += 1
            print(f"{file}: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
