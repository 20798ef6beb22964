"""A stolen certificate over processes: the command line shuts the door at once, and a restart keeps it shut."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.trips.walls import registered

pytestmark = pytest.mark.wall
pytest.importorskip("cryptography", reason="cryptography is locked but not installed: run make setup")

STATION = "school-cs01"


async def dial(port: int, pki: Path, pair: Path) -> ClientConnection:
    tls = ssl.create_default_context(cafile=str(pki / "root.pem"))
    tls.load_cert_chain(f"{pair}.pem", f"{pair}.key")
    uri, protocol = f"wss://localhost:{port}/ocpp/{STATION}", Subprotocol("ocpp2.1")
    return await connect(uri, ssl=tls, subprotocols=[protocol], compression=None, proxy=None)


async def comes_in(port: int, pki: Path, pair: Path) -> bool:
    try:
        await (await dial(port, pki, pair)).close()
    except InvalidStatus as error:
        return error.response.status_code != 401
    return True


def test_a_revoked_certificate_is_out_at_once_and_after_a_restart(pg_folder: Path) -> None:
    with registered(pg_folder) as place:
        pki = place.folder / "pki"
        place.command("pki", str(pki), "--station", STATION)
        programme = (place.folder / "parked.toml").read_text()
        raised = programme.replace('station = "bus60"', 'station = "bus60"\nsecurity_profile = 3', 1)
        (place.folder / "raised.toml").write_text(raised)
        place.command("site", "add", str(place.folder / "raised.toml"), "--config", str(place.config))
        names = {"tls_cert": "server.pem", "tls_key": "server.key", "tls_station_root": "root.pem"}
        place.config.write_text(
            place.config.read_text() + "".join(f'{key} = "{pki / name}"\n' for key, name in names.items())
        )
        place.start()
        old, kept = pki / "stations" / STATION, place.folder / "stolen"

        async def stolen() -> None:
            socket = await dial(place.ocpp_port, pki, old)
            said = await asyncio.to_thread(place.command, "station", "revoke-certificate", STATION)
            assert "its connection is closed. Make it a new one" in said.stdout
            with pytest.raises(ConnectionClosed):
                async with asyncio.timeout(10):
                    await socket.recv()
            assert not await comes_in(place.ocpp_port, pki, old)

        asyncio.run(stolen())
        listed = place.command("station", "security", STATION, "--config", str(place.config)).stdout
        assert "by command-line: none that begins until" in listed
        server = place.server
        assert server is not None
        server.kill()
        server.wait()
        place.start()
        for ending in (".pem", ".key"):
            old.with_name(STATION + ending).rename(kept.with_name(f"stolen{ending}"))
        place.command("pki", str(pki), "--station", STATION)
        assert [asyncio.run(comes_in(place.ocpp_port, pki, pair)) for pair in (kept, old, kept)] == [False, True, False]
