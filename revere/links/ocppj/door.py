"""The door to the stations' port: who comes in by which of OCPP's security profiles.

::

    profile   wire                               who it is
    0         any; benches alone (DoorRules)     nobody knows
    1         loopback, TLS, a declared proxy    Basic secret
    2         TLS, ours or a declared proxy's    Basic secret
    3         our TLS                            certificate of the station, signed by our root

A station comes in by the profile it is registered for, or a better wire, never by less. The certificate by which one
came in last is in force: another is let in only if it begins later, and takes its place. So who renews has retired the
old one, a copy of an old one is worth nothing, and a technician's newer one needs nobody's leave. Every refusal has the
same bytes and costs the same check of a secret; what was wrong is in the journal alone.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ssl
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from revere.core.facts import AlarmCleared, AlarmRaised, Fact, SecurityEventReported
from revere.core.ports import STATION_URI, KnownCertificate
from revere.links.ocppj import login
from revere.links.ocppj.bounds import Counters
from revere.links.ocppj.security import Audits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from websockets.http11 import Request

    from revere.core.ids import StationId
    from revere.core.ports import StationConfig, StationDirectory
    from revere.core.time import Clock
    from revere.links.ocppj.transport import StationSocket

LOGIN_REFUSED: Final = "LoginRefused"
"""The type under which the door reports; OCPP's own list of security events has the station's view alone."""
WARN_DAYS: Final = (1, 7, 30)
"""Before a certificate ends an operator hears of it when so many days are left, the last time as critical."""
WATCH_EVERY_S: Final = 3600.0
THROTTLED: Final = "too many failed tries"
WRONG_SECRET: Final = "wrong secret"  # noqa: S105  # a reason for a refusal
UNKNOWN: Final = "not registered"
_FORWARDED_MAX_CHARS: Final = 400


class DoorRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of the wire: ``proxy_ends_tls`` in front of us; ``bench`` lets profile 0 in.

    ``inspect_first``: a charger never seen before is set and read before its boot is accepted.
    """

    proxy_ends_tls: bool = False
    bench: bool = False
    inspect_first: bool = False


class Door:
    """Says who may open a socket, and hands the journal what it refused of registered stations.

    ``audit`` takes the facts of a refusal; it must not wait.
    """

    def __init__(
        self,
        directory: StationDirectory,
        clock: Clock,
        counters: Counters,
        rules: DoorRules,
        audit: Callable[[list[Fact]], None],
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._audit = audit
        self._budget = login.LoginBudget()
        self._audits = Audits()
        self._ends: dict[StationId, dt.datetime] = {}
        """When the certificate ends with which a station came in last."""
        self._warned: dict[StationId, int] = {}
        self._watched_s = -inf

    def admit(self, station_id: str, request: Request, socket: StationSocket) -> StationConfig | None:
        """The station's configuration, None for the one refusal.

        Guesses at secrets are counted by (address, id), and told as such to an operator. They shut out nobody: a right
        secret or certificate is no guess and always comes in, whoever else stands behind the same address.
        """
        config = self._directory.registered(station_id)
        who = (self._address(request, socket), "" if config is None else station_id)
        now_s = asyncio.get_running_loop().time()
        user, password = login.credentials(request)
        secret_right = self._directory.authenticate(station_id, password) is not None and user == station_id
        config, why = self._judge(config, socket, secret_right=secret_right)
        if not why and config is not None:
            self._note_certificate(config, socket)
            return config
        if why in (WRONG_SECRET, UNKNOWN) and self._budget.spent(who, now_s):
            self._counters.logins_throttled += 1
            why = THROTTLED
        else:
            self._counters.logins_refused += 1
            self._budget.note_failure(who, now_s)
        if config is not None:
            self._tell(config.station_id, why, who[0], now_s)
        return None

    def _judge(
        self, config: StationConfig | None, socket: StationSocket, *, secret_right: bool
    ) -> tuple[StationConfig | None, str]:
        """Why the station may not come in, empty when it may; by its next profile, which then is its own."""
        if config is not None and config.next_profile is not None:
            following = msgspec.structs.replace(config, security_profile=config.next_profile)
            if not self._fault(following, socket, secret_right=secret_right):
                return self._directory.raise_profile(config.station_id), ""
        return config, self._fault(config, socket, secret_right=secret_right)

    def _fault(self, config: StationConfig | None, socket: StationSocket, *, secret_right: bool) -> str:
        """Why the station may not come in; empty when it may."""
        tls: ssl.SSLObject | None = socket.transport.get_extra_info("ssl_object")
        if config is None:
            return UNKNOWN
        match config.security_profile:
            case 0:
                return "" if self._rules.bench else "security profile 0 is for benches (ocpp.bench = true)"
            case 1:
                return "" if secret_right else WRONG_SECRET
            case 2:
                if tls is None and not self._rules.proxy_ends_tls:
                    return "clear text, where security profile 2 asks for TLS"
                return "" if secret_right else WRONG_SECRET
            case 3:
                if tls is None:
                    return "no TLS of ours, which security profile 3 asks for"
                roots = [root["subject"] for root in tls.context.get_ca_certs()]
                fault = certificate_fault(tls.getpeercert(), roots, config.station_id, self._clock.now())
                return fault or self._outdated(config.station_id, socket)

    def _outdated(self, station_id: StationId, socket: StationSocket) -> str:
        """Why a station's certificate, good in itself, is in force no more; empty while it is."""
        known, shown = self._directory.certificate(station_id), shown_certificate(socket)
        if known is None or shown is None or shown.fingerprint == known.fingerprint or shown.begins > known.begins:
            return ""
        began = f"its certificate begins at {shown.begins:%Y-%m-%d %H:%M:%S} UTC"
        if known.fingerprint:
            return f"{began}, and one that begins at {known.begins:%Y-%m-%d %H:%M:%S} took its place"
        return f"{began}, and those until {known.begins:%Y-%m-%d %H:%M:%S} are revoked"

    def outdated(self, config: StationConfig, socket: StationSocket) -> bool:
        """Whether the certificate of a station that was let in has been replaced or revoked since."""
        return config.security_profile == 3 and bool(self._outdated(config.station_id, socket))

    def _address(self, request: Request, socket: StationSocket) -> str:
        """Whence it comes: behind a proxy by the proxy's own word, the last one of X-Forwarded-For."""
        peer = str((socket.remote_address or ("",))[0])
        if not self._rules.proxy_ends_tls:
            return peer
        said = ",".join(request.headers.get_all("X-Forwarded-For"))[-_FORWARDED_MAX_CHARS:]
        return said.rpartition(",")[2].strip()[:64] or peer

    def _note_certificate(self, config: StationConfig, socket: StationSocket) -> None:
        tls: ssl.SSLObject | None = socket.transport.get_extra_info("ssl_object")
        shown = None if tls is None else tls.getpeercert()
        certificate = shown_certificate(socket)
        if config.security_profile == 3 and shown and certificate is not None:
            self._directory.use_certificate(config.station_id, certificate)
            self._ends[config.station_id] = moment(shown, "notAfter")
            self._send(self._warning(config.station_id, self._clock.now()))

    def certificate_ends(self, station_id: StationId) -> dt.datetime | None:
        """When the certificate ends with which the station came in last; None without one."""
        return self._ends.get(station_id)

    def watch(self) -> None:
        """Warn of certificates that end soon; once an hour is enough, however often it is called."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._watched_s >= WATCH_EVERY_S:
            self._watched_s = now_s
            now = self._clock.now()
            self._send([fact for station_id in self._ends for fact in self._warning(station_id, now)])

    def _send(self, facts: list[Fact]) -> None:
        if facts:
            self._audit(facts)

    def _warning(self, station_id: StationId, now: dt.datetime) -> list[Fact]:
        """One alarm for each of the last days that count, cleared by a newer certificate."""
        left = self._ends[station_id] - now
        level = next((days for days in WARN_DAYS if left <= dt.timedelta(days=days)), None)
        if self._warned.get(station_id) == level:
            return []
        key = f"certificate:{station_id}"
        facts: list[Fact] = [AlarmCleared(at=now, key=key)] if station_id in self._warned else []
        self._warned.pop(station_id, None)
        if level is not None:
            self._warned[station_id] = level
            text = (
                f"{station_id} comes in until {self._ends[station_id]:%Y-%m-%d %H:%M} UTC, when its certificate ends; "
                "then it charges by its fallback and is not commanded. Give it a new one"
            )
            severity: Literal["critical", "warning"] = "critical" if level == WARN_DAYS[0] else "warning"
            facts.append(AlarmRaised(at=now, key=key, severity=severity, subject=station_id, text=text))
        return facts

    def note_untrusted(self, why: str) -> None:
        """TLS itself refused a certificate, of another root or for another use: nobody's id is known yet."""
        self._counters.certificates_untrusted += 1
        count = self._audits.due(("", why), asyncio.get_running_loop().time())
        if count:
            text = f"somebody's certificate was refused at the stations' port: {why[:100]}"
            now = self._clock.now()
            self._audit(
                [AlarmRaised(at=now, key="untrusted", severity="warning", subject="stations", text=text, count=count)]
            )

    def _tell(self, station_id: StationId, why: str, address: str, now_s: float) -> None:
        """Hand a refusal of a registered station to the journal."""
        count = self._audits.due((station_id, why), now_s)
        if not count:
            return
        now = self._clock.now()
        self._audit(
            [
                SecurityEventReported(
                    at=now,
                    station_id=station_id,
                    type=LOGIN_REFUSED,
                    ts=now,
                    source="door",
                    detail=f"{why}, from {address}",
                    count=count,
                ),
                AlarmRaised(
                    at=now,
                    key=f"login:{station_id}:{why}",
                    severity="warning",
                    subject=station_id,
                    text=f"somebody with this station's id was not let in: {why}, from {address}",
                    count=count,
                ),
            ]
        )


def shown_certificate(socket: StationSocket) -> KnownCertificate | None:
    """The certificate that the other side has shown and TLS has checked; None without one."""
    tls: ssl.SSLObject | None = socket.transport.get_extra_info("ssl_object")
    raw, fields = (None, None) if tls is None else (tls.getpeercert(binary_form=True), tls.getpeercert())
    if not raw or not fields:
        return None
    return KnownCertificate(fingerprint=hashlib.sha256(raw).digest(), begins=moment(fields, "notBefore"))


def moment(certificate: Mapping[str, Any], key: str) -> dt.datetime:
    """One of a certificate's two dates."""
    return dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate[key]), dt.UTC)


def certificate_fault(
    certificate: Mapping[str, Any] | None, roots: list[Any], station_id: str, now: dt.datetime
) -> str:
    """What is wrong with a station's certificate, whose signature TLS has checked; empty when nothing is.

    ``certificate`` as ``SSLObject.getpeercert`` gives it, ``roots`` the subjects of those whom we trust to sign.
    """
    if not certificate:
        return "no certificate of the station"
    if certificate.get("issuer") not in roots:
        return "its certificate is not signed by our root itself"
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    ours = [value.removeprefix(STATION_URI) for value in others if value.startswith(STATION_URI)]
    if (ours or names) != [station_id]:
        return f"a certificate of {', '.join(ours or names)[:64] or 'nobody'}"
    begins, ends = moment(certificate, "notBefore"), moment(certificate, "notAfter")
    if now < begins:
        return f"its certificate begins at {begins:%Y-%m-%d %H:%M} UTC"
    if now >= ends:
        return f"its certificate ended at {ends:%Y-%m-%d %H:%M} UTC"
    return ""
