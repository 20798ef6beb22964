"""A 2.1 station on PyPI's ocpp, in its own environment: a V2X session (block Q), grid faults by DER alarms (block R).

Arguments: address, id, secret. Writes JSON lines; one line on its input ends the session. The library checks every
frame of either side against its schemas.
"""

# The library is untyped, and this file runs where Revere is not installed.
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import sys

from ocpp.routing import on
from ocpp.v21 import ChargePoint, call, call_result
from websockets.asyncio.client import connect

SESSION = {"transaction_id": "q-1"}


def stamp() -> str:
    """Now, as the wire writes it."""
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")  # noqa: TID251  # a process without our clock


def say(what: dict) -> None:
    """One line for whoever started us."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Station(ChargePoint):
    """Keeps what it is asked; obeys in words."""

    asked: list

    def _keep(self, action: str, payload: dict) -> None:
        self.asked.append([action, payload])

    @on("SetChargingProfile")
    async def set_profile(self, evse_id, charging_profile, **_):
        self._keep("SetChargingProfile", charging_profile)
        return call_result.SetChargingProfile(status="Accepted")

    @on("UpdateDynamicSchedule")
    async def update(self, charging_profile_id, schedule_update, **_):
        self._keep("UpdateDynamicSchedule", schedule_update)
        return call_result.UpdateDynamicSchedule(status="Accepted")

    @on("ClearChargingProfile")
    async def clear(self, **payload):
        self._keep("ClearChargingProfile", payload)
        return call_result.ClearChargingProfile(status="Accepted")

    @on("SetVariables")
    async def set_variables(self, set_variable_data, **_):
        results = [
            {"attribute_status": "Accepted", "component": d["component"], "variable": d["variable"]}
            for d in set_variable_data
        ]
        return call_result.SetVariables(set_variable_result=results)

    @on("GetVariables")
    async def get_variables(self, get_variable_data, **_):
        results = [
            {"attribute_status": "UnknownVariable", "component": d["component"], "variable": d["variable"]}
            for d in get_variable_data
        ]
        return call_result.GetVariables(get_variable_result=results)

    @on("GetBaseReport")
    async def report(self, **_):
        return call_result.GetBaseReport(status="NotSupported")

    @on("GetCompositeSchedule")
    async def composite(self, **_):
        return call_result.GetCompositeSchedule(status="Rejected")


def meter(import_wh: float, export_wh: float) -> list:
    """Both registers, in Wh."""
    values = [(import_wh, "Energy.Active.Import.Register"), (export_wh, "Energy.Active.Export.Register")]
    sampled = [{"value": value, "measurand": measurand, "location": "Inlet"} for value, measurand in values]
    return [{"timestamp": stamp(), "sampled_value": sampled}]


async def session(station: Station) -> None:
    """Boot, plug in, say what the vehicle can give, until told to go on; then an outage and the end."""
    boot = call.BootNotification(charging_station={"model": "Q", "vendor_name": "Peer"}, reason="PowerUp")
    say({"boot": (await station.call(boot)).status})
    token = {"id_token": "BUS-1", "type": "eMAID"}
    await station.call(
        call.TransactionEvent(
            event_type="Started", timestamp=stamp(), trigger_reason="Authorized", seq_no=0,
            transaction_info=SESSION, evse={"id": 1}, id_token=token, meter_value=meter(5000, 100),
        )
    )  # fmt: skip
    needs = {
        "requested_energy_transfer": "DC_BPT",
        "control_mode": "DynamicControl",
        "departure_time": "2026-07-17T10:00:00Z",
        "v2x_charging_parameters": {"max_charge_power": 60000, "max_discharge_power": 50000, "target_soc": 80},
    }
    said = (await station.call(call.NotifyEVChargingNeeds(charging_needs=needs, evse_id=1))).status
    say({"needs": said})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    fault = {"control_type": "LVMustTrip", "grid_event_fault": "UnderVoltage"}
    await station.call(call.NotifyDERAlarm(timestamp=stamp(), **fault))
    await station.call(call.NotifyDERAlarm(timestamp=stamp(), alarm_ended=True, **fault))
    ended = call.TransactionEvent(
        event_type="Ended", timestamp=stamp(), trigger_reason="EVCommunicationLost", seq_no=1,
        transaction_info={**SESSION, "stopped_reason": "EVDisconnected", "operation_mode": "CentralSetpoint"},
        meter_value=meter(5000, 2100),
    )  # fmt: skip
    await station.call(ended)
    say({"asked": station.asked})


async def main(address: str, name: str, secret: str) -> None:
    """Connect with Basic auth and play the session."""
    basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
    async with connect(
        address, subprotocols=["ocpp2.1"], additional_headers={"Authorization": f"Basic {basic}"}, proxy=None
    ) as socket:
        station = Station(name, socket)
        station.asked = []
        listening = asyncio.create_task(station.start())
        await session(station)
        listening.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
