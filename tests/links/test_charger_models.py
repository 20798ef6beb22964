"""Charger models: which one is chosen, what cannot be one, and what each way sends."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ocpp_rig import BOOT, BOOT_16, Bench, bench, config, play
from test_ocpp201 import ST, STAMP, event, profiles, setpoint

from revere.core.errors import RevereError
from revere.core.facts import EnergyNeeds, MeterReading, StationProvisioned, StationRecognised
from revere.core.ids import SessionId
from revere.links.models import ChargerModel, DataTransfer, Variable, choose, load_models, models_with, our_models
from revere.links.ocppj.line import NOT_CONTROLLABLE

ACME = ChargerModel(
    name="acme", protocols=("ocpp2.0.1",), vendor="Acme*", model="V2G-*", way="data-transfer",
    data_transfer=DataTransfer(vendor_id="com.acme", message_id="setPower", data='{"w":{setpoint_w},"evse":{evse_id}}'),
    variables=(Variable(component="AcmeCtrlr", variable="V2GEnabled", value="true"),),
    places={"Outlet": "ac_inlet"},
)  # fmt: skip
OLD_ACME = ChargerModel(
    name="acme-old", protocols=("ocpp2.0.1",), vendor="Acme*", model="V2G-*", firmware="1.*", way="charge-only"
)
MODELS = (*our_models(), ACME, OLD_ACME)


@pytest.mark.parametrize(
    ("protocol", "who", "named", "chosen"),
    [
        ("ocpp2.1", ("Acme", "V2G-60", "3.0"), "", "native-2.1"),
        ("ocpp1.6", ("", "", ""), "", "charge-only-1.6"),
        ("ocpp2.0.1", ("Other", "V2G-60", ""), "", "negative-limit"),
        ("ocpp2.0.1", ("ACME Inc.", "v2g-60", "3.0"), "", "acme"),
        ("ocpp2.0.1", ("Acme", "V2G-60", "1.9"), "", "acme-old"),
        ("ocpp2.0.1", ("Acme", "AC-7", "1.9"), "", "negative-limit"),
        ("ocpp2.0.1", ("Acme", "V2G-60", "3.0"), "draft-2.1-over-2.0.1", "draft-2.1-over-2.0.1"),
        ("ocpp2.1", ("Acme", "V2G-60", "3.0"), "vendor-cloud", "vendor-cloud"),
    ],
)
def test_what_says_most_about_the_charger_wins(protocol: Any, who: Any, named: str, chosen: str) -> None:
    assert choose(MODELS, protocol, who, named).name == chosen


def test_a_name_of_another_protocol_is_refused_with_those_that_would_do() -> None:
    with pytest.raises(RevereError, match=r"native-2\.1, vendor-cloud"):
        choose(MODELS, "ocpp2.1", ("", "", ""), "negative-limit")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('name = "x"\nprotocols = ["ocpp1.6"]\nway = "native21"', "ocpp1.6 has no such way"),
        ('name = "x"\nprotocols = ["ocpp2.0.1"]\nway = "data-transfer"', "it needs one"),
        ('name = "x"\nprotocols = ["ocpp2.2"]\nway = "native21"', "Invalid enum value"),
        ('name = "x"\nprotocols = ["ocpp2.1"]\nway = "native21"\nspeed = 1', "unknown field `speed`"),
        ("name = ", "no charger model"),
    ],
)
def test_what_cannot_be_a_model(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(RevereError, match=why):
        load_models(tmp_path)


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text('name = "x"\nprotocols = ["ocpp2.1"]\nway = "native21"')
    with pytest.raises(RevereError, match="two charger models"):
        load_models(tmp_path)


# What each way does ---------------------------------------------------------------------------------


def older(named: str = "") -> AbstractAsyncContextManager[Bench]:
    return bench(config(protocol="ocpp2.0.1", discharge_kw=60.0, charger_model=named), models=MODELS)


async def plugged_in(b: Bench, firmware: str = "") -> Any:
    station = await b.station(protocol="ocpp2.0.1")
    boot = json.loads(json.dumps(BOOT))
    if firmware:
        boot["chargingStation"]["firmwareVersion"] = firmware
    assert (await station.call("BootNotification", boot))[2]["status"] == "Accepted"
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    await station.call("TransactionEvent", event("Started", 0, idToken={"idToken": "BUS-7", "type": "MacAddress"}))
    return station


def test_a_vendors_own_message_its_variables_and_its_places() -> None:
    async def story() -> None:
        async with older() as b:
            station = await plugged_in(b)
            [provisioned] = b.sink.of(StationProvisioned)
            assert [(r.model, r.controllable) for r in b.sink.of(StationRecognised)] == [("acme", True)]
            assert "AcmeCtrlr.V2GEnabled: reads '', was set to 'true'" in provisioned.problems
            assert (await b.server.set_power(setpoint(-12.5))).status == "accepted"
            assert station.asked[-1] == (
                "DataTransfer",
                {"vendorId": "com.acme", "messageId": "setPower", "data": '{"w":-12500,"evse":1}'},
            )
            sample = {"value": 7_000, "measurand": "Energy.Active.Import.Register"}
            meter = [{"timestamp": STAMP, "sampledValue": [{**sample, "location": "Outlet"}]}]
            await station.call("TransactionEvent", event("Updated", 1, meterValue=meter))
            assert [(r.place, r.import_wh) for r in b.sink.of(MeterReading)] == [("ac_inlet", 7_000)]
            station.reactions["DataTransfer"] = {"status": "UnknownMessageId"}
            assert (await b.server.set_power(setpoint(-5.0))).why == "UnknownMessageId"

    play(story)


def test_an_older_firmware_is_another_model() -> None:
    async def story() -> None:
        async with older() as b:
            station = await plugged_in(b, firmware="1.9")
            assert [r.model for r in b.sink.of(StationRecognised)] == ["acme-old"]
            assert (await b.server.set_power(setpoint(-12.5))).status == "accepted"
            assert profiles(station)[-1]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] == 0.0

    play(story)


def test_the_draft_over_201_gets_what_21_gets() -> None:
    async def story() -> None:
        async with older("draft-2.1-over-2.0.1") as b:
            station = await plugged_in(b)
            dc = {"evMaxCurrent": 150, "evMaxVoltage": 800}
            needs = {
                "requestedEnergyTransfer": "DC_BPT",
                "controlMode": "Dynamic",
                "dcChargingParameters": dc,
                "v2xChargingParameters": {"maxChargePower": 60_000, "maxDischargePower": 55_000},
            }
            answer = await station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
            assert answer[2] == {"status": "Accepted"}
            assert [n.discharge_max_kw for n in b.sink.of(EnergyNeeds)] == [55.0]
            assert (await b.server.set_power(setpoint(-42.5))).status == "accepted"
            [period] = profiles(station)[-1]["chargingSchedule"][0]["chargingSchedulePeriod"]
            assert (period["operationMode"], period["setpoint"]) == ("CentralSetpoint", -42500.0)
            assert (await b.server.set_power(setpoint(-10.0))).status == "accepted"
            assert (await station.until_asked("UpdateDynamicSchedule"))["scheduleUpdate"]["setpoint"] == -10000.0

    play(story)


@pytest.mark.parametrize(("protocol", "boot"), [("ocpp2.1", BOOT), ("ocpp2.0.1", BOOT), ("ocpp1.6", BOOT_16)])
def test_what_only_its_vendor_commands_is_metered_and_never_told(protocol: Any, boot: Any) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol, charger_model="vendor-cloud")) as b:
            station = await b.station(protocol=protocol)
            await station.call("BootNotification", boot)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            [provisioned] = b.sink.of(StationProvisioned)
            assert [r.controllable for r in b.sink.of(StationRecognised)] == [False]
            assert provisioned.problems[0] == NOT_CONTROLLABLE
            answer = await b.server.set_power(setpoint(-5.0 if protocol != "ocpp1.6" else 5.0))
            assert (answer.status, answer.why) == ("rejected", NOT_CONTROLLABLE)

    play(story)


def test_a_name_that_means_nothing_is_a_problem_and_the_charger_decides() -> None:
    async def story() -> None:
        async with older("acmee") as b:
            await plugged_in(b)
            [provisioned] = b.sink.of(StationProvisioned)
            assert [r.model for r in b.sink.of(StationRecognised)] == ["acme"]
            assert "no such charger model" in provisioned.problems[0]
            assert b.server.connected() == frozenset({ST})

    play(story)


def test_a_16_charger_that_is_named_so_discharges_by_leases() -> None:
    async def story() -> None:
        async with bench(config(protocol="ocpp1.6", discharge_kw=60.0, charger_model="negative-limit-1.6")) as b:
            station = await b.station(protocol="ocpp1.6")
            await station.call("BootNotification", BOOT_16)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert [r.discharges for r in b.sink.of(StationRecognised)] == [True]
            assert any("Active.Export.Register" in str(payload) for _, payload in station.asked)
            start = {"connectorId": 1, "idTag": "BUS-9", "meterStart": 1200, "timestamp": STAMP}
            number = (await station.call("StartTransaction", start))[2]["transactionId"]

            async def give(kw: float) -> Any:
                command = msgspec.structs.replace(setpoint(kw), session_id=SessionId(f"ST-1:{number}"))
                return await b.server.set_power(command)

            assert (await give(-20.0)).status == "accepted"
            profile = (await station.until_asked("SetChargingProfile", 2))["csChargingProfiles"]
            assert profile["validTo"] == "2026-07-16T19:35:00Z"
            assert profile["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": -20000.0}]
            assert (await give(-10.0)).status == "too_early"
            station.reactions["SetChargingProfile"] = {"status": "Rejected"}
            answer = await give(0.0)
            assert (answer.status, answer.why) == ("too_early", "Rejected; its profile is cleared instead")
            assert station.asked[-1] == ("ClearChargingProfile", {"id": 101})

    play(story)


def test_a_charger_that_only_charges_by_its_model_is_not_counted_to_give() -> None:
    async def story() -> None:
        async with bench(config(protocol="ocpp1.6", discharge_kw=60.0)) as b:
            await (await b.station(protocol="ocpp1.6")).call("BootNotification", BOOT_16)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert [(r.model, r.discharges) for r in b.sink.of(StationRecognised)] == [("charge-only-1.6", False)]

    play(story)


OWN = 'name = "own"\nprotocols = ["ocpp2.0.1"]\nway = "negative-limit"\nvendor = "Lightbridge*"\nfirmware = "2.*"\n'


def test_an_operators_own_model_is_chosen_before_ours(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    models = models_with(tmp_path)
    assert models[: len(our_models())] == our_models() == models_with(None)
    assert choose(models, "ocpp2.0.1", ("lightbridge", "V2G-60", "2.4")).name == "own"
    assert choose(models, "ocpp2.0.1", ("lightbridge", "V2G-60", "1.9")).name == "negative-limit"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OWN.replace("negative-limit", "magic"), "`$.way`"),
        (OWN + "profile_intervall_s = 3\n", "profile_intervall_s"),
        (OWN + "profile_interval_s = -1\n", "`$.profile_interval_s`"),
        (OWN + '[[variables]]\ncomponent = "X"\nvariable = "Y"\n', "`$.variables[0]`"),
        (OWN.replace("negative-limit", "native21"), "way: ocpp2.0.1 has no such"),
        (OWN.replace('"own"', '""'), "needs a name"),
        (OWN.replace('"own"', '"negative-limit"'), "of Revere's own name"),
        ("name =", "no charger model"),
        (None, "no charger model in it"),
    ],
)
def test_what_is_wrong_with_an_own_model_is_told_by_file_and_key(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "own.toml").write_text(text)
    with pytest.raises(RevereError) as error:
        models_with(tmp_path)
    assert says in error.value.text()
    assert str(tmp_path) in error.value.text()
    with pytest.raises(RevereError, match="no folder of charger models"):
        models_with(tmp_path / "nowhere")
