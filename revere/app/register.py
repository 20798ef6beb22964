"""Registering a programme from a scenario file: what is added, what is changed, what stays or goes; each is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.errors import Refused
from revere.core.words import count
from revere.store.registry import KINDS, fleet_assets

if TYPE_CHECKING:
    from revere.app.admin import AdminDesk
    from revere.core.assets import Fleet
    from revere.store.registry import Asset

NAMED_MAX = 20


async def add_fleet(desk: AdminDesk, fleet: Fleet, *, replace: bool = False, lower: bool = False) -> str:
    """Add a scenario's assets to the registry; those of the same kind and id take the file's values.

    With ``replace`` the registry becomes equal to the file. A station's security profile falls only with ``lower``.
    Returns what changed, by id.
    """
    if fleet.programme.id != desk.store.tenant:
        raise Refused(
            "the scenario is another programme's",
            got=fleet.programme.id,
            expected=desk.store.tenant,
            remedy="Set programme in revere.toml",
        )
    before = await desk.store.load_fleet()
    old = {} if before is None else _by_name(before)
    new = _by_name(fleet)
    if before is not None and not lower:
        _refuse_lower(before, fleet)
    if replace:
        await desk.store.save_fleet(fleet)
    else:
        await desk.store.save_assets(list(new.values()))
    others = [name for name in old if name not in new]
    lines = [
        *_counted("added", [name for name in new if name not in old]),
        *_counted("changed", [name for name in new if name in old and new[name] != old[name]]),
        *_counted("removed" if replace else "kept, though not in this file", others),
    ]
    after = await desk.store.load_fleet()
    assert after is not None
    lines.append(
        f"Registered now: {count(len(after.sites), 'site')}, {count(len(after.stations), 'station')}, "
        f"{count(len(after.vehicles), 'vehicle')}."
    )
    return desk.told("\n".join([*lines, *_unknown(after)]))


def _refuse_lower(before: Fleet, fleet: Fleet) -> None:
    """A file that says nothing of security must not undo what somebody has secured."""
    held = {station.id: station.security_profile for station in before.stations}
    falls = [
        f"{station.id} from {held[station.id]} to {station.security_profile}"
        for station in fleet.stations
        if station.security_profile < held.get(station.id, 0)
    ]
    if falls:
        raise Refused(
            "the security profile of stations would fall",
            got=", ".join(falls[:NAMED_MAX]),
            expected="no lower profile than is registered",
            remedy="Say security_profile under the chargers, or --lower-security where it is meant",
        )


def _by_name(fleet: Fleet) -> dict[str, Asset]:
    return {f"{KINDS[type(asset)].replace('_', ' ')} {asset.id}": asset for asset in fleet_assets(fleet)}


def _counted(what: str, names: list[str]) -> list[str]:
    """One line with the names, as many as a person reads; none where there is nothing to say."""
    if not names:
        return []
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return [f"{len(names)} {what}: {', '.join(names[:NAMED_MAX])}{more}"]


def _unknown(fleet: Fleet) -> list[str]:
    """What the guide will miss."""
    known = {group.id for group in fleet.block_groups}
    outside = sum(person.block_group not in known for person in fleet.participants)
    lines = []
    if outside:
        lines.append(
            f"The equity share counts {outside} of {len(fleet.participants)} participants as outside: nothing is known "
            "of their census block groups (--block-groups FILE takes them from the state's CSV)."
        )
    if fleet.programme.simulated is None:
        lines.append("Say `simulated = true` or `false` under [programme]: the guide tells its readers.")
    return lines
