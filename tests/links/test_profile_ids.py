"""Ids of our profiles: above those that a station keeps for the limits of others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from oca.cases import own
from ocpp_rig import BOOT, NOW, bench, play
from test_k_limits import setpoint
from v2x_orders import GOOD
from v2x_rig import ABLE, ST, STARTED, STRICT, TX, Scene, reported

from revere.core.facts import (
    StationProvisioned,
)
from revere.core.v2x_orders import (
    EndOperationMode,
    UsePriority,
)
from revere.links.ocpp2.profile_ids import profile_ids
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import NO_DEFAULT
from revere.twin.profiles21 import ProfileStore, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable


@own(
    "K01",
    rule="our profiles take ids above MaxExternalConstraintsId, which a station keeps for limits of others",
    source="appendix SmartChargingCtrlr.MaxExternalConstraintsId; that lower ids are refused is inferred",
)
def test_ids_that_a_station_keeps_for_others_are_left_alone() -> None:
    """A strict station that keeps 1 to 500: every kind of profile is taken, moved and cleared there."""
    store = ProfileStore(abilities=replace(STRICT, external_id_max=500))

    def variables(payload: dict[str, Any]) -> dict[str, Any]:
        known = {"MaxExternalConstraintsId": "500"}
        answers = [
            {"attributeStatus": "Accepted", "attributeValue": known[one["variable"]["name"]], **one}
            if one["variable"]["name"] in known
            else {"attributeStatus": "UnknownVariable", **one}
            for one in payload["getVariableData"]
        ]
        return {"getVariableResult": answers}

    def said(work: Callable[[], object]) -> dict[str, Any]:
        try:
            work()
        except Refusal as why:
            return {"status": "Rejected", "statusInfo": {"reasonCode": why.code, "additionalInfo": why.why}}
        return {"status": "Accepted"}

    def placed(payload: dict[str, Any]) -> dict[str, Any]:
        profile = msgspec.convert(payload["chargingProfile"], wire.ChargingProfile)
        return said(lambda: store.set(payload["evseId"], profile, TX, 0.0))

    def moved(payload: dict[str, Any]) -> dict[str, Any]:
        changes = msgspec.convert(payload["scheduleUpdate"], wire.ChargingScheduleUpdate)
        return said(lambda: store.update(payload["chargingProfileId"], changes, NOW.timestamp()))

    def cleared(payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Accepted" if store.clear(payload["chargingProfileId"], None) else "Unknown"}

    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            station.live = {
                "GetVariables": variables,
                "SetChargingProfile": placed,
                "UpdateDynamicSchedule": moved,
                "ClearChargingProfile": cleared,
            }
            s = Scene(b, station)
            await s.call("BootNotification", BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert not any(NO_DEFAULT in problem for problem in b.sink.of(StationProvisioned)[0].problems)
            await s.call("NotifyReport", reported(ABLE))
            await s.call("TransactionEvent", STARTED)
            for kw in (-12.0, -11.0):
                assert (await b.server.set_power(setpoint(kw))).status == "accepted"
            b.server._memories[ST].profile_sent_s.clear()  # a minute later
            assert (await s.order(GOOD["idle"])).status == "accepted"
            assert (await s.order(UsePriority(active=True))).status == "accepted"
            assert set(store.installed) == {501, 601, 701, 901}
            assert (await s.order(EndOperationMode())).status == "accepted"
            assert (await b.server.clear_setpoint(ST, 1)).status == "accepted"
            assert set(store.installed) == {501, 901}

    play(story)


@pytest.mark.parametrize(
    ("said", "reserved"), [("", 0), ("0", 0), ("500", 500), ("-1", 0), ("many", 0), ("2147483647", 0), ("9" * 30, 0)]
)
def test_what_a_station_says_of_its_ids_is_taken_where_it_leaves_some(said: str, reserved: int) -> None:
    assert profile_ids({"SmartChargingCtrlr.MaxExternalConstraintsId": said}).reserved == reserved
