"""How the processes of a bench talk: a line of JSON at a time over their standard streams."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any


def say(news: dict[str, Any]) -> None:
    """Tell the process that started us."""
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


class Orders:
    """What it tells us."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    @classmethod
    async def open(cls) -> Orders:
        """Listen at our standard input."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        return cls(reader)

    async def next(self) -> str:
        """The next order; empty when whoever started us is gone."""
        return (await self._reader.readline()).decode().strip()
