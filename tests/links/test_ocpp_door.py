"""Security profiles at the door: who comes in by which wire, one answer for all others, renewed certificates."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocpp_rig import BOOT, PASSWORD, Bench, HandStation, basic, bench, config, play
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from revere.app.settings import OcppSettings
from revere.app.tls import StationTls, check_profiles
from revere.core.assets import Station
from revere.core.errors import ScenarioError
from revere.core.facts import AlarmCleared, AlarmRaised, SecurityEventReported, StationBooted
from revere.core.ids import SiteId, StationId
from revere.core.time import WallClock
from revere.links.ocppj.door import DoorRules, certificate_fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytest.importorskip("cryptography", reason="cryptography is locked but not installed: run make setup")

from revere.app.pki import make_pki

NOW = WallClock().now()
DAY = dt.timedelta(days=1)
PORTS = (config("P0", security_profile=0), *(config(f"P{n}", security_profile=n) for n in (1, 2, 3)))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ours`` with a server and stations, the same root ten days ago and in ten days, and somebody else's."""
    base = tmp_path_factory.mktemp("pki")
    make_pki(base / "ours", None, ["P0", "P1", "P2", "P3"], days=60, now=NOW)
    make_pki(base / "foreign", None, ["P3"], days=60, now=NOW + dt.timedelta(minutes=1))
    for name, begins, days in (("ended", NOW - 10 * DAY, 9), ("early", NOW + 10 * DAY, 9)):
        (base / name).mkdir()
        for file in ("root.key", "root.pem", "server.key", "server.pem"):
            shutil.copy(base / "ours" / file, base / name / file)
        make_pki(base / name, None, ["P3"], days=days, now=begins)
    return base


def settings(folder: Path) -> OcppSettings:
    return OcppSettings(
        tls_cert=folder / "server.pem", tls_key=folder / "server.key", tls_station_root=folder / "root.pem"
    )


@asynccontextmanager
async def tls_bench(folder: Path, **rules: bool) -> AsyncIterator[tuple[Bench, StationTls]]:
    tls = StationTls(settings(folder))
    async with bench(*PORTS, tls=tls.context, rules=DoorRules(**rules)) as b:
        tls.on_untrusted = b.server.note_untrusted
        b.clock.at = NOW
        yield b, tls


def trusting(folder: Path, pair: Path | None = None) -> ssl.SSLContext:
    """A station's side: trusts ``folder``'s root, shows ``pair``."""
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    if pair is not None:
        context.load_cert_chain(f"{pair}.pem", f"{pair}.key")
    return context


async def knock(
    b: Bench, station: str, tls: ssl.SSLContext | None, headers: list[str], source: str = "127.0.0.1"
) -> str:
    """The server's whole answer to an upgrade, or its first line when it lets us in; empty when TLS hung up."""
    lines = [
        f"GET /ocpp/{station} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: ocpp2.1",
        *headers,
    ]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", b.port, ssl=tls, local_addr=(source, 0))
        writer.write("\r\n".join([*lines, "", ""]).encode())
        first = (await reader.readline()).decode()
        answer = first if " 101 " in first else first + (await reader.read()).decode()
    except (ssl.SSLError, ConnectionError):
        return ""
    writer.close()
    return answer


def secret(station: str, password: str = PASSWORD) -> list[str]:
    return [f"Authorization: {basic(station, password)['Authorization']}"]


IN, REFUSED, NO_TLS = "101", "401", ""


@pytest.mark.parametrize(
    ("station", "wire", "with_secret", "shows", "answer", "why"),
    [
        # profile 0 proves nothing, and only a bench lets it in
        ("P0", "clear", False, "", REFUSED, "benches"),
        ("P0", "bench", False, "", IN, ""),
        # profile 1: a secret, by any wire that the port offers
        ("P1", "clear", True, "", IN, ""),
        ("P1", "clear", False, "", REFUSED, "wrong secret"),
        ("P1", "tls", True, "", IN, ""),
        ("P1", "tls", False, "ours/stations/P1", REFUSED, "wrong secret"),
        # profile 2: the same secret is not enough without TLS
        ("P2", "tls", True, "", IN, ""),
        ("P2", "tls", False, "", REFUSED, "wrong secret"),
        ("P2", "tls", False, "ours/stations/P2", REFUSED, "wrong secret"),
        ("P2", "clear", True, "", REFUSED, "clear text"),
        ("P2", "proxy", True, "", IN, ""),
        ("P2", "bench", True, "", REFUSED, "clear text"),
        # profile 3: the station's own certificate, whatever it knows besides
        ("P3", "tls", False, "ours/stations/P3", IN, ""),
        ("P3", "tls", True, "", REFUSED, "no certificate"),
        ("P3", "clear", True, "", REFUSED, "no TLS of ours"),
        ("P3", "proxy", True, "", REFUSED, "no TLS of ours"),
        ("P3", "bench", True, "", REFUSED, "no TLS of ours"),
        ("P3", "tls", True, "ours/stations/P2", REFUSED, "a certificate of P2"),
        ("P3", "tls", True, "ours/server", NO_TLS, "unsuitable certificate purpose"),
        ("P3", "tls", True, "ended/stations/P3", REFUSED, "ended at"),
        ("P3", "tls", True, "early/stations/P3", REFUSED, "begins at"),
        ("P3", "tls", True, "foreign/stations/P3", NO_TLS, "unable to get local issuer"),
        # nobody
        ("P9", "tls", True, "ours/stations/P3", REFUSED, None),
    ],
)
def test_a_station_comes_in_by_its_profile_and_by_nothing_less(
    station: str, wire: str, with_secret: bool, shows: str, answer: str, why: str | None, pki: Path
) -> None:
    async def story() -> None:
        tls = StationTls(settings(pki / "ours")) if wire == "tls" else None
        rules = DoorRules(proxy_ends_tls=wire == "proxy", bench=wire == "bench")
        async with bench(*PORTS, tls=tls and tls.context, rules=rules) as b:
            b.clock.at = NOW
            if tls:
                tls.on_untrusted = b.server.note_untrusted
            client = trusting(pki / "ours", pki / shows if shows else None) if tls else None
            said = await knock(b, station, client, secret(station) if with_secret else [])
            assert said[9:12] == answer
            if answer == REFUSED:  # the very bytes that an unknown id gets in clear text
                assert said == await knock(b, "P8", client and trusting(pki / "ours"), [])
            if why:
                await b.sink.until(lambda: bool(b.sink.of(AlarmRaised)))
                assert why in b.sink.of(AlarmRaised)[0].text
                assert [why in event.detail for event in b.sink.of(SecurityEventReported)] == [True] * bool(answer)
            else:
                assert not b.sink.of(SecurityEventReported)

    play(story)


def test_what_the_handshake_does_not_show_is_looked_at_too(pki: Path) -> None:
    root = ((("commonName", "root"),),)
    good: dict[str, Any] = {
        "subject": ((("organizationName", "x"),), (("commonName", "P3"),)),
        "issuer": root[0],
        "notBefore": "Jan  1 00:00:00 2026 GMT",
        "notAfter": "Jan  1 00:00:00 2027 GMT",
    }
    inside = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    assert certificate_fault(good, list(root), "P3", inside) == ""
    for changed, at, says in (
        ({"issuer": ((("commonName", "middle"),),)}, inside, "not signed by our root itself"),
        ({"subject": ((("commonName", "P2"),), (("commonName", "P3"),))}, inside, "of P2, P3"),
        ({"subject": ()}, inside, "of nobody"),
        ({}, dt.datetime(2027, 1, 1, tzinfo=dt.UTC), "ended at 2027-01-01 00:00 UTC"),
        ({}, dt.datetime(2025, 12, 31, tzinfo=dt.UTC), "begins at 2026-01-01"),
    ):
        assert says in certificate_fault({**good, **changed}, list(root), "P3", at)
    assert "no certificate" in certificate_fault(None, list(root), "P3", inside)


@pytest.mark.parametrize(
    ("client", "enters"),
    [
        ({}, True),
        ({"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}, True),
        ({"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}, True),
        ({"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"}, False),
        ({"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA"}, False),
        ({"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA256"}, False),
    ],
)
def test_only_the_whitepapers_suites_are_spoken(client: dict[str, Any], enters: bool, pki: Path) -> None:
    async def story() -> None:
        async with tls_bench(pki / "ours") as (b, _tls):
            context = trusting(pki / "ours")
            if "ciphers" in client:
                context.set_ciphers(client["ciphers"])
                context.maximum_version = client["maximum_version"]
            assert (await knock(b, "P2", context, secret("P2")))[9:12] == (IN if enters else NO_TLS)

    play(story)


def test_nothing_older_than_tls_1_2_is_spoken(pki: Path) -> None:
    assert StationTls(settings(pki / "ours")).context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_guesses_by_tls_lock_out_no_genuine_station_neither_elsewhere_nor_behind_the_same_address(pki: Path) -> None:
    async def story() -> None:
        async with tls_bench(pki / "ours") as (b, _tls):
            for station in ("P2", "P3"):
                for _ in range(40):
                    wrong = await knock(b, station, trusting(pki / "ours"), secret(station, "wrong"))
                    assert wrong.startswith("HTTP/1.1 401")
            assert b.server.counters.logins_throttled >= 9
            for source in ("127.0.0.1", "127.0.0.2"):
                assert (await knock(b, "P2", trusting(pki / "ours"), secret("P2"), source))[9:12] == IN
            genuine = trusting(pki / "ours", pki / "ours" / "stations" / "P3")
            assert (await knock(b, "P3", genuine, []))[9:12] == IN
            assert len(b.sink.of(SecurityEventReported)) == 3  # of 80 refusals: one for each station and reason

    play(story)


def test_behind_a_proxy_guesses_count_for_the_address_that_the_proxy_saw() -> None:
    async def story() -> None:
        async with bench(*PORTS, rules=DoorRules(proxy_ends_tls=True)) as b:
            for n in range(40):  # what a guesser writes himself stands before the proxy's word
                header = [f"X-Forwarded-For: 198.51.100.{n}, 203.0.113.9"]
                await knock(b, "P2", None, [*secret("P2", "wrong"), *header])
            assert b.server.counters.logins_throttled >= 9
            throttled = b.server.counters.logins_throttled
            for at, password, answer in (
                ("203.0.113.9", "wrong", REFUSED),
                ("203.0.113.10", "wrong", REFUSED),
                ("203.0.113.9", PASSWORD, IN),
            ):
                said = await knock(b, "P2", None, [*secret("P2", password), f"X-Forwarded-For: {at}"])
                assert said[9:12] == answer
            assert b.server.counters.logins_throttled == throttled + 1  # the other address has its own count
            await b.sink.until(lambda: len(b.sink.of(SecurityEventReported)) == 2)
            assert [event.detail for event in b.sink.of(SecurityEventReported)] == [
                f"{why}, from 203.0.113.9" for why in ("wrong secret", "too many failed tries")
            ]

    play(story)


def test_a_renewed_certificate_serves_the_next_station_and_drops_nobody(pki: Path, tmp_path: Path) -> None:
    live = tmp_path / "live"
    shutil.copytree(pki / "ours", live)

    async def station(b: Bench, name: str, folder: Path) -> HandStation:
        socket = await connect(
            f"wss://127.0.0.1:{b.port}/ocpp/{name}",
            ssl=trusting(folder, folder / "stations" / "P3" if name == "P3" else None),
            subprotocols=[Subprotocol("ocpp2.1")],
            additional_headers=basic(name),
            compression=None,
            proxy=None,
        )
        return HandStation(socket, {})

    async def story() -> None:
        async with tls_bench(live) as (b, tls):
            old = await station(b, "P3", pki / "ours")
            assert (await old.call("BootNotification", BOOT))[2]["status"] == "Accepted"
            assert b.sink.of(StationBooted)
            assert not tls.reload()

            (live / "server.pem").write_text("half a file")
            assert not tls.reload()  # the old one stays in force
            await (await station(b, "P2", pki / "ours")).close()

            for file in ("server.pem", "server.key", "root.pem"):
                shutil.copy(pki / "foreign" / file, live / file)
            assert tls.reload()
            new = await station(b, "P2", pki / "foreign")
            assert (await new.call("BootNotification", BOOT))[2]["status"] == "Accepted"
            with pytest.raises(ssl.SSLCertVerificationError):
                await station(b, "P2", pki / "ours")
            assert "currentTime" in (await old.call("Heartbeat", {}))[2]
            assert b.server.counters.takeovers == 0
            # the new root signs for stations too; the old one's certificates are nobody's now
            shown = trusting(pki / "foreign", pki / "ours" / "stations" / "P3")
            assert await knock(b, "P3", shown, []) == NO_TLS
            assert "currentTime" in (await old.call("Heartbeat", {}))[2]
            await new.close()
            await (await station(b, "P3", pki / "foreign")).close()  # takes the old socket's place
            assert await old.until_closed() == 1000

    play(story)


def test_an_operator_hears_thirty_seven_and_one_days_before_a_certificate_ends(tmp_path: Path) -> None:
    make_pki(tmp_path / "first", None, [], days=400, now=NOW)
    shutil.copytree(tmp_path / "first", tmp_path / "newer")
    make_pki(tmp_path / "first", None, ["P3"], days=60, now=NOW)
    make_pki(tmp_path / "newer", None, ["P3"], days=400, now=NOW + dt.timedelta(minutes=1))

    async def story() -> None:
        async with tls_bench(tmp_path / "first") as (b, _tls):
            said: list[str] = []

            async def news() -> list[str]:
                await asyncio.gather(*b.server._auditing)
                words = {AlarmRaised: lambda f: f.severity, AlarmCleared: lambda f: "cleared"}
                all_said = [words[type(f)](f) for f in b.sink.facts if type(f) in words]
                fresh = all_said[len(said) :]
                said[:] = all_said
                return fresh

            async def with_days_left(days: float) -> list[str]:
                b.clock.at = NOW + dt.timedelta(days=60 - days)
                b.server._door._watched_s = -1e9  # an hour has passed
                b.server.watch_certificates()
                b.server.watch_certificates()
                return await news()

            async def come_in(folder: str) -> None:
                shown = trusting(tmp_path / "first", tmp_path / folder / "stations" / "P3")
                assert (await knock(b, "P3", shown, []))[9:12] == IN

            await come_in("first")
            heard = [await with_days_left(days) for days in (31, 29.5, 8, 6.9, 0.9, 0.5)]
            assert heard == [[], ["warning"], [], ["cleared", "warning"], ["cleared", "critical"], []]
            assert f"{NOW + 60 * DAY:%Y-%m-%d %H:%M} UTC" in b.sink.of(AlarmRaised)[-1].text
            await come_in("newer")
            assert await news() == ["cleared"]
            assert await with_days_left(0.2) == []

    play(story)


def registered(profile: int) -> Station:
    return Station(
        id=StationId(f"P{profile}"), site_id=SiteId("depot"), vendor="Acme", model="V2G", protocol="ocpp2.1",
        connector="CCS1", charge_kw=60.0, security_profile=profile,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "changes", "lacks"),
    [
        (0, {}, "ocpp.bench = true"),
        (0, {"bench": True}, None),
        (1, {}, None),
        (2, {}, "ocpp.tls_cert"),
        (2, {"behind_tls_proxy": True}, None),
        (2, {"tls_cert": Path("a"), "tls_key": Path("b")}, None),
        (3, {"behind_tls_proxy": True}, "ocpp.tls_station_root"),
        (3, {"tls_cert": Path("a"), "tls_key": Path("b")}, "ocpp.tls_station_root"),
        (3, {"tls_cert": Path("a"), "tls_key": Path("b"), "tls_station_root": Path("c")}, None),
    ],
)
def test_a_server_that_could_never_let_a_station_in_does_not_start(
    profile: int, changes: dict[str, Any], lacks: str | None
) -> None:
    if lacks is None:
        check_profiles(OcppSettings(**changes), [registered(profile)])
        return
    with pytest.raises(ScenarioError) as caught:
        check_profiles(OcppSettings(**changes), [registered(profile)])
    assert lacks in caught.value.text()
    assert f"P{profile}" in caught.value.text()
