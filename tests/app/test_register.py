"""`revere site add` adds: nothing that is registered goes unless it was asked for, and then it is named."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from revere.app.admin import AdminDesk
from revere.app.play import load_scenario
from revere.app.register import add_fleet
from revere.core.assets import Fleet
from revere.core.errors import Refused
from revere.core.ids import TenantId
from revere.core.scenario import parse_scenario
from revere.core.time import WallClock
from revere.store.store import Store
from tests.trips.rig import ONE_HOME, SMALL


def _registered(
    dsn: str, tmp_path: Path, *steps: tuple[Fleet, bool], served: bool = False, lower: bool = False
) -> tuple[list[str], Fleet]:
    async def work() -> tuple[list[str], Fleet]:
        store = await Store.open(dsn, WallClock(), TenantId("masscec"), require_durable=False)
        try:
            desk = AdminDesk(store, tmp_path, "", None, served=served)
            said = [await add_fleet(desk, fleet, replace=replace, lower=lower) for fleet, replace in steps]
            kept = await store.load_fleet()
            assert kept is not None
            return said, kept
        finally:
            await store.close()

    return asyncio.run(work())


TOWN = load_scenario(SMALL).fleet
HOME = parse_scenario(ONE_HOME.read_text().replace('id = "home"', 'id = "harbour"'), ONE_HOME.name).fleet


def test_a_home_is_added_to_a_town_and_a_running_server_is_named(pg_dsn: str, tmp_path: Path) -> None:
    (first, second), kept = _registered(pg_dsn, tmp_path, (TOWN, False), (HOME, False), served=True)
    assert [site.id for site in kept.sites] == [site.id for site in (*TOWN.sites, *HOME.sites)]
    assert len(kept.stations) == len(TOWN.stations) + len(HOME.stations)
    assert f"{len(TOWN.sites) + 1} sites" in second
    assert "kept, though not in this file" in second
    assert "changed: programme masscec" in second, "the file's own name of the programme is told, not slipped in"
    assert "site school" in first
    assert "running: it takes this up at its next start" in second


def test_the_same_file_again_changes_nothing_and_an_edited_one_what_it_edits(pg_dsn: str, tmp_path: Path) -> None:
    site = msgspec.structs.replace(TOWN.sites[0], import_limit_kw=77.0)
    edited = msgspec.structs.replace(TOWN, sites=(site, *TOWN.sites[1:]))
    (_, again, third), kept = _registered(pg_dsn, tmp_path, (TOWN, False), (TOWN, False), (edited, False))
    assert not any(word in again for word in ("added", "changed", "removed", "kept"))
    assert third.splitlines()[0] == f"1 changed: site {site.id}"
    assert kept == edited


def test_only_replace_removes_and_it_names_what_goes(pg_dsn: str, tmp_path: Path) -> None:
    (_, said), kept = _registered(pg_dsn, tmp_path, (TOWN, False), (HOME, True))
    assert kept == HOME
    removed = next(line for line in said.splitlines() if "removed:" in line)
    assert all(f"site {site.id}" in removed for site in TOWN.sites)


def test_a_file_lowers_no_security_profile_unless_that_is_meant(pg_dsn: str, tmp_path: Path) -> None:
    secured = msgspec.structs.replace(
        TOWN, stations=tuple(msgspec.structs.replace(station, security_profile=3) for station in TOWN.stations)
    )
    _, kept = _registered(pg_dsn, tmp_path, (TOWN, False), (secured, False))
    assert {station.security_profile for station in kept.stations} == {3}
    with pytest.raises(Refused, match=f"{TOWN.stations[0].id} from 3 to 1.*--lower-security"):
        _registered(pg_dsn, tmp_path, (secured, False), (TOWN, True))
    _, kept = _registered(pg_dsn, tmp_path, (secured, False), (TOWN, False), lower=True)
    assert {station.security_profile for station in kept.stations} == {1}


def test_another_programmes_file_is_refused(pg_dsn: str, tmp_path: Path) -> None:
    programme = msgspec.structs.replace(HOME.programme, id=TenantId("elsewhere"))
    with pytest.raises(Refused, match="another programme"):
        _registered(pg_dsn, tmp_path, (msgspec.structs.replace(HOME, programme=programme), False))
