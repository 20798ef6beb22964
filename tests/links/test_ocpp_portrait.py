"""What a person may see of a station: its last frames, without secrets, and why it is taken for what it is."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_rig import BOOT, NOW, bench, config, play

from revere.core.facts import StationProvisioned
from revere.core.ids import StationId
from revere.links.models import choose, our_models, why
from revere.links.ocppj import frames as kept
from revere.links.ocppj.frames import FRAME_MAX_BYTES, FRAMES_MAX, HEAD_BYTES, FrameRing
from revere.links.ocppj.security import HIDDEN
from revere.links.ocppj.showing import masked, shown

ST = StationId("ST-1")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.integers(8, 6000), st.booleans()), max_size=600))
def test_the_ring_keeps_the_last_200_frames_in_bounded_memory(drawn: list[tuple[float, int, bool]]) -> None:
    ring, at, said = FrameRing(), NOW, []
    for number, (after_s, size, incoming) in enumerate(drawn):
        at += dt.timedelta(seconds=after_s)
        raw = f"[{number},".encode().ljust(size, b"x")
        ring.note(at, raw, incoming=incoming)
        said.append((at, incoming, size, raw if size <= FRAME_MAX_BYTES else raw[:HEAD_BYTES]))
    found = ring.read()
    assert [frame[:3] for frame in found] == [frame[:3] for frame in said[-FRAMES_MAX:]]
    for kept_one, told in zip(found, said[-FRAMES_MAX:], strict=True):
        assert kept_one[3] in (told[3], told[3][:HEAD_BYTES])
    assert sum(len(blob) for _, blob in ring._blobs) <= kept.BLOBS_MAX_BYTES
    assert len(ring._fresh) < kept.BLOB_FRAMES


def event(number: int) -> bytes:
    rng = random.Random(number)
    sampled = [{"value": rng.random() * 1e6, "measurand": "Energy.Active.Import.Register"} for _ in range(9)]
    payload = {"eventType": "Updated", "seqNo": number, "meterValue": [{"timestamp": "t", "sampledValue": sampled}]}
    return json.dumps([2, f"{rng.getrandbits(128):032x}", "TransactionEvent", payload]).encode()


@pytest.mark.parametrize(
    ("every_s", "whole", "kib"),
    [(5.0, 200, 48), (0.5, 200, 96), (0.01, 64, 96), (0.0, 64, 96)],
    ids=["everyday", "busy", "flood", "at once"],
)
def test_whatever_its_pace_a_station_has_its_last_200_frames(every_s: float, whole: int, kib: int) -> None:
    """An everyday station's are whole, and a busy one's; of a flood the oldest keep type, id and action."""
    ring = FrameRing()
    for number in range(500):
        ring.note(NOW + dt.timedelta(seconds=every_s * number), event(number), incoming=True)
    found = ring.read()
    assert len(found) == FRAMES_MAX
    assert all(frame.kind == "call" and frame.action == "TransactionEvent" for frame in shown(found))
    assert [frame[3] for frame in found[-whole:]] == [event(number) for number in range(500 - whole, 500)]
    assert sum(len(blob) for _, blob in ring._blobs) < kib * 1_024


SECRET = "s3cret-value"


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ({"key": "AuthorizationKey", "value": SECRET}, {"key": "AuthorizationKey", "value": HIDDEN}),
        ({"key": "HeartbeatInterval", "value": "300"}, {"key": "HeartbeatInterval", "value": "300"}),
        (
            {"attributeValue": SECRET, "variable": {"name": "BasicAuthPassword"}, "component": {"name": "X"}},
            {"attributeValue": HIDDEN, "variable": {"name": "BasicAuthPassword"}, "component": {"name": "X"}},
        ),
        (
            {"variable": {"name": "basicauthpassword"}, "variableAttribute": [{"value": SECRET}]},
            {"variable": {"name": "basicauthpassword"}, "variableAttribute": HIDDEN},
        ),
        ({"basicAuthPassword": SECRET, "slot": 1}, {"basicAuthPassword": HIDDEN, "slot": 1}),
        ({"apn": {"apnPassword": SECRET, "simPin": 1234}}, {"apn": {"apnPassword": HIDDEN, "simPin": HIDDEN}}),
        ({"server": "v", "user": "u", "key": SECRET}, {"server": "v", "user": "u", "key": HIDDEN}),
        ({"location": f"ftp://me:{SECRET}@h/x"}, {"location": f"ftp://{HIDDEN}@h/x"}),
        ({"idTag": "ABCDEF1234"}, {"idTag": f"{HIDDEN}34"}),
        ({"idTag": "AB12"}, {"idTag": HIDDEN}),
        (
            {"idToken": {"idToken": "ABCDEF1234", "type": "ISO14443"}},
            {"idToken": {"idToken": f"{HIDDEN}34", "type": "ISO14443"}},
        ),
        ({"certificateChain": "M" * 900}, {"certificateChain": "(900 characters)"}),
        ({"csr": "M" * 9}, {"csr": "(9 characters)"}),
        ({"vendorName": "Acme", "n": [1, None, True]}, {"vendorName": "Acme", "n": [1, None, True]}),
    ],
)  # fmt: skip
def test_secrets_are_masked_wherever_they_stand(said: dict[str, Any], seen: dict[str, Any]) -> None:
    assert masked({"deep": [said]}) == {"deep": [seen]}
    assert SECRET not in json.dumps(masked(said))


def frame(raw: bytes, *, incoming: bool = True, size: int | None = None) -> tuple[dt.datetime, bool, int, bytes]:
    return NOW, incoming, len(raw) if size is None else size, raw


def test_an_answer_is_named_after_its_call_and_what_cannot_be_read_is_not_shown() -> None:
    found = shown(
        [
            frame(b'[2,"a","Heartbeat",{}]'),
            frame(b'[2,"a","Reset",{}]', incoming=False),
            frame(b'[3,"a",{"currentTime":"x"}]', incoming=False),
            frame(b'[4,"a","NotSupported","",{}]'),
            frame(b'[2,"b","NotifyReport",{"pass', size=9000),
            frame(b'{"password":"' + SECRET.encode()),
            frame(b"[[[["),
            frame(b'[3,"z",{}]'),
        ]
    )
    assert [(one.kind, one.action, one.size_bytes, one.text) for one in found] == [
        ("call", "Heartbeat", 22, '[2,"a","Heartbeat",{}]'),
        ("call", "Reset", 18, '[2,"a","Reset",{}]'),
        ("answer", "Heartbeat", 27, '[3,"a",{"currentTime":"x"}]'),
        ("refusal", "Reset", 28, '[4,"a","NotSupported","",{}]'),
        ("call", "NotifyReport", 9000, ""),
        ("unreadable", "", 25, ""),
        ("unreadable", "", 4, ""),
        ("answer", "", 10, '[3,"z",{}]'),
    ]


def test_what_a_station_keeps_of_a_person_is_not_shown() -> None:
    found = shown(
        [
            frame(b'[2,"a","CustomerInformation",{"customerIdentifier":"jane.doe@x.org"}]', incoming=False),
            frame(b'[2,"b","NotifyCustomerInformation",{"data":"Jane charged","seqNo":0}]'),
            frame(b'[2,"c","NotifyCustomerInformation","Jane"]'),
        ]
    )
    assert "ane" not in "".join(one.text for one in found)
    assert '"data":"(12 characters)"' in found[1].text
    assert [one.kind for one in found] == ["call", "call", "unreadable"]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_came_in_can_be_looked_at(raw: bytes) -> None:
    (one,) = shown([frame(raw)])
    assert one.size_bytes == len(raw)


def test_a_page_shows_what_passed_the_socket_and_what_the_charger_is() -> None:
    async def story() -> None:
        async with bench(config()) as b:
            assert b.server.portrait(ST).model == ""
            station = await b.station()
            await station.call("BootNotification", BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            answer = await b.server.set_password(ST, SECRET)
            assert answer.status == "accepted"
            said = b.server.frames(ST)
            assert [(one.incoming, one.kind, one.action) for one in said[:2]] == [
                (True, "call", "BootNotification"),
                (False, "answer", "BootNotification"),
            ]
            told = [one.text for one in said if one.action == "SetVariables" and not one.incoming][-1]
            assert "BasicAuthPassword" in told
            assert SECRET not in "".join(one.text for one in said)
            portrait = b.server.portrait(ST)
            assert (portrait.model, portrait.certificate_ends) == ("native-2.1", None)
            assert "Acme, V2G-60" in portrait.model_why
            await station.close()

    play(story)


@pytest.mark.parametrize(
    ("protocol", "named", "said"),
    [
        ("ocpp2.1", "", "nothing narrower fits what it said: Acme, X"),
        ("ocpp2.1", "vendor-cloud", "named in the registry"),
    ],
)
def test_a_person_reads_why_a_kind_of_charger_was_chosen(protocol: Any, named: str, said: str) -> None:
    who = ("Acme", "X", "")
    assert why(choose(our_models(), protocol, who, named), who, named) == said
