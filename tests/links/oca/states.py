"""The states that the cases start from: a driver's visit at one EVSE, message by message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oca.station import STAMP, TOKEN, status

from revere.core.facts import SessionEnded, SessionStarted

if TYPE_CHECKING:
    from oca.station import Scene

Json = dict[str, Any]


class Visit:
    """One transaction, numbered from 0; ``there`` and ``authorized`` say how far it is."""

    def __init__(self, s: Scene, transaction_id: str = "tx-1", evse_id: int = 1, token: Json | None = None) -> None:
        self.s = s
        self.transaction_id = transaction_id
        self.evse_id = evse_id
        self.token = token or TOKEN
        self.seq = 0
        self.there = self.authorized = False

    async def say(
        self,
        trigger: str,
        state: str | None = None,
        *,
        stopped: str | None = None,
        token: Json | None = None,
        skip: int = 0,
        **more: Any,
    ) -> Json:
        """The next TransactionEvent, ``skip`` numbers further: the first starts, a ``stopped`` one ends. Our answer."""
        kind = "Ended" if stopped is not None else "Updated" if self.seq else "Started"
        info: Json = {"transactionId": self.transaction_id}
        info |= {} if state is None else {"chargingState": state}
        info |= {} if stopped is None else {"stoppedReason": stopped}
        self.seq += skip
        payload = {"eventType": kind, "timestamp": STAMP, "triggerReason": trigger, "seqNo": self.seq}
        payload |= {"transactionInfo": info} | ({} if token is None else {"idToken": token}) | more
        self.seq += 1
        return await self.s.call("TransactionEvent", payload)

    async def tell_status(self, word: str) -> None:
        """StatusNotification, and the same as a NotifyEvent."""
        assert await self.s.call("StatusNotification", status(self.evse_id, 1, word)) == {}
        told = {
            "eventId": 1,
            "timestamp": STAMP,
            "trigger": "Delta",
            "actualValue": word,
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": "Connector", "evse": {"id": self.evse_id, "connectorId": 1}},
            "variable": {"name": "AvailabilityState"},
        }
        assert await self.s.call("NotifyEvent", {"generatedAt": STAMP, "seqNo": 0, "eventData": [told]}) == {}

    async def authorize(self) -> None:
        """Authorize, then the transaction's own word of it; both accepted."""
        answer = await self.s.call("Authorize", {"idToken": self.token})
        assert answer["idTokenInfo"]["status"] == "Accepted"
        answer = await self.say("Authorized", token=self.token)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        self.authorized = True

    async def plug_in(self, **more: Any) -> None:
        """The cable goes in."""
        await self.tell_status("Occupied")
        await self.say("CablePluggedIn", "EVConnected", evse={"id": self.evse_id, "connectorId": 1}, **more)
        self.there = True

    async def transfer(self) -> None:
        """Energy flows, after whatever must come before."""
        if not self.authorized:
            await self.authorize()
        if not self.there:
            await self.plug_in()
        await self.say("ChargingStateChanged", "Charging")

    async def suspend(self) -> None:
        """The vehicle takes no more."""
        await self.transfer()
        await self.say("ChargingStateChanged", "SuspendedEV")

    async def stop(self) -> None:
        """The driver stops it with a token."""
        answer = await self.say("StopAuthorized", token=self.token)
        assert answer["idTokenInfo"]["status"] == "Accepted"

    async def finish(self) -> None:
        """Stopped, the cable still in."""
        await self.stop()
        await self.say("ChargingStateChanged", "EVConnected")

    async def unplug(self, **more: Any) -> None:
        """The cable goes out, and the transaction ends with it."""
        await self.tell_status("Available")
        await self.say("EVCommunicationLost", "Idle", stopped="EVDisconnected", **more)
        self.there = False

    async def whole(self) -> None:
        """From nothing to nothing."""
        await self.transfer()
        await self.finish()
        await self.unplug()


def sessions(s: Scene) -> list[str]:
    """What the house has heard of sessions: ``+`` begun with its token, ``-`` ended with its reason."""
    return [
        f"+{fact.session_id.partition(':')[2]} {fact.token}"
        if isinstance(fact, SessionStarted)
        else f"-{fact.session_id.partition(':')[2]} {fact.reason}"
        for fact in s.b.sink.facts
        if isinstance(fact, SessionStarted | SessionEnded)
    ]
