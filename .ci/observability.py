"""What operators are given hangs together: rules, dashboards, runbooks and the collector rest on the contract of telemetry and on what
exporters give, and on nothing else.

    python3 .ci/observability.py

A fault is a line on standard error. What rules mean is tested by promtool (.ci/observability).
"""

import json
import re
import sys
from pathlib import Path

import yaml

FOLDER = Path("deploy/observability")
# Of PromQL: what is written like a name and is none of a metric.
FUNCTIONS = {
    "abs", "absent", "and", "avg", "bool", "by", "count", "group_left", "group_right", "histogram_quantile", "ignoring", "increase", "max",
    "min", "min_over_time", "offset", "on", "or", "rate", "round", "sum", "time", "topk", "unless", "without",
}
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
    for inside in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression):
        labels += [(name.strip(), None, None) for name in inside.split(",") if name.strip()]
    bare = re.sub(r"\{[^}]*\}", " ", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
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
            if not (path.parent / link).exists():
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
    parts = {kind: set(collector[kind]) for kind in ("receivers", "processors", "exporters")}
    for name, pipeline in collector["service"]["pipelines"].items():
        for kind, there in parts.items():
            for part in pipeline[kind]:
                if part not in there:
                    fault(path, f"the pipeline {name} has no {part}")
        if pipeline["processors"][0] != "memory_limiter" or "transform/allowed" not in pipeline["processors"]:
            fault(path, f"the pipeline {name} limits no memory, or lets everything through")


def main():
    contract = read(FOLDER / "telemetry.yaml")
    known = Known(contract, read(FOLDER / "exporters.yaml"))
    contract_is_sound(contract)
    rules_are_sound(known)
    dashboards_are_sound(known)
    collector_lets_through_what_is_agreed(contract)
    for one in faults:
        print(one, file=sys.stderr)
    if not faults:
        print(f"{len(contract['metrics'])} metrics, {len(list(FOLDER.glob('runbooks/*.md')))} alarms: all hangs together")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
