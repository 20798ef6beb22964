"""Scenarios: a whole programme as TOML, checked before anything starts.

A scenario has two halves. What the control room knows (sites, stations, vehicles, rosters, contracts)
becomes a :class:`~revere.core.assets.Fleet`. What only nature knows (outages, weather, how honest
clocks and links are) stays in :class:`PlantFacts` and is read by the twin alone.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from decimal import Decimal
from typing import Any

import msgspec

from revere.core import assets
from revere.core.errors import ScenarioError
from revere.core.ids import FeederId, ParticipantId, SiteId, StationId, VehicleId, check_id
from revere.core.tariff import MIDNIGHT, Tariff
from revere.core.time import is_zone

MAX_TEXT_BYTES = 1 << 20
MAX_STATIONS = 2_000
LIMIT_MAX_KW = 100_000.0


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the file's tables: an unknown key is refused."""


class Run(Record, frozen=True, kw_only=True):
    """What ``revere run`` plays: the event, its day, the seed."""

    event_day: dt.date
    event_start: dt.time
    event_hours: float
    days: int = 3
    seed: int = 1
    notice_hours: float = 24.0
    program: str


class StationModel(Record, frozen=True, kw_only=True):
    """A charger of the catalogue; powers are AC magnitudes in kW. ``charger_model`` may name its kind."""

    vendor: str
    model: str
    protocol: assets.Protocol
    connector: str
    charge_kw: float
    discharge_kw: float = 0.0
    can_form_grid: bool = False
    charger_model: str = ""


class VehicleModel(Record, frozen=True, kw_only=True):
    """A vehicle of the catalogue: ``discharge_kw`` is given at its plug (AC), ``charge_kw`` taken by its battery."""

    make: str
    kind: str
    capacity_kwh: float
    charge_kw: float
    discharge_kw: float = 0.0
    soc_min: float = 0.15


class ChargerGroup(Record, frozen=True, kw_only=True):
    """Equal chargers of a site with a vehicle each; ``stagger_min`` shifts each vehicle's roster.

    ``serials`` names the chargers one by one; without it each serial number is learned at the first boot.
    ``security_profile`` is OCPP's: 1 Basic secret, 2 the same by TLS, 3 TLS with the station's certificate; 0 is for
    benches.
    """

    station: str
    vehicle: str
    count: int = 1
    trips: tuple[assets.Trip, ...] = ()
    stagger_min: float = 0.0
    serials: tuple[str, ...] = ()
    security_profile: assets.SecurityProfile = 1


class SiteEntry(Record, frozen=True, kw_only=True):
    """A site, or ``repeat`` equal ones (their ids get -01, -02 ...)."""

    id: str
    name: str
    kind: assets.SiteKind
    town: str
    utility: str
    utility_kind: assets.UtilityKind
    feeder: str
    tariff: str
    import_limit_kw: float | None = None
    export_limit_kw: float = 0.0
    load_shape: str
    load_peak_kw: float
    solar_kw: float = 0.0
    transfer_switch: bool = False
    critical_load_kw: float = 0.0
    backup_reserve_soc: float = 0.0
    block_group: str = ""
    grant_usd: Decimal = Decimal(0)
    latitude: float | None = None
    longitude: float | None = None
    repeat: int = 1
    chargers: tuple[ChargerGroup, ...] = ()


class Outage(Record, frozen=True, kw_only=True):
    """The grid dies at a site, ``day`` days after the event day, local time. ``switch_works`` = it islands."""

    site: str
    day: int = 0
    start: dt.time
    hours: float
    switch_works: bool = True


class PlantFacts(Record, frozen=True, kw_only=True):
    """Nature: how hot, how honest. Read by the twin alone."""

    high_c: float = 33.0
    low_c: float = 22.0
    clock_skew_max_s: float = 3.0
    link_drops_per_station_day: float = 0.2
    latency_s: float = 0.15
    trip_energy_sigma: float = 0.08
    return_sigma_min: float = 4.0
    firmware_failure_share: float = 0.0


class Entry(Record, frozen=True, kw_only=True):
    """The file as a whole."""

    programme: assets.Programme
    run: Run
    feeders: tuple[assets.Feeder, ...]
    tariffs: tuple[Tariff, ...]
    programs: tuple[assets.Program, ...]
    station_models: dict[str, StationModel]
    vehicle_models: dict[str, VehicleModel]
    sites: tuple[SiteEntry, ...]
    block_groups: tuple[assets.BlockGroupInputs, ...] = ()
    cards: tuple[assets.Card, ...] = ()
    outages: tuple[Outage, ...] = ()
    plant: PlantFacts = PlantFacts()


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A checked scenario: what control knows (``fleet``), what is played, what nature does."""

    name: str
    fleet: assets.Fleet
    run: Run
    outages: tuple[Outage, ...]
    plant: PlantFacts


def parse_scenario(text: str, file: str) -> Scenario:
    """The scenario of a TOML text; ``file`` is named in errors.

    Raises :class:`ScenarioError` with the file, the key, both values and the way out.
    """
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise ScenarioError("the scenario is too large", where=file, got=len(text), expected=MAX_TEXT_BYTES)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"not valid TOML: {error}", where=file, remedy="Mend the line named here.") from error
    try:
        entry = msgspec.convert(raw, Entry, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(error, raw, file) from error
    _check_numbers(raw, file, "")
    return _expand(entry, file)


RANGES: dict[str, tuple[float, float]] = {
    "charge_kw": (0.1, 5_000.0),
    "discharge_kw": (0.0, 5_000.0),
    "capacity_kwh": (0.0, 10_000.0),
    "energy_kwh": (0.01, 10_000.0),
    "soc_min": (0.0, 0.95),
    "import_limit_kw": (0.1, LIMIT_MAX_KW),
    "export_limit_kw": (0.0, LIMIT_MAX_KW),
    "load_peak_kw": (0.0, LIMIT_MAX_KW),
    "solar_kw": (0.0, LIMIT_MAX_KW),
    "critical_load_kw": (0.0, LIMIT_MAX_KW),
    "backup_reserve_soc": (0.0, 1.0),
    "base_usd_per_kwh": (0.0, 10.0),
    "price_usd_per_kwh": (0.0, 10.0),
    "export_credit_usd_per_kwh": (0.0, 10.0),
    "demand_usd_per_kw_month": (0.0, 1_000.0),
    "grant_usd": (0.0, 1e9),
    "income_usd": (0.0, 1e7),
    "town_income_usd": (0.0, 1e7),
    "statewide_income_usd": (0.0, 1e7),
    "minority": (0.0, 1.0),
    "limited_english": (0.0, 1.0),
    "repeat": (1, MAX_STATIONS),
    "seed": (0, 2**63 - 1),
    "event_hours": (0.25, 6.0),
    "hours": (0.01, 24.0 * 14),
    "count": (1, MAX_STATIONS),
    "stagger_min": (0.0, 240.0),
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "days": (0.01, 400.0),
    "notice_hours": (0.0, 24.0 * 14),
    "clock_skew_max_s": (0.0, 86_400.0),
    "link_drops_per_station_day": (0.0, 1_000.0),
    "latency_s": (0.0, 25.0),
    "trip_energy_sigma": (0.0, 1.0),
    "return_sigma_min": (0.0, 120.0),
    "high_c": (-60.0, 60.0),
    "low_c": (-60.0, 60.0),
}
"""What a number of the file may be, by its key."""
LIMIT_WAYS = {
    "import_limit_kw": "Read it from the service agreement or main breaker (a missing export limit means no export)",
    "feeders": "Ask the utility for the circuit's limit at this place (a missing export limit means no export)",
}
"""Where a missing import limit is to be found: a site's, a feeder's."""


def _check_numbers(value: Any, file: str, path: str) -> None:
    """Refuse the first number outside its key's range, NaN included, naming where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            low, high = RANGES.get(key, (0.0, 0.0))
            number = _number(inner) if key in RANGES else None
            if number is not None and not low <= number <= high:
                raise ScenarioError(
                    f"{key} is out of range",
                    where=f"{file}: {path or 'top level'}",
                    got=inner,
                    expected=f"{low:g} to {high:g}",
                    remedy="Correct the value; its unit is the end of its name",
                )
            _check_numbers(inner, file, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_numbers(inner, file, f"{path}[{index}]")


def _number(value: Any) -> float | None:
    """The number of a value; amounts of money are written as texts, and a key may hold words elsewhere."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def _explain(error: msgspec.ValidationError, raw: dict[str, Any], file: str) -> ScenarioError:
    """Turn msgspec's message and path into ours, with the offending value."""
    message = str(error)
    found = re.search(r" - at `(?:key in )?\$?([^`]*)`$", message)
    path = (found.group(1) if found else "").lstrip(".")
    what = message[: found.start()] if found else message
    value: Any = raw
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            value = value[int(step)] if step.isdigit() else value[step]
        except (KeyError, IndexError, TypeError):
            value = None
            break
    shown = None if isinstance(value, dict | list) or value is None else value
    unknown = re.search(r"unknown field `(.+)`", what)
    if unknown:
        return ScenarioError(
            f"unknown key {unknown.group(1)!r}",
            where=f"{file}: {path or 'top level'}",
            got=unknown.group(1),
            expected="a key of the scenario reference",
            remedy="Correct the spelling or remove the key (docs/reference/scenario.md lists all keys)",
        )
    missing = re.search(r"missing required field `(.+)`", what)
    if missing:
        key = missing.group(1)
        limit = LIMIT_WAYS["feeders" if path.startswith("feeders") else key] if key == "import_limit_kw" else ""
        return ScenarioError(
            f"{key} is missing",
            where=f"{file}: {path or 'top level'}",
            expected="the import limit in kW" if limit else "a value",
            remedy=limit or "Add the key (docs/reference/scenario.md says what it means)",
        )
    typed = re.search(r"Expected `(.+?)`", what)
    return ScenarioError(
        "not a value of this key" if typed else what,
        where=f"{file}: {path or 'top level'}",
        got=shown if shown is not None else (re.search(r"got `(.+?)`", what) or [None, None])[1],
        expected=typed.group(1) if typed else f"a value of {path.rsplit('.', 1)[-1]}",
        remedy="Correct the value (docs/reference/scenario.md lists what each key may be)",
    )


def _expand(entry: Entry, file: str) -> Scenario:
    sites: list[assets.Site] = []
    stations: list[assets.Station] = []
    vehicles: list[assets.Vehicle] = []
    participants: list[assets.Participant] = []
    for index, site_entry in enumerate(entry.sites):
        where = f"{file}: sites[{index}] {site_entry.id!r}"
        _check_site(site_entry, entry, where)
        for number in range(1, site_entry.repeat + 1):
            suffix = f"-{number:02d}" if site_entry.repeat > 1 else ""
            site, participant = _site(site_entry, suffix, number)
            sites.append(site)
            participants.append(participant)
            _add_chargers(site_entry, site, entry, stations, vehicles, where, number)
    _check_programme(entry, file)
    _check_whole(entry, sites, stations, file)
    fleet = assets.Fleet(
        programme=entry.programme,
        feeders=entry.feeders,
        sites=tuple(sites),
        stations=tuple(stations),
        vehicles=tuple(vehicles),
        participants=tuple(participants),
        programs=entry.programs,
        tariffs=entry.tariffs,
        block_groups=entry.block_groups,
        cards=entry.cards,
    )
    return Scenario(
        name=entry.programme.name,
        fleet=fleet,
        run=entry.run,
        outages=entry.outages,
        plant=entry.plant,
    )


def _site(entry: SiteEntry, suffix: str, number: int) -> tuple[assets.Site, assets.Participant]:
    site_id = f"{entry.id}{suffix}"
    name = entry.name if entry.repeat == 1 else f"{entry.name} {number}"
    site = assets.Site(
        id=SiteId(site_id),
        name=name,
        kind=entry.kind,
        town=entry.town,
        utility=entry.utility,
        utility_kind=entry.utility_kind,
        utility_account=f"acct-{site_id}",
        feeder_id=FeederId(entry.feeder),
        participant_id=ParticipantId(f"p-{site_id}"),
        tariff_id=entry.tariff,
        import_limit_kw=entry.import_limit_kw or 0.0,
        export_limit_kw=entry.export_limit_kw,
        load_shape=entry.load_shape,
        load_peak_kw=entry.load_peak_kw,
        solar_kw=entry.solar_kw,
        transfer_switch=entry.transfer_switch,
        critical_load_kw=entry.critical_load_kw,
        backup_reserve_soc=entry.backup_reserve_soc,
        block_group=entry.block_group,
        latitude=entry.latitude,
        longitude=entry.longitude,
    )
    participant = assets.Participant(
        id=site.participant_id, name=name, kind=entry.kind, grant_usd=entry.grant_usd, block_group=entry.block_group
    )
    return site, participant


def _add_chargers(
    site_entry: SiteEntry,
    site: assets.Site,
    entry: Entry,
    stations: list[assets.Station],
    vehicles: list[assets.Vehicle],
    where: str,
    number: int,
) -> None:
    count = 0
    for group in site_entry.chargers:
        station_model = entry.station_models[group.station]
        vehicle_model = entry.vehicle_models[group.vehicle]
        for place in range(group.count):
            count += 1
            station_id = StationId(check_id(f"{site.id}-cs{count:02d}", f"{where}: station id"))
            stations.append(
                assets.Station(
                    id=station_id,
                    site_id=site.id,
                    vendor=station_model.vendor,
                    charger_model=station_model.charger_model,
                    model=station_model.model,
                    serial=group.serials[(number - 1) * group.count + place] if group.serials else "",
                    protocol=station_model.protocol,
                    connector=station_model.connector,
                    charge_kw=station_model.charge_kw,
                    discharge_kw=station_model.discharge_kw,
                    can_form_grid=station_model.can_form_grid,
                    meters_site=count == 1,
                    security_profile=group.security_profile,
                )
            )
            shift_min = group.stagger_min * (place + number - 1)
            vehicle = assets.Vehicle(
                id=VehicleId(f"{site.id}-{vehicle_model.kind}{count:02d}"),
                name=f"{'Bus' if vehicle_model.kind == 'bus' else 'Car'} {count}",
                kind="bus" if vehicle_model.kind == "bus" else "car",
                make=vehicle_model.make,
                station_id=station_id,
                token=f"EV-{station_id}",
                capacity_kwh=vehicle_model.capacity_kwh,
                charge_kw=vehicle_model.charge_kw,
                discharge_kw=vehicle_model.discharge_kw,
                soc_min=vehicle_model.soc_min,
                trips=tuple(_shifted(trip, shift_min) for trip in group.trips),
            )
            _check_vehicle(vehicle, station_model, where)
            vehicles.append(vehicle)


def _shifted(trip: assets.Trip, minutes: float) -> assets.Trip:
    def move(clock: dt.time) -> dt.time:
        moved = dt.datetime.combine(dt.date(2000, 1, 2), clock) + dt.timedelta(minutes=minutes)
        return moved.time()

    return msgspec.structs.replace(trip, depart=move(trip.depart), back=move(trip.back))


def _check_site(site: SiteEntry, entry: Entry, where: str) -> None:
    check_id(site.id, f"{where}: id")
    if site.import_limit_kw is None:
        raise ScenarioError(
            "import_limit_kw is missing",
            where=where,
            expected="the service's import limit in kW",
            remedy=LIMIT_WAYS["import_limit_kw"],
        )
    known: tuple[tuple[str, str, set[str]], ...] = (
        ("feeder", site.feeder, {feeder.id for feeder in entry.feeders}),
        ("tariff", site.tariff, {tariff.id for tariff in entry.tariffs}),
        ("load_shape", site.load_shape, set(assets.LOAD_SHAPES)),
    )
    for key, value_text, choices in known:
        _check_choice(f"{key} is not defined", value_text, choices, where)
    for group in site.chargers:
        chargers = group.count * site.repeat
        if group.serials and (len(group.serials) != chargers or len(set(group.serials)) != chargers):
            raise ScenarioError(
                "chargers.serials names other chargers than there are",
                where=where,
                got=", ".join(group.serials),
                expected=f"{chargers} different serial numbers",
                remedy="Name each charger once, or leave serials out: they are learned at the first boot",
            )
        for key, value_text, choices in (
            ("station", group.station, set(entry.station_models)),
            ("vehicle", group.vehicle, set(entry.vehicle_models)),
        ):
            _check_choice(f"chargers.{key} is not in the catalogue", value_text, choices, where)


def _check_vehicle(vehicle: assets.Vehicle, station: StationModel, where: str) -> None:
    usable_kwh = vehicle.capacity_kwh * (vehicle.soc_max - vehicle.soc_min)
    for trip in vehicle.trips:
        if trip.energy_kwh * vehicle.departure_margin > usable_kwh:
            raise ScenarioError(
                f"{vehicle.id} cannot drive {trip.name!r}",
                where=where,
                got=f"{trip.energy_kwh:g} kWh x {vehicle.departure_margin:g}",
                expected=f"at most {usable_kwh:.1f} usable kWh of its battery",
                remedy="Shorten the trip or give it a bus with a larger battery",
            )
        if station.charge_kw <= 0:
            raise ScenarioError("station charge_kw must be positive", where=where, got=station.charge_kw)
        if trip.back <= trip.depart and trip.days != "daily":
            raise ScenarioError(
                f"trip {trip.name!r} comes back before it leaves", where=where, got=f"{trip.depart} to {trip.back}"
            )


def _check_choice(what: str, got: str, choices: set[str], where: str) -> None:
    if got not in choices:
        expected = ", ".join(sorted(choices))
        raise ScenarioError(what, where=where, got=got, expected=expected, remedy="Take one of these")


def _check_programme(entry: Entry, file: str) -> None:
    """What no site owns: the zone, the contracts, the tariffs' windows, the weather."""
    zone = entry.programme.zone
    if not is_zone(zone):
        raise ScenarioError(
            "zone is not known here",
            where=f"{file}: programme",
            got=zone,
            expected="an IANA time zone",
            remedy="Write it such as America/New_York or Europe/Rome",
        )
    for program in entry.programs:
        _check_choice(
            "rule is not in the rulebook", program.rule, set(assets.RULES), f"{file}: programs {program.id!r}"
        )
    for tariff in entry.tariffs:
        for window in tariff.windows:
            if window.end not in (MIDNIGHT,) and window.end <= window.start:
                raise ScenarioError(
                    "a price window ends before it starts",
                    where=f"{file}: tariffs {tariff.id!r}",
                    got=f"{window.start} to {window.end}",
                    expected="an end after the start, or 00:00:00 for midnight",
                    remedy="Write a window over midnight as two",
                )
    if entry.plant.low_c > entry.plant.high_c:
        raise ScenarioError(
            "low_c is above high_c",
            where=f"{file}: plant",
            got=entry.plant.low_c,
            expected=f"at most {entry.plant.high_c:g}",
            remedy="Swap them",
        )


def _check_whole(entry: Entry, sites: list[assets.Site], stations: list[assets.Station], file: str) -> None:
    if not 1 <= len(stations) <= MAX_STATIONS:
        raise ScenarioError("number of stations", where=file, got=len(stations), expected=f"1 to {MAX_STATIONS}")
    id_lists: tuple[tuple[str, list[str]], ...] = (
        ("site", [str(site.id) for site in sites]),
        ("feeder", [str(feeder.id) for feeder in entry.feeders]),
        ("card", [card.id.casefold() for card in entry.cards]),
    )
    for what, ids in id_lists:
        twice = {i for i in ids if ids.count(i) > 1}
        if twice:
            raise ScenarioError(f"{what} id used twice", where=file, got=", ".join(sorted(twice)))
    site_ids = {site.id for site in sites}
    for index, outage in enumerate(entry.outages):
        _check_choice("outages.site is not a site", outage.site, {str(i) for i in site_ids}, file)
        _check_in_run(entry.run, outage, f"{file}: outages[{index}]")
    for card in entry.cards:
        for station_id in card.stations:
            _check_choice("cards.stations has no station", station_id, {str(station.id) for station in stations}, file)
    programs = {str(program.id) for program in entry.programs}
    _check_choice("run.program is not a program", entry.run.program, programs, file)


def _check_in_run(run: Run, outage: Outage, where: str) -> None:
    """Refuse an outage that no run of this file would ever see: it starts at 00:00 of the day before the event."""
    if not -1 <= outage.day < run.days - 1:
        raise ScenarioError(
            "an outage outside the run",
            where=f"{where}.day and start",
            got=f"day {outage.day} at {outage.start:%H:%M}",
            expected=f"from 00:00 of day -1, for the {run.days} days of run.days (day 0 is the event's)",
            remedy="Move the outage, or raise run.days",
        )
