"""The command line's words for firmware campaigns: ``revere campaign ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from revere.cli_shared import out, say

campaign_app = App(name="campaign", help="New firmware for many stations: one, then a tenth, then all.")


@campaign_app.command(name="start")
def campaign_start(
    version: str,
    location: str,
    *,
    station: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    vendor: str = "",
    model: str = "",
    certificate: Path | None = None,
    signature: Path | None = None,
) -> None:
    """Begin a firmware campaign at the running server. It stops itself when too many stations of a stage fail.

    Args:
        version: what a station says at its boot once it has it.
        location: where stations fetch it; its host must be named in the settings (ocpp.file_hosts).
        station: a station, once for each, in this order; without any, all of --vendor and --model.
        vendor: the maker of the stations, as they say it.
        model: their model, as they say it.
        certificate: the maker's signing certificate (PEM); comes with --signature.
        signature: the firmware's signature (Base64) in a file.
    """
    from revere.app.remote_campaign import start
    from revere.app.settings import state_folder

    say(start(state_folder(), version, location, station, (vendor, model), (certificate, signature)))


@campaign_app.command(name="list")
def campaign_list(campaign_id: str | None = None) -> None:
    """List campaigns, the newest first; or one campaign's stations.

    Args:
        campaign_id: one campaign, with each of its stations.
    """
    from revere.app.remote_campaign import table
    from revere.app.settings import state_folder

    out.print(table(state_folder(), campaign_id))


@campaign_app.command(name="pause")
def campaign_pause(campaign_id: str, *, why: str = "") -> None:
    """Begin with no further station. What a station has begun, it ends.

    Args:
        campaign_id: the campaign; `revere campaign list` shows all.
        why: the reason, for whoever reads it later.
    """
    _tell(campaign_id, "pause", why)


@campaign_app.command(name="resume")
def campaign_resume(campaign_id: str, *, why: str = "") -> None:
    """Go on with a paused campaign.

    Args:
        campaign_id: the campaign; `revere campaign list` shows all.
        why: the reason, for whoever reads it later.
    """
    _tell(campaign_id, "resume", why)


@campaign_app.command(name="abort")
def campaign_abort(campaign_id: str, *, why: str = "") -> None:
    """Give a campaign up for good. What a station has begun, it ends.

    Args:
        campaign_id: the campaign; `revere campaign list` shows all.
        why: the reason, for whoever reads it later.
    """
    _tell(campaign_id, "abort", why)


def _tell(campaign_id: str, order: str, why: str) -> None:
    from revere.app.remote_campaign import tell
    from revere.app.settings import state_folder

    say(tell(state_folder(), campaign_id, order, why))
