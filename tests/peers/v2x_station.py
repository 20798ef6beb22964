"""A 2.1 station on PyPI's ocpp, in its own environment: two-way sessions and modes (block Q), DER controls (block R).

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

from ocpp.routing import after, on
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

    def __init__(self, *words):
        super().__init__(*words)
        self.inventory = asyncio.get_running_loop().create_future()

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
    async def report(self, request_id, **_):
        if not self.inventory.done():
            self.inventory.set_result(request_id)
        return call_result.GetBaseReport(status="Accepted")

    @on("SetDERControl")
    async def set_control(self, **payload):
        self._keep("SetDERControl", payload)
        return call_result.SetDERControl(status="Accepted")

    @on("ClearDERControl")
    async def clear_control(self, **payload):
        self._keep("ClearDERControl", payload)
        return call_result.ClearDERControl(status="Accepted")

    @on("GetDERControl")
    async def get_control(self, request_id, **_):
        self._keep("GetDERControl", {})
        return call_result.GetDERControl(status="Accepted")

    @after("GetDERControl")
    async def report_controls(self, request_id, **_):
        """Two parts: what was set last as a curve, and a gradient."""
        curves = [p for a, p in self.asked if a == "SetDERControl" and "curve" in p]
        rows = [
            {"id": p["control_id"], "curve": p["curve"], "curve_type": p["control_type"],
             "is_default": p["is_default"], "is_superseded": False}
            for p in curves[-1:]
        ]  # fmt: skip
        await self.call(call.ReportDERControl(request_id=request_id, curve=rows, tbc=True))
        gradient = {"id": "g", "gradient": {"priority": 0, "gradient": 1.0, "soft_gradient": 2.0}}
        await self.call(call.ReportDERControl(request_id=request_id, gradient=[gradient]))

    @on("NotifyAllowedEnergyTransfer")
    async def allowed(self, **payload):
        self._keep("NotifyAllowedEnergyTransfer", payload)
        return call_result.NotifyAllowedEnergyTransfer(status="Accepted")

    @on("UsePriorityCharging")
    async def priority(self, **payload):
        self._keep("UsePriorityCharging", payload)
        return call_result.UsePriorityCharging(status="Accepted")

    @on("AFRRSignal")
    async def signal(self, **payload):
        self._keep("AFRRSignal", payload)
        return call_result.AFRRSignal(status="Accepted")

    @on("GetChargingProfiles")
    async def profiles(self, **_):
        self._keep("GetChargingProfiles", {})
        return call_result.GetChargingProfiles(status="NoProfiles")

    @on("GetCompositeSchedule")
    async def composite(self, **_):
        return call_result.GetCompositeSchedule(status="Rejected")


def meter(import_wh: float, export_wh: float) -> list:
    """Both registers, in Wh."""
    values = [(import_wh, "Energy.Active.Import.Register"), (export_wh, "Energy.Active.Export.Register")]
    sampled = [{"value": value, "measurand": measurand, "location": "Inlet"} for value, measurand in values]
    return [{"timestamp": stamp(), "sampled_value": sampled}]


MODES = (
    "ChargingOnly,CentralSetpoint,CentralFrequency,LocalFrequency,"
    "ExternalSetpoint,ExternalLimits,LocalLoadBalancing,Idle"
)
CONTROLS = (
    "EnterService,FreqDroop,FreqWatt,FixedPFAbsorb,FixedPFInject,FixedVar,Gradients,HFMustTrip,HFMayTrip,HVMustTrip,"
    "HVMomCess,HVMayTrip,LimitMaxDischarge,LFMustTrip,LVMustTrip,LVMomCess,LVMayTrip,PowerMonitoringMustTrip,VoltVar,"
    "VoltWatt,WattPF,WattVar"
)


async def able(station: Station) -> None:
    """What the station can do, and who may give."""
    rows = [
        {"component": {"name": component, "evse": {"id": 1}}, "variable": {"name": variable},
         "variable_attribute": [{"value": value}]}
        for component, variable, value in (
            ("V2XChargingCtrlr", "SupportedOperationModes", MODES),
            ("DCDERCtrlr", "ModesSupported", CONTROLS),
        )
    ]  # fmt: skip
    asked = await station.inventory
    await station.call(call.NotifyReport(request_id=asked, generated_at=stamp(), seq_no=0, report_data=rows))
    authorized = await station.call(call.Authorize(id_token={"id_token": "BUS-1", "type": "eMAID"}))
    say({"allowed": authorized.allowed_energy_transfer})


async def notices(station: Station) -> None:
    """Everything else that such a station says by itself."""
    schedule = {"id": 1, "charging_rate_unit": "W", "charging_schedule_period": [{"start_period": 0, "limit": 9000.0}]}
    await station.call(
        call.NotifyChargingLimit(
            charging_limit={"charging_limit_source": "EMS"}, evse_id=1, charging_schedule=[schedule]
        )
    )
    await station.call(call.ClearedChargingLimit(charging_limit_source="EMS", evse_id=1))
    await station.call(call.NotifyPriorityCharging(transaction_id="q-1", activated=True))
    pulled = await station.call(call.PullDynamicScheduleUpdate(charging_profile_id=101))
    planned = await station.call(
        call.NotifyEVChargingSchedule(time_base=stamp(), evse_id=1, charging_schedule=schedule)
    )
    await station.call(call.NotifyDERStartStop(control_id="c", started=True, timestamp=stamp(), superseded_ids=["old"]))
    say({"pulled": pulled.schedule_update, "planned": planned.status})


async def session(station: Station) -> None:
    """Boot, plug in, say what the vehicle can give, until told to go on; then an outage and the end."""
    boot = call.BootNotification(charging_station={"model": "Q", "vendor_name": "Peer"}, reason="PowerUp")
    say({"boot": (await station.call(boot)).status})
    await able(station)
    token = {"id_token": "BUS-1", "type": "eMAID"}
    await station.call(
        call.TransactionEvent(
            event_type="Started", timestamp=stamp(), trigger_reason="Authorized", seq_no=0,
            transaction_info={**SESSION, "charging_state": "Charging"}, evse={"id": 1}, id_token=token,
            meter_value=meter(5000, 100),
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
    await notices(station)
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
