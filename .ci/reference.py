"""The API reference: pages of Markdown under proto/reference, made from the contracts and from the service configuration.

    python3 .ci/reference.py target/ci-tools/bin/buf            # writes the pages
    python3 .ci/reference.py --check target/ci-tools/bin/buf    # says which of them are not as they would be written

A contract has a page of its own; those of a package without a service share one. The comments are taken as they stand.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

PROTO = Path(__file__).parent.parent / "proto"
PAGES = PROTO / "reference"
# What the packages hold, in the order in which a reader wants them.
PACKAGES = ["registry", "tiering", "visits", "alerts", "claims", "sharing", "simulation", "type", "log"]
MADE = "<!-- Made from the contracts by .ci/reference.py, which says how: nothing is changed here. -->"
WELL_KNOWN = "https://protobuf.dev/reference/protobuf/google.protobuf/#"
SCALARS = {"TYPE_BOOL", "TYPE_BYTES", "TYPE_DOUBLE", "TYPE_INT32", "TYPE_INT64", "TYPE_STRING", "TYPE_UINT32", "TYPE_UINT64"}
# Places in a descriptor, by which comments are found.
PACKAGE, MESSAGE, ENUM, SERVICE, FIELD, NESTED, NESTED_ENUM, METHOD, VALUE = 2, 4, 5, 6, 2, 3, 4, 2, 2
WIDE = r"[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]"


class Contract:
    """One file of contracts, with its comments by place."""

    def __init__(self, described):
        self.described = described
        self.name = described["name"]
        self.package = described["package"]
        self.context = self.package.split(".")[1]
        self.services = described.get("service", [])
        places = described["sourceCodeInfo"]["location"]
        self.comments = {tuple(place.get("path", ())): place.get("leadingComments", "") for place in places}
        self.lines = {tuple(place.get("path", ())): place["span"][0] for place in places}

    def told(self, *place):
        return self.comments.get(place, "")

    def kinds(self):
        """Messages and enums at any depth, in the order of the file: place, full name, whether it is an enum, description."""
        found = []
        self._collect((), self.package, self.described, (MESSAGE, ENUM), found)
        return sorted(found, key=lambda kind: self.lines[kind[0]])

    def _collect(self, place, outer, described, at, found):
        inner = "messageType" if at[0] == MESSAGE else "nestedType"
        for number, one in enumerate(described.get(inner, [])):
            here, name = (*place, at[0], number), f"{outer}.{one['name']}"
            found.append((here, name, False, one))
            self._collect(here, name, one, (NESTED, NESTED_ENUM), found)
        for number, one in enumerate(described.get("enumType", [])):
            found.append(((*place, at[1], number), f"{outer}.{one['name']}", True, one))


class Reference:
    """All pages, by their names."""

    def __init__(self, contracts, configured):
        self.contracts = sorted(contracts, key=lambda one: (PACKAGES.index(one.context), not one.services, one.name))
        self.configured = configured
        with_service = {one.package for one in contracts if one.services}
        self.page_of = {
            one.name: (Path(one.name).stem if one.package in with_service else one.context) + ".md" for one in contracts
        }
        self.homes = {name: one for one in contracts for _, name, _, _ in one.kinds()}

    def pages(self):
        made = {"README.md": self.index()}
        for page in dict.fromkeys(self.page_of[one.name] for one in self.contracts):
            lines = [MADE, ""]
            for one in self.contracts:
                if self.page_of[one.name] == page:
                    lines += self.contract(one)
            text = "\n".join(lines).rstrip() + "\n"
            headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
            twice = {heading for heading in headings if [one.lower() for one in headings].count(heading.lower()) > 1}
            if twice:
                sys.exit(f"{page}: links to {sorted(twice)} would be ambiguous")
            made[page] = text
        return made

    def index(self):
        rows = []
        for one in self.contracts:
            page = self.page_of[one.name]
            for number, service in enumerate(one.services):
                count = len(service["method"])
                what = cell(one.told(SERVICE, number))
                rows.append(f"| [`{service['name']}`]({page}) | {count} | {what} |")
        kinds = []
        for one in self.contracts:
            if not one.services:
                page = self.page_of[one.name]
                kinds.append(f"| [`{one.name}`]({page}#{anchor(one.name)}) | {cell(first(one.told(PACKAGE)))} |")
        return "\n".join(
            [
                MADE,
                "",
                "# API reference",
                "",
                "Every method, message and field of the contracts in [`proto/eldercare`](../eldercare), with what the contracts say",
                "of them. How a program calls the system stands in [`proto/README.md`](../README.md).",
                "",
                "## Services",
                "",
                "| service | methods | what |",
                "| --- | --- | --- |",
                *rows,
                "",
                "## Shared words, and the events of the logs",
                "",
                "The events are private to the system; what services answer and what they record share words that stand there.",
                "",
                "| contract | what |",
                "| --- | --- |",
                *kinds,
                "",
            ]
        )

    def contract(self, one):
        page = self.page_of[one.name]
        of_service = one.services[0]["name"] if one.services else None
        lines = [f"# {of_service or one.name}", ""]
        lines += [f"Package `{one.package}`, contract [`{one.name}`](../{one.name}).", ""]
        lines += prose(one.told(PACKAGE))
        for number, service in enumerate(one.services):
            lines += self.service(one, number, service)
        kinds = one.kinds()
        if one.services and kinds:
            lines += ["## Messages and enums", ""]
        for place, name, is_enum, described in kinds:
            lines += [f"### {short(name, one)}", "", *prose(one.told(*place))]
            lines += self.values(one, place, described) if is_enum else self.fields(one, page, place, described)
        return lines

    def service(self, one, number, service):
        lines = ["## Methods", "", *prose(one.told(SERVICE, number))]
        page = self.page_of[one.name]
        methods = service["method"]
        lines += ["| method | what |", "| --- | --- |"]
        for at, method in enumerate(methods):
            what = cell(first(one.told(SERVICE, number, METHOD, at)))
            lines.append(f"| [`{method['name']}`](#{anchor(method['name'])}) | {what} |")
        lines.append("")
        for at, method in enumerate(methods):
            asks, answers = (
                ("a stream of " if method.get(f"{side}Streaming") else "") + self.linked(page, method[f"{kind}Type"])
                for side, kind in (("client", "input"), ("server", "output"))
            )
            full = f"{one.package}.{service['name']}/{method['name']}"
            if full not in self.configured:
                sys.exit(f"{full} is missing in proto/service-config.json")
            lines += [f"### {method['name']}", "", f"Takes {asks}, answers {answers}. {self.configured[full]}", ""]
            lines += prose(one.told(SERVICE, number, METHOD, at))
        return lines

    def fields(self, one, page, place, message):
        fields = message.get("field", [])
        if not fields:
            return ["It has no fields.", ""]
        lines = ["| field | type | what |", "| --- | --- | --- |"]
        for number, field in enumerate(fields):
            what = cell(one.told(*place, FIELD, number))
            if "oneofIndex" in field and not field.get("proto3Optional"):
                group = message["oneofDecl"][field["oneofIndex"]]["name"]
                what = f"One of `{group}`. {what}"
            lines.append(f"| `{field['name']}` = {field['number']} | {self.type_of(page, field)} | {what} |")
        return [*lines, ""]

    def type_of(self, page, field):
        single = self.single(page, field)
        if field["label"] == "LABEL_REPEATED":
            return f"list of {single}"
        return f"{single}, optional" if field.get("proto3Optional") else single

    def single(self, page, field):
        if field["type"] in ("TYPE_MESSAGE", "TYPE_ENUM"):
            return self.linked(page, field["typeName"])
        if field["type"] not in SCALARS:
            sys.exit(f"{field['name']}: {field['type']} is not known here")
        return f"`{field['type'].removeprefix('TYPE_').lower()}`"

    def linked(self, page, type_name):
        name = type_name.removeprefix(".")
        if name.startswith("google.protobuf."):
            last = name.rsplit(".", 1)[1]
            return f"[`{last}`]({WELL_KNOWN}{anchor(last)})"
        home = self.homes[name]
        told, there = short(name, home), self.page_of[home.name]
        return f"[`{told}`]({'' if there == page else there}#{anchor(told)})"

    def values(self, one, place, enum):
        lines = ["| value | what |", "| --- | --- |"]
        for number, value in enumerate(enum["value"]):
            what = cell(one.told(*place, VALUE, number))
            lines.append(f"| `{value['name']}` = {value.get('number', 0)} | {what} |")
        return [*lines, ""]


def short(name, home):
    return name.removeprefix(f"{home.package}.")


def anchor(heading):
    """As those who show Markdown name a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def paragraphs(comment):
    """What a comment says: text with its lines put together, and lines that are indented, as they stand."""
    found = []
    for line in comment.split("\n"):
        line = line.removeprefix(" ").rstrip()
        is_code = line.startswith("  ")
        if not line:
            found.append(None)
        elif found and found[-1] and found[-1][0] == is_code:
            found[-1][1].append(line)
        else:
            found.append((is_code, [line]))
    return [(is_code, lines if is_code else [together(lines)]) for is_code, lines in filter(None, found)]


def together(lines):
    text = " ".join(line.strip() for line in lines)
    return re.sub(f"({WIDE}) (?={WIDE})", r"\1", text)


def escaped(text):
    """Only what stands in backticks is taken as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<>*\[\]])", r"\\\1", part) for part in parts)


def prose(comment):
    lines = []
    for is_code, text in paragraphs(comment):
        lines += ["```text", *(line[2:] for line in text), "```", ""] if is_code else [escaped(text[0]), ""]
    return lines


def cell(comment):
    """The same in one cell of a table."""
    told = " ".join(f"`{' '.join(text)}`" if is_code else escaped(text[0]) for is_code, text in paragraphs(comment))
    return told.replace("|", "\\|")


def first(comment):
    """The first sentence."""
    text = paragraphs(comment)[0][1][0] if comment.strip() else ""
    end = re.search(r"[.:](?= |$)", text)
    return text[: end.start()] + "." if end else text


def configuration():
    """What the service configuration says of each method, in words."""
    told = {}
    for methods in json.loads((PROTO / "service-config.json").read_text(encoding="utf-8"))["methodConfig"]:
        words = f"Timeout {methods['timeout'].removesuffix('s')} s" if "timeout" in methods else "No timeout"
        if retry := methods.get("retryPolicy"):
            words += f", called again on {' and '.join(retry['retryableStatusCodes'])}"
        for name in methods["name"]:
            told[f"{name['service']}/{name['method']}"] = words + "."
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a page is not as it should be")
    parser.add_argument("buf", help="the program that reads the contracts")
    arguments = parser.parse_args()
    image = subprocess.run([arguments.buf, "build", PROTO, "-o", "-#format=json"], check=True, capture_output=True)
    described = [one for one in json.loads(image.stdout)["file"] if one["package"].startswith("eldercare.")]
    contracts = [Contract(one) for one in described]
    if unknown := {one.context for one in contracts} - set(PACKAGES):
        sys.exit(f"which place do {sorted(unknown)} have among the packages? .ci/reference.py does not know them")
    pages = Reference(contracts, configuration()).pages()

    there = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    if arguments.check:
        wrong = sorted(name for name in {*pages, *there} if pages.get(name) != there.get(name))
        if wrong:
            sys.exit(f"proto/reference: {', '.join(wrong)} not as the contracts say: run .ci/reference.py")
        return
    PAGES.mkdir(exist_ok=True)
    for name in there.keys() - pages.keys():
        (PAGES / name).unlink()
    for name, text in pages.items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
