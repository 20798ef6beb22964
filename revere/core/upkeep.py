"""Facts of upkeep: firmware and its campaigns, logs, what stations watch. Part of :mod:`revere.core.facts`."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from revere.core.fact_base import FactBase
from revere.core.ids import CampaignId, StationId

FirmwareStatus = Literal[
    "idle",
    "download_scheduled",
    "downloading",
    "download_paused",
    "downloaded",
    "download_failed",
    "signature_verified",
    "invalid_signature",
    "install_scheduled",
    "installing",
    "install_rebooting",
    "install_verification_failed",
    "installation_failed",
    "installed",
]
"""How far a station is with new firmware."""


class NumberGiven(FactBase, frozen=True, tag=True, kw_only=True):
    """A station is about to be asked for something on which it reports later, under this number."""

    station_id: StationId
    request_id: int


class FirmwareReported(FactBase, frozen=True, tag=True, kw_only=True):
    """How far a station is with new firmware; ``request_id`` is that of the order, where the edition tells it."""

    station_id: StationId
    status: FirmwareStatus
    request_id: int | None = None
    why: str = ""


class FirmwarePublished(FactBase, frozen=True, tag=True, kw_only=True):
    """How far a local controller is with offering firmware to the stations of its site, in OCPP's words; where."""

    station_id: StationId
    status: str
    locations: tuple[str, ...] = ()
    request_id: int | None = None
    why: str = ""


class LogReported(FactBase, frozen=True, tag=True, kw_only=True):
    """How far a station is with bringing a log, in OCPP's words."""

    station_id: StationId
    status: str
    request_id: int | None = None
    why: str = ""


class MonitorReported(FactBase, frozen=True, tag=True, kw_only=True):
    """A variable that a station watches has changed, or crossed a bound, or is back.

    ``severity`` 0 (danger) to 9 (debugging), None where the station does not say and the monitor is not known.
    """

    station_id: StationId
    variable: str
    value: str
    trigger: Literal["alerting", "delta", "periodic"]
    ts: dt.datetime
    severity: int | None = None
    monitor: int | None = None
    cleared: bool = False
    why: str = ""


class CampaignStarted(FactBase, frozen=True, tag=True, kw_only=True):
    """Somebody ordered new firmware for stations of one kind, to be installed in this order."""

    campaign_id: CampaignId
    by: str
    vendor: str
    model: str
    version: str
    location: str
    stations: tuple[StationId, ...]
    signing_certificate: str = ""
    signature: str = ""


class CampaignTold(FactBase, frozen=True, tag=True, kw_only=True):
    """A person's word to a campaign. What a station has begun, it ends."""

    campaign_id: CampaignId
    order: Literal["pause", "resume", "abort"]
    by: str
    why: str = ""


class CampaignStep(FactBase, frozen=True, tag=True, kw_only=True):
    """One station of a campaign.

    ``asked``: it gets the order, ``accepted``: it will do it, ``put_off``: it did not hear it, ``let_go``: its session
    ended so that it can install, ``restored``: that session was started again, ``passed`` and ``failed``: how it ended.
    ``problems`` were known when it was asked.
    """

    campaign_id: CampaignId
    station_id: StationId
    step: Literal["asked", "accepted", "put_off", "let_go", "restored", "passed", "failed"]
    why: str = ""
    request_id: int | None = None
    problems: tuple[str, ...] = ()


class CampaignEnded(FactBase, frozen=True, tag=True, kw_only=True):
    """All stations have it, or too many failed."""

    campaign_id: CampaignId
    outcome: Literal["done", "stopped"]
    why: str = ""
