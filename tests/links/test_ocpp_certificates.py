"""Which certificate of a station is in force: the newest used, kept over restarts, revoked by a person."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

import pytest
from ocpp_rig import play
from websockets.exceptions import ConnectionClosed

pytest.importorskip("cryptography", reason="cryptography is locked but not installed: run make setup")

from oca.test_a_security import NOW, ST, Book, csr, keep, port

from revere.app.pki import make_pki
from revere.core.errors import Refused, Unavailable
from revere.core.facts import AlarmRaised, SecurityEventReported, StationDisconnected

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of one station by one root; ``twin`` begins at the same second as ``first``."""
    base = tmp_path_factory.mktemp("pki")
    make_pki(base / "ours", None, [], days=60, now=NOW - 30 * MINUTE)
    times = {"older": -20, "first": -10, "twin": -10, "newer": -5, "late": 1}
    for name, minutes in times.items():
        shutil.copytree(base / "ours", base / name)
        make_pki(base / name, None, ["cs1"], days=30, now=NOW + minutes * MINUTE)
    return base


def pair(pki: Path, name: str) -> Path:
    return pki / name / "stations/cs1"


@pytest.mark.parametrize(
    ("shown", "let_in"),
    [
        # who never showed one comes in by any that the root signed for it; then by that one and newer ones
        (["older"], "y"),
        (["first", "first"], "yy"),
        (["first", "newer"], "yy"),
        (["first", "older", "first"], "yny"),
        (["first", "newer", "first", "newer"], "yyny"),
        (["older", "newer", "first"], "yyn"),  # made between the two and never used
        (["first", "twin"], "yn"),
    ],
)
def test_a_newer_certificate_takes_the_place_of_the_older(pki: Path, shown: list[str], let_in: str) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            said = ["n" if await p.shut_out(pair(pki, name), secret=None) else "y" for name in shown]
            assert "".join(said) == let_in
            if "n" in said:
                await p.until("LoginRefused")
                assert any("took its place" in alarm.text for alarm in p.sink.of(AlarmRaised))

    play(story)


def test_a_refused_certificate_changes_nothing_and_a_used_one_is_told_once(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            for name in ("first", "older", "first", "first"):
                await p.shut_out(pair(pki, name), secret=None)
            await p.until("LoginRefused")
            told = [event for event in p.sink.of(SecurityEventReported) if event.type == "CertificateInForce"]
            assert len(told) == 1
            assert p.book.certificates[ST].fingerprint.hex() in told[0].detail

    play(story)


def test_what_could_not_be_kept_is_kept_at_the_next_login(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            p.book.broken = True
            assert not await p.shut_out(pair(pki, "first"), secret=None)
            assert p.book.certificates == {}
            p.book.broken = False
            assert not await p.shut_out(pair(pki, "first"), secret=None)
            await p.until("CertificateInForce")
            assert ST in p.book.certificates

    play(story)


@pytest.mark.parametrize("seen", [True, False])
def test_a_person_revokes_what_was_made_until_now(pki: Path, seen: bool) -> None:
    """Also where the station has shown none to this server: what was made until now is refused by its age."""

    async def story() -> None:
        book: Book | None = None
        async with port(pki / "ours", 3) as p:
            station = await p.dial(pair(pki, "first"), secret=None) if seen else None
            answer = await p.certificates.revoke(ST, "ada")
            assert (answer.status, answer.why) == ("accepted", "its connection is closed" if seen else "")
            if station is not None:
                assert await station.until_closed() == 1000
                await p.sink.until(lambda: bool(p.sink.of(StationDisconnected)))
                assert p.sink.of(StationDisconnected)[-1].reason == "its certificate is revoked"
            revoked = [event for event in p.sink.of(SecurityEventReported) if event.type == "CertificateRevoked"]
            assert len(revoked) == 1
            assert revoked[0].detail.startswith("by ada: ")
            for name in ("first", "older", "newer"):
                assert await p.shut_out(pair(pki, name), secret=None), name
            await p.until("LoginRefused")
            assert any("are revoked" in alarm.text for alarm in p.sink.of(AlarmRaised))
            book = p.book
        async with port(pki / "ours", 3, book=book) as later:  # a restart of ours
            for name in ("first", "newer"):
                assert await later.shut_out(pair(pki, name), secret=None), name
            assert not await later.shut_out(pair(pki, "late"), secret=None)  # made after the revocation
            await later.until("CertificateInForce")
            assert await later.shut_out(pair(pki, "newer"), secret=None)

    play(story)


def test_a_revocation_that_cannot_be_kept_is_an_error_and_yet_shuts_the_door(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            station = await p.dial(pair(pki, "first"), secret=None)
            p.book.broken = True
            with pytest.raises(Unavailable):
                await p.certificates.revoke(ST, "ada")
            assert await station.until_closed() == 1000
            assert await p.shut_out(pair(pki, "first"), secret=None)

    play(story)


@pytest.mark.parametrize("profile", [1, 2])
def test_a_station_with_a_secret_has_no_certificate_to_revoke(pki: Path, profile: int) -> None:
    async def story() -> None:
        async with port(pki / "ours", profile) as p:
            with pytest.raises(Refused, match="by no certificate"):
                await p.certificates.revoke(ST, "ada")
            await (await p.dial()).close()

    play(story)


def test_who_was_let_in_and_waits_for_a_place_is_looked_at_again(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:

            def revoked_meanwhile(_now_s: float) -> float:
                p.directory.revoke_certificates(ST, NOW)
                return 0.0

            p.server._admission.wait_s = revoked_meanwhile  # type: ignore[method-assign]
            with pytest.raises(ConnectionClosed, match="its certificate is void"):
                await p.dial(pair(pki, "first"), secret=None)
            assert p.server.connected() == frozenset()

    play(story)


def test_a_new_one_over_ocpp_begins_after_the_one_in_force_though_that_began_at_this_very_hour(
    pki: Path, tmp_path: Path
) -> None:
    """An authority that does not date back: an hour back from now would lie before it."""
    make = tmp_path / "exact"
    shutil.copytree(pki / "ours", make)
    make_pki(make, None, ["cs1"], days=30, now=NOW + dt.timedelta(minutes=59))

    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            station = await p.dial(make / "stations/cs1", secret=None)
            station.reactions["CertificateSigned"] = {"status": "Accepted"}
            memory, pairs, begins = p.server._memories[ST], [], []
            while len(pairs) < 2:
                memory.signed_s = -1e9  # a minute has passed
                assert (await station.call("SignCertificate", {"csr": csr("cs1")}))[2] == {"status": "Accepted"}
                await station.until_asked("CertificateSigned", len(pairs) + 1)
                given = [payload for action, payload in station.asked if action == "CertificateSigned"]
                pairs.append(keep(tmp_path / str(len(pairs)), given[-1]["certificateChain"]))
                begins.append(memory.signed_begins)
            assert begins[1] - begins[0] == dt.timedelta(seconds=1)
            assert not await p.shut_out(pairs[0], secret=None)
            assert not await p.shut_out(pairs[1], secret=None)
            assert await p.shut_out(pairs[0], secret=None)

    play(story)
