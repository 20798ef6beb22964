/** The picture as the API sends it (revere/control/view.py). Powers in kW, charging positive; relief positive to the grid. */
export type Phase = "upcoming" | "running" | "over";

export interface EventView {
  grid_event_id: string;
  program: string;
  start: string;
  end: string;
  phase: Phase;
  opt: "in" | "out" | "undecided";
  nominated_kw: number | null;
  nominated_at: string | null;
  relief_now_kw: number | null;
  relief_mean_kw: number | null;
  /** Since when the mean is taken, where that is well after the event's start. */
  relief_mean_since: string | null;
  plan_kw: number | null;
  /** Why nothing is paid for it (yet), by site. */
  held: Record<string, string>;
  /** An exercise of our own: measured, never paid. */
  drill: boolean;
}

/** A call ahead, under way or of the last week, taken back or not. */
export interface EventRow {
  grid_event_id: string;
  program_id: string;
  program: string;
  start: string;
  end: string;
  phase: Phase;
  drill: boolean;
  by_hand: boolean;
  called_by: string;
  opt: "in" | "out" | "undecided";
  opted_by: string;
  opted_why: string;
  nominated_kw: number | null;
  performance_kw: number | null;
  cancelled: boolean;
  cancelled_by: string;
  why: string;
  /** The rules that pay it, with their rates; "" for a drill and where none does. */
  terms: string;
  /** What opting out would cost now. */
  leaving: string;
}

export interface ProgramRow {
  program_id: string;
  name: string;
}

/** A part of the discharge nameplate that cannot be given now, and why. */
export interface HeldBack {
  reason: string;
  words: string;
  kw: number;
  vehicles: number;
  until: string | null;
}

export interface ReadinessRow {
  vehicle_id: string;
  vehicle: string;
  site_id: string;
  site: string;
  kind: "bus" | "car";
  state: "away" | "charging" | "discharging" | "idle" | "offline";
  departure: string | null;
  trip: string;
  needed_soc: number | null;
  soc: number | null;
  expected_soc: number | null;
  slack_min: number | null;
  short_kwh: number;
  verdict: "ready" | "at_risk" | "will_miss" | "away" | "unknown" | "no_trip" | "no_session";
  why: string;
}

export interface SiteRow {
  site_id: string;
  name: string;
  kind: string;
  town: string;
  utility: string;
  program: string | null;
  power_kw: number | null;
  stations_kw: number;
  building_kw: number | null;
  import_limit_kw: number;
  export_limit_kw: number;
  stations: number;
  online: number;
  vehicles_in: number;
  grid: "live" | "dead" | "unknown";
  islanded: boolean;
  hours_left: number | null;
  discharge_stopped: boolean;
  silent_since: string | null;
  /** Nothing is given behind a meter until its building's load is known. */
  load_known: boolean;
  /** Whether it may discharge: its fallback was checked, or a person waived that. */
  commissioned: boolean;
  /** How many of its stations a technician has locked. */
  locked: number;
  vehicles: number;
  discharge_kw: number;
  /** Whether the event of the hour calls it; `nominated_kw` is its part of what was promised. */
  called: boolean;
  nominated_kw: number | null;
}

/** A technician's lock; `whole_site` where it hangs on all stations of the site. */
export interface Lock {
  by: string;
  why: string;
  since: string;
  whole_site: boolean;
}

export interface StationRow {
  station_id: string;
  site_id: string;
  protocol: string;
  online: boolean;
  status: string;
  power_kw: number | null;
  setpoint_kw: number | null;
  why: string;
  soc: number | null;
  skew_s: number | null;
  last_reading: string | null;
  /** False where only its vendor's cloud can tell it anything. */
  controllable: boolean;
  locks: Lock[];
  /** When its meter first showed 0 kW under the lock. */
  lock_proven_at: string | null;
}

export interface Alarm {
  key: string;
  severity: "info" | "warning" | "critical";
  subject: string;
  text: string;
  since: string;
  acknowledged_by: string;
}

/** An order to stop all discharge: `quiet_s` runs from the order to the last station's first reading at rest. */
export interface StopView {
  at: string;
  still_giving: number;
  quiet_s: number | null;
}

export interface Equity {
  ej_usd: string;
  total_usd: string;
  share: number;
  more_than_one_third: boolean;
  unknown: number;
}

export interface ConsoleView {
  now: string;
  tick: number;
  programme: string;
  zone: string;
  speed: number;
  stale_s: number;
  database: "ok" | "gone";
  power_kw: number;
  relief_kw: number;
  /** The baseline that the rule names: "none", or "" without a rule. */
  baseline: string;
  /** Null where the rule has none, or one that is not computed. */
  baseline_kw: number | null;
  discharge_nameplate_kw: number;
  usable_kwh: number;
  available_discharge_kw: number;
  /** Why the rest of the nameplate is not available, the most first. */
  held_back: HeldBack[];
  vehicles: number;
  vehicles_in: number;
  stations: number;
  stations_online: number;
  at_risk: number;
  discharge_stopped: boolean;
  stop: StopView | null;
  event: EventView | null;
  events: EventRow[];
  programs: ProgramRow[];
  readiness: ReadinessRow[];
  sites: SiteRow[];
  station_rows: StationRow[];
  alarms: Alarm[];
  equity: Equity | null;
  /** The newest first; of one that is over the stations that failed. */
  campaigns: Campaign[];
}

export interface Campaign {
  campaign_id: string;
  by: string;
  since: string;
  vendor: string;
  model: string;
  version: string;
  state: "running" | "paused" | "aborted" | "stopped" | "done";
  /** Why it stands as it does. */
  why: string;
  /** What its next station waits for. */
  waits_for: string;
  stage: number;
  stages: number;
  waiting: number;
  under_way: number;
  passed: number;
  failed: number;
  stations: { station_id: string; stage: number; step: "waiting" | "asked" | "passed" | "failed"; why: string }[];
}

export interface PublicView {
  now: string;
  zone: string;
  programme: string;
  speed: number;
  power_kw: number;
  relief_kw: number;
  homes_equivalent: number;
  kw_per_home: number;
  event_phase: Phase | null;
  event_start: string | null;
  event_end: string | null;
  event_drill: boolean;
  nominated_kw: number | null;
  relief_mean_kw: number | null;
  /** Since when the mean is taken, where that is well after the event's start. */
  relief_mean_since: string | null;
  schools: number;
  municipal: number;
  homes: number;
  /** Homes take part that are too few to be shown: no figure holds anything of theirs. */
  homes_left_out: boolean;
  vehicles: number;
  discharge_nameplate_kw: number;
  equity: Equity | null;
  stale_s: number;
  database: "ok" | "gone";
}

export interface FleetSeries {
  step_s: number;
  timestamps: string[];
  power_kw: (number | null)[];
  baseline_kw: (number | null)[];
  relief_kw: (number | null)[];
}

export interface Me {
  name: string;
  role: "operator" | "site_manager" | "resident" | "analyst" | "auditor";
  via: string;
  sites: string[];
  vehicles: string[];
}

export interface Receipt {
  accepted: boolean;
  detail: string;
  reference: string;
}
