"""Block E: transactions, sent again after a lost line, numbered, told once.

::

    transaction   Started ─ token ─ cable in ══════════════ cable out ─ Ended     any order, by the station's settings
    session                         SessionStarted ═══════ SessionEnded           what the house counts and commands

A session stands while a vehicle is connected whose token is not refused: a token at an empty bay is none, and a
stranger's vehicle is none of ours. Messages of a transaction wait in the station while it is offline and come in order
afterwards, marked ``offline``: their stamps say nothing about its clock. A number seen before is answered and not
recorded again. One that is skipped is asked for, told as an alarm, and taken when it comes late: then its readings
count, and what it says of the session is history.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.errors import RevereError
from revere.core.facts import AlarmCleared, AlarmRaised, Fact, MeterReading, OperationModeReported
from revere.core.ids import SessionId
from revere.core.orders import AskTransaction
from revere.links.ocpp2 import translate, translate_v2x
from revere.links.ocpp2.blocks.authorization import NO_AUTHORIZATION, judge, starts, token_info
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut
from revere.links.ocppj.line import Answered, session_id_of, transaction_id_of
from revere.links.ocppj.transactions import Transaction, TransactionState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from revere.core.assets import Authorization
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

TOGETHER: Final = frozenset({"CablePluggedIn", "ChargingStateChanged", "ChargingRateChanged", "SignedDataReceived"})
"""Triggers that no empty bay has; where the charging state is said too, it counts."""
APART: Final = frozenset({"EVCommunicationLost", "EVDeparted"})
EMPTY_BAY: Final = frozenset({"Authorized", "EVDetected", "RemoteStart"})
"""Triggers by which a transaction may start before a vehicle is connected; any other start has one."""
UNIQUE: Final = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
"""A name that no two stations give by chance. Stations that merely count may well count alike: each its own."""
MOVES_KW: Final = 0.3
"""A meter that shows this much has a vehicle behind it."""


def connected(request: wire.TransactionEventRequest, readings: list[MeterReading], before: bool) -> bool:
    """Whether a vehicle is connected after this message; ``before`` where it says nothing of that."""
    state = request.transactionInfo.chargingState
    if state is not None:
        return state != "Idle"
    if request.triggerReason in APART:
        return False
    moves = any(reading.place != "site" and abs(reading.power_kw or 0.0) >= MOVES_KW for reading in readings)
    begins = request.eventType == "Started" and request.triggerReason not in EMPTY_BAY
    return before or moves or begins or request.triggerReason in TOGETHER


def _known(dialog: Dialog, request: wire.TransactionEventRequest) -> Transaction | None:
    """What is remembered of it, after a restart of ours what the journal knows; None: another station's."""
    line, transaction_id = dialog.line, request.transactionInfo.transactionId
    evse_id = None if request.evse is None else request.evse.id
    if transaction_id in line.memory.transactions:
        return line.memory.transaction(transaction_id, evse_id)
    station_id = line.config.station_id
    runs = line.directory.runs_there(station_id, SessionId(session_id_of(station_id, transaction_id)))
    begins_alike = request.eventType == "Started" and UNIQUE.fullmatch(transaction_id) is None
    if not runs and not begins_alike and line.is_foreign(transaction_id):
        return None
    known = line.memory.transaction(transaction_id, evse_id)
    if runs:
        known.state = TransactionState(plugged=True, since=request.timestamp)
    return known


async def _transaction(dialog: Dialog, request: wire.TransactionEventRequest) -> Answered:
    line = dialog.line
    found, facts = (None, []) if request.idToken is None else judge(dialog, request.idToken)
    if found is not None and request.eventType != "Ended" and request.triggerReason == "Authorized":
        found = starts(dialog, found)
    answer = wire.TransactionEventResponse(idTokenInfo=None if found is None else token_info(found))
    known = _known(dialog, request)
    if known is None:
        await line.record([*facts, *line.foreign_transaction(request.transactionInfo.transactionId)])
        return Answered(answer)
    if request.seqNo in known.seen:
        line.counters.duplicates += 1
        return Answered(answer)
    if not request.offline:
        facts += line.observe(request.timestamp, line.clock.now())
    readings, metered = _metered(dialog, request, known)
    after = _after(request, known, readings, found)
    facts += [*_session(dialog, request, known, after), *_mode(dialog, request, known, after), *metered]
    with _noted(dialog, request, known, after):
        await line.record(facts)
    return Answered(answer, beside=_take(dialog, request, known, after))


def _metered(
    dialog: Dialog, request: wire.TransactionEventRequest, known: Transaction
) -> tuple[list[MeterReading], list[Fact]]:
    """The readings as they are told, and all facts of the meter."""
    if not request.meterValue:
        return [], []
    line, now = dialog.line, dialog.line.clock.now()
    session_id = SessionId(session_id_of(line.config.station_id, request.transactionInfo.transactionId))
    readings = translate.readings(
        line.config,
        known.evse_id,
        request.meterValue,
        at=now,
        session_id=session_id,
        counters=line.counters,
        places=dialog.places,
    )
    signed = translate.signed_values(line.config, known.evse_id, request.meterValue, at=now, session_id=session_id)
    live = None if request.offline else request.timestamp
    return readings, [*line.quarantine(readings, now, live), *signed]


def _after(
    request: wire.TransactionEventRequest,
    known: Transaction,
    readings: list[MeterReading],
    found: Authorization | None,
) -> TransactionState:
    """What the transaction is after this message; one that comes late changes nothing."""
    before = known.state
    if before.ended or request.seqNo < known.seen.newest:
        return before
    ended = request.eventType == "Ended"
    token, declined = before.token, before.declined
    if found is not None and request.idToken is not None and not ended and request.triggerReason != "StopAuthorized":
        declined = not found.accepted
        named = found.accepted and request.idToken.type != NO_AUTHORIZATION
        token = request.idToken.idToken if named else token
    plugged = connected(request, readings, before.plugged)
    stands = plugged and not declined and not ended
    since = (before.since or request.timestamp) if stands else None
    mode = request.transactionInfo.operationMode or before.mode
    return TransactionState(token=token, plugged=plugged, declined=declined, ended=ended, since=since, mode=mode)


def _session(
    dialog: Dialog, request: wire.TransactionEventRequest, known: Transaction, after: TransactionState
) -> list[Fact]:
    """What the house hears: a session begins, has a name, or ends."""
    line, before, now = dialog.line, known.state, dialog.line.clock.now()
    if after.since is not None and (before.since is None or after.token != before.token):
        transaction_id = request.transactionInfo.transactionId
        return [translate.session_started(line.config, transaction_id, known.evse_id, after.token, after.since, now)]
    if before.since is not None and after.since is None:
        reason = "DeAuthorized" if after.declined and not after.ended else "EVDisconnected"
        return [translate.session_ended(line.config, request, reason, now)]
    return []


def _mode(
    dialog: Dialog, request: wire.TransactionEventRequest, known: Transaction, after: TransactionState
) -> list[Fact]:
    """The mode in force, when a session begins in it or changes to it."""
    line, before, transaction_id = dialog.line, known.state, request.transactionInfo.transactionId
    if not after.mode or after.since is None or (before.since is not None and after.mode == before.mode):
        return []
    # While the line was down nobody could keep it; who comes back is told again whatever it says.
    left = _leaves_ours(dialog, transaction_id, known, after) and not request.offline
    told = OperationModeReported(
        at=line.clock.now(),
        station_id=line.config.station_id,
        evse_id=known.evse_id,
        session_id=SessionId(session_id_of(line.config.station_id, transaction_id)),
        mode=translate_v2x.MODE_NAMES[after.mode],
        ts=request.timestamp,
        left_ours=left,
    )
    return [told]


def _leaves_ours(dialog: Dialog, transaction_id: str, known: Transaction, after: TransactionState) -> bool:
    """Whether the station leaves our setpoint, while its profile should stand there and no ordered mode above it."""
    memory = dialog.line.memory
    ordered = memory.mode_of.get(known.evse_id)
    stands = ordered is not None and ordered[2] == transaction_id and dialog.line.clock.now() < ordered[1]
    installed = memory.profile_of.get(known.evse_id) == transaction_id
    return known.state.mode == translate_v2x.OURS != after.mode and installed and not stands


@contextmanager
def _noted(
    dialog: Dialog, request: wire.TransactionEventRequest, known: Transaction, after: TransactionState
) -> Iterator[None]:
    """What the next message builds on, since it may come before a late commit; taken back where nothing is recorded."""
    profile_of, transaction_id = dialog.line.memory.profile_of, request.transactionInfo.transactionId
    left = _leaves_ours(dialog, transaction_id, known, after)
    if left:  # whatever became of the profile: a whole one is next
        del profile_of[known.evse_id]
    before, known.state = known.state, after
    known.under_way.add(request.seqNo)
    try:
        yield
    except RevereError:
        if known.state is after:
            known.state = before
        if left:
            profile_of.setdefault(known.evse_id, transaction_id)
        raise
    finally:
        known.under_way.discard(request.seqNo)


def _take(
    dialog: Dialog, request: wire.TransactionEventRequest, known: Transaction, after: TransactionState
) -> Callable[[], Coroutine[None, None, None]] | None:
    """Remember a recorded message; what is to be asked or told because of its number."""
    memory, transaction_id = dialog.line.memory, request.transactionInfo.transactionId
    if known.seen.add(request.seqNo) and known.misses():
        dialog.line.counters.seq_gaps += 1
        if not known.gap_told:
            known.gap_told = True
            return lambda: _ask_for_missing(dialog, transaction_id, known)
    elif known.gap_told and known.seen.whole:
        known.gap_told = False
        cleared = AlarmCleared(at=dialog.line.clock.now(), key=_gap_key(dialog, transaction_id))
        return lambda: dialog.line.record([cleared])
    if after.ended and memory.newest_transaction(known.evse_id) is None:
        memory.given_kw.pop(known.evse_id, None)
    if after.ended and memory.profile_of.get(known.evse_id) == transaction_id:
        del memory.profile_of[known.evse_id]
    return None


async def tell_status(dialog: Dialog, order: AskTransaction) -> Answer:
    """E14 for a person."""
    line = dialog.line
    transaction_id = transaction_id_of(line.config.station_id, order.session_id) if order.session_id else None
    said = await ask_status(dialog, transaction_id)
    runs = {True: "yes", False: "no", None: ""}[said.ongoingIndicator]
    details = (("messages_wait", "yes" if said.messagesInQueue else "no"), *((("runs", runs),) if runs else ()))
    return msgspec.structs.replace(line.answer("Accepted"), details=details)


def _gap_key(dialog: Dialog, transaction_id: str) -> str:
    return f"gap:{session_id_of(dialog.line.config.station_id, transaction_id)}"


async def _ask_for_missing(dialog: Dialog, transaction_id: str, known: Transaction) -> None:
    """E14: ask whether the station still holds what was skipped, and tell a person if it stays away."""
    try:
        status = await ask_status(dialog, transaction_id)
        says = "the station still holds messages" if status.messagesInQueue else "the station holds no more: it is lost"
    except (CallRefused, CallTimedOut, CallOverflow) as error:
        says = f"the station does not say where it is ({error})"
    if known.seen.whole:
        return
    missing = ", ".join(f"{low} to {high}" for low, high in known.seen.gaps())
    alarm = AlarmRaised(
        at=dialog.line.clock.now(),
        key=_gap_key(dialog, transaction_id),
        severity="warning",
        subject=dialog.line.config.station_id,
        text=f"of transaction {transaction_id} message {missing} is missing; {says}",
    )
    await dialog.line.record([alarm])


async def ask_status(dialog: Dialog, transaction_id: str | None) -> wire.GetTransactionStatusResponse:
    """Whether a transaction runs and its messages wait; without an id, whether any messages wait."""
    request = wire.GetTransactionStatusRequest(transactionId=transaction_id)
    return (await dialog.ask("GetTransactionStatus", request, wire.GetTransactionStatusResponse)).value


ROUTES: Final[Routes] = {"TransactionEvent": Route(wire.TransactionEventRequest, _transaction)}
ORDERS: Final[Orders] = {AskTransaction: tell_status}
