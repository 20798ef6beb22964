"""Our server before stations that no one here wrote, as processes in environments of their own (``make peers``)."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
import os
import re
import typing
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from revere.app.settings import OcppSettings
from revere.app.tls import StationTls
from revere.core.commands import ReportingCommand, SetpointCommand
from revere.core.facts import (
    DerControlReported,
    EnergyNeeds,
    ExternalLimitLifted,
    ExternalLimitReported,
    GridLost,
    GridRestored,
    MeterReading,
    PriorityChargingReported,
    SessionEnded,
    SessionStarted,
    StationBooted,
    StationProvisioned,
)
from revere.core.ids import CommandId, SessionId, StationId
from revere.core.orders import Order, ReadVariables
from revere.core.time import WallClock
from revere.core.v2x_orders import (
    AllowTransfer,
    ClearDerControls,
    EndOperationMode,
    ListChargingProfiles,
    ListDerControls,
    SendFrequencySignal,
    SetDerControl,
    UsePriority,
)
from tests.links.ocpp_rig import PASSWORD, Bench, bench, config, play
from tests.links.v2x_orders import FRAMES, GOOD, MODES
from tests.peers.orders import orders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PYTHON = ROOT / ".peers" / "python" / "bin" / "python"
NODE = ROOT / ".peers" / "node"
LINE_S = 20.0

pytestmark = pytest.mark.peers
python_peers = pytest.mark.skipif(not PYTHON.exists(), reason="no Python peers here: run make peers")
node_peers = pytest.mark.skipif(not (NODE / "node_modules").is_dir(), reason="no npm peers here: run make peers")


async def run_to_end(*words: str | Path) -> tuple[int | None, str]:
    """Exit code and all output of a peer."""
    made = await asyncio.create_subprocess_exec(
        *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await made.communicate()
    return made.returncode, said.decode()


class Peer:
    """A peer that writes JSON lines and goes on when it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(LINE_S):
            raw = await self._process.stdout.readline()
        assert raw, "the peer has ended without a word"
        said: dict[str, Any] = json.loads(raw)
        return said

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")


@asynccontextmanager
async def started(*words: str | Path, **environment: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
        env={**os.environ, **environment},
    )
    try:
        yield Peer(process)
        async with asyncio.timeout(LINE_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def setpoint(kw: float, station_id: str, session_id: SessionId) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c"),
        station_id=StationId(station_id),
        evse_id=1,
        session_id=session_id,
        setpoint_kw=kw,
        charge_limit_kw=60.0,
        discharge_limit_kw=60.0,
    )


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("cryptography", reason="cryptography is locked but not installed: run make setup")
    from revere.app.pki import make_pki

    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, None, ["P3", "P2"], days=2, now=WallClock().now())
    return folder


PROTOCOLS = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1"}


@python_peers
@pytest.mark.parametrize("version", PROTOCOLS)
@pytest.mark.parametrize(
    ("profile", "tls", "words", "enters"),
    [
        (0, False, [], True),
        (1, False, ["--password", PASSWORD], True),
        (1, False, ["--password", "wrong"], False),
        (1, False, [], False),
        (2, True, ["--ca", "root.pem", "--password", PASSWORD], True),
        (2, True, ["--ca", "root.pem"], False),
        (2, True, ["--password", PASSWORD], False),  # it trusts nobody's root but the system's
        (3, True, ["--ca", "root.pem", "--cert", "stations/P3.pem", "--key", "stations/P3.key"], True),
        (3, True, ["--ca", "root.pem", "--cert", "stations/P2.pem", "--key", "stations/P2.key"], False),
        (3, True, ["--ca", "root.pem", "--password", PASSWORD], False),
    ],
)
def test_test_ocpp_comes_in_by_each_profile(
    version: str, profile: int, tls: bool, words: list[str], enters: bool, pki: Path
) -> None:
    async def story() -> None:
        from revere.links.ocppj.door import DoorRules

        name = f"P{profile}"
        files = OcppSettings(tls_cert=pki / "server.pem", tls_key=pki / "server.key", tls_station_root=pki / "root.pem")
        of = config(name, PROTOCOLS[version], discharge_kw=0.0, security_profile=profile)
        wire = StationTls(files).context if tls else None
        async with bench(of, tls=wire, rules=DoorRules(bench=profile == 0)) as b:
            b.clock.at = WallClock().now()
            address = f"{'wss' if tls else 'ws'}://127.0.0.1:{b.port}/ocpp"
            placed = [str(pki / word) if word.endswith((".pem", ".key")) else word for word in words]
            code, said = await run_to_end(
                PYTHON.with_name("test-ocpp"), address, name, "--ocpp", version, "--timeout", "10", *placed
            )
            assert (code == 0) == enters, said
            assert bool(b.sink.of(StationBooted)) == enters
            if tls and enters:
                assert "TLSv1.3" in said

    play(story)


@node_peers
@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_ocpp_rpc_in_strict_mode_runs_a_transaction(protocol: str) -> None:
    """Neither side may send a frame that the peer's schemas refuse.

    Not for 2.1: this release names those schemas otherwise than it looks them up, and refuses its own BootNotification.
    """

    async def story() -> None:
        async with bench(config("R-1", protocol, discharge_kw=0.0)) as b:
            b.clock.at = WallClock().now()
            words = (HERE / "rpc_station.js", f"ws://127.0.0.1:{b.port}/ocpp", "R-1", PASSWORD, protocol)
            async with started(NODE / "node", *words, NODE_PATH=str(NODE / "node_modules")) as peer:
                first = await peer.line()
                assert first.get("authorized") == "Accepted", first
                assert first["protocol"] == protocol
                await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
                [session] = b.sink.of(SessionStarted)
                answer = await b.server.set_power(setpoint(7.0, "R-1", session.session_id))
                assert answer.status == "accepted", answer.why
                peer.go_on()
                last = await peer.line()
            assert last["failures"] == []
            profiles = [payload for action, payload in last["asked"] if action == "SetChargingProfile"]
            assert len(profiles) == 2, "the fallback and the setpoint"
            assert [ended.session_id for ended in b.sink.of(SessionEnded)] == [session.session_id]
            assert sorted({r.import_wh for r in b.sink.of(MeterReading)}) == [1000, 1200, 1500]
            assert b.server.counters.payloads_refused == b.server.counters.unknown_actions == 0

    play(story)


async def give_orders(b: Bench, station_id: str) -> None:
    """Every order of blocks Q and R, once for each mode and each type of control; each is accepted."""
    memory = b.server._memories[StationId(station_id)]
    until = b.clock.now() + dt.timedelta(hours=1)
    orders: list[Any] = [msgspec.structs.replace(mode, until=until) for mode in GOOD.values()]
    orders += [SetDerControl(control_id=kind, control=control) for kind, _, control, _ in FRAMES]
    later = until + dt.timedelta(hours=1)
    orders.append(SetDerControl(control_id="later", control=FRAMES[0][2], starts=later, lasts_s=60.0))
    orders += [
        EndOperationMode(),
        UsePriority(active=True),
        UsePriority(active=False),
        SendFrequencySignal(signal=-5),
        AllowTransfer(both_ways=True),
        ListChargingProfiles(),
        ListDerControls(default=True),
        ClearDerControls(default=True, type="volt-var"),
    ]
    for order in orders:
        memory.profile_sent_s.clear()  # a minute later
        answer = await b.server.carry_out(StationId(station_id), order)
        assert answer.status == "accepted", (order, answer.why)


ORDERED = {"SetDERControl": 23, "ClearDERControl": 1, "GetDERControl": 1, "AFRRSignal": 1, "UsePriorityCharging": 2,
           "NotifyAllowedEnergyTransfer": 1, "GetChargingProfiles": 1}  # fmt: skip


async def _v2x(b: Bench, peer: Peer) -> dict[str, Any]:
    """The server's side of the session: two setpoints that discharge, every order; the peer's last word."""
    assert await peer.line() == {"boot": "Accepted"}
    assert "DC_BPT" in (await peer.line())["allowed"]
    assert await peer.line() == {"needs": "Accepted"}
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    [session] = b.sink.of(SessionStarted)
    for kw in (-12.25, -11.0):
        answer = await b.server.set_power(setpoint(kw, "Q-1", session.session_id))
        assert answer.status == "accepted", answer.why
    await give_orders(b, "Q-1")
    peer.go_on()
    told = await peer.line()
    assert told == {"pulled": {"limit": 60_000, "discharge_limit": -60_000, "setpoint": -11_000}, "planned": "Accepted"}
    return await peer.line()


@python_peers
def test_an_ocpp_21_station_gives_power_and_tells_of_a_dead_grid() -> None:
    """Blocks Q and R in both directions: setpoints, every mode and control, what the station says by itself."""

    async def story() -> None:
        async with bench(config("Q-1")) as b:
            b.clock.at = WallClock().now()
            words = (HERE / "v2x_station.py", f"ws://127.0.0.1:{b.port}/ocpp/Q-1", "Q-1", PASSWORD)
            async with started(PYTHON, *words) as peer:
                asked = (await _v2x(b, peer))["asked"]
            [needs] = b.sink.of(EnergyNeeds)
            assert (needs.charge_max_kw, needs.discharge_max_kw) == (60.0, 50.0)
            profiles = [payload for action, payload in asked if action == "SetChargingProfile"]
            fallback, central = (profile["charging_schedule"][0] for profile in profiles[:2])
            period = central["charging_schedule_period"][0]
            assert (period["operation_mode"], period["setpoint"]) == ("CentralSetpoint", -12_250)
            assert {p.get("operation_mode", "ChargingOnly") for p in fallback["charging_schedule_period"]} == {
                "ChargingOnly"
            }
            assert profiles[1]["stack_level"] > profiles[0]["stack_level"]
            assert [payload["setpoint"] for action, payload in asked if action == "UpdateDynamicSchedule"] == [-11_000]
            modes = [profile["charging_schedule"][0]["charging_schedule_period"][0] for profile in profiles[2:10]]
            assert {period["operation_mode"] for period in modes} == set(MODES.split(","))
            assert {name: sum(action == name for action, _ in asked) for name in ORDERED} == ORDERED
            assert [(one.evse_id, one.steps[0][1]) for one in b.sink.of(ExternalLimitReported)] == [(1, 9.0)]
            assert len(b.sink.of(ExternalLimitLifted)) == 1
            assert [one.active for one in b.sink.of(PriorityChargingReported)] == [True, False, True]
            assert [one.superseded for one in b.sink.of(DerControlReported)] == [("old",)]
            assert b.server.counters.unsolicited == b.server.counters.payloads_refused == 0
            assert len(b.sink.of(GridLost)) == len(b.sink.of(GridRestored)) == 1
            assert [(r.import_wh, r.export_wh) for r in b.sink.of(MeterReading)] == [(5000, 100), (5000, 2100)]
            assert len(b.sink.of(SessionEnded)) == 1

    play(story)


def certificate_request(folder: Path) -> Path:
    """The request of a key of the peer's own: its library makes none."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "T-1")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    (folder / "request.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return folder / "request.pem"


async def give_other_orders(b: Bench, station_id: StationId, session_id: SessionId) -> None:
    """An order of each kind of the other blocks, and what the house asks by itself; each is accepted."""
    for block, order in orders(session_id):
        answer = await b.server.carry_out(station_id, order)
        # It knows no variable, which is no fault of the frame's.
        assert answer.status == "accepted" or isinstance(order, ReadVariables), (block, order, answer.why)
    pace = ReportingCommand(station_id=station_id, sample_interval_s=5)
    assert (await b.server.set_reporting(pace)).status == "accepted"
    assert (await b.server.set_password(station_id, PASSWORD)).status == "accepted"
    assert (await b.server.clear_setpoint(station_id, 1)).status == "accepted"
    b.server._memories[station_id].default_sent_s = -math.inf  # a minute later
    assert (await b.server.restore_fallback(station_id)).status == "accepted"


SENT = {
    made
    for path in (ROOT / "revere" / "links" / "ocpp2").rglob("*.py")
    if "wire" not in path.parts
    for made in re.findall(r"wire\.(\w+)Request\(", path.read_text(encoding="utf-8"))
}
"""Every call that our code for 2.x makes."""


@node_peers
def test_typed_ocpp_finds_every_frame_of_ours_good(pki: Path, tmp_path: Path) -> None:
    """Boot, provisioning, setpoints and orders of every kind, read by schemas that no one here wrote."""
    from revere.app.tls import station_signer

    files = OcppSettings(
        tls_cert=pki / "server.pem",
        tls_key=pki / "server.key",
        tls_station_root=pki / "root.pem",
        tls_station_root_key=pki / "root.key",
    )

    async def story() -> None:
        tls, signer = StationTls(files).context, station_signer(files)
        async with bench(config("T-1", security_profile=2), tls=tls, signer=signer) as b:
            b.clock.at = WallClock().now()
            of = (
                f"wss://127.0.0.1:{b.port}/ocpp/T-1",
                "T-1",
                PASSWORD,
                pki / "root.pem",
                certificate_request(tmp_path),
            )
            words = (HERE / "typed_station.js", *of)
            async with started(NODE / "node", *words, NODE_PATH=str(NODE / "node_modules")) as peer:
                first = await peer.line()
                assert first == {"boot": "Accepted", "gives": True}
                await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
                [session] = b.sink.of(SessionStarted)
                for kw in (-12.25, -11.0):
                    answer = await b.server.set_power(setpoint(kw, "T-1", session.session_id))
                    assert answer.status == "accepted", answer.why
                await give_orders(b, "T-1")
                await give_other_orders(b, StationId("T-1"), session.session_id)
                peer.go_on()
                last = await peer.line()
            assert last["failures"] == []
            assert set(last["asked"]) == SENT
            assert {name: last["asked"].count(name) for name in ORDERED} == ORDERED
            assert last["asked"].count("SetChargingProfile") == 1 + 1 + len(GOOD) + 1 + 1
            assert b.server.counters.payloads_refused == b.server.counters.unknown_actions == 0

    play(story)


def test_the_peer_is_given_an_order_of_each_kind() -> None:
    """Those of blocks Q and R are :func:`give_orders`."""
    given = {type(order) for _, order in orders(SessionId("s"))}
    other = {kind for kind in typing.get_args(Order) if kind.__module__ != "revere.core.v2x_orders"}
    assert given == other


def test_the_peers_are_locked_by_hash_and_name_no_registry() -> None:
    lock = json.loads((HERE / "node" / "package-lock.json").read_text())
    packages = [entry for name, entry in lock["packages"].items() if name]
    assert packages
    assert all("integrity" in entry and "resolved" not in entry for entry in packages)
    for line in (ROOT / "requirements" / "peers.txt").read_text().splitlines():
        assert line.startswith("    --hash=sha256:") or "==" in line
