"""The reference pages of docs/, written from the code: ``python -m revere.web.reference [FOLDER]``.

Scenario keys come from the scenario's structs, commands from the installed ``revere`` command, routes and their roles
from the application itself. A test keeps the committed pages current.
"""

from __future__ import annotations

import inspect
import sys
import typing
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import msgspec

from revere.core import assets, orders, scenario, tariff
from revere.web.app import create_app
from revere.web.settings import WebSettings

TABLES: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("The file as a whole", scenario.Entry),
    ("[programme]", assets.Programme),
    ("[run]", scenario.Run),
    ("[plant]", scenario.PlantFacts),
    ("[[feeders]]", assets.Feeder),
    ("[[programs]]", assets.Program),
    ("[[tariffs]]", tariff.Tariff),
    ("[[tariffs.windows]]", tariff.Window),
    ("[station_models.NAME]", scenario.StationModel),
    ("[vehicle_models.NAME]", scenario.VehicleModel),
    ("[[sites]]", scenario.SiteEntry),
    ("[[sites.chargers]]", scenario.ChargerGroup),
    ("trips of a charger group", assets.Trip),
    ("[[block_groups]]", assets.BlockGroupInputs),
    ("[[cards]]", assets.Card),
    ("[[outages]]", scenario.Outage),
)
MADE = "<!-- Made by `python -m revere.web.reference`. Change the code, not this page. -->\n"
API_EXAMPLE = """\
A script sends a token. An operator makes it on the server for a user, whose role it has; it is shown once:

```console
revere token add alice --days 90 --label "energy report"
curl --fail --header "Authorization: Bearer TOKEN" http://127.0.0.1:8080/api/v1/me
```

`revere token list` and `revere token revoke` show and end tokens. Browsers sign in with `POST /login` and keep the
cookie; what they change must come from our own page, so a request without a token needs our own address in its `Origin`
header.
"""
METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")


def scenario_page() -> str:
    """Every table and key of a scenario file with its type, its default and what the struct says."""
    parts = [
        "# Scenario keys\n",
        MADE,
        (
            "A scenario is a TOML file. An unknown key, a missing one without a default, or a value out of range is "
            "refused with file, key, both values and the way out; nothing starts.\n"
        ),
    ]
    for title, struct in TABLES:
        parts.append(f"## {title}\n")
        parts.append(_flat(inspect.getdoc(struct) or "") + "\n")
        parts.append("| key | type | default |\n|---|---|---|")
        hints = typing.get_type_hints(struct)
        parts += [
            f"| `{field.encode_name}` | {_type_words(hints[field.name])} | {_default_words(field)} |"
            for field in msgspec.structs.fields(struct)
        ]
        parts.append("")
    return "\n".join(parts)


def orders_page() -> str:
    """Every order to a station: its word, what it does, its fields."""
    parts = [
        "# Orders to a station\n",
        MADE,
        (
            "An operator gives a connected station an order with `revere station order STATION KIND 'FIELDS'` or "
            "`POST /api/v1/stations/{station_id}/orders`, whose body is the fields and the `kind`. Each is journaled "
            "with the person's name; the answer is the station's own. What an edition of OCPP or a charger does not "
            "know is answered with that.\n"
        ),
    ]
    named: dict[str, type[msgspec.Struct]] = {}
    for struct in typing.get_args(orders.Order):
        parts.append(f"## {orders.kind_of(struct)}\n\n{_flat(inspect.getdoc(struct) or '')}\n")
        parts += _field_rows(struct, named)
    told: set[str] = set()
    while waiting := [name for name in named if name not in told]:
        for name in waiting:
            told.add(name)
            parts.append(f"## A {name}\n\n{_flat(inspect.getdoc(named[name]) or '')}\n")
            parts += _field_rows(named[name], named)
    return "\n".join(parts).rstrip() + "\n"


def _field_rows(struct: type[msgspec.Struct], named: dict[str, type[msgspec.Struct]]) -> list[str]:
    """A struct's fields as a table; the structs in it are put into ``named``."""
    fields = msgspec.structs.fields(struct)
    if not fields:
        return []
    hints = typing.get_type_hints(struct)
    for field in fields:
        for inner in typing.get_args(hints[field.name]):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                named[inner.__name__] = inner
    rows = [
        f"| `{field.encode_name}` | {_type_words(hints[field.name])} | {_default_words(field)} |" for field in fields
    ]
    return ["| field | type | default |\n|---|---|---|", *rows, ""]


def _flat(text: str) -> str:
    """A docstring as Markdown: its own line breaks go, double back-quotes become single ones."""
    paragraphs = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    return "\n\n".join(paragraphs).replace("``", "`")


def _type_words(hint: Any) -> str:
    """A type in the words of a file's author."""
    plain = {
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "true or false",
        "Decimal": "exact number, quoted",
        "date": "date",
        "time": "local time",
        "NoneType": "absent",
    }
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{arg}`" for arg in args)
    if origin is tuple:
        return f"list of {_type_words(args[0])}"
    if origin is dict:
        return f"table of {_type_words(args[1])}"
    if args:
        return " or ".join(_type_words(arg) for arg in args)
    name: str = getattr(hint, "__supertype__", hint).__name__
    return plain.get(name, name)


def _default_words(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if isinstance(value, msgspec.Struct):
        return "its defaults"
    return (
        "none" if value is None or value in ((), "") else f"`{value}`".replace("True", "true").replace("False", "false")
    )


def commands_page() -> str | None:
    """Every command with its arguments, from the installed ``revere``; None where it is not installed."""
    found = list(entry_points(group="console_scripts", name="revere"))
    if not found:
        return None
    found[0].load()
    parts = ["# Commands\n", MADE, "`revere COMMAND --help` says the same. Errors are one line and exit with code 2.\n"]
    return "\n".join(parts + _commands(sys.modules[found[0].module].app, "revere")).rstrip() + "\n"


def _commands(app: Any, path: str) -> list[str]:
    """An application's commands, those of its groups included."""
    parts: list[str] = []
    for name in app:
        if name.startswith("-"):
            continue
        command, words = app[name], f"{path} {name}"
        if command.default_command is None:
            parts += _commands(command, words)
            continue
        told = _flat((inspect.getdoc(command.default_command) or "").partition("\nArgs:")[0])
        arguments = list(command.assemble_argument_collection(parse_docstring=True))
        usage = [words]
        rows = []
        for argument in arguments:
            option = argument.name
            if argument.index is not None:
                option = option.removeprefix("--").upper().replace("-", "_")
            shape = option
            if argument.index is None and argument.hint is not bool:
                shape = f"{option} {argument.field_info.name.upper()}"
            usage.append(shape if argument.required else f"[{shape}]")
            default = argument.field_info.default
            shown = "**required**" if argument.required else "none" if default in (None, False) else f"`{default}`"
            says = argument.parameter.help or ""
            rows.append(f"| `{option}` | {shown} | {says.replace('``', '`')} |")
        parts += [f"## {words}\n", told + "\n", f"```console\n{' '.join(usage)}\n```\n"]
        if rows:
            parts += ["| argument | default | |\n|---|---|---|", *rows, ""]
    return parts


def api_page() -> str:
    """Every documented route: who may use it, what it says, what it takes."""
    app = create_app(cast("Any", None), cast("Any", None), cast("Any", None), WebSettings())
    roles = _roles(app)
    parts = [
        "# Web API\n",
        MADE,
        (
            "Powers are kW with charging positive; names that say relief are positive for help to the grid. Times are "
            "RFC 3339 in UTC. Errors are `application/problem+json` with a reference that is also in the log. The "
            "whole schema is at `/api/openapi.json`.\n"
        ),
        API_EXAMPLE,
        "| route | open to | what |\n|---|---|---|",
    ]
    paths = app.openapi_schema.to_schema()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            words = f"{operation.get('summary', '')}. {_flat(operation.get('description', ''))}"
            takes = [f"`{item['name']}`" for item in operation.get("parameters", []) if item["in"] == "query"]
            words += f" Takes {', '.join(takes)}." if takes else ""
            parts.append(f"| `{method.upper()} {path}` | {roles[path, method.upper()]} | {words} |")
    return "\n".join(parts).replace("?.", "?") + "\n"


def _roles(app: Any) -> dict[tuple[str, str], str]:
    """Who may use each route, as the gate reads it."""
    found = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            for method in set(handler.http_methods) & set(METHODS):
                allowed = handler.opt.get("roles", ())
                words = (
                    "everybody"
                    if handler.opt.get("public")
                    else ", ".join(sorted(r.replace("_", " ") for r in allowed))
                )
                found[route.path_format, method] = words
    return found


def pages() -> dict[str, str]:
    """The reference pages by file name; a page whose source is not there is left out."""
    made = {
        "scenario.md": scenario_page(),
        "commands.md": commands_page(),
        "api.md": api_page(),
        "orders.md": orders_page(),
    }
    return {name: text for name, text in made.items() if text is not None}


def write(folder: Path) -> list[Path]:
    """Write the pages to ``folder``; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        (folder / name).write_text(text)
        written.append(folder / name)
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
