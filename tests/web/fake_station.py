"""One station in depth, for tests and previews of its page."""

from __future__ import annotations

import datetime as dt
from typing import Any

from revere.control.view import StationView, TellingView
from revere.core.portrait import FrameShown


def station_view(station_id: str, now: dt.datetime) -> StationView:
    """Its certificate ends in 20 days; it refused a reset, and did not follow one set-point."""

    def ago(minutes: float) -> dt.datetime:
        return now - dt.timedelta(minutes=minutes)

    def told(minutes: float, kind: str, **what: Any) -> TellingView:
        return TellingView(command_id=f"{kind}-{minutes}", at=ago(minutes), kind=kind, **{"by": "control", **what})

    past = {"said": "accepted", "ended_at": ago(3.5)}
    tellings = (
        told(0.1, "setpoint", setpoint_kw=-28.5, said="accepted", proof="awaited"),
        told(4, "setpoint", setpoint_kw=-30.0, proof="confirmed", **past),
        told(40, "reset-station", by="ann", said="refused", ended_at=ago(39.9), why="a session runs"),
        told(55, "setpoint", setpoint_kw=12.0, proof="not confirmed", why="asked 12.0 kW, meter shows 0.0 kW", **past),
    )
    return StationView(
        station_id=station_id,
        vendor="Lightbridge",
        model="V2G-60",
        serial="LB-2207-0041",
        firmware="2.4.1",
        stranger="",
        booted_at=ago(2100),
        registered_protocol="ocpp2.1",
        security_profile=3,
        charge_kw=60.0,
        discharge_kw=60.0,
        controllable=True,
        gives=True,
        charger_model="native-2.1",
        charger_model_why="nothing narrower fits what it said: Lightbridge, V2G-60, 2.4.1",
        way="OCPP 2.1 set-points, both ways",
        profile_interval_s=60.0,
        certificate_ends=now + dt.timedelta(days=20),
        connected_at=ago(2100),
        offline_at=None,
        operation_mode="central-setpoint",
        operation_mode_since=ago(300),
        problems=("SampledDataCtrlr.TxUpdatedInterval: reads '30', was set to '60'",),
        variables=5,
        told=tellings,
    )


def frames_shown(now: dt.datetime) -> tuple[FrameShown, ...]:
    """A minute of meter values and set-points."""
    meter = (
        '[2,"m%d","TransactionEvent",{"eventType":"Updated","idToken":{"idToken":"•••7F","type":"ISO14443"},'
        '"meterValue":[{"sampledValue":[{"value":-28450.0,"measurand":"Power.Active.Import"}]}]}]'
    )
    wish = '[2,"r%d","UpdateDynamicSchedule",{"chargingProfileId":101,"scheduleUpdate":{"setpoint":-28500.0}}]'
    found = []
    for number in range(6):
        at = now - dt.timedelta(seconds=60 - 10 * number)
        for incoming, kind, action, text in (
            (True, "call", "TransactionEvent", meter % number),
            (False, "answer", "TransactionEvent", f'[3,"m{number}",{{}}]'),
            (False, "call", "UpdateDynamicSchedule", wish % number),
            (True, "answer", "UpdateDynamicSchedule", f'[3,"r{number}",{{"status":"Accepted"}}]'),
        ):
            found.append(
                FrameShown(at=at, incoming=incoming, kind=kind, action=action, size_bytes=len(text), text=text)  # type: ignore[arg-type]
            )
    return tuple(found)
