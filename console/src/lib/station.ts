/** One station in depth, as the API sends it (revere/web/inspecting.py). Powers in kW, charging positive. */
import type { Alarm, StationRow } from "./types";
import { powerWords } from "./words";

export interface Telling {
  command_id: string;
  at: string;
  kind: string;
  by: string;
  setpoint_kw: number | null;
  ended_at: string | null;
  /** Null while its answer is awaited. */
  said: "accepted" | "refused" | "nothing" | null;
  proof: "awaited" | "confirmed" | "not confirmed" | "replaced" | "not judged";
  why: string;
}

export interface StationView {
  station_id: string;
  vendor: string;
  model: string;
  serial: string;
  firmware: string;
  /** Another charger that answers in its place. */
  stranger: string;
  booted_at: string | null;
  registered_protocol: string;
  security_profile: number;
  charge_kw: number;
  discharge_kw: number;
  controllable: boolean;
  gives: boolean;
  charger_model: string;
  charger_model_why: string;
  way: string;
  profile_interval_s: number;
  certificate_ends: string | null;
  connected_at: string | null;
  offline_at: string | null;
  problems: string[];
  /** In force in its session by its own word; empty where it does not say. */
  operation_mode: string;
  operation_mode_since: string | null;
  variables: number;
  told: Telling[];
}

export interface StationPicture {
  now: string;
  zone: string;
  site: string;
  row: StationRow;
  station: StationView;
  alarms: Alarm[];
}

export interface Step {
  start: string;
  kw: number;
}

export interface Schedule {
  asked_at: string;
  end: string;
  steps: Step[];
  fallback: Step[];
}

export interface Frame {
  at: string;
  incoming: boolean;
  kind: "call" | "answer" | "refusal" | "send" | "unreadable";
  action: string;
  size_bytes: number;
  text: string;
}

export interface SecurityEvent {
  ts: string;
  type: string;
  source: string;
  detail: string;
  count: number;
}

/** What it was told: "giving 28 kW", "reset station". */
export function tellingWords(telling: Telling): string {
  if (telling.setpoint_kw !== null) return telling.setpoint_kw === 0 ? "0 kW" : powerWords(telling.setpoint_kw);
  return telling.kind.replaceAll("-", " ");
}

const SAID = { accepted: "accepted", refused: "refused", nothing: "no answer" } as const;
const PROOF = {
  awaited: "meter awaited",
  confirmed: "✓ shown by its meter",
  "not confirmed": "▲ not shown by its meter",
  replaced: "replaced by a newer one",
  "not judged": "",
} as const;

/** The station's own word and the meter's, side by side: "Accepted" alone proves nothing. */
export function answerWords(telling: Telling): string {
  const said = telling.said === null ? "asked" : SAID[telling.said];
  const proof = PROOF[telling.proof];
  return proof ? `${said}, ${proof}` : said;
}

/** "in 20 days", "ended". */
export function daysLeft(moment: string, now: string): string {
  const days = Math.floor((Date.parse(moment) - Date.parse(now)) / 86400e3);
  return days < 0 ? "ended" : days === 0 ? "ends today" : `ends in ${days} ${days === 1 ? "day" : "days"}`;
}
