"""The pulse: a database that is gone is noticed and shown though no fact needs it."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.control.pulse import Pulse
from revere.core import facts as f
from revere.core.errors import Unavailable
from revere.twin.loop import run_twin
from tests.control.scenes import NOON, FakeJournal, fleet

if TYPE_CHECKING:
    from revere.twin.loop import TwinClock

FAILS_AT_S, BACK_AT_S, ENDS_AT_S = 10.0, 20.0, 30.0
SEEN_WITHIN_S = 4.0
"""Half a second under the pages' five, which look at the picture every half second."""


class Database:
    """Answers at once but between two moments, in which it hangs or fails."""

    def __init__(self, clock: TwinClock, fault: str) -> None:
        self.clock, self.fault, self.questions = clock, fault, 0

    def away_s(self) -> float:
        """Seconds until it is back, 0 where it is there."""
        since_s = (self.clock.now() - NOON).total_seconds()
        return BACK_AT_S - since_s if self.fault and FAILS_AT_S <= since_s < BACK_AT_S else 0.0

    async def answers(self) -> None:
        """As ``Store.answers``."""
        self.questions += 1
        left_s = self.away_s()
        if left_s and self.fault == "fails":
            raise Unavailable("the database does not answer")
        await asyncio.sleep(left_s)


def _play(fault: str, *, busy: bool = False) -> tuple[list[tuple[float, bool]], int]:
    """When the picture was shown between ticks and whether facts were kept then; and how often was asked."""
    shown: list[tuple[float, bool]] = []
    asked = 0

    async def live(clock: TwinClock) -> None:
        nonlocal asked
        journal = FakeJournal()
        journal.slow = busy
        inbox, database = Inbox(journal, Image(fleet())), Database(clock, fault)
        if busy:
            inbox._take([f.AlarmCleared(at=NOON + dt.timedelta(seconds=FAILS_AT_S), key="x")])

        def changed() -> None:
            shown.append(((clock.now() - NOON).total_seconds(), inbox.keeps_up(clock.now())))

        pulse = asyncio.create_task(Pulse(inbox, clock, database.answers, changed).run())
        await asyncio.sleep(ENDS_AT_S)
        pulse.cancel()
        await asyncio.wait([pulse])
        asked = database.questions

    run_twin(live, NOON)
    return shown, asked


@pytest.mark.parametrize("fault", ["hangs", "fails"])
def test_a_database_gone_is_shown_within_4_s_and_so_is_its_return(fault: str) -> None:
    (gone, back), _ = _play(fault)
    assert FAILS_AT_S < gone[0] <= FAILS_AT_S + SEEN_WITHIN_S
    assert BACK_AT_S <= back[0] <= BACK_AT_S + 1.0
    assert (gone[1], back[1]) == (False, True)


def test_while_the_database_answers_nothing_is_shown_beside_the_ticks() -> None:
    shown, asked = _play("")
    assert shown == []
    assert asked == pytest.approx(ENDS_AT_S / 1.5, abs=1)


def test_where_facts_wait_their_commit_is_the_question() -> None:
    shown, asked = _play("", busy=True)
    assert asked == 0
    assert [(at_s, keeps_up) for at_s, keeps_up in shown] == [(pytest.approx(FAILS_AT_S + 2.0, abs=0.3), False)]
