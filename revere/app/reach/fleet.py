"""A fleet of any size for benches: schools with a hundred chargers each, secrets that both sides can compute."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from revere.control.building import fallback_profiles
from revere.control.directory import SECRET_BYTES, Directory, secret_mac
from revere.control.image import Image
from revere.core.assets import Feeder, Fleet, Participant, Programme, Site, Station, Vehicle
from revere.core.ids import FeederId, ParticipantId, SiteId, StationId, TenantId, VehicleId
from revere.core.tariff import Tariff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.core.assets import Protocol, SecurityProfile

PER_SITE: Final = 100
KEY: Final = b"a bench has no secrets"
VENDOR: Final = "Bench"
MODEL: Final = "B-1"


def station_name(number: int) -> str:
    """The id of a bench's station."""
    return f"S{number:05}"


def serial(station_id: str) -> str:
    """What its maker wrote on it."""
    return f"N{station_id}"


def token(station_id: str) -> str:
    """The token of its vehicle."""
    return f"BUS-{station_id}"


def secret(station_id: str) -> str:
    """A station's secret, the same in every process."""
    return hashlib.sha256(f"bench {station_id}".encode()).hexdigest()[: 2 * SECRET_BYTES]


def bench_fleet(
    count: int, *, protocols: Sequence[Protocol] = ("ocpp2.1",), security_profile: SecurityProfile = 1
) -> Fleet:
    """``count`` stations, each with its bus; the protocols take turns."""
    sites = [_site(number) for number in range(-(-count // PER_SITE))]
    names = [station_name(number) for number in range(count)]
    return Fleet(
        programme=Programme(id=TenantId("bench"), name="Bench", zone="America/New_York"),
        feeders=(Feeder(id=FeederId("feeder"), name="Feeder", import_limit_kw=1e6, export_limit_kw=1e6),),
        sites=tuple(sites),
        stations=tuple(
            Station(
                id=StationId(name),
                site_id=sites[number // PER_SITE].id,
                vendor=VENDOR,
                model=MODEL,
                serial=serial(name),
                protocol=protocols[number % len(protocols)],
                connector="cCCS1",
                charge_kw=60.0,
                discharge_kw=0.0 if protocols[number % len(protocols)] == "ocpp1.6" else 60.0,
                security_profile=security_profile,
            )
            for number, name in enumerate(names)
        ),
        vehicles=tuple(_bus(name) for name in names),
        participants=tuple(
            Participant(id=site.participant_id, name=site.name, kind="school", grant_usd=Decimal(0)) for site in sites
        ),
        programs=(),
        tariffs=(Tariff(id="flat", name="Flat", source="bench", verified=False, base_usd_per_kwh=Decimal("0.20")),),
    )


def _site(number: int) -> Site:
    return Site(
        id=SiteId(f"school{number}"),
        name=f"School {number}",
        kind="school",
        town="Boston",
        utility="Eversource",
        utility_kind="investor_owned",
        utility_account=f"account{number}",
        feeder_id=FeederId("feeder"),
        participant_id=ParticipantId(f"district{number}"),
        tariff_id="flat",
        import_limit_kw=5_000.0,
        export_limit_kw=5_000.0,
        load_shape="school",
        load_peak_kw=100.0,
    )


def _bus(station_id: str) -> Vehicle:
    return Vehicle(
        id=VehicleId(f"bus-{station_id}"),
        name="Bus",
        kind="bus",
        make="B",
        station_id=StationId(station_id),
        token=token(station_id),
        capacity_kwh=200.0,
        charge_kw=60.0,
        discharge_kw=60.0,
    )


def directory(fleet: Fleet, image: Image) -> Directory:
    """Lets every station of the fleet in with its :func:`secret`."""
    profiles, _ = fallback_profiles(fleet)
    macs = {str(station.id): secret_mac(KEY, station.id, secret(station.id)) for station in fleet.stations}
    return Directory(fleet, KEY, macs, profiles, image)
