"""Block K where a station speaks: what its vehicle needs and means to draw, what others allow, who goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.errors import Unavailable
from revere.core.facts import PriorityChargingReported
from revere.core.ids import SessionId
from revere.core.v2x_orders import ListChargingProfiles
from revere.links.ocpp2 import outside_limits, translate, translate_v2x
from revere.links.ocpp2.blocks import offers, smart_charging
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import NOT_CONTROLLABLE, Answered, session_id_of

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


async def _needs(dialog: Dialog, request: wire.NotifyEVChargingNeedsRequest) -> Answered:
    """K18, K19: Accepted means that a profile follows, Processing that it follows later (*inferred*).

    A vehicle in scheduled control gets its schedule at once, but no two of them in a minute.
    """
    line = dialog.line
    await line.record([translate.energy_needs(line.config, request, line.clock.now())])
    if not line.model.controllable:
        info = wire.StatusInfo(reasonCode="UnsupportedRequest", additionalInfo=NOT_CONTROLLABLE)
        return Answered(wire.NotifyEVChargingNeedsResponse(status="NoChargingProfile", statusInfo=info))
    if request.chargingNeeds.requestedEnergyTransfer in translate_v2x.GIVING and not dialog.gives:
        info = wire.StatusInfo(reasonCode="UnsupportedRequest", additionalInfo="no discharge is agreed here")
        return Answered(wire.NotifyEVChargingNeedsResponse(status="Rejected", statusInfo=info))
    if request.chargingNeeds.controlMode != "ScheduledControl":
        return Answered(wire.NotifyEVChargingNeedsResponse(status="Accepted"))
    periods = request.maxScheduleTuples or translate_v2x.TUPLES_MAX
    now = offers.may_offer(dialog, request.evseId)
    answer = wire.NotifyEVChargingNeedsResponse(status="Accepted" if now else "Processing")
    return Answered(answer, then=lambda: offers.need(dialog, request.evseId, periods))


async def _schedule(dialog: Dialog, request: wire.NotifyEVChargingScheduleRequest) -> Answered:
    """K17: what passes the station's limit is not agreed to: the station renegotiates."""
    line = dialog.line
    reported = translate_v2x.vehicle_schedule(line.config, request, line.clock.now())
    await line.record([reported])
    if not reported.refused:
        return Answered(wire.NotifyEVChargingScheduleResponse(status="Accepted"))
    info = wire.StatusInfo(reasonCode="InvalidSchedule", additionalInfo=reported.refused)
    return Answered(wire.NotifyEVChargingScheduleResponse(status="Rejected", statusInfo=info))


async def _limit(dialog: Dialog, request: wire.NotifyChargingLimitRequest) -> Answered:
    """K12, K23: a limit from outside binds us too."""
    line = dialog.line
    facts = outside_limits.external_limit(line.config, request, line.clock.now(), line.memory.variables)
    await line.record(facts)
    return Answered(wire.NotifyChargingLimitResponse())


async def _lifted(dialog: Dialog, request: wire.ClearedChargingLimitRequest) -> Answered:
    await dialog.line.record(outside_limits.limit_lifted(dialog.line.config, request, dialog.line.clock.now()))
    return Answered(wire.ClearedChargingLimitResponse())


async def _priority(dialog: Dialog, request: wire.NotifyPriorityChargingRequest) -> Answered:
    """K21, K22: the driver goes first, asked for here or at the station; no setpoint is followed until it ends."""
    line = dialog.line
    if line.is_foreign(request.transactionId):
        await line.record(line.foreign_transaction(request.transactionId))
        return Answered(wire.NotifyPriorityChargingResponse())
    session_id = SessionId(session_id_of(line.config.station_id, request.transactionId))
    fact = PriorityChargingReported(
        at=line.clock.now(), station_id=line.config.station_id, session_id=session_id, active=request.activated
    )
    await line.record([fact])
    return Answered(wire.NotifyPriorityChargingResponse())


async def _pull(dialog: Dialog, request: wire.PullDynamicScheduleUpdateRequest) -> Answered:
    """K28: the setpoint that holds now, for a station that asks instead of being told."""
    update = smart_charging.newest_update(dialog, request.chargingProfileId)
    if update is None:
        why = f"no dynamic profile {request.chargingProfileId} of ours"
        info = wire.StatusInfo(reasonCode="InvalidProfileId", additionalInfo=why)
        return Answered(wire.PullDynamicScheduleUpdateResponse(status="Rejected", statusInfo=info))
    return Answered(wire.PullDynamicScheduleUpdateResponse(status="Accepted", scheduleUpdate=update))


async def _profiles(dialog: Dialog, request: wire.ReportChargingProfilesRequest) -> Answered:
    """K09: the profiles that we asked for; unasked they are dropped and counted."""
    rows = [(request.chargingLimitSource, request.evseId, profile) for profile in request.chargingProfile]
    if not dialog.gathering.add(request.requestId, rows, more=request.tbc):
        dialog.line.counters.unsolicited += 1
    return Answered(wire.ReportChargingProfilesResponse())


async def list_profiles(dialog: Dialog, order: ListChargingProfiles) -> Answer:
    """K09: the profiles that stand there, each as one line; none found is no failure."""
    sources = () if order.evse_id is not None else translate_v2x.SOURCES
    number = dialog.gathering.begin()
    criterion = wire.ChargingProfileCriterion(chargingLimitSource=sources or None)
    request = wire.GetChargingProfilesRequest(requestId=number, evseId=order.evse_id, chargingProfile=criterion)
    try:
        reply = await dialog.ask("GetChargingProfiles", request, wire.GetChargingProfilesResponse)
        status = reply.value.status
        answer = dialog.line.answer(status, reason(reply.value.statusInfo), reply.sent_wall_s, also=("NoProfiles",))
        if status != "Accepted":
            return answer
        rows: list[tuple[str, int, wire.ChargingProfile]] = await dialog.gathering.rows(number)
    except Unavailable as error:
        return dialog.line.answer("Rejected", error.text())
    finally:
        dialog.gathering.end(number)
    return msgspec.structs.replace(answer, details=tuple(translate_v2x.profile_line(*row) for row in rows))


ORDERS: Final[Orders] = {ListChargingProfiles: list_profiles}
ROUTES: Final[Routes] = {
    "NotifyEVChargingNeeds": Route(wire.NotifyEVChargingNeedsRequest, _needs),
    "NotifyEVChargingSchedule": Route(wire.NotifyEVChargingScheduleRequest, _schedule),
    "NotifyChargingLimit": Route(wire.NotifyChargingLimitRequest, _limit),
    "ClearedChargingLimit": Route(wire.ClearedChargingLimitRequest, _lifted),
    "NotifyPriorityCharging": Route(wire.NotifyPriorityChargingRequest, _priority),
    "PullDynamicScheduleUpdate": Route(wire.PullDynamicScheduleUpdateRequest, _pull),
    "ReportChargingProfiles": Route(wire.ReportChargingProfilesRequest, _profiles),
}
