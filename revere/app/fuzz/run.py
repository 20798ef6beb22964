"""`revere bench fuzz`: hostile frames by the million, from a seed, so that a failure can be had again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import TYPE_CHECKING, Any, Final

from revere.app.fuzz.grammar import maker
from revere.app.fuzz.spoil import spoil_bytes, spoil_document, spoil_text
from revere.app.fuzz.target import EDITIONS, Broken, Stations, Tally, check_readers
from revere.core.time import cpu_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from revere.core.assets import Protocol

FRAMES: Final = 1_000_000
LIVE_ONE_IN: Final = 4
"""So many frames go through a whole connection; all go through the readers."""
_IDS: Final = ("a", "1", "x" * 36, "x" * 37, "", "é", "r1", "r2", 5, None, {"a": 1})
_KINDS: Final = (0, 1, 2, 3, 4, 5, 6, 7, -1, 2.0, 10**30, "2", None, True)


class Frames:
    """Frames of one edition from one generator: some valid, most spoiled in one to three ways."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._actions = {protocol: list(wire.CALLS) for protocol, wire in EDITIONS.items()}

    def next(self, protocol: Protocol) -> tuple[bytes, str]:
        """A frame, and the action that it answers where it is an answer."""
        rng = self._rng
        wire = EDITIONS[protocol]
        action = rng.choice(self._actions[protocol])
        kind = rng.choice((2, 2, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6))
        return self.made(wire.CALLS[action][0 if kind in (2, 6) else 1], kind, f"m{rng.randrange(100)}", action), action

    def answer(self, protocol: Protocol, message_id: str, action: str) -> bytes:
        """An answer to a call of ours."""
        return self.made(EDITIONS[protocol].CALLS[action][1], 3, message_id, action)

    def made(self, message: Any, kind: int, message_id: str, action: str) -> bytes:
        """The frame of a message, spoiled or not."""
        rng = self._rng
        payload: Any = maker(message)(rng)
        spoils = rng.choice((0, 1, 1, 1, 2, 3))
        layers = [rng.choice("dddtttfb") for _ in range(spoils)]
        for _ in range(layers.count("d")):
            payload = spoil_document(payload, rng)
        frame: list[Any] = [kind, message_id]
        if kind in (2, 6):
            frame += [action, payload]
        elif kind == 3:
            frame += [payload]
        else:
            frame += ["GenericError", "no", payload]
        if "f" in layers:
            self._spoil_frame(frame)
        text = json.dumps(frame, separators=(",", ":"), ensure_ascii=bool(rng.randrange(2)))
        for _ in range(layers.count("t")):
            text = spoil_text(text, rng)
        raw = text.encode("utf-8", "surrogatepass")
        for _ in range(layers.count("b")):
            raw = spoil_bytes(raw, rng)
        return raw

    def _spoil_frame(self, frame: list[Any]) -> None:
        rng = self._rng
        match rng.randrange(5):
            case 0:
                frame[0] = rng.choice(_KINDS)
            case 1:
                frame[1] = rng.choice(_IDS)
            case 2:
                frame[2] = rng.choice(("MakeCoffee", "", "x" * 65, 5, None, {"b": 1}, "Heartbeat"))
            case 3:
                del frame[rng.randrange(len(frame))]
            case 4:
                frame.insert(rng.randrange(len(frame) + 1), rng.choice((None, {}, "x", 3)))


def survive(frames: int, seed: int = 0) -> dict[str, Any]:
    """Put ``frames`` frames through everything that reads them; what became of them.

    Raises :class:`Broken` with the frame at the first one that breaks a rule of :mod:`revere.app.fuzz.target`.
    """
    tally, started = Tally(), cpu_s()
    asyncio.run(_feed(frames, random.Random(seed), tally))
    spent_s = cpu_s() - started
    return {
        "frames": tally.frames,
        "unhandled": 0,
        "frames_refused": tally.refused_frames,
        "payloads_refused": tally.refused_payloads,
        "payloads_read": tally.read,
        "calls_answered": tally.answered,
        "connections_closed": tally.closed,
        "frames_per_s": round(tally.frames / spent_s),
        "seed": seed,
    }


async def _feed(frames: int, rng: random.Random, tally: Tally) -> None:
    source = Frames(rng)
    asked: dict[Protocol, list[tuple[str, str]]] = {protocol: [] for protocol in EDITIONS}
    protocols = list(EDITIONS)
    with Stations() as stations:
        while tally.frames < frames:
            protocol = rng.choice(protocols)
            if asked[protocol]:
                message_id, answer_to = asked[protocol].pop()
                raw, live = source.answer(protocol, message_id, answer_to), True
            else:
                (raw, answer_to), live = source.next(protocol), not rng.randrange(LIVE_ONE_IN)
            with told(raw, protocol):
                check_readers(raw, protocol, answer_to, tally)
                if live:
                    asked[protocol] += await stations.feed(raw, protocol, tally)
        await stations.close()


@contextlib.contextmanager
def told(raw: bytes, protocol: str) -> Iterator[None]:
    """Name the frame in whatever it brings about."""
    try:
        yield
    except Exception as error:
        what = str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
        raise Broken(f"{protocol}: {what[:2_000]}\nby the frame {raw[:2_000]!r} ({len(raw)} bytes)") from error
