"""What a station's session stands on, whatever OCPP it speaks: its facts, its clock, its memory.

A :class:`Line` lives as long as a connection; a :class:`StationMemory` outlives it, because a
station sends again after a reconnect what we had not yet acknowledged.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import zlib
from contextlib import asynccontextmanager
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from revere.core.assets import StationIdentity
from revere.core.commands import Answer
from revere.core.errors import Refused, RevereError
from revere.core.facts import (
    OTHER_CHARGER,
    AlarmCleared,
    AlarmRaised,
    ClockSkewMeasured,
    Fact,
    IdentityAccepted,
    IdentityRefused,
    MeterReading,
    NumberGiven,
    ScheduleRead,
    StationBooted,
    StationProvisioned,
    StationRecognised,
)
from revere.links.models import choose
from revere.links.ocppj import security
from revere.links.ocppj.frames import FrameRing
from revere.links.ocppj.late import LateMessages
from revere.links.ocppj.transactions import Transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from revere.core.assets import ListedToken
    from revere.core.commands import ReportingCommand, SetpointCommand
    from revere.core.facts import Standing
    from revere.core.orders import OrderBase
    from revere.core.ports import CertificateSigner, FactSink, StationConfig, StationDirectory
    from revere.core.time import Clock
    from revere.links.models import ChargerModel
    from revere.links.ocppj.bounds import Counters
    from revere.links.ocppj.calls import CallTable
    from revere.links.ocppj.framing import Call
    from revere.links.ocppj.streams import OpenStream

Purpose = Literal["TxProfile", "PriorityCharging"]
SKEW_SAMPLES: Final = 9
SKEW_STEP_S: Final = 1.0
SKEW_QUARANTINE_S: Final = 60.0
HEARTBEAT_S: Final = 300
HEARTBEAT_SPREAD: Final = 0.1
TRANSACTIONS_MAX: Final = 64
"""Transactions remembered for each station; the oldest is forgotten first."""
SCHEDULE_STEPS_MAX: Final = 24
NUMBERS_MAX: Final = 64
"""Numbers of orders remembered for each station."""
PROFILE_INTERVAL_S: Final = 60.0
"""A profile of one purpose is sent at most this often; strict stations refuse more."""
RATE_MARGIN_S: Final = 2.0
"""The station counts from when a profile arrives, we from when it leaves."""
FIRST_BOOT: Final = "first boot"
ITSELF_AGAIN: Final = "the same charger again"
"""Who accepts an identity where it is no person."""
NOT_CONTROLLABLE: Final = "not controllable: only its vendor's cloud commands it"
FOREIGN_TOKEN: Final = "ForeignToken"  # noqa: S105  # the event's name
FOREIGN_TRANSACTION: Final = "ForeignTransaction"
NO_DEFAULT: Final = "charge-only default profile refused"
"""How that problem begins in ``StationProvisioned.problems``; tried again at each heartbeat."""


class Answered(msgspec.Struct, frozen=True):
    """The answer to a station's call, and what to do once it is on its way."""

    payload: msgspec.Struct
    then: Callable[[], None] | None = None
    beside: Callable[[], Coroutine[None, None, None]] | None = None
    """What to ask the station afterwards, beside its next calls."""


class Session(Protocol):
    """One station's behaviour under one protocol version."""

    booted: bool

    async def handle(self, call: Call) -> Answered:
        """Record what the call says, then answer it. Raises ``CallFailed`` or ``Unavailable``."""
        ...

    async def hear(self, call: Call) -> None:
        """Take what a station says without waiting for an answer (message type 6), or drop and count it."""
        ...

    async def provision(self) -> None:
        """Read, set and read back what must hold at the station; install the fallback profile."""
        ...

    async def inspect(self) -> None:
        """Set and read a station that may not work yet, then have it boot again."""
        ...

    async def ask_boot(self) -> None:
        """Have a station that has not said who it is boot."""
        ...

    async def restore_fallback(self) -> Answer:
        """Put the fallback profile back in the place of any other default."""
        ...

    def default_profile_due(self) -> bool:
        """Whether the fallback's local day has moved with the clocks."""
        ...

    async def refresh_default_profile(self) -> None:
        """Install the fallback again where it is due."""
        ...

    async def set_power(self, command: SetpointCommand) -> Answer:
        """Give an EVSE a setpoint."""
        ...

    async def set_reporting(self, command: ReportingCommand) -> Answer:
        """Change the sampling interval."""
        ...

    async def set_password(self, secret: str) -> Answer:
        """Give the station the secret for its next connection."""
        ...

    async def remote_start(self, evse_id: int | None, token: str) -> Answer:
        """Start a session for a token."""
        ...

    async def remote_stop(self, session_id: str) -> Answer:
        """End a session."""
        ...

    async def carry_out(self, order: OrderBase) -> Answer:
        """Do what a person asked. Raises :class:`Refused` where there is no message for it."""
        ...

    async def clear_setpoint(self, evse_id: int) -> Answer:
        """Remove the central profile of an EVSE, so that the resident fallback holds."""
        ...

    async def composite_limits_kw(self, evse_id: int, duration_s: int) -> list[tuple[dt.datetime, float]]:
        """What the station would do: (from, kW), the setpoint where one holds, else the limit."""
        ...


class ClockWatch:
    """Median of a station's last stamps against our clock, seconds, station minus ours."""

    def __init__(self) -> None:
        self._samples_s: list[float] = []
        self._told_s: float | None = None
        self.skew_s: float | None = None

    def observe(self, skew_s: float) -> float | None:
        """Take one sample; the median when it is new or has moved by more than :data:`SKEW_STEP_S`."""
        self._samples_s = [*self._samples_s[1 - SKEW_SAMPLES :], skew_s]
        self.skew_s = median(self._samples_s)
        if self._told_s is None or abs(self.skew_s - self._told_s) > SKEW_STEP_S:
            self._told_s = self.skew_s
            return self.skew_s
        return None

    def restart(self) -> None:
        """Forget the samples: a rebooted station has a new clock."""
        self._samples_s.clear()

    def untold(self) -> None:
        """The last median was not committed: say it again."""
        self._told_s = None

    def bad(self) -> bool:
        """Whether readings must be quarantined."""
        return self.skew_s is not None and abs(self.skew_s) > SKEW_QUARANTINE_S


def heartbeat_s(station_id: str) -> int:
    """How often that station shall say that it is there: each its own, so that those that booted together part."""
    lot = zlib.crc32(station_id.encode()) / 2**32
    return round(HEARTBEAT_S * (1.0 + HEARTBEAT_SPREAD * (2.0 * lot - 1.0)))


class StationMemory:
    """What outlives a connection: transactions, the clock's skew, profiles, provisioning."""

    def __init__(self) -> None:
        self.watch = ClockWatch()
        self.transactions: dict[str, Transaction] = {}
        self.late = LateMessages()
        self.profile_of: dict[int, str] = {}
        """EVSE to the transaction for which our central profile is installed."""
        self.profile_sent_s: dict[tuple[int, Purpose], float] = {}
        """EVSE and purpose to the loop time of the last SetChargingProfile: stations count by purpose."""
        self.rates_kept_s = -inf
        """Loop time of the last boot after which profiles could be given anew at once."""
        self.needs: dict[int, int] = {}
        """EVSE to the periods that its vehicle's schedule may have, where one is still to be offered."""
        self.priority_kw: dict[int, float] = {}
        """EVSE to the limit of the priority profile that it took last."""
        self.model: ChargerModel | None = None
        """What kind of charger it is, once it has said who it is."""
        self.who = ("", "", "")
        """Vendor, model and firmware by which that was chosen."""
        self.frames = FrameRing()
        self.model_told = ""
        self.model_problem = ""
        """What is wrong with that choice."""
        self.given_kw: dict[int, float] = {}
        """EVSE to the setpoint that its session holds from us, as far as we know."""
        self.wanted: dict[int, SetpointCommand] = {}
        """EVSE to the newest setpoint asked for: an older one that still waits is dropped."""
        self.mode_of: dict[int, tuple[str, dt.datetime, str]] = {}
        """EVSE to the mode that a person has put its session in: (mode, until, transaction)."""
        self.variables = security.StationVariables()
        self.grid_lost = False
        self.standing: Standing | None = None
        """How its last boot was answered; None where it has not booted since this server started."""
        self.inspection: tuple[str, ...] | None = None
        """What was wrong with a station that was looked at before it might work."""
        self.held_alarm = False
        self.provisioned = False
        self.problems: tuple[str, ...] = ()
        self.remote_starts = 0
        self._request_id = 0
        self.numbers: list[int] = []
        """Those given to it of late; the directory knows older ones."""
        self.monitors: dict[int, int] = {}
        """The severity of each monitor that it has told of."""
        self.default_profile_start: dt.datetime | None = None
        self.default_sent_s = -inf
        """Loop time of the last default profile; strict stations refuse another within a minute."""
        self.audits = security.Audits()
        self.tokens_held: tuple[ListedToken, ...] | None = None
        """The list of tokens that it has from us, as far as we know."""
        self.streams: dict[int, OpenStream] = {}
        self.signed_s = -inf
        """Loop time of the last certificate that we signed for it."""
        self.signed_begins: dt.datetime | None = None
        """When that one begins: the next begins later."""
        self.generation = 0
        self.takeovers_s: list[float] = []
        self.cut_s = -inf
        """Loop time at which we hung up because no setpoint was answered."""
        self.shut_until_s = -inf
        """Loop time until which the station is kept out, so that its lease lapses."""

    def newest_transaction(self, evse_id: int) -> str | None:
        """The id of the transaction heard of last at an EVSE, unless it has ended."""
        found = [key for key, known in self.transactions.items() if known.evse_id == evse_id and not known.state.ended]
        return found[-1] if found else None

    def request_id(self, now: dt.datetime) -> int:
        """A number for an order that the station reports on later: none twice, over our restarts too."""
        self._request_id = max(self._request_id + 1, int(now.timestamp()))
        return self._request_id

    def transaction(self, transaction_id: str, evse_id: int | None) -> Transaction:
        """The transaction remembered under its id, or a new one at ``evse_id`` (1 when unsaid)."""
        known = self.transactions.get(transaction_id)
        if known is None:
            while len(self.transactions) >= TRANSACTIONS_MAX:
                del self.transactions[next(iter(self.transactions))]
            known = self.transactions[transaction_id] = Transaction(evse_id or 1)
        elif evse_id:
            known.evse_id = evse_id
        return known


class Line:
    """A connection as its session sees it."""

    def __init__(
        self,
        *,
        config: StationConfig,
        memory: StationMemory,
        calls: CallTable,
        sink: FactSink,
        directory: StationDirectory,
        clock: Clock,
        counters: Counters,
        models: tuple[ChargerModel, ...],
        signer: CertificateSigner | None = None,
        inspect_first: bool = False,
    ) -> None:
        self.config = config
        self.memory = memory
        self.calls = calls
        self.sink = sink
        self.directory = directory
        self.clock = clock
        self.counters = counters
        self.inspect_first = inspect_first
        self._models = models
        self.signer = signer
        self._power_locks: dict[int, asyncio.Lock] = {}

    @asynccontextmanager
    async def power_turn(self, command: SetpointCommand) -> AsyncIterator[None]:
        """One setpoint at a time for an EVSE: the newest wish drops what waits, and what hangs gives way to it."""
        self.memory.wanted[command.evse_id] = command
        lock = self._power_locks.setdefault(command.evse_id, asyncio.Lock())
        if lock.locked():
            self.calls.press()
        async with lock:
            yield

    def wanted(self, command: SetpointCommand) -> bool:
        """Whether no newer setpoint has been asked for at that EVSE."""
        return self.memory.wanted.get(command.evse_id) is command

    def profile_wait_s(self, evse_id: int, interval_s: float, purpose: Purpose = "TxProfile") -> float:
        """Seconds until another profile of that purpose may be sent to that EVSE, 0 when it may."""
        since_s = asyncio.get_running_loop().time() - self.memory.profile_sent_s.get((evse_id, purpose), -inf)
        return max(interval_s - since_s, 0.0)

    def profile_leaves(self, evse_id: int, purpose: Purpose = "TxProfile") -> None:
        """A profile of that purpose is sent now."""
        self.memory.profile_sent_s[evse_id, purpose] = asyncio.get_running_loop().time()

    def booted_anew(self) -> None:
        """A station that booted gets its profiles anew at once; one that boots all the time, at the rate of any."""
        memory, now_s = self.memory, asyncio.get_running_loop().time()
        memory.default_profile_start = None
        memory.priority_kw.clear()
        if now_s - memory.rates_kept_s >= PROFILE_INTERVAL_S:
            memory.rates_kept_s = now_s
            memory.profile_sent_s.clear()
            memory.default_sent_s = -inf

    def too_early(self, evse_id: int, interval_s: float, purpose: Purpose = "TxProfile") -> str:
        """Why no profile may be sent to that EVSE yet, empty when it may."""
        wait_s = self.profile_wait_s(evse_id, interval_s, purpose)
        if wait_s <= 0:
            return ""
        self.counters.setpoints_rate_limited += 1
        return f"a new profile may be sent in {wait_s:.0f} s"

    def ends_discharge(self, command: SetpointCommand) -> bool:
        """Whether a discharge ends with it: that never waits for its turn."""
        return command.setpoint_kw >= 0 > self.memory.given_kw.get(command.evse_id, 0.0)

    def take_turn(self, command: SetpointCommand) -> bool:
        """Whether the setpoint is still the newest; if so its profile counts as sent from now on."""
        if not self.wanted(command):
            return False
        self.profile_leaves(command.evse_id)
        return True

    def superseded(self) -> Answer:
        """The answer for a setpoint that a newer one has dropped."""
        self.counters.setpoints_superseded += 1
        return self.answer("Rejected", "superseded by a newer setpoint")

    def check_token(self, token: str) -> None:
        """Refuse to start a session for a token that may not charge here."""
        found = self.directory.authorize(token, self.config.station_id, self.clock.now())
        if not found.accepted or (found.group and found.group == self.config.master_group):
            word = "master" if found.accepted else found.status
            raise Refused(
                "that token may not charge here", where=self.config.station_id, got=f"{security.ends_of(token)}: {word}"
            )

    async def record(self, facts: Sequence[Fact]) -> None:
        """Return when the facts are committed, however late: only then may the station be answered.

        Raises ``Unavailable`` where they are not taken; then the same is to be said again.
        """
        if not facts:
            return
        try:
            await self.sink.record(facts, however_late=True)
        except RevereError:
            self.counters.unrecorded += 1
            self.memory.watch.untold()
            raise

    @property
    def model(self) -> ChargerModel:
        """What kind of charger it is: as it said at its boot, else as it is known."""
        if self.memory.model is None:
            known = self.directory.identity(self.config.station_id) or StationIdentity()
            self.recognise(known.vendor, known.model, "")
        assert self.memory.model is not None
        return self.memory.model

    def recognise(self, vendor: str, model: str, firmware: str) -> None:
        """Choose the kind of charger anew, by its own word where a name means nothing here."""
        who, memory = (vendor, model, firmware), self.memory
        memory.who = who
        try:
            memory.model = choose(self._models, self.config.protocol, who, self.config.charger_model)
            memory.model_problem = "" if memory.model.controllable else NOT_CONTROLLABLE
        except RevereError as error:
            memory.model = choose(self._models, self.config.protocol, who)
            memory.model_problem = error.text()

    def _recognised(self) -> list[Fact]:
        """What kind of charger it is, where that was not told yet."""
        if self.memory.model_told == self.model.name:
            return []
        return [
            StationRecognised(
                at=self.clock.now(),
                station_id=self.config.station_id,
                model=self.model.name,
                controllable=self.model.controllable,
                discharges=self.model.discharges,
            )
        ]

    def model_problems(self) -> list[str]:
        """What a person should know of the kind of charger: a name that means nothing, or that it cannot be told."""
        _ = self.model
        return [self.memory.model_problem] if self.memory.model_problem else []

    def identify(self, booted: StationBooted) -> list[Fact]:
        """What its boot says of which charger it is: learned, itself, itself again, or another one.

        Another one is welcome to charge by its fallback; a bus at it must leave all the same. It is not commanded, and
        its registers are kept out of settlement, until a person accepts it.
        """
        station_id, at = booted.station_id, booted.at
        said = StationIdentity(vendor=booted.vendor, model=booted.model, serial=booted.serial)
        known, stranger = self.directory.identity(station_id), self.directory.stranger(station_id)
        who = msgspec.structs.asdict(said)
        if known is None:
            return [IdentityAccepted(at=at, station_id=station_id, by=FIRST_BOOT, **who)]
        key = f"identity:{station_id}"
        if known.same_as(said):
            if stranger is None:
                return []
            accepted = IdentityAccepted(at=at, station_id=station_id, by=ITSELF_AGAIN, **msgspec.structs.asdict(known))
            return [accepted, AlarmCleared(at=at, key=key)]
        if stranger == said:
            return []
        text = (
            f"{station_id} is another charger than before: {said.words()}; known was {known.words()}. It charges by "
            f"its fallback and is not commanded. If it was exchanged: revere station accept {station_id} {said.serial}"
        )
        alarm = AlarmRaised(at=at, key=key, severity="critical", subject=station_id, text=text.strip())
        return [IdentityRefused(at=at, station_id=station_id, **who), AlarmCleared(at=at, key=key), alarm]

    async def number(self, wanted: int | None = None) -> int:
        """A number for an order on which the station reports later, kept before the station hears of it."""
        now = self.clock.now()
        number = self.memory.request_id(now) if wanted is None else wanted
        await self.record([NumberGiven(at=now, station_id=self.config.station_id, request_id=number)])
        self.memory.numbers.append(number)
        del self.memory.numbers[:-NUMBERS_MAX]
        return number

    def unasked(self, number: int | None, status: str) -> bool:
        """Whether a station reports under a number that we never gave it: counted. That it is idle needs none."""
        known = number is None or number in self.memory.numbers or self.directory.gave(self.config.station_id, number)
        if known or status == "Idle":
            return False
        self.counters.unsolicited += 1
        return True

    async def record_provisioned(self, problems: Sequence[str]) -> None:
        """Commit what the station's device model says and what is wrong with it."""
        fact = StationProvisioned(
            at=self.clock.now(),
            station_id=self.config.station_id,
            variables=dict(sorted(self.memory.variables.items())),
            problems=tuple(problems),
        )
        await self.record([*self._recognised(), fact])
        self.memory.model_told = self.model.name
        self.memory.problems = fact.problems

    async def record_schedule(self, evse_id: int, steps: Sequence[tuple[dt.datetime, float]]) -> None:
        """Commit what the station says it follows."""
        fact = ScheduleRead(
            at=self.clock.now(),
            station_id=self.config.station_id,
            evse_id=evse_id,
            steps=tuple((at, round(kw, 4)) for at, kw in steps[:SCHEDULE_STEPS_MAX]),
        )
        await self.record([fact])

    def default_just_sent(self) -> bool:
        """Whether a default profile is on its way or has just arrived."""
        return asyncio.get_running_loop().time() - self.memory.default_sent_s < PROFILE_INTERVAL_S

    async def renew_problem(self, beginning: str, found: Sequence[str]) -> None:
        """Replace the problems with this beginning by those found now; commit if that is news."""
        others = [problem for problem in self.memory.problems if not problem.startswith(beginning)]
        if (*others, *found) != self.memory.problems:
            await self.record_provisioned([*others, *found])

    def observe(self, ts: dt.datetime, now: dt.datetime) -> list[Fact]:
        """Compare a stamp made just now with our clock; a fact when the skew is new."""
        skew_s = self.memory.watch.observe((ts - now).total_seconds())
        if skew_s is None:
            return []
        return [ClockSkewMeasured(at=now, station_id=self.config.station_id, skew_s=round(skew_s, 3))]

    def observe_fresh(self, ts: dt.datetime, now: dt.datetime) -> list[Fact]:
        """The same unless what it stamps may have waited in a queue."""
        return self.observe(ts, now) if (ts - now).total_seconds() > -SKEW_QUARANTINE_S else []

    def refused(self, kind: str, what: str, detail: str) -> list[Fact]:
        """Facts that tell what of the station was not taken; each ``what`` once in a while, the rest in its count."""
        count = self.memory.audits.due((kind, what), asyncio.get_running_loop().time())
        self.counters.refused += 1
        return security.refused(self.config, kind, detail, count, self.clock.now()) if count else []

    def foreign_token(self, token: str) -> list[Fact]:
        """Facts that tell of a token which is good at another station."""
        detail = f"a token of another station was shown here: {security.ends_of(token)}"
        return self.refused(FOREIGN_TOKEN, token, detail)

    def is_foreign(self, transaction_id: str) -> bool:
        """Whether a transaction that this station never told of runs at another station."""
        known = transaction_id in self.memory.transactions
        return not known and self.directory.runs_elsewhere(self.config.station_id, transaction_id)

    def foreign_transaction(self, transaction_id: str) -> list[Fact]:
        """Facts that tell of a message about a transaction that runs at another station."""
        detail = f"a message about transaction {transaction_id[:36]}, which runs at another station"
        return self.refused(FOREIGN_TRANSACTION, transaction_id, detail)

    def quarantine(
        self, readings: Sequence[MeterReading], now: dt.datetime, live: dt.datetime | None = None
    ) -> list[MeterReading]:
        """Mark readings of a station whose clock is off by over a minute, from the future, or of another charger.

        ``live`` stamps a message that waited in no queue: its readings need no median to be doubted.
        """
        jumped = live is not None and abs((live - now).total_seconds()) > SKEW_QUARANTINE_S
        bad = jumped or self.memory.watch.bad()
        stranger = self.directory.stranger(self.config.station_id) is not None
        latest = now + dt.timedelta(seconds=SKEW_QUARANTINE_S)
        checked = []
        for reading in readings:
            if bad or reading.ts > latest:
                self.counters.readings_quarantined += 1
                reading = msgspec.structs.replace(reading, quarantined="clock")
            elif stranger and reading.place != "site":
                self.counters.readings_quarantined += 1
                reading = msgspec.structs.replace(reading, quarantined=OTHER_CHARGER)
            checked.append(reading)
        return checked

    def answer(
        self,
        status: str,
        why: str = "",
        sent_wall_s: float = 0.0,
        *,
        also: tuple[str, ...] = (),
        details: tuple[tuple[str, str], ...] = (),
    ) -> Answer:
        """A station's status word as ours: everything but Accepted, and what ``also`` means yes, is a rejection."""
        accepted = status == "Accepted" or status in also
        return Answer(
            status="accepted" if accepted else "rejected",
            why=why or ("" if status == "Accepted" else status),
            answered_at=self.clock.now(),
            sent_wall_s=sent_wall_s,
            details=details,
        )


def session_id_of(station_id: str, transaction_id: str | int) -> str:
    """A session's id: a transaction id is unique only within its station."""
    return f"{station_id}:{transaction_id}"


def transaction_id_of(station_id: str, session_id: str) -> str:
    """The transaction behind a session id; raises :class:`RevereError` for another station's."""
    prefix = f"{station_id}:"
    if not session_id.startswith(prefix):
        raise RevereError("session of another station", where=station_id, got=session_id, expected=f"{prefix}…")
    return session_id[len(prefix) :]
