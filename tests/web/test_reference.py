"""The committed reference pages say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from revere.core.scenario import SiteEntry
from revere.web.reference import api_page, commands_page, pages, scenario_page

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["scenario.md", "commands.md", "api.md", "orders.md"])
def test_the_committed_page_is_current(name: str) -> None:
    made = pages()
    if name not in made:
        pytest.skip(f"{name}: the revere command is not installed here")
    kept = (DOCS / "reference" / name).read_text()
    assert kept == made[name], f"docs/reference/{name} is old: run python -m revere.web.reference"


def test_every_key_of_a_site_is_on_the_page_with_its_default() -> None:
    page = scenario_page()
    assert all(f"| `{name}` |" in page for name in SiteEntry.__struct_fields__)
    assert "| `export_limit_kw` | number | `0.0` |" in page
    assert "| `kind` | `school`, `municipal`, `home` | **required** |" in page


def test_a_mutating_route_names_its_roles() -> None:
    rows = [row for row in api_page().splitlines() if re.match(r"\| `(POST|PUT|DELETE)", row)]
    assert rows
    for row in rows:
        _, _, who, _, _ = row.split("|", 4)
        assert who.strip()
        assert who.strip() != "everybody" or "/login" in row
    (stop,) = [row for row in rows if "/discharge/stop" in row]
    assert "operator, resident, site manager" in stop


def test_the_commands_that_people_were_promised_are_there() -> None:
    page = commands_page()
    if page is None:
        pytest.skip("the revere command is not installed here")
    for name in (
        "run",
        "serve",
        "twin",
        "event call",
        "stop-discharge",
        "guide",
        "audit",
        "backup",
        "restore",
        "doctor",
    ):
        assert f"revere {name}" in page


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(DOCS)}: {target}"
        for page in sorted(DOCS.rglob("*.md"))
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken, "\n".join(broken)
