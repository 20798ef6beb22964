"""`revere station security` lists what stations told and what the door refused."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

from revere.app.admin import AdminDesk, list_security
from revere.core.errors import Refused
from revere.core.facts import SecurityEventReported
from revere.core.ids import StationId, TenantId
from revere.core.time import WallClock
from revere.store.store import Store


def _event(
    station: str, kind: str, days_ago: float, source: Literal["station", "door"], detail: str
) -> SecurityEventReported:
    at = WallClock().now() - dt.timedelta(days=days_ago)
    return SecurityEventReported(
        at=at, station_id=StationId(station), type=kind, ts=at, source=source, detail=detail, count=3
    )


EVENTS = [
    _event("ST-1", "OldOne", 40, "station", ""),
    _event("ST-1", "LoginRefused", 2, "door", "wrong secret, from 192.0.2.7"),
    _event("ST-2", "TamperDetectionActivated", 1, "station", "[bold]lid[/bold] open"),
]


@pytest.mark.parametrize(
    ("station", "days", "kinds"),
    [
        (None, 30, ["TamperDetectionActivated", "LoginRefused"]),
        (None, 60, ["TamperDetectionActivated", "LoginRefused", "OldOne"]),
        ("ST-1", 30, ["LoginRefused"]),
        ("ST-9", 30, []),
    ],
)
def test_the_newest_come_first_and_a_stations_words_are_only_words(
    station: str | None, days: int, kinds: list[str], pg_dsn: str, tmp_path: Path
) -> None:
    async def work() -> str:
        store = await Store.open(pg_dsn, WallClock(), TenantId("masscec"), require_durable=False)
        try:
            await store.record(EVENTS)
            table = await list_security(AdminDesk(store, tmp_path, "", None, served=False), station, days)
        finally:
            await store.close()
        assert [str(cell) for cell in table.columns[3].cells] == kinds
        console = Console(width=200)
        with console.capture() as said:
            console.print(table)
        return said.get()

    shown = asyncio.run(work())
    assert ("wrong secret, from 192.0.2.7" in shown) == ("LoginRefused" in kinds)
    assert ("[bold]lid[/bold] open" in shown) == ("TamperDetectionActivated" in kinds)


@pytest.mark.parametrize("days", [0, -1, 401])
def test_days_that_make_no_sense_are_refused(days: int) -> None:
    with pytest.raises(Refused, match="1 to 400"):
        asyncio.run(list_security(AdminDesk(None, Path(), "", None, served=False), None, days))  # type: ignore[arg-type]
