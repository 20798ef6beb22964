"""What a station was told of late, what it said to that, and whether its meter agreed."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import TYPE_CHECKING, Literal

import msgspec

from revere.control.view import TellingView
from revere.core import facts as f

if TYPE_CHECKING:
    from revere.core.ids import StationId

TELLINGS_MAX = 30
"""For each station; the oldest is forgotten first."""
NUMBERS_MAX = 64
"""Numbers known for each station: under an older one it reports no more."""
SETPOINT = "setpoint"


class Told:
    """The last commands and orders of each station, folded from the journal."""

    def __init__(self) -> None:
        self._of: dict[StationId, deque[TellingView]] = {}
        self._open: dict[str, StationId] = {}
        self._numbers: dict[StationId, deque[int]] = {}

    def of(self, station_id: StationId) -> tuple[TellingView, ...]:
        """The newest first."""
        return tuple(reversed(self._of.get(station_id, ())))

    def gave(self, station_id: StationId, request_id: int) -> bool:
        """Whether the station may report under that number."""
        return request_id in self._numbers.get(station_id, ())

    def apply(self, fact: f.CommandIssued | f.CommandEnded | f.StationOrdered | f.NumberGiven) -> None:
        """Take note of what was asked, or how it ended."""
        if isinstance(fact, f.NumberGiven):
            self._numbers.setdefault(fact.station_id, deque(maxlen=NUMBERS_MAX)).append(fact.request_id)
        elif isinstance(fact, f.CommandEnded):
            self._end(fact)
        elif isinstance(fact, f.CommandIssued):
            kw = fact.detail.get("setpoint_kw")
            setpoint_kw = float(kw) if isinstance(kw, int | float) else None
            self._begin(fact.station_id, fact.command_id, fact.at, fact.kind, fact.by, setpoint_kw)
        elif fact.status == "asked":
            self._begin(fact.station_id, fact.command_id, fact.at, fact.kind, fact.by, None)
        else:
            said: Literal["accepted", "refused", "nothing"] = "nothing"
            if fact.status in ("accepted", "rejected", "too_early"):
                said = "accepted" if fact.status == "accepted" else "refused"
            self._replace(fact.command_id, ended_at=fact.at, said=said, why=fact.why)

    def _begin(
        self, station_id: StationId, command_id: str, at: dt.datetime, kind: str, by: str, setpoint_kw: float | None
    ) -> None:
        rows = self._of.setdefault(station_id, deque(maxlen=TELLINGS_MAX))
        if len(rows) == TELLINGS_MAX:
            self._open.pop(rows[0].command_id, None)
        proof: Literal["awaited", "not judged"] = "awaited" if kind == SETPOINT else "not judged"
        rows.append(TellingView(command_id=command_id, at=at, kind=kind, by=by, setpoint_kw=setpoint_kw, proof=proof))
        self._open[command_id] = station_id

    def _end(self, fact: f.CommandEnded) -> None:
        row = self._find(fact.command_id)
        if row is None:
            return
        said: Literal["accepted", "refused", "nothing"]
        refused = fact.outcome == "rejected" and not fact.why.startswith(("timeout", "offline"))
        judged = row.kind == SETPOINT
        if fact.said == "accepted" or (fact.outcome == "confirmed" and not judged):
            said = "accepted"
        else:
            said = "refused" if refused else "nothing"
        proof = row.proof
        if judged:
            outcomes: dict[str, Literal["confirmed", "not confirmed", "replaced", "not judged"]] = {
                "confirmed": "confirmed", "expired": "not confirmed", "superseded": "replaced",
            }  # fmt: skip
            proof = outcomes.get(fact.outcome, "not judged")
        self._replace(fact.command_id, ended_at=fact.at, said=said, proof=proof, why=fact.why)

    def _find(self, command_id: str) -> TellingView | None:
        rows = self._of.get(self._open[command_id], ()) if command_id in self._open else ()
        return next((row for row in reversed(rows) if row.command_id == command_id), None)

    def _replace(self, command_id: str, **changes: object) -> None:
        row = self._find(command_id)
        if row is not None:
            rows = self._of[self._open.pop(command_id)]
            rows[rows.index(row)] = msgspec.structs.replace(row, **changes)
