"""What a station has said that is not committed yet, so that its repetition is answered and not recorded again.

::

    message ── handled ─────────────── 3 s ── CALLERROR      the next message is heard
                   └───────────── its commit ──▶ answer ─┐
                       the same message again ───────────┴──▶ CALLRESULT
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from revere.links.ocppj.bounds import LATE_ANSWERS_MAX

if TYPE_CHECKING:
    from revere.links.ocppj.framing import Call
    from revere.links.ocppj.line import Answered

BOOT: Final = "BootNotification"
_STAMPS: Final = (b'"timestamp"', b'"generatedAt"')


class LateMessages:
    """A station's messages whose commit was late, by what they say; they outlive its connection.

    Those under way are as many as the inbox takes facts. Of those committed meanwhile the stamped ones are kept: said
    again they are repetitions. The same words without a stamp may be news by then and are recorded.
    """

    def __init__(self) -> None:
        self._answers: dict[bytes, asyncio.Future[Answered]] = {}
        self._committed: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, call: Call, generation: int) -> asyncio.Future[Answered] | None:
        """The answer to the same message, said before on this connection or an earlier one."""
        return self._answers.get(_said(call, generation)) if self._answers else None

    def keep(self, call: Call, generation: int) -> asyncio.Future[Answered]:
        """What the message's handling has to end with: its answer, or why it failed."""
        said = _said(call, generation)
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        stamped = any(stamp in bytes(call.payload) for stamp in _STAMPS)

        def ended(answer: asyncio.Future[Answered]) -> None:
            if answer.cancelled() or answer.exception() is not None or not stamped:
                self._answers.pop(said, None)
                return
            self._committed.append(said)
            if len(self._committed) > LATE_ANSWERS_MAX:
                self._answers.pop(self._committed.pop(0), None)

        answer.add_done_callback(ended)
        self._answers[said] = answer
        return answer

    @property
    def waiting(self) -> bool:
        """Whether something that the station said is late and not committed yet."""
        return bool(self._tasks)

    def hold(self, task: asyncio.Task[None]) -> None:
        """Let the handling of a late message go on to its end."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _said(call: Call, generation: int) -> bytes:
    """What a message says: its number aside, and the mark of one that was sent offline; a boot is its connection's."""
    try:
        told = msgspec.json.decode(call.payload)
        if isinstance(told, dict):
            told.pop("offline", None)
        said = msgspec.json.encode(told, order="sorted")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        said = bytes(call.payload)
    whose = generation if call.action == BOOT else 0
    return hashlib.sha256(f"{call.action} {whose} ".encode() + said).digest()
