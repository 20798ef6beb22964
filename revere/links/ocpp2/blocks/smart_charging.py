"""Block K: setpoints, the fallback beneath them, and what a station says that it follows.

::

    2.1     Dynamic TxProfile, CentralSetpoint     moved by UpdateDynamicSchedule, lapses with the line
    2.0.1   Absolute TxProfile, a limit            replaced whole, lapses at validTo; below 0 it discharges
            TxDefaultProfile, ChargingOnly         every day, beneath both
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final

from revere.core.commands import Answer
from revere.core.errors import Refused, RevereError
from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks import remote, transfer
from revere.links.ocpp2.blocks.routes import reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.calls import CallRefused, Reply
from revere.links.ocppj.line import NO_DEFAULT, NOT_CONTROLLABLE, RATE_MARGIN_S, transaction_id_of
from revere.links.ocppj.setpoints import DAY_S, check_setpoint, give_in_turn, local_midnight, watts

if TYPE_CHECKING:
    from revere.core.commands import SetpointCommand
    from revere.links.ocpp2.dialog import Dialog

UPDATE_RETRY_S: Final = 1.5
"""An update refused as too early is sent once more after this."""
RATE_LIMITED: Final = "RateLimitExceeded"
NO_SUCH_MODE: Final = "InvalidOperationMode"
"""Refused so, a setpoint may be one that the vehicle was not allowed to be given."""
UPDATE_RATE_LIMIT: Final = "SmartChargingCtrlr.UpdateRateLimit"
OWN_INTERVAL_MAX_S: Final = 900.0
"""A station that would take profiles more seldom than this is tried all the same: nobody could command it else."""


# The fallback ---------------------------------------------------------------------------------------


async def install_default(dialog: Dialog) -> list[str]:
    """Install the fallback; what is wrong with that, if anything."""
    now = dialog.line.clock.now()
    dialog.line.memory.default_sent_s = asyncio.get_running_loop().time()
    profile = dialog.line.config.default_profile
    request = translate.default_profile(profile, now, modes=dialog.line.model.dynamic, ids=dialog.profile_ids)
    reply = await dialog.ask("SetChargingProfile", request, wire.SetChargingProfileResponse)
    if reply.value.status != "Accepted":
        dialog.line.memory.default_profile_start = None
        return [f"{NO_DEFAULT}: {reason(reply.value.statusInfo)}"]
    dialog.line.memory.default_profile_start = local_midnight(profile, now)
    return []


async def ensure_default(dialog: Dialog) -> list[str]:
    """Install the fallback of a station that booted, unless somebody who read its schedule has just done so."""
    return [] if dialog.line.default_just_sent() else await install_default(dialog)


async def restore_fallback(dialog: Dialog) -> Answer:
    """Put the fallback back in the place of any other default; what somebody else limits stays as it is."""
    if dialog.line.default_just_sent():
        return dialog.line.answer("Accepted", "sent a moment ago")
    criteria = wire.ClearChargingProfile(chargingProfilePurpose="TxDefaultProfile")
    request = wire.ClearChargingProfileRequest(chargingProfileCriteria=criteria)
    await dialog.ask("ClearChargingProfile", request, wire.ClearChargingProfileResponse)
    if dialog.line.default_just_sent():
        return dialog.line.answer("Accepted", "sent meanwhile")  # a boot's own, which waited for the line
    problems = await install_default(dialog)
    await dialog.line.renew_problem(NO_DEFAULT, problems)
    return dialog.line.answer("Rejected" if problems else "Accepted", "; ".join(problems))


def default_profile_due(dialog: Dialog) -> bool:
    """Whether the fallback was refused, or the clocks have changed since: its local day is an hour off."""
    installed = dialog.line.memory.default_profile_start
    if installed is None:
        return True
    midnight = local_midnight(dialog.line.config.default_profile, dialog.line.clock.now())
    return (midnight - installed).total_seconds() % DAY_S != 0


async def refresh_default_profile(dialog: Dialog) -> None:
    """Install the fallback again where it is due, and say so when that changed what is wrong."""
    if default_profile_due(dialog):
        await dialog.line.renew_problem(NO_DEFAULT, await install_default(dialog))


# Setpoints ------------------------------------------------------------------------------------------


async def set_power(dialog: Dialog, command: SetpointCommand) -> Answer:
    """Give an EVSE a setpoint: in 2.1 a Dynamic profile first, updates of it from then on; else leased limits."""
    try:
        check_setpoint(command)
        transaction_id = transaction_id_of(command.station_id, command.session_id)
    except RevereError as error:
        return dialog.line.answer("Rejected", error.text())
    clears = dialog.line.model.way != "data-transfer"
    return await give_in_turn(
        dialog.line,
        command,
        gives=dialog.gives,
        give=lambda: _give(dialog, command, transaction_id),
        clear=(lambda: clear_setpoint(dialog, command.evse_id)) if clears else None,
        end=lambda: remote.remote_stop(dialog, command.session_id, first=True),
    )


async def _give(dialog: Dialog, command: SetpointCommand, transaction_id: str) -> Answer:
    """Tell the setpoint by the station's own way."""
    match dialog.line.model.way:
        case "vendor-cloud":
            return dialog.line.answer("Rejected", NOT_CONTROLLABLE)
        case "data-transfer":
            return await _transfer(dialog, command, transaction_id)
        case "negative-limit" | "charge-only":
            return await _lease(dialog, command, transaction_id)
    if dialog.line.memory.profile_of.get(command.evse_id) == transaction_id:
        answer = await _update(dialog, command)
        if answer is not None and answer.why == RATE_LIMITED:
            await asyncio.sleep(UPDATE_RETRY_S)
            answer = await _update(dialog, command)
        if answer is not None:
            return answer
    return await _install(dialog, command, transaction_id)


async def _update(dialog: Dialog, command: SetpointCommand) -> Answer | None:
    """Change the installed profile; None when the station no longer has it."""
    memory = dialog.line.memory
    request = wire.UpdateDynamicScheduleRequest(
        chargingProfileId=dialog.profile_ids.central(command.evse_id),
        scheduleUpdate=translate.schedule_update(command, bidirectional=dialog.gives),
    )
    try:
        reply = await dialog.call(
            "UpdateDynamicSchedule",
            request,
            wire.UpdateDynamicScheduleResponse,
            still_wanted=lambda: dialog.line.wanted(command),
            setpoint=True,
        )
    except CallRefused:  # does not know the message: whole profiles, at their slower pace
        memory.profile_of.pop(command.evse_id, None)
        return None
    if reply is None:
        return dialog.line.superseded()
    value = reply.value
    if value.status == "Accepted":
        return dialog.line.answer("Accepted", sent_wall_s=reply.sent_wall_s)
    if value.statusInfo is not None and value.statusInfo.reasonCode == RATE_LIMITED:
        dialog.line.counters.setpoints_rate_limited += 1
        return dialog.line.answer("Rejected", RATE_LIMITED, reply.sent_wall_s)
    memory.profile_of.pop(command.evse_id, None)
    return None


async def _install(dialog: Dialog, command: SetpointCommand, transaction_id: str) -> Answer:
    memory = dialog.line.memory
    stops = dialog.line.ends_discharge(command)
    too_early = "" if stops else dialog.line.too_early(command.evse_id, profile_interval_s(dialog))
    if too_early:
        return Answer(status="too_early", why=too_early, answered_at=dialog.line.clock.now())
    request = translate.central_profile(command, transaction_id, bidirectional=dialog.gives, ids=dialog.profile_ids)
    reply = await _send_profile(dialog, command, request)
    if reply is None:
        return dialog.line.superseded()
    status, info = reply.value.status, reply.value.statusInfo
    if status == "Accepted":
        memory.profile_of[command.evse_id] = transaction_id
        return dialog.line.answer("Accepted", sent_wall_s=reply.sent_wall_s)
    if info is not None and info.reasonCode == RATE_LIMITED:
        # Sent within the minute, by us before a restart: then the station still has it.
        dialog.line.counters.setpoints_rate_limited += 1
        memory.profile_of[command.evse_id] = transaction_id
        answer = await _update(dialog, command)
        if answer is not None:
            return answer
    return dialog.line.answer("Rejected", reason(info), reply.sent_wall_s)


async def _lease(dialog: Dialog, command: SetpointCommand, transaction_id: str) -> Answer:
    """Give a whole profile with an end; no more than one a minute, but for the end of a discharge."""
    stops = dialog.line.ends_discharge(command)
    too_early = "" if stops else dialog.line.too_early(command.evse_id, profile_interval_s(dialog))
    if too_early:
        return Answer(status="too_early", why=too_early, answered_at=dialog.line.clock.now())
    now = dialog.line.clock.now()
    request = translate.leased_profile(command, transaction_id, now, bidirectional=dialog.gives, ids=dialog.profile_ids)
    reply = await _send_profile(dialog, command, request)
    if reply is None:
        return dialog.line.superseded()
    status, info = reply.value.status, reply.value.statusInfo
    return dialog.line.answer(status, "" if status == "Accepted" else reason(info), reply.sent_wall_s)


async def _transfer(dialog: Dialog, command: SetpointCommand, transaction_id: str) -> Answer:
    """Give a setpoint by the vendor's own message."""
    template = dialog.line.model.data_transfer
    assert template is not None  # a model of this way has one
    setpoint_kw = command.setpoint_kw if dialog.gives else max(command.setpoint_kw, 0.0)
    request = wire.DataTransferRequest(
        vendorId=template.vendor_id,
        messageId=template.message_id,
        data=template.filled(setpoint_w=watts(setpoint_kw), evse_id=command.evse_id, transaction_id=transaction_id),
    )
    reply = await dialog.call(
        "DataTransfer",
        request,
        wire.DataTransferResponse,
        still_wanted=lambda: dialog.line.wanted(command),
        setpoint=True,
    )
    if reply is None:
        return dialog.line.superseded()
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def _send_profile(
    dialog: Dialog, command: SetpointCommand, request: wire.SetChargingProfileRequest
) -> Reply[wire.SetChargingProfileResponse] | None:
    async def send() -> Reply[wire.SetChargingProfileResponse] | None:
        return await dialog.call(
            "SetChargingProfile",
            request,
            wire.SetChargingProfileResponse,
            still_wanted=lambda: dialog.line.take_turn(command),
            setpoint=True,
        )

    reply = await send()
    if reply is None or reply.value.statusInfo is None or reply.value.statusInfo.reasonCode != NO_SUCH_MODE:
        return reply
    unheard = await transfer.allow_unheard(dialog, request.chargingProfile.transactionId)
    return await send() if unheard else reply


def profile_interval_s(dialog: Dialog) -> float:
    """Seconds between two profiles: ours, or the station's own limit where that is longer, up to a ceiling."""
    try:
        own_s = min(float(dialog.line.memory.variables.get(UPDATE_RATE_LIMIT, "0")), OWN_INTERVAL_MAX_S)
    except ValueError:
        own_s = 0.0
    return max(dialog.line.model.profile_interval_s, own_s) + RATE_MARGIN_S


def newest_update(dialog: Dialog, profile_id: int) -> wire.ChargingScheduleUpdate | None:
    """What one of our Dynamic profiles should say now; None for any other profile."""
    for evse_id in dialog.line.memory.profile_of:
        command = dialog.line.memory.wanted.get(evse_id)
        if command is not None and dialog.profile_ids.central(evse_id) == profile_id:
            return translate.schedule_update(command, bidirectional=dialog.gives)
    return None


async def clear_setpoint(dialog: Dialog, evse_id: int) -> Answer:
    """Remove the central profile of an EVSE, so that the resident charge-only default holds."""
    request = wire.ClearChargingProfileRequest(chargingProfileId=dialog.profile_ids.central(evse_id))
    reply = await dialog.call("ClearChargingProfile", request, wire.ClearChargingProfileResponse, setpoint=True)
    assert reply is not None  # nothing makes a clear unwanted
    dialog.line.memory.profile_of.pop(evse_id, None)
    if reply.value.status == "Accepted":
        dialog.line.memory.given_kw.pop(evse_id, None)
    return dialog.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)


async def composite_limits_kw(dialog: Dialog, evse_id: int, duration_s: int) -> list[tuple[dt.datetime, float]]:
    """What the station would do, as (from, kW). Raises :class:`Refused`."""
    request = wire.GetCompositeScheduleRequest(duration=duration_s, evseId=evse_id, chargingRateUnit="W")
    reply = await dialog.ask("GetCompositeSchedule", request, wire.GetCompositeScheduleResponse, hurry=True)
    if reply.value.status != "Accepted" or reply.value.schedule is None:
        raise Refused("no composite schedule", where=dialog.line.config.station_id, got=reply.value.status)
    return translate.composite_kw(reply.value.schedule)
