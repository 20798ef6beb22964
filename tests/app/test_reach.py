"""Each row of `revere bench ocpp` with a handful of stations: the figures are of what they say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from revere.app.bench import BENCHES
from revere.app.reach import frames, rows
from revere.app.reach.rows import ROWS, Sizes
from revere.core.errors import RevereError
from revere.links.ocpp2.wire import v21
from revere.links.ocppj.bounds import Counters
from revere.links.ocppj.framing import Call, parse_frame
from revere.links.ocppj.payload import PayloadReader

pytestmark = pytest.mark.wall

SMALL = Sizes(stations=12, seconds=0.5, rate_per_s=60.0, idle=12, storm=40, certificates=6, setpoint=25)


def _figures(row: str) -> dict[str, Any]:
    return asyncio.run(asyncio.wait_for(ROWS[row](SMALL), 60))


def test_sockets() -> None:
    ours = _figures("sockets")
    assert (ours["errors"], ours["lost"], ours["peer_errors"]) == (0, 0, 0)
    assert min(ours["per_s"], ours["peer_per_s"]) > 0
    assert ours["times_the_peer"] == pytest.approx(ours["per_s"] / ours["peer_per_s"], abs=0.01)


def test_commit() -> None:
    ours = _figures("commit")
    assert (ours["errors"], ours["lost"]) == (0, 0)
    assert ours["p50_ms"] > 10, "a window of 20 ms opens before each commit"
    assert 30 < ours["paced_per_s"] < 70
    assert 30 < ours["unstored_per_s"] < 70
    assert ours["paced_p50_ms"] > 10
    assert ours["added_p99_ms"] == pytest.approx(ours["paced_p99_ms"] - ours["unstored_p99_ms"])


def test_memory() -> None:
    ours = _figures("memory")
    assert ours["station_kib"] > 0
    assert ours["peer_station_kib"] > 0


def test_storm() -> None:
    ours = _figures("storm")
    assert (ours["booted"], ours["peer_booted"], ours["certificates_booted"]) == (40, 40, 6)
    assert 0 < ours["half_booted_s"] <= ours["last_booted_s"] < 30


def test_setpoint() -> None:
    ours = _figures("setpoint")
    assert ours["not_accepted"] == 0, ours["why"]
    assert 0 < ours["p99_s"] <= ours["last_s"] < 5


def test_every_row_is_a_bench() -> None:
    assert {f"ocpp.{row}" for row in ROWS} | {"ocpp.frame"} == {name for name in BENCHES if name.startswith("ocpp")}


def test_the_crowd_sends_what_the_standard_allows() -> None:
    """A frame as long as the bench's, each with a number and a time of its own."""
    raw = frames.event("S00007", 41, "2026-07-16T19:30:00.125Z")
    assert len(raw) == 923
    call = parse_frame(raw)
    assert isinstance(call, Call)
    said = PayloadReader(v21.TransactionEventRequest).read(call.payload, Counters())
    assert said.seqNo == 41
    assert said.meterValue is not None
    assert len(said.meterValue[0].sampledValue) == 4
    begun = parse_frame(frames.started("S00007", "BUS-S00007", "2026-07-16T19:30:00.125Z"))
    assert isinstance(begun, Call)
    first = PayloadReader(v21.TransactionEventRequest).read(begun.payload, Counters())
    assert first.transactionInfo.transactionId == said.transactionInfo.transactionId


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_the_crowds_frames_are_whole(length: int) -> None:
    sent = frames.packed(b"x" * length)
    assert sent[1] & 0x80, "a client's frames are masked"
    bare = bytes([sent[0], sent[1] & 0x7F]) + sent[2 : len(sent) - length - 4] + sent[len(sent) - length :]
    assert frames.split(bare + b"\x81") == (frames.TEXT, b"x" * length, b"\x81")
    assert frames.split(bare[:-1])[1] is None


def test_a_part_that_dies_is_told_with_its_last_words() -> None:
    async def story() -> None:
        async with rows.child(["python3", "-c", "raise SystemExit('no room')"]) as dead:
            await dead.news()

    with pytest.raises(RevereError, match="a part of the bench ended") as told:
        asyncio.run(story())
    assert "no room" in told.value.text()


def test_a_server_may_open_as_many_sockets_as_the_system_lets_it() -> None:
    code = (
        "import gc, resource as r\n"
        "most = r.getrlimit(r.RLIMIT_NOFILE)[1]\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (64, most))\n"
        "from revere.app.process import THRESHOLDS, many_sockets\n"
        "many_sockets()\n"
        "assert r.getrlimit(r.RLIMIT_NOFILE) == (most, most)\n"
        "assert gc.get_threshold() == THRESHOLDS\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
