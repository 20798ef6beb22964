"""Block E: transactions, sent again after a lost line, numbered, told once.

Messages of a transaction wait in the station while it is offline and come in order afterwards, marked
``offline``: their stamps say nothing about its clock. A number seen before is answered and not recorded again; a
number that is skipped is counted, and taken when it comes late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.facts import Fact
from revere.core.ids import SessionId
from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.authorization import token_info
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered, session_id_of

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog


async def _transaction(dialog: Dialog, request: wire.TransactionEventRequest) -> Answered:
    line = dialog.line
    now = line.clock.now()
    config, memory = line.config, line.memory
    transaction_id = request.transactionInfo.transactionId
    known = memory.transaction(transaction_id, request.evse.id if request.evse is not None else None)
    answer = wire.TransactionEventResponse(
        idTokenInfo=None if request.idToken is None else token_info(dialog, request.idToken)
    )
    if request.seqNo in known.seen:
        line.counters.duplicates += 1
        return Answered(answer)
    facts: list[Fact] = [] if request.offline else line.observe(request.timestamp, now)
    token = request.idToken.idToken if request.idToken is not None else known.token
    started = request.timestamp if request.eventType == "Started" else known.started
    identified = token != known.token and started is not None
    if request.eventType == "Started" or identified:
        since = started or request.timestamp
        facts.append(translate.session_started(config, transaction_id, known.evse_id, token, since, now))
    if request.meterValue:
        session_id = SessionId(session_id_of(config.station_id, transaction_id))
        readings = translate.readings(
            config,
            known.evse_id,
            request.meterValue,
            at=now,
            session_id=session_id,
            counters=line.counters,
            places=dialog.places,
        )
        facts += line.quarantine(readings, now)
        facts += translate.signed_values(config, known.evse_id, request.meterValue, at=now, session_id=session_id)
    if request.eventType == "Ended":
        facts.append(translate.session_ended(config, request, now))
    await line.record(facts)
    known.token, known.started = token, started
    if known.seen.add(request.seqNo):
        line.counters.seq_gaps += 1
    if request.eventType == "Ended" and memory.profile_of.get(known.evse_id) == transaction_id:
        del memory.profile_of[known.evse_id]
    return Answered(answer)


ROUTES: Final[Routes] = {"TransactionEvent": Route(wire.TransactionEventRequest, _transaction)}
