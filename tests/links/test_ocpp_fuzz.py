"""Frames by the thousand through all that reads a station's words; what a key said twice means."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.app.fuzz import guided
from revere.app.fuzz.grammar import maker
from revere.app.fuzz.run import survive
from revere.app.fuzz.spoil import spoil_bytes, spoil_document, spoil_text
from revere.app.fuzz.target import CALLS, EDITIONS, Broken, Stations, Tally, check_readers
from revere.links.ocpp2.wire import v21
from revere.links.ocppj import framing, payload
from revere.links.ocppj.bounds import BAD_FRAMES_PER_MINUTE_MAX, Counters
from revere.links.ocppj.framing import CALL, CALLERROR, CALLRESULT, CallFailed, head, parse_frame
from revere.links.ocppj.payload import PayloadReader

EVENT = (
    '{"eventType":"Updated","timestamp":"2026-07-16T19:30:00Z","triggerReason":"MeterValuePeriodic","seqNo":7,'
    '"transactionInfo":{"transactionId":"t-1"},"evse":{"id":1}}'
)


def test_twenty_thousand_frames_bring_nothing_about_that_is_not_meant() -> None:
    figures = survive(20_000, seed=3)
    assert figures["frames"] == 20_000
    for kind in ("frames_refused", "payloads_refused", "payloads_read", "calls_answered"):
        assert figures[kind] > 500, "each way out is taken often, or the frames are too dull"
    assert figures["connections_closed"] > 50


def test_one_seed_makes_the_same_frames_again() -> None:
    once, again = survive(600, seed=9), survive(600, seed=9)
    assert {**once, "frames_per_s": 0} == {**again, "frames_per_s": 0}


def test_atheris_finds_nothing_either() -> None:
    pytest.importorskip("atheris", reason="atheris is not installed")
    figures = guided.guided(2_000)
    assert figures["guided_frames"] >= 2_000
    assert figures["guided_places_reached"] > 200


@pytest.mark.parametrize(
    ("where", "name", "breakage"),
    [
        (framing, "_escaped_nul", type("Blind", (), {"search": staticmethod(lambda _: None)})),
        (payload, "SAMPLES_LOST_MAX", "many"),
        (payload, "_code", lambda _: 1 // 0),
    ],
    ids=["NUL let through", "TypeError while mending", "error while making an error"],
)
def test_the_fuzzer_sees_what_is_broken(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, breakage: Any) -> None:
    monkeypatch.setattr(where, name, breakage)
    with pytest.raises(Broken, match="by the frame"):
        survive(20_000, seed=3)


@pytest.mark.parametrize("protocol", EDITIONS)
def test_every_message_can_be_made(protocol: Any) -> None:
    """What the grammar makes is valid: the fuzzer starts behind the first check."""
    rng = random.Random(1)
    for request, response in EDITIONS[protocol].CALLS.values():
        for kind in (request, response):
            for _ in range(5):
                document = json.dumps(maker(kind)(rng)).encode()
                PayloadReader(kind).read(document, Counters())


RAW = st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
FRAMES = st.builds(
    lambda kind, action, rest: f'[{kind},"m","{action}",'.encode() + rest + b"]",
    st.sampled_from([2, 3, 4, 5, 6, 7, -1]),
    st.sampled_from(sorted({action for calls in CALLS.values() for action in calls})),
    RAW,
)


@given(RAW | FRAMES, st.sampled_from(list(EDITIONS)))
@settings(max_examples=1_500, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes, protocol: Any) -> None:
    check_readers(raw, protocol, "GetVariables", Tally())


@given(st.sampled_from([(protocol, a) for protocol, wire in EDITIONS.items() for a in wire.CALLS]), st.randoms())
@settings(max_examples=1_500, deadline=None)
def test_spoiled_messages_are_read_or_refused(message: tuple[Any, str], rng: random.Random) -> None:
    protocol, action = message
    document = spoil_document(maker(EDITIONS[protocol].CALLS[action][0])(rng), rng)
    raw = spoil_text(json.dumps([2, "m", action, document]), rng).encode("utf-8", "surrogatepass")
    check_readers(raw, protocol, action, Tally())
    check_readers(spoil_bytes(raw, rng), protocol, action, Tally())


@given(
    st.sampled_from([CALL, CALLRESULT, CALLERROR]),
    st.text(min_size=1, max_size=36).filter(lambda text: "\0" not in text and text.isprintable()),
    st.sampled_from(["", " ", "\n\t"]),
    st.booleans(),
)
def test_the_head_of_a_frame_is_what_the_parser_reads_of_it(kind: int, said: str, space: str, escaped: bool) -> None:
    rest = {CALL: '"Heartbeat",{}', CALLRESULT: "{}", CALLERROR: '"X","",{}'}[kind]
    message_id = json.dumps(said, ensure_ascii=False)
    if escaped:
        message_id = '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 65_536 else c for c in said) + '"'
    raw = f"[{space}{kind}{space},{space}{message_id}{space},{rest}]".encode()
    assert parse_frame(raw).message_id == said  # type: ignore[union-attr]
    for end in (b"{}]", b"{}", b"NaN]", b"[" * 9_000):
        spoiled = raw.removesuffix(b"{}]") + end
        assert head(spoiled) == (kind, said)


@given(RAW | FRAMES)
def test_the_head_of_anything_is_bounded(raw: bytes) -> None:
    kind, message_id = head(raw)
    assert 0 <= kind <= 9
    assert len(message_id) <= 36
    assert "\0" not in message_id


# A key said twice ---------------------------------------------------------------------------------------

NO = None
TWICE = {
    "both good, the last counts": ('"seqNo":7', '"seqNo":7,"seqNo":8', 8),
    "spelled with an escape": ('"seqNo":7', '"seqNo":7,"\\u0073eqNo":8', 8),
    "the first no good, mended to the last": ('"seqNo":7', '"seqNo":"x","seqNo":8', 8),
    "the last no good": ('"seqNo":7', '"seqNo":8,"seqNo":"x"', NO),
    "the last null, where it must be there": ('"seqNo":7', '"seqNo":8,"seqNo":null', NO),
    "the last 5.0, mended": ('"seqNo":7', '"seqNo":8,"seqNo":5.0', 5),
    "the first past every number": ('"seqNo":7', '"seqNo":1e999,"seqNo":8', NO),
    "an object, not merged": ('{"id":1}', '{"id":1,"connectorId":2},"evse":{"id":3}', 7),
    "an unknown field beside it": ('"seqNo":7', '"seqNo":7,"more":1,"more":2,"seqNo":8', 8),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_key_said_twice_means_its_last_value_to_every_reader(name: str) -> None:
    """To the strict reading, to the mended one, and to the JSON readers of Python and of a browser."""
    old, new, seq = TWICE[name]
    document = EVENT.replace(old, new)
    assert document != EVENT
    try:
        value = PayloadReader(v21.TransactionEventRequest).read(document.encode(), Counters())
    except CallFailed:
        assert seq is NO
        return
    assert value.seqNo == seq
    said = json.loads(document)
    assert value.seqNo == said["seqNo"]
    assert value.evse is not None
    assert (value.evse.id, value.evse.connectorId) == (said["evse"]["id"], said["evse"].get("connectorId"))
    assert (value.evse.connectorId is None) == ("not merged" in name or "connectorId" not in document)


@pytest.mark.parametrize("protocol", EDITIONS)
@given(st.randoms())
@settings(max_examples=300, deadline=None)
def test_a_frame_with_repeated_keys_has_one_meaning(protocol: Any, rng: random.Random) -> None:
    """Every field of a message said again with another of its own values: the document of the last ones is read."""
    action = rng.choice(list(EDITIONS[protocol].CALLS))
    kind = EDITIONS[protocol].CALLS[action][0]
    first, last = maker(kind)(rng), maker(kind)(rng)
    pairs = [*first.items(), *last.items()]
    document = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"
    meant = json.dumps({**first, **last})
    reader = CALLS[protocol][action]
    assert _outcome(reader, document) == _outcome(reader, meant)


def _outcome(reader: Any, document: str) -> Any:
    try:
        return reader.read(document.encode(), Counters())
    except CallFailed as error:
        return error.code


def test_a_live_station_is_told_once_and_hung_up_on_with_a_named_code() -> None:
    async def story() -> None:
        tally = Tally()
        with Stations() as stations:
            await stations.feed(b'[2,"a","Heartbeat",{}]', "ocpp2.1", tally)
            assert (tally.answered, tally.closed) == (1, 0)
            for _ in range(BAD_FRAMES_PER_MINUTE_MAX):
                await stations.feed(b'[2,"a","Heart\x00beat",{}]', "ocpp2.1", tally)
            assert (tally.answered, tally.closed) == (1, 0)
            await stations.feed(b'[2,"a","Heart\x00beat",{}]', "ocpp2.1", tally)
            assert (tally.answered, tally.closed) == (1, 1)
            await stations.close()

    asyncio.run(story())
