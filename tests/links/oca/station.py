"""A 2.0.1 station played by hand against our server; every frame of ours is held against the official schema.

::

    async with scene() as s:                       a server, and one station that has booted and is provisioned
        answer, asked = await s.ordered(ResetStation(), "Reset", {"status": "Accepted"})
        await s.call("StatusNotification", {...})  our answer, which must be a result
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ocpp_rig import BOOT, Bench, HandStation, Reaction, bench, config
from ocpp_schemas import validator

from revere.core.facts import SessionEnded, StationProvisioned, StatusReported
from revere.core.ids import StationId
from revere.links.ocppj.door import DoorRules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from revere.core.commands import Answer
    from revere.core.orders import Order
    from revere.core.ports import StationConfig
    from revere.links.models import ChargerModel

ST = StationId("ST-1")
STAMP = "2026-07-16T19:30:00Z"
"""The rig's time, which stands still."""
TOKEN = {"idToken": "BUS-7", "type": "ISO14443"}
"""The rig's directory knows every token that begins with BUS."""
NOBODY = {"idToken": "NOBODY", "type": "ISO14443"}


def event(kind: str, seq: int, trigger: str = "CablePluggedIn", **more: Any) -> dict[str, Any]:
    """A TransactionEventRequest of transaction tx-1 at EVSE 1, connector 1."""
    return {
        "eventType": kind,
        "timestamp": STAMP,
        "triggerReason": trigger,
        "seqNo": seq,
        "transactionInfo": {"transactionId": "tx-1"},
        "evse": {"id": 1, "connectorId": 1},
        **more,
    }


def status(evse_id: int = 1, connector_id: int = 1, word: str = "Available") -> dict[str, Any]:
    """A StatusNotificationRequest."""
    return {"timestamp": STAMP, "connectorStatus": word, "evseId": evse_id, "connectorId": connector_id}


def notified(component: dict[str, Any], variable: str, value: str, **more: Any) -> dict[str, Any]:
    """A NotifyEventRequest of one variable that has changed."""
    data = {
        "eventId": 1,
        "timestamp": STAMP,
        "trigger": "Delta",
        "actualValue": value,
        "eventNotificationType": "HardWiredNotification",
        "component": component,
        "variable": {"name": variable},
        **more,
    }
    return {"generatedAt": STAMP, "seqNo": 0, "eventData": [data]}


class Scene:
    """One station on its bench, and short words for what the cases do over and over."""

    def __init__(self, b: Bench, station: HandStation) -> None:
        self.b = b
        self.station = station
        self.seq = 0

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The station calls; our answer, which must be a result and hold against the schema."""
        frame = await self.station.call(action, payload)
        assert frame[0] == 3, frame
        validator("v201", f"{action}Response").validate(frame[2])
        return dict(frame[2])

    async def refused(self, action: str, payload: dict[str, Any]) -> str:
        """The same where we must answer with an error; its code."""
        frame = await self.station.call(action, payload)
        assert frame[0] == 4, frame
        return str(frame[2])

    async def boot(self, reason: str = "PowerUp") -> dict[str, Any]:
        """BootNotification; our answer."""
        return await self.call("BootNotification", {**BOOT, "reason": reason})

    async def order(self, order: Order) -> Answer:
        """A person's order, through the same door as control's."""
        return await self.b.server.carry_out(ST, order)

    def soon(self, asking: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        """An order that waits for what the station sends next."""
        return asyncio.get_running_loop().create_task(asking)

    async def ordered(self, order: Order, action: str, reaction: Reaction) -> tuple[Answer, dict[str, Any]]:
        """A person's order, how it is answered, and the one request that it became."""
        self.station.reactions[action] = reaction
        before = self.count(action)
        answer = await self.order(order)
        assert self.count(action) == before + 1
        return answer, self.last(action)

    async def tx(self, kind: str, trigger: str, state: str = "", **more: Any) -> dict[str, Any]:
        """The next TransactionEvent of tx-1, in sequence; our answer."""
        info: dict[str, Any] = {"transactionId": "tx-1", **more.pop("info", {})}
        if state:
            info["chargingState"] = state
        payload = event(kind, self.seq, trigger, **{"transactionInfo": info, **more})
        self.seq += 1
        return await self.call("TransactionEvent", payload)

    async def tells(self, word: str, evse_id: int = 1, connector_id: int = 1) -> None:
        """A connector's status in both of the standard's ways, each answered."""
        assert await self.call("StatusNotification", status(evse_id, connector_id, word)) == {}
        where = {"name": "Connector", "evse": {"id": evse_id, "connectorId": connector_id}}
        assert await self.call("NotifyEvent", notified(where, "AvailabilityState", word)) == {}

    async def charging(self) -> None:
        """From an empty place to energy that flows: token, cable, transfer."""
        accepted = {"idTokenInfo": {"status": "Accepted"}}
        assert (await self.call("Authorize", {"idToken": TOKEN}))["idTokenInfo"]["status"] == "Accepted"
        answer = await self.tx("Started", "Authorized", idToken=TOKEN)
        assert answer["idTokenInfo"]["status"] == accepted["idTokenInfo"]["status"]
        await self.tells("Occupied")
        await self.tx("Updated", "CablePluggedIn", "EVConnected")
        await self.tx("Updated", "ChargingStateChanged", "Charging")

    async def stopped(self) -> None:
        """The driver stops with his token and leaves."""
        answer = await self.tx("Updated", "StopAuthorized", "EVConnected", idToken=TOKEN)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await self.tx("Updated", "ChargingStateChanged", "EVConnected")

    async def left(self) -> None:
        """The cable is pulled: the transaction ends."""
        await self.tx("Ended", "EVCommunicationLost", "Idle", info={"stoppedReason": "EVDisconnected"})

    def statuses(self) -> dict[int, str]:
        """The last recorded availability of each EVSE."""
        return {fact.evse_id: fact.status for fact in self.b.sink.of(StatusReported)}

    def ended(self) -> list[str]:
        """Why each recorded session ended."""
        return [fact.reason for fact in self.b.sink.of(SessionEnded)]

    def count(self, action: str) -> int:
        """How often we have asked it."""
        return sum(1 for asked, _ in self.station.asked if asked == action)

    def last(self, action: str) -> dict[str, Any]:
        """What we asked last."""
        return [payload for asked, payload in self.station.asked if asked == action][-1]

    def judge(self) -> None:
        """Everything that we asked against the schema."""
        for action, payload in self.station.asked:
            validator("v201", f"{action}Request").validate(payload)
        assert self.station.errors == []


@asynccontextmanager
async def scene(
    own: StationConfig | None = None,
    *,
    booted: bool = True,
    reactions: dict[str, Reaction] | None = None,
    first_boot: bool = False,
    models: tuple[ChargerModel, ...] | None = None,
) -> AsyncIterator[Scene]:
    """A server and a 2.0.1 station; once ``booted`` it is accepted and nothing more is asked of it by itself.

    ``first_boot``: it was never seen, and the server looks at such a station before it may work.
    """
    rules = DoorRules(inspect_first=first_boot)
    async with bench(own or config(protocol="ocpp2.0.1"), rules=rules, models=models, first_boot=first_boot) as b:
        hand = await b.station(protocol="ocpp2.0.1", reactions=reactions)
        s = Scene(b, hand)
        if booted:
            assert (await s.boot())["status"] == "Accepted"
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
        yield s
        s.judge()


async def reconnect(s: Scene, reactions: dict[str, Reaction] | None = None) -> None:
    """The station goes and comes back on a new socket."""
    s.judge()
    await s.station.close()
    while ST in s.b.server.connected():
        await asyncio.sleep(0)
    s.station = await s.b.station(protocol="ocpp2.0.1", reactions=reactions)
