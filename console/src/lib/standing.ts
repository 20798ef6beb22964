import type { Alarm, SiteRow, StationRow } from "./types";
import { islandWords } from "./words";

/** What an operator must see beside the alarms, read off the picture; `since` where the picture tells it. */
export type Standing = Omit<Alarm, "since" | "acknowledged_by"> & { since?: string; acknowledged_by?: string };

const NAMED_MAX = 4;

/** Sites without a grid and stations out of reach, unless an alarm tells of them already. */
export function standing(alarms: Alarm[], sites: SiteRow[], stations: StationRow[]): Standing[] {
  const told = new Set(alarms.map((alarm) => alarm.subject));
  const dark = sites
    .filter((site) => (site.grid === "dead" || site.islanded) && !told.has(site.site_id))
    .map((site): Standing => ({ key: `grid:${site.site_id}`, severity: "warning", subject: site.site_id, text: gridWords(site) }));
  const away = stations.filter((station) => !station.online && !told.has(station.station_id));
  if (away.length === 0) return dark;
  const names = away.slice(0, NAMED_MAX).map((station) => station.station_id);
  const more = away.length > NAMED_MAX ? ` and ${away.length - NAMED_MAX} more` : "";
  const [verb, does] = away.length === 1 ? ["is", "charges by its"] : ["are", "charge by their"];
  const text = `${names.join(", ")}${more} ${verb} out of reach and ${does} own profile.`;
  return [...dark, { key: "stations", severity: "info", subject: "stations", text }];
}

function gridWords(site: SiteRow): string {
  if (!site.islanded) return `${site.name} has no grid: nothing is given there.`;
  return `${site.name} has no grid: ${islandWords(site.hours_left)}.`;
}
