/** What each picture must have before a page draws it; the compiler keeps the lists equal to the types. */
import type { ConsoleView, PublicView } from "./types";

function all<T>(fields: Record<keyof T, true>): (keyof T & string)[] {
  return Object.keys(fields) as (keyof T & string)[];
}

export const CONSOLE_FIELDS = all<ConsoleView>({
  now: true, tick: true, programme: true, zone: true, speed: true, stale_s: true, database: true, power_kw: true,
  relief_kw: true, baseline: true, baseline_kw: true, discharge_nameplate_kw: true, usable_kwh: true,
  available_discharge_kw: true, held_back: true, vehicles: true, vehicles_in: true, stations: true,
  stations_online: true, at_risk: true, discharge_stopped: true, stop: true, event: true, events: true,
  programs: true, readiness: true, sites: true, station_rows: true, alarms: true, equity: true, campaigns: true,
});

export const PUBLIC_FIELDS = all<PublicView>({
  now: true, zone: true, programme: true, speed: true, power_kw: true, relief_kw: true, homes_equivalent: true,
  kw_per_home: true, event_phase: true, event_start: true, event_end: true, event_drill: true, nominated_kw: true,
  relief_mean_kw: true, relief_mean_since: true, schools: true, municipal: true, homes: true, homes_left_out: true,
  vehicles: true, discharge_nameplate_kw: true, equity: true, stale_s: true, database: true,
});
