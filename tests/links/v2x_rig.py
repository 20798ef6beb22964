"""A plugged-in 2.1 station that has reported what it can do, for blocks Q and R; every frame of ours is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocpp_rig import BOOT, NOW, Bench, HandStation, Reaction, bench, config, play
from ocpp_schemas import validator
from v2x_orders import CONTROLS, MODES

from revere.core.facts import StationProvisioned
from revere.core.ids import StationId
from revere.core.time import iso
from revere.twin.profiles21 import Abilities, Moment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.commands import Answer
    from revere.core.orders import Order

ST = StationId("ST-1")
STAMP = iso(NOW)
ABLE = {
    "V2XChargingCtrlr@1.SupportedOperationModes": MODES,
    "V2XChargingCtrlr@1.Enabled": "true",
    "DCDERCtrlr@1.ModesSupported": CONTROLS,
    "SmartChargingCtrlr.SupportsDynamicProfiles": "true",
    "SmartChargingCtrlr.SupportedAdditionalPurposes": "PriorityCharging",
}
STARTED = {
    "eventType": "Started", "timestamp": STAMP, "triggerReason": "Authorized", "seqNo": 0,
    "transactionInfo": {"transactionId": "tx-1"}, "evse": {"id": 1},
    "idToken": {"idToken": "BUS-1", "type": "Central"},
}  # fmt: skip
STRICT = Abilities(
    charge_w=60_000, discharge_w=60_000, modes=tuple(MODES.split(",")), evse_sleep=True, update_rate_s=0.0
)
TX = Moment(now_s=NOW.timestamp(), transaction_id="tx-1", transaction_start_s=NOW.timestamp() - 60)


def reported(variables: dict[str, str]) -> dict[str, Any]:
    """NotifyReport with these variables, under the number by which a station is asked for all of them at its boot."""
    rows = []
    for name, value in variables.items():
        component, variable = name.split(".")
        bare, _, evse = component.partition("@")
        where: dict[str, Any] = {"name": bare} | ({"evse": {"id": int(evse)}} if evse else {})
        rows.append({"component": where, "variable": {"name": variable}, "variableAttribute": [{"value": value}]})
    return {"requestId": 1, "generatedAt": STAMP, "seqNo": 0, "reportData": rows}


class Scene:
    """One station on its bench."""

    def __init__(self, b: Bench, station: HandStation) -> None:
        self.b = b
        self.station = station

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The station calls; our answer."""
        validator("v21", f"{action}Request").validate(payload)
        frame = await self.station.call(action, payload)
        assert frame[0] == 3, frame
        validator("v21", f"{action}Response").validate(frame[2])
        return dict(frame[2])

    async def order(self, order: Order) -> Answer:
        """A person's order, through the door of control's."""
        return await self.b.server.carry_out(ST, order)

    async def ordered(self, order: Order, action: str, reaction: Reaction = None) -> tuple[Answer, dict[str, Any]]:
        """A person's order, how it is answered, and the request that it became."""
        if reaction is not None:
            validator("v21", f"{action}Response").validate(reaction)
            self.station.reactions[action] = reaction
        before = len(self.asked(action))
        answer = await self.order(order)
        assert len(self.asked(action)) == before + 1, answer
        return answer, self.asked(action)[-1]

    def asked(self, action: str) -> list[dict[str, Any]]:
        """What we have asked of it under that name."""
        return [payload for name, payload in self.station.asked if name == action]


def scene(story: Callable[[Scene], Awaitable[None]], *, able: dict[str, str] | None = None, **changes: Any) -> None:
    """Play a story with a plugged-in station; at the end all that we asked holds against the official schema."""

    async def whole() -> None:
        async with bench(config(**changes)) as b:
            station = await b.station()
            s = Scene(b, station)
            await s.call("BootNotification", BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            if able != {}:
                await s.call("NotifyReport", reported(ABLE if able is None else able))
            await s.call("TransactionEvent", STARTED)
            await story(s)
            for action, payload in station.asked:
                validator("v21", f"{action}Request").validate(payload)
            assert station.errors == []

    play(whole)
