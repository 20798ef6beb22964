"""Twin time: order, holds, frames in flight, threads, and a clean end."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from revere.core.errors import Unavailable
from revere.core.time import wall_s
from revere.twin.loop import TwinClock, TwinLoop, run_twin

EPOCH = dt.datetime(2023, 9, 7, 4, tzinfo=dt.UTC)


def spin(seconds: float) -> None:
    """Keep a thread busy for a while of wall time (tests do not sleep)."""
    until = wall_s() + seconds
    while wall_s() < until:
        threading.Event().wait(0.001)


def test_timers_run_in_order_and_on_their_own_times() -> None:
    seen: list[tuple[float, str]] = []

    async def main(clock: TwinClock) -> None:
        async def at(delay_s: float, name: str) -> None:
            await asyncio.sleep(delay_s)
            seen.append((clock.monotonic_s(), name))

        await asyncio.gather(at(86_400.0, "day"), at(0.1, "soon"), at(3600.0, "hour"), at(0.3, "later"))

    started = wall_s()
    run_twin(main, EPOCH)
    assert seen == [(0.1, "soon"), (0.3, "later"), (3600.0, "hour"), (86_400.0, "day")]
    assert wall_s() - started < 2


def test_now_is_the_epoch_plus_virtual_seconds() -> None:
    async def main(clock: TwinClock) -> dt.datetime:
        await asyncio.sleep(90.5)
        return clock.now()

    assert run_twin(main, EPOCH) == EPOCH + dt.timedelta(seconds=90.5)


@pytest.mark.parametrize("explicit", [True, False])
def test_a_thread_job_moves_time_by_nothing(explicit: bool) -> None:
    async def main(clock: TwinClock) -> float:
        ticking = asyncio.ensure_future(asyncio.sleep(10.0))
        if explicit:
            async with clock.hold():
                await asyncio.to_thread(spin, 0.05)
        else:
            await asyncio.to_thread(spin, 0.05)
        moved = clock.monotonic_s()
        await ticking
        return moved

    assert run_twin(main, EPOCH) == 0.0


def test_cancelled_timers_at_the_heads_of_the_heap_do_not_move_time() -> None:
    async def main(clock: TwinClock) -> float:
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(1.0 + i, lambda: None) for i in range(50)]
        for timer in timers:
            timer.cancel()
        await asyncio.sleep(0.25)
        return clock.monotonic_s()

    assert run_twin(main, EPOCH) == 0.25


async def _echo_rounds(clock: TwinClock, frames: int, size: int) -> float:
    async def echo(ws: websockets.asyncio.server.ServerConnection) -> None:
        async for frame in ws:
            await ws.send(frame)

    async def far_ticks() -> None:
        while True:
            await asyncio.sleep(60.0)

    ticking = asyncio.ensure_future(far_ticks())
    async with serve(echo, "127.0.0.1", 0, ping_interval=None, compression=None, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(
            f"ws://127.0.0.1:{port}", ping_interval=None, compression=None, proxy=None, max_size=None
        ) as ws:
            before = clock.monotonic_s()
            for i in range(frames):
                frame = f"{i}:".ljust(size, "x")
                await ws.send(frame)
                assert await ws.recv() == frame
            moved = clock.monotonic_s() - before
    ticking.cancel()
    return moved


@pytest.mark.parametrize(("frames", "size"), [(1000, 64), (3, 4_000_000)])
def test_frames_between_our_own_sockets_take_no_time(frames: int, size: int) -> None:
    assert run_twin(lambda clock: _echo_rounds(clock, frames, size), EPOCH) == 0.0


def test_the_same_program_runs_in_the_same_order() -> None:
    async def main(clock: TwinClock) -> list[tuple[float, str]]:
        log: list[tuple[float, str]] = []

        async def echo(ws: websockets.asyncio.server.ServerConnection) -> None:
            async for frame in ws:
                log.append((clock.monotonic_s(), str(frame)))
                await ws.send(frame)

        async with serve(echo, "127.0.0.1", 0, ping_interval=None, compression=None) as server:
            port = server.sockets[0].getsockname()[1]

            async def talk(name: int) -> None:
                url = f"ws://127.0.0.1:{port}"
                async with connect(url, ping_interval=None, compression=None, proxy=None) as ws:
                    for i in range(20):
                        await asyncio.sleep(5.0 if i % 3 else 0.1 * name)
                        await ws.send(f"{name}/{i}")
                        await ws.recv()

            await asyncio.gather(*(talk(n) for n in range(10)))
        return log

    first, second = run_twin(main, EPOCH), run_twin(main, EPOCH)
    assert len(first) == 200
    assert first == second


def test_a_paused_reader_does_not_stop_time() -> None:
    async def main(clock: TwinClock) -> float:
        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(600.0)  # its buffer fills, the transport pauses, bytes stay in the socket
            writer.close()

        server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
        _, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"x" * 200_000)
        await asyncio.sleep(900.0)
        writer.close()
        server.close()
        return clock.monotonic_s()

    assert run_twin(main, EPOCH) == 900.0


def test_bytes_that_never_arrive_are_a_fault_not_a_leap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revere.twin.loop.STALL_S", 0.05)

    async def main(clock: TwinClock) -> None:
        loop = clock.loop
        loop.flights.connecting += 1  # as if a connection to ourselves never came
        await asyncio.sleep(1.0)

    with pytest.raises(Unavailable, match="never arrived"):
        run_twin(main, EPOCH)


def test_paced_time_follows_the_wall_and_stands_still_in_holds() -> None:
    async def main(clock: TwinClock) -> tuple[float, float, float]:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: (spin(0.02), loop.call_soon_threadsafe(woken.set)))
            await woken.wait()
        started = wall_s()
        await asyncio.sleep(12.0)
        wall = wall_s() - started
        before = clock.monotonic_s()
        async with clock.hold():
            await asyncio.to_thread(spin, 0.1)
            inside = clock.monotonic_s()
        return wall, before, inside

    wall, before, inside = run_twin(main, EPOCH, speed=60.0)
    assert 0.19 < wall < 1.0
    assert inside - before < 1.0, "0.1 s of wall time would have been 6 s"


def test_closing_leaves_nothing() -> None:
    gc.collect()
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208

    async def main(clock: TwinClock) -> TwinLoop:
        await _echo_rounds(clock, 5, 10)
        await asyncio.to_thread(spin, 0.001)
        return clock.loop

    loop = run_twin(main, EPOCH)
    assert loop.is_closed()
    assert (loop.holds, loop.flights.bytes, loop.flights.connecting) == (0, 0, 0)
    assert not loop.flights._ends
    assert not loop.flights._waiting
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208
    assert threading.active_count() == threads


def test_timers_of_one_moment_keep_their_order_when_others_are_cancelled() -> None:
    async def main(clock: TwinClock) -> list[int]:
        loop = asyncio.get_running_loop()
        fired: list[int] = []
        handles = [loop.call_at(10.0, fired.append, number) for number in range(300)]
        for number in (0, 3, 77, 150, 151, 299):
            handles[number].cancel()
        chaff = [loop.call_at(5.0, fired.append, -1) for _ in range(200)]
        for handle in chaff:
            handle.cancel()
        await asyncio.sleep(11)
        return fired

    fired = run_twin(main, EPOCH)
    assert fired == [number for number in range(300) if number not in {0, 3, 77, 150, 151, 299}]
