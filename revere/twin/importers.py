"""Published files, read as published: each importer gives its data and a report of what it refused.

Nothing is mended in silence: a row with a bad time, a negative energy or an imputed value is refused under
its reason, and what was concluded about a file (its clock, its calendar) is said in the report's notes,
with the evidence. Reads are bounded in bytes and rows.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections import Counter
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from openpyxl.reader.excel import load_workbook

from revere.core.errors import RevereError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FILE_MAX_BYTES = 16 << 20
UNPACKED_MAX_BYTES = 64 << 20
ROWS_MAX = 100_000
YEAR_H = 8_760
SHARE_SUM_TOLERANCE = 1e-6
SESSION_MAX = dt.timedelta(hours=24)
SESSION_MAX_KWH = 150.0
KG_PER_LB = 0.45359237
CALENDAR_YEAR = 2023
STANDARD_OFFSET = dt.timedelta(hours=-5)
"""US Eastern standard time, in which the hourly files of the buildings and the weather count."""

Series = NDArray[np.float64]

SHAPE_FILES = {
    "primary school": "PrimarySchool",
    "secondary school": "SecondarySchool",
    "small office": "SmallOffice",
    "warehouse": "Warehouse",
    "apartment": "MidriseApartment",
}


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of a file: ``rows_read`` = ``used`` + the sum of ``refused``, by reason."""

    source: str
    rows_read: int
    used: int
    refused: dict[str, int]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """One line for a person."""
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.refused.items())) or "none"
        notes = "".join(f" {note}" for note in self.notes)
        return f"{self.source}: {self.used:,} of {self.rows_read:,} rows used; refused: {why}.{notes}"


@dataclass(frozen=True, kw_only=True)
class Weather:
    """A typical year by the hour, standard time: air in C, irradiance in W/m2 (global, direct normal, diffuse)."""

    days: tuple[tuple[int, int], ...]
    temperature_c: Series
    ghi_w_m2: Series
    dni_w_m2: Series
    dhi_w_m2: Series


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Measured hours of a system's demand under the file's own hour labels (prevailing local time)."""

    by_hour_mw: dict[dt.datetime, float]

    def peak(self, hours: Iterable[dt.datetime] | None = None) -> tuple[dt.datetime, float]:
        """The label and MW of the highest measured hour, of ``hours`` or of all."""
        found = [(self.by_hour_mw[h], h) for h in (self.by_hour_mw if hours is None else hours) if h in self.by_hour_mw]
        if not found:
            raise RevereError(
                "no measured demand hour in this period", where="iso_ne", remedy="Choose a day inside the file"
            )
        peak_mw, hour = max(found)
        return hour, peak_mw

    def peak_of_day(self, day: dt.date) -> tuple[dt.datetime, float]:
        """The label and MW of the day's highest measured hour."""
        return self.peak(dt.datetime.combine(day, dt.time(hour)) for hour in range(24))

    def peak_of_year(self, year: int) -> tuple[dt.datetime, float]:
        """The label and MW of the year's highest measured hour."""
        return self.peak(hour for hour in self.by_hour_mw if hour.year == year)


@dataclass(frozen=True, kw_only=True)
class ChargingSession:
    """A plug-in and plug-out in the wall-clock time of the place, and the energy taken in kWh."""

    arrive: dt.datetime
    leave: dt.datetime
    energy_kwh: float


@dataclass(frozen=True, kw_only=True)
class SchoolBus:
    """A bus of the Boston list: fleet number, seats, body type, yard."""

    id: str
    seats: int
    body: str
    yard: str


def read_shapes(data_dir: Path) -> tuple[dict[str, Series], ImportReport]:
    """DOE commercial reference buildings (climate zone 5A): hourly shares of the year, each summing to 1.

    Raises ``RevereError`` for a file that is not 8,760 finite shares >= 0 with sum 1.
    """
    shapes: dict[str, Series] = {}
    for name, stem in SHAPE_FILES.items():
        path = data_dir / "buildings" / f"crb8760_norm_Chicago_{stem}.dat"
        try:
            values = np.array([float(word) for word in _text(path).split()[: ROWS_MAX + 1]])
        except ValueError as error:
            raise _unusable(path, str(error), "one number a line") from error
        if values.shape != (YEAR_H,) or not np.isfinite(values).all() or (values < 0).any():
            raise _unusable(path, f"{len(values)} values", f"{YEAR_H} shares >= 0")
        if abs(values.sum() - 1) > SHARE_SUM_TOLERANCE:
            raise _unusable(path, f"sum {values.sum():.6f}", "sum 1")
        shapes[name] = values
    first = _first_weekday(shapes["small office"])
    holidays = file_holidays(shapes["small office"])
    expected = dt.date(CALENDAR_YEAR, 1, 1).strftime("%A")
    if first != expected:
        raise _unusable(
            data_dir / "buildings", f"a year that starts on a {first}", f"{CALENDAR_YEAR}'s calendar ({expected})"
        )
    rows = YEAR_H * len(shapes)
    calendar = (
        f"The year starts on a {first} (the two lowest weekdays in a row are its weekend), as {CALENDAR_YEAR} does; "
        f"{len(holidays)} working days look like Sundays: {', '.join(f'{day:%d %b}' for day in holidays)}."
    )
    shift_h = _daylight_shift_h(shapes["warehouse"])
    if not -1.5 < shift_h < -0.5:
        raise _unusable(data_dir / "buildings", f"mornings that move {shift_h:+.2f} h", "-1 h with daylight saving")
    clock = f"The clock is standard time: mornings move {shift_h:+.2f} h when daylight saving starts (12 March)."
    notes = (calendar, clock)
    return shapes, ImportReport(source="DOE reference buildings", rows_read=rows, used=rows, refused={}, notes=notes)


def _first_weekday(shape: Series) -> str:
    """The name of the year's first weekday, from which two residues of seven are the weekend."""
    daily = shape.reshape(-1, 24).sum(axis=1)
    mean = [float(daily[residue::7].mean()) for residue in range(7)]
    saturday = min(range(7), key=lambda residue: mean[residue] + mean[(residue + 1) % 7])
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return names[(5 - saturday) % 7]


def _daylight_shift_h(shape: Series) -> float:
    """By how many rows the working day's beginning moves across the start of daylight saving; -1 = standard time."""
    daily = shape.reshape(-1, 24)
    change = (dt.date(CALENDAR_YEAR, 3, 12) - dt.date(CALENDAR_YEAR, 1, 1)).days
    rises = []
    for days in (range(change - 14, change), range(change, change + 14)):
        mean = daily[[day for day in days if day % 7 not in (0, 6)]].mean(axis=0)[4:11]
        rises.append(float(np.interp((mean[0] + mean.max()) / 2, np.maximum.accumulate(mean), range(len(mean)))))
    return rises[1] - rises[0]


def file_holidays(office: Series) -> tuple[dt.date, ...]:
    """Working days of the files' year whose load is as low as the Sunday's before or after (within 30 %)."""
    daily = office.reshape(-1, 24).sum(axis=1)
    new_year = dt.date(CALENDAR_YEAR, 1, 1)
    found = []
    for index, share in enumerate(daily):
        day = new_year + dt.timedelta(days=index)
        sunday = index - (day.weekday() + 1) % 7
        near = [daily[i] for i in (sunday, sunday + 7) if 0 <= i < len(daily)]
        if day.weekday() < 5 and share <= 1.3 * max(near):
            found.append(day)
    return tuple(found)


def read_weather(data_dir: Path) -> tuple[Weather, ImportReport]:
    """TMY3 of Boston Logan: 8,760 hours; the label is the hour's end, in standard time (NREL's convention)."""
    path = data_dir / "weather" / "tmy3_boston_logan.csv"
    columns = ("Dry-bulb (C)", "GHI (W/m^2)", "DNI (W/m^2)", "DHI (W/m^2)")
    rows = list(_rows(path, ("Date (MM/DD/YYYY)", *columns)))
    try:
        values = np.array([[float(row[column]) for column in columns] for row in rows])
        days = tuple((int(row["Date (MM/DD/YYYY)"][:2]), int(row["Date (MM/DD/YYYY)"][3:5])) for row in rows[::24])
    except ValueError as error:
        raise _unusable(path, str(error), "numbers in every hour") from error
    if values.shape != (YEAR_H, 4) or not np.isfinite(values).all() or (values[:, 1:] < 0).any():
        raise _unusable(path, f"{len(values)} hours", f"{YEAR_H} hours, irradiance >= 0")
    low_c, high_c = float(values[:, 0].min()), float(values[:, 0].max())
    weather = Weather(
        days=days,
        temperature_c=values[:, 0],
        ghi_w_m2=values[:, 1],
        dni_w_m2=values[:, 2],
        dhi_w_m2=values[:, 3],
    )
    notes = (f"Dry bulb {low_c:.1f} to {high_c:.1f} C; hours end at their label, standard time.",)
    return weather, ImportReport(
        source="TMY3 Boston Logan", rows_read=len(rows), used=len(rows), refused={}, notes=notes
    )


def read_demand(data_dir: Path) -> tuple[Demand, ImportReport]:
    """ISO New England system demand by the hour, measured hours alone (imputed ones are refused)."""
    path = data_dir / "iso_ne" / "isone_demand_hourly_2021_2025.csv"
    refused: Counter[str] = Counter()
    by_hour: dict[dt.datetime, float] = {}
    read = 0
    for row in _rows(path, ("datetime", "demand_mw", "is_imputed")):
        read += 1
        try:
            hour, demand_mw = _wall_clock(row["datetime"]), float(row["demand_mw"])
        except ValueError:
            refused["with a time or number that does not parse"] += 1
            continue
        if row["is_imputed"] != "False":
            refused["imputed by the compiler, not measured"] += 1
        elif hour in by_hour:
            refused["with a label used twice"] += 1
        elif not 0 < demand_mw < 1e6:
            refused["with an impossible demand"] += 1
        else:
            by_hour[hour] = demand_mw
    demand = Demand(by_hour_mw=by_hour)
    report = ImportReport(
        source="ISO New England demand",
        rows_read=read,
        used=len(by_hour),
        refused=dict(refused),
        notes=(_demand_clock(demand),),
    )
    return demand, report


def _demand_clock(demand: Demand) -> str:
    """What the daily shape says of the file's clock: the morning rise around each change to daylight saving.

    In a file of standard time (or UTC) people's mornings would come one label earlier once clocks go forward.
    """
    shifts = []
    for year in sorted({hour.year for hour in demand.by_hour_mw}):
        change = dt.date(year, 3, 8)
        change += dt.timedelta(days=(6 - change.weekday()) % 7)
        before = _morning_rise(demand, [change - dt.timedelta(days=k) for k in range(2, 13)])
        after = _morning_rise(demand, [change + dt.timedelta(days=k) for k in range(1, 12)])
        if before is not None and after is not None:
            shifts.append(after - before)
    mean_h = float(np.mean(shifts)) if shifts else math.nan
    zone = "prevailing local time" if abs(mean_h) < 0.5 else "one fixed offset"
    return (
        f"Labels are {zone}: across {len(shifts)} changes to daylight saving the morning rise moved {mean_h:+.2f} h "
        "(a fixed offset would move it by -1 h). Whether a label begins or ends its hour the shape cannot tell; "
        "labels are shown as they stand."
    )


def _morning_rise(demand: Demand, days: list[dt.date]) -> float | None:
    """The label (fraction of hours) at which the mean working day is half-way up from 03 to 08."""
    hours = range(3, 9)
    table = [
        [demand.by_hour_mw.get(dt.datetime.combine(day, dt.time(hour)), math.nan) for hour in hours]
        for day in days
        if day.weekday() < 5
    ]
    whole = [row for row in table if not any(math.isnan(value) for value in row)]
    if len(whole) < 3:
        return None
    mean = np.mean(whole, axis=0)
    return float(np.interp((mean[0] + mean[-1]) / 2, mean, list(hours)))


def read_sessions(data_dir: Path) -> tuple[tuple[ChargingSession, ...], tuple[ImportReport, ...]]:
    """ACN workplace sessions (Caltech and one office) in the time of their place."""
    caltech, caltech_report = _caltech(data_dir / "ev_sessions" / "acn_caltech_clean.csv")
    office, office_report = _office(data_dir / "ev_sessions" / "acn_office001.json")
    return (*caltech, *office), (caltech_report, office_report)


def _caltech(path: Path) -> tuple[list[ChargingSession], ImportReport]:
    refused: Counter[str] = Counter()
    kept: list[ChargingSession] = []
    read = other_day = 0
    for row in _rows(path, ("Start", "End", "Day", "Idle.Duration", "Energy")):
        read += 1
        try:
            arrive, leave = _wall_clock(row["Start"]), _wall_clock(row["End"])
            idle_min, energy_kwh = float(row["Idle.Duration"]), float(row["Energy"])
        except ValueError:
            refused["with a time or number that does not parse"] += 1
            continue
        other_day += arrive.strftime("%A") != row["Day"]
        if idle_min < 0:
            refused["with a negative idle time"] += 1
        else:
            _keep(ChargingSession(arrive=arrive, leave=leave, energy_kwh=energy_kwh), kept, refused)
    busiest = Counter(session.arrive.hour for session in kept if session.arrive.weekday() < 5).most_common(1)
    note = (
        f"Times are the place's own: most weekday arrivals come in hour {busiest[0][0] if busiest else '?'}. "
        f"The Day column contradicts Start in {other_day:,} rows; Start is used."
    )
    report = ImportReport(source="ACN Caltech", rows_read=read, used=len(kept), refused=dict(refused), notes=(note,))
    return kept, report


def _office(path: Path) -> tuple[list[ChargingSession], ImportReport]:
    refused: Counter[str] = Counter()
    kept: list[ChargingSession] = []
    try:
        items: list[dict[str, Any]] = json.loads(_text(path))["_items"][:ROWS_MAX]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unusable(path, type(error).__name__, "ACN-Data's JSON with _items") from error
    for item in items:
        try:
            zone = ZoneInfo(item["timezone"])
            arrive, leave = (
                parsedate_to_datetime(item[key]).astimezone(zone).replace(tzinfo=None)
                for key in ("connectionTime", "disconnectTime")
            )
            energy_kwh = float(item["kWhDelivered"])
        except (KeyError, TypeError, ValueError, OSError):
            refused["with a time or number that does not parse"] += 1
            continue
        _keep(ChargingSession(arrive=arrive, leave=leave, energy_kwh=energy_kwh), kept, refused)
    note = "Times are GMT in the file and were moved to the zone that each session names."
    report = ImportReport(
        source="ACN office 001", rows_read=len(items), used=len(kept), refused=dict(refused), notes=(note,)
    )
    return kept, report


def _wall_clock(text: str) -> dt.datetime:
    """A time without a zone, as these files write them; ``ValueError`` for anything else."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(f"a zone where none is expected: {text!r}")
    return moment


def _keep(session: ChargingSession, kept: list[ChargingSession], refused: Counter[str]) -> None:
    if session.leave <= session.arrive:
        refused["that end before they start"] += 1
    elif session.leave - session.arrive > SESSION_MAX:
        refused["longer than 24 h"] += 1
    elif not 0 < session.energy_kwh <= SESSION_MAX_KWH:
        refused[f"with an energy outside 0 to {SESSION_MAX_KWH:g} kWh"] += 1
    else:
        kept.append(session)


def read_buses(data_dir: Path) -> tuple[tuple[SchoolBus, ...], ImportReport]:
    """Boston's list of school buses with their yards."""
    path = data_dir / "bus" / "bps-buses.xlsx"
    _check_workbook(path)
    refused: Counter[str] = Counter()
    buses: dict[str, SchoolBus] = {}
    read = 0
    workbook = load_workbook(path, read_only=True, data_only=True)  # type: ignore[no-untyped-call]
    try:
        rows = workbook.worksheets[0].iter_rows(values_only=True, max_row=ROWS_MAX, max_col=7)
        names = next(iter(rows), ())
        if names[:2] != ("Bus ID", "Bus Capacity") or names[4:6] != ("Bus Type", "Bus Yard"):
            raise _unusable(path, str(names[:6]), "columns Bus ID, Bus Capacity, ..., Bus Type, Bus Yard")
        for ident, seats, _latitude, _longitude, body, yard, *_ in rows:
            read += 1
            if ident is None:
                refused["empty"] += 1
            elif not isinstance(seats, int | float) or not 0 < seats < 200 or not yard:
                refused["without seats or yard"] += 1
            elif str(ident) in buses:
                refused["with a bus id used twice"] += 1
            else:
                buses[str(ident)] = SchoolBus(id=str(ident), seats=int(seats), body=str(body), yard=str(yard))
    finally:
        workbook.close()
    yards = Counter(bus.yard for bus in buses.values()).most_common()
    notes = ("Yards: " + ", ".join(f"{yard} {count}" for yard, count in yards) + ".",)
    report = ImportReport(
        source="Boston school buses", rows_read=read, used=len(buses), refused=dict(refused), notes=notes
    )
    return tuple(buses.values()), report


def read_carbon(data_dir: Path) -> tuple[Series, ImportReport]:
    """AVERT 2023 marginal emissions of New England (column NE), kg CO2 per kWh by hour of the year."""
    path = data_dir / "emissions" / "AVERT_2023_CO2_lb_per_kwh.csv"
    rows = list(_rows(path, ("Timestamp", "NE")))
    try:
        lb_per_kwh = np.array([float(row["NE"]) for row in rows])
        in_order = [int(row["Timestamp"]) for row in rows] == list(range(YEAR_H))
    except ValueError as error:
        raise _unusable(path, str(error), "numbers in every hour") from error
    if not in_order or not np.isfinite(lb_per_kwh).all():
        raise _unusable(path, f"{len(rows)} rows", f"hours 0 to {YEAR_H - 1} in order")
    notes = ("The file names no time zone; its hours are taken as standard time.",)
    report = ImportReport(source="AVERT 2023, NE", rows_read=len(rows), used=len(rows), refused={}, notes=notes)
    return lb_per_kwh * KG_PER_LB, report


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise RevereError(
            "a file of the real input is missing",
            where=f"{path.parent.name}/{path.name}",
            expected="the published file",
            remedy="Point --data at a folder that holds it, or leave --data out to run on synthetic input",
        )
    size = path.stat().st_size
    if size > FILE_MAX_BYTES:
        raise _unusable(path, f"{size} bytes", f"at most {FILE_MAX_BYTES}")


def _check_workbook(path: Path) -> None:
    """Refuse what is not a packed workbook, or would unpack beyond the bound."""
    _check_file(path)
    try:
        with ZipFile(path) as packed:
            size = sum(part.file_size for part in packed.infolist())
            whole = "xl/workbook.xml" in packed.namelist()
    except BadZipFile as error:
        raise _unusable(path, str(error), "an .xlsx workbook") from error
    if not whole or size > UNPACKED_MAX_BYTES:
        raise _unusable(path, f"{size} bytes unpacked", f"an .xlsx workbook of at most {UNPACKED_MAX_BYTES}")


def _text(path: Path) -> str:
    _check_file(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unusable(path, str(error), "UTF-8 text") from error


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows of a CSV file with the ``needed`` columns; a short row has empty text where it ends."""
    reader = csv.DictReader(io.StringIO(_text(path)), restval="")
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise _unusable(path, f"no column {missing[0]!r}", ", ".join(needed))
    for index, row in enumerate(reader):
        if index >= ROWS_MAX:
            raise _unusable(path, f"more than {ROWS_MAX} rows", f"at most {ROWS_MAX}")
        yield row


def _unusable(path: Path, got: str, expected: str) -> RevereError:
    return RevereError(
        "a file of the real input cannot be used",
        where=f"{path.parent.name}/{path.name}",
        got=got[:200],
        expected=expected,
        remedy="Fetch the file again as published, or leave --data out to run on synthetic input",
    )
