"""The command line's words for stations: ``revere station ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from revere.cli_shared import Config, admin, out, say

station_app = App(name="station", help="Charging stations and their secrets.")


@station_app.command(name="add")
def station_add(
    station_id: str | None = None,
    *,
    all_stations: Annotated[bool, Parameter(name="--all", negative="")] = False,
    serial: str | None = None,
    to: Annotated[Path | None, Parameter(name="--out")] = None,
    config: Config = None,
) -> None:
    """Give a registered station (or all) a new 160-bit secret, shown once.

    Args:
        station_id: the station's id; `revere station list` shows all.
        all_stations: every station of the registry.
        serial: the serial number on the charger; without it the one of the first boot is kept.
        to: write the secrets to this file (mode 0600) and not to the screen.
    """
    from revere.app.admin import new_secrets
    from revere.app.files import check_output

    check_output(to)
    say(admin(config, lambda desk: new_secrets(desk, station_id, every=all_stations, file=to, serial=serial)))


@station_app.command(name="accept")
def station_accept(station_id: str, serial: str = "") -> None:
    """Take the charger with this serial number for the station's own, at the running server.

    A charger that says another serial number than the known one is not commanded until then.

    Args:
        station_id: the station's id.
        serial: the serial number on the charger; left out for one that says none.
    """
    from revere.app.remote import accept_charger
    from revere.app.settings import state_folder

    say(accept_charger(state_folder(), station_id, serial))


@station_app.command(name="list")
def station_list(*, config: Config = None) -> None:
    """List stations, their protocol and whether they have a secret."""
    from revere.app.admin import list_stations

    say(admin(config, list_stations))


@station_app.command(name="renew")
def station_renew(station_id: str) -> None:
    """Have the running server give a connected station a new secret, which nobody else sees.

    The old secret opens the door until the station has come in with the new one.

    Args:
        station_id: the station's id.
    """
    from revere.app.remote import renew_secret
    from revere.app.settings import state_folder

    say(renew_secret(state_folder(), station_id))


@station_app.command(name="revoke-certificate")
def station_revoke_certificate(station_id: str) -> None:
    """Have the running server let a station in by none of the certificates that were made for it until now.

    An open connection is closed. The station is back once it has a newer certificate, from `revere pki` or your own
    authority; journaled with your name.

    Args:
        station_id: the station's id.
    """
    from revere.app.remote import revoke_certificate
    from revere.app.settings import state_folder

    say(revoke_certificate(state_folder(), station_id))


@station_app.command(name="order")
def station_order(station_id: str, kind: str, details: str = "") -> None:
    """Give a connected station an order at the running server, and print what it answers; journaled with your name.

    Args:
        station_id: the station's id.
        kind: what to do, such as reset-station; docs/reference/orders.md lists all.
        details: the order's fields as JSON, such as '{"when": "now"}'.
    """
    from revere.app.remote import order_station
    from revere.app.settings import state_folder

    sentence, told = order_station(state_folder(), station_id, kind, details)
    say(sentence)
    for name, value in told:
        say(f"{name} = {value}")


@station_app.command(name="security")
def station_security(station_id: str | None = None, *, days: int = 30, config: Config = None) -> None:
    """List security events: what stations reported and what the door refused under their ids, newest first.

    Args:
        station_id: one station's; without it, all stations'.
        days: how many days back.
    """
    from revere.app.admin import list_security

    out.print(admin(config, lambda desk: list_security(desk, station_id, days)))


@station_app.command(name="lock")
def station_lock(station_id: str, *, why: str) -> None:
    """Lock a station for a technician: 0 kW, then nothing but a stop reaches it.

    Says whether its meter shows that it rests.

    Args:
        station_id: the station's id.
        why: what is done there; kept in the journal.
    """
    from revere.app.remote import lock
    from revere.app.settings import state_folder

    say(lock(state_folder(), "stations", station_id, why))


@station_app.command(name="unlock")
def station_unlock(station_id: str, *, why: str) -> None:
    """Lift the locks that others set on a station, as the person whose token is in REVERE_TOKEN.

    Args:
        station_id: the station's id.
        why: why it is safe now; kept in the journal.
    """
    from revere.app.remote import unlock
    from revere.app.settings import state_folder

    say(unlock(state_folder(), "stations", station_id, why))
