"""That every service takes the settings that manifests give it, from the image's own root file system.

    python3 .ci/settings.py --root ROOT --secrets LOCAL FILE... -- [COMMAND...]

Each FILE is what an overlay becomes. COMMAND runs what follows it within ROOT, where the settings file is laid for a moment;
without one the programs in ROOT run where they lie. They print what is in force, or say which key they do not know. Secrets
come from LOCAL, an overlay that has some.
"""

import argparse
import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from policy import run_by

# What must come of it, whatever the overlay.
IN_FORCE = ['listen = "0.0.0.0:7000"', 'mode = "production"', "create_streams = false", 'inbox_prefix = "_INBOX_{service}"',
            'url = "postgres://eldercare-postgres-rw:5432/eldercare_{service}?', 'access_log = "stdout"', 'user = "{service}"']


def data_of(resources, secrets):
    """The keys and values of every config map and secret, by kind and name."""
    maps = {("ConfigMap", one["metadata"]["name"]): one.get("data", {}) for one in resources if one["kind"] == "ConfigMap"}
    for one in secrets:
        if one["kind"] == "Secret":
            decoded = {key: base64.b64decode(value).decode() for key, value in one["data"].items()}
            maps["Secret", one["metadata"]["name"]] = decoded
    return maps


def value_of(entry, labels, data):
    source = entry.get("valueFrom", {})
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"]
        label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
        return labels[label[1]] if label else "somewhere"
    if "secretKeyRef" in source:
        return data["Secret", source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]
    return entry.get("value", "")


def environment(container, labels, data):
    """A container's environment, as the kubelet puts it together."""
    variables = {}
    for source in container.get("envFrom", []):
        kind, ref = ("ConfigMap", "configMapRef") if "configMapRef" in source else ("Secret", "secretRef")
        variables.update(data[kind, source[ref]["name"]])
    for entry in container.get("env", []):
        variables[entry["name"]] = expanded(value_of(entry, labels, data), variables)
    return variables


def expanded(text, variables):
    return re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), text)


class Image:
    """The root file system of the image, and what runs a command within it, if anything may."""

    def __init__(self, root, into):
        self.root, self.into = root, into

    def place(self, path):
        """Where a file of the image lies here."""
        return self.root / path.lstrip("/")

    def run(self, command, variables):
        program, *arguments = command
        alone = {"PATH": os.environ["PATH"], **variables}
        if not self.into:
            program = str(self.place(program).absolute())
            if "ELDERCARE_CONFIG" in alone:
                alone["ELDERCARE_CONFIG"] = str(self.place(alone["ELDERCARE_CONFIG"]).absolute())
        return subprocess.run([*self.into, program, *arguments], env=alone, capture_output=True, text=True, check=False)


def tried(file, image, secrets):
    resources = [one for one in yaml.safe_load_all(Path(file).read_text()) if one]
    data = data_of(resources, secrets)
    for one in resources:
        labels = one.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
        if one["kind"] != "Deployment" or labels.get("app.kubernetes.io/component") != "service":
            continue
        pod = one["spec"]["template"]["spec"]
        container = pod["containers"][0]
        maps = [volume["configMap"]["name"] for volume in pod["volumes"] if volume.get("name") == "config"]
        variables = environment(container, labels, data)
        place = image.place(variables["ELDERCARE_CONFIG"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(data["ConfigMap", maps[0]][place.name])
        command = [expanded(word, variables) for word in container["command"]]
        printed = image.run([*command, "--print-config"], variables)
        place.unlink()
        service = one["metadata"]["name"]
        if printed.returncode != 0:
            yield f"{service}: {printed.stderr.strip()}"
        for line in IN_FORCE:
            if line.format(service=service) not in printed.stdout:
                yield f"{service}: not in force: {line.format(service=service)}"
        for value in data_of([], secrets).values():
            for key, secret in value.items():
                if key != "username" and secret.strip() in printed.stdout:
                    yield f"{service}: a secret is printed: {key}"
        migrate = [expanded(word, variables) for word in pod["initContainers"][0]["command"]]
        told = image.run([migrate[0], "--help"], variables).stdout
        if any(word not in told for word in migrate[1:]):
            yield f"{service}: it knows nothing of {' '.join(migrate[1:])}"


def jobs_tried(file, image):
    """Whether every job's command is one that its program knows."""
    for one in yaml.safe_load_all(Path(file).read_text()):
        if not one or one["kind"] not in ("Job", "CronJob"):
            continue
        container = run_by(one)["template"]["spec"]["containers"][0]
        asked = image.run([*container["command"], *container.get("args", []), "--help"], {})
        if asked.returncode != 0:
            yield f"job {one['metadata']['name']}: {asked.stderr.strip()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--secrets", required=True, type=Path)
    parser.add_argument("files", nargs="+")
    end = sys.argv.index("--")
    arguments, into = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1:]
    secrets = [one for one in yaml.safe_load_all(arguments.secrets.read_text()) if one]
    image = Image(arguments.root, into)
    found = [
        f"{file}: {fault}"
        for file in arguments.files
        for fault in [*tried(file, image, secrets), *jobs_tried(file, image)]
    ]
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
