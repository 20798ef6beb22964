/** Figures as people say them: signs become words, times are the programme's own. */
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const twoDigits = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const REST_KW = 0.5;

export type Direction = "giving" | "drawing" | "resting";

export function direction(powerKw: number): Direction {
  if (powerKw < -REST_KW) return "giving";
  return powerKw > REST_KW ? "drawing" : "resting";
}

export function kw(magnitude: number): string {
  const size = Math.abs(magnitude);
  return `${size >= 0.05 && size < 10 ? oneDigit.format(size) : whole.format(size)} kW`;
}

/** "giving 1,084 kW", "drawing 42 kW", "resting". */
export function powerWords(powerKw: number): string {
  const way = direction(powerKw);
  return way === "resting" ? way : `${way} ${kw(powerKw)}`;
}

/** A large power as figure and unit, for display type: ["1.08", "MW"]. */
export function bigPower(powerKw: number): [string, string] {
  const size = Math.abs(powerKw);
  return size >= 1000 ? [twoDigits.format(size / 1000), "MW"] : [whole.format(size), "kW"];
}

/** What help to the grid amounts to; a negative one is said as such. */
export function reliefWords(reliefKw: number | null): string {
  if (reliefKw === null) return "unknown";
  return reliefKw < -REST_KW ? `none, ${kw(reliefKw)} more drawn` : kw(Math.max(reliefKw, 0));
}

export function count(value: number): string {
  return whole.format(value);
}

/** "1 car", "1,200 cars"; `many` where it is not `one` with an s. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function percent(fraction: number | null, digits = 0): string {
  return fraction === null ? "unknown" : `${(fraction * 100).toFixed(digits)} %`;
}

export function usd(amount: string): string {
  return `$${whole.format(Number(amount))}`;
}

/** "42 min", "1 h 12 min", "2 days 3 h". Always positive; the caller says before or after. */
export function duration(minutes: number): string {
  const total = Math.round(Math.abs(minutes));
  if (total < 60) return `${total} min`;
  const hours = Math.floor(total / 60);
  if (hours < 48) return total % 60 ? `${hours} h ${total % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** How long a site on its own batteries can go on above its reserve. */
export function islandWords(hoursLeft: number | null): string {
  if (hoursLeft === null) return "islanded";
  return hoursLeft < 0.05 ? "islanded, nothing left above its reserve" : `islanded, ${duration(hoursLeft * 60)} left`;
}

export function minutesBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 60000;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) formats.set(key, (found = new Intl.DateTimeFormat("en-US", { timeZone: zone, ...options })));
  return found;
}

export function clock(moment: string, zone: string): string {
  return format(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(moment));
}

export function day(moment: string, zone: string): string {
  return format(zone, { weekday: "long", month: "long", day: "numeric", year: "numeric" }).format(new Date(moment));
}

/** Local midnight before a moment, epoch seconds (an hour off on the two days when clocks change). */
export function midnightS(moment: string, zone: string): number {
  const [hours = 0, minutes = 0] = clock(moment, zone).split(":").map(Number);
  return Math.floor(Date.parse(moment) / 60000) * 60 - (hours * 60 + minutes) * 60;
}

/** "06:12" today, "Fri 06:12" on another day. */
export function clockFrom(moment: string, now: string, zone: string): string {
  const same = day(moment, zone) === day(now, zone);
  const weekday = format(zone, { weekday: "short" }).format(new Date(moment));
  return same ? clock(moment, zone) : `${weekday} ${clock(moment, zone)}`;
}

/** The local date of a moment as "2023-09-07". */
export function dateOf(moment: string, zone: string): string {
  const parts = format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(new Date(moment));
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}-${part("day")}`;
}

/** The moment at which clocks in the zone show a date ("2023-09-07") and a time ("16:00"). */
export function momentOf(date: string, time: string, zone: string): string {
  const wanted = Date.parse(`${date}T${time}:00Z`);
  let found = wanted;
  for (let turn = 0; turn < 2; turn += 1) {
    const at = new Date(found).toISOString();
    found += wanted - Date.parse(`${dateOf(at, zone)}T${clock(at, zone)}:00Z`);
  }
  return new Date(found).toISOString();
}

/** "Tue, Sep 12" in the zone. */
export function shortDay(moment: string, zone: string): string {
  return format(zone, { weekday: "short", month: "short", day: "numeric" }).format(new Date(moment));
}

export function zoneName(zone: string): string {
  return (zone.split("/").pop() ?? zone).replaceAll("_", " ");
}
