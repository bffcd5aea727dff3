"""That `policy.py` finds what it is there to find: one fault at a time is put into manifests that have none.

    python3 .ci/policy_finds_faults.py COUNTY LOCAL

COUNTY and LOCAL are what these overlays become.
"""

import copy
import sys
from pathlib import Path

import yaml
from policy import System, referred_to, told


def pick(resources, kind, name):
    return next(one for one in resources if (one["kind"], one["metadata"]["name"]) == (kind, name))


def pod(resources):
    return pick(resources, "Deployment", "registry")["spec"]["template"]["spec"]


def container(resources):
    return pod(resources)["containers"][0]


def policy(resources, name):
    return pick(resources, "NetworkPolicy", name)["spec"]


def by_the_clock(resources):
    return pick(resources, "CronJob", "backup")["spec"]


def nightly(resources):
    return by_the_clock(resources)["jobTemplate"]["spec"]


def by_hand(resources):
    return pick(resources, "CronJob", "read-models")["spec"]


def outside(resources):
    return pick(resources, "Service", "nats-outside")["spec"]


def drop(resources, kind, name):
    resources.remove(pick(resources, kind, name))


def spread(resources, key):
    constraints = pod(resources)["topologySpreadConstraints"]
    constraints[:] = [one for one in constraints if one["topologyKey"] != key]


# What is done to the county's manifests, and what is then to be said.
FAULTS = [
    (lambda r: pod(r).pop("automountServiceAccountToken"), "automountServiceAccountToken is not false"),
    (lambda r: pod(r).pop("serviceAccountName"), "no service account of its own"),
    (lambda r: pod(r)["securityContext"].pop("seccompProfile"), "seccompProfile is not RuntimeDefault"),
    (lambda r: pod(r).update(hostNetwork=True), "shares the node's network"),
    (lambda r: pod(r)["volumes"].append({"name": "node", "hostPath": {"path": "/"}}), "mounts a path of the node"),
    (lambda r: pod(r)["securityContext"].pop("runAsNonRoot"), "may run as root"),
    (lambda r: pod(r)["securityContext"].update(runAsUser=0), "may run as root"),
    (lambda r: container(r)["securityContext"].pop("readOnlyRootFilesystem"), "may write to its root file system"),
    (lambda r: container(r)["securityContext"].pop("allowPrivilegeEscalation"), "may gain privileges"),
    (lambda r: container(r)["securityContext"].update(privileged=True), "is privileged"),
    (lambda r: container(r)["securityContext"]["capabilities"].update(drop=["NET_RAW"]), "keeps capabilities"),
    (lambda r: container(r)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "keeps capabilities"),
    (lambda r: container(r)["ports"][0].update(hostPort=7000), "takes a port of the node"),
    (lambda r: pod(r)["initContainers"][0].pop("securityContext"), "container migrate may write to its root file system"),
    (lambda r: container(r)["resources"]["limits"].pop("memory"), "no limits of memory"),
    (lambda r: container(r)["resources"]["limits"].pop("cpu"), "no limits of cpu"),
    (lambda r: container(r)["resources"]["requests"].pop("memory"), "no requests of memory"),
    (lambda r: container(r)["resources"]["requests"].pop("cpu"), "no requests of cpu"),
    (lambda r: container(r).update(image="images.example/eldercare/services:latest"), "runs whatever"),
    (lambda r: container(r).update(image="images.example:5000/eldercare/services"), "runs whatever"),
    (lambda r: container(r).pop("livenessProbe"), "has no livenessProbe"),
    (lambda r: container(r).pop("readinessProbe"), "has no readinessProbe"),
    (lambda r: container(r)["livenessProbe"]["grpc"].update(service="readiness"), "both probes ask the same"),
    (lambda r: container(r).pop("ports"), "no container says where it listens"),
    (lambda r: pick(r, "Deployment", "registry")["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1),
     "maxUnavailable is not 0"),
    (lambda r: drop(r, "PodDisruptionBudget", "registry"), "no PodDisruptionBudget"),
    (lambda r: spread(r, "kubernetes.io/hostname"), "not spread over kubernetes.io/hostname"),
    (lambda r: spread(r, "topology.kubernetes.io/zone"), "not spread over topology.kubernetes.io/zone"),
    (lambda r: pick(r, "Deployment", "registry")["spec"].update(replicas=2), "and so does its autoscaler"),
    (lambda r: drop(r, "Deployment", "registry"), "it scales what is not there"),
    (lambda r: pick(r, "PodDisruptionBudget", "registry")["spec"].pop("selector"), "it selects every pod"),
    (lambda r: pick(r, "Service", "registry")["spec"].update(selector={"app": "nobody"}), "it selects no pod"),
    (lambda r: pick(r, "Service", "registry")["spec"]["ports"][0].update(targetPort="http"), "no container listens on http"),
    (lambda r: policy(r, "default-deny").update(policyTypes=["Ingress"]), "Egress is open where no policy says otherwise"),
    (lambda r: policy(r, "default-deny").update(policyTypes=["Egress"]), "Ingress is open where no policy says otherwise"),
    (lambda r: policy(r, "services")["ingress"][0].pop("from"), "ingress is open to everybody"),
    (lambda r: policy(r, "services")["egress"][0].update(to=[{"namespaceSelector": {}}]), "egress is open to everybody"),
    (lambda r: policy(r, "services")["egress"][0].pop("ports"), "egress is open on every port"),
    (lambda r: policy(r, "keys").pop("egress"), "it opens nothing"),
    (lambda r: drop(r, "Namespace", "eldercare"), "namespace eldercare is not there"),
    (lambda r: pick(r, "Namespace", "eldercare")["metadata"]["labels"].update({"pod-security.kubernetes.io/enforce": "baseline"}),
     "takes pods that are not `restricted`"),
    (lambda r: pick(r, "ServiceAccount", "registry").pop("automountServiceAccountToken"), "its token is mounted"),
    (lambda r: drop(r, "ServiceAccount", "registry"), "service account registry is not there"),
    (lambda r: r.append({"kind": "Secret", "metadata": {"name": "in-the-open"}}), "a secret stands in the manifests"),
    (lambda r: container(r)["envFrom"].append({"secretRef": {"name": "unheard-of"}}), "no page says how to make it"),
    (lambda r: container(r)["envFrom"].append({"configMapRef": {"name": "unheard-of"}}), "config map unheard-of is not there"),
    (lambda r: pod(r).update(terminationGracePeriodSeconds=30), "it is killed after 30 s"),
    (lambda r: nightly(r)["template"]["spec"].pop("serviceAccountName"), "no service account of its own"),
    (lambda r: nightly(r).pop("backoffLimit"), "how often it is tried"),
    (lambda r: nightly(r).pop("activeDeadlineSeconds"), "may hang for ever"),
    (lambda r: by_the_clock(r).pop("concurrencyPolicy"), "may run beside itself"),
    (lambda r: by_the_clock(r).pop("timeZone"), "whose hours its schedule means"),
    (lambda r: by_the_clock(r).pop("startingDeadlineSeconds"), "never started again"),
    (lambda r: by_the_clock(r)["jobTemplate"]["metadata"]["labels"].pop("app.kubernetes.io/component"), "not found by its component"),
    (lambda r: nightly(r)["template"]["metadata"].pop("annotations"), "a proxy beside it, which outlives it"),
    (lambda r: nightly(r)["template"]["metadata"]["labels"].pop("eldercare/reaches-nats"),
     "no policy opens the way there"),
    (lambda r: policy(r, "nats")["ingress"][0]["from"].pop(1), "no policy opens the way there"),
    (lambda r: drop(r, "PersistentVolumeClaim", "log-backups"), "volume claim log-backups is not there"),
    (lambda r: drop(r, "CronJob", "backup"), "no CronJob backs the log up"),
    (lambda r: drop(r, "CronJob", "backup-erasures"), "no CronJob notes who was erased"),
    (lambda r: by_hand(r)["jobTemplate"]["spec"]["template"]["metadata"]["labels"].pop("eldercare/reaches-postgres"),
     "it has a password of eldercare-postgres, and no policy opens the way there"),
    (lambda r: policy(r, "postgres")["ingress"][0]["from"].pop(1), "it has a password of eldercare-postgres"),
    (lambda r: by_hand(r).pop("suspend"), "it begins by itself"),
    (lambda r: outside(r).update(externalTrafficPolicy="Cluster"), "externalTrafficPolicy is not Local"),
    (lambda r: policy(r, "nats-outside")["ingress"][0]["ports"].pop(), "lets addresses outside the cluster reach mqtt"),
]


def main(county, local):
    resources, trial = ([one for one in yaml.safe_load_all(Path(file).read_text()) if one] for file in (county, local))
    documented = {secret for _, _, pod in System(resources).workloads() for secret in referred_to(pod, "Secret")}
    documented.add("token-issuer")
    missed = 0
    for number, (put_in, expected) in enumerate(FAULTS, 1):
        faulty = copy.deepcopy(resources)
        put_in(faulty)
        found = list(told(System(faulty), documented))
        if not any(expected in line for line in found):
            missed += 1
            print(f"fault {number} is not found ({expected}), but {found}", file=sys.stderr)
    drop(trial, "Secret", "nats-ca")
    if not any("no generator makes it" in line for line in told(System(trial), set(), trial=True)):
        missed += 1
        print("a trial without the secret nats-ca passes", file=sys.stderr)
    print(f"{len(FAULTS) + 1} faults were put in, {missed} of them not found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
