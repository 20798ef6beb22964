"""One station's socket: what is heard, a worker, and what runs beside them.

Hearing never waits for the database: answers to our calls reach their waiters even while the
worker waits for a commit; a message whose commit is late is answered so, and another worker goes
on with the next. Calls go to a short queue; a station that overfills it breaks the standard's rule
of one call at a time and loses its connection, and nobody else notices.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from revere.core.commands import SCHEDULE_READ_S
from revere.core.errors import Refused, RevereError
from revere.links.ocppj import registration
from revere.links.ocppj.bounds import (
    BAD_FRAMES_PER_MINUTE_MAX,
    BAD_PAYLOADS_MAX,
    BOOT_LATE_S,
    FRAME_MAX_BYTES,
    INBOUND_WAITING_MAX,
    LATE_NEXT_S,
    LATE_S,
    SENDS_WAITING_MAX,
)
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut
from revere.links.ocppj.framing import (
    CALL,
    CALLERROR,
    CALLRESULT,
    Call,
    CallFailed,
    ErrorCode,
    FrameRefused,
    Ignored,
    error_frame,
    head,
    parse_frame,
    result_frame,
)
from revere.links.ocppj.late import BOOT
from revere.links.ocppj.transport import Disconnected, Transport

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from revere.links.ocppj.line import Answered, Line, Session

log = logging.getLogger(__name__)

RESUME_AFTER_S: Final = 2.0
"""A station that starts sends BootNotification at once; one that is silent this long has only reconnected."""
HEARTBEAT: Final = "Heartbeat"
PROTOCOL_ERROR: Final = 1002
POLICY_VIOLATION: Final = 1008
NORMAL: Final = 1000

_CODES_16: Final[dict[str, ErrorCode]] = {
    "FormatViolation": "FormationViolation",
    "MessageTypeNotSupported": "NotSupported",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "RpcFrameworkError": "ProtocolError",
}
"""Error codes that 1.6 spells or lumps otherwise."""


class Turn:
    """A station's message under way."""

    __slots__ = ("again", "answer", "call", "since_s", "worker")

    def __init__(self, call: Call, worker: asyncio.Task[None], since_s: float) -> None:
        self.call = call
        self.worker = worker
        self.since_s = since_s
        self.again = False
        """Whether it waits for what was said before: the same message."""
        self.answer: asyncio.Future[Answered] | None = None
        """Where its answer is kept once nobody waits for it any more."""


class StationLink:
    """A live connection of one station."""

    def __init__(
        self,
        *,
        generation: int,
        transport: Transport,
        line: Line,
        session: Session,
        speed: float = 1.0,
    ) -> None:
        self.station_id = line.config.station_id
        self.protocol = line.config.protocol
        self.generation = generation
        self.session = session
        self.parted = False
        """Whether its StationDisconnected is recorded already (a newer socket took over)."""
        self.reason = ""
        self._transport = transport
        self._line = line
        self._calls = line.calls
        self._memory = line.memory
        self._counters = line.counters
        self._inbound: list[Call] = []
        self._idle: asyncio.Future[None] | None = None
        self._turn: Turn | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._speed = speed
        self._deaf = False
        self._bad_frames_s: list[float] = []
        """When the latest came, in loop time; one more than may come in a minute."""
        self._bad_payloads = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._provisioning = False
        self._boot_heard = False
        self._schedule_read = False

    async def run(self) -> None:
        """Serve until the socket closes, for whatever reason; never raises for what a station sent."""
        loop = asyncio.get_running_loop()
        resume = loop.call_later(RESUME_AFTER_S, self._resume)
        self._spawn(self._work())
        try:
            self._transport.listen(self._on_text)
            ended = await self._transport.ended()
            self.reason = self.reason or ended
        finally:
            resume.cancel()
            if self._watch is not None:
                self._watch.cancel()
            if self._turn is not None:
                self._let_go(self._turn)  # its facts are taken: it comes again on the next connection
            self._calls.close()
            await self._stop_tasks()

    async def close(self, code: int, reason: str) -> None:
        """Close the socket and fail our pending calls."""
        self.reason = self.reason or reason
        self._calls.close()
        await self._transport.close(code, reason)

    @property
    def unheard(self) -> int:
        """Setpoints in a row that the station did not answer."""
        return self._calls.unheard

    def depose(self, reason: str) -> None:
        """This socket serves no more (a newer one has won, or nothing is heard): our calls fail at once."""
        self.reason = reason
        self.session.booted = False
        self._calls.close()

    def _on_text(self, raw: bytes) -> None:
        """Take a message apart: an answer to its waiter, a call to the worker. Deaf once we are closing."""
        if self._deaf:
            return
        self._counters.frames_in += 1
        try:
            frame = parse_frame(raw, long_answer=len(raw) > FRAME_MAX_BYTES and self._calls.long_answer_may_come)
        except FrameRefused as error:
            self._refuse_frame(raw, error)
            return
        if not isinstance(frame, Call):
            if not isinstance(frame, Ignored):
                self._calls.settle(frame)
        elif not frame.answered and len(self._inbound) >= SENDS_WAITING_MAX:
            self._counters.dropped_sends += 1
        elif len(self._inbound) >= INBOUND_WAITING_MAX:
            self._counters.flooded += 1
            self._hang_up(POLICY_VIOLATION, "calls sent without waiting for answers")
        else:
            self._boot_heard = self._boot_heard or frame.action == BOOT
            self._inbound.append(frame)
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)

    def _refuse_frame(self, raw: bytes, error: FrameRefused) -> None:
        """Give what is no message a true answer: it costs its own exchange, and the connection only where it goes on.

        A call whose id cannot be read is answered with id "-1" (OCPP 2.x Part 4, section 4.2.3), which 1.6 lacks.
        """
        self._counters.frames_refused += 1
        log.warning("%s: frame refused: %s", self.station_id, error.text())
        if self._nonsense_goes_on():
            self._counters.nonsense += 1
            said = "too many frames that are no OCPP message"
            self._hang_up(PROTOCOL_ERROR, said, f"{said}, the last: {error.text()}")
            return
        kind, message_id = head(raw)
        with suppress(Disconnected):
            if kind in (CALLRESULT, CALLERROR):
                self._calls.spoil(message_id, error, result=kind == CALLRESULT)
            elif kind == CALL and message_id:
                self._send(error_frame(message_id, self._code(error.code), error.what))
            elif kind in (CALL, 0) and self.protocol != "ocpp1.6":
                self._send(error_frame("-1", "RpcFrameworkError", error.what))

    def _nonsense_goes_on(self) -> bool:
        times_s, now_s = self._bad_frames_s, asyncio.get_running_loop().time()
        times_s.append(now_s)
        del times_s[: -BAD_FRAMES_PER_MINUTE_MAX - 1]
        return len(times_s) > BAD_FRAMES_PER_MINUTE_MAX and now_s - times_s[0] < 60.0

    def _hang_up(self, code: int, said: str, why: str = "") -> None:
        """Close from inside a callback: hear nothing more, say goodbye beside."""
        self._deaf = True
        self.reason = self.reason or why or said
        self._spawn(self.close(code, said))

    async def _work(self) -> None:
        """Answer the station's calls one after the other, until one is late and another worker goes on."""
        worker = asyncio.current_task()
        assert worker is not None
        loop = asyncio.get_running_loop()
        try:
            while True:
                while self._inbound:
                    call = self._inbound.pop(0)
                    turn = self._turn = Turn(call, worker, loop.time())
                    self._look_in(min(self._patience_s(call), LATE_S) * self._speed)
                    await (self._answer(turn) if call.answered else self._hear(call))
                    if self._turn is not turn:
                        return
                    self._turn = None
                    if self._bad_payloads > BAD_PAYLOADS_MAX:
                        await self.close(POLICY_VIOLATION, "too many unreadable payloads")
                if self._watch is not None:
                    self._watch.cancel()
                    self._watch = None
                self._idle = loop.create_future()
                await self._idle
        except Disconnected:
            return  # the socket's end is reported by itself

    def _patience_s(self, call: Call) -> float:
        """How long a message may wait for its commit: little behind a late one, or each would hold up the next."""
        if call.action == BOOT:
            return BOOT_LATE_S
        return LATE_NEXT_S if self._memory.late.waiting else LATE_S

    def _look_in(self, wait_s: float) -> None:
        """Look at the message under way that soon, unless it is looked at before."""
        loop = asyncio.get_running_loop()
        if self._watch is not None:
            if self._watch.when() <= loop.time() + wait_s:
                return
            self._watch.cancel()
        self._watch = loop.call_later(wait_s, self._look)

    def _look(self) -> None:
        """See whether the message under way is late. One timer serves a burst of messages."""
        self._watch, turn, loop = None, self._turn, asyncio.get_running_loop()
        if turn is None:
            return
        left_s = turn.since_s + self._patience_s(turn.call) * self._speed - loop.time()
        if left_s > 0:
            self._look_in(min(left_s, LATE_S * self._speed))
            return
        self._counters.late += 1
        level = logging.DEBUG if self._memory.late.waiting else logging.WARNING
        log.log(level, "%s: %s is not recorded yet", self.station_id, turn.call.action)
        if turn.call.answered:
            with suppress(Disconnected):
                self._refuse(turn, "InternalError", "not recorded yet, send again")
        self._let_go(turn)
        self._spawn(self._work())

    def _let_go(self, turn: Turn) -> None:
        """Have a message handled to its end with nobody waiting; its repetition finds the answer.

        A repetition itself only waits for the first one, and is given up.
        """
        self._turn = None
        if turn.again:
            turn.worker.cancel()
            return
        self._tasks.discard(turn.worker)
        self._memory.late.hold(turn.worker)
        if turn.call.answered:
            turn.answer = self._memory.late.keep(turn.call, self.generation)

    async def _handle(self, turn: Turn) -> Answered:
        """The answer to a message, that of the first one to a repetition."""
        first = self._memory.late.find(turn.call, self.generation)
        if first is not None:
            turn.again = True
            return await asyncio.shield(first)
        try:
            answered = await self.session.handle(turn.call)
        except Exception as error:
            if turn.answer is not None:
                turn.answer.set_exception(error)
            raise
        except BaseException:
            if turn.answer is not None:
                turn.answer.cancel()
            raise
        if turn.answer is not None:
            turn.answer.set_result(answered)
        return answered

    async def _answer(self, turn: Turn) -> None:
        call = turn.call
        try:
            answered = await self._handle(turn)
            frame = result_frame(call.message_id, answered.payload)
        except CallFailed as error:
            self._counters.payloads_refused += 1
            self._bad_payloads += 1
            self._refuse(turn, self._code(error.code), error.what)
            return
        except OverflowError as error:  # a stamp within a day of the calendar's ends has no UTC
            self._counters.payloads_refused += 1
            self._bad_payloads += 1
            log.warning("%s: %s: a time or number out of range: %s", self.station_id, call.action, error)
            self._refuse(turn, "PropertyConstraintViolation", "a time out of range")
            return
        except RevereError as error:  # not committed, so not acknowledged: the station will send it again
            log.warning("%s: %s not recorded: %s", self.station_id, call.action, error.text())
            self._refuse(turn, "InternalError", "not recorded, send again")
            return
        except Exception:
            log.exception("%s: our fault while handling %s", self.station_id, call.action)
            self._refuse(turn, "InternalError", "could not be processed")
            return
        if self._turn is not turn:
            return  # it was told to send again
        self._send(frame)
        if answered.then is not None:
            answered.then()
        if answered.beside is not None:
            self._spawn(self._beside(answered.beside(), f"after {call.action}"))
        if call.action in (BOOT, HEARTBEAT):
            self._follow_up()

    async def _hear(self, call: Call) -> None:
        """Take a message that nobody answers; what cannot be read or kept is counted."""
        try:
            await self.session.hear(call)
        except (CallFailed, OverflowError) as error:
            self._counters.payloads_refused += 1
            self._bad_payloads += 1
            log.info("%s: %s: %s", self.station_id, call.action, error)
        except RevereError as error:
            self._counters.dropped_sends += 1
            log.warning("%s: %s not recorded: %s", self.station_id, call.action, error.text())
        except Exception:
            log.exception("%s: our fault while hearing %s", self.station_id, call.action)

    def _refuse(self, turn: Turn, code: ErrorCode, what: str) -> None:
        if self._turn is turn:
            self._send(error_frame(turn.call.message_id, code, what))

    def _code(self, code: ErrorCode) -> ErrorCode:
        return _CODES_16.get(code, code) if self.protocol == "ocpp1.6" else code

    def _send(self, frame: bytes) -> None:
        self._transport.send(frame)
        self._counters.frames_out += 1

    def _resume(self) -> None:
        """The station did not boot: it was accepted before and has only lost its line."""
        if self._boot_heard:
            return  # its acceptance may still wait for the commit
        if not registration.admitted(self._line):
            self._provisioning = True
            self._spawn(self._provision(self.session.ask_boot()))
            return
        self.session.booted = True
        self._follow_up()

    def _follow_up(self) -> None:
        """Read what a station that is back follows, provision it, renew its fallback when the clocks have changed.

        What failed is tried again at the next heartbeat, and so is what a technician's lock holds back.
        """
        locked = self._line.directory.lock(self._line.config.station_id) != "free"
        if self._provisioning or locked:
            return
        if self._memory.standing == "Pending" and self._memory.inspection is None:
            self._provisioning = True
            self._spawn(self._look_at())
        if not self.session.booted or self._provisioning:
            return
        if not (self._schedule_read and self._memory.provisioned):
            self._provisioning = True
            self._spawn(self._provision(self._welcome()))
        elif self.session.default_profile_due() and not self._line.default_just_sent():
            self._provisioning = True
            self._spawn(self._provision(self.session.refresh_default_profile()))

    async def _look_at(self) -> None:
        """Set and read a station that must wait. The boot that is triggered may come before its trigger is answered."""
        await self._provision(self.session.inspect())
        if self.session.booted:
            self._follow_up()

    async def _welcome(self) -> None:
        """First hear what it follows, untouched by what we ask anew; then set what must hold."""
        if not self._schedule_read:
            try:
                steps = await self.session.composite_limits_kw(1, SCHEDULE_READ_S)
            except (CallRefused, CallTimedOut, CallOverflow, Refused) as error:
                log.info("%s: what it follows is not known: %s", self.station_id, error)
            else:
                await self._line.record_schedule(1, steps)
            self._schedule_read = True
        if not self._memory.provisioned:
            await self.session.provision()

    async def _provision(self, work: Coroutine[None, None, None]) -> None:
        try:
            await self._beside(work, "provisioning")
        finally:
            self._provisioning = False

    async def _beside(self, work: Coroutine[None, None, None], what: str) -> None:
        try:
            await work
        except Disconnected:
            return  # tried again after the next connection
        except (CallRefused, CallTimedOut, CallOverflow) as error:
            log.warning("%s: %s: %s", self.station_id, what, error)
        except RevereError as error:
            log.warning("%s: %s: not recorded: %s", self.station_id, what, error.text())
        except Exception:
            log.exception("%s: our fault %s", self.station_id, what)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("%s: a task beside the connection failed", self.station_id, exc_info=outcome)
