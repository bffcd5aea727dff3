"""Links programs statically from what the tests have built, as the Dockerfile does from what it compiles.

    python3 .ci/static.py FOLDER PROGRAM...

For GNU/Linux `crt-static` says how the last step links, and changes nothing before it; but Cargo gives it to all crates or to
none, and would compile them all again. So Cargo is asked where those of `cargo test` lie, and the compiler links them itself.
Both go by the same environment, or Cargo compiles first.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

TESTS_BUILT = ["cargo", "test", "--workspace", "--no-run", "--quiet", "--message-format=json"]


def said_by(command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


class Built:
    """What the tests were built from: libraries by their names, and folders of what was not written in Rust."""

    def __init__(self, messages):
        self.libraries, self.folders = {}, set()
        for message in messages:
            if message["reason"] == "build-script-executed":
                self.folders.update(message["linked_paths"])
            if message["reason"] == "compiler-artifact":
                for file in message["filenames"]:
                    if file.endswith(".rlib"):
                        name = message["target"]["name"].replace("-", "_")
                        self.libraries.setdefault(name, {})[file] = set(message["features"])

    def rlib(self, name, features):
        """The one with these features: what builds the programs has libraries of its own, which may have fewer."""
        found = [file for file, has in self.libraries.get(name, {}).items() if has >= features]
        if len(found) != 1:
            sys.exit(f"{len(found)} libraries {name} with the features {sorted(features)}, and not one: {found}")
        return found[0]


def named_in(source):
    return set(re.findall(r"\b(\w+)::", Path(source).read_text()))


def externals(package, source, built):
    """The libraries that a program itself names: its package's own, and what that depends on."""
    wanted = {package["name"]: set()}
    for one in package["dependencies"]:
        if one["kind"] is None:
            wanted[one["rename"] or one["name"]] = set(one["features"])
    for name, features in wanted.items():
        crate = name.replace("-", "_")
        if crate in named_in(source):
            yield crate, built.rlib(crate, features)


def linked(package, target, built, program):
    command = [os.environ.get("RUSTC", "rustc"), target["src_path"], "--crate-name", target["name"].replace("-", "_"),
               "--crate-type", "bin", "--edition", target["edition"], "-C", "target-feature=+crt-static",
               "-C", "strip=debuginfo", "-o", str(program)]
    found = dict(externals(package, target["src_path"], built))
    for folder in sorted({str(Path(file).parent) for file in found.values()}):
        command += ["-L", f"dependency={folder}"]
    for folder in sorted(built.folders):
        command += ["-L", folder]
    for crate, file in found.items():
        command += ["--extern", f"{crate}={file}"]
    subprocess.run(command, check=True)


def main():
    folder, programs = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True)
    built = Built(json.loads(line) for line in said_by(TESTS_BUILT).splitlines())
    workspace = json.loads(said_by(["cargo", "metadata", "--format-version", "1", "--no-deps"]))
    binaries = {
        target["name"]: (package, target)
        for package in workspace["packages"]
        for target in package["targets"]
        if target["kind"] == ["bin"]
    }
    for name in programs:
        package, target = binaries[name]
        linked(package, target, built, folder / name)


if __name__ == "__main__":
    main()
