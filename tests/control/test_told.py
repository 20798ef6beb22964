"""What a station was told: its own answer and the meter's stay apart, and a restart knows them."""

from __future__ import annotations

from typing import Any

import pytest

from revere.control.told import TELLINGS_MAX, Told
from revere.core import facts as f
from revere.core.ids import CommandId, StationId
from tests.control.scenes import NOON, seconds, told

ST = StationId("cs1")


def end(outcome: Any, why: str = "", said: Any = "", number: int = 1) -> f.CommandEnded:
    return f.CommandEnded(
        at=NOON + seconds(9), command_id=CommandId(f"sp-{number}"), outcome=outcome, why=why, said=said
    )


def by_hand(kind: str = "stop") -> f.CommandIssued:
    return f.CommandIssued(at=NOON, command_id=CommandId("sp-1"), station_id=ST, kind=kind, by="ann")


def order(status: Any, why: str = "") -> f.StationOrdered:
    return f.StationOrdered(
        at=NOON, command_id=CommandId("sp-1"), station_id=ST, kind="reset-station", by="ann", status=status, why=why
    )


@pytest.mark.parametrize(
    ("facts", "said", "proof", "why"),
    [
        ([told("cs1", -20.0)], None, "awaited", ""),
        ([told("cs1", -20.0), end("confirmed", said="accepted")], "accepted", "confirmed", ""),
        ([told("cs1", -20.0), end("confirmed")], "nothing", "confirmed", ""),  # the meter was faster
        ([told("cs1", 5.0), end("expired", "shows 0 kW", "accepted")], "accepted", "not confirmed", "shows 0 kW"),
        ([told("cs1", 5.0), end("superseded", said="accepted")], "accepted", "replaced", ""),
        ([told("cs1", 5.0), end("rejected", "rejected: early")], "refused", "not judged", "rejected: early"),
        ([told("cs1", 5.0), end("rejected", "timeout: 5 s")], "nothing", "not judged", "timeout: 5 s"),
        ([by_hand(), end("confirmed")], "accepted", "not judged", ""),
        ([by_hand(), end("expired", "timeout: no answer")], "nothing", "not judged", "timeout: no answer"),
        ([order("asked")], None, "not judged", ""),
        ([order("asked"), order("accepted")], "accepted", "not judged", ""),
        ([order("asked"), order("rejected", "Rejected")], "refused", "not judged", "Rejected"),
        ([order("asked"), order("offline", "gone")], "nothing", "not judged", "gone"),
    ],
)  # fmt: skip
def test_the_stations_word_and_the_meters_stay_apart(facts: list[Any], said: Any, proof: str, why: str) -> None:
    book = Told()
    for fact in facts:
        book.apply(fact)
    (row,) = book.of(ST)
    assert (row.said, row.proof, row.why) == (said, proof, why)
    assert (row.ended_at is None) == (len(facts) == 1)


def test_the_newest_come_first_and_the_oldest_are_forgotten() -> None:
    book = Told()
    for number in range(TELLINGS_MAX + 5):
        book.apply(told("cs1", float(number), NOON + seconds(number), number))
    book.apply(end("confirmed", number=2))  # forgotten: nothing happens
    rows = book.of(ST)
    assert [row.setpoint_kw for row in rows] == [float(n) for n in range(TELLINGS_MAX + 4, 4, -1)]
    assert book.of(StationId("other")) == ()
