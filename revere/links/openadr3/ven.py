"""A polling OpenADR 3.1 VEN: the utility's events become facts when they change, reports go back.

A VTN deletes a cancelled event, so an event that is gone from a complete list before its end is
cancelled. Nothing counts as known before the sink has committed it.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from revere.core.errors import RevereError, Unavailable
from revere.core.facts import AlarmCleared, AlarmRaised
from revere.links.openadr3 import wire
from revere.links.openadr3.book import EventBook
from revere.links.openadr3.http import VtnClient, VtnRefused
from revere.links.openadr3.translate import EventRefused, Translated, performance_report, translate_event

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from revere.core.facts import Fact, GridEventReceived
    from revere.core.ids import GridEventId, ProgramId
    from revere.core.ports import FactSink
    from revere.core.time import Clock

EVENTS_MAX = 1_000
PROGRAMS_MAX = 500
REFUSALS_MAX = 100
REASON_MAX_CHARS = 500
REPORT_TRIES = 5
BACKOFF_FIRST_S = 2.0
BACKOFF_MAX_S = 300.0
CONFLICT = 409
SILENT_POLLS = 3
SILENT_ALARM = "openadr3-vtn"


class Counters(msgspec.Struct, kw_only=True):
    """What the link did and what it would not take; a refusal counts once, not at every poll."""

    polls: int = 0
    polls_failed: int = 0
    lists_truncated: int = 0
    facts: int = 0
    refused: int = 0
    refused_beyond_bound: int = 0
    stale: int = 0
    other_programs: int = 0
    randomize_ignored: int = 0
    reports_posted: int = 0
    report_retries: int = 0


class Reading(msgspec.Struct, kw_only=True):
    """One poll as understood: events of our programs, refusals with reasons, ids present, completeness."""

    events: list[Translated] = []
    refused: dict[str, str] = {}
    present: set[str] = set()
    complete: bool = True


class Ven:
    """Us, seen from the utility.

    ``programs`` maps a VTN program's name or id to ours; events of other programs are counted and left
    alone. ``known`` is what the journal already holds of this link, so that a restart neither repeats
    facts nor misses an event that was deleted meanwhile.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        programs: Mapping[str, ProgramId],
        sink: FactSink,
        clock: Clock,
        *,
        poll_s: float = 60.0,
        known: Iterable[GridEventReceived] = (),
    ) -> None:
        self.http = VtnClient(base_url, client_id, client_secret, clock)
        self.counters = Counters()
        self._client_name = client_id[:128]
        self._programs = dict(programs)
        self._sink = sink
        self._clock = clock
        self._poll_s = poll_s
        self._book = EventBook(known)
        self._refusals: dict[str, str] = {}
        self._silent_polls = 0
        self._silent_said = False

    @property
    def refusals(self) -> Mapping[str, str]:
        """What the last poll refused and why, by ``event ID`` or ``program ID``."""
        return dict(self._refusals)

    async def run(self) -> None:
        """Poll until cancelled; errors of the VTN or the store only delay, with a bounded back-off."""
        backoff_s = BACKOFF_FIRST_S
        try:
            while True:
                try:
                    await self.poll()
                    wait_s, backoff_s = self._poll_s, BACKOFF_FIRST_S
                except RevereError as error:
                    wait_s, backoff_s = backoff_s, min(2 * backoff_s, BACKOFF_MAX_S)
                    await self._failed(error)
                await asyncio.sleep(wait_s)
        finally:
            await self.http.close()

    async def close(self) -> None:
        """Close the connections (``run`` does so itself when cancelled)."""
        await self.http.close()

    async def poll(self) -> None:
        """One look at programs and events; facts are recorded only for what changed.

        Raises ``Unavailable`` or ``VtnRefused``, and then nothing is taken as known.
        """
        self.counters.polls += 1
        programs, _ = await self._list("/programs", PROGRAMS_MAX, {})
        rows, complete = await self._list("/events", EVENTS_MAX, {"active": "true"})
        now = self._clock.now()
        reading = self._read(programs, rows, complete, now)
        facts = self._book.changes(reading.events, now)
        if reading.complete:
            facts += self._book.vanished(reading.present, now)
        kept = dict(list(reading.refused.items())[:REFUSALS_MAX])
        alarms = self._alarms(kept, now)
        if facts or alarms:
            await self._sink.record([*facts, *alarms])
        self._count(reading, kept, len(facts))
        self._book.learn(reading.events, facts, now)
        self._refusals = kept
        self._silent_polls, self._silent_said = 0, False

    async def report_performance(
        self,
        grid_event_id: GridEventId,
        program_id: ProgramId,
        intervals: Sequence[tuple[dt.datetime, dt.datetime, float]],
    ) -> str:
        """Post ``intervals`` (start, end, kW with relief positive) to the VTN; returns its report's id.

        On the wire DEMAND (KW) and USAGE (KWH) count consumption positive, so relief becomes negative.
        The report's name is made from its content: before a second try, and where the VTN has that name
        already (told by a life that ended before it could journal it), we look whether it arrived, so one
        performance is reported once. Raises ``Unavailable`` after ``REPORT_TRIES`` tries,
        ``VtnRefused`` at once when the VTN declines. Reports name an event; the program follows from it.
        """
        event_id = self._book.event_id(grid_event_id)
        if event_id is None:
            raise RevereError(
                "no OpenADR event is known for this grid event",
                where=f"{grid_event_id} of {program_id}",
                remedy="Poll the VTN once, then report again",
            )
        draft = performance_report(event_id, self._client_name, "", intervals)
        digest = hashlib.sha256(msgspec.json.encode(draft)).hexdigest()[:12]
        report = msgspec.structs.replace(draft, reportName=f"performance {grid_event_id} {digest}")
        body = msgspec.json.encode(report)
        backoff_s = BACKOFF_FIRST_S
        for attempt in range(1, REPORT_TRIES + 1):
            try:
                found = await self._find_report(report) if attempt > 1 else None
                report_id = found or await self._post_report(report, body)
            except (Unavailable, msgspec.ValidationError) as error:
                if attempt == REPORT_TRIES:
                    raise Unavailable("report not accepted", where=str(grid_event_id), got=str(error)) from error
                self.counters.report_retries += 1
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)
            else:
                self.counters.reports_posted += 1
                return report_id
        raise AssertionError("the last try returns or raises")

    async def _post_report(self, report: wire.Report, body: bytes) -> str:
        try:
            return wire.as_wire(await self.http.post("/reports", body), wire.ReportAnswer).id
        except VtnRefused as refused:
            found = await self._find_report(report) if refused.got == CONFLICT else None
            if found is None:
                raise
            return found

    async def _find_report(self, report: wire.Report) -> str | None:
        """The id of an equal report that the VTN already holds."""
        query = {"eventID": report.eventID, "clientName": report.clientName}
        rows, _ = await self._list("/reports", EVENTS_MAX, query)
        for row in rows:
            if isinstance(row, dict) and row.get("reportName") == report.reportName:
                return wire.as_wire(row, wire.ReportAnswer).id
        return None

    async def _list(self, path: str, most: int, query: Mapping[str, str]) -> tuple[list[Any], bool]:
        """All objects of a list, page by page, and whether the list is complete.

        A server that ignores ``skip`` repeats its page: the list ends where nothing new comes.
        """
        rows: list[Any] = []
        seen: set[str] = set()
        while len(rows) < most:
            page = await self.http.get(path, {**query, "skip": str(len(rows)), "limit": str(wire.PAGE_LIMIT)})
            if not isinstance(page, list):
                raise Unavailable("answer is not a list", where=path, got=type(page).__name__, expected="an array")
            named = 0
            for row in page:
                ident = _raw_id(row)
                if ident is None or ident not in seen:
                    rows.append(row)
                if ident is not None and ident not in seen:
                    seen.add(ident)
                    named += 1
            if len(page) < wire.PAGE_LIMIT or not named:
                return rows[:most], len(rows) <= most
        self.counters.lists_truncated += 1
        return rows[:most], False

    def _read(self, programs: Sequence[Any], rows: Sequence[Any], complete: bool, now: dt.datetime) -> Reading:
        """Read each object by itself: one with nonsense never hides the others."""
        reading = Reading(complete=complete)
        ours: dict[str, ProgramId] = dict(self._programs)
        for row in programs:
            try:
                program = wire.as_wire(row, wire.Program)
            except msgspec.ValidationError as error:
                reading.refused[f"program {_raw_id(row)}"] = str(error)[:REASON_MAX_CHARS]
                continue
            if program.programName in self._programs:
                ours[program.id] = self._programs[program.programName]
        self.counters.other_programs = 0
        for row in rows:
            ident = _raw_id(row)
            if ident is None:
                reading.complete = False
            else:
                reading.present.add(ident)
            try:
                event = wire.as_wire(row, wire.Event)
                program_id = ours.get(event.programID)
                if program_id is None:
                    self.counters.other_programs += 1
                else:
                    reading.events.append(translate_event(event, program_id, now))
            except (EventRefused, msgspec.ValidationError) as error:
                reading.refused[f"event {ident}"] = str(error)[:REASON_MAX_CHARS]
        return reading

    def _alarms(self, refused: Mapping[str, str], now: dt.datetime) -> list[Fact]:
        """What a person should hear: new refusals, refusals that are over, a VTN that is back."""
        alarms: list[Fact] = [
            AlarmRaised(at=now, key=_alarm_key(what), severity="warning", subject=f"utility's {what} refused", text=why)
            for what, why in refused.items()
            if self._refusals.get(what) != why
        ]
        alarms += [AlarmCleared(at=now, key=_alarm_key(what)) for what in self._refusals if what not in refused]
        if self._silent_said:
            alarms.append(AlarmCleared(at=now, key=SILENT_ALARM))
        return alarms

    def _count(self, reading: Reading, kept: Mapping[str, str], facts: int) -> None:
        self.counters.facts += facts
        self.counters.refused += sum(self._refusals.get(what) != why for what, why in kept.items())
        self.counters.refused_beyond_bound += len(reading.refused) - len(kept)
        self.counters.stale += sum(self._book.is_stale(event) for event in reading.events)
        self.counters.randomize_ignored += sum(
            event.randomize_ignored and self._book.is_new_version(event) for event in reading.events
        )

    async def _failed(self, error: RevereError) -> None:
        """Count a failed poll; after several in a row say so once, as soon as the store can hear it."""
        self.counters.polls_failed += 1
        self._silent_polls += 1
        if self._silent_polls < SILENT_POLLS or self._silent_said:
            return
        now = self._clock.now()
        text = error.text()[:REASON_MAX_CHARS]
        alarm = AlarmRaised(at=now, key=SILENT_ALARM, severity="warning", subject="utility (OpenADR)", text=text)
        try:
            await self._sink.record([alarm])
        except Unavailable:
            return
        self._silent_said = True


def _raw_id(row: Any) -> str | None:
    """The id of an object that may otherwise be nonsense."""
    ident = row.get("id") if isinstance(row, dict) else None
    return ident if isinstance(ident, str) and 0 < len(ident) <= 128 else None


def _alarm_key(what: str) -> str:
    return f"{SILENT_ALARM}-{hashlib.sha256(what.encode()).hexdigest()[:16]}"


__all__ = ["Counters", "Ven", "VtnRefused"]
