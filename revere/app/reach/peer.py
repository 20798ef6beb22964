"""The Python peer's server: PyPI ``ocpp`` on ``websockets``, as its own example has it, with its checks on.

Run by its path with whatever Python has both packages: it knows nothing of this house.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import resource
import sys
from typing import Any

messages: Any = importlib.import_module("ocpp.messages")
routing: Any = importlib.import_module("ocpp.routing")
v21: Any = importlib.import_module("ocpp.v21")
sockets: Any = importlib.import_module("websockets.asyncio.server")
exceptions: Any = importlib.import_module("websockets.exceptions")

NOW = "2026-07-16T19:30:00Z"
HEARTBEAT_S = 300


class Station(v21.ChargePoint):  # type: ignore[misc]
    """Answers as ours does."""

    @routing.on("BootNotification")  # type: ignore[untyped-decorator]
    async def booted(self, **_: Any) -> Any:
        """Let it in."""
        return v21.call_result.BootNotification(current_time=NOW, interval=HEARTBEAT_S, status="Accepted")

    @routing.on("TransactionEvent")  # type: ignore[untyped-decorator]
    async def heard(self, **_: Any) -> Any:
        """Take note of nothing."""
        return v21.call_result.TransactionEvent()


async def _serve_one(socket: Any) -> None:
    try:
        await Station(socket.request.path.rpartition("/")[2], socket).start()
    except exceptions.ConnectionClosed:
        return


def _stats() -> dict[str, Any]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status") as status:  # noqa: PTH123 (no pathlib: it is another's program)
        rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return {"cpu_s": round(used.ru_utime + used.ru_stime, 3), "rss_kib": rss}


def _say(news: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


async def _run() -> None:
    bare = _stats()["rss_kib"]
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with sockets.serve(_serve_one, "127.0.0.1", 0, subprotocols=["ocpp2.1"]) as server:
        _say({"port": server.sockets[0].getsockname()[1], "bare_kib": bare})
        while (await reader.readline()).decode().strip() not in ("", "stop"):
            _say(_stats())


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    messages.ASYNC_VALIDATION = False
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(_run())
