"""Whether the API servers would take manifests: each resource against its schema, in which nothing unknown is allowed.

    python3 .ci/schemas.py FILE...

Kubernetes' own schemas come with the package `kubernetes-validate`, for the oldest and the newest version that we run on.
Those of custom resources stand in `.ci/crds`, one file for each API group, with the fields that we use: one that is missing
there is looked up in the operator's own definition, and added.
"""

import json
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

VERSIONS = ["1.33", "1.37"]
CRDS = Path(__file__).parent / "crds"
KUBERNETES = Path(find_spec("kubernetes_validate").origin).parent / "kubernetes-json-schema"


@lru_cache
def definitions(version):
    folder = KUBERNETES / f"v{version}.0-local-strict"
    resource = Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    return folder, resource @ Registry()


@lru_cache
def of_kubernetes(version, api_version, kind):
    """The schema of a kind of Kubernetes' own; none, if this version has no such kind."""
    folder, registry = definitions(version)
    group, _, number = api_version.rpartition("/")
    name = "-".join(part for part in [kind.lower(), group.split(".")[0], number] if part)
    file = folder / f"{name}.json"
    if not file.is_file():
        return None
    schema = json.loads(file.read_text())
    if schema.get("properties", {}).get("apiVersion", {}).get("enum", [api_version]) != [api_version]:
        return None
    return Draft202012Validator(schema, registry=registry)


def closed(schema):
    """A schema whose objects have no fields but those that it names."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


@lru_cache
def of_custom_resource(api_version, kind):
    file = CRDS / f"{api_version.rpartition('/')[0]}.yaml"
    if not file.is_file():
        return None
    group = yaml.safe_load(file.read_text())
    shape = group["kinds"].get(f"{api_version.rpartition('/')[2]}/{kind}")
    if shape is None:
        return None
    whole = {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {"apiVersion": {}, "kind": {}, "metadata": {"$ref": "#/$defs/metadata"}, "spec": shape},
        "$defs": {
            "metadata": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "namespace": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
            **group.get("shapes", {}),
        },
    }
    return Draft202012Validator(closed(whole))


def faults(resource):
    """What an API server would refuse."""
    api_version, kind = resource["apiVersion"], resource["kind"]
    custom = of_custom_resource(api_version, kind)
    validators = {"": custom} if custom else {v: of_kubernetes(v, api_version, kind) for v in VERSIONS}
    for version, validator in validators.items():
        where = f" of Kubernetes {version}" if version else ""
        if validator is None:
            yield f"{api_version} {kind} has no schema{where}: is there such a kind, or is it missing in .ci/crds?"
            continue
        for error in validator.iter_errors(resource):
            path = ".".join(str(step) for step in error.absolute_path)
            yield f"{path or 'the resource'}{where}: {error.message[:300]}"


def main(files):
    found = 0
    for file in files:
        for resource in filter(None, yaml.safe_load_all(Path(file).read_text())):
            for fault in faults(resource):
                found += 1
                print(f"{file}: {resource['kind']} {resource['metadata']['name']}: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
