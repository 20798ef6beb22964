"""What the command line asks of the running server about firmware campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from rich.table import Table

from revere.app.remote import detail, get, post
from revere.control.view import CampaignView
from revere.core.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

FILE_MAX_BYTES = 16 * 1024
PATH = "/api/v1/campaigns"


def start(
    folder: Path,
    version: str,
    location: str,
    stations: tuple[str, ...],
    kind: tuple[str, str],
    signed: tuple[Path | None, Path | None],
) -> str:
    """Begin a campaign; ``kind`` is vendor and model, ``signed`` certificate and signature as files."""
    if not stations and not all(kind):
        raise Refused("for which stations?", expected="--station, or --vendor and --model")
    body: dict[str, object] = {
        "version": version,
        "location": location,
        "stations": list(stations),
        "vendor": kind[0],
        "model": kind[1],
        "signing_certificate": _text(signed[0]),
        "signature": "".join(_text(signed[1]).split()),
    }
    answer = post(folder, PATH, body)
    return f"{answer.get('reference', '')}: {detail(answer)}"


def _text(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        raw = file.read_bytes()
        if len(raw) > FILE_MAX_BYTES:
            raise Refused("too large a file", where=str(file), got=len(raw), expected=FILE_MAX_BYTES)
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"cannot be read: {error}", where=str(file)) from error


def tell(folder: Path, campaign_id: str, order: str, why: str) -> str:
    """Pause, resume or abort; returns the server's sentence."""
    return detail(post(folder, f"{PATH}/{quote(campaign_id, safe='')}/{order}", {"why": why}))


def table(folder: Path, campaign_id: str | None) -> Table:
    """All campaigns, or the stations of one."""
    if campaign_id is not None:
        one = msgspec.convert(get(folder, f"{PATH}/{quote(campaign_id, safe='')}"), CampaignView)
        rows = Table("station", "stage", "step", "why", title=f"{one.campaign_id}: {one.version}, {one.state}")
        for row in one.stations:
            rows.add_row(row.station_id, str(row.stage), row.step, row.why)
        return rows
    found = msgspec.convert(get(folder, PATH)["campaigns"], tuple[CampaignView, ...])
    listed = Table("campaign", "firmware", "for", "state", "stage", "passed", "failed", "under way", "waiting", "why")
    for one in found:
        listed.add_row(
            one.campaign_id,
            one.version,
            f"{one.vendor} {one.model}",
            one.state,
            f"{one.stage} of {one.stages}",
            *(str(count) for count in (one.passed, one.failed, one.under_way, one.waiting)),
            one.why or one.waits_for,
        )
    return listed
