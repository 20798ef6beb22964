"""Who runs over a state folder: the kernel's lock says it, not a number in a file that a crash left behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from revere.app.running import MARK, Running, find_running, only_server, running_mark
from revere.core.errors import Refused, Unavailable

HERE = Running(
    pid=os.getpid(), web_url="http://127.0.0.1:1", token="t", dsn="postgresql://x", owner_dsn="", bin_dir=None
)


def test_a_mark_without_its_server_is_ignored_though_its_number_lives(tmp_path: Path) -> None:
    (tmp_path / MARK).write_bytes(msgspec.json.encode(HERE))
    assert find_running(tmp_path) is None


def test_a_server_is_found_while_it_serves_and_only_one_may(tmp_path: Path) -> None:
    async def serve() -> None:
        async with only_server(tmp_path):
            with pytest.raises(Unavailable, match="starting or stopping"):
                find_running(tmp_path)
            with running_mark(tmp_path, HERE):
                assert find_running(tmp_path) == HERE
                assert (tmp_path / MARK).stat().st_mode & 0o777 == 0o600
                with pytest.raises(Refused, match="already"):
                    async with only_server(tmp_path):
                        pass
                assert find_running(tmp_path) == HERE, "the second one's try takes nothing from the first"

    assert find_running(tmp_path) is None
    asyncio.run(serve())
    assert find_running(tmp_path) is None
    asyncio.run(serve())
