"""A station's new certificate over OCPP, the same for every edition.

::

    TriggerMessage ─▶ station      an operator asks, or the station begins by itself before its own ends
    SignCertificate ◀─ station     checked and signed, journaled, then accepted; or refused with the fault
    CertificateSigned ─▶ station   its answer is journaled: one that refuses keeps the old one, which stays good
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from revere.core.errors import Refused
from revere.core.facts import AlarmCleared, AlarmRaised, Fact, SecurityEventReported
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.ports import SignedCertificate
    from revere.links.ocppj.line import Line

SIGN_EVERY_S: Final = 60.0
"""A station gets no more than one certificate in this time."""
SIGNED, TAKEN, DECLINED = "CertificateSigned", "CertificateTaken", "CertificateDeclined"
REQUEST_REFUSED: Final = "CertificateRequestRefused"


def sign(line: Line, csr: str) -> SignedCertificate:
    """The certificate that a station asks for. Raises :class:`Refused` with what is wrong."""
    if line.signer is None:
        raise Refused("nobody signs here", remedy="Name the root's key: ocpp.tls_station_root_key")
    if line.config.security_profile < 2:
        raise Refused("a station that comes in without TLS", got=f"security profile {line.config.security_profile}")
    if line.directory.stranger(line.config.station_id) is not None:
        raise Refused("another charger answers there", remedy="Accept it first: revere station accept")
    now_s = asyncio.get_running_loop().time()
    if now_s - line.memory.signed_s < SIGN_EVERY_S:
        raise Refused("too soon after the last certificate", expected=f"{SIGN_EVERY_S:.0f} s between them")
    station_id = line.config.station_id
    known = line.directory.identity(station_id)
    names = (station_id, known.serial) if known is not None and known.serial else (station_id,)
    in_force, after = line.directory.certificate(station_id), line.memory.signed_begins
    if in_force is not None:
        after = in_force.begins if after is None else max(after, in_force.begins)
    signed = line.signer.sign(station_id, names, csr, line.clock.now(), after)
    line.memory.signed_s, line.memory.signed_begins = now_s, signed.begins
    return signed


def _event(line: Line, kind: str, signed: SignedCertificate) -> SecurityEventReported:
    now = line.clock.now()
    detail = f"certificate {signed.serial}, good until {signed.ends:%Y-%m-%d %H:%M} UTC"
    return SecurityEventReported(
        at=now, station_id=line.config.station_id, type=kind, ts=now, source="door", detail=detail
    )


def signed_facts(line: Line, signed: SignedCertificate) -> list[Fact]:
    """What is journaled before the station is given it."""
    return [_event(line, SIGNED, signed)]


def refusal_facts(line: Line, error: Refused) -> list[Fact]:
    """What is journaled and told of a request that was not signed."""
    return line.refused(REQUEST_REFUSED, "", f"its request for a certificate was refused: {error.text()}")


async def deliver(line: Line, signed: SignedCertificate, give: Callable[[], Awaitable[str]]) -> None:
    """Give it to the station by ``give``, whose answer is the station's status word; journal what it said."""
    station_id = line.config.station_id
    key = f"certificate-declined:{station_id}"
    try:
        status = await give()
    except (CallRefused, CallTimedOut, CallOverflow) as error:
        status = str(error)
    if status == "Accepted":
        await line.record([_event(line, TAKEN, signed), AlarmCleared(at=line.clock.now(), key=key)])
        return
    text = f"{station_id} did not take its new certificate ({status[:100]}); it comes in by the old one until that ends"
    alarm = AlarmRaised(at=line.clock.now(), key=key, severity="warning", subject=station_id, text=text)
    await line.record([_event(line, DECLINED, signed), alarm])
