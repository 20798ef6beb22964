"""What a station must be set to at its boot: by EVSE, by instance, for each operation mode; 1.6 by its keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from oca.cases import own
from ocpp_rig import BOOT, BOOT_16, Bench, HandStation, bench, config, play
from test_ocpp201 import STAMP, event, setpoint

from revere.core.commands import ReportingCommand
from revere.core.errors import RevereError
from revere.core.facts import StationProvisioned
from revere.core.ids import SessionId, StationId
from revere.core.orders import VariableSetting, WriteVariables
from revere.links.models import ChargerModel, DataTransfer, Variable, load_models, our_models
from revere.links.ocppj.samples import MEASURANDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ST = StationId("ST-1")
V2X = "V2XChargingCtrlr@1"
ALL = ",".join(MEASURANDS)
TWO_MODES = "ChargingOnly,CentralSetpoint"


class Kept:
    """A station's variables; what it does not know is said so, and ``deaf`` keeps its value whatever it answers."""

    def __init__(self, values: dict[str, str], deaf: tuple[str, ...] = ()) -> None:
        self.values = values
        self.deaf = deaf

    @staticmethod
    def name(row: dict[str, Any]) -> str:
        component, variable = row["component"], row["variable"]
        evse = f"@{component['evse']['id']}" if "evse" in component else ""
        which = f"[{variable['instance']}]" if "instance" in variable else ""
        return f"{component['name']}{evse}.{variable['name']}{which}"

    def _answer(self, row: dict[str, Any], **more: str) -> dict[str, Any]:
        known = self.name(row) in self.values
        echo = {key: row[key] for key in ("component", "variable")}
        return echo | ({"attributeStatus": "Accepted"} | more if known else {"attributeStatus": "UnknownVariable"})

    def set(self, payload: dict[str, Any]) -> dict[str, Any]:
        for row in payload["setVariableData"]:
            if self.name(row) in self.values and self.name(row) not in self.deaf:
                self.values[self.name(row)] = row["attributeValue"]
        return {"setVariableResult": [self._answer(row) for row in payload["setVariableData"]]}

    def get(self, payload: dict[str, Any]) -> dict[str, Any]:
        rows = payload["getVariableData"]
        return {"getVariableResult": [self._answer(r, attributeValue=self.values.get(self.name(r), "")) for r in rows]}


def two_way(modes: str = TWO_MODES) -> dict[str, str]:
    """What a two-way station of these modes holds as it leaves the factory."""
    sampled = [f"SampledDataCtrlr.Tx{point}Measurands" for point in ("Started", "Updated", "Ended")]
    held = dict.fromkeys((*sampled, "AlignedDataCtrlr.Measurands"), "SoC")
    held |= dict.fromkeys(("SampledDataCtrlr.TxUpdatedInterval", "AlignedDataCtrlr.Interval"), "900")
    for mode in modes.split(","):
        for point in ("Started", "Updated", "Ended"):
            held[f"{V2X}.Tx{point}Measurands[{mode}]"] = "SoC"
        held |= {f"{V2X}.Tx{point}Interval[{mode}]": "900" for point in ("Updated", "Ended")}
    return held | {f"{V2X}.SupportedOperationModes": modes}


def scene(
    kept: Kept, story: Callable[[Bench, HandStation], Awaitable[None]], *models: ChargerModel, **changes: Any
) -> None:
    async def whole() -> None:
        async with bench(config(**changes), models=(*our_models(), *models)) as b:
            station = await b.station(protocol=changes.get("protocol", "ocpp2.1"))
            station.live |= {"SetVariables": kept.set, "GetVariables": kept.get}
            await station.call("BootNotification", BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            await story(b, station)

    play(whole)


def problems(b: Bench) -> list[str]:
    """What is wrong with the station but its device model, which it does not report here."""
    return [text for text in b.sink.of(StationProvisioned)[-1].problems if not text.startswith("device model")]


@own(
    "Q04",
    rule="measurands and the interval of each operation mode that the station supports are set and read back at boot",
    source="facts section 8 (V2XChargingCtrlr, instance = operation mode)",
)
def test_each_mode_of_a_two_way_station_is_sampled_in_full() -> None:
    kept = Kept(two_way())

    async def story(b: Bench, _station: HandStation) -> None:
        assert problems(b) == []
        for mode in TWO_MODES.split(","):
            for point in ("Started", "Updated", "Ended"):
                assert kept.values[f"{V2X}.Tx{point}Measurands[{mode}]"] == ALL
            assert kept.values[f"{V2X}.TxUpdatedInterval[{mode}]"] == str(b.directory.configs[ST].sample_interval_s)
            assert kept.values[f"{V2X}.TxEndedInterval[{mode}]"] == "900"

    scene(kept, story)


def test_a_mode_whose_measurands_do_not_hold_is_a_problem_by_name() -> None:
    name = f"{V2X}.TxUpdatedMeasurands[CentralSetpoint]"

    async def story(b: Bench, _station: HandStation) -> None:
        assert problems(b) == [f"{name}: reads 'SoC', was set to {ALL!r}"]

    scene(Kept(two_way(), deaf=(name,)), story)


@pytest.mark.parametrize("modes", ["", TWO_MODES], ids=["no modes", "modes without measurands of their own"])
def test_a_station_that_keeps_no_measurands_of_modes_is_none_the_worse(modes: str) -> None:
    held = {name: value for name, value in two_way().items() if not name.startswith(V2X)}
    kept = Kept(held | ({f"{V2X}.SupportedOperationModes": modes} if modes else {}))

    async def story(b: Bench, station: HandStation) -> None:
        assert problems(b) == []
        rows = [row for action, asked in station.asked if action == "SetVariables" for row in asked["setVariableData"]]
        assert sum("instance" in row["variable"] for row in rows) == (8 if modes else 0)

    scene(kept, story)


def test_the_pace_of_an_event_holds_in_every_mode() -> None:
    kept = Kept(two_way())

    async def story(b: Bench, _station: HandStation) -> None:
        pace = ReportingCommand(station_id=ST, sample_interval_s=5)
        assert (await b.server.set_reporting(pace)).status == "accepted"
        paced = {name for name, value in kept.values.items() if value == "5"}
        modes = {f"{V2X}.TxUpdatedInterval[{mode}]" for mode in TWO_MODES.split(",")}
        assert paced == {"SampledDataCtrlr.TxUpdatedInterval", *modes}

    scene(kept, story)


def test_a_model_sets_variables_by_evse_and_instance() -> None:
    name = "AcmeCtrlr@2.Direction[export]"
    own = Variable(component="AcmeCtrlr", evse=2, variable="Direction", instance="export", value="on")
    acme = ChargerModel(name="acme", protocols=("ocpp2.0.1",), vendor="Acme*", way="negative-limit", variables=(own,))
    for deaf, wrong in (((), []), ((name,), [f"{name}: reads 'off', was set to 'on'"])):
        kept = Kept(two_way() | {name: "off"}, deaf=deaf)

        async def story(b: Bench, _station: HandStation, wrong: list[str] = wrong) -> None:
            assert problems(b) == wrong

        scene(kept, story, acme, protocol="ocpp2.0.1", discharge_kw=60.0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"component": "SampledDataCtrlr", "variable": "TxUpdatedMeasurands", "value": "SoC"}, ALL),
        ({"component": "SampledDataCtrlr", "variable": "TxUpdatedInterval", "value": "900"}, "60"),
        ({"component": "V2XChargingCtrlr", "variable": "TxUpdatedMeasurands", "value": "SoC", "evse_id": 1,
          "variable_instance": "CentralSetpoint"}, ALL),
        ({"component": "AlignedDataCtrlr", "variable": "Measurands", "value": ",".join(reversed(MEASURANDS))}, ""),
    ],
    ids=["measurands", "interval", "measurands of a mode", "the same in another order"],
)  # fmt: skip
def test_what_the_house_sets_is_not_set_by_hand(settings: dict[str, Any], says: str) -> None:
    """It would stand until the next boot, and readings by which people are paid would be missing."""
    kept = Kept(two_way())

    async def story(b: Bench, station: HandStation) -> None:
        held, asked = dict(kept.values), len(station.asked)
        order = WriteVariables(settings=(VariableSetting(**settings),))
        answer = await b.server.carry_out(ST, order)
        assert answer.status == ("rejected" if says else "accepted")
        if says:
            assert "the house sets that itself" in answer.why
            assert says in answer.why
            assert (kept.values, len(station.asked)) == (held, asked)

    scene(kept, story)


# Models that cannot be ----------------------------------------------------------------------------------

HEAD_21 = 'name = "x"\nprotocols = ["ocpp2.1"]\nway = "native21"\n[[variables]]\nvariable = "V"\nvalue = "1"\n'
HEAD_16 = HEAD_21.replace("ocpp2.1", "ocpp1.6").replace("native21", "charge-only")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD_21, "has a component"),
        (HEAD_21 + 'component = "C"\nper_mode = true\n', "per_mode needs an evse"),
        (HEAD_21 + 'component = "C"\nper_mode = true\nevse = 1\ninstance = "Idle"\n', "and no instance"),
        (HEAD_21 + 'component = "C"\nevse = 0\n', "evse"),
        (HEAD_16 + 'component = "C"\n', "has a name alone"),
        (HEAD_16 + "evse = 1\n", "has a name alone"),
    ],
)
def test_a_variable_that_its_protocol_has_no_words_for_is_told_by_file(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(RevereError, match=why) as error:
        load_models(tmp_path)
    assert "x.toml" in error.value.text()


# 1.6 ----------------------------------------------------------------------------------------------------

ACME_16 = ChargerModel(
    name="acme-16", protocols=("ocpp1.6",), vendor="Acme*", way="data-transfer",
    data_transfer=DataTransfer(
        vendor_id="com.acme", message_id="setPower", data='{"w":{setpoint_w},"tx":{transaction_id}}'
    ),
    variables=(Variable(variable="V2GEnabled", value="true"), Variable(variable="Extra", value="1", optional=True)),
)  # fmt: skip


async def plugged_in_16(b: Bench, v2g: str = "true") -> tuple[HandStation, int]:
    station = await b.station(protocol="ocpp1.6")
    held: dict[str, str] = {}

    def change(payload: dict[str, Any]) -> dict[str, Any]:
        if payload["key"] == "Extra":
            return {"status": "NotSupported"}
        held[payload["key"]] = v2g if payload["key"] == "V2GEnabled" else payload["value"]
        return {"status": "Accepted"}

    def told(_payload: dict[str, Any]) -> dict[str, Any]:
        return {"configurationKey": [{"key": k, "readonly": False, "value": v} for k, v in held.items()]}

    station.live |= {"ChangeConfiguration": change, "GetConfiguration": told}
    await station.call("BootNotification", BOOT_16)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    start = {"connectorId": 1, "idTag": "BUS-9", "meterStart": 1200, "timestamp": STAMP}
    return station, (await station.call("StartTransaction", start))[2]["transactionId"]


def scene_16(story: Callable[[Bench], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with bench(config(protocol="ocpp1.6", discharge_kw=60.0), models=(*our_models(), ACME_16)) as b:
            await story(b)

    play(whole)


async def give(b: Bench, number: int, kw: float) -> Any:
    return await b.server.set_power(msgspec.structs.replace(setpoint(kw), session_id=SessionId(f"ST-1:{number}")))


@pytest.mark.parametrize(("v2g", "wrong"), [("true", []), ("false", ["V2GEnabled: reads 'false', was set to 'true'"])])
def test_a_16_model_sets_its_keys_and_verifies_them(v2g: str, wrong: list[str]) -> None:
    async def story(b: Bench) -> None:
        await plugged_in_16(b, v2g)
        assert problems(b) == wrong

    scene_16(story)


def test_a_16_charger_gives_power_by_its_vendors_own_message() -> None:
    async def story(b: Bench) -> None:
        station, number = await plugged_in_16(b)
        for kw in (-12.5, -5.0, 7.0):
            assert (await give(b, number, kw)).status == "accepted"
        sent = [payload for action, payload in station.asked if action == "DataTransfer"]
        assert [payload["data"] for payload in sent] == [f'{{"w":{w},"tx":{number}}}' for w in (-12500, -5000, 7000)]
        assert {(payload["vendorId"], payload["messageId"]) for payload in sent} == {("com.acme", "setPower")}

    scene_16(story)


@pytest.mark.parametrize("how", ["Rejected", "UnknownVendorId", "CALLERROR"])
def test_a_stop_that_the_vendors_message_does_not_bring_ends_the_session(how: str) -> None:
    async def story(b: Bench) -> None:
        station, number = await plugged_in_16(b)
        await give(b, number, -12.5)
        if how == "CALLERROR":
            station.refusals.add("DataTransfer")
        else:
            station.reactions["DataTransfer"] = {"status": how}
        answer = await give(b, number, 0.0)
        assert answer.status == "rejected"
        assert answer.why.endswith("its session is ended instead")
        assert station.asked[-1] == ("RemoteStopTransaction", {"transactionId": number})

    scene_16(story)


def test_what_the_house_sets_is_not_set_by_hand_in_16() -> None:
    async def story(b: Bench) -> None:
        await plugged_in_16(b)
        for key, value, status in (
            ("MeterValuesSampledData", "SoC", "rejected"),
            ("V2GEnabled", "false", "rejected"),
            ("V2GEnabled", "true", "accepted"),
            ("HeartbeatInterval", "60", "accepted"),
        ):
            order = WriteVariables(settings=(VariableSetting(variable=key, value=value),))
            assert (await b.server.carry_out(ST, order)).status == status, key

    scene_16(story)


def test_a_stop_that_the_vendors_message_does_not_bring_ends_the_session_in_2x_too() -> None:
    """To clear profiles would be accepted, and end nothing: it gives by none of ours."""
    acme = ChargerModel(
        name="acme", protocols=("ocpp2.0.1",), vendor="Acme*", way="data-transfer",
        data_transfer=DataTransfer(vendor_id="com.acme", message_id="setPower", data="{setpoint_w}"),
    )  # fmt: skip

    async def story(b: Bench, station: HandStation) -> None:
        await station.call("TransactionEvent", event("Started", 0, idToken={"idToken": "BUS-7", "type": "MacAddress"}))
        assert (await b.server.set_power(setpoint(-12.5))).status == "accepted"
        station.reactions["DataTransfer"] = {"status": "Rejected"}
        answer = await b.server.set_power(setpoint(0.0))
        assert (answer.status, answer.why) == ("rejected", "Rejected; its session is ended instead")
        assert [action for action, _ in station.asked[-2:]] == ["DataTransfer", "RequestStopTransaction"]

    scene(Kept(two_way()), story, acme, protocol="ocpp2.0.1", discharge_kw=60.0)
