"""What operators are given hangs together: rules, dashboards, runbooks and the collector rest on the contract of telemetry and on what
exporters give, and on nothing else; and alarms about what is gone know the services and the cron jobs of a cluster, all of them.

    python3 .ci/observability.py

A fault is a line on standard error. What rules mean is tested by promtool (.ci/observability).
"""

import json
import re
import sys
from pathlib import Path

import yaml

FOLDER = Path("deploy/observability")
CLUSTER = Path("k8s/components/monitoring/collector.yaml")
BASE = Path("k8s/base")
COMPONENTS = Path("k8s/components")
# Of PromQL: what is written like a name and is none of a metric.
FUNCTIONS = {
    "abs", "absent", "and", "avg", "bool", "by", "count", "group_left", "group_right", "histogram_quantile", "ignoring", "increase",
    "label_replace", "max", "max_over_time", "min", "min_over_time", "offset", "on", "or", "rate", "round", "sum", "time", "topk", "unless",
    "without",
}
# What has labels behind it, in brackets.
LABELS = r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)"
# How the collector's exporter for Prometheus writes units; units in braces are left out.
UNITS = {"s": "seconds", "By": "bytes", "1": "ratio"}
SEVERITIES = {"page", "ticket"}

faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def in_prometheus(metric):
    """The names of a metric's series: dots become underscores, units are spelt out, counters are totals."""
    name = metric["name"].replace(".", "_")
    unit = UNITS.get(metric["unit"])
    if unit and not name.endswith(unit):
        name += f"_{unit}"
    if metric["instrument"] == "counter":
        return {name if name.endswith("_total") else f"{name}_total"}
    if metric["instrument"] == "histogram":
        return {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return {name}


def contract_is_sound(contract):
    attributes = contract["attributes"]
    for name, attribute in attributes.items():
        if ("values" in attribute) == ("bounded_by" in attribute):
            fault(name, "an attribute has either values or what keeps them few")
        if not attribute.get("meaning"):
            fault(name, "an attribute without a meaning")
    used = set()
    for what in contract["metrics"] + contract["spans"]:
        used |= set(what["attributes"])
        for name in what["attributes"]:
            if name not in attributes:
                fault(what["name"], f"the attribute {name} is not in the contract")
        if not what.get("meaning"):
            fault(what["name"], "no meaning")
    for name in attributes.keys() - used:
        fault(name, "an attribute of nothing")
    names = [metric["name"] for metric in contract["metrics"]]
    for name in {name for name in names if names.count(name) > 1}:
        fault(name, "a metric twice")
    for metric in contract["metrics"]:
        if metric["instrument"] not in {"counter", "updowncounter", "gauge", "histogram"}:
            fault(metric["name"], f"no instrument: {metric['instrument']}")


def names_in(expression):
    """The metrics that an expression of PromQL names, and the labels that it selects or groups by, with the values asked for."""
    labels = []
    for inside in re.findall(r"\{([^}]*)\}", expression):
        for name, operator, value in re.findall(r'([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"([^"]*)"', inside):
            labels.append((name, operator, value))
    for inside in re.findall(LABELS, expression):
        labels += [(name.strip(), None, None) for name in inside.split(",") if name.strip()]
    bare = re.sub(r"\{[^}]*\}", " ", expression)
    bare = re.sub(LABELS, " ", bare)
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    bare = re.sub(r'"[^"]*"', " ", bare)
    words = set(re.findall(r"(?<![\w.:])[a-zA-Z_:][\w:]*", bare))
    return words - FUNCTIONS, labels


class Known:
    """What rules and dashboards may name."""

    def __init__(self, contract, exporters):
        self.series = {}
        for metric in contract["metrics"]:
            for series in in_prometheus(metric):
                self.series[series] = {name.replace(".", "_") for name in metric["attributes"]}
        self.foreign = {name for names in exporters.values() for name in names}
        values = contract["attributes"].items()
        self.values = {name.replace(".", "_"): set(one["values"]) for name, one in values if "values" in one}
        self.recorded = set()

    def judge(self, where, expression):
        metrics, labels = names_in(expression)
        if not metrics:
            fault(where, "an expression without a metric")
        allowed = {"job", "instance", "le"}
        for metric in metrics:
            if metric in self.series:
                allowed |= self.series[metric]
            elif metric not in self.foreign | self.recorded:
                fault(where, f"{metric} is in no contract and of no exporter")
        ours = metrics <= self.series.keys() | self.recorded
        for label, operator, value in labels:
            if ours and label not in allowed:
                fault(where, f"none of its metrics has the label {label}")
            if value and label in self.values and label in allowed:
                asked = re.findall(r"[^|()]+", value) if "~" in operator else [value]
                for one in asked:
                    if re.fullmatch(r"[\w ]+", one) and one not in self.values[label]:
                        fault(where, f"{label} is never {one}")


def rules_are_sound(known):
    names = set()
    for path in sorted(FOLDER.glob("rules/*.yaml")):
        rules = [rule for group in read(path)["groups"] for rule in group["rules"]]
        known.recorded |= {rule["record"] for rule in rules if "record" in rule}
        tests = path.parent / "tests" / path.name
        tested = tests.read_text(encoding="utf-8") if tests.exists() else ""
        if not tested:
            fault(path, f"no unit tests in {tests}")
        for rule in rules:
            known.judge(f"{path}: {rule.get('alert') or rule.get('record')}", rule["expr"])
            if "alert" not in rule:
                continue
            name, annotations = rule["alert"], rule.get("annotations", {})
            where = f"{path}: {name}"
            if name in names:
                fault(where, "an alarm twice")
            names.add(name)
            if rule.get("labels", {}).get("severity") not in SEVERITIES:
                fault(where, f"its severity is none of {sorted(SEVERITIES)}")
            for annotation in ("summary", "description", "runbook_url"):
                if not annotations.get(annotation):
                    fault(where, f"it has no {annotation}")
            runbook = FOLDER / "runbooks" / f"{name}.md"
            if annotations.get("runbook_url") != str(runbook):
                fault(where, f"its runbook_url is not {runbook}")
            if not runbook.exists() or not runbook.read_text(encoding="utf-8").startswith(f"# {name}\n"):
                fault(where, f"there is no runbook {runbook}")
            if tested and not re.search(rf'alertname(?:: |="){name}\b', tested):
                fault(where, f"no test in {tests}")
    for path in FOLDER.glob("runbooks/*.md"):
        if path.stem not in names:
            fault(path, "a runbook of no alarm")
        for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            if not (path.parent / link.partition("#")[0]).exists():
                fault(path, f"it leads to {link}, which is not there")


def dashboards_are_sound(known):
    uids = set()
    for path in sorted(FOLDER.glob("dashboards/*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        if board["uid"] in uids:
            fault(path, f"the uid {board['uid']} twice")
        uids.add(board["uid"])
        ids = [panel["id"] for panel in board["panels"]]
        if len(ids) != len(set(ids)):
            fault(path, "panels with the same id")
        for panel in board["panels"]:
            where = f"{path}: {panel['title']}"
            if panel["type"] != "row" and not panel["targets"]:
                fault(where, "a panel that shows nothing")
            for target in panel.get("targets", []):
                known.judge(where, target["expr"])
                _, labels = names_in(target["expr"])
                grouped = {name for name, operator, _ in labels if operator is None}
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    if " by " in target["expr"] and label not in grouped:
                        fault(where, f"its legend names {label}, by which it does not group")


def collector_lets_through_what_is_agreed(contract):
    path = FOLDER / "collector.yaml"
    collector = read(path)
    allowed = collector["processors"]["transform/allowed"]
    of = {"span": contract["spans"], "datapoint": contract["metrics"]}
    for statements in allowed["trace_statements"] + allowed["metric_statements"]:
        context = statements["context"]
        if len(statements["statements"]) != 1 or not statements["statements"][0].startswith("keep_keys("):
            fault(path, f"attributes of {context} are not just kept by a list")
        kept = set(re.findall(r'"([^"]+)"', statements["statements"][0]))
        if context in of:
            agreed = {name for what in of[context] for name in what["attributes"]}
            for name in sorted(kept ^ agreed):
                fault(path, f"{name} of a {context} is kept or agreed, and not both")
        elif context == "resource":
            for name in sorted(contract["resource"].keys() - kept):
                fault(path, f"{name} of a resource is not kept")
    wanted = re.search(r'IsMatch\(metric\.name, "(.*)"\)', collector["processors"]["filter/known"]["metrics"]["metric"][0])
    pattern = re.compile(wanted.group(1).replace("\\\\", "\\"))
    for metric in contract["metrics"]:
        if not pattern.fullmatch(metric["name"]):
            fault(path, f"{metric['name']} is not let through")
    pipelines_are_whole(path, collector, collector, "transform/allowed")


def pipelines_are_whole(path, one, beside, allowed):
    """Each pipeline's parts are there, in its own file or in the one that it is read beside, and it lets through what `allowed` does."""
    parts = {kind: {*one.get(kind, {}), *beside.get(kind, {})} for kind in ("receivers", "processors", "exporters")}
    for name, pipeline in one["service"]["pipelines"].items():
        for kind, there in parts.items():
            for part in pipeline[kind]:
                if part not in there:
                    fault(path, f"the pipeline {name} has no {part}")
        if pipeline["processors"][0] != "memory_limiter" or allowed not in pipeline["processors"]:
            fault(path, f"the pipeline {name} limits no memory, or lets everything through")


def certificates_are_watched():
    """The collector of a cluster can read each certificate, tells which it is and no more, and is missed where it says nothing."""
    path = FOLDER / "certificates.yaml"
    certificates = read(path)
    pipelines_are_whole(path, certificates, read(FOLDER / "collector.yaml"), "transform/certificates")
    kept = certificates["processors"]["transform/certificates"]["metric_statements"][-1]["statements"][-1]
    if kept != 'keep_keys(datapoint.attributes, ["tlscheck.target"])':
        fault(path, "more is kept than which file it is")
    rules = (FOLDER / "rules" / "platform.yaml").read_text(encoding="utf-8")
    deployment = next(yaml.safe_load_all(CLUSTER.read_text(encoding="utf-8")))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for target in certificates["receivers"]["tlscheck"]["targets"]:
        file = target["file_path"]
        if f'absent(tlscheck_time_left_seconds{{tlscheck_target="{file}"}})' not in rules:
            fault(path, f"nobody misses {file}")
        if str(Path(file).parent) not in mounts:
            fault(CLUSTER, f"{file} is not there")
    for argument in container["args"]:
        file = Path(argument.removeprefix("--config="))
        if str(file.parent) not in mounts or not (FOLDER / file.name).exists():
            fault(CLUSTER, f"{argument} is not there")


def resources_of(folder):
    """Kind and name of what a folder of manifests takes together, under the names that it gives."""
    kustomization = read(folder / "kustomization.yaml")
    resources = []
    for place in kustomization.get("resources", []):
        if (folder / place).is_dir():
            resources += resources_of(folder / place)
        else:
            documents = yaml.safe_load_all((folder / place).read_text(encoding="utf-8"))
            resources += [(one["kind"], one["metadata"]["name"]) for one in documents]
    for patch in kustomization.get("patches", []):
        changes = yaml.safe_load(patch["patch"]) if "patch" in patch else None
        names = [one["value"] for one in changes if one["path"] == "/metadata/name"] if isinstance(changes, list) else []
        for name in names:
            target = patch["target"]
            resources = [
                (kind, name) if known == target.get("name") and kind == target.get("kind", kind) else (kind, known)
                for kind, known in resources
            ]
    return resources


def named(rules, label):
    """The values that alarms ask of a label, alternatives one by one."""
    asked = [value for rule in rules.values() for name, _, value in names_in(rule)[1] if name == label and value]
    return {one for value in asked for one in value.split("|")}


def alarms_know_the_cluster():
    """Who is gone says nothing: each service and each cron job of backups is missed by its name, each job that is begun by hand is told when
    it has failed, and no name is of nobody."""
    services = {name for kind, name in resources_of(BASE) if kind == "Deployment"}
    folders = [path.parent for path in sorted(COMPONENTS.glob("*/kustomization.yaml"))]
    jobs = {folder: {name for kind, name in resources_of(folder) if kind == "CronJob"} for folder in folders}
    backups = jobs[COMPONENTS / "backup"]
    groups = [group for path in sorted(FOLDER.glob("rules/*.yaml")) for group in read(path)["groups"]]
    rules = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}
    of_services = {f"eldercare/{name}" for name in services}
    for name in sorted(job for job in named(rules, "job") - of_services if job.startswith("eldercare/")):
        fault(FOLDER, f"an alarm asks for {name}, which {BASE} does not run")
    missed = set(re.findall(r'absent\(rpc_server_call_duration_seconds_count\{job="([^"]+)"', rules["ServiceMissing"]))
    for name in sorted(of_services - missed):
        fault(FOLDER, f"ServiceMissing does not miss {name}")
    for name in sorted(named(rules, "cronjob").difference(*jobs.values())):
        fault(FOLDER, f"an alarm asks for the cron job {name}, which is nowhere in {COMPONENTS}")
    by_hand, told = jobs[COMPONENTS / "maintenance"], named({"": rules["MaintenanceFailed"]}, "owner_name")
    for name in sorted(by_hand ^ told):
        fault(FOLDER, f"MaintenanceFailed and {COMPONENTS / 'maintenance'} do not both have {name}")
    told = rules["LogNotBackedUp"]
    for name in sorted(backups):
        asked = f'{{namespace="eldercare",cronjob="{name}"}}'
        suspended = re.search(r'kube_cronjob_spec_suspend\{namespace="eldercare",cronjob=~"([^"]+)"\}', told)
        for what, is_told in {
            "is not there": f"absent(kube_cronjob_info{asked})" in told,
            "does not end well": f"kube_cronjob_status_last_successful_time{asked}" in told,
            "never has ended well": f"kube_cronjob_created{asked}" in told,
            "is suspended": suspended is not None and name in suspended.group(1).split("|"),
        }.items():
            if not is_told:
                fault(FOLDER, f"LogNotBackedUp does not tell that {name} {what}")
    return len(services), len(backups)


def main():
    contract = read(FOLDER / "telemetry.yaml")
    known = Known(contract, read(FOLDER / "exporters.yaml"))
    contract_is_sound(contract)
    rules_are_sound(known)
    dashboards_are_sound(known)
    collector_lets_through_what_is_agreed(contract)
    certificates_are_watched()
    services, backups = alarms_know_the_cluster()
    for one in faults:
        print(one, file=sys.stderr)
    if not faults:
        alarms = len(list(FOLDER.glob("runbooks/*.md")))
        print(f"{len(contract['metrics'])} metrics, {alarms} alarms, {services} services and {backups} backups: all hangs together")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
