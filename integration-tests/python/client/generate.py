"""Turns the contracts under proto/ into Python: messages, stubs, and types for editors. Where to is the only argument."""

import pathlib
import sys

import grpc_tools
from grpc_tools import protoc

CONTRACTS = pathlib.Path(__file__).resolve().parents[3] / "proto"


def main():
    into = pathlib.Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    # The compiler's own contracts: timestamps, field masks.
    known = pathlib.Path(grpc_tools.__file__).with_name("_proto")
    outputs = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    contracts = sorted(str(path) for path in CONTRACTS.rglob("*.proto"))
    return protoc.main(["protoc", f"--proto_path={CONTRACTS}", f"--proto_path={known}", *outputs, *contracts])


if __name__ == "__main__":
    sys.exit(main())
