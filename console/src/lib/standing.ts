import type { Alarm, SiteRow, StationRow } from "./types";
import { islandWords } from "./words";

/** What an operator must see beside the alarms, read off the picture; `since` where the picture tells it. */
export type Standing = Omit<Alarm, "since" | "acknowledged_by"> & { since?: string; acknowledged_by?: string };

const NAMED_MAX = 4;

/** Sites without a grid, unread meters and stations out of reach, unless an alarm tells of them already. */
export function standing(alarms: Alarm[], sites: SiteRow[], stations: StationRow[]): Standing[] {
  const told = new Set(alarms.map((alarm) => alarm.subject));
  const dark = sites
    .filter((site) => (site.grid === "dead" || site.islanded) && !told.has(site.site_id))
    .map((site): Standing => ({ key: `grid:${site.site_id}`, severity: "warning", subject: site.site_id, text: gridWords(site) }));
  const blind = sites.filter((site) => site.stations > 0 && !site.load_known && site.grid !== "dead" && !site.islanded && !told.has(site.site_id));
  if (blind.length > 0) {
    const where = named(blind.map((site) => site.name));
    const [meter, load] = blind.length === 1 ? ["the building's meter", "its load is"] : ["the buildings' meters", "their loads are"];
    dark.push({ key: "meters", severity: "info", subject: "sites", text: `Waiting for ${meter} at ${where}: nothing may be given there until ${load} known.` });
  }
  const away = stations.filter((station) => !station.online && !told.has(station.station_id));
  if (away.length === 0) return dark;
  const names = named(away.map((station) => station.station_id));
  const [verb, does] = away.length === 1 ? ["is", "charges by its"] : ["are", "charge by their"];
  const text = `${names} ${verb} out of reach and ${does} own profile.`;
  return [...dark, { key: "stations", severity: "info", subject: "stations", text }];
}

function named(names: string[]): string {
  return names.slice(0, NAMED_MAX).join(", ") + (names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : "");
}

function gridWords(site: SiteRow): string {
  if (!site.islanded) return `${site.name} has no grid: nothing is given there.`;
  return `${site.name} has no grid: ${islandWords(site.hours_left)}.`;
}
