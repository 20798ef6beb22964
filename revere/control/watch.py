"""What an operator must hear now: departures that cannot be met, broken promises, silence, meters, our own clock.

Every alarm has a key; it is raised once and cleared once, whatever the journal has of it already.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

from revere.control.bounds import load_known, may_give
from revere.control.image import MOVING_KW
from revere.control.locks import power_under_lock_kw
from revere.control.outlook import idle_text, journey_outlook, late_text
from revere.control.promise import broken_promises
from revere.control.silence import Silence, alarm_key
from revere.control.snapshot import read_slots
from revere.core import facts as f
from revere.core.time import local

if TYPE_CHECKING:
    from revere.control.image import Image
    from revere.control.scribe import Scribe
    from revere.control.snapshot import Slot, Snapshot
    from revere.core.ids import SiteId
    from revere.plan.schedule import Plan

OFFLINE_TOLD_AFTER = dt.timedelta(minutes=10)
METER_TOLD_FOR = dt.timedelta(minutes=15)
"""So long after its last impossible value a meter is still spoken of."""
LOCK_PROVEN_WITHIN = dt.timedelta(minutes=1)
LOAD_TOLD_AFTER = dt.timedelta(minutes=15)
"""Two five-minute values of every meter of the site, and some patience."""
SHORT_TOLD_KWH = 0.5
NOTHING_TOLD_AFTER = dt.timedelta(minutes=1)
"""A house that starts in an event hears its stations first: then it says once why nothing is promised."""
IDLE_TOLD_AFTER = dt.timedelta(minutes=5)
"""So long a driver may take from the plug to the card, or from the last session's end to the wheel."""


class Watch:
    """Compares the image with what people were told."""

    def __init__(self, image: Image, scribe: Scribe) -> None:
        self._image = image
        self._scribe = scribe
        self._silence = Silence(image)
        self._promises: dict[str, object] = {}
        self._nothing_since: dict[str, dt.datetime] = {}
        self._departing: dict[str, tuple[str, dt.datetime]] = {}
        self._idle_since: dict[str, dt.datetime] = {}
        self._unmetered: dict[SiteId, dt.datetime] = {}
        self._told: dict[str, bool] = {}  # alarms that this life raised or cleared, journaled yet or not

    def look(self, now: dt.datetime) -> None:
        """Go round: vehicles, locks, links, meters."""
        self._departures(now)
        self._locks(now)
        self._links(now)
        self._meters(now)
        self._loads(now)

    def promises(self, snapshot: Snapshot, plan: Plan, now: dt.datetime) -> None:
        """Tell which nomination cannot be met any more and why; tell it anew when the story is another."""
        found = {f"promise:{b.event.grid_event_id}": b for b in broken_promises(self._image, snapshot, plan)}
        told = {key for key in (*self._image.alarms, *self._told) if key.startswith("promise:")}
        for key in sorted(told - found.keys()):
            self.clear(key, now)
        for key, broken in found.items():
            nothing = broken.nominated_kw <= 0 and broken.event.start < now
            if nothing and now - self._nothing_since.setdefault(key, now) < NOTHING_TOLD_AFTER:
                continue
            if self._promises.get(key) != broken.kind():
                self._promises[key] = broken.kind()
                self.clear(key, now)
            text = broken.text(self._image.fleet.programme.zone)
            self.alarm(key, "warning" if broken.event.drill else "critical", broken.event.grid_event_id, text, now)

    def _departures(self, now: dt.datetime) -> None:
        """Tell the operator now, with kWh and minutes, when a departure cannot be met."""
        for slot in read_slots(self._image, now):
            evse = slot.evse
            assert evse.vehicle is not None
            key = f"departure:{evse.vehicle.id}"
            if not evse.sits_idle():
                self._idle_since.pop(key, None)
                found = self._late(slot, now)
            elif now - self._idle_since.setdefault(key, now) >= IDLE_TOLD_AFTER:
                found = self._idle(slot)
            else:
                continue  # what was said stands until this is known
            if found is None:
                self.clear(key, now)
                continue
            story, text = found
            if self._departing.setdefault(key, story) != story:
                self._departing[key] = story
                self.clear(key, now)  # it spoke of a departure that is over, or was put off, or of another cause
            self.alarm(key, "critical", evse.vehicle.id, text, now)

    def _late(self, slot: Slot, now: dt.datetime) -> tuple[tuple[str, dt.datetime], str] | None:
        """The first departure missed by a vehicle with a session or before a charger out of service, and its words."""
        evse = slot.evse
        if not slot.known or not (evse.session_id is not None or evse.out_of_service(now)):
            return None
        for journey in slot.presence.next_departures():
            result = journey_outlook(slot, journey, now)
            if evse.vehicle is not None and result.short_kwh > SHORT_TOLD_KWH:
                return (journey.name, journey.depart), late_text(evse.vehicle.id, journey.name, result)
        return None

    def _idle(self, slot: Slot) -> tuple[tuple[str, dt.datetime], str] | None:
        """The departure of a vehicle without a session that does not surely have enough, and its words.

        What was measured counts as long as its cable has been in ever since.
        """
        evse = slot.evse
        if not slot.presence.journeys:
            return None
        journey = slot.presence.journeys[0]
        stayed = evse.occupied_since is not None and evse.soc_at >= evse.occupied_since
        energy_kwh = self._image.energy_kwh(evse) if stayed else None
        if energy_kwh is not None and journey.needed_kwh - energy_kwh <= SHORT_TOLD_KWH:
            return None
        text = idle_text(slot, journey, energy_kwh, self._image.fleet.programme.zone)
        return (f"{journey.name}, no session", journey.depart), text

    def _locks(self, now: dt.datetime) -> None:
        """Say which locked station is not, or no longer, proven to rest: somebody may be at its wires."""
        for evse in self._image.evses.values():
            key = f"lock:{evse.station.id}"
            power_kw = power_under_lock_kw(evse) if evse.locks else None
            moves = power_kw is not None and abs(power_kw) >= MOVING_KW
            late = evse.lock_state() == "closing" and now - evse.locks[0].at >= LOCK_PROVEN_WITHIN
            if not evse.locks or not (moves or late):
                self.clear(key, now)
                continue
            shown = "nothing" if power_kw is None else f"{power_kw:.1f} kW"
            text = f"{evse.station.id} is locked by {evse.locks[0].by}, but its meter shows {shown}. "
            self.alarm(key, "critical", evse.station.id, text + "Cut its supply before anybody touches it.", now)

    def _links(self, now: dt.datetime) -> None:
        """Say who has been out of reach for longer than a link's usual hiccup, and what that may mean."""
        found = self._silence.look(now)
        for fact in found:
            if isinstance(fact, f.AlarmRaised):
                self._told.pop(fact.key, None)  # raised by another hand: from now on the journal's word counts
        self._scribe.write(found)
        uplink = self._silence.uplink_down(now)
        if uplink:
            self.alarm("uplink", "critical", "links", uplink, now)
        else:
            self.clear("uplink", now)
        for site_id, item in self._image.sites.items():
            if item.silent_since is None:
                self.clear(alarm_key(site_id), now)
        for evse in self._image.evses.values():
            key = f"offline:{evse.station.id}"
            since = evse.offline_at
            if evse.online or since is None or now - since < OFFLINE_TOLD_AFTER:
                self.clear(key, now)
                continue
            at = f"{local(since, self._image.fleet.programme.zone):%H:%M}"
            text = f"{evse.station.id} has been out of reach since {at} and charges by its own profile"
            self.alarm(key, "warning", evse.station.id, text, now)

    def _meters(self, now: dt.datetime) -> None:
        """Say whose values are not believed, and why."""
        for asset, (at, why) in self._image.refused.items():
            key = f"meter:{asset}"
            if now - at >= METER_TOLD_FOR:
                self.clear(key, now)
                continue
            said = "its clock is over a minute off" if why == "clock" else why
            text = f"{asset} is not believed: {said}. Its last good value stands for a while, then none. "
            self.alarm(key, "warning", asset, text + "Check the unit, the wiring and the clock of this meter.", now)

    def _loads(self, now: dt.datetime) -> None:
        """Say which building's meter has been missed for longer than a start takes: nothing is given behind it."""
        for site_id, item in self._image.sites.items():
            key = f"load:{site_id}"
            evses = self._image.site_evses[site_id]
            asked = any(evse.online and evse.station.discharge_kw > 0 for evse in evses)
            since = self._unmetered.setdefault(site_id, now)
            if load_known(item, now) or not asked or not may_give(self._image, item):
                self._unmetered[site_id] = now
                self.clear(key, now)
            elif now - since >= LOAD_TOLD_AFTER:
                at = f"{local(since, self._image.fleet.programme.zone):%H:%M}"
                text = (
                    f"{item.site.name}: the building's load has not been known since {at}, so nothing is given there. "
                )
                self.alarm(key, "warning", site_id, text + "Check its main meter and the link to it.", now)

    def clock(self, now: dt.datetime, *, synchronised: bool) -> None:
        """Say that nothing settles while our own clock may be wrong."""
        if synchronised:
            self.clear("clock", now)
            return
        text = (
            "This machine's clock is not known to be synchronised: nothing settles. "
            'Start chrony or systemd-timesyncd, or set clock = "trusted" where the host keeps the time.'
        )
        self.alarm("clock", "warning", "clock", text, now)

    def alarm(
        self, key: str, severity: Literal["warning", "critical"], subject: str, text: str, now: dt.datetime
    ) -> None:
        """Raise an alarm that is not up, as far as this life has told."""
        if self._told.get(key, key in self._image.alarms):
            return
        self._told[key] = True
        self._scribe.write([f.AlarmRaised(at=now, key=key, severity=severity, subject=subject, text=text[:400])])

    def clear(self, key: str, now: dt.datetime) -> None:
        """Take an alarm down, if it is up."""
        if self._told.get(key, key in self._image.alarms):
            self._told[key] = False
            self._scribe.write([f.AlarmCleared(at=now, key=key)])
