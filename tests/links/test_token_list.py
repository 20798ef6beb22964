"""The list of tokens in a station: what leads it to ours, message by message, and what a station hears at its boot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp_rig import BOOT, BOOT_16, Bench, HandStation, bench, config, play
from ocpp_schemas import validator

from revere.core.assets import Authorization, ListedToken
from revere.core.facts import StationProvisioned
from revere.core.ids import StationId
from revere.core.orders import SendLocalList
from revere.links.ocppj.token_list import PER_MESSAGE, batches, per_message, version_of

ST = StationId("ST-1")
GOOD, BLOCKED = Authorization(status="accepted", group="school"), Authorization(status="blocked")
TOKENS = st.dictionaries(st.sampled_from([f"T{n}" for n in range(12)]), st.sampled_from([GOOD, BLOCKED]))


def listed(tokens: dict[str, Authorization]) -> tuple[ListedToken, ...]:
    return tuple(ListedToken(token=name, kind="ISO14443", found=tokens[name]) for name in sorted(tokens))


@given(TOKENS, TOKENS, st.integers(1, 5), st.booleans())
def test_whatever_a_station_holds_it_comes_to_hold_ours(
    old: dict[str, Authorization], new: dict[str, Authorization], size: int, differences: bool
) -> None:
    before, after = listed(old), listed(new)
    held = dict(old) if differences else {"OLD": BLOCKED}
    at = version_of(before) if differences else 7
    for batch in batches(after, size, before=before, differences=differences):
        assert len(batch.put) + len(batch.out) <= size
        if batch.full:
            held = {}
        else:
            assert batch.version > at  # a station refuses anything else
        at = batch.version
        held |= {entry.token: entry.found for entry in batch.put}
        for entry in batch.out:
            del held[entry.token]
    assert (held, at) == (new, version_of(after))


@given(TOKENS, TOKENS)
def test_a_version_tells_lists_apart_and_fits_every_station(
    one: dict[str, Authorization], other: dict[str, Authorization]
) -> None:
    versions = version_of(listed(one)), version_of(listed(other))
    assert (versions[0] == versions[1]) == (one == other)
    assert all(0 < version < 2**31 for version in versions)


@pytest.mark.parametrize(
    ("said", "size"), [("5", 5), ("0", PER_MESSAGE), ("", PER_MESSAGE), ("many", PER_MESSAGE), ("99999", 1000)]
)
def test_how_many_a_station_takes_at_once(said: str, size: int) -> None:
    assert per_message({"X": said}, "X") == size


class Keeper:
    """A strict station's list, by its own reading of the frames."""

    def __init__(self, station: HandStation, protocol: str) -> None:
        self.station, self.old = station, protocol == "ocpp1.6"
        self.version, self.held, self.word = 0, {}, "Accepted"
        self.kinds: list[str] = []

    def answer(self) -> dict[str, Any]:
        return {"listVersion" if self.old else "versionNumber": self.version}

    def take(self, asked: dict[str, Any]) -> dict[str, Any]:
        validator("v16" if self.old else "v201", "SendLocalList" if self.old else "SendLocalListRequest").validate(
            asked
        )
        self.kinds.append(asked["updateType"])
        version = asked["listVersion" if self.old else "versionNumber"]
        if self.word != "Accepted":
            return {"status": self.word}
        if asked["updateType"] == "Full":
            self.held = {}
        elif version <= self.version:
            return {"status": "VersionMismatch"}
        for entry in asked.get("localAuthorizationList", ()):
            token = entry["idTag"] if self.old else entry["idToken"]["idToken"]
            info = entry.get("idTagInfo" if self.old else "idTokenInfo")
            if info is None:
                del self.held[token]
            else:
                self.held[token] = info["status"]
        self.version = version
        return {"status": "Accepted"}


def story(protocol: str, play_it: Any) -> None:
    async def whole() -> None:
        async with bench(config(protocol=protocol)) as b:
            b.directory.tokens |= {"CARD-1": GOOD, "CARD-2": BLOCKED, "CARD-3": GOOD}
            station = await b.station(protocol=protocol)
            keeper = Keeper(station, protocol)
            station.live["GetLocalListVersion"] = lambda _: keeper.answer()
            station.live["SendLocalList"] = keeper.take
            if protocol == "ocpp1.6":
                keys = {"LocalAuthListEnabled": "true", "SendLocalListMaxLength": "2"}
                entries = [{"key": key, "value": value, "readonly": False} for key, value in keys.items()]
                station.reactions["GetConfiguration"] = {"configurationKey": entries}
            else:
                station.live["GetVariables"] = enabled
            await boot(b, station, protocol)
            await play_it(b, station, keeper)

    play(whole)


def enabled(asked: dict[str, Any]) -> dict[str, Any]:
    values = {"Enabled": "true", "ItemsPerMessage": "2"}
    results = []
    for wanted in asked["getVariableData"]:
        known = wanted["component"]["name"] == "LocalAuthListCtrlr"
        result = {
            "component": wanted["component"],
            "variable": wanted["variable"],
            "attributeStatus": "UnknownVariable",
        }
        if known:
            result |= {"attributeStatus": "Accepted", "attributeValue": values[wanted["variable"]["name"]]}
        results.append(result)
    return {"getVariableResult": results}


async def boot(b: Bench, station: HandStation, protocol: str) -> None:
    count = len(b.sink.of(StationProvisioned))
    await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
    await b.sink.until(lambda: len(b.sink.of(StationProvisioned)) > count)


EDITIONS = pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])


@EDITIONS
def test_a_station_s_list_is_brought_in_step_at_its_boot_and_then_left_alone(protocol: str) -> None:
    async def steps(b: Bench, station: HandStation, keeper: Keeper) -> None:
        unknown = {"CARD-1": "Accepted", "CARD-2": "Blocked", "CARD-3": "Accepted"}
        assert (keeper.held, keeper.kinds) == (unknown, ["Full", "Differential"])
        await boot(b, station, protocol)
        assert len(keeper.kinds) == 2
        keeper.version, keeper.held = 0, {}  # it lost its memory
        await boot(b, station, protocol)
        assert keeper.held == unknown

    story(protocol, steps)


@EDITIONS
def test_an_operator_sends_all_of_it_or_what_has_changed(protocol: str) -> None:
    async def steps(b: Bench, _station: HandStation, keeper: Keeper) -> None:
        del b.directory.tokens["CARD-1"]
        b.directory.tokens["CARD-3"] = BLOCKED
        answer = await b.server.carry_out(ST, SendLocalList(update="differences"))
        assert answer.status == "accepted"
        assert dict(answer.details) == {"tokens": "2", "version": str(keeper.version)}
        assert keeper.held == {"CARD-2": "Blocked", "CARD-3": "Blocked"}
        keeper.kinds.clear()
        assert (await b.server.carry_out(ST, SendLocalList())).status == "accepted"
        assert keeper.kinds == ["Full"]
        b.directory.tokens.clear()
        assert (await b.server.carry_out(ST, SendLocalList())).status == "accepted"
        assert keeper.held == {}

    story(protocol, steps)


@EDITIONS
@pytest.mark.parametrize("word", ["Failed", "VersionMismatch"])
def test_a_list_that_is_not_taken_is_a_problem_with_a_name_and_is_sent_whole_next_time(
    protocol: str, word: str
) -> None:
    async def steps(b: Bench, station: HandStation, keeper: Keeper) -> None:
        keeper.word = word
        b.directory.tokens["CARD-4"] = GOOD
        await boot(b, station, protocol)
        [problem] = [p for p in b.sink.of(StationProvisioned)[-1].problems if p.startswith("list of tokens")]
        assert problem.endswith(word)
        refused = await b.server.carry_out(ST, SendLocalList(update="differences"))
        assert (refused.status, "is not known" in refused.why) == ("rejected", True)
        keeper.word = "Accepted"
        await boot(b, station, protocol)
        assert sorted(keeper.held) == ["CARD-1", "CARD-2", "CARD-3", "CARD-4"]

    story(protocol, steps)


@EDITIONS
def test_a_station_without_a_list_is_not_asked(protocol: str) -> None:
    async def steps() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            await boot(b, station, protocol)
            assert not [action for action, _ in station.asked if "LocalList" in action]

    play(steps)
