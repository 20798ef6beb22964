"""Write the wire structs of OCPP 1.6, 2.0.1 and 2.1 from the official JSON schemas (PyPI ``ocpp``).

::

    schema file ─ definitions, inlined objects ─▶ struct        BootNotificationRequest
                  enumerations                 ─▶ Literal       BootReasonEnum
                  maxLength, minimum, minItems ─▶ msgspec.Meta  Str50, Natural, min_length=1

Names are the standard's own: a definition loses its ``Type``, an object or enumeration without a
name takes its property's. Not a word of the schemas' descriptions is copied. What the schemas say
and this tool does not know stops it. ``make structs`` runs it; a test compares what it would write.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
Schema = dict[str, Any]

SAID: Final = frozenset({"$schema", "$id", "id", "title", "comment", "description", "javaType", "definitions"})
"""Keys that constrain nothing."""
KNOWN: Final[dict[str, frozenset[str]]] = {
    "object": frozenset({"type", "properties", "required", "additionalProperties"}),
    "array": frozenset({"type", "items", "additionalItems", "minItems", "maxItems"}),
    "string": frozenset({"type", "maxLength", "format", "enum", "default", "additionalProperties"}),
    "integer": frozenset({"type", "minimum", "maximum", "default"}),
    "number": frozenset({"type", "minimum", "maximum", "multipleOf"}),
    "boolean": frozenset({"type", "default"}),
}
NUMBERS: Final[dict[tuple[str, float | None, float | None], str]] = {
    ("int", None, None): "Int",
    ("int", 0, None): "Natural",
    ("int", 1, None): "Positive",
    ("int", 0, 100): "Percent",
    ("float", 0, 100): "PercentFloat",
    ("int", 0, 3): "UpTo3",
    ("float", None, 0): "NotAboveZero",
}
"""Ranges by their names in ``links/ocppj/wire.py``."""
IMPORTS: Final = """
from __future__ import annotations
import datetime as dt
from typing import Annotated, Any, Final, Literal
from msgspec import Meta
from revere.links.ocppj.wire import (
    Int, Natural, NotAboveZero, OpenWire, Percent, PercentFloat, Positive,
    Tenths, Timestamp, TransactionId, UpTo3, Uri, Wire,
)
"""


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One version of the standard: where its schemas lie, where its structs go."""

    name: str
    folder: str
    module: str
    names: dict[str, str] = field(default_factory=dict)
    """Property to the name of an object that has none."""
    defaults: dict[tuple[str, str], str] = field(default_factory=dict)
    """(struct, field) to a default that the standard's text names and its schemas do not."""
    narrowed: dict[tuple[str, str], str] = field(default_factory=dict)
    """(struct, field) to a type that the standard's text bounds and its schemas do not."""
    note: str = ""
    """Our words on units and signs, for the module's docstring."""


EDITIONS: Final = (
    Edition(
        name="1.6 with its security extension",
        folder="v16",
        module="revere/links/ocpp16/wire.py",
        names={
            "configurationKey": "KeyValue",
            "csChargingProfiles": "ChargingProfile",
            "localAuthorizationList": "AuthorizationData",
        },
        defaults={
            ("SampledValue", "context"): "Sample.Periodic",
            ("SampledValue", "format"): "Raw",
            ("SampledValue", "measurand"): "Energy.Active.Import.Register",
            ("TransactionDataSampledValue", "context"): "Sample.Periodic",
            ("TransactionDataSampledValue", "format"): "Raw",
            ("TransactionDataSampledValue", "measurand"): "Energy.Active.Import.Register",
            ("StopTransaction", "reason"): "Local",
        },
        narrowed={
            ("StartTransaction", "connectorId"): "Positive",
            ("StatusNotification", "connectorId"): "Natural",
            ("MeterValues", "connectorId"): "Natural",
            ("SetChargingProfile", "connectorId"): "Natural",
            ("ChargingProfile", "stackLevel"): "Natural",
        },
        note="Sampled values are text; limits are W or A in tenths; connector 0 is the charge point itself.",
    ),
    Edition(
        name="2.0.1",
        folder="v201",
        module="revere/links/ocpp2/wire/v201.py",
        narrowed={
            ("EVSE", "id"): "Natural",
            ("StatusNotificationRequest", "evseId"): "Natural",
            ("StatusNotificationRequest", "connectorId"): "Natural",
            ("MeterValuesRequest", "evseId"): "Natural",
            ("TransactionEventRequest", "seqNo"): "Natural",
            ("Transaction", "transactionId"): "TransactionId",
            ("ChargingProfile", "stackLevel"): "Natural",
        },
        note="Powers are W, energies Wh, soc a percentage; EVSE 0 is the station itself.",
    ),
    Edition(
        name="2.1 Edition 1",
        folder="v21",
        module="revere/links/ocpp2/wire/v21.py",
        narrowed={("Transaction", "transactionId"): "TransactionId"},
        note="Powers are W, energies Wh, soc a percentage; EVSE 0 is the station itself. A setpoint below 0\n"
        "discharges, dischargeLimit is never above 0, and the discharge powers of a vehicle are magnitudes.",
    ),
)


def schemas(edition: Edition) -> dict[str, Schema]:
    """The schemas of an edition by file name."""
    spec = find_spec("ocpp")
    assert spec is not None, "the schemas come with PyPI ocpp, a development dependency"
    assert spec.origin is not None
    folder = Path(spec.origin).parent / edition.folder / "schemas"
    return {path.stem: json.loads(path.read_text("utf-8-sig")) for path in sorted(folder.glob("*.json"))}


class Writer:
    """The types of one edition, collected in the order in which they can be read."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.strings: set[int] = set()
        self.enums: dict[str, str] = {}
        self.structs: dict[str, str] = {}
        self._contents: dict[str, str] = {}

    def message(self, name: str, schema: Schema) -> None:
        """Add a message and all that it needs."""
        self._definitions: dict[str, Schema] = schema.get("definitions", {})
        self._struct(name, schema)

    def _struct(self, name: str, schema: Schema) -> str:
        """The name of an object's struct: new, or the one with the same content."""
        content = _content(schema)
        if self._contents.setdefault(name, content) != content:
            raise SystemExit(f"{self.edition.name}: two different types are called {name}")
        if name in self.structs:
            return name
        _know(name, schema, "object")
        fields = [self._field(name, key, value, schema) for key, value in schema.get("properties", {}).items()]
        base = "Wire" if schema.get("additionalProperties") is False else "OpenWire"
        body = "\n".join(fields) or "    pass"
        self.structs[name] = f"class {name}({base}, frozen=True, kw_only=True):\n{body}"
        return name

    def _field(self, owner: str, name: str, schema: Schema, parent: Schema) -> str:
        kind = self._type(owner, name, schema)
        kind = self.edition.narrowed.get((owner, name), kind)
        if name in parent.get("required", ()):
            return f"    {name}: {kind}"
        default = self.edition.defaults.get((owner, name), self._resolved(schema).get("default"))
        if default is not None:
            return f"    {name}: {kind} = {default!r}"
        return f"    {name}: {kind} = None" if kind == "Any" else f"    {name}: {kind} | None = None"

    def _resolved(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        return schema if reference is None else self._definitions[reference.removeprefix("#/definitions/")]

    def _type(self, owner: str, name: str, schema: Schema) -> str:
        """The annotation of a property or array element; its own types are added."""
        if "$ref" in schema:
            _know(f"{owner}.{name}", schema, None)
            defined = schema["$ref"].removeprefix("#/definitions/").removesuffix("Type")
            target = self._resolved(schema)
            return self._enum(defined, target) if "enum" in target else self._struct(defined, target)
        kind = schema.get("type")
        _know(f"{owner}.{name}", schema, kind)
        match kind:
            case "object":
                return self._struct(self._own_name(owner, name, schema), schema)
            case "array":
                return self._array(owner, name, schema)
            case "string":
                return self._string(owner, name, schema)
            case "integer":
                return _number("int", schema)
            case "number":
                return "Tenths" if schema.get("multipleOf") == 0.1 else _number("float", schema)
            case "boolean":
                return "bool"
            case _:
                return "Any"

    def _own_name(self, owner: str, name: str, schema: Schema) -> str:
        """A name for an object that has none: its property's, else with the owner before it."""
        short = self.edition.names.get(name, _capital(name))
        taken = self._contents.get(short)
        return short if taken is None or taken == _content(schema) else owner + short

    def _array(self, owner: str, name: str, schema: Schema) -> str:
        item = self._type(owner, name, schema["items"])
        lengths = (("min_length", "minItems"), ("max_length", "maxItems"))
        bounds = [f"{key}={schema[said]}" for key, said in lengths if said in schema]
        kind = f"tuple[{item}, ...]"
        return f"Annotated[{kind}, Meta({', '.join(bounds)})]" if bounds else kind

    def _string(self, owner: str, name: str, schema: Schema) -> str:
        if "enum" in schema:
            prefix = "" if _capital(name).startswith(owner) else owner
            return self._enum(prefix + _capital(name), schema)
        if "format" in schema:
            return {"date-time": "Timestamp", "uri": "Uri"}[schema["format"]]
        if "maxLength" in schema:
            self.strings.add(schema["maxLength"])
            return f"Str{schema['maxLength']}"
        return "str"

    def _enum(self, name: str, schema: Schema) -> str:
        _know(name, schema, "string")
        text = f"{name} = Literal[{', '.join(map(repr, schema['enum']))}]"
        if self.enums.setdefault(name, text) != text:
            raise SystemExit(f"{self.edition.name}: two different enumerations are called {name}")
        return name


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _content(schema: Schema) -> str:
    return json.dumps({key: value for key, value in schema.items() if key not in SAID}, sort_keys=True)


def _know(where: str, schema: Schema, kind: str | None) -> None:
    known = frozenset({"$ref"}) if kind is None and "$ref" in schema else KNOWN.get(kind or "", frozenset())
    unknown = schema.keys() - SAID - known
    if unknown:
        raise SystemExit(f"{where}: the schema says {sorted(unknown)}, which this tool does not know")


def _number(kind: str, schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if kind == "float" and low is None and high is None:
        return "float"
    if (kind, low, high) not in NUMBERS:
        raise SystemExit(f"no name for the range of {kind} from {low} to {high}: add it to links/ocppj/wire.py")
    return NUMBERS[kind, low, high]


def _registry(names: list[str]) -> tuple[str, str]:
    """CALLS and SENDS: what has a response is a call; 1.6 names its requests without a suffix."""
    actions = {name.removesuffix("Response"): name for name in names if name.endswith("Response")}
    calls, sends = [], []
    for name in names:
        action = name.removesuffix("Request")
        if name.endswith("Response"):
            continue
        if action in actions:
            calls.append(f'"{action}": ({name}, {actions[action]})')
        else:
            sends.append(f'"{name}": {name}')
    return "{" + ", ".join(calls) + "}", "{" + ", ".join(sends) + "}"


def render(edition: Edition) -> str:
    """The module of an edition, formatted."""
    writer = Writer(edition)
    messages = schemas(edition)
    for name, schema in messages.items():
        writer.message(name, schema)
    for owner, name in (*edition.defaults, *edition.narrowed):
        if f"\n    {name}: " not in writer.structs.get(owner, ""):
            raise SystemExit(f"{edition.name}: {owner}.{name} is named here and in no schema")
    calls, sends = _registry(list(messages))
    structs = "\n\n\n".join(writer.structs.values())
    strings = [f"Str{n} = Annotated[str, Meta(max_length={n})]" for n in sorted(writer.strings)]
    parts = [
        f"# generated by tools/ocpp_structs.py from the JSON schemas of PyPI ocpp {installed('ocpp')}: do not edit",
        f'"""OCPP {edition.name}: every message as the standard writes it.\n\n{edition.note}\n"""',
        "# ruff: noqa: N815 - field names are the standard's",
        IMPORTS,
        "\n".join(strings),
        "\n".join(writer.enums[name] for name in sorted(writer.enums)),
        structs,
        f"CALLS: Final[dict[str, tuple[type[Wire], type[Wire]]]] = {calls}",
        f"SENDS: Final[dict[str, type[Wire]]] = {sends}",
    ]
    return _formatted("\n\n".join(parts) + "\n", edition.module)


def _formatted(text: str, module: str) -> str:
    for command in (["check", "--fix-only", "--quiet"], ["format"]):
        ran = subprocess.run(
            [Path(sys.executable).with_name("ruff"), *command, "--stdin-filename", module, "-"],
            input=text,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        if ran.returncode:
            raise SystemExit(f"{module}: {ran.stdout[-2000:]}{ran.stderr}")
        text = ran.stdout
    return text


def main() -> None:
    """Write every edition's module."""
    for edition in EDITIONS:
        target = ROOT / edition.module
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(render(edition), "utf-8")
        print(f"{edition.module} written")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
