"""Block Q: a session's mode of its own, by a person's order; and priority charging (K21), which overrules all of it.

::

    stack 11   the mode that was ordered, until its moment      Q03, Q05 to Q10
    stack 10   our setpoints (Dynamic, CentralSetpoint)         Q04
    stack 0    the charge-only fallback                         Q02

Control has judged an order by trips, sites and the grid before it comes here; what the station would refuse is refused
here, with a sentence. Frequency modes are the station's work: from here comes what it shall do, no control of seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.errors import Refused
from revere.core.facts import OperationModeEnded, OperationModeSet, PriorityChargingReported
from revere.core.ids import SessionId
from revere.core.v2x_orders import (
    AllowTransfer,
    EndOperationMode,
    SendFrequencySignal,
    SetOperationMode,
    UsePriority,
    mode_fault,
    mode_range_kw,
)
from revere.links.ocpp2 import abilities, translate_v2x
from revere.links.ocpp2.blocks import transfer
from revere.links.ocpp2.blocks.routes import Orders, Routes, reason
from revere.links.ocpp2.blocks.smart_charging import RATE_LIMITED, profile_interval_s
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.calls import errand
from revere.links.ocppj.line import session_id_of

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


def _transaction(dialog: Dialog, evse_id: int) -> str:
    found = dialog.line.memory.newest_transaction(evse_id)
    if found is None:
        raise Refused("no session runs there", where=f"{dialog.line.config.station_id}/{evse_id}")
    return found


def _session(dialog: Dialog, transaction_id: str) -> SessionId:
    return SessionId(session_id_of(dialog.line.config.station_id, transaction_id))


async def set_mode(dialog: Dialog, order: SetOperationMode) -> Answer:
    """Put a session in a mode; one of the same kind that stands already only gets its new values."""
    line, memory = dialog.line, dialog.line.memory
    transaction_id = _transaction(dialog, order.evse_id)
    why = mode_fault(order) or abilities.mode_refusal(memory.variables, order)
    if why:
        raise Refused(why, got=order.mode)
    stands = memory.mode_of.get(order.evse_id) == (order.mode, order.until, transaction_id)
    if stands and translate_v2x.moves(order):
        update = await dialog.ask(
            "UpdateDynamicSchedule",
            translate_v2x.mode_update(order, dialog.profile_ids),
            wire.UpdateDynamicScheduleResponse,
        )
        status, info, sent_wall_s = update.value.status, update.value.statusInfo, update.sent_wall_s
    else:
        too_early = line.too_early(order.evse_id, profile_interval_s(dialog))
        if too_early:
            return line.answer(RATE_LIMITED, too_early)
        line.profile_leaves(order.evse_id)
        request = translate_v2x.mode_profile(order, transaction_id, line.clock.now(), dialog.profile_ids)
        reply = await dialog.ask("SetChargingProfile", request, wire.SetChargingProfileResponse)
        status, info, sent_wall_s = reply.value.status, reply.value.statusInfo, reply.sent_wall_s
    if status == "Accepted":
        memory.mode_of[order.evse_id] = (order.mode, order.until, transaction_id)
        await line.record([_mode_set(dialog, order, transaction_id)])
    return line.answer(status, reason(info), sent_wall_s)


def _mode_set(dialog: Dialog, order: SetOperationMode, transaction_id: str) -> OperationModeSet:
    config = dialog.line.config
    charge_kw, discharge_kw = mode_range_kw(order, config.charge_kw, config.discharge_kw)
    return OperationModeSet(
        at=dialog.line.clock.now(),
        station_id=config.station_id,
        evse_id=order.evse_id,
        session_id=_session(dialog, transaction_id),
        mode=order.mode,
        until=order.until,
        charge_max_kw=charge_kw,
        discharge_max_kw=discharge_kw,
    )


async def end_mode(dialog: Dialog, order: EndOperationMode) -> Answer:
    """Take the mode away: what stands beneath it holds. One that is gone already is as good as taken away."""
    line = dialog.line
    request = wire.ClearChargingProfileRequest(chargingProfileId=dialog.profile_ids.mode(order.evse_id))
    with errand("end"):
        reply = await dialog.call("ClearChargingProfile", request, wire.ClearChargingProfileResponse, setpoint=True)
    assert reply is not None  # nothing makes an end unwanted
    line.memory.mode_of.pop(order.evse_id, None)
    ended = OperationModeEnded(at=line.clock.now(), station_id=line.config.station_id, evse_id=order.evse_id)
    await line.record([ended])
    return line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s, also=("Unknown",))


async def use_priority(dialog: Dialog, order: UsePriority) -> Answer:
    """K21: a session goes first, by a profile of its own, or no longer."""
    line = dialog.line
    transaction_id = _transaction(dialog, order.evse_id)
    why = abilities.priority_refusal(line.memory.variables)
    if why:
        raise Refused(why)
    if order.active:
        refused = await _place_priority(dialog, order)
        if refused is not None:
            return refused
    use = wire.UsePriorityChargingRequest(transactionId=transaction_id, activate=order.active)
    reply = await dialog.ask("UsePriorityCharging", use, wire.UsePriorityChargingResponse)
    if reply.value.status == "NoProfile":
        line.memory.priority_kw.pop(order.evse_id, None)
    if reply.value.status == "Accepted":
        fact = PriorityChargingReported(
            at=line.clock.now(),
            station_id=line.config.station_id,
            session_id=_session(dialog, transaction_id),
            active=order.active,
        )
        await line.record([fact])
    return line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def _place_priority(dialog: Dialog, order: UsePriority) -> Answer | None:
    """Give the profile by which a session goes first, unless it stands there; an answer where it was not taken."""
    line, held_kw, evse_id = dialog.line, dialog.line.memory.priority_kw, order.evse_id
    wish_kw = line.config.charge_kw if order.charge_limit_kw is None else order.charge_limit_kw
    limit_kw = min(wish_kw, line.config.charge_kw)
    if held_kw.get(evse_id) == limit_kw:
        return None
    too_early = line.too_early(evse_id, profile_interval_s(dialog), "PriorityCharging")
    if too_early:
        return line.answer(RATE_LIMITED, too_early)
    line.profile_leaves(evse_id, "PriorityCharging")
    request = translate_v2x.priority_profile(evse_id, limit_kw, dialog.profile_ids)
    placed = await dialog.ask("SetChargingProfile", request, wire.SetChargingProfileResponse)
    if placed.value.status != "Accepted":
        return line.answer(placed.value.status, reason(placed.value.statusInfo), placed.sent_wall_s)
    held_kw[evse_id] = limit_kw
    return None


async def send_signal(dialog: Dialog, order: SendFrequencySignal) -> Answer:
    """Q08: a grid operator's signal, with our time (*inferred*)."""
    request = wire.AFRRSignalRequest(timestamp=dialog.line.clock.now(), signal=order.signal)
    reply = await dialog.ask("AFRRSignal", request, wire.AFRRSignalResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def allow_transfer(dialog: Dialog, order: AllowTransfer) -> Answer:
    """Q01: what the vehicle may choose from now on, both ways or charging alone."""
    both = transfer.allowed(dialog)
    if order.both_ways and both is None:
        raise Refused("no vehicle gives here", where=dialog.line.config.station_id, remedy="The station only charges")
    modes = both or translate_v2x.CHARGING
    if not order.both_ways:
        modes = tuple(mode for mode in modes if mode not in translate_v2x.GIVING)
    return await transfer.allow(dialog, _transaction(dialog, order.evse_id), modes)


ROUTES: Final[Routes] = {}
ORDERS: Final[Orders] = {
    SetOperationMode: set_mode,
    EndOperationMode: end_mode,
    UsePriority: use_priority,
    SendFrequencySignal: send_signal,
    AllowTransfer: allow_transfer,
}
