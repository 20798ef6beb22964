"""K18: a vehicle that follows a schedule gets the fallback's day as one, but no two in a minute.

::

    needs ──▶ one is kept for each EVSE: the newest ──▶ a minute since the last profile there? ──▶ SetChargingProfile
                                                        else when it is over, after a setpoint that waits too

What is owed outlives the connection: the station's next message takes it up again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from revere.links.ocpp2 import translate_v2x
from revere.links.ocpp2.blocks.smart_charging import RATE_LIMITED, profile_interval_s
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.calls import CallTimedOut
from revere.links.ocppj.transport import Disconnected

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog

OFFER_AFTER_S: Final = 10.0
"""How much longer a schedule waits than a setpoint, which is told again at each tick."""


def may_offer(dialog: Dialog, evse_id: int) -> bool:
    """Whether a schedule may be offered there at once."""
    return evse_id not in dialog.offering and _wait_s(dialog, evse_id) == 0


def need(dialog: Dialog, evse_id: int, periods_max: int) -> None:
    """Owe the session at that EVSE a schedule, in as many periods as its vehicle can take."""
    if dialog.line.memory.newest_transaction(evse_id) is not None:
        dialog.line.memory.needs[evse_id] = periods_max
        take_up(dialog)


def take_up(dialog: Dialog) -> None:
    """See to everything that is owed, also by a connection that is gone."""
    for evse_id in [key for key in dialog.line.memory.needs if key not in dialog.offering]:
        dialog.offering[evse_id] = None
        dialog.later(_when_due(dialog, evse_id))


def _wait_s(dialog: Dialog, evse_id: int) -> float:
    return dialog.line.profile_wait_s(evse_id, profile_interval_s(dialog))


async def _when_due(dialog: Dialog, evse_id: int) -> None:
    """Offer what is owed at an EVSE once it may be; a setpoint that waits goes first, but not for ever."""
    grace_s, needs = OFFER_AFTER_S, dialog.line.memory.needs
    try:
        while evse_id in needs:
            wait_s = _wait_s(dialog, evse_id)
            if wait_s > 0:
                await asyncio.sleep(wait_s + grace_s)
                grace_s = 0.0
            elif not await _offer(dialog, evse_id):
                return
    finally:
        dialog.offering.pop(evse_id, None)


async def _offer(dialog: Dialog, evse_id: int) -> bool:
    """Offer a schedule, unless a technician's lock is on: then False. What nobody took is owed again."""
    line, needs = dialog.line, dialog.line.memory.needs
    transaction_id = line.memory.newest_transaction(evse_id)
    if transaction_id is None:
        needs.pop(evse_id, None)
        return True
    locked, periods_max = False, needs[evse_id]

    def leaves() -> bool:
        nonlocal locked
        locked = line.directory.lock(line.config.station_id) != "free"
        if locked or needs.get(evse_id) != periods_max or _wait_s(dialog, evse_id) > 0:
            return False
        del needs[evse_id]
        line.profile_leaves(evse_id)
        return True

    request = translate_v2x.offered_schedule(
        line.config.default_profile, evse_id, transaction_id, line.clock.now(), periods_max, dialog.profile_ids
    )
    try:
        reply = await dialog.call("SetChargingProfile", request, wire.SetChargingProfileResponse, still_wanted=leaves)
    except (Disconnected, CallTimedOut):
        needs.setdefault(evse_id, periods_max)
        raise
    info = None if reply is None else reply.value.statusInfo
    if info is not None and info.reasonCode == RATE_LIMITED:
        needs.setdefault(evse_id, periods_max)
    return not locked
