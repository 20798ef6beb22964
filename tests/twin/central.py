"""A small central system for the twin's own tests: it answers what stations ask and records what they say.

It shares no code with the control room's links; frames are written by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from revere.twin.loop import TwinClock

Answer = Callable[[str, str, dict[str, Any]], dict[str, Any] | None]


class Central:
    """Accepts every station, answers by the standard's least, keeps (time, station, action, payload)."""

    def __init__(self, clock: TwinClock, heartbeat_s: int = 300) -> None:
        self.clock = clock
        self.heartbeat_s = heartbeat_s
        self.log: list[tuple[float, str, str, dict[str, Any]]] = []
        self.links: dict[str, ServerConnection] = {}
        self.auth: dict[str, str] = {}
        self.special: Answer | None = None
        self._waiting: dict[str, asyncio.Future[list[Any]]] = {}
        self._number = 0
        self._server: Server | None = None
        self.keep_log = True

    async def start(self) -> str:
        """Listen on a free loopback port; returns the URL for stations."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            ping_interval=None,
            compression=None,
            subprotocols=["ocpp2.1", "ocpp2.0.1", "ocpp1.6"],
        )
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ocpp"

    async def stop(self) -> None:
        """Close every link and the port."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, ws: ServerConnection) -> None:
        assert ws.request is not None
        station = ws.request.path.rsplit("/", 1)[1]
        self.auth[station] = ws.request.headers["Authorization"]
        self.links[station] = ws
        with contextlib.suppress(Exception):
            async for raw in ws:
                frame = json.loads(raw)
                if frame[0] == 2:
                    if self.keep_log:
                        self.log.append((self.clock.monotonic_s(), station, frame[2], frame[3]))
                    reply = self._reply(station, frame[2], frame[3])
                    error = [4, frame[1], reply.get("error"), "", {}]
                    await ws.send(json.dumps(error if "error" in reply else [3, frame[1], reply]))
                else:
                    self._waiting.pop(frame[1]).set_result(frame)
        if self.links.get(station) is ws:
            del self.links[station]

    def _reply(self, station: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if self.special is not None and (answer := self.special(station, action, payload)) is not None:
            return answer
        now = self.clock.now().isoformat()
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": now, "interval": self.heartbeat_s}
            case "Heartbeat":
                return {"currentTime": now}
            case "Authorize":
                key = "idTokenInfo" if "idToken" in payload else "idTagInfo"
                allowed = (
                    {"allowedEnergyTransfer": ["DC", "DC_BPT"]} if self.links[station].subprotocol == "ocpp2.1" else {}
                )
                return {key: {"status": "Accepted"}} | allowed
            case "TransactionEvent":
                return {"idTokenInfo": {"status": "Accepted"}} if payload["eventType"] == "Started" else {}
            case "StartTransaction":
                return {"transactionId": 77, "idTagInfo": {"status": "Accepted"}}
            case "NotifyEVChargingNeeds":
                return {"status": "Accepted"}
            case _:
                return {}

    async def call(self, station: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Call a station; a CALLERROR comes back as ``{"error": code}``."""
        self._number += 1
        message_id = f"c{self._number}"
        self._waiting[message_id] = asyncio.get_running_loop().create_future()
        await self.links[station].send(json.dumps([2, message_id, action, payload]))
        frame = await self._waiting[message_id]
        result: dict[str, Any] = frame[2] if frame[0] == 3 else {"error": frame[2], "why": frame[3]}
        return result

    def said(self, station: str, action: str) -> list[dict[str, Any]]:
        """Every payload that a station sent under ``action``, in order."""
        return [payload for _, name, verb, payload in self.log if (name, verb) == (station, action)]
