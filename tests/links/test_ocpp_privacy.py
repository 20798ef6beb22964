"""No secret, and of a person no more than the ends of a token, in the journal, the frames or the device model."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_rig import BOOT, BOOT_16, NOW, Bench, HandStation, bench, config, play

from revere.core.device_model import DeviceVariable
from revere.core.facts import encode_fact
from revere.core.ids import StationId
from revere.core.orders import ReadVariables, StartSession, VariableName
from revere.links.ocpp2 import translate
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.showing import masked

STAMP = "2026-07-16T19:29:58Z"
VALUE = "q7Zx-4411-hunter-Y"
SECRETS = [
    "AuthorizationKey",
    "basicAuthPassword",
    "BASICAUTHPASSWORD",
    "ApnPassword",
    "SimPin",
    "SIMPIN",
    "PIN",
    "pinCode",
    "SimPuk",
    "VpnPassword",
    "VpnKey",
    "PrivateKey",
    "SharedSecret",
    "WifiPsk",
    "api_key",
    "ApiToken",
    "ClientCredentials",
    "AdminPwd",
    "EncryptionKeys",
    "IdTokenPassword",
    "PublicKeyPrivateKeyPair",
]
PERSONAL = [
    "VehicleId",
    "EVCCID",
    "evccid",
    "idTag",
    "IdToken",
    "parentIdTag",
    "eMAID",
    "VIN",
    "MasterPassGroupId",
    "exiRequest",
]
HARMLESS = [
    "PublicKey",
    "PublicKeyWithSignedMeterValue",
    "issuerKeyHash",
    "GetConfigurationMaxKeys",
    "WebSocketPingInterval",
    "Mapping",
    "SupportedIdTokenTypes",
    "TxUpdatedInterval",
    "ocppInterface",
    "evInverterModel",
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert security.secret(name)
    assert security.secret(f"SomeCtrlr@1.{name}[x]")


@pytest.mark.parametrize("name", PERSONAL)
def test_what_names_a_person_or_a_vehicle_is_personal(name: str) -> None:
    assert security.personal(name)
    assert not security.secret(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_sounds_so_is_shown(name: str) -> None:
    assert not security.secret(name)
    assert not security.personal(name)


def event(name: str, value: str, tech: str) -> dict[str, Any]:
    return {
        "eventId": 1,
        "timestamp": STAMP,
        "trigger": "Alerting",
        "actualValue": value,
        "techInfo": tech,
        "component": {"name": "AnyCtrlr"},
        "variable": {"name": name},
        "eventNotificationType": "HardWiredNotification",
    }


def outputs(name: str, value: str) -> list[str]:
    """Whatever leaves the link for the journal, the frames' page and the variables' page."""
    heard = event(name, value, f"{name} is {value}")
    facts = translate.notified(config(), msgspec.convert(heard, wire.EventData, strict=False), NOW)
    facts += security.told(config(), "X", NOW, f"the {name} is {value}", NOW)
    kept = security.StationVariables()
    kept.tell(f"AnyCtrlr@1.{name}", DeviceVariable(value=value, target=value))
    kept.put(f"AnyCtrlr.{name}", value)
    pair = {"component": {"name": "AnyCtrlr"}, "variable": {"name": name}}
    frames: list[Any] = [
        heard,
        {**pair, "attributeValue": value},
        {**pair, "variableAttribute": [{"type": "Actual", "value": value}]},
        {"component": {"name": name}, "variable": {"name": "Value"}, "attributeValue": value},
        {"component": {"name": "X"}, "variable": {"name": "Value", "instance": name}, "attributeValue": value},
        {"key": name, "value": value},
        {"name": name, "value": value},
        {name: value},
        {name: [value]},
        {"techInfo": f"{name}: {value}", "type": "X"},
        {"statusInfo": {"reasonCode": "x", "additionalInfo": f"{name}={value}"}},
        {"vendorId": "v", "data": json.dumps({"deep": [{name: value}]})},
        {"vendorId": "v", "data": json.dumps({"deep": json.dumps({"key": name, "value": value})})},
        {"vendorId": "v", "data": {name: value}},
        {"vendorId": "v", "data": f"a=1&{name}={value}"},
        {"vendorId": "v", "data": f"{{{name}: {value}"},
    ]
    told = msgspec.json.encode([row for _, row in kept.rows()]).decode()
    return [*(encode_fact(fact).decode() for fact in facts), told, *(json.dumps(masked(one)) for one in frames)]


capitals = st.sampled_from([str, str.lower, str.upper])
values = st.from_regex(r"[a-zA-Z0-9]{4,12}~[a-zA-Z0-9]{4,12}", fullmatch=True)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SECRETS + PERSONAL), capitals, st.from_regex(r"([A-Z][a-z]{2,6})?", fullmatch=True), values)
def test_no_value_of_a_secret_or_of_a_person_leaves_the_link(name: str, cased: Any, before: str, value: str) -> None:
    for said in outputs(cased(before + name), value):
        assert value not in said


def test_what_is_no_secret_is_shown_as_it_came() -> None:
    said = outputs("TxUpdatedInterval", VALUE)
    assert all(VALUE in one for one in said)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("lid open", "lid open"),
        ("ftp://me:hunter@host/log", f"ftp://{security.HIDDEN}@host/log"),
        ("wrong password hunter", f"{security.HIDDEN} (21 characters that speak of a secret or a person)"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nMHc",
            f"{security.HIDDEN} (34 characters that speak of a secret or a person)",
        ),
    ],
)
def test_a_makers_own_words_are_quoted_unless_they_speak_of_a_secret(said: str, kept: str) -> None:
    assert security.quoted(said) == kept


def journal(b: Bench) -> str:
    return "".join(encode_fact(fact).decode() for fact in b.sink.facts)


async def talk(b: Bench, station: HandStation, protocol: str) -> None:
    """Everything by which a station could tell a secret or a person's token."""
    security_event = {"type": "TamperDetectionActivated", "timestamp": STAMP, "techInfo": f"password {VALUE}"}
    assert (await station.call("SecurityEventNotification", security_event))[2] == {}
    vendors = {"vendorId": "v", "data": json.dumps({"password": VALUE, "idTag": VALUE})}
    assert (await station.call("DataTransfer", vendors))[0] == 3
    if protocol == "ocpp1.6":
        return
    for seq, name in enumerate(("BasicAuthPassword", "VpnKey", "VehicleId")):
        notice = {"generatedAt": STAMP, "seqNo": 0, "eventData": [event(name, VALUE, VALUE)]}
        assert (await station.call("NotifyEvent", notice))[2] == {}
        row = {
            "component": {"name": "ConnectedEV"},
            "variable": {"name": name},
            "variableAttribute": [{"value": VALUE}],
        }
        report = {"requestId": 1, "generatedAt": STAMP, "seqNo": seq, "reportData": [row]}
        assert (await station.call("NotifyReport", report))[2] == {}


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_neither_journal_nor_pages_nor_refusals_tell_what_a_station_gave_away(protocol: str) -> None:
    async def story() -> None:
        async with bench(config("ST-1", protocol)) as b:
            station_id = StationId("ST-1")
            station = await b.station("ST-1", protocol)
            await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
            await talk(b, station, protocol)
            refused = await b.server.carry_out(station_id, StartSession(token=VALUE, evse_id=1))
            assert "may not charge here" in refused.why
            assert VALUE not in refused.why
            assert VALUE not in journal(b)
            assert VALUE not in "".join(frame.text for frame in b.server.frames(station_id))
            assert VALUE not in repr(b.server.portrait(station_id))
            await station.close()

    play(story)


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.1"])
def test_a_secret_that_is_read_by_name_is_not_told(protocol: str) -> None:
    async def story() -> None:
        async with bench(config("ST-1", protocol)) as b:
            station = await b.station("ST-1", protocol)
            await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
            name = {"component": {"name": "X"}, "variable": {"name": "apnPASSWORD"}}
            found = {**name, "attributeStatus": "Accepted", "attributeValue": VALUE}
            station.reactions["GetVariables"] = {"getVariableResult": [found]}
            keys = [{"key": "apnPASSWORD", "readonly": False, "value": VALUE}]
            station.reactions["GetConfiguration"] = {"configurationKey": keys}
            component = "" if protocol == "ocpp1.6" else "X"
            order = ReadVariables(variables=(VariableName(component=component, variable="apnPASSWORD"),))
            answer = await b.server.carry_out(StationId("ST-1"), order)
            assert answer.status == "accepted"
            assert answer.details == ()
            await station.close()

    play(story)
