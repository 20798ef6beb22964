"""An independent 2.1 and 1.6 station: PyPI ``ocpp``, which checks every frame of ours against its schemas."""

# The library is untyped.
# mypy: ignore-errors

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ocpp.routing import on
from ocpp.v16 import ChargePoint as Station16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as Station21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp_rig import Bench, basic, bench, config, play
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from revere.core.commands import SetpointCommand
from revere.core.facts import MeterReading, SessionEnded, SessionStarted, StationDisconnected, StationProvisioned
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.ocppj.transactions import SeenSeq

STAMP = "2026-07-16T19:30:00Z"


class Peer21(Station21):
    """Accepts what the library's schemas accept; remembers profiles and updates."""

    def __init__(self, name: str, socket: ClientConnection) -> None:
        super().__init__(name, socket)
        self.profiles: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []

    @on("SetChargingProfile")
    async def set_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
        self.profiles.append(charging_profile)
        return result21.SetChargingProfile(status="Accepted")

    @on("UpdateDynamicSchedule")
    async def update(self, charging_profile_id: int, schedule_update: dict[str, Any], **_: Any) -> Any:
        self.updates.append(schedule_update)
        return result21.UpdateDynamicSchedule(status="Accepted")

    @on("SetVariables")
    async def set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        keep = ("component", "variable")
        results = [{"attribute_status": "Accepted", **{k: d[k] for k in keep}} for d in set_variable_data]
        return result21.SetVariables(set_variable_result=results)

    @on("GetVariables")
    async def get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        keep = ("component", "variable")
        results = [{"attribute_status": "UnknownVariable", **{k: d[k] for k in keep}} for d in get_variable_data]
        return result21.GetVariables(get_variable_result=results)

    @on("GetCompositeSchedule")
    async def composite(self, **_: Any) -> Any:
        return result21.GetCompositeSchedule(status="Rejected")

    @on("GetBaseReport")
    async def get_base_report(self, **_: Any) -> Any:
        return result21.GetBaseReport(status="NotSupported")


class Peer16(Station16):
    """The same for 1.6."""

    def __init__(self, name: str, socket: ClientConnection) -> None:
        super().__init__(name, socket)
        self.profiles: list[dict[str, Any]] = []

    @on("SetChargingProfile")
    async def set_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        self.profiles.append(cs_charging_profiles)
        return result16.SetChargingProfile(status="Accepted")

    @on("ChangeConfiguration")
    async def change(self, key: str, value: str) -> Any:
        return result16.ChangeConfiguration(status="Accepted")

    @on("GetConfiguration")
    async def get_configuration(self, **_: Any) -> Any:
        return result16.GetConfiguration(configuration_key=[])


async def _socket(b: Bench, station_id: str, protocol: str) -> ClientConnection:
    return await connect(
        b.url(station_id),
        subprotocols=[Subprotocol(protocol)],
        additional_headers=basic(station_id),
        compression=None,
        proxy=None,
        ping_interval=None,
    )


def _setpoint(kw: float, station_id: str, session_id: str) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c"),
        station_id=StationId(station_id),
        evse_id=1,
        session_id=SessionId(session_id),
        setpoint_kw=kw,
        charge_limit_kw=60.0,
        discharge_limit_kw=60.0,
    )


async def _end(listening: asyncio.Task[None], socket: ClientConnection) -> None:
    await socket.close()
    await asyncio.gather(listening, return_exceptions=True)


def test_an_independent_21_station() -> None:
    async def story() -> None:
        async with bench() as b:
            socket = await _socket(b, "ST-1", "ocpp2.1")
            peer = Peer21("ST-1", socket)
            listening = asyncio.create_task(peer.start())
            boot = call21.BootNotification(charging_station={"model": "M", "vendor_name": "V"}, reason="PowerUp")
            assert (await peer.call(boot)).status == "Accepted"
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            await peer.call(
                call21.TransactionEvent(
                    event_type="Started",
                    timestamp=STAMP,
                    trigger_reason="CablePluggedIn",
                    seq_no=0,
                    transaction_info={"transaction_id": "abc"},
                    evse={"id": 1},
                    id_token={"id_token": "BUS-1", "type": "ISO14443"},
                    meter_value=[
                        {
                            "timestamp": STAMP,
                            "sampled_value": [
                                {"value": 12.5, "location": "Inlet", "unit_of_measure": {"unit": "kWh"}},
                                {"value": 3300.0, "measurand": "Power.Active.Export", "location": "Inlet"},
                            ],
                        }
                    ],
                )
            )
            [started] = b.sink.of(SessionStarted)
            [reading] = b.sink.of(MeterReading)
            assert (reading.import_wh, reading.power_kw) == (12_500, -3.3)
            for kw in (-12.25, -11.0):
                assert (await b.server.set_power(_setpoint(kw, "ST-1", started.session_id))).status == "accepted"
            period = peer.profiles[-1]["charging_schedule"][0]["charging_schedule_period"][0]
            assert (period["setpoint"], period["operation_mode"]) == (-12_250, "CentralSetpoint")
            assert [update["setpoint"] for update in peer.updates] == [-11_000]
            await _end(listening, socket)

    play(story)


def test_an_independent_16_station() -> None:
    async def story() -> None:
        async with bench(config("CP-6", "ocpp1.6")) as b:
            socket = await _socket(b, "CP-6", "ocpp1.6")
            peer = Peer16("CP-6", socket)
            listening = asyncio.create_task(peer.start())
            boot = call16.BootNotification(charge_point_model="M", charge_point_vendor="V")
            assert (await peer.call(boot)).status == "Accepted"
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            start = call16.StartTransaction(connector_id=1, id_tag="BUS-1", meter_start=100, timestamp=STAMP)
            number = (await peer.call(start)).transaction_id
            [started] = b.sink.of(SessionStarted)
            assert (await b.server.set_power(_setpoint(7.1, "CP-6", started.session_id))).status == "accepted"
            [period] = peer.profiles[-1]["charging_schedule"]["charging_schedule_period"]
            assert period["limit"] == 7100
            stop = call16.StopTransaction(meter_stop=900, timestamp=STAMP, transaction_id=number)
            await peer.call(stop)
            assert b.sink.of(SessionEnded)[0].session_id == started.session_id
            await _end(listening, socket)

    play(story)


def test_closing_the_server_records_every_end() -> None:
    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            stations = [await b.station("ST-1"), await b.station("ST-2")]
            for station in stations:
                await station.call("Heartbeat", {})
            await b.server.close()
            assert {f.station_id for f in b.sink.of(StationDisconnected)} == {"ST-1", "ST-2"}
            assert [await station.until_closed() for station in stations] == [1001, 1001]

    play(story)


@given(st.lists(st.integers(0, 40), max_size=80))
def test_seen_numbers_are_remembered_exactly(numbers: list[int]) -> None:
    seen, model = SeenSeq(), set[int]()
    for number in numbers:
        assert (number in seen) == (number in model)
        gap = 0 <= max(model, default=-1) < number - 1
        if number not in model:
            assert seen.add(number) == gap
            model.add(number)
    assert [n for n in range(42) if n in seen] == sorted(model)
    missing = [n for low, high in seen.gaps() for n in range(low, high + 1)]
    assert missing == [n for n in range(min(model, default=0), max(model, default=0)) if n not in model]
    assert seen.whole == (not missing)
